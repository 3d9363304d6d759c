//! The conversation of a chat request.

use ringfence_json::{Object, Value};

use super::content::{Speaker, blocks, text};
use crate::translate::calls::Calls;
use crate::translate::names::{MESSAGES_NAME_BYTES_MAX, tool_id, tool_name};
use crate::translate::node::{Node, Read, arguments};

/// A conversation as Anthropic has it.
pub(super) struct Conversation {
    /// Blocks of text.
    pub(super) system: Vec<Value>,
    /// Messages of user and assistant in turn.
    // INVARIANT: the first and the last are the user's, roles alternate, each has content, and each `tool_use` has its
    // `tool_result` at the start of the next message; `Turns::add` and `Turns::end` see to it.
    pub(super) messages: Vec<Value>,
}

/// A conversation being put together.
struct Turns<'d> {
    system: Vec<Value>,
    done: Vec<(&'static str, Vec<Value>)>,
    calls: Calls,
    dropped: &'d mut Vec<String>,
}

/// OpenAI, "Create chat completion", `messages`; Anthropic, "Create a message", `messages`, and "Handle tool calls".
pub(super) fn read(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Conversation> {
    request.array("messages")?;
    let messages = request.items("messages")?;
    let mut turns = Turns { system: Vec::new(), done: Vec::new(), calls: Calls::default(), dropped };
    for message in &messages {
        turns.add(message)?;
    }
    turns.end(request)
}

// === impl Turns ===

impl Turns<'_> {
    fn add(&mut self, message: &Node<'_>) -> Read<()> {
        if message.get("name").is_some() {
            message.text("name")?;
            self.dropped.push(message.at.member("name").path());
        }
        match message.text("role")? {
            "system" | "developer" => self.system(message),
            "user" => self.user(message),
            "assistant" => self.assistant(message),
            "tool" => self.tool(message),
            "function" => Err(message.fault("role", "is the deprecated form of `tool`")),
            _ => Err(message.fault("role", "must be one of: system, developer, user, assistant, tool")),
        }
    }

    fn system(&mut self, message: &Node<'_>) -> Read<()> {
        message.only(&["role", "content", "name"])?;
        if !self.done.is_empty() {
            self.dropped.push(message.at.path());
        }
        self.system.extend(blocks(message, Speaker::System, self.dropped)?);
        Ok(())
    }

    fn user(&mut self, message: &Node<'_>) -> Read<()> {
        message.only(&["role", "content", "name"])?;
        self.answered()?;
        let said = blocks(message, Speaker::User, self.dropped)?;
        self.push("user", said);
        Ok(())
    }

    fn assistant(&mut self, message: &Node<'_>) -> Read<()> {
        const OTHER: &str = "is another provider's and cannot be sent to this model's: leave it out";
        for name in ["audio", "function_call"] {
            if message.get(name).is_some() {
                return Err(message.fault(name, OTHER));
            }
        }
        message.only(&[
            "role",
            "content",
            "name",
            "refusal",
            "tool_calls",
            "reasoning_content",
            "annotations",
            "parsed",
        ])?;
        self.answered()?;
        // Thoughts count at Anthropic only with its signature, annotations are about the text, and the rest is the text again.
        for name in ["reasoning_content", "annotations", "parsed"] {
            if message.get(name).is_some() {
                self.dropped.push(message.at.member(name).path());
            }
        }
        let mut said = blocks(message, Speaker::Assistant, self.dropped)?;
        if let Some(refusal) = message.optional_text("refusal")? {
            text(refusal, &message.at.member("refusal"), &mut said, self.dropped);
        }
        for call in message.items("tool_calls")? {
            said.push(self.call(&call)?.into());
        }
        self.push("assistant", said);
        Ok(())
    }

    fn call(&mut self, call: &Node<'_>) -> Read<Object> {
        if call.optional_text("type")?.is_some_and(|kind| kind != "function") {
            return Err(call.fault("type", "must be `function`"));
        }
        call.only(&["id", "type", "function", "index"])?;
        let id = tool_id(call.text("id")?, &call.at.member("id"))?;
        self.calls.begin(&id, &call.at)?;
        let function = call.child("function")?;
        // The last is what a client read out of the arguments.
        function.only(&["name", "arguments", "parsed_arguments"])?;
        let name = tool_name(function.text("name")?, MESSAGES_NAME_BYTES_MAX, &function.at.member("name"))?;
        let input = arguments(function.text("arguments")?, &function.at.member("arguments"))?;
        Ok(Object::new().with("type", "tool_use").with("id", id).with("name", name).with("input", input))
    }

    fn tool(&mut self, message: &Node<'_>) -> Read<()> {
        message.only(&["role", "content", "name", "tool_call_id"])?;
        let at = message.at.member("tool_call_id");
        let id = tool_id(message.text("tool_call_id")?, &at)?;
        self.calls.end(&id, &at)?;
        let content = blocks(message, Speaker::Tool, self.dropped)?;
        let result = Object::new().with("type", "tool_result").with("tool_use_id", id);
        let result = result.with_some("content", (!content.is_empty()).then_some(content));
        self.push("user", vec![result.into()]);
        Ok(())
    }

    fn answered(&self) -> Read<()> {
        self.calls.answered("has no result: a message of role `tool` must follow for each call")
    }

    /// Adds to the turn of that role, if it is its turn, or begins one.
    fn push(&mut self, role: &'static str, blocks: Vec<Value>) {
        match self.done.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, so_far)) if *last == role => so_far.extend(blocks),
            _ => self.done.push((role, blocks)),
        }
    }

    fn end(self, request: &Node<'_>) -> Read<Conversation> {
        const FIRST: &str = "must begin with a user message for this model's provider, after system messages";
        const LAST: &str = "must end with a user or tool message: this model's provider would go on within the last \
                            assistant message instead of answering it";
        self.answered()?;
        let fault = |message: &str| Err(request.fault("messages", message));
        match (self.done.first(), self.done.last()) {
            (None, _) | (_, None) => return fault("must hold a user message that says something"),
            (Some(("assistant", _)), _) => return fault(FIRST),
            (_, Some(("assistant", _))) => return fault(LAST),
            _ => {}
        }
        let message = |(role, blocks): (&str, Vec<Value>)| {
            Value::from(Object::new().with("role", role).with("content", blocks))
        };
        Ok(Conversation { system: self.system, messages: self.done.into_iter().map(message).collect() })
    }
}
