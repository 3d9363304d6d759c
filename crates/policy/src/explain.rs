//! Why a call is decided as it is, rule by rule.

mod show;

use ringfence_types::{Decision, RuleName};

use crate::cedar::{Facts, Outcome};
use crate::constraint::{ArgumentConstraint, Limit, apply};
use crate::key::Subject;
use crate::rule::Effect;
use crate::set::Rule;
use crate::{Key, Narrowing, PolicySet, Request, Verdict};

/// What is decided about a call, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What is decided.
    pub verdict: Verdict,
    /// Every rule there is, in the order of the files.
    pub rules: Vec<ExplainedRule>,
    /// Every constraint on arguments that applied.
    pub constraints: Vec<ExplainedConstraint>,
}

/// What a rule had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRule {
    /// Which.
    pub rule: RuleName,
    /// What it decides when it applies.
    pub decision: Decision,
    /// Whether it is in `mode: shadow`.
    pub shadow: bool,
    /// Whether it applied.
    pub standing: Standing,
}

/// Whether a rule applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It did.
    Applies,
    /// Its `match` does not fit, on these keys.
    Unmatched(Vec<Unmet>),
    /// Its `match` fits, and its `when` does not hold; of Cedar rules, that scope or conditions do not hold.
    ConditionFalse,
    /// It could not be evaluated, so the call is refused.
    Failed(String),
}

/// A key on which a rule does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The key.
    pub key: Key,
    /// The patterns of the rule, as written.
    pub wanted: Vec<String>,
    /// What the call has there; empty if nothing.
    pub got: Vec<String>,
}

/// What one constraint did, taken by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedConstraint {
    /// The rule.
    pub rule: RuleName,
    /// The constraint, as in the file: `max_replicas: 10`.
    pub constraint: String,
    /// The arguments it applies to, as dotted paths.
    pub arguments: Vec<String>,
    /// What it narrows.
    pub narrowed: Vec<Narrowing>,
    /// Why it refuses, if it does.
    pub refused: Option<String>,
}

// === impl PolicySet ===

impl PolicySet {
    /// Decides, and says why. The explanation shows arguments that a constraint narrows: it is for whoever may see
    /// the call.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let subject = Subject::new(request);
        let facts = Facts::new(request);
        let outcomes = self.cedar.evaluate(&facts);
        let in_yaml = self.rules.iter().map(|rule| explained_yaml(rule, &subject, &facts));
        let in_cedar = self.cedar.rules().iter().map(|rule| explained_cedar(&rule.effect, &outcomes));
        let applicable = self.applicable(request);
        let constraints = applicable
            .enforced
            .iter()
            .flat_map(|effect| {
                effect.constraints.arguments.iter().map(|constraint| (&effect.name, constraint))
            })
            .map(|(rule, constraint)| explained_constraint(rule, constraint, request))
            .collect();
        Explanation {
            rules: in_yaml.chain(in_cedar).collect(),
            constraints,
            verdict: applicable.verdict(&self.default, request),
        }
    }
}

fn explained(effect: &Effect, standing: Standing) -> ExplainedRule {
    ExplainedRule { rule: effect.name.clone(), decision: effect.decision, shadow: effect.shadow, standing }
}

fn explained_yaml(rule: &Rule, subject: &Subject<'_>, facts: &Facts<'_>) -> ExplainedRule {
    let mismatches: Vec<Unmet> = rule
        .matcher
        .tests
        .iter()
        .filter(|test| !test.matches(subject))
        .map(|test| Unmet {
            key: test.key,
            wanted: test.patterns.written.iter().map(ToString::to_string).collect(),
            got: test.key.shown(subject),
        })
        .collect();
    let standing = if mismatches.is_empty() {
        match rule.when.as_ref().map_or(Ok(true), |when| when.holds(facts)) {
            Ok(true) => Standing::Applies,
            Ok(false) => Standing::ConditionFalse,
            Err(message) => Standing::Failed(message),
        }
    } else {
        Standing::Unmatched(mismatches)
    };
    explained(&rule.effect, standing)
}

fn explained_cedar(rule: &Effect, outcomes: &[Outcome<'_>]) -> ExplainedRule {
    let standing = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Applies(effect) => (effect.name == rule.name).then_some(Standing::Applies),
        Outcome::Failed { effect, message } => {
            (effect.name == rule.name).then(|| Standing::Failed(message.clone()))
        }
    });
    explained(rule, standing.unwrap_or(Standing::ConditionFalse))
}

fn explained_constraint(
    rule: &RuleName,
    constraint: &ArgumentConstraint,
    request: &Request<'_>,
) -> ExplainedConstraint {
    let alone = apply(std::iter::once((rule, constraint)), request.arguments, request.schema);
    let targets = constraint.names.targets(request.arguments, request.schema);
    ExplainedConstraint {
        rule: rule.clone(),
        constraint: format!("{}: {}", constraint.written, constraint.limit),
        arguments: targets.into_iter().map(ToString::to_string).collect(),
        narrowed: alone.narrowed,
        refused: alone.misfit.map(|misfit| misfit.reason),
    }
}

impl std::fmt::Display for Limit {
    /// As in the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max(number) | Self::Min(number) => number.fmt(f),
            Self::Allowed(values) | Self::Denied(values) => {
                let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}
