//! A stream that the gateway ends.

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_types::Code;

use super::meter::Meter;
use crate::Api;
use crate::error::{event_data, refusal_body};
use crate::events::event;

impl Meter {
    /// The last event of a stream that the gateway ends early, because money is spent, something is suspended or the
    /// provider broke off: an error as the API has it within a stream. It may follow any whole event; nothing may follow
    /// it.
    ///
    /// The official libraries raise an `APIError` with the message for each of them (openai 3.54 for Python and 6.49 for
    /// JavaScript: data with an `error` member; anthropic 2.12 and 1.12: an event named `error`). There is no `[DONE]`
    /// after it: a client that does not know such an error must not take what it has for all there is.
    pub fn end_early(&self, code: Code, message: &str, decision: Option<&Object>) -> Bytes {
        let body = refusal_body(self.api.family(), code, message, decision);
        match self.api {
            Api::Responses => {
                let data = event_data(&body, self.next_number);
                event(Some("error"), &Value::Object(data).to_bytes())
            }
            Api::Messages | Api::CountTokens => event(Some("error"), &Value::Object(body).to_bytes()),
            Api::Chat | Api::Embeddings => event(None, &Value::Object(body).to_bytes()),
        }
    }
}
