//! One request, from its head to the body of its answer.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::ask::{Ask, Told};
use crate::behaviour::{Behaviour, directives};
use crate::errors::refusal;
use crate::said::Said;
use crate::script::{Answer, Stream, Then};
use crate::server::Options;
use crate::stats::{Counters, End, Running, key};
use crate::wire::{Api, embeddings, models};

/// The largest body that is read, in bytes.
const MOST_BODY: usize = 64 << 20;

/// What all requests share.
#[derive(Debug)]
pub struct Service {
    options: Options,
    /// What was counted.
    pub counters: Arc<Counters>,
    numbers: AtomicU64,
}

/// A request that is understood.
struct Understood<'a> {
    api: Api,
    ask: Ask<'a>,
    told: Told,
    how: Behaviour,
    number: u64,
}

type Answered = Result<Response<Answer>, io::Error>;

// === impl Service ===

impl Service {
    /// A service that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options, counters: Arc::default(), numbers: AtomicU64::new(1) }
    }

    /// Answers a request. An error closes the socket.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        match (&head.method, path) {
            (&Method::GET, "/mock/stats") => return Ok(self.statistics()),
            (&Method::POST, "/mock/reset") => {
                self.counters.reset();
                return Ok(uncounted(Response::new("{}".to_owned())));
            }
            _ => {}
        }
        let Some(api) = Api::at(path) else {
            return Ok(uncounted(refusal(None, 404, Some("There is no such address."), None)));
        };
        if api == Api::Models {
            return Ok(uncounted(self.models(&head.headers)));
        }
        if head.method != Method::POST {
            return Ok(uncounted(refusal(Some(api), 405, Some("Only POST."), None)));
        }
        let Ok(body) = Limited::new(body, MOST_BODY).collect().await else {
            return Ok(uncounted(refusal(Some(api), 413, None, None)));
        };
        let body = body.to_bytes();
        self.counters.keep(path, &head.headers, &body);
        self.respond(api, &head.headers, &body).await
    }

    async fn respond(&self, api: Api, headers: &HeaderMap, body: &[u8]) -> Answered {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let begin = |model: &str| self.counters.begin(api.name(), model, &key(headers));
        let ask: Ask = match serde_json::from_slice(body) {
            Ok(ask) => ask,
            Err(error) => {
                let said = format!("We could not parse the JSON body of your request: {error}");
                return Ok(refused(begin("?"), refusal(Some(api), 400, Some(&said), None)));
            }
        };
        let running = begin(&ask.model);
        if !self.options.key.is_empty() && key(headers) != crate::stats::digest(&self.options.key) {
            return Ok(refused(running, refusal(Some(api), 401, None, None)));
        }
        let told = ask.told(api);
        match self.behaviour(&ask.model, &told, headers, number) {
            Ok(how) => Understood { api, ask, told, how, number }.answer(running).await,
            Err(said) => Ok(refused(running, refusal(Some(api), 400, Some(&said), None))),
        }
    }

    /// What the process, the model, the message and the headers want, each before the next.
    fn behaviour(
        &self,
        model: &str,
        told: &Told,
        headers: &HeaderMap,
        number: u64,
    ) -> Result<Behaviour, String> {
        let mut how = self.options.behaviour.clone();
        let mut texts: Vec<Cow<str>> = directives(model).map(Cow::from).into_iter().collect();
        texts.extend(told.directives.as_deref().map(Cow::from));
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix("x-mock") else { continue };
            let value = value.to_str().map_err(|_| "mock: a header is not text".to_owned())?;
            match name.strip_prefix('-') {
                Some(name) => texts.push(format!("{}={value}", name.replace('-', "_")).into()),
                None => texts.push(value.into()),
            }
        }
        for text in &texts {
            how.take(text)?;
        }
        if let Some(times) = how.times
            && self.counters.repeated(&texts.join(",")) > times
        {
            how.calm();
        }
        self.throw_dice(&mut how, number);
        Ok(how)
    }

    /// The same seed and the same order of requests have the same bad luck.
    fn throw_dice(&self, how: &mut Behaviour, number: u64) {
        if how.fail > 0.0 && chance(self.options.seed, number, 1) < how.fail {
            how.status = Some(500);
        }
        if how.cut > 0.0 && chance(self.options.seed, number, 2) < how.cut {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a small number"
            )]
            let at = (chance(self.options.seed, number, 3) * f64::from(how.chunks)) as u32;
            how.cut_after = Some(at);
        }
    }

    fn statistics(&self) -> Response<Answer> {
        let text = serde_json::to_string(&self.counters.stats()).unwrap_or_default();
        uncounted(json(text))
    }

    fn models(&self, headers: &HeaderMap) -> Response<String> {
        json(models(&self.options.models, headers.contains_key("anthropic-version")))
    }
}

