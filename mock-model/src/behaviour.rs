//! How an answer comes: its length, its pace, and what goes wrong with it.

use crate::values::{arguments, decoded, number, share, size, status, usage};

/// Bounds on what a request may ask of this process.
const MOST_TOKENS: u32 = 1_000_000;
const MOST_CHUNKS: u32 = 1_000_000;

/// What stands before directives in the name of a model and in a message.
pub const MARK: &str = "mock:";

/// What is said about usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageSaid {
    /// The truth, once, where the provider says it.
    #[default]
    Once,
    /// Nothing.
    None,
    /// The truth, two times.
    Twice,
    /// One token of output, whatever was written.
    Lie,
    /// A thousand times the output.
    Huge,
}

/// How an answer comes. The default: 20 tokens in 20 chunks, at once, and nothing wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// Length of the text, in tokens; a token is a short word.
    pub tokens: u32,
    /// Pieces a streamed text comes in.
    pub chunks: u32,
    /// Before the head, in milliseconds.
    pub head_ms: u64,
    /// Between the head and the first piece, in milliseconds.
    pub first_ms: u64,
    /// Between two pieces, in milliseconds. A plain answer waits as long as a streamed one would take.
    pub delay_ms: u64,
    /// The text itself, instead of words.
    pub say: Option<String>,
    /// Tools to call instead of saying anything, until one has answered.
    pub tools: Vec<String>,
    /// Arguments of each call, as JSON.
    pub args: String,
    /// Calls the tools again however often they have answered.
    pub again: bool,
    /// Tokens of thinking before the answer.
    pub reasoning: u32,
    /// Tokens of input, instead of what is counted.
    pub input: Option<u32>,
    /// Tokens of input that were read from a cache.
    pub cached: u32,
    /// Tokens of input that were written to a cache.
    pub cache_write: u32,
    /// Refuses with this status.
    pub status: Option<u16>,
    /// Seconds of the header Retry-After of a refusal.
    pub retry_after: Option<u32>,
    /// Only the first so many requests with the same directives are refused, hung or cut.
    pub times: Option<u32>,
    /// Never begins to answer.
    pub hang: bool,
    /// Falls silent before this piece.
    pub hang_after: Option<u32>,
    /// Closes the socket before this piece.
    pub cut_after: Option<u32>,
    /// Sends something that is no event before this piece.
    pub garbage_at: Option<u32>,
    /// Ends the stream with the provider's error before this piece.
    pub error_at: Option<u32>,
    /// Breaks every piece inside a character, a millisecond apart.
    pub split_utf8: bool,
    /// Writes the stream so many bytes at a time.
    pub slice: Option<usize>,
    /// Each piece in a write of its own.
    pub flush: bool,
    /// The first piece has so many bytes more.
    pub giant_event: usize,
    /// Writes on when the limit of the request is reached.
    pub ignore_max: bool,
    /// Why the answer ended, instead of the truth.
    pub stop: Option<String>,
    /// What is said about usage.
    pub usage: UsageSaid,
    /// Leaves out what ends a stream.
    pub no_done: bool,
    /// Lines end in CR LF.
    pub crlf: bool,
    /// A comment before each piece.
    pub comments: bool,
    /// The share of requests that are refused with a 500.
    pub fail: f64,
    /// The share of answers that are cut.
    pub cut: f64,
}

// === impl Behaviour ===

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            tokens: 20,
            chunks: 20,
            head_ms: 0,
            first_ms: 0,
            delay_ms: 0,
            say: None,
            tools: Vec::new(),
            args: "{}".to_owned(),
            again: false,
            reasoning: 0,
            input: None,
            cached: 0,
            cache_write: 0,
            status: None,
            retry_after: None,
            times: None,
            hang: false,
            hang_after: None,
            cut_after: None,
            garbage_at: None,
            error_at: None,
            split_utf8: false,
            slice: None,
            flush: false,
            giant_event: 0,
            ignore_max: false,
            stop: None,
            usage: UsageSaid::Once,
            no_done: false,
            crlf: false,
            comments: false,
            fail: 0.0,
            cut: 0.0,
        }
    }
}

