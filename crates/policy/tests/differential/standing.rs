//! What is said of each rule, beside what it should be.

use std::collections::BTreeSet;

use ringfence_policy::{Explanation, Standing};

use crate::model::{Call, File, Rule};
use crate::naive::{Truth, condition, unmet};

/// Every rule of which the explanation says something else.
pub fn differences(policy: &[File], call: &Call, explanation: &Explanation) -> Vec<String> {
    let rules: Vec<&Rule> = policy.iter().flat_map(|file| &file.rules).collect();
    if rules.len() != explanation.rules.len() {
        return vec![format!("{} of {} rules are explained", explanation.rules.len(), rules.len())];
    }
    let all = rules.into_iter().zip(&explanation.rules);
    all.filter_map(|(rule, explained)| {
        let says = (explained.rule.as_str(), explained.decision.as_str(), explained.shadow);
        let keys: BTreeSet<&str> = unmet(rule, call).into_iter().collect();
        let stands = match &explained.standing {
            Standing::Unmatched(unmet) => {
                !keys.is_empty() && unmet.iter().map(|one| one.key.as_str()).collect::<BTreeSet<_>>() == keys
            }
            standing => keys.is_empty() && is_truth(standing, condition(rule.when.as_ref(), call)),
        };
        let agrees = stands && says == (rule.name.as_str(), rule.decision, rule.shadow);
        (!agrees)
            .then(|| format!("explanation of {}: should not be {explained:?}, unmet {keys:?}", rule.name))
    })
    .collect()
}

fn is_truth(standing: &Standing, truth: Truth) -> bool {
    match standing {
        Standing::Applies => truth == Truth::Holds,
        Standing::ConditionFalse => truth == Truth::DoesNot,
        Standing::Failed(_) => truth == Truth::CannotBeEvaluated,
        Standing::Unmatched(_) => false,
    }
}
