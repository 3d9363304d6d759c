//! What a change of policy opens and closes.
//!
//! For every agent and everything of its workspace that it could be granted, the old and the new policy are asked what
//! they let through at most; where that differs, there is a [`ReachChange`]. Conditions (`when`, Cedar) are not solved:
//! a rule with a condition counts as one that may hold and may not, and if its own text changes, that is a change that
//! may be wider as well as narrower. So nothing that widens goes unseen, while some of what is shown may turn out to
//! be nothing.

mod compare;
mod profile;

use std::collections::BTreeSet;
use std::fmt;

use ringfence_json::Object;
use ringfence_types::{AgentName, Decision, RuleName, WorkspaceName};

use self::compare::compare;
use self::profile::{Standing, conditional, profile, standings, targets};
use crate::{PolicySet, Vocabulary};

/// Something that a new policy decides in another way than the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachChange {
    /// For whom and what.
    pub subject: ChangeSubject,
    /// What is different.
    pub differences: Vec<PolicyDifference>,
}

/// For whom and what something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSubject {
    /// An agent's use of a tool or model.
    Reach {
        /// Where the agent belongs.
        workspace: WorkspaceName,
        /// The agent.
        agent: AgentName,
        /// The tool as `server/tool`, or the model.
        target: String,
        /// For runs of a certain user or role; `None` for all others.
        whom: Option<String>,
    },
    /// A rule with a condition, wherever it applies.
    Rule(RuleName),
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDifference {
    /// What: `decision`, `max replicas`, `timeout`, `approval by rule x`, …
    pub what: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
    /// It lets through something that was not let through, or may.
    pub wider: bool,
    /// It no longer lets through something that was, or may not.
    pub narrower: bool,
}

/// Everything that differs between two policies for those that the vocabulary knows.
pub fn diff(old: &PolicySet, new: &PolicySet, vocabulary: &Vocabulary) -> Vec<ReachChange> {
    let mut changes = conditional_changes(old, new);
    let standings = standings(old, new);
    for agent in &vocabulary.agents {
        for target in targets(agent, vocabulary) {
            let differences_for = |standing: &Standing| {
                let (before, after) =
                    (profile(old, agent, &target, standing), profile(new, agent, &target, standing));
                compare(&before, &after)
            };
            let usual = differences_for(&Standing::Nobody);
            let mut add = |whom: Option<String>, differences: Vec<PolicyDifference>| {
                let (workspace, name) = (agent.workspace.clone(), agent.name.clone());
                let subject = ChangeSubject::Reach { workspace, agent: name, target: target.name(), whom };
                changes.push(ReachChange { subject, differences });
            };
            for standing in &standings {
                let differences = differences_for(standing);
                // What holds for everybody is said once.
                if !differences.is_empty() && differences != usual {
                    add(Some(standing.to_string()), differences);
                }
            }
            if !usual.is_empty() {
                add(None, usual);
            }
        }
    }
    changes
}

/// Rules with a condition that are new, gone, or do not say the same any more.
fn conditional_changes(old: &PolicySet, new: &PolicySet) -> Vec<ReachChange> {
    let (before, after) = (conditional(old), conditional(new));
    let names: BTreeSet<&RuleName> = before.keys().chain(after.keys()).collect();
    let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).map(|name| {
        let (old, new) = (before.get(name), after.get(name));
        let denies =
            |rule: Option<&(Decision, String)>| rule.map(|(decision, _)| *decision == Decision::Deny);
        let text = |rule: Option<&(Decision, String)>| {
            rule.map_or_else(|| "none".to_owned(), |(_, text)| text.clone())
        };
        let both = old.is_some() && new.is_some();
        let difference = PolicyDifference {
            what: "conditional rule".into(),
            before: text(old),
            after: text(new),
            // The same rule with another text may do both.
            wider: both || denies(new) == Some(false) || denies(old) == Some(true),
            narrower: both || denies(new) == Some(true) || denies(old) == Some(false),
        };
        ReachChange { subject: ChangeSubject::Rule(name.clone()), differences: vec![difference] }
    });
    changed.collect()
}

// === impl ReachChange ===

impl ReachChange {
    /// Whether it lets through something that was not let through, or may.
    pub fn is_wider(&self) -> bool {
        self.differences.iter().any(|difference| difference.wider)
    }

    /// Whether it no longer lets through something that was, or may not.
    pub fn is_narrower(&self) -> bool {
        self.differences.iter().any(|difference| difference.narrower)
    }

    /// For programs.
    pub fn to_object(&self) -> Object {
        let object = match &self.subject {
            ChangeSubject::Rule(rule) => Object::new().with("rule", rule),
            ChangeSubject::Reach { workspace, agent, target, whom } => Object::new()
                .with("workspace", workspace)
                .with("agent", agent)
                .with("target", target.as_str())
                .with_some("whom", whom.as_deref()),
        };
        let differences = self.differences.iter().map(|difference| {
            Object::new()
                .with("what", difference.what.as_str())
                .with("before", difference.before.as_str())
                .with("after", difference.after.as_str())
                .with("wider", difference.wider)
                .with("narrower", difference.narrower)
        });
        object
            .with("wider", self.is_wider())
            .with("narrower", self.is_narrower())
            .with("differences", differences.collect::<Vec<_>>())
    }
}

fn mark(wider: bool, narrower: bool) -> &'static str {
    match (wider, narrower) {
        (true, true) => "wider and narrower",
        (true, false) => "wider",
        (false, true) => "narrower",
        (false, false) => "different",
    }
}

impl fmt::Display for ReachChange {
    /// For people: who and what, and each difference on a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            ChangeSubject::Rule(rule) => write!(f, "rule `{rule}`")?,
            ChangeSubject::Reach { workspace, agent, target, whom } => {
                write!(f, "{workspace}/{agent} on {target}")?;
                if let Some(whom) = whom {
                    write!(f, " for {whom}")?;
                }
            }
        }
        writeln!(f, ": {}", mark(self.is_wider(), self.is_narrower()))?;
        for difference in &self.differences {
            let PolicyDifference { what, before, after, wider, narrower } = difference;
            writeln!(f, "  {what}: {before} becomes {after} ({})", mark(*wider, *narrower))?;
        }
        Ok(())
    }
}
