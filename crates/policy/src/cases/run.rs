//! Asks the policy one case.

use ringfence_json::Object;
use ringfence_types::{ActionType, Code, Decision, Kind};
use smol_str::SmolStr;

use super::compare::{Came, compare};
use super::{Case, CaseRequest, CaseResult};
use crate::{KnownTool, PolicySet, Request, Vocabulary};

pub(super) fn run(case: &Case, policy: &PolicySet, vocabulary: &Vocabulary) -> CaseResult {
    let known = known_tool(&case.request, vocabulary);
    let outcome = ask(&case.request, known, policy, vocabulary);
    CaseResult {
        name: case.name.clone(),
        place: case.place,
        mismatches: compare(&case.expect, &outcome),
        reached: outcome.reached(),
        reason: outcome.reason,
    }
}

/// As the gate does it: arguments that do not fit the tool's schema are refused before the policy is asked, and what
/// was narrowed has to fit as well.
fn ask(asked: &CaseRequest, known: Option<&KnownTool>, policy: &PolicySet, vocabulary: &Vocabulary) -> Came {
    let none = Object::new();
    let arguments = asked.arguments.as_ref().unwrap_or(&none);
    let schema = known.and_then(|tool| tool.definition.as_ref()).map(|definition| &*definition.input);
    if let Some(violation) = schema.and_then(|schema| schema.validate(arguments).err()) {
        return Came::refused(Code::InvalidInput, violation.message, arguments);
    }
    let roles = asked.roles.as_deref().unwrap_or_default();
    let labels = asked.labels.as_deref().or(known.map(|tool| tool.labels.as_slice())).unwrap_or_default();
    let organization = vocabulary.organization.as_ref().map(ringfence_types::OrganizationName::as_str);
    let workspace = text(asked.workspace.as_ref());
    let agent = text(asked.agent.as_ref());
    let environment = vocabulary
        .agents
        .iter()
        .find(|known| known.workspace.as_str() == workspace && known.name.as_str() == agent)
        .map_or("production", |known| &known.environment);
    let request = Request {
        kind: asked.kind.unwrap_or_else(|| kind(asked)),
        organization: asked.organization.as_deref().or(organization).unwrap_or_default(),
        workspace,
        environment: asked.environment.as_deref().unwrap_or(environment),
        agent,
        user: asked.user.as_deref(),
        roles,
        server: asked.server.as_deref(),
        tool: asked.tool.as_deref(),
        model: asked.model.as_deref(),
        host: asked.host.as_deref(),
        capability: asked.capability.as_deref().or_else(|| capability(known, vocabulary)),
        action: asked.action.as_deref().or(known.map(|tool| tool.action.as_str())).or(asked.tool.as_deref()),
        action_type: asked.action_type.or(known.map(|tool| tool.action_type)).unwrap_or(ActionType::Write),
        risk: asked.risk.as_deref().or(known.and_then(|tool| tool.risk.as_deref())),
        labels,
        arguments,
        schema,
    };
    let verdict = policy.decide(&request);
    let narrowed = verdict.arguments.as_ref();
    let unfit = narrowed.and_then(|narrowed| schema?.validate(narrowed).err());
    match unfit {
        Some(violation) if verdict.decision != Decision::Deny => {
            Came::refused(Code::InvalidInput, violation.message, arguments)
        }
        _ => Came::of(verdict, arguments),
    }
}

/// The kind that the other keys speak of.
fn kind(asked: &CaseRequest) -> Kind {
    match (&asked.tool, &asked.model, &asked.host) {
        (None, Some(_), _) => Kind::ModelCall,
        (None, None, Some(_)) => Kind::Egress,
        _ => Kind::ToolCall,
    }
}

fn text(value: Option<&SmolStr>) -> &str {
    value.map_or("", SmolStr::as_str)
}

fn known_tool<'v>(asked: &CaseRequest, vocabulary: &'v Vocabulary) -> Option<&'v KnownTool> {
    let (server, tool) = (asked.server.as_deref()?, asked.tool.as_deref()?);
    vocabulary.tools.iter().find(|known| {
        known.server.as_str() == server
            && known.name.as_str() == tool
            && asked.workspace.as_deref().is_none_or(|workspace| known.workspace.as_str() == workspace)
    })
}

fn capability<'v>(known: Option<&KnownTool>, vocabulary: &'v Vocabulary) -> Option<&'v str> {
    let tool = known?;
    vocabulary.server(&tool.workspace, &tool.server)?.capability.as_deref()
}
