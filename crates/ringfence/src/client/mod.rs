//! The command line's side of the operators' API.

mod address;
mod answer;
mod wire;

use http::Method;
use ringfence_json::{Object, Value};

pub use address::{Address, data_folder};
pub use answer::{Download, Lines};
pub use wire::Secret;

use crate::failure::Failure;

/// A node, seen from the command line. Each request has a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    token: Option<Secret>,
}

// === impl Client ===

impl Client {
    /// A client of the node at `address`.
    pub fn new(address: Address, token: Option<Secret>) -> Self {
        Self { address, token }
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// When the node cannot be reached, or says no.
    pub async fn get(&self, path: &str) -> Result<Object, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        answer::object(answer).await
    }

    /// Asks for text that is not JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_text(&self, path: &str) -> Result<String, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        answer::text(answer).await
    }

    /// Asks for JSON lines, as they come.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        answer::lines(answer).await
    }

    /// Asks for bytes, as they come.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn bytes(&self, path: &str) -> Result<Download, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        answer::download(answer).await
    }

    /// Tells the node to do something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: Object) -> Result<Object, Failure> {
        let answer = self.send(Method::POST, path, Some(Value::Object(body).to_bytes())).await?;
        answer::object(answer).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<http::Response<hyper::body::Incoming>, Failure> {
        wire::send(&self.address, self.token.as_ref(), method, path, body).await
    }
}

/// A path with a query, values percent-encoded (RFC 3986 §2.1), parts without a value left out.
pub fn with_query(path: &str, parts: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in parts {
        if let Some(value) = value {
            text.push(separator);
            text.push_str(name);
            text.push('=');
            text.push_str(&encoded(value));
            separator = '&';
        }
    }
    text
}

/// One path segment or query value, percent-encoded.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_leave_out_what_was_not_given() {
        let path = with_query("/x", &[("a", None), ("b", Some("1 &")), ("c", Some("ä"))]);
        assert_eq!(path, "/x?b=1%20%26&c=%C3%A4");
    }
}
