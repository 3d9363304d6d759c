//! What a reader of a policy would miss.

mod egress;
mod fitting;
mod reads;
mod redundant;
mod words;

use ringfence_document::{Diagnostic, Place};
use smol_str::SmolStr;

use crate::rule::Effect;
use crate::set::Rule;
use crate::{PolicySet, Vocabulary};

/// Where a rule of `safety-policy.yaml` was written.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The file.
    pub source: SmolStr,
    /// The name of the rule.
    pub place: Place,
    /// For each test of its matcher, each pattern.
    pub patterns: Vec<Vec<Place>>,
}

/// Everything there is to say about a policy that is right as such. `origins` are in the order of the set's rules.
pub(crate) fn lint(set: &PolicySet, origins: &[Origin], vocabulary: &Vocabulary) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    found.extend(reads::no_reads(set, origins, vocabulary));
    found.extend(reads::no_model_calls(set, origins, vocabulary));
    found.extend(reads::no_spawns(set, origins, vocabulary));
    found.extend(egress::check(set, origins, vocabulary));
    found.extend(shadows(set, origins));
    for (rule, origin) in set.rules.iter().zip(origins) {
        words::check(rule, origin, vocabulary, &mut found);
        fitting::check(rule, origin, vocabulary, &mut found);
    }
    redundant::check(set, origins, &mut found);
    found
}

/// Rules in shadow are easily forgotten there.
fn shadows(set: &PolicySet, origins: &[Origin]) -> Option<Diagnostic> {
    let in_shadow: Vec<(&Effect, &Origin)> = set
        .rules
        .iter()
        .zip(origins)
        .filter(|(rule, _)| rule.effect.shadow)
        .map(|(rule, origin)| (&rule.effect, origin))
        .collect();
    let (_, origin) = in_shadow.first()?;
    let names: Vec<String> =
        in_shadow.iter().take(10).map(|(effect, _)| format!("`{}`", effect.name)).collect();
    let more = if in_shadow.len() > names.len() { ", …" } else { "" };
    let message = format!("in shadow, so recorded and without effect: {}{more}", names.join(", "));
    Some(Diagnostic::warning(origin.source.clone(), origin.place, message))
}

/// Whether a rule can let something through.
fn permits(rule: &Rule) -> bool {
    !rule.effect.shadow && rule.effect.decision != ringfence_types::Decision::Deny
}
