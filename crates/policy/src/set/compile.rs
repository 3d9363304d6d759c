//! From files to a policy.

use std::collections::HashMap;

use ringfence_document::{Diagnostic, Place};
use ringfence_types::{Decision, Digest, RuleName};
use smol_str::SmolStr;

use super::{Compiled, PolicySet, Rule};
use crate::decide::Default;
use crate::index::Index;
use crate::limits::RULES_MAX;
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

pub(super) fn compile(sources: &[Source], _vocabulary: &Vocabulary) -> Result<Compiled, Vec<Diagnostic>> {
    let mut reading = Reading::default();
    for source in sources {
        reading.take(source);
    }
    reading.check_names();
    let Ok(name) = RuleName::new(DEFAULT_RULE) else { return Err(reading.diagnostics) };
    let (errors, warnings): (Vec<_>, Vec<_>) =
        reading.diagnostics.into_iter().partition(Diagnostic::is_error);
    if !errors.is_empty() {
        return Err(errors.into_iter().chain(warnings).collect());
    }
    let rules: Vec<Rule> = reading
        .rules
        .into_iter()
        .map(|(_, rule)| Rule { matcher: rule.matcher, effect: rule.effect })
        .collect();
    let set = PolicySet {
        index: Index::new(rules.iter().map(|rule| &rule.matcher)),
        rules,
        default: Default { decision: reading.default.unwrap_or(Decision::Deny), name },
        digest: digest(sources),
    };
    Ok(Compiled { set, warnings })
}

// === impl Reading ===

impl Reading {
    fn take(&mut self, source: &Source) {
        match source.language {
            Language::Yaml => self.take_yaml(source),
            Language::Cedar | Language::Dogwood => {
                let message = format!("policies in {} are not in this version", source.language.as_str());
                self.diagnostics.push(Diagnostic::error(source.name.as_str(), Place::WHOLE, message));
            }
        }
    }

    fn take_yaml(&mut self, source: &Source) {
        let Some(file) = yaml::read(source, &mut self.diagnostics) else { return };
        self.default = self.default.max(Some(file.default));
        for rule in file.rules {
            if let Some((_, place)) = &rule.when {
                let message = "`when` is not in this version";
                self.diagnostics.push(Diagnostic::error(source.name.as_str(), *place, message));
            }
            self.rules.push((source.name.as_str().into(), rule));
        }
        if self.rules.len() > RULES_MAX {
            let message = format!("more than {RULES_MAX} rules in all files together");
            self.diagnostics.push(Diagnostic::error(source.name.as_str(), Place::WHOLE, message));
        }
    }

    /// A name stands for one rule, in all files together: the log says which rule decided by it.
    fn check_names(&mut self) {
        let mut seen: HashMap<&str, (&SmolStr, Place)> = HashMap::new();
        for (source, rule) in &self.rules {
            let name = rule.effect.name.as_str();
            match seen.get(name) {
                None => {
                    seen.insert(name, (source, rule.place));
                }
                Some((first, place)) => {
                    let message = format!("two rules are called `{name}`");
                    let hint = format!("the first is at {first}:{}:{}", place.line, place.column);
                    self.diagnostics
                        .push(Diagnostic::error(source.clone(), rule.place, message).with_hint(hint));
                }
            }
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
