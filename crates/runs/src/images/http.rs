//! Asking a registry: over TLS, with a token where one is wanted, and no more of an answer than is bounded.
//! See <https://distribution.github.io/distribution/spec/auth/token/>.

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use ringfence_json::{Limits, Value, parse};

use super::until::Until;
use crate::limits::{IMAGE_REFUSAL_BYTES_MAX, IMAGE_SILENCE, IMAGE_TOKEN_BYTES_MAX};

/// Letters of what a registry calls a refusal that are shown.
const CODE_BYTES_MAX: usize = 64;

/// One registry, and what may be pulled there.
pub(super) struct Client {
    http: reqwest::Client,
    until: Until,
    scope: String,
    token: Mutex<Option<String>>,
}

/// Where a token is given out.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

// === impl Client ===

impl Client {
    /// Whoever asks `plain` asks a registry of this machine.
    pub(super) fn new(repository: &str, plain: bool, until: Until) -> Result<Self, String> {
        // There is one source of cryptography in this program; who came first is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            .https_only(!plain)
            .read_timeout(IMAGE_SILENCE)
            .connect_timeout(IMAGE_SILENCE)
            .user_agent(concat!("ringfence/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(said)?;
        Ok(Self { http, until, scope: format!("repository:{repository}:pull"), token: Mutex::default() })
    }

    /// A whole answer.
    pub(super) async fn document(&self, url: &str, accept: &str, most: usize) -> Result<Vec<u8>, String> {
        let answer = self.get(url, Some(accept)).await?;
        self.whole(answer, most).await
    }

    /// An answer, to be taken piece by piece.
    pub(super) async fn get(&self, url: &str, accept: Option<&str>) -> Result<Response, String> {
        let mut answer = self.ask(url, accept).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some(challenge) = challenged(&answer)
        {
            // There was none yet, or it has expired.
            let token = self.let_in(&challenge).await?;
            *self.token.lock() = Some(token);
            answer = self.ask(url, accept).await?;
        }
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(self.refusal(answer).await) }
    }

    pub(super) async fn piece(&self, answer: &mut Response) -> Result<Option<Bytes>, String> {
        self.until.within(answer.chunk()).await?.map_err(said)
    }

    async fn ask(&self, url: &str, accept: Option<&str>) -> Result<Response, String> {
        let token = self.token.lock().clone();
        let mut request = self.http.get(url);
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.until.within(request.send()).await?.map_err(said)
    }

    async fn let_in(&self, challenge: &Challenge) -> Result<String, String> {
        let mut asked = vec![("scope", self.scope.as_str())];
        asked.extend(challenge.service.as_deref().map(|service| ("service", service)));
        let url = Url::parse_with_params(&challenge.realm, asked);
        let url = url.map_err(|error| format!("where it gives out tokens is no address: {error}"))?;
        let answer = self.until.within(self.http.get(url).send()).await?.map_err(said)?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer).await);
        }
        let value = read(&self.whole(answer, IMAGE_TOKEN_BYTES_MAX).await?, IMAGE_TOKEN_BYTES_MAX);
        let token = value.as_ref().and_then(|value| value.get("token").or_else(|| value.get("access_token")));
        let token = token.and_then(Value::as_str).filter(|token| !token.is_empty());
        token.map(str::to_owned).ok_or_else(|| "it gives no token for reading".to_owned())
    }

    async fn whole(&self, mut answer: Response, most: usize) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut answer).await? {
            if piece.len() > most - bytes.len() {
                return Err(format!("an answer has more than {most} bytes, and no more are read"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// What a registry says that does not give something: its status, and the word it has for the reason.
    async fn refusal(&self, answer: Response) -> String {
        let status = answer.status();
        let body = self.whole(answer, IMAGE_REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let value = read(&body, IMAGE_REFUSAL_BYTES_MAX);
        let code = value.as_ref().and_then(|value| value.pointer("/errors/0/code")).and_then(Value::as_str);
        let is_word = |code: &&str| {
            code.len() <= CODE_BYTES_MAX
                && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match code.filter(is_word) {
            Some(code) => format!("the registry answers {status} ({code})"),
            None => format!("the registry answers {status}"),
        }
    }
}

/// Where the registry sends whoever has no token.
fn challenged(answer: &Response) -> Option<Challenge> {
    let all = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    all.filter_map(|header| header.to_str().ok()).find_map(challenge)
}

/// Reads `Bearer realm="…",service="…"` (RFC 9110, section 11.6.1).
fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, mut rest) = header.trim_start().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.trim_start().strip_prefix('"') {
            // No address and no name of a service has quotes in it.
            Some(quoted) => quoted.split_once('"')?,
            None => after.find(',').map_or((after, ""), |end| after.split_at(end)),
        };
        match name.trim_matches([' ', ',', '\t']).to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value.to_owned()),
            "service" => service = Some(value.trim().to_owned()),
            _ => {}
        }
        rest = after;
    }
    Some(Challenge { realm: realm?, service })
}

fn read(bytes: &[u8], most: usize) -> Option<Value> {
    parse(bytes, &Limits { bytes: most, ..Limits::default() }).ok()
}

/// With the causes below it: the outermost of a network's errors says only that there was one. Addresses are left out: where
/// a registry leads to, they can hold a key.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut below = std::error::Error::source(&error);
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_tokens_are() {
        let whole = r#"Bearer realm="https://a.example/token?x=1",service="a, b",scope="repository:x:pull""#;
        let other = r#"bearer scope=x, service=s , realm="https://b.example/t""#;
        let of = |realm: &str, service: Option<&str>| {
            Some(Challenge { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        assert_eq!(challenge(whole), of("https://a.example/token?x=1", Some("a, b")));
        assert_eq!(challenge(other), of("https://b.example/t", Some("s")));
        assert_eq!(challenge(r#"Bearer realm="r""#), of("r", None));
        for none in
            ["", "Bearer", "Basic realm=\"x\"", "Bearer service=\"s\"", "Bearer realm=\"x", "=,=,=\"\""]
        {
            assert_eq!(challenge(none), None, "{none}");
        }
    }
}
