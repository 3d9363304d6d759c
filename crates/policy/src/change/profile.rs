//! What a policy lets an agent do with one thing, whatever the arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use ringfence_json::{Number, Object, Value};
use ringfence_types::{ActionType, Decision, Kind, Rate, Role, RuleName};
use smol_str::SmolStr;

use crate::cedar::{Facts, Outcome, Outlook};
use crate::constraint::Limit;
use crate::glob::Glob;
use crate::key::{Key, Subject};
use crate::rule::{ApprovalTerms, Effect};
use crate::{InputSchema, KnownAgent, KnownModel, KnownTool, PolicySet, Request, Vocabulary};

/// Users and roles for whom a difference is looked at.
const STANDINGS_MAX: usize = 64;

/// For whom an agent runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// A user that no rule names.
    Nobody,
    User(SmolStr),
    Role(Role),
}

/// Something that an agent could use.
pub(super) struct Target<'v> {
    organization: &'v str,
    thing: Thing<'v>,
}

enum Thing<'v> {
    /// And its server's capability.
    Tool(&'v KnownTool, Option<&'v str>),
    Model(&'v KnownModel),
}

/// What is let through at most.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub decision: Option<Decision>,
    /// By path and then kind of limit.
    pub bounds: BTreeMap<(String, &'static str), Limit>,
    pub timeout: Option<Duration>,
    pub max_result_bytes: Option<u64>,
    pub rates: BTreeMap<RuleName, Rate>,
    pub redact: BTreeSet<String>,
    pub approvals: BTreeMap<RuleName, ApprovalTerms>,
    /// Rules that may hold and may not.
    pub perhaps: BTreeMap<RuleName, Decision>,
}

/// Every user and role that a rule of either policy names, and an example for each glob.
pub(super) fn standings(old: &PolicySet, new: &PolicySet) -> Vec<Standing> {
    let mut found = BTreeSet::new();
    for rule in old.rules.iter().chain(&new.rules) {
        for test in rule.matcher.tests.iter().filter(|test| matches!(test.key, Key::User | Key::Role)) {
            let examples = test.patterns.globs.iter().map(|glob: &Glob| SmolStr::new(glob.example()));
            for word in test.patterns.exact.iter().cloned().chain(examples) {
                found.extend(match test.key {
                    Key::User => Some(Standing::User(word)),
                    _ => Role::new(&word).ok().map(Standing::Role),
                });
            }
        }
    }
    found.into_iter().take(STANDINGS_MAX).collect()
}

/// Everything of an agent's workspace that it could be granted.
pub(super) fn targets<'v>(agent: &KnownAgent, vocabulary: &'v Vocabulary) -> Vec<Target<'v>> {
    let tools = vocabulary.tools.iter().filter(|tool| tool.workspace == agent.workspace).map(|tool| {
        let server = vocabulary.server(&tool.workspace, &tool.server);
        Thing::Tool(tool, server.and_then(|server| server.capability.as_deref()))
    });
    let models =
        vocabulary.models.iter().filter(|model| model.workspace == agent.workspace).map(Thing::Model);
    let organization = vocabulary.organization.as_ref().map_or("", AsRef::as_ref);
    tools.chain(models).map(|thing| Target { organization, thing }).collect()
}

/// Every rule with a condition, and all that it says.
pub(super) fn conditional(set: &PolicySet) -> BTreeMap<RuleName, (Decision, String)> {
    let in_yaml = set.rules.iter().filter_map(|rule| {
        let when = rule.written_when.as_ref()?;
        Some((&rule.effect, format!("{} when {when}", said(&rule.effect))))
    });
    let in_cedar = set
        .cedar
        .rules()
        .iter()
        .map(|rule| (&rule.effect, format!("{} when {}", said(&rule.effect), rule.condition())));
    let enforced = in_yaml.chain(in_cedar).filter(|(effect, _)| !effect.shadow);
    enforced.map(|(effect, text)| (effect.name.clone(), (effect.decision, text))).collect()
}

/// Decision and constraints in one line.
fn said(effect: &Effect) -> String {
    let constraints = &effect.constraints;
    let mut parts: Vec<String> =
        constraints.arguments.iter().map(|one| format!("{}: {}", one.written, one.limit)).collect();
    parts.extend(
        constraints.timeout.map(|timeout| format!("timeout: {}", ringfence_types::format_duration(timeout))),
    );
    parts.extend(constraints.max_result_bytes.map(|bytes| format!("max_result_bytes: {bytes}")));
    parts.extend(constraints.rate.map(|rate| format!("rate: {rate}")));
    parts.extend(constraints.redact.iter().map(|pointer| format!("redact: {pointer}")));
    parts.extend(effect.approval.as_ref().map(super::compare::terms));
    format!("{} {{{}}}", effect.decision, parts.join(", "))
}

