//! What is answered, before it is put into any provider's words.

use crate::ask::{Ask, Told};
use crate::behaviour::{Behaviour, UsageSaid};
use crate::pieces::{Text, WIDE};

/// An answer.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its number; identifiers are made from it.
    pub number: u64,
    /// The model, as the JSON text that the request gave.
    pub model: String,
    /// Its parts, in order.
    pub blocks: Vec<Block>,
    /// Why it ends.
    pub finish: Finish,
    /// What is said about usage.
    pub usage: Usage,
    /// How often it is said.
    pub usage_times: u8,
    /// Whether the client asked for usage at the end of a stream (OpenAI chat only).
    pub include_usage: bool,
    /// How many answers were asked for (OpenAI chat only).
    pub choices: u32,
    /// Every piece gets characters of several bytes.
    pub wide: bool,
    /// Bytes added to the first piece.
    pub giant: usize,
    /// Leaves out what ends a stream.
    pub no_done: bool,
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// The text, the thought, or the arguments of a call.
    pub text: Text,
    /// Pieces it is streamed in.
    pub chunks: u32,
}

/// What a part of an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A thought.
    Thinking,
    /// Text.
    Text,
    /// A call of a tool.
    Tool {
        /// Which.
        name: String,
        /// Which call of the answer.
        call: u32,
    },
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// All was said.
    Stop,
    /// The limit was reached.
    Length,
    /// Tools are to be called.
    Tools,
    /// Something else, in the words of the directive.
    Other(String),
}

/// Tokens, as they are said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// All input, with what was cached.
    pub input: u32,
    /// Read from a cache.
    pub cached: u32,
    /// Written to a cache.
    pub cache_write: u32,
    /// All output, with the thoughts.
    pub output: u32,
    /// The thoughts.
    pub reasoning: u32,
}

/// A piece of an answer: which part, and which piece of it.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The part.
    pub block: &'a Block,
    /// Its place among the parts.
    pub at: usize,
    /// The piece of it.
    pub index: u32,
}

// === impl Said ===

impl Said {
    /// Settles what is answered.
    pub fn new(number: u64, ask: &Ask, told: &Told, how: &Behaviour) -> Self {
        let choices = ask.n.unwrap_or(1).clamp(1, 128);
        let (blocks, finish) = blocks(ask, told, how);
        let tokens = |thinking: bool| {
            let blocks = blocks.iter().filter(|block| (block.kind == Kind::Thinking) == thinking);
            blocks.map(|block| block.text.tokens()).fold(0, u32::saturating_add)
        };
        let reasoning = tokens(true);
        let output = (tokens(false) + reasoning).saturating_mul(choices);
        let output = match how.usage {
            UsageSaid::Lie => 1,
            UsageSaid::Huge => output.saturating_mul(1_000),
            _ => output,
        };
        let input = how.input.unwrap_or(told.input).max(how.cached.saturating_add(how.cache_write));
        let usage = Usage { input, cached: how.cached, cache_write: how.cache_write, output, reasoning };
        let usage_times = match how.usage {
            UsageSaid::None => 0,
            UsageSaid::Twice => 2,
            _ => 1,
        };
        Self {
            number,
            model: quoted(&ask.model),
            blocks,
            finish,
            usage,
            usage_times,
            include_usage: ask.include_usage(),
            choices,
            wide: how.split_utf8,
            giant: how.giant_event,
            no_done: how.no_done,
        }
    }

    /// Pieces of all parts.
    pub fn pieces(&self) -> u32 {
        self.blocks.iter().map(|block| block.chunks).fold(0, u32::saturating_add)
    }

    /// Piece number `index` of all.
    pub fn piece(&self, mut index: u32) -> Option<Piece<'_>> {
        for (at, block) in self.blocks.iter().enumerate() {
            if index < block.chunks {
                return Some(Piece { block, at, index });
            }
            index -= block.chunks;
        }
        None
    }

    /// The text of a piece.
    pub fn text(&self, piece: Piece) -> String {
        let mut text = piece.block.text.piece(piece.index, piece.block.chunks);
        if piece.block.kind == Kind::Text {
            if self.wide {
                text.push_str(WIDE);
            }
            if self.giant > 0 && piece.index == 0 {
                text.extend(std::iter::repeat_n('x', self.giant));
            }
        }
        text
    }

    /// The whole text of a part, with what pieces add to it.
    pub fn whole(&self, block: &Block) -> String {
        if !self.wide && self.giant == 0 {
            return block.text.whole();
        }
        (0..block.chunks).map(|index| self.text(Piece { block, at: 0, index })).collect()
    }

    /// What was written when so many pieces were, in tokens.
    pub fn tokens_until(&self, pieces: u32) -> u64 {
        let of = |index| self.piece(index).map_or(0, |piece| piece.tokens());
        (0..pieces).map(of).map(u64::from).sum::<u64>() * u64::from(self.choices)
    }

    /// The calls of tools, and the others.
    pub fn of(&self, wanted: impl Fn(&Kind) -> bool) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| wanted(&block.kind))
    }
}

// === impl Piece ===

impl Piece<'_> {
    /// Whether it begins its part.
    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Whether it ends its part.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.block.chunks
    }

    /// Its length.
    pub fn tokens(&self) -> u32 {
        self.block.text.piece_tokens(self.index, self.block.chunks)
    }
}

fn blocks(ask: &Ask, told: &Told, how: &Behaviour) -> (Vec<Block>, Finish) {
    let mut left = if how.ignore_max { u32::MAX } else { ask.most().unwrap_or(u32::MAX) };
    let mut cut = false;
    let mut blocks = Vec::new();
    let mut push = |kind: Kind, mut text: Text, chunks: u32| {
        cut |= text.limit(left);
        left = left.saturating_sub(text.tokens());
        // Arguments may not be empty, a text may not have more pieces than tokens.
        let chunks = chunks.min(text.tokens()).max(1);
        blocks.push(Block { kind, text, chunks });
    };
    if how.reasoning > 0 {
        push(Kind::Thinking, Text::Words(how.reasoning), how.chunks.min(4));
    }
    let calls = !how.tools.is_empty() && (how.again || !told.tool_answered);
    if calls {
        for (call, name) in (0..).zip(&how.tools) {
            push(Kind::Tool { name: name.clone(), call }, Text::Given(how.args.clone()), 3);
        }
    } else {
        let text = how.say.clone().map_or(Text::Words(how.tokens), Text::Given);
        push(Kind::Text, text, how.chunks);
    }
    let finish = match &how.stop {
        Some(word) if word == "stop" => Finish::Stop,
        Some(word) if word == "length" => Finish::Length,
        Some(word) if word == "tools" => Finish::Tools,
        Some(word) => Finish::Other(word.clone()),
        None if cut => Finish::Length,
        None if calls => Finish::Tools,
        None => Finish::Stop,
    };
    (blocks, finish)
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
