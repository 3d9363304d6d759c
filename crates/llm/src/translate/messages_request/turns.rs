//! The conversation of a messages request.

use ringfence_json::{Object, Value};

use super::content::{Content, as_content, content, document, image, left_out, text, text_block};
use super::results::tool_result;
use crate::translate::calls::Calls;
use crate::translate::names::{CHAT_NAME_BYTES_MAX, tool_id, tool_name};
use crate::translate::node::{Node, Read};

/// Whose messages are being put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

/// A conversation being put together. Messages of one role in a row are one turn, as Anthropic reads them.
#[derive(Default)]
struct Turns {
    // INVARIANT: each call has its tool message directly after the assistant message that made it; `flush` sees to it.
    done: Vec<Value>,
    role: Option<Role>,
    /// Of the user's turn: tool messages.
    results: Vec<Value>,
    /// Of either turn: parts.
    parts: Vec<Value>,
    /// Of the assistant's turn: calls of tools.
    tool_calls: Vec<Value>,
    calls: Calls,
}

/// Anthropic, "Create a message", `system` and `messages`; OpenAI, "Create chat completion", `messages`.
pub(super) fn read(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Vec<Value>> {
    const LAST: &str =
        "must end with a user message: this model's provider cannot go on within an assistant message";
    let mut turns = Turns::default();
    turns.system(request, "system", dropped)?;
    request.array("messages")?;
    for message in request.items("messages")? {
        turns.add(&message, dropped)?;
    }
    match turns.role {
        Some(Role::User) => turns.flush()?,
        Some(Role::Assistant) => return Err(request.fault("messages", LAST)),
        None => return Err(request.fault("messages", "must hold a user message")),
    }
    Ok(turns.done)
}

// === impl Turns ===

impl Turns {
    fn add(&mut self, message: &Node<'_>, dropped: &mut Vec<String>) -> Read<()> {
        message.only(&["role", "content"])?;
        let role = match message.text("role")? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => {
                // It does not end the turn: what follows may still be the user's, who has the last word.
                self.flush()?;
                self.answered()?;
                return self.system(message, "content", dropped);
            }
            _ => return Err(message.fault("role", "must be one of: user, assistant, system")),
        };
        if self.role != Some(role) {
            self.flush()?;
            self.role = Some(role);
        }
        match content(message)? {
            None => return Err(message.fault("content", "is missing")),
            Some(Content::Text(said)) => self.parts.push(text(said)),
            Some(Content::Blocks(blocks)) if blocks.is_empty() => {
                return Err(message.fault("content", "must hold a block"));
            }
            Some(Content::Blocks(blocks)) => {
                for block in blocks {
                    match role {
                        Role::User => self.user(&block, dropped)?,
                        Role::Assistant => self.assistant(&block, dropped)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// A text or blocks of text as one system message.
    fn system(&mut self, of: &Node<'_>, name: &str, dropped: &mut Vec<String>) -> Read<()> {
        let said = match of.get(name) {
            None => return Ok(()),
            Some(Value::String(said)) => Value::from(said.clone()),
            Some(_) => {
                let mut parts = Vec::new();
                for block in of.items(name)? {
                    if block.text("type")? != "text" {
                        return Err(block.fault("type", "must be `text` in a system prompt"));
                    }
                    parts.push(text_block(&block, dropped)?);
                }
                if parts.is_empty() {
                    return Ok(());
                }
                as_content(parts)
            }
        };
        self.done.push(Object::new().with("role", "system").with("content", said).into());
        Ok(())
    }

    fn user(&mut self, block: &Node<'_>, dropped: &mut Vec<String>) -> Read<()> {
        match block.text("type")? {
            "text" => self.parts.push(text_block(block, dropped)?),
            "image" => self.parts.push(image(block, dropped)?),
            "document" => self.parts.extend(document(block, dropped)?),
            "tool_result" => {
                let result = tool_result(block, dropped)?;
                self.calls.end(&result.id, &block.at.member("tool_use_id"))?;
                self.results.push(result.message);
                self.parts.extend(result.beside);
            }
            _ => return Err(block.fault("type", "cannot be translated in a user message")),
        }
        Ok(())
    }

    fn assistant(&mut self, block: &Node<'_>, dropped: &mut Vec<String>) -> Read<()> {
        match block.text("type")? {
            "text" => self.parts.push(text_block(block, dropped)?),
            "thinking" | "redacted_thinking" => dropped.push(block.at.path()),
            "tool_use" => {
                let call = self.call(block, dropped)?;
                self.tool_calls.push(call.into());
            }
            _ => {
                let message =
                    "is of a tool that another provider hosts, or not known: it cannot be translated";
                return Err(block.fault("type", message));
            }
        }
        Ok(())
    }

    fn call(&mut self, block: &Node<'_>, dropped: &mut Vec<String>) -> Read<Object> {
        block.only(&["type", "id", "name", "input", "cache_control", "caller"])?;
        left_out(block, &["cache_control"], dropped);
        if let Some(caller) = block.optional_child("caller")?
            && caller.text("type")? != "direct"
        {
            return Err(block.fault("caller", "only `direct` calls can be translated"));
        }
        let id = tool_id(block.text("id")?, &block.at.member("id"))?;
        self.calls.begin(&id, &block.at)?;
        let name = tool_name(block.text("name")?, CHAT_NAME_BYTES_MAX, &block.at.member("name"))?;
        let arguments = Value::from(block.child("input")?.object.clone()).to_string();
        let function = Object::new().with("name", name).with("arguments", arguments);
        Ok(Object::new().with("id", id).with("type", "function").with("function", function))
    }

    fn answered(&self) -> Read<()> {
        self.calls.answered("has no `tool_result` in the next message")
    }

    /// Ends a turn.
    fn flush(&mut self) -> Read<()> {
        let parts = std::mem::take(&mut self.parts);
        let calls = std::mem::take(&mut self.tool_calls);
        match self.role {
            None => {}
            Some(Role::User) => {
                self.answered()?;
                self.done.append(&mut self.results);
                if !parts.is_empty() {
                    self.done
                        .push(Object::new().with("role", "user").with("content", as_content(parts)).into());
                }
            }
            Some(Role::Assistant) if parts.is_empty() && calls.is_empty() => {}
            Some(Role::Assistant) => {
                let content = if parts.is_empty() { Value::Null } else { as_content(parts) };
                let message = Object::new().with("role", "assistant").with("content", content);
                let calls = (!calls.is_empty()).then_some(calls);
                self.done.push(message.with_some("tool_calls", calls).into());
            }
        }
        Ok(())
    }
}
