//! What the generated policies and calls reach: a comparison of what never happens would show nothing.

use std::collections::BTreeMap;

use crate::model::{Call, DECISIONS, File, KEYS, Rule};
use crate::naive::{Answer, Code, Truth, condition, key_fits, unmet};

/// What constraints begin with, or are called.
const CONSTRAINTS: [&str; 8] =
    ["max_result_bytes", "timeout", "rate", "redact", "max_", "min_", "allowed_", "denied_"];

/// Outcomes that are rarer than keys, decisions and constraints, and happen all the same.
const OUTCOMES: [&str; 47] = [
    "a list against what would be sent",
    "narrowed by max_",
    "narrowed by min_",
    "a number within bounds",
    "a minimum above the maximum",
    "not a number",
    "no object on the way",
    "an array without elements",
    "a default within bounds",
    "a default out of bounds",
    "a bound, no argument and no default",
    "allowed",
    "not allowed",
    "denied",
    "not denied",
    "a default that is allowed",
    "no default that is allowed",
    "a default that is not denied",
    "no default, or a denied one",
    "a null where values are denied",
    "fits no argument",
    "an argument called like the constraint",
    "an argument called like the rest",
    "an argument in an object",
    "a name with a dot in it",
    "a list in the plural for one in the singular",
    "several arguments narrowed",
    "several rules that could be named",
    "DENY beside a misfit",
    "invalid_input",
    "denied by a constraint",
    "a condition that holds",
    "a condition that does not",
    "a condition that cannot be evaluated",
    "such a condition in shadow",
    "a rule in shadow",
    "several rules matched",
    "a rule that matches everything",
    "the default DENY",
    "the default ALLOW",
    "the default REQUIRE_APPROVAL",
    "several files",
    "an approval",
    "several approvals",
    "a definition",
    "several rates",
    "a reason that a person wrote",
];

/// Calls by what they reached.
#[derive(Default)]
pub struct Coverage {
    calls: usize,
    counts: BTreeMap<Met, usize>,
}

/// The name of something a call met, in two parts: a key and whether it fits, say.
type Met = (&'static str, &'static str);

impl Coverage {
    pub fn add(&mut self, policy: &[File], call: &Call, answer: &Answer) {
        self.calls += 1;
        let rules: Vec<&Rule> = policy.iter().flat_map(|file| &file.rules).collect();
        let mut met: Vec<Met> = Vec::new();
        for rule in &rules {
            for (key, patterns) in &rule.on {
                let fits = if key_fits(key, patterns, call) { "fits" } else { "does not fit" };
                met.push((key, fits));
            }
            if unmet(rule, call).is_empty() {
                Self::add_rule(rule, call, answer, &mut met);
            }
        }
        met.push(("decided", answer.decision));
        met.extend(answer.seen.iter().map(|seen| outcome(seen)));
        met.extend(of_answer(policy, call, answer).map(outcome));
        met.sort_unstable();
        met.dedup();
        for one in met {
            *self.counts.entry(one).or_default() += 1;
        }
    }

    fn add_rule(rule: &Rule, call: &Call, answer: &Answer, met: &mut Vec<Met>) {
        let truth = condition(rule.when.as_ref(), call);
        if rule.when.is_some() {
            met.push(outcome(match truth {
                Truth::Holds => "a condition that holds",
                Truth::DoesNot => "a condition that does not",
                Truth::CannotBeEvaluated if rule.shadow => "such a condition in shadow",
                Truth::CannotBeEvaluated => "a condition that cannot be evaluated",
            }));
        }
        if truth == Truth::Holds && !rule.shadow {
            met.push(("matched", rule.decision));
            met.extend(rule.on.is_empty().then(|| outcome("a rule that matches everything")));
            met.extend(rule.constraints.iter().map(|(key, _)| ("constraint", constraint(key))));
            let told = rule.reason.is_some() && answer.reason == rule.reason;
            met.extend(told.then(|| outcome("a reason that a person wrote")));
        }
    }

    /// Everything that is too rare; each key, decision and constraint in one of a hundred calls, each outcome in one
    /// of a thousand.
    pub fn gaps(&self) -> Vec<String> {
        let keys = KEYS.iter().flat_map(|key| [(*key, "fits"), (*key, "does not fit")]);
        let decisions = DECISIONS.iter().flat_map(|one| [("decided", *one), ("matched", *one)]);
        let often = keys.chain(decisions).chain(CONSTRAINTS.map(|one| ("constraint", one)));
        let seldom = OUTCOMES.map(outcome).into_iter();
        let wanted = often.map(|one| (one, 100)).chain(seldom.map(|one| (one, 1_000)));
        wanted
            .map(|(one, part)| (one, self.counts.get(&one).copied().unwrap_or(0), part))
            .filter(|(_, count, part)| count * part < self.calls)
            .map(|((of, one), count, part)| {
                format!("{of} {one}: {count} of {}, less than one of {part}", self.calls)
            })
            .collect()
    }

    /// How often each thing was met, for people.
    pub fn table(&self) -> String {
        let share =
            |count: usize| format!("{}.{:02} %", count * 100 / self.calls, count * 10_000 / self.calls % 100);
        let lines = self
            .counts
            .iter()
            .map(|((of, one), count)| format!("{count:>8} {:>9}  {of} {one}", share(*count)));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn outcome(name: &'static str) -> Met {
    ("outcome:", name)
}

/// The constraint of a key, whatever the argument.
fn constraint(key: &str) -> &'static str {
    // Those that are whole names stand first.
    CONSTRAINTS.into_iter().find(|known| key.starts_with(known)).unwrap()
}

fn of_answer(policy: &[File], call: &Call, answer: &Answer) -> impl Iterator<Item = &'static str> {
    let by_default = answer.rules.is_empty();
    let met = [
        (answer.narrowed.len() > 1 && answer.misfits.is_empty(), "several arguments narrowed"),
        (answer.rules.len() > 1, "several rules that could be named"),
        (
            answer.matched.iter().any(|(_, one)| *one == "DENY") && !answer.misfits.is_empty(),
            "DENY beside a misfit",
        ),
        (answer.misfits.iter().any(|(_, code)| *code == Code::Invalid), "invalid_input"),
        (answer.misfits.iter().any(|(_, code)| *code == Code::Denied), "denied by a constraint"),
        (!answer.shadowed.is_empty(), "a rule in shadow"),
        (answer.matched.len() > 1, "several rules matched"),
        (by_default && answer.decision == "DENY", "the default DENY"),
        (by_default && answer.decision == "ALLOW", "the default ALLOW"),
        (by_default && answer.decision == "REQUIRE_APPROVAL", "the default REQUIRE_APPROVAL"),
        (policy.len() > 1, "several files"),
        (!answer.approvals.is_empty(), "an approval"),
        (answer.approvals.len() > 1, "several approvals"),
        (call.schema.is_some(), "a definition"),
        (answer.rates.len() > 1, "several rates"),
    ];
    met.into_iter().filter(|(is_met, _)| *is_met).map(|(_, name)| name)
}
