//! All Cedar files, compiled.

use std::fmt;

use ringfence_document::Diagnostic;
use ringfence_types::Decision;

use super::facts::Facts;
use super::read::{CedarRule, read};
use super::scope::Slices;
use super::validate::Checker;
use crate::Source;
use crate::rule::Effect;

/// The rules of all Cedar files.
#[derive(Default)]
pub(crate) struct CedarSet {
    // INVARIANT: in the order of the files; `slices` knows rules by their places here.
    rules: Vec<CedarRule>,
    slices: Slices,
}

/// What a rule says of a request.
#[derive(Debug)]
pub(crate) enum Outcome<'s> {
    /// It applies.
    Applies(&'s Effect),
    /// It could not be evaluated, so the request is refused.
    Failed {
        /// What it would have done.
        effect: &'s Effect,
        /// Why, as the end of a sentence; nothing of the arguments.
        message: String,
    },
}

/// What a rule will say whatever the arguments are.
#[derive(Debug)]
pub(crate) enum Outlook<'s> {
    /// This.
    Certain(Outcome<'s>),
    /// That depends on the arguments.
    Perhaps(&'s Effect),
}

// === impl CedarSet ===

impl CedarSet {
    /// Compiles files, checked against what is known of tools where a checker is given. What is wrong, and what their
    /// author should know, goes into `diagnostics`; with errors among them the set is not to be used.
    pub(crate) fn compile<'a>(
        sources: impl IntoIterator<Item = &'a Source>,
        checker: Option<&Checker>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut set = Self::default();
        for source in sources {
            for read in read(source, checker, diagnostics) {
                let place = u32::try_from(set.rules.len()).unwrap_or(u32::MAX);
                set.slices.add(place, &read.policy);
                set.rules.push(read.rule);
            }
        }
        set
    }

    /// Every rule, in the order of the files.
    pub(crate) fn rules(&self) -> &[CedarRule] {
        &self.rules
    }

    /// Every rule that applies or fails, in the order of the files.
    pub(crate) fn evaluate<'s>(&'s self, facts: &Facts<'_>) -> Vec<Outcome<'s>> {
        self.candidates(facts).filter_map(|rule| rule.outcome(facts)).collect()
    }

    /// What can be said before the arguments are known: every rule that applies or fails whatever they are, or that
    /// might.
    pub(crate) fn outlook<'s>(&'s self, facts: &Facts<'_>) -> Vec<Outlook<'s>> {
        self.candidates(facts)
            .filter_map(|rule| {
                if rule.reads_input {
                    return Some(Outlook::Perhaps(&rule.effect));
                }
                rule.outcome(facts).map(Outlook::Certain)
            })
            .collect()
    }

    fn candidates<'s>(&'s self, facts: &Facts<'_>) -> impl Iterator<Item = &'s CedarRule> {
        let places = if self.rules.is_empty() { Vec::new() } else { self.slices.candidates(facts.scope()) };
        places.into_iter().filter_map(|place| self.rules.get(usize::try_from(place).ok()?))
    }
}

impl<'s> Outlook<'s> {
    /// What the rule does when it applies.
    pub(crate) fn effect(&self) -> &'s Effect {
        match self {
            Self::Certain(Outcome::Applies(effect) | Outcome::Failed { effect, .. })
            | Self::Perhaps(effect) => effect,
        }
    }

    /// Whether it refuses for certain.
    pub(crate) fn denies(&self) -> bool {
        match self {
            Self::Certain(Outcome::Applies(effect)) => effect.decision == Decision::Deny,
            Self::Certain(Outcome::Failed { .. }) => true,
            Self::Perhaps(_) => false,
        }
    }
}

impl CedarRule {
    fn outcome(&self, facts: &Facts<'_>) -> Option<Outcome<'_>> {
        match facts.holds(&self.condition, self.reads_input) {
            Ok(true) => Some(Outcome::Applies(&self.effect)),
            Ok(false) => None,
            Err(message) => Some(Outcome::Failed { effect: &self.effect, message }),
        }
    }
}

impl fmt::Debug for CedarSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CedarSet({} rules)", self.rules.len())
    }
}
