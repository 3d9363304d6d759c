//! Reading scripts: the answers of models that nobody serves.

mod when;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ringfence_document::{Content, Diagnostic, Fields, Node, Place, Report, parse};
use ringfence_gateway::targets::{
    FailureSaid, Part, Script, ScriptAnswer, ScriptRule, ScriptWhen, Speech, Stop, UsageSaid,
};
use ringfence_json::{Number, Object, Value};
use ringfence_types::{format_duration, parse_duration};

use crate::config::{Rejected, SourceText};

/// Length of a script, in bytes.
const SCRIPT_BYTES_MAX: u64 = 4 << 20;

/// Rules of a script.
const RULES_MAX: usize = 1_000;

/// Tools that one answer calls.
const CALLS_MAX: usize = 64;

/// Texts of which one has to be there.
const TEXTS_MAX: usize = 64;

/// Pieces of a text, and pieces after which an answer breaks off.
const PIECES_MAX: u64 = 100_000;

/// Tokens of one kind that a script can say were used.
const TOKENS_MAX: u64 = 1_000_000_000;

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// The longest name or pattern, in bytes.
const WORD_BYTES_MAX: usize = 256;

/// Reads a script.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Script, Rejected> {
    let name = path.display().to_string();
    let text = text_of(path).map_err(|error| {
        let message = format!("cannot read the script {name}: {error}");
        Rejected { diagnostics: vec![Diagnostic::error(&name, Place::WHOLE, message)], sources: Vec::new() }
    })?;
    let read = parse(&name, &text).and_then(|node| {
        let mut report = Report::new(&name);
        match rules(&node, &mut report) {
            Some(rules) if report.errors() == 0 => Ok(rules),
            _ => Err(report.into_diagnostics()),
        }
    });
    read.map(Script::new).map_err(|diagnostics| {
        let sources = vec![SourceText { name, path: path.to_owned(), text }];
        Rejected { diagnostics, sources }
    })
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SCRIPT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > SCRIPT_BYTES_MAX) {
        return Err(std::io::Error::other(format!("it has more than {SCRIPT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn rules(node: &Node, report: &mut Report) -> Option<Vec<ScriptRule>> {
    let mut fields = Fields::of(node, "a script", report)?;
    let rules = fields.require("rules", report);
    fields.finish(report);
    let nodes = rules?.list("`rules`", report)?;
    if nodes.is_empty() || nodes.len() > RULES_MAX {
        report.error(node.place, format!("`rules` has to have from 1 to {RULES_MAX} rules"));
        return None;
    }
    let mut all = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let before = report.errors();
        let Some(rule) = rule(node, report) else { continue };
        if report.errors() == before
            && rule.when == ScriptWhen::default()
            && !rule.once
            && at + 1 < nodes.len()
        {
            report.error_with_hint(
                node.place,
                "this rule fits every call, so that none after it is ever looked at",
                "put it last, or give it `when` or `once: true`",
            );
        }
        all.push(rule);
    }
    Some(all)
}

fn rule(node: &Node, report: &mut Report) -> Option<ScriptRule> {
    let mut fields = Fields::of(node, "a rule", report)?;
    let when = fields.get("when").map_or(Some(ScriptWhen::default()), |node| when::read(node, report));
    let once = fields.get("once").map_or(Some(false), |node| node.boolean("`once`", report));
    let written = Written {
        think: fields.get("think"),
        say: fields.get("say"),
        call: fields.get("call"),
        fail: fields.get("fail"),
        stop: fields.get("stop"),
        usage: fields.get("usage"),
        unlimited: fields.get("unlimited"),
        delay: fields.get("delay"),
        first: fields.get("first"),
        pause: fields.get("pause"),
        chunks: fields.get("chunks"),
        cut_after: fields.get("cut_after"),
    };
    fields.finish(report);
    let answer = written.answer(node, report);
    Some(ScriptRule { when: when?, once: once?, answer: answer? })
}

/// What a rule says of its answer.
struct Written<'n> {
    think: Option<&'n Node>,
    say: Option<&'n Node>,
    call: Option<&'n Node>,
    fail: Option<&'n Node>,
    stop: Option<&'n Node>,
    usage: Option<&'n Node>,
    unlimited: Option<&'n Node>,
    delay: Option<&'n Node>,
    first: Option<&'n Node>,
    pause: Option<&'n Node>,
    chunks: Option<&'n Node>,
    cut_after: Option<&'n Node>,
}

// === impl Written ===

impl Written<'_> {
    fn answer(&self, rule: &Node, report: &mut Report) -> Option<ScriptAnswer> {
        let Some(fail) = self.fail else { return self.speech(rule, report).map(ScriptAnswer::Speech) };
        for (name, node) in [
            ("think", self.think),
            ("say", self.say),
            ("call", self.call),
            ("stop", self.stop),
            ("usage", self.usage),
            ("unlimited", self.unlimited),
            ("first", self.first),
            ("pause", self.pause),
            ("chunks", self.chunks),
            ("cut_after", self.cut_after),
        ] {
            if let Some(node) = node {
                report.error(node.place, format!("`{name}` does not go with `fail`"));
            }
        }
        let delay = wait(self.delay, "`delay`", report);
        failure(fail, delay?, report).map(ScriptAnswer::Failure)
    }

    fn speech(&self, rule: &Node, report: &mut Report) -> Option<Speech> {
        let think = self.think.map(|node| node.text("`think`", report).cloned().map(Part::Think));
        let say = self.say.map(|node| node.text("`say`", report).cloned().map(Part::Text));
        let calls = self.call.map_or(Some(Vec::new()), |node| calls(node, report));
        let stop = self.stop.map(|node| stop(node, report));
        let usage = self.usage.map_or(Some(UsageSaid::default()), |node| usage(node, report));
        let unlimited = self.unlimited.map_or(Some(false), |node| node.boolean("`unlimited`", report));
        let (delay, first) = (wait(self.delay, "`delay`", report), wait(self.first, "`first`", report));
        let pause = wait(self.pause, "`pause`", report);
        let chunks = self.chunks.map(|node| node.whole("`chunks`", 1..=PIECES_MAX, report));
        let cut_after = self.cut_after.map(|node| node.whole("`cut_after`", 0..=PIECES_MAX, report));
        let is_empty = think.is_none() && say.is_none() && self.call.is_none() && self.stop.is_none();
        if is_empty && self.usage.is_none() && self.cut_after.is_none() {
            report.error_with_hint(
                rule.place,
                "a rule has to say what is answered",
                "one or more of `say`, `call` and `think`, or `fail`",
            );
            return None;
        }
        let mut parts = Vec::new();
        for part in [think, say].into_iter().flatten() {
            parts.push(part?);
        }
        parts.extend(calls?);
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Some(Speech {
            parts,
            stop: all_or_none(stop)?,
            usage: usage?,
            unlimited: unlimited?,
            delay: delay?,
            first: first?,
            pause: pause?,
            chunks: all_or_none(chunks)?.map(size),
            cut_after: all_or_none(cut_after)?.map(size),
        })
    }
}

