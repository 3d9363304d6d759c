//! An agent that asks a model, as any OpenAI client does.

use std::net::SocketAddr;

use ringfence_json::{Object, Value};

use super::message::{MessageError, post};

/// An agent with a run token and a conversation.
pub struct Chat {
    gateway: SocketAddr,
    token: String,
    model: &'static str,
    messages: Vec<Value>,
}

/// What the model, or Ringfence in its place, answered.
pub struct Said {
    body: Object,
}

// === impl Chat ===

impl Chat {
    pub fn new(gateway: SocketAddr, token: String, model: &'static str) -> Self {
        Self { gateway, token, model, messages: Vec::new() }
    }

    /// The user says something.
    pub fn user(&mut self, text: &str) {
        self.messages.push(Object::new().with("role", "user").with("content", text).into());
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

    /// Asks the model to go on. `limit`: tokens that the answer may have.
    pub async fn ask(&self, limit: u64) -> Result<Said, MessageError> {
        let tool = Object::new()
            .with("type", "function")
            .with("function", Object::new().with("name", "query").with("parameters", Object::new()));
        let request = Object::new()
            .with("model", self.model)
            .with("max_tokens", limit)
            .with("messages", self.messages.clone())
            .with("tools", vec![Value::from(tool)]);
        let authorization = format!("Bearer {}", self.token);
        let headers = [("authorization", authorization.as_str())];
        let body = post(self.gateway, "/openai/v1/chat/completions", &headers, &request).await?;
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