impl Behaviour {
    /// Takes the directives in a text such as `chunks=20,delay_ms=5,hang`.
    ///
    /// # Errors
    /// When a word is not known or its value makes no sense: a test that is misspelt should not pass.
    pub fn take(&mut self, directives: &str) -> Result<(), String> {
        for directive in directives.split(',').filter(|directive| !directive.is_empty()) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            self.set(name, value)?;
        }
        Ok(())
    }

    /// Takes one directive.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "tokens" => self.tokens = number(name, value)?.min(MOST_TOKENS),
            "chunks" => self.chunks = number(name, value)?.clamp(1, MOST_CHUNKS),
            "head_ms" => self.head_ms = number(name, value)?.into(),
            "first_ms" => self.first_ms = number(name, value)?.into(),
            "delay_ms" => self.delay_ms = number(name, value)?.into(),
            "say" => self.say = Some(decoded(value)),
            "tool" => self.tools = value.split('+').map(decoded).collect(),
            "args" => self.args = arguments(value),
            "reasoning" => self.reasoning = number(name, value)?.min(MOST_TOKENS),
            "input" => self.input = Some(number(name, value)?),
            "cached" => self.cached = number(name, value)?,
            "cache_write" => self.cache_write = number(name, value)?,
            "stop" => self.stop = Some(decoded(value)),
            "usage" => self.usage = usage(value)?,
            "fail" => self.fail = share(name, value)?,
            "cut" => self.cut = share(name, value)?,
            _ => return self.set_trouble(name, value),
        }
        Ok(())
    }

    fn set_trouble(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "status" => self.status = Some(status(value)?),
            "retry_after" => self.retry_after = Some(number(name, value)?),
            "times" => self.times = Some(number(name, value)?),
            // Tells requests apart that would otherwise be the same, for `times`.
            "id" => {}
            "hang_after" => self.hang_after = Some(number(name, value)?),
            "cut_after" => self.cut_after = Some(number(name, value)?),
            "garbage_at" => self.garbage_at = Some(number(name, value)?),
            "error_at" => self.error_at = Some(number(name, value)?),
            "slice" => self.slice = Some(size(name, value)?.max(1)),
            "giant_event" => self.giant_event = size(name, value)?,
            _ => return self.set_switch(name, value),
        }
        Ok(())
    }

    fn set_switch(&mut self, name: &str, value: &str) -> Result<(), String> {
        let on = match value {
            "" | "1" | "true" => true,
            "0" | "false" => false,
            _ => return Err(format!("mock: {name}={value} is neither on nor off")),
        };
        match name {
            "again" => self.again = on,
            "hang" => self.hang = on,
            "split_utf8" => self.split_utf8 = on,
            "flush" => self.flush = on,
            "ignore_max" => self.ignore_max = on,
            "no_done" => self.no_done = on,
            "crlf" => self.crlf = on,
            "comments" => self.comments = on,
            _ => return Err(format!("mock: there is no directive {name}")),
        }
        Ok(())
    }

    /// Takes away what `times` has run out for.
    pub fn calm(&mut self) {
        self.status = None;
        self.hang = false;
        self.hang_after = None;
        self.cut_after = None;
        self.garbage_at = None;
        self.error_at = None;
    }
}

/// The directives in a text: from the last mark to the next white space, quote or backslash (of an escaped one).
pub fn directives(text: &str) -> Option<&str> {
    let from = text.rfind(MARK)? + MARK.len();
    let rest = &text[from..];
    let to = rest.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\\' | '<'));
    Some(&rest[..to.unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, UsageSaid, directives};

    #[test]
    fn directives_are_found_in_what_people_write() {
        assert_eq!(directives("Please mock:tokens=5,hang now"), Some("tokens=5,hang"));
        assert_eq!(directives(r#""mock:tokens=5""#), Some("tokens=5"));
        assert_eq!(directives("m/mock:"), Some(""));
        assert_eq!(directives("nothing"), None);
    }

    #[test]
    fn a_directive_sets_what_it_names_and_a_misspelt_one_is_an_error() {
        let mut behaviour = Behaviour::default();
        behaviour.take("tokens=5,hang,usage=lie,args=city:Paris;days:3,say=h%C3%A9,tool=a+b").unwrap();
        assert_eq!((behaviour.tokens, behaviour.hang, behaviour.usage), (5, true, UsageSaid::Lie));
        assert_eq!(behaviour.args, r#"{"city":"Paris","days":3}"#);
        assert_eq!((behaviour.say.as_deref(), behaviour.tools.len()), (Some("hé"), 2));
        assert!(behaviour.take("tokns=5").is_err());
        assert!(behaviour.take("hang=perhaps").is_err());
        assert!(behaviour.take("fail=2").is_err());
    }
}
