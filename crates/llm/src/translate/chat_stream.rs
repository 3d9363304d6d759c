//! A stream of Anthropic's Messages as one of OpenAI's Chat Completions.

use ringfence_json::{Limits, Object, Value, parse};

use super::Malformed;
use super::answer_to_chat::refusal;
use super::errors::chat_error;
use super::fault::Fault;
use super::node::{At, Node, Read};
use super::sse::{data, done};
use super::stop::finish_reason;
use super::usage::Counts;
use crate::Family;

/// Bytes of the id of an answer, which stands in every chunk. Anthropic's have about 30.
const ID_BYTES_MAX: usize = 256;

/// Turns the events of a stream of Anthropic's ("Streaming messages") into the chunks of one of OpenAI's ("Streaming
/// events"), each as a server-sent event. It holds no content, only where the stream is.
///
/// `reasoning_content` carries thoughts, as in a whole answer. `ping`, signatures, citations and kinds of events that are not
/// known are left out; kinds of blocks and of pieces that are not known are faults, since they would be content lost.
pub struct ChatStream {
    created: u64,
    model: String,
    include_usage: bool,
    id: String,
    place: Place,
    counts: Counts,
    /// How many calls of tools have begun.
    calls: u64,
    /// The index of the next block.
    next_block: u64,
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before `message_start`.
    Start,
    /// Between blocks.
    Between,
    /// Inside a block.
    Inside(Block),
    /// After `message_delta` gave a stop reason.
    Stopped,
    /// After `message_stop`, or an error.
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    /// Encrypted thoughts: there is nothing to tell.
    Redacted,
    /// A call, and whether any of its arguments have come.
    Call {
        begun: bool,
    },
}

// === impl ChatStream ===

impl ChatStream {
    /// A stream not begun. `created` is in seconds since 1970, `model` is the name the client asked for, and
    /// `include_usage` is its `stream_options.include_usage`.
    pub fn new(created: u64, model: &str, include_usage: bool) -> Self {
        Self {
            created,
            model: model.to_owned(),
            include_usage,
            id: String::new(),
            place: Place::Start,
            counts: Counts::default(),
            calls: 0,
            next_block: 0,
        }
    }

    /// Takes one event, by its name (empty where the stream gave none) and its data, and appends what it comes to, if
    /// anything. After a fault the stream is of no use.
    ///
    /// # Errors
    /// When the event is not one that can stand here.
    pub fn event(&mut self, name: &str, event: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let at = At::root(Family::Anthropic);
        let value =
            parse(event, &Limits::default()).map_err(|error| at.fault(format!("is not JSON: {error}")))?;
        Ok(self.read(name, &at.object(&value)?, out)?)
    }

    /// Whether the last event has come: `message_stop`, or an error.
    pub fn is_ended(&self) -> bool {
        self.place == Place::Ended
    }

    /// To be called when the provider has closed the stream.
    ///
    /// # Errors
    /// When the last event has not come: the answer is cut off.
    pub fn end(&self) -> Result<(), Malformed> {
        match self.place {
            Place::Ended => Ok(()),
            _ => Err(At::root(Family::Anthropic).fault("ends before `message_stop`").into()),
        }
    }

    fn read(&mut self, name: &str, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        let kind = event.text("type")?;
        if !name.is_empty() && name != kind {
            return Err(event.fault("type", "is not what the event is named"));
        }
        match (kind, self.place) {
            (_, Place::Ended) => Err(event.at.fault("goes on after its end")),
            ("error", _) => self.error(event, out),
            ("message_start", Place::Start) => self.start(event, out),
            ("content_block_start", Place::Between) => self.block_start(event, out),
            ("content_block_delta", Place::Inside(block)) => self.block_delta(block, event, out),
            ("content_block_stop", Place::Inside(block)) => self.block_stop(block, event, out),
            ("message_delta", Place::Between | Place::Stopped) => self.message_delta(event, out),
            ("message_stop", Place::Stopped) => {
                self.stop(out);
                Ok(())
            }
            ("message_start" | "message_delta" | "message_stop", _) => Err(misplaced(event)),
            (kind, _) if kind.starts_with("content_block_") => Err(misplaced(event)),
            // New kinds of events may come at any time and are to be ignored ("Streaming messages", "Other events").
            _ => Ok(()),
        }
    }

    fn start(&mut self, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        let message = event.child("message")?;
        let id = message.text("id")?;
        if id.len() > ID_BYTES_MAX {
            return Err(message.fault("id", "is too long to be said with every chunk"));
        }
        id.clone_into(&mut self.id);
        // Some compatible servers do not send it; what the stream costs is counted elsewhere.
        if let Some(usage) = message.optional_child("usage")? {
            self.counts.read_messages(&usage)?;
        }
        self.place = Place::Between;
        self.delta(Object::new().with("role", "assistant").with("content", ""), out);
        Ok(())
    }