/// What is not written is fine; what is written has to be.
#[expect(clippy::option_option, reason = "written or not, and then right or not")]
fn all_or_none<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn calls(node: &Node, report: &mut Report) -> Option<Vec<Part>> {
    let nodes = node.one_or_many();
    if nodes.is_empty() || nodes.len() > CALLS_MAX {
        report.error(node.place, format!("`call` must be from 1 to {CALLS_MAX} tools"));
        return None;
    }
    let all: Vec<_> = nodes.iter().map(|node| call(node, report)).collect();
    all.into_iter().collect()
}

fn call(node: &Node, report: &mut Report) -> Option<Part> {
    let mut fields = Fields::of(node, "a call", report)?;
    let tool = fields.require("tool", report).and_then(|node| node.text("`tool`", report).cloned());
    let arguments = match fields.get("arguments") {
        None => Some(Object::new()),
        Some(node) => {
            let arguments = value(node).into_object();
            if arguments.is_none() {
                report.error(node.place, format!("`arguments` must be a mapping, not {}", node.kind()));
            }
            arguments
        }
    };
    fields.finish(report);
    let tool = tool?;
    if tool.len() > WORD_BYTES_MAX {
        report.error(node.place, format!("`tool` can have at most {WORD_BYTES_MAX} bytes"));
        return None;
    }
    Some(Part::Call { tool, arguments: arguments? })
}

