//! An agent that asks a model, as any OpenAI client does.

use ringfence_json::{Object, Value};

use super::message::{MessageError, Way, post};

/// The model it asks.
const MODEL: &str = "planner";

/// Tokens that an answer may have.
const LIMIT: u64 = 1_000;

/// A conversation.
pub struct Chat<'w> {
    way: &'w Way,
    messages: Vec<Value>,
}

/// What the model, or Ringfence in its place, answered.
pub struct Said {
    body: Object,
}

// === impl Chat ===

impl<'w> Chat<'w> {
    /// One that begins with what a user says.
    pub fn new(way: &'w Way, says: &str) -> Self {
        Self { way, messages: vec![Object::new().with("role", "user").with("content", says).into()] }
    }

    /// A tool answers the call that the model asked for last.
    pub fn tool(&mut self, said: &Said, result: &str) {
        let Some((id, call)) = said.tool_call() else { return };
        let asked = Object::new()
            .with("role", "assistant")
            .with("content", Value::Null)
            .with("tool_calls", vec![call.clone()]);
        let answered = Object::new().with("role", "tool").with("tool_call_id", id).with("content", result);
        self.messages.extend([asked.into(), answered.into()]);
    }

    /// Asks the model to go on.
    pub async fn ask(&self) -> Result<Said, MessageError> {
        let tool = Object::new()
            .with("type", "function")
            .with("function", Object::new().with("name", "query").with("parameters", Object::new()));
        let request = Object::new()
            .with("model", MODEL)
            .with("max_tokens", LIMIT)
            .with("messages", self.messages.clone())
            .with("tools", vec![Value::from(tool)]);
        let body = post(self.way, "/openai/v1/chat/completions", &[], &request).await?;
        Ok(Said { body })
    }
}

// === impl Said ===

impl Said {
    /// Why there is no answer, in a word for programs.
    pub fn refusal(&self) -> Option<&str> {
        self.body.get("error")?.get("code")?.as_str()
    }

    /// The whole of it, for a step that did not go as told.
    pub fn text(&self) -> String {
        String::from_utf8(Value::from(self.body.clone()).to_bytes()).unwrap_or_default()
    }

    fn tool_call(&self) -> Option<(&str, &Value)> {
        let call = self.body.get("choices")?.pointer("/0/message/tool_calls/0")?;
        Some((call.get("id")?.as_str()?, call))
    }
}