    fn block_start(&mut self, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        if event.count("index")? != Some(self.next_block) {
            return Err(event.fault("index", "is not the next one"));
        }
        let block = event.child("content_block")?;
        self.place = Place::Inside(match block.text("type")? {
            "text" => {
                self.text("content", block.optional_text("text")?, out);
                Block::Text
            }
            "thinking" => {
                self.text("reasoning_content", block.optional_text("thinking")?, out);
                Block::Thinking
            }
            "redacted_thinking" => Block::Redacted,
            "tool_use" => self.call_start(&block, out)?,
            _ => return Err(block.fault("type", "is not known, or of a tool nobody asked for")),
        });
        Ok(())
    }

    /// A call begins with its name; its arguments come in pieces, or were whole at once.
    fn call_start(&mut self, block: &Node<'_>, out: &mut Vec<u8>) -> Read<Block> {
        let input =
            block.optional_child("input")?.map(|input| input.object).filter(|input| !input.is_empty());
        let arguments = input.map_or_else(String::new, |input| Value::from(input.clone()).to_string());
        let begun = !arguments.is_empty();
        let function = Object::new().with("name", block.text("name")?).with("arguments", arguments);
        let call = Object::new()
            .with("index", self.calls)
            .with("id", block.text("id")?)
            .with("type", "function")
            .with("function", function);
        self.delta(Object::new().with("tool_calls", vec![call]), out);
        self.calls += 1;
        Ok(Block::Call { begun })
    }

    fn block_delta(&mut self, block: Block, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        self.same_block(event)?;
        let delta = event.child("delta")?;
        match (delta.text("type")?, block) {
            ("text_delta", Block::Text) => self.text("content", Some(delta.text("text")?), out),
            ("thinking_delta", Block::Thinking) => {
                self.text("reasoning_content", Some(delta.text("thinking")?), out);
            }
            ("input_json_delta", Block::Call { begun }) => {
                let piece = delta.text("partial_json")?;
                if !piece.is_empty() {
                    self.arguments(piece, out);
                }
                self.place = Place::Inside(Block::Call { begun: begun || !piece.is_empty() });
            }
            ("signature_delta", Block::Thinking) | ("citations_delta", Block::Text) => {}
            _ => return Err(delta.fault("type", "is no piece of this block")),
        }
        Ok(())
    }

    fn block_stop(&mut self, block: Block, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        self.same_block(event)?;
        if block == (Block::Call { begun: false }) {
            self.arguments("{}", out);
        }
        self.next_block = self.next_block.saturating_add(1);
        self.place = Place::Between;
        Ok(())
    }

    fn same_block(&self, event: &Node<'_>) -> Read<()> {
        match event.count("index")? {
            Some(index) if index == self.next_block => Ok(()),
            _ => Err(event.fault("index", "is not that of the open block")),
        }
    }

    fn message_delta(&mut self, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        if let Some(usage) = event.optional_child("usage")? {
            self.counts.read_messages(&usage)?;
        }
        let delta = event.child("delta")?;
        let Some(reason) = delta.optional_text("stop_reason")? else {
            return Ok(());
        };
        if self.place == Place::Stopped {
            return Err(delta.fault("stop_reason", "comes twice"));
        }
        let reason = finish_reason(reason).ok_or_else(|| delta.fault("stop_reason", "is not known"))?;
        let refusal = refusal(&delta)?.map(|refusal| Object::new().with("refusal", refusal));
        self.choice(refusal.unwrap_or_default(), reason.into(), out);
        self.place = Place::Stopped;
        Ok(())
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        if self.include_usage {
            let chunk = self.chunk().with("choices", Vec::<Value>::new());
            data(chunk.with("usage", self.counts.to_chat()), out);
        }
        done(out);
        self.place = Place::Ended;
    }

    /// An error ends the stream; OpenAI's SDKs raise it.
    fn error(&mut self, event: &Node<'_>, out: &mut Vec<u8>) -> Read<()> {
        let error = event.child("error")?;
        data(chat_error(error.text("type")?, error.optional_text("message")?.unwrap_or_default()), out);
        self.place = Place::Ended;
        Ok(())
    }

    fn text(&self, member: &str, text: Option<&str>, out: &mut Vec<u8>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.delta(Object::new().with(member, text), out);
        }
    }

    fn arguments(&self, piece: &str, out: &mut Vec<u8>) {
        let call = Object::new()
            .with("index", self.calls.saturating_sub(1))
            .with("function", Object::new().with("arguments", piece));
        self.delta(Object::new().with("tool_calls", vec![call]), out);
    }

    fn delta(&self, delta: Object, out: &mut Vec<u8>) {
        self.choice(delta, Value::Null, out);
    }

    fn choice(&self, delta: Object, finish_reason: Value, out: &mut Vec<u8>) {
        let choice = Object::new()
            .with("index", 0_u64)
            .with("delta", delta)
            .with("logprobs", Value::Null)
            .with("finish_reason", finish_reason);
        let chunk = self.chunk().with("choices", vec![choice]);
        // OpenAI sends `null` in all chunks but the last when usage was asked for.
        data(if self.include_usage { chunk.with("usage", Value::Null) } else { chunk }, out);
    }

    fn chunk(&self) -> Object {
        Object::new()
            .with("id", self.id.as_str())
            .with("object", "chat.completion.chunk")
            .with("created", self.created)
            .with("model", self.model.as_str())
    }
}

fn misplaced(event: &Node<'_>) -> Fault {
    event.fault("type", "is no event that can stand here")
}
