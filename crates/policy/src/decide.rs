//! From the rules that apply to what is decided.

use ringfence_types::{Code, Decision, RuleName};

use crate::constraint::{Fitted, apply};
use crate::rule::{ApprovalTerms, Effect};
use crate::{Approval, Determining, Misfit, Obligations, RateLimit, Request, Shadowed, Verdict};

/// What holds for actions that no rule matches.
#[derive(Debug, Clone)]
pub(crate) struct Default {
    pub decision: Decision,
    /// The name its approval is filed under.
    pub name: RuleName,
}

/// The rules that apply to a request, in the order of the files.
#[derive(Debug, Default)]
pub(crate) struct Applicable<'s> {
    pub enforced: Vec<&'s Effect>,
    pub shadowed: Vec<Shadowed>,
    /// The first rule that could not be evaluated.
    pub failed: Option<Misfit>,
}

// === impl Applicable ===

impl<'s> Applicable<'s> {
    /// Takes in a rule that applies.
    pub(crate) fn add(&mut self, effect: &'s Effect) {
        if effect.shadow {
            self.shadowed.push(Shadowed { rule: effect.name.clone(), decision: effect.decision });
        } else {
            self.enforced.push(effect);
        }
    }

    /// Takes in a rule that could not be evaluated: it refuses; in shadow it would have.
    pub(crate) fn add_failed(&mut self, rule: &RuleName, shadow: bool, message: &str) {
        if shadow {
            self.shadowed.push(Shadowed { rule: rule.clone(), decision: Decision::Deny });
        } else if self.failed.is_none() {
            let reason = format!("Rule `{rule}` could not be evaluated, so this is refused: {message}.");
            self.failed = Some(Misfit { code: Code::DeniedByPolicy, rule: rule.clone(), reason });
        }
    }

    /// What follows from all of them.
    pub(crate) fn verdict(self, default: &Default, request: &Request<'_>) -> Verdict {
        let constraints = self.enforced.iter().flat_map(|effect| {
            effect.constraints.arguments.iter().map(|constraint| (&effect.name, constraint))
        });
        let Fitted { arguments, narrowed, misfit } = apply(constraints, request.arguments, request.schema);
        let misfit = self.failed.or(misfit);
        let strictest = strictest(&self.enforced);
        let (decision, rule, reason) = decision(strictest, misfit.as_ref(), default);
        let determining =
            |effect: &&Effect| Determining { rule: effect.name.clone(), decision: effect.decision };
        Verdict {
            decision,
            rule,
            reason,
            matched: self.enforced.iter().map(determining).collect(),
            arguments,
            narrowed,
            misfit,
            obligations: obligations(&self.enforced),
            approvals: approvals(&self.enforced, default),
            shadowed: self.shadowed,
        }
    }
}

/// The strictest rule; of several the first.
fn strictest<'s>(enforced: &[&'s Effect]) -> Option<&'s Effect> {
    let mut strictest: Option<&Effect> = None;
    for effect in enforced {
        if strictest.is_none_or(|other| effect.decision > other.decision) {
            strictest = Some(effect);
        }
    }
    strictest
}

/// The decision, the rule that made it and what the agent is told. A rule that says DENY gives the reason even where
/// a constraint would refuse as well: it is what a person wrote.
fn decision(
    strictest: Option<&Effect>,
    misfit: Option<&Misfit>,
    default: &Default,
) -> (Decision, Option<RuleName>, String) {
    match (strictest, misfit) {
        (Some(effect), None) => (effect.decision, Some(effect.name.clone()), effect.reason.clone()),
        (Some(effect), Some(_)) if effect.decision == Decision::Deny => {
            (Decision::Deny, Some(effect.name.clone()), effect.reason.clone())
        }
        (_, Some(misfit)) => (Decision::Deny, Some(misfit.rule.clone()), misfit.reason.clone()),
        (None, None) => {
            let reason = match default.decision {
                Decision::Deny => "No rule of the policy allows this.",
                Decision::RequireApproval => {
                    "No rule of the policy covers this, so a person has to approve it."
                }
                Decision::Allow | Decision::AllowWithConstraints => "The policy allows what no rule covers.",
            };
            (default.decision, None, reason.to_owned())
        }
    }
}

/// The strictest of each kind; rates count by rule.
fn obligations(enforced: &[&Effect]) -> Obligations {
    let mut all = Obligations::default();
    for effect in enforced {
        let constraints = &effect.constraints;
        all.timeout = [all.timeout, constraints.timeout].into_iter().flatten().min();
        all.max_result_bytes =
            [all.max_result_bytes, constraints.max_result_bytes].into_iter().flatten().min();
        all.rates.extend(constraints.rate.map(|rate| RateLimit { rule: effect.name.clone(), rate }));
        for pointer in &constraints.redact {
            if !all.redact.contains(pointer) {
                all.redact.push(pointer.clone());
            }
        }
    }
    all
}

/// One for each rule that asks for approval, or that of the default.
fn approvals(enforced: &[&Effect], default: &Default) -> Vec<Approval> {
    let of = |rule: &RuleName, terms: &ApprovalTerms| Approval {
        rule: rule.clone(),
        approvers: terms.approvers.clone(),
        quorum: terms.quorum,
        expires: terms.expires,
    };
    if enforced.is_empty() && default.decision == Decision::RequireApproval {
        return vec![of(&default.name, &ApprovalTerms::default())];
    }
    enforced.iter().filter_map(|effect| Some(of(&effect.name, effect.approval.as_ref()?))).collect()
}
