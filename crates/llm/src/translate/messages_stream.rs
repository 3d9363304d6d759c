//! A stream of OpenAI's Chat Completions as one of Anthropic's Messages.

use ringfence_json::{Limits, Object, Value, parse};
use smol_str::SmolStr;

use super::Malformed;
use super::answer_to_messages::start;
use super::errors::{messages_error, messages_type_in_stream};
use super::names::tool_id;
use super::node::{At, Node, Read};
use super::sse::{DONE, event};
use super::stop::stop_reason;
use super::usage::Counts;
use crate::Family;

/// Turns the chunks of a stream of OpenAI's ("Streaming events") into the events of one of Anthropic's ("Streaming
/// messages"), each as a server-sent event. It holds no content, only where the stream is.
///
/// A block is opened by the first piece of its kind and closed by the first of another, so calls of tools must come one after
/// the other, as OpenAI sends them. Usage comes after the last piece there, so `message_start` counts 0 and `message_delta`
/// gives the totals. `reasoning_content` is left out, as in a whole answer.
pub struct MessagesStream {
    model: String,
    place: Place,
    /// The index of the open block, or of the next one.
    block: u64,
    counts: Counts,
    /// The newest call: its index in the chunks, and its id.
    call: Option<(u64, SmolStr)>,
    refused: bool,
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first chunk.
    Start,
    /// Between blocks.
    Between,
    /// Inside a block of text.
    Text,
    /// Inside the block of the newest call.
    Call,
    /// After a finish reason, the stop reason it came to.
    Finished(&'static str),
    /// After the end, or an error.
    Ended,
}

// === impl MessagesStream ===

impl MessagesStream {
    /// A stream not begun. `model` is the name the client asked for.
    pub fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            place: Place::Start,
            block: 0,
            counts: Counts::default(),
            call: None,
            refused: false,
        }
    }

    /// Takes the data of one event, `[DONE]` included, and appends what it comes to, if anything. After a fault the stream
    /// is of no use.
    ///
    /// # Errors
    /// When the chunk is not one that can stand here.
    pub fn chunk(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let at = At::root(Family::OpenAi);
        if chunk.trim_ascii() == DONE {
            return self.end(out);
        }
        let value =
            parse(chunk, &Limits::default()).map_err(|error| at.fault(format!("is not JSON: {error}")))?;
        Ok(self.read(&at.object(&value)?, out)?)
    }

    /// Whether the last event has been given.
    pub fn is_ended(&self) -> bool {
        self.place == Place::Ended
    }

    /// To be called when the provider has closed the stream; `[DONE]` does the same. Appends the last events.
    ///
    /// # Errors
    /// When no finish reason has come: the answer is cut off.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.place {
            Place::Ended => Ok(()),
            Place::Finished(reason) => {
                let delta = Object::new().with("stop_reason", reason).with("stop_sequence", Value::Null);
                let members = Object::new().with("delta", delta).with("usage", self.counts.to_messages());
                event("message_delta", members, out);
                event("message_stop", Object::new(), out);
                self.place = Place::Ended;
                Ok(())
            }
            _ => Err(At::root(Family::OpenAi).fault("ends before a finish reason").into()),
        }
    }

    fn read(&mut self, chunk: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        if self.place == Place::Ended {
            return Err(chunk.at.fault("goes on after its end"));
        }
        if let Some(error) = chunk.optional_child("error")? {
            let message = error.optional_text("message")?.unwrap_or_default();
            let kind = messages_type_in_stream(error.object);
            // `event` writes the type, which here is also a member of the body.
            event("error", messages_error(kind, message), out);
            self.place = Place::Ended;
            return Ok(());
        }
        if let Some(usage) = chunk.optional_child("usage")? {
            self.counts = Counts::of_chat(&usage)?;
        }
        chunk.array("choices")?;
        match &chunk.items("choices")?[..] {
            // Usage at the end; some servers begin with such a chunk, too, which has another id.
            [] => Ok(()),
            [choice] => {
                self.start(chunk, out)?;
                self.choice(choice, out)
            }
            _ => Err(chunk.fault("choices", "must hold one choice")),
        }
    }

    fn start(&mut self, chunk: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        if self.place == Place::Start {
            let message = start(chunk.text("id")?, &self.model, Vec::new(), self.counts);
            event("message_start", Object::new().with("message", message), out);
            self.place = Place::Between;
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        if choice.count("index")?.unwrap_or(0) != 0 {
            return Err(choice.fault("index", "is of an answer nobody asked for"));
        }
        if let Some(delta) = choice.optional_child("delta")? {
            self.delta(&delta, out)?;
        }
        let Some(reason) = choice.optional_text("finish_reason")? else {
            return Ok(());
        };
        if matches!(self.place, Place::Finished(_)) {
            return Err(choice.fault("finish_reason", "comes twice"));
        }
        let reason = stop_reason(reason, self.call.is_some(), self.refused);
        let reason = reason.ok_or_else(|| choice.fault("finish_reason", "is not known"))?;
        self.close(out);
        self.place = Place::Finished(reason);
        Ok(())
    }

    fn delta(&mut self, delta: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        for name in ["audio", "function_call"] {
            if delta.get(name).is_some() {
                return Err(delta.fault(name, "is nothing anybody asked for"));
            }
        }
        for name in ["content", "refusal"] {
            if let Some(text) = delta.optional_text(name)?.filter(|text| !text.is_empty()) {
                self.going_on(delta, name)?;
                self.refused |= name == "refusal";
                self.text(text, out);
            }
        }
        for call in delta.items("tool_calls")? {
            self.going_on(delta, "tool_calls")?;
            self.call(&call, out)?;
        }
        Ok(())
    }

    fn going_on(&self, delta: &Node<'_>, name: &str) -> Read<()> {
        match self.place {
            Place::Finished(_) => Err(delta.fault(name, "comes after the finish reason")),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.place != Place::Text {
            self.open(Object::new().with("type", "text").with("text", ""), Place::Text, out);
        }
        self.piece(Object::new().with("type", "text_delta").with("text", text), out);
    }

    fn call(&mut self, call: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        let Some(index) = call.count("index")? else {
            return Err(call.fault("index", "is missing"));
        };
        let function = call.optional_child("function")?;
        let piece = match &function {
            Some(function) => function.optional_text("arguments")?.unwrap_or_default(),
            None => "",
        };
        let newest = self.call.as_ref().map(|(newest, _)| *newest);
        if newest.is_none_or(|newest| index > newest) {
            let Some(function) = function else {
                return Err(call.fault("function", "is missing"));
            };
            self.call_start(index, call, &function, out)?;
        } else {
            self.same_call(index, call)?;
        }
        if piece.is_empty() {
            return Ok(());
        }
        if self.place != Place::Call || newest.is_some_and(|newest| index < newest) {
            return Err(call.fault("index", "is of a call that is over: calls must come one after the other"));
        }
        self.piece(Object::new().with("type", "input_json_delta").with("partial_json", piece), out);
        Ok(())
    }

    fn call_start(
        &mut self,
        index: u64,
        call: &Node<'_>,
        function: &Node<'_>,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        if call.optional_text("type")?.is_some_and(|kind| kind != "function") {
            return Err(call.fault("type", "is no call of a function"));
        }
        let id = tool_id(call.text("id")?, &call.at.member("id"))?;
        let name = function.text("name")?;
        if name.is_empty() {
            return Err(function.fault("name", "must not be empty"));
        }
        let block = Object::new()
            .with("type", "tool_use")
            .with("id", id.clone())
            .with("name", name)
            .with("input", Object::new());
        self.open(block, Place::Call, out);
        self.call = Some((index, id));
        Ok(())
    }

    /// Some servers say the id with each piece; another one would be another call.
    fn same_call(&self, index: u64, call: &Node<'_>) -> Read<()> {
        let Some(id) = call.optional_text("id")?.filter(|id| !id.is_empty()) else {
            return Ok(());
        };
        let id = tool_id(id, &call.at.member("id"))?;
        match &self.call {
            Some((newest, known)) if *newest == index && *known != id => {
                Err(call.fault("id", "is not that of the call with this index"))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, block: Object, place: Place, out: &mut Vec<u8>) {
        self.close(out);
        let members = Object::new().with("index", self.block).with("content_block", block);
        event("content_block_start", members, out);
        self.place = place;
    }

    fn piece(&self, delta: Object, out: &mut Vec<u8>) {
        event("content_block_delta", Object::new().with("index", self.block).with("delta", delta), out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if matches!(self.place, Place::Text | Place::Call) {
            event("content_block_stop", Object::new().with("index", self.block), out);
            self.block = self.block.saturating_add(1);
            self.place = Place::Between;
        }
    }
}