// === impl Understood ===

impl Understood<'_> {
    async fn answer(self, mut running: Running) -> Answered {
        let how = &self.how;
        if how.hang {
            std::future::pending::<()>().await;
        }
        if how.head_ms > 0 {
            tokio::time::sleep(Duration::from_millis(how.head_ms)).await;
        }
        if let Some(status) = how.status {
            let answer = refusal(Some(self.api), status, None, how.retry_after);
            return Ok(self.signed(refused(running, answer)));
        }
        let said = Said::new(self.number, &self.ask, &self.told, how);
        running.read(u64::from(self.told.input));
        let streams = matches!(self.api, Api::Chat | Api::Responses | Api::Messages);
        if self.ask.stream == Some(true) && streams {
            return Ok(self.streamed(said, running));
        }
        let wait = how.first_ms + how.delay_ms * u64::from(said.pieces().saturating_sub(1));
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        if how.cut_after == Some(0) {
            running.end(End::Cut);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(self.plain(&said, running))
    }

    fn streamed(self, said: Said, running: Running) -> Response<Answer> {
        let (api, how) = (self.api, self.how.clone());
        let mut answer = Response::new(Answer::Stream(Box::new(Stream::new(api, said, how, running))));
        let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("no-cache"));
        self.signed(answer)
    }

    fn plain(self, said: &Said, running: Running) -> Response<Answer> {
        let text = match self.api {
            Api::Embeddings => embeddings(said, &self.ask),
            api => api.whole(said),
        };
        let mut body = Bytes::from(text);
        if self.how.garbage_at.is_some() {
            body = Bytes::from_static(b"<html>502 Bad Gateway</html>\xff{");
        }
        let promised = body.len() as u64;
        let half = body.len() / 2;
        let (body, then) = if self.how.cut_after.is_some() {
            (body.slice(..half), Then::Broken)
        } else if self.how.hang_after.is_some() {
            (body.slice(..half), Then::Silence)
        } else {
            (body, Then::End(End::Finished))
        };
        if !matches!(self.api, Api::Embeddings | Api::CountTokens) {
            running.wrote(said.tokens_until(said.pieces()));
        }
        let answer = json(Answer::Whole { body: Some(body), then, promised, running: Some(running) });
        self.signed(answer)
    }

    /// Puts in what providers put into every head.
    fn signed(&self, mut answer: Response<Answer>) -> Response<Answer> {
        let name = if self.api.is_anthropic() { "request-id" } else { "x-request-id" };
        if let Ok(value) = HeaderValue::from_str(&format!("req_mock{:08}", self.number)) {
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}

fn json<T>(body: T) -> Response<T> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn uncounted(answer: Response<String>) -> Response<Answer> {
    whole(answer, None, End::Finished)
}

fn refused(running: Running, answer: Response<String>) -> Response<Answer> {
    whole(answer, Some(running), End::Refused)
}

fn whole(answer: Response<String>, running: Option<Running>, end: End) -> Response<Answer> {
    answer.map(|text| {
        let promised = text.len() as u64;
        Answer::Whole { body: Some(text.into()), then: Then::End(end), promised, running }
    })
}

/// A number from 0 to 1, from a seed and a place (SplitMix64).
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn chance(seed: u64, number: u64, dice: u64) -> f64 {
    let mut mixed =
        seed.wrapping_add(number.wrapping_mul(4).wrapping_add(dice).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::chance;

    #[test]
    fn dice_are_fair_and_the_same_again() {
        let luck = (0..10_000).filter(|number| chance(7, *number, 1) < 0.25).count();
        assert!((2_300..2_700).contains(&luck), "{luck}");
        assert!((chance(7, 3, 1) - chance(7, 3, 1)).abs() < f64::EPSILON);
    }
}
