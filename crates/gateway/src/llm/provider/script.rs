//! A script: rules, and the answers of those that fit.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use ringfence_llm::Api;
use ringfence_llm::render::{Brought, Heard, Part, Stop};
use ringfence_policy::Glob;
use ringfence_types::{RunId, Usage};

/// Runs whose used rules are remembered; of those before them it is forgotten that a rule was for once.
const RUNS_MAX: usize = 4_096;

/// Answers that stand in a file.
#[derive(Debug, Default)]
pub struct Script {
    rules: Vec<ScriptRule>,
    used: Mutex<Used>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRule {
    /// What has to hold of a request.
    pub when: ScriptWhen,
    /// It holds once in each run.
    pub once: bool,
    /// What is then answered.
    pub answer: ScriptAnswer,
}

/// What has to hold of a request, all of it; what is `None` or empty holds of every one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ScriptWhen {
    /// The last message of the user has one of these in it, in whatever case.
    pub contains: Vec<String>,
    /// The whole last message of the user is like this.
    pub matches: Option<Glob>,
    /// What the system says has this in it, in whatever case.
    pub system: Option<String>,
    /// Which answer of the conversation it is, from 1.
    pub turn: Option<u64>,
    /// Whether a tool has brought something since the last answer, and what.
    pub result: Option<ResultWhen>,
    /// The model is given a tool that is called like this.
    pub tool: Option<Glob>,
    /// The model is called like this.
    pub model: Option<Glob>,
    /// One of these APIs is called.
    pub api: Vec<Api>,
    /// Whether the answer is to be streamed.
    pub stream: Option<bool>,
}

/// What has to hold of what tools have brought.
#[derive(Clone, PartialEq, Eq)]
pub enum ResultWhen {
    /// Something, or nothing.
    Is(bool),
    /// Something of a tool that is called like the one, with one of the others in it, in whatever case.
    Of {
        /// The tool.
        tool: Option<Glob>,
        /// Any of it.
        contains: Vec<String>,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptAnswer {
    /// As a model does.
    Speech(Speech),
    /// As a provider does that cannot.
    Failure(FailureSaid),
}

/// An answer as a model gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Speech {
    /// What it is made of.
    pub parts: Vec<Part>,
    /// Why it ends; told by what it is made of, where it is not said.
    pub stop: Option<Stop>,
    /// What it says that it used.
    pub usage: UsageSaid,
    /// It may be longer than the request allows.
    pub unlimited: bool,
    /// How long it takes before there is any answer.
    pub delay: Duration,
    /// How long it then takes to the first piece.
    pub first: Duration,
    /// How long it takes between every two pieces.
    pub pause: Duration,
    /// In how many pieces each text comes; word by word, where it is not said.
    pub chunks: Option<usize>,
    /// The connection breaks after so many pieces.
    pub cut_after: Option<usize>,
}

/// What an answer says that it used, in tokens of each kind; what is `None` is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSaid {
    /// Read, beside the next three.
    pub input: Option<u64>,
    /// Read from a cache.
    pub cached_input: u64,
    /// Read, and written into a cache.
    pub cache_write: u64,
    /// Read, and written into a cache for an hour.
    pub cache_write_1h: u64,
    /// Written, other than reasoning.
    pub output: Option<u64>,
    /// Written while thinking.
    pub reasoning: Option<u64>,
}

/// An answer as a provider gives it that cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureSaid {
    /// The status: 400 to 599.
    pub status: u16,
    /// How many seconds the client is to wait.
    pub retry_after: Option<u64>,
    /// In what words.
    pub message: Option<String>,
    /// How long it takes.
    pub delay: Duration,
}

/// Which rules that hold once have held, in each run.
#[derive(Debug, Default)]
struct Used {
    runs: HashMap<RunId, Vec<usize>>,
    order: VecDeque<RunId>,
}

// === impl Script ===