/// Asks a policy.
pub(super) fn profile(
    set: &PolicySet,
    agent: &KnownAgent,
    target: &Target<'_>,
    standing: &Standing,
) -> Profile {
    target.ask(agent, standing, |request, schema| {
        let mut profile = Profile::default();
        let (mut denied, mut permit, mut loosest) = (false, None, None);
        let subject = Subject::new(request);
        let unconditional = set.matching(&subject).map(|rule| (&rule.effect, rule.when.is_none()));
        let facts = Facts::new(request);
        let in_cedar = set
            .cedar
            .outlook(&facts)
            .into_iter()
            .map(|outlook| (outlook.effect(), matches!(outlook, Outlook::Certain(Outcome::Applies(_)))));
        for (effect, is_certain) in unconditional.chain(in_cedar).filter(|(effect, _)| !effect.shadow) {
            match (effect.decision, is_certain) {
                (Decision::Deny, true) => denied = true,
                (decision, true) => {
                    permit = permit.max(Some(decision));
                    profile.take(effect, schema);
                }
                (decision, false) => {
                    profile.perhaps.insert(effect.name.clone(), decision);
                    if decision != Decision::Deny {
                        loosest = Some(loosest.map_or(decision, |other: Decision| other.min(decision)));
                    }
                }
            }
        }
        if denied {
            return Profile { decision: Some(Decision::Deny), ..Profile::default() };
        }
        profile.decision = permit.or(loosest).or(Some(set.default.decision));
        profile
    })
}

// === impl Profile ===

impl Profile {
    fn take(&mut self, effect: &Effect, schema: Option<&InputSchema>) {
        let constraints = &effect.constraints;
        for constraint in &constraints.arguments {
            let targets = constraint.names.targets(&Object::new(), schema);
            let paths =
                if targets.is_empty() { constraint.names.likeliest().into_iter().collect() } else { targets };
            for path in paths {
                self.bound(path.to_string(), &constraint.limit);
            }
        }
        self.timeout = [self.timeout, constraints.timeout].into_iter().flatten().min();
        self.max_result_bytes =
            [self.max_result_bytes, constraints.max_result_bytes].into_iter().flatten().min();
        self.rates.extend(constraints.rate.map(|rate| (effect.name.clone(), rate)));
        self.redact.extend(constraints.redact.iter().cloned());
        self.approvals.extend(effect.approval.clone().map(|terms| (effect.name.clone(), terms)));
    }

    fn bound(&mut self, path: String, limit: &Limit) {
        let kind = match limit {
            Limit::Max(_) => "max",
            Limit::Min(_) => "min",
            Limit::Allowed(_) => "allowed",
            Limit::Denied(_) => "denied",
        };
        let merged = match self.bounds.remove(&(path.clone(), kind)) {
            None => limit.clone(),
            Some(old) => both(old, limit),
        };
        self.bounds.insert((path, kind), merged);
    }
}

/// The two limits of one kind as one.
fn both(old: Limit, new: &Limit) -> Limit {
    let pick =
        |old: Number, new: &Number, wanted| if new.compare(&old) == wanted { new.clone() } else { old };
    match (old, new) {
        (Limit::Max(old), Limit::Max(new)) => Limit::Max(pick(old, new, std::cmp::Ordering::Less)),
        (Limit::Min(old), Limit::Min(new)) => Limit::Min(pick(old, new, std::cmp::Ordering::Greater)),
        (Limit::Allowed(old), Limit::Allowed(new)) => {
            Limit::Allowed(old.into_iter().filter(|value| new.contains(value)).collect())
        }
        (Limit::Denied(old), Limit::Denied(new)) => {
            let mut all: Vec<Value> = old.into();
            let more: Vec<Value> = new.iter().filter(|value| !all.contains(value)).cloned().collect();
            all.extend(more);
            Limit::Denied(all.into())
        }
        (old, _) => old,
    }
}

// === impl Target ===

impl Target<'_> {
    pub(super) fn name(&self) -> String {
        match &self.thing {
            Thing::Tool(tool, _) => format!("{}/{}", tool.server, tool.name),
            Thing::Model(model) => model.name.to_string(),
        }
    }

    fn ask<T>(
        &self,
        agent: &KnownAgent,
        standing: &Standing,
        ask: impl FnOnce(&Request<'_>, Option<&InputSchema>) -> T,
    ) -> T {
        let arguments = Object::new();
        let (user, roles) = match standing {
            Standing::Nobody => (None, Vec::new()),
            Standing::User(user) => (Some(user.as_str()), Vec::new()),
            Standing::Role(role) => (None, vec![role.clone()]),
        };
        let blank = Request {
            kind: Kind::ModelCall,
            organization: self.organization,
            workspace: agent.workspace.as_str(),
            environment: &agent.environment,
            agent: agent.name.as_str(),
            user,
            roles: &roles,
            server: None,
            tool: None,
            model: None,
            host: None,
            capability: None,
            action: None,
            action_type: ActionType::Write,
            risk: None,
            labels: &[],
            arguments: &arguments,
            schema: None,
        };
        match &self.thing {
            Thing::Model(model) => ask(&Request { model: Some(model.name.as_str()), ..blank }, None),
            Thing::Tool(tool, capability) => {
                let schema = tool.definition.as_ref().map(|definition| &*definition.input);
                let request = Request {
                    kind: Kind::ToolCall,
                    server: Some(tool.server.as_str()),
                    tool: Some(tool.name.as_str()),
                    capability: *capability,
                    action: Some(&tool.action),
                    action_type: tool.action_type,
                    risk: tool.risk.as_deref(),
                    labels: &tool.labels,
                    schema,
                    ..blank
                };
                ask(&request, schema)
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("anybody else"),
            Self::User(user) => write!(f, "user {user}"),
            Self::Role(role) => write!(f, "role {role}"),
        }
    }
}
