//! Rules that can never change a decision.

use ringfence_document::Diagnostic;
use ringfence_json::Object;
use ringfence_types::{ActionType, Decision, Kind, Role};
use smol_str::SmolStr;

use super::Origin;
use crate::glob::Glob;
use crate::key::{Key, Subject};
use crate::matcher::{Matcher, Patterns, Test};
use crate::set::Rule;
use crate::{PolicySet, Request};

/// Rules beside which one is looked at; more say nothing new.
const OTHERS_MAX: usize = 64;

/// Warns of every rule whose decision another rule makes anyway, and of those that cannot match at all.
pub(super) fn check(set: &PolicySet, origins: &[Origin], found: &mut Vec<Diagnostic>) {
    for (number, (rule, origin)) in set.rules.iter().zip(origins).enumerate() {
        if rule.effect.shadow {
            continue;
        }
        let name = &rule.effect.name;
        let warning = |message| Diagnostic::warning(origin.source.clone(), origin.place, message);
        if let Some(why) = impossible(&rule.matcher) {
            found.push(warning(format!("rule `{name}` can never match: {why}")));
        } else if let Some(other) = overruled_by(number, rule, set) {
            let message = format!("rule `{name}` can never change a decision");
            let hint = format!("rule `{}` matches whatever it matches and is as strict", other.effect.name);
            found.push(warning(message).with_hint(hint));
        }
    }
}

/// A tool is only called by a tool call, and a model by a model call.
fn impossible(matcher: &Matcher) -> Option<&'static str> {
    let kind_allows =
        |kind: Kind| matcher.on(Key::Kind).is_none_or(|test| test.patterns.matches(kind.as_str()));
    if matcher.on(Key::Tool).is_some() && !kind_allows(Kind::ToolCall) {
        return Some("only a tool_call has a tool");
    }
    if matcher.on(Key::Model).is_some() && !kind_allows(Kind::ModelCall) {
        return Some("only a model_call has a model");
    }
    None
}

/// Another rule that matches at least as much and makes this one superfluous. Of two that are the same, the first
/// stays.
fn overruled_by<'s>(number: usize, rule: &Rule, set: &'s PolicySet) -> Option<&'s Rule> {
    let sample = Sample::of(&rule.matcher);
    let others = sample.ask(|subject| set.matching_numbers(subject));
    others
        .into_iter()
        .filter_map(|other| usize::try_from(other).ok())
        .filter(|other| *other != number)
        .take(OTHERS_MAX)
        .filter_map(|other| Some((other, set.rules.get(other)?)))
        .find(|(other, by)| overrules(by, rule) && (*other < number || !overrules(rule, by)))
        .map(|(_, by)| by)
}

/// Whether `rule` adds nothing where `by` is.
fn overrules(by: &Rule, rule: &Rule) -> bool {
    let (effect, other) = (&rule.effect, &by.effect);
    let adds_nothing = other.decision == Decision::Deny
        || other.decision >= effect.decision
            && effect.constraints.is_empty()
            && rule.when.is_none()
            && (effect.approval.is_none() || effect.approval == other.approval);
    !other.shadow && by.when.is_none() && adds_nothing && contains(&by.matcher, &rule.matcher)
}

/// Whether everything that `inner` matches, `outer` matches too. Says yes only when that is certain.
fn contains(outer: &Matcher, inner: &Matcher) -> bool {
    outer.tests.iter().all(|test| inner.on(test.key).is_some_and(|other| test_contains(test, other)))
}

fn test_contains(outer: &Test, inner: &Test) -> bool {
    let (outer, inner) = (&outer.patterns, &inner.patterns);
    inner.exact.iter().all(|value| outer.matches(value)) && inner.globs.iter().all(|glob| covers(outer, glob))
}

/// A pattern without `?` that fits the text of another pattern fits all that the other fits: only its `*` can have
/// taken the other's wildcards.
fn covers(outer: &Patterns, inner: &Glob) -> bool {
    let text = inner.to_string();
    outer.globs.iter().any(|glob| glob == inner || !glob.to_string().contains('?') && glob.matches(&text))
}

/// One request that a matcher fits, to find the rules that could contain it.
struct Sample {
    values: Vec<(Key, SmolStr)>,
}

impl Sample {
    fn of(matcher: &Matcher) -> Self {
        let value = |test: &Test| {
            let patterns = &test.patterns;
            let value = patterns.exact.first().cloned();
            value.or_else(|| Some(SmolStr::new(patterns.globs.first()?.example()))).unwrap_or_default()
        };
        Self { values: matcher.tests.iter().map(|test| (test.key, value(test))).collect() }
    }

    fn get(&self, key: Key) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    fn word<T: Copy + std::str::FromStr>(
        &self,
        key: Key,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.get(key)?;
        text.parse().ok().or_else(|| all.iter().copied().find(|value| Glob::new(text).matches(word(*value))))
    }

    fn ask<T>(&self, ask: impl FnOnce(&Subject<'_>) -> T) -> T {
        let arguments = Object::new();
        let roles: Vec<Role> =
            self.get(Key::Role).and_then(|role| Role::new(role).ok()).into_iter().collect();
        let labels: Vec<SmolStr> = self.get(Key::Labels).map(SmolStr::new).into_iter().collect();
        let of = |key| self.get(key).unwrap_or_default();
        let request = Request {
            kind: self.word(Key::Kind, Kind::ALL, Kind::as_str).unwrap_or(Kind::ToolCall),
            organization: of(Key::Organization),
            workspace: of(Key::Workspace),
            environment: of(Key::Environment),
            agent: of(Key::Agent),
            user: self.get(Key::User),
            roles: &roles,
            server: self.get(Key::Server),
            tool: self.get(Key::Tool),
            model: self.get(Key::Model),
            host: self.get(Key::Host),
            capability: self.get(Key::Capability),
            action: self.get(Key::Action),
            action_type: self
                .word(Key::ActionType, ActionType::ALL, ActionType::as_str)
                .unwrap_or(ActionType::Write),
            risk: self.get(Key::Risk),
            labels: &labels,
            arguments: &arguments,
            schema: None,
        };
        ask(&Subject::new(&request))
    }
}
