//! A policy, compiled.

mod compile;

use std::fmt;

use ringfence_document::Diagnostic;
use ringfence_types::{Decision, Digest};

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
        let subject = Subject::new(request);
        let mut applicable = Applicable::default();
        for rule in self.matching(&subject) {
            applicable.add(&rule.effect);
        }
        applicable.verdict(&self.default, request)
    }

    /// Whether there can be arguments with which this would not be denied. Says no only when that is certain, so a
    /// tool that is hidden by it is denied whatever is sent. The request's own arguments are not looked at.
    pub fn may_ever_allow(&self, request: &Request<'_>) -> bool {
        let subject = Subject::new(request);
        let enforced = || self.matching(&subject).filter(|rule| !rule.effect.shadow);
        let is_denied = enforced().any(|rule| rule.effect.decision == Decision::Deny);
        let has_permit = enforced().any(|rule| rule.effect.decision != Decision::Deny);
        !is_denied && (has_permit || self.default.decision != Decision::Deny)
    }

    /// SHA-256 over all files, their languages and their order: the policy's version.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The rules whose `match` holds, in the order of the files.
    fn matching<'s>(&'s self, subject: &Subject<'_>) -> impl Iterator<Item = &'s Rule> + use<'s> {
        let mut numbers: Vec<u32> = Vec::with_capacity(8);
        self.index.visit(subject, &mut |number| {
            if self.rule(number).is_some_and(|rule| rule.matcher.matches(subject)) {
                numbers.push(number);
            }
        });
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| self.rule(number))
    }

    fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(number).ok()?)
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySet({} rules, {})", self.rules.len(), self.digest.short())
    }
}