impl Script {
    /// A script of these rules, none of them used.
    pub fn new(rules: Vec<ScriptRule>) -> Self {
        Self { rules, used: Mutex::default() }
    }

    /// The answer of the first rule that fits and is not used up in the run; it is used then.
    pub(super) fn answer(&self, run: RunId, api: Api, heard: &Heard) -> Option<&ScriptAnswer> {
        let mut fitting = self.rules.iter().enumerate().filter(|(_, rule)| rule.when.fits(api, heard));
        let (_, rule) = fitting.find(|(at, rule)| !rule.once || self.used.lock().take(run, *at))?;
        Some(&rule.answer)
    }
}

/// Scripts are the same when their rules are.
impl PartialEq for Script {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for Script {}

// === impl UsageSaid ===

impl UsageSaid {
    /// What was used, where so much was counted.
    pub(super) fn of(&self, counted: &Usage) -> Usage {
        let Self { cached_input, cache_write, cache_write_1h, .. } = *self;
        let beside = cached_input.saturating_add(cache_write).saturating_add(cache_write_1h);
        Usage {
            input: self.input.unwrap_or(counted.input.saturating_sub(beside)),
            cached_input,
            cache_write,
            cache_write_1h,
            output: self.output.unwrap_or(counted.output),
            reasoning: self.reasoning.unwrap_or(counted.reasoning),
        }
    }
}

// === impl Used ===

impl Used {
    /// Uses a rule in a run; whether it could be.
    fn take(&mut self, run: RunId, rule: usize) -> bool {
        if !self.runs.contains_key(&run) {
            if self.order.len() == RUNS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.runs.remove(&oldest);
            }
            self.order.push_back(run);
        }
        let used = self.runs.entry(run).or_default();
        let is_free = !used.contains(&rule);
        if is_free {
            used.push(rule);
        }
        is_free
    }
}

// === impl ScriptWhen ===

impl ScriptWhen {
    fn fits(&self, api: Api, heard: &Heard) -> bool {
        // Texts to embed are what a user says there.
        let user = if api == Api::Embeddings { &heard.inputs.join("\n") } else { &heard.user };
        has_one(user, &self.contains)
            && self.matches.as_ref().is_none_or(|glob| glob.matches(user))
            && self.system.as_ref().is_none_or(|text| has(&heard.system, text))
            && self.turn.is_none_or(|turn| turn == heard.turn)
            && self.result.as_ref().is_none_or(|result| result.fits(&heard.results))
            && self.tool.as_ref().is_none_or(|glob| heard.tools.iter().any(|tool| glob.matches(tool)))
            && self.model.as_ref().is_none_or(|glob| glob.matches(&heard.model))
            && (self.api.is_empty() || self.api.contains(&api))
            && self.stream.is_none_or(|stream| stream == heard.stream)
    }
}

/// Never what users say.
impl std::fmt::Debug for ScriptWhen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptWhen").field("turn", &self.turn).field("api", &self.api).finish_non_exhaustive()
    }
}

// === impl ResultWhen ===

impl ResultWhen {
    fn fits(&self, results: &[Brought]) -> bool {
        match self {
            Self::Is(any) => *any != results.is_empty(),
            Self::Of { tool, contains } => results.iter().any(|brought| {
                tool.as_ref().is_none_or(|glob| glob.matches(&brought.tool))
                    && has_one(&brought.text, contains)
            }),
        }
    }
}

fn has_one(text: &str, any: &[String]) -> bool {
    any.is_empty() || any.iter().any(|one| has(text, one))
}

fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(user: &str) -> Heard {
        Heard { user: user.into(), turn: 1, model: "scripted".into(), ..Heard::default() }
    }

    fn run(number: u8) -> RunId {
        RunId::new(ringfence_types::Timestamp::default(), [number; 10])
    }

    fn fits(when: &ScriptWhen, heard: &Heard) -> bool {
        when.fits(Api::Chat, heard)
    }

    #[test]
    fn everything_that_is_said_has_to_hold() {
        let asked = heard("What is the WEATHER in Köln?");
        let when = ScriptWhen::default();
        assert!(fits(&when, &asked), "nothing said holds of everything");
        let contains = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (when, expected) in [
            (ScriptWhen { contains: contains(&["tides", "weather"]), ..when.clone() }, true),
            (ScriptWhen { contains: contains(&["tides"]), ..when.clone() }, false),
            (ScriptWhen { matches: Some(Glob::new("What*?")), ..when.clone() }, true),
            (ScriptWhen { matches: Some(Glob::new("WEATHER")), ..when.clone() }, false),
            (ScriptWhen { turn: Some(2), ..when.clone() }, false),
            (ScriptWhen { turn: Some(1), system: Some("brief".into()), ..when.clone() }, false),
            (ScriptWhen { model: Some(Glob::new("script*")), ..when.clone() }, true),
            (ScriptWhen { api: vec![Api::Messages], ..when.clone() }, false),
            (ScriptWhen { api: vec![Api::Messages, Api::Chat], ..when.clone() }, true),
            (ScriptWhen { stream: Some(true), ..when.clone() }, false),
            (ScriptWhen { tool: Some(Glob::new("*")), ..when.clone() }, false),
            (ScriptWhen { result: Some(ResultWhen::Is(false)), ..when.clone() }, true),
            (ScriptWhen { result: Some(ResultWhen::Is(true)), ..when.clone() }, false),
        ] {
            assert_eq!(fits(&when, &asked), expected, "{when:?}");
        }
    }

    #[test]
    fn what_a_tool_has_brought_is_looked_at() {
        let brought = Brought { tool: "look_up".into(), text: "Heavy Rain".into() };
        let asked = Heard { results: vec![brought], tools: vec!["look_up".into()], ..heard("") };
        let of = |tool: Option<&str>, word: &str| ScriptWhen {
            result: Some(ResultWhen::Of { tool: tool.map(Glob::new), contains: vec![word.into()] }),
            ..ScriptWhen::default()
        };
        assert!(fits(&of(None, "rain"), &asked) && fits(&of(Some("look*"), "rain"), &asked));
        assert!(!fits(&of(Some("other"), "rain"), &asked) && !fits(&of(None, "sun"), &asked));
        assert!(fits(&ScriptWhen { tool: Some(Glob::new("look_?p")), ..ScriptWhen::default() }, &asked));
    }

    #[test]
    fn what_a_script_does_not_say_was_used_is_counted() {
        let counted = Usage { input: 100, output: 20, reasoning: 5, ..Usage::default() };
        assert_eq!(UsageSaid::default().of(&counted), counted);
        let said = UsageSaid { cached_input: 30, cache_write: 20, output: Some(7), ..UsageSaid::default() };
        let used = Usage { input: 50, cached_input: 30, cache_write: 20, output: 7, reasoning: 5, ..counted };
        assert_eq!(said.of(&counted), used);
        let said = UsageSaid { input: Some(9), reasoning: Some(0), cache_write_1h: 200, ..said };
        assert_eq!((said.of(&counted).input, said.of(&counted).reasoning), (9, 0));
    }

    #[test]
    fn a_rule_for_once_holds_once_in_each_run() {
        let speech = |text: &str| {
            ScriptAnswer::Speech(Speech { parts: vec![Part::Text(text.into())], ..Speech::default() })
        };
        let rule = |once, text| ScriptRule { when: ScriptWhen::default(), once, answer: speech(text) };
        let script = Script::new(vec![rule(true, "first"), rule(true, "second"), rule(false, "always")]);
        let (one, other) = (run(1), run(2));
        let said = |run| script.answer(run, Api::Chat, &heard("")).cloned().unwrap();
        assert_eq!([said(one), said(one), said(other)], ["first", "second", "first"].map(speech));
        assert_eq!([said(one), said(one), said(other)], ["always", "always", "second"].map(speech));
    }
}
