//! Requests to models, and what comes back, down to the events.

use ::http::{HeaderMap, Method};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::limits::ANSWER;
use crate::mcp::http::{self, Failure, OpenAnswer};
use crate::node::Node;
use crate::patience::within;

/// The APIs through which agents call models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's embeddings.
    Embeddings,
    /// Anthropic's counting of tokens.
    CountTokens,
}

impl Api {
    /// Those in which a model says something, plain or streamed.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// Those in which it says nothing.
    pub const SILENT: [Self; 2] = [Self::Embeddings, Self::CountTokens];

    /// All of them.
    pub const EVERY: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::Embeddings, Self::CountTokens];

    /// Its path at the node.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/openai/v1/chat/completions",
            Self::Responses => "/openai/v1/responses",
            Self::Messages => "/anthropic/v1/messages",
            Self::Embeddings => "/openai/v1/embeddings",
            Self::CountTokens => "/anthropic/v1/messages/count_tokens",
        }
    }

    /// The models that answer in it, in their own words and translated.
    pub fn models(self) -> &'static [&'static str] {
        match self {
            Self::Responses | Self::Embeddings => &["gpt"],
            Self::CountTokens => &["claude"],
            Self::Chat | Self::Messages => &["gpt", "claude"],
        }
    }

    /// Whether it is one of Anthropic's.
    pub fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where it goes.
    pub api: Api,
    /// Its body.
    pub body: Value,
    /// Its headers, beside the usual ones.
    pub headers: Vec<(&'static str, String)>,
}

impl Ask {
    /// A plain request that says one thing.
    pub fn new(api: Api, model: &str, says: &str) -> Self {
        let said = json!([{ "role": "user", "content": says }]);
        let body = match api {
            Api::Responses => json!({ "model": model, "input": said }),
            Api::Chat | Api::CountTokens => json!({ "model": model, "messages": said }),
            Api::Messages => json!({ "model": model, "messages": said, "max_tokens": 1000 }),
            Api::Embeddings => json!({ "model": model, "input": says }),
        };
        Self { api, body, headers: Vec::new() }
    }

    /// The same with one line more in its head.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with one member more.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.body[member] = value.into();
        self
    }

    /// The same, streamed.
    #[must_use]
    pub fn streamed(self) -> Self {
        self.with("stream", true)
    }

    /// Whether it is.
    pub fn is_streamed(&self) -> bool {
        self.body["stream"] == true
    }

    /// The same, with usage at the end of its stream; where the API does not say it anyway.
    #[must_use]
    pub fn with_usage(self) -> Self {
        if self.api == Api::Chat {
            self.with("stream_options", json!({ "include_usage": true }))
        } else {
            self
        }
    }

    /// Sends it and returns when the answer begins.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn open(&self, node: &Node, token: &str) -> Result<OpenAnswer, Failure> {
        self.open_at(&node.gateway, token).await
    }

    /// As [`Self::open`], at the address of a node.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn open_at(&self, gateway: &str, token: &str) -> Result<OpenAnswer, Failure> {
        let url = format!("{gateway}{}", self.api.path());
        let authorization = format!("Bearer {token}");
        let mut headers =
            vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        http::open(Method::POST, &url, &headers, Bytes::from(self.body.to_string())).await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// All bytes of the body that are text.
    pub text: String,
    /// The data of each event, if it is a stream; `[DONE]` is none of them.
    pub events: Vec<Value>,
    /// Whether the body came to its end: no connection broke.
    pub whole: bool,
}

impl Answered {
    /// One header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text))
    }

    /// The error: of the body, or of the last event of a stream. It has to be in the shape of its API.
    #[track_caller]
    pub fn error(&self, api: Api) -> Value {
        assert!(self.whole, "broke off: {}", self.text);
        if self.events.is_empty() {
            error_of(api, &self.json())
        } else {
            error_of(api, self.events.last().unwrap_or(&Value::Null))
        }
    }

    /// Whether a stream ended as its API has it end.
    pub fn is_complete(&self, api: Api) -> bool {
        let last = self.events.last().and_then(|event| event["type"].as_str());
        self.whole
            && match api {
                Api::Chat => self.text.trim_end().ends_with("data: [DONE]"),
                Api::Responses => matches!(last, Some("response.completed" | "response.incomplete")),
                Api::Messages => last == Some("message_stop"),
                Api::Embeddings | Api::CountTokens => false,
            }
    }

    /// The text that the model said, plain or streamed.
    pub fn said(&self, api: Api) -> String {
        if self.events.is_empty() {
            let body = self.json();
            let at = match api {
                Api::Chat => "/choices/0/message/content",
                Api::Responses => "/output/0/content/0/text",
                Api::Messages => "/content/0/text",
                Api::Embeddings | Api::CountTokens => return String::new(),
            };
            return body.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        }
        let at = match api {
            Api::Chat => "/choices/0/delta/content",
            Api::Responses => "/delta",
            Api::Messages => "/delta/text",
            Api::Embeddings | Api::CountTokens => return String::new(),
        };
        let is_text = |event: &&Value| api != Api::Responses || event["type"] == "response.output_text.delta";
        let texts = self.events.iter().filter(is_text).filter_map(|event| event.pointer(at)?.as_str());
        texts.collect()
    }
}

/// Sends a request and reads the whole answer, however it ends.
pub async fn talk(node: &Node, token: &str, ask: &Ask) -> Answered {
    let read = async { Ok::<_, Failure>(Answered::read(ask.open(node, token).await?).await) };
    let answered = within(ANSWER, &format!("the answer to {:?}", ask.api), read).await;
    answered.unwrap_or_else(|error| panic!("{:?}: {error}", ask.api))
}

impl Answered {
    /// Reads the rest of an answer.
    pub async fn read(mut answer: OpenAnswer) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let streams = answer.is_stream();
        let mut body = Vec::new();
        let whole = loop {
            match answer.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let text = String::from_utf8_lossy(&body).into_owned();
        let events = if streams { events(&text) } else { Vec::new() };
        Self { status, headers, text, events, whole }
    }
}

fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = data.filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("not JSON ({error}): {data}")))
        .collect()
}

/// The error in a body or in an event, which has to have all members that the provider's libraries look at.
#[track_caller]
pub fn error_of(api: Api, value: &Value) -> Value {
    // Events of the responses API have the members of an error beside their type; this node's have both.
    let own = api == Api::Responses && value["type"] == "error" && value.get("error").is_none();
    let error = if own { value } else { &value["error"] };
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "no message: {value}");
    if api.is_anthropic() {
        assert_eq!(value["type"], "error", "{value}");
        assert!(error["type"].is_string(), "no type: {value}");
    } else {
        assert!(
            error["type"].is_string() && error.get("code").is_some() && error.get("param").is_some(),
            "{value}"
        );
    }
    error.clone()
}
