//! Counts a stream while it passes.

use bytes::Bytes;
use ringfence_json::{Limits, Object, ParseError, Value, parse};
use smol_str::SmolStr;

use super::hosted::{self, Uses};
use super::output::{Output, Part};
use super::usage::{Anthropic, Reading, is_too_little};
use super::{Counted, Failed};
use crate::Api;
use crate::error::redact;
use crate::events::{Event, event};
use crate::tokens::Tokenizer;

/// Reads the events of one stream.
#[derive(Debug)]
pub struct Meter {
    pub(super) api: Api,
    tokenizer: Tokenizer,
    /// The client did not ask for the usage that the provider was asked for.
    pub(super) hide_usage: bool,
    pub(super) output: Output,
    /// OpenAI's usage.
    reading: Option<Reading>,
    /// Anthropic's, which comes in parts.
    pub(super) stated: Option<Anthropic>,
    pub(super) tier: Option<SmolStr>,
    pub(super) hosted: Uses,
    pub(super) finish: Option<SmolStr>,
    pub(super) finished: bool,
    /// The model has begun something that is not shown while it is written.
    pub(super) begun: bool,
    /// The end of Anthropic's message has been stated, and with it how much was written.
    pub(super) is_output_final: bool,
    pub(super) failed: Option<Failed>,
    pub(super) doubtful: bool,
    pub(super) repeated: bool,
    /// The number that the next event of a Responses stream has.
    pub(super) next_number: u64,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pass {
    /// Its bytes go on as they came.
    AsIs,
    /// These bytes go on in their place.
    Instead(Bytes),
    /// Nothing goes on.
    Hidden,
}

/// An event that no client could read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    /// Not JSON.
    #[error("an event of the stream is not JSON: {0}")]
    NotJson(ParseError),
    /// JSON, but nothing that an API sends.
    #[error("an event of the stream is not a JSON object")]
    NotAnObject,
}

/// Events are bounded where they are read; an image in one piece may be large.
const LIMITS: Limits = Limits { bytes: 256 << 20, depth: 64, values: 250_000, number_bytes: 256 };

// === impl Meter ===

impl Meter {
    /// For one stream. With `hide_usage`, a usage that the client did not ask for is kept from it.
    pub fn new(api: Api, tokenizer: Tokenizer, hide_usage: bool) -> Self {
        Self {
            api,
            tokenizer,
            hide_usage,
            output: Output::default(),
            reading: None,
            stated: None,
            tier: None,
            hosted: Uses::new(),
            finish: None,
            finished: false,
            begun: false,
            is_output_final: false,
            failed: None,
            doubtful: false,
            repeated: false,
            next_number: 0,
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When it is nothing that a client could read: the stream is broken then.
    pub fn event(&mut self, event: &Event) -> Result<Pass, Garbage> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(Pass::AsIs);
        }
        if data.starts_with(b"[DONE]") {
            self.finished = true;
            return Ok(Pass::AsIs);
        }
        let object = parse(data, &LIMITS).map_err(Garbage::NotJson)?.into_object();
        let object = object.ok_or(Garbage::NotAnObject)?;
        let failed_before = self.failed.is_some();
        let pass = match self.api {
            Api::Chat => self.chat(event, object),
            Api::Responses => self.response(event, &object),
            Api::Messages => self.message(event, &object),
            Api::Embeddings | Api::CountTokens => Pass::AsIs,
        };
        if self.failed.is_some() && !failed_before {
            return Ok(without_keys(event, pass));
        }
        Ok(pass)
    }

    /// About how many tokens the model has written so far: what was counted, or what the provider reported if that is
    /// more.
    pub fn output_tokens(&self) -> u64 {
        let reported = self.reported().map_or(0, |reading| reading.usage.output_total());
        self.output.tokens.max(reported)
    }

    /// Whether the model has begun to write: text, thoughts or the arguments of a tool. That the provider is alive, has
    /// read the request, or says who will speak, is none of it.
    pub fn has_begun(&self) -> bool {
        self.begun || self.output.bytes > 0 || self.finished || self.failed.is_some()
    }

    /// Whether the provider has said that it failed.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether the stream has come to the end that its API has.
    pub fn has_finished(&self) -> bool {
        self.finished
    }

    /// What the stream has said so far.
    pub fn counted(&self) -> Counted {
        let reading = self.reported();
        let usage = reading.map(|reading| reading.usage);
        let is_final = self.api != Api::Messages || self.is_output_final;
        let output_reported = is_final && reading.is_some_and(|reading| reading.has_output);
        let too_little = usage.is_some_and(|usage| is_too_little(usage.output_total(), self.output.bytes));
        Counted {
            reported: usage,
            input_reported: reading.is_some_and(|reading| reading.has_input),
            output_reported,
            output_tokens_counted: self.output.tokens,
            output_bytes: self.output.bytes,
            tier: self.tier.clone(),
            hosted: self.hosted.clone(),
            finish: self.finish.clone(),
            finished: self.finished,
            failed: self.failed.clone(),
            doubtful: self.doubtful
                || reading.is_some_and(|reading| reading.doubtful)
                || (output_reported && too_little),
            repeated: self.repeated,
        }
    }

    fn reported(&self) -> Option<Reading> {
        self.reading.or_else(|| self.stated.map(|stated| stated.reading()))
    }

    pub(super) fn write(&mut self, part: Part<'_>) {
        self.output.add(Some(self.tokenizer), part);
    }

    pub(super) fn use_hosted(&mut self, (uses, is_sound): (Uses, bool)) {
        hosted::merge(&mut self.hosted, uses);
        self.doubtful |= !is_sound;
    }

    /// Takes a usage of OpenAI's. Of several, the largest count of each kind is kept; where that is more than each of
    /// them says, they contradict one another.
    pub(super) fn report(&mut self, new: Reading) {
        let Some(old) = self.reading.replace(new) else { return };
        let (one, other) = (&old.usage, &new.usage);
        let mut usage = new.usage;
        usage.input = one.input.max(other.input);
        usage.cached_input = one.cached_input.max(other.cached_input);
        usage.cache_write = one.cache_write.max(other.cache_write);
        usage.cache_write_1h = one.cache_write_1h.max(other.cache_write_1h);
        usage.output = one.output.max(other.output);
        usage.reasoning = one.reasoning.max(other.reasoning);
        self.repeated = true;
        self.reading = Some(Reading {
            usage,
            doubtful: old.doubtful || new.doubtful || usage != new.usage,
            has_input: old.has_input || new.has_input,
            has_output: old.has_output || new.has_output,
        });
    }
}

/// An error of the provider's, without what may be a key in it.
fn without_keys(of: &Event, pass: Pass) -> Pass {
    let redacted = match &pass {
        Pass::AsIs => redact(&of.data, &[]).map(|data| event(of.name.as_deref(), &data)),
        Pass::Instead(bytes) => redact(bytes, &[]).map(Bytes::from),
        Pass::Hidden => None,
    };
    redacted.map_or(pass, Pass::Instead)
}

/// An event of the same name with this object.
pub(super) fn instead(of: &Event, object: Object) -> Pass {
    Pass::Instead(event(of.name.as_deref(), &Value::Object(object).to_bytes()))
}