/// What is written as JSON has it: a scalar without quotes may be a number, a truth value or nothing.
fn value(node: &Node) -> Value {
    match &node.content {
        Content::Scalar(scalar) if scalar.is_null() => Value::Null,
        Content::Scalar(scalar) => {
            let number = || Number::new(&scalar.text).ok().filter(|_| scalar.plain).map(Value::Number);
            let truth = scalar.as_bool().map(Value::Bool);
            truth.or_else(number).unwrap_or_else(|| Value::String(scalar.text.clone()))
        }
        Content::Sequence(elements) => Value::Array(elements.iter().map(value).collect()),
        Content::Mapping(members) => {
            Value::Object(members.iter().map(|(key, node)| (key.text.clone(), value(node))).collect())
        }
    }
}

fn stop(node: &Node, report: &mut Report) -> Option<Stop> {
    const WORDS: [(&str, Stop); 4] =
        [("end", Stop::End), ("length", Stop::Length), ("tools", Stop::Tools), ("filter", Stop::Filter)];
    let word = node.text("`stop`", report)?;
    let found = WORDS.iter().find(|(known, _)| known == word).map(|(_, stop)| *stop);
    if found.is_none() {
        let words = WORDS.map(|(known, _)| known);
        report.unknown(node.place, format!("`stop` cannot be `{word}`"), word, &words);
    }
    found
}

fn usage(node: &Node, report: &mut Report) -> Option<UsageSaid> {
    let mut fields = Fields::of(node, "`usage`", report)?;
    let mut count = |name: &'static str| {
        fields.get(name).map(|node| node.whole(&format!("`{name}`"), 0..=TOKENS_MAX, report))
    };
    let [input, output, reasoning] = ["input", "output", "reasoning"].map(&mut count);
    let [cached_input, cache_write, cache_write_1h] =
        ["cached_input", "cache_write", "cache_write_1h"].map(|name| count(name).unwrap_or(Some(0)));
    fields.finish(report);
    Some(UsageSaid {
        input: all_or_none(input)?,
        cached_input: cached_input?,
        cache_write: cache_write?,
        cache_write_1h: cache_write_1h?,
        output: all_or_none(output)?,
        reasoning: all_or_none(reasoning)?,
    })
}

fn failure(node: &Node, delay: Duration, report: &mut Report) -> Option<FailureSaid> {
    let mut fields = Fields::of(node, "`fail`", report)?;
    let status = fields.require("status", report).and_then(|node| node.whole("`status`", 400..=599, report));
    let retry_after = fields.get("retry_after").map(|node| node.whole("`retry_after`", 0..=86_400, report));
    let message = fields.get("message").map(|node| node.text("`message`", report).map(ToString::to_string));
    fields.finish(report);
    Some(FailureSaid {
        status: u16::try_from(status?).ok()?,
        retry_after: all_or_none(retry_after)?,
        message: all_or_none(message)?,
        delay,
    })
}

fn wait(node: Option<&Node>, what: &str, report: &mut Report) -> Option<Duration> {
    let Some(node) = node else { return Some(Duration::ZERO) };
    let wait = node.parsed(what, parse_duration, report)?;
    if wait > WAIT_MAX {
        report.error(node.place, format!("{what} can be at most {}", format_duration(WAIT_MAX)));
        return None;
    }
    Some(wait)
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
