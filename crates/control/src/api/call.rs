//! One request, taken apart; and what it is answered.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use ringfence_json::{Object, Value};
use ringfence_types::parse_duration;

use super::desk::Desk;
use super::guard::Credential;
use super::problem::Problem;
use crate::Person;
use crate::limits::PAGE_MAX;

/// A request, authenticated and authorized.
pub(crate) struct Call {
    /// What it is asked of.
    pub desk: Arc<Desk>,
    /// By whom.
    pub caller: Person,
    /// What they showed of it.
    pub credential: Credential,
    /// The parts of the path that have names.
    pub path: Vec<(String, String)>,
    /// The query; every name once, all of them known.
    pub query: Vec<(String, String)>,
    /// The body; no member that is not known.
    pub body: Object,
}

/// What a request is answered.
pub(crate) enum Answer {
    /// One JSON object.
    Document(Object),
    /// JSON lines, as they come.
    Lines(Body),
    /// Server-sent events, as they come.
    Events(Body),
    /// Text of a content type.
    Text(&'static str, String),
    /// Bytes as they come, and how many where that is known.
    Bytes(Body, Option<u64>),
}

// === impl Call ===

impl Call {
    /// A named part of the path, read as what it names.
    pub fn part<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        text.parse().map_err(|error| Problem::wrong(format!("`{}`: {error}", crate::shown::line(text))))
    }

    /// A text of the query.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A value of the query, read as what it is.
    pub fn asked_as<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.asked(name).map(|text| read(name, text)).transpose()
    }

    /// A word of the query, one of those known.
    pub fn asked_word(&self, name: &str, known: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(text) = self.asked(name) else { return Ok(None) };
        let word = known.iter().find(|word| **word == text).copied();
        word.map(Some).ok_or_else(|| {
            let near = ringfence_document::nearest(text, known.iter().copied());
            let meant = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            Problem::wrong(format!("`{name}` cannot be `{}`{meant}", crate::shown::line(text)))
                .hint(format!("known are: {}", known.join(", ")))
        })
    }

    /// How many are asked for: at most a page.
    pub fn limit(&self) -> Result<usize, Problem> {
        let asked: Option<usize> = self.asked_as("limit")?;
        match asked {
            Some(0) => Err(Problem::wrong(format!("`limit` is from 1 to {PAGE_MAX}"))),
            Some(count) => Ok(count.min(PAGE_MAX)),
            None => Ok(PAGE_MAX),
        }
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Problem::wrong(format!("`{name}` must be a text, not {}", other.kind()))),
        }
    }

    /// A text of the body, read as what it is.
    pub fn member<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)?.map(|text| read(name, text)).transpose()
    }

    /// As [`Call::member`], for what has to be there.
    pub fn required<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.member(name)?.ok_or_else(|| Problem::wrong(format!("`{name}` is needed")))
    }

    /// A duration of the body.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let read = |text| parse_duration(text).map_err(|error| Problem::wrong(format!("`{name}`: {error}")));
        self.text(name)?.map(read).transpose()
    }

    /// A truth value of the body; false if absent.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => {
                Err(Problem::wrong(format!("`{name}` must be true or false, not {}", other.kind())))
            }
        }
    }

    /// A list of texts of the body; none if absent.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        let wrong = || Problem::wrong(format!("`{name}` must be a list of texts"));
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong));
                texts.collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// An object of the body.
    pub fn object(&self, name: &str) -> Result<Option<&Object>, Problem> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(Problem::wrong(format!("`{name}` must be an object, not {}", other.kind()))),
        }
    }
}

fn read<T>(name: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| Problem::wrong(format!("`{name}`: {error}")))
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut length = None;
        let (kind, body) = match self {
            Self::Document(object) => ("application/json", Body::from(Value::Object(object).to_bytes())),
            Self::Lines(body) => ("application/x-ndjson", body),
            Self::Events(body) => ("text/event-stream", body),
            Self::Text(kind, text) => (kind, Body::from(text)),
            Self::Bytes(body, bytes) => {
                length = bytes;
                ("application/octet-stream", body)
            }
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
