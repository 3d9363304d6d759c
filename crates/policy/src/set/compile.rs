//! From files to a policy.

use std::collections::HashMap;

use ringfence_document::{Diagnostic, Place};
use ringfence_types::{Decision, Digest, RuleName};
use smol_str::SmolStr;

use super::{Compiled, PolicySet, Rule, when};
use crate::cedar::{CedarSet, Checker, Condition};
use crate::decide::Default;
use crate::index::Index;
use crate::limits::RULES_MAX;
use crate::lint::{Origin, lint};
use crate::yaml::{self, DEFAULT_RULE, WrittenRule};
use crate::{Language, Source, Vocabulary};

/// Everything read so far.
#[derive(Debug, std::default::Default)]
struct Reading {
    rules: Vec<(SmolStr, WrittenRule)>,
    /// The strictest default of the YAML files; `None` while there is none.
    default: Option<Decision>,
    diagnostics: Vec<Diagnostic>,
}

pub(super) fn compile(sources: &[Source], vocabulary: &Vocabulary) -> Result<Compiled, Vec<Diagnostic>> {
    let mut reading = Reading::default();
    for source in sources {
        reading.take(source);
    }
    let checker = Checker::of(vocabulary);
    let in_cedar = sources.iter().filter(|source| source.language == Language::Cedar);
    let cedar = CedarSet::compile(in_cedar, checker.as_ref(), &mut reading.diagnostics);
    let conditions = reading.conditions(vocabulary, checker.as_ref());
    reading.check_names(&cedar);
    sort(&mut reading.diagnostics, sources);
    let Ok(name) = RuleName::new(DEFAULT_RULE) else { return Err(reading.diagnostics) };
    let (errors, warnings): (Vec<_>, Vec<_>) =
        reading.diagnostics.into_iter().partition(Diagnostic::is_error);
    if !errors.is_empty() {
        return Err(errors.into_iter().chain(warnings).collect());
    }
    let (rules, origins): (Vec<Rule>, Vec<Origin>) = reading
        .rules
        .into_iter()
        .zip(conditions)
        .map(|((source, rule), when)| {
            let WrittenRule { place, matcher, patterns, effect, when: written } = rule;
            let written_when = written.map(|(text, _)| text);
            (Rule { matcher, when, written_when, effect }, Origin { source, place, patterns })
        })
        .unzip();
    let set = PolicySet {
        index: Index::new(rules.iter().map(|rule| &rule.matcher)),
        rules,
        cedar,
        default: Default { decision: reading.default.unwrap_or(Decision::Deny), name },
        digest: digest(sources),
    };
    let mut warnings: Vec<_> = warnings.into_iter().chain(lint(&set, &origins, vocabulary)).collect();
    sort(&mut warnings, sources);
    Ok(Compiled { set, warnings })
}

/// In the order of the files, and in each of the text.
fn sort(diagnostics: &mut [Diagnostic], sources: &[Source]) {
    diagnostics.sort_by_key(|diagnostic| {
        let file = sources.iter().position(|source| source.name == diagnostic.source.as_str());
        (file.unwrap_or(sources.len()), diagnostic.place)
    });
}

// === impl Reading ===

impl Reading {
    fn take(&mut self, source: &Source) {
        match source.language {
            Language::Yaml => self.take_yaml(source),
            // Compiled together, below.
            Language::Cedar => {}
            Language::Dogwood => {
                let message = "policies in Dogwood, with conditions over history, are not in this version";
                let diagnostic = Diagnostic::error(source.name.as_str(), Place::WHOLE, message);
                self.diagnostics.push(diagnostic.with_hint("write what needs no history in a .cedar file"));
            }
        }
    }

    fn take_yaml(&mut self, source: &Source) {
        let Some(file) = yaml::read(source, &mut self.diagnostics) else { return };
        self.default = self.default.max(Some(file.default));
        for rule in file.rules {
            self.rules.push((source.name.as_str().into(), rule));
        }
    }

    /// The `when` of each rule, if it has one.
    fn conditions(&mut self, vocabulary: &Vocabulary, checker: Option<&Checker>) -> Vec<Option<Condition>> {
        let mut conditions = Vec::with_capacity(self.rules.len());
        for (source, rule) in &self.rules {
            conditions.push(rule.when.as_ref().and_then(|(text, place)| {
                let known = (vocabulary, checker);
                when::compile((source, text, *place), &rule.matcher, known, &mut self.diagnostics)
            }));
        }
        conditions
    }

    /// A name stands for one rule, in all files together: the log says which rule decided by it.
    fn check_names(&mut self, cedar: &CedarSet) {
        let in_yaml = self.rules.iter().map(|(source, rule)| (&rule.effect.name, source, rule.place));
        let in_cedar = cedar.rules().iter().map(|rule| (&rule.effect.name, &rule.source, rule.place));
        let mut seen: HashMap<&str, (&SmolStr, Place)> = HashMap::new();
        for (name, source, here) in in_yaml.chain(in_cedar) {
            match seen.get(name.as_str()) {
                None => {
                    seen.insert(name.as_str(), (source, here));
                }
                Some((first, place)) => {
                    let message = format!("two rules are called `{name}`");
                    let hint = format!("the first is at {first}:{}:{}", place.line, place.column);
                    self.diagnostics.push(Diagnostic::error(source.clone(), here, message).with_hint(hint));
                }
            }
        }
        if self.rules.len() + cedar.rules().len() > RULES_MAX {
            let message = format!("more than {RULES_MAX} rules in all files together");
            self.diagnostics.push(Diagnostic::error("policy", Place::WHOLE, message));
        }
    }
}

/// Each part with its length before it, so that no two policies have the same bytes.
fn digest(sources: &[Source]) -> Digest {
    let mut bytes = Vec::new();
    for source in sources {
        for part in [source.language.as_str(), &source.text] {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    Digest::of(&bytes)
}
