//! A policy, compiled.

mod compile;
mod when;

pub(crate) use self::when::can_match;

use std::fmt;

use ringfence_document::Diagnostic;
use ringfence_types::{Decision, Digest, RuleName};
use smol_str::SmolStr;

use crate::cedar::{CedarSet, Condition, Facts, Outcome, Outlook};
use crate::decide::{Applicable, Default};
use crate::index::Index;
use crate::key::Subject;
use crate::matcher::Matcher;
use crate::rule::Effect;
use crate::{Request, Source, Verdict, Vocabulary};

/// All policy files, compiled together: immutable, to be shared and swapped as a whole.
pub struct PolicySet {
    // INVARIANT: in the order of the files; `index` knows rules by their places here.
    pub(crate) rules: Vec<Rule>,
    index: Index,
    pub(crate) cedar: CedarSet,
    pub(crate) default: Default,
    digest: Digest,
}

/// What compiling gives.
#[derive(Debug)]
pub struct Compiled {
    /// The policy.
    pub set: PolicySet,
    /// What its author should know, in the order of the files.
    pub warnings: Vec<Diagnostic>,
}

/// A rule of `safety-policy.yaml`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub matcher: Matcher,
    pub when: Option<Condition>,
    /// `when`, as written.
    pub written_when: Option<SmolStr>,
    pub effect: Effect,
}

// === impl PolicySet ===

impl PolicySet {
    /// Compiles policy files. No files at all are a policy that denies everything.
    ///
    /// # Errors
    /// Everything that is wrong in any of them, at once.
    pub fn compile(sources: &[Source], vocabulary: &Vocabulary) -> Result<Compiled, Vec<Diagnostic>> {
        compile::compile(sources, vocabulary)
    }

    /// Decides. The same request has the same answer until the policy changes.
    pub fn decide(&self, request: &Request<'_>) -> Verdict {
        self.applicable(request).verdict(&self.default, request)
    }

    /// The rules that apply, of YAML and then of Cedar.
    pub(crate) fn applicable(&self, request: &Request<'_>) -> Applicable<'_> {
        let subject = Subject::new(request);
        let facts = Facts::new(request);
        let mut applicable = Applicable::default();
        for rule in self.matching(&subject) {
            match rule.when.as_ref().map_or(Ok(true), |when| when.holds(&facts)) {
                Ok(true) => applicable.add(&rule.effect),
                Ok(false) => {}
                Err(message) => applicable.add_failed(&rule.effect.name, rule.effect.shadow, &message),
            }
        }
        for outcome in self.cedar.evaluate(&facts) {
            match outcome {
                Outcome::Applies(effect) => applicable.add(effect),
                Outcome::Failed { effect, message } => {
                    applicable.add_failed(&effect.name, effect.shadow, &message);
                }
            }
        }
        applicable
    }

    /// Whether there can be arguments with which this would not be denied. Says no only when that is certain, so a
    /// tool that is hidden by it is denied whatever is sent. The request's own arguments are not looked at.
    pub fn may_ever_allow(&self, request: &Request<'_>) -> bool {
        let subject = Subject::new(request);
        let facts = Facts::new(request);
        let in_yaml = self.matching(&subject).filter_map(|rule| rule.outlook(&facts));
        let enforced: Vec<Outlook<'_>> =
            in_yaml.chain(self.cedar.outlook(&facts)).filter(|outlook| !outlook.effect().shadow).collect();
        let is_denied = enforced.iter().any(Outlook::denies);
        let has_permit = enforced.iter().any(|outlook| outlook.effect().decision != Decision::Deny);
        !is_denied && (has_permit || self.default.decision != Decision::Deny)
    }

    /// The names of all rules: those of YAML, then those of Cedar, each in the order of the files.
    pub fn rule_names(&self) -> impl Iterator<Item = &RuleName> {
        let yaml = self.rules.iter().map(|rule| &rule.effect.name);
        yaml.chain(self.cedar.rules().iter().map(|rule| &rule.effect.name))
    }

    /// SHA-256 over all files, their languages and their order: the policy's version.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The rules whose `match` holds, in the order of the files.
    pub(crate) fn matching<'s>(&'s self, subject: &Subject<'_>) -> impl Iterator<Item = &'s Rule> + use<'s> {
        self.matching_numbers(subject).into_iter().filter_map(|number| self.rule(number))
    }

    /// The places of the rules whose `match` holds.
    pub(crate) fn matching_numbers(&self, subject: &Subject<'_>) -> Vec<u32> {
        let mut numbers: Vec<u32> = Vec::with_capacity(8);
        self.index.visit(subject, &mut |number| {
            if self.rule(number).is_some_and(|rule| rule.matcher.matches(subject)) {
                numbers.push(number);
            }
        });
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(number).ok()?)
    }
}

// === impl Rule ===

impl Rule {
    /// What it will say whatever the arguments are; `None` if it does not apply.
    fn outlook(&self, facts: &Facts<'_>) -> Option<Outlook<'_>> {
        let effect = &self.effect;
        match &self.when {
            None => Some(Outlook::Certain(Outcome::Applies(effect))),
            Some(when) if when.reads_input() => Some(Outlook::Perhaps(effect)),
            Some(when) => match when.holds(facts) {
                Ok(true) => Some(Outlook::Certain(Outcome::Applies(effect))),
                Ok(false) => None,
                Err(message) => Some(Outlook::Certain(Outcome::Failed { effect, message })),
            },
        }
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySet({} rules, {})", self.rules.len() + self.cedar.rules().len(), self.digest.short())
    }
}
