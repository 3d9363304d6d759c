//! One request as Cedar sees it: principal, action, resource, and the match keys as context.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::LazyLock;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, EvalResult, Expression,
    RestrictedExpression,
};
use ringfence_types::Kind;

use super::value::{UNREPRESENTABLE, Values};
use crate::schema::Shape;
use crate::{Key, Request};

/// The types of entities, parsed once.
pub(super) struct Types {
    pub(super) agent: EntityTypeName,
    pub(super) workspace: EntityTypeName,
    pub(super) action: EntityTypeName,
    pub(super) server: EntityTypeName,
    pub(super) model: EntityTypeName,
    pub(super) host: EntityTypeName,
    pub(super) unrepresentable: EntityTypeName,
}

pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| Types {
    agent: type_name("Agent"),
    workspace: type_name("Workspace"),
    action: type_name("Action"),
    server: type_name("Server"),
    model: type_name("Model"),
    host: type_name("Host"),
    unrepresentable: type_name(UNREPRESENTABLE),
});

#[expect(clippy::expect_used, reason = "only called with the identifiers above, which are names of types")]
fn type_name(name: &str) -> EntityTypeName {
    name.parse().expect("an identifier is the name of a type")
}

/// An entity of one of the types above.
pub(super) fn entity(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

/// Why an expression has no value, in Cedar's words.
pub(super) type Failure = String;

/// What Cedar expressions of one decision are evaluated against. Made from typed values when the first expression
/// asks, and once; the arguments only if an expression reads them.
pub(crate) struct Facts<'r> {
    request: &'r Request<'r>,
    scope: OnceCell<Scope>,
    entities: OnceCell<Result<Entities, Failure>>,
    with_input: OnceCell<Result<cedar_policy::Request, Failure>>,
    without_input: OnceCell<Result<cedar_policy::Request, Failure>>,
}

/// Who does what to what.
pub(super) struct Scope {
    pub(super) principal: EntityUid,
    pub(super) workspace: EntityUid,
    pub(super) action: EntityUid,
    /// The group of the action's kind; the action itself where it is of no tool.
    pub(super) group: EntityUid,
    pub(super) resource: EntityUid,
}

// === impl Facts ===

impl<'r> Facts<'r> {
    /// Of that request; nothing is made yet.
    pub(crate) fn new(request: &'r Request<'r>) -> Self {
        Self {
            request,
            scope: OnceCell::new(),
            entities: OnceCell::new(),
            with_input: OnceCell::new(),
            without_input: OnceCell::new(),
        }
    }

    /// The principal, action and resource.
    pub(super) fn scope(&self) -> &Scope {
        self.scope.get_or_init(|| Scope::of(self.request))
    }

    /// Whether the expression holds.
    pub(super) fn holds(&self, expression: &Expression, reads_input: bool) -> Result<bool, Failure> {
        let cell = if reads_input { &self.with_input } else { &self.without_input };
        let request = cell.get_or_init(|| self.ask(reads_input)).as_ref().map_err(Clone::clone)?;
        let entities =
            self.entities.get_or_init(|| self.scope().entities()).as_ref().map_err(Clone::clone)?;
        match cedar_policy::eval_expression(request, entities, expression) {
            Ok(EvalResult::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(error) => Err(super::explain::evaluation(&error)),
        }
    }

    fn ask(&self, with_input: bool) -> Result<cedar_policy::Request, Failure> {
        let unusable = |_| "the request cannot be represented in Cedar".to_owned();
        let context = Context::from_pairs(self.pairs(with_input)).map_err(unusable)?;
        let scope = self.scope();
        let (principal, action, resource) =
            (scope.principal.clone(), scope.action.clone(), scope.resource.clone());
        cedar_policy::Request::new(principal, action, resource, context, None)
            .map_err(|_| "the request cannot be represented in Cedar".to_owned())
    }

    fn pairs(&self, with_input: bool) -> Vec<(String, RestrictedExpression)> {
        let request = self.request;
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let texts = |values: &mut dyn Iterator<Item = &str>| RestrictedExpression::new_set(values.map(text));
        let always = [
            ("kind", text(request.kind.as_str())),
            ("organization", text(request.organization)),
            ("workspace", text(request.workspace)),
            ("environment", text(request.environment)),
            ("agent", text(request.agent)),
            ("action_type", text(request.action_type.as_str())),
            ("role", texts(&mut request.roles.iter().map(ringfence_types::Role::as_str))),
            ("labels", texts(&mut request.labels.iter().map(smol_str::SmolStr::as_str))),
        ];
        let host = request.host.map(|host| Key::Host.normalized(host));
        let perhaps = [
            ("user", request.user),
            ("server", request.server),
            ("tool", request.tool),
            ("model", request.model),
            ("host", host.as_deref()),
            ("capability", request.capability),
            ("action", request.action),
            ("risk", request.risk),
        ];
        let perhaps = perhaps.into_iter().filter_map(|(name, value)| Some((name, text(value?))));
        let mut pairs: Vec<_> =
            always.into_iter().chain(perhaps).map(|(name, value)| (name.to_owned(), value)).collect();
        if with_input {
            let shape = request.schema.map_or(&Shape::Unknown, |schema| schema.shape());
            let values = Values { unrepresentable: &TYPES.unrepresentable };
            pairs.extend(values.record(request.arguments, shape).map(|input| ("input".to_owned(), input)));
        }
        pairs
    }
}

// === impl Scope ===

impl Scope {
    fn of(request: &Request<'_>) -> Self {
        let group = entity(&TYPES.action, request.kind.as_str());
        let action = match (request.kind, request.server, request.tool) {
            (Kind::ToolCall, Some(server), Some(tool)) => entity(&TYPES.action, &format!("{server}/{tool}")),
            _ => group.clone(),
        };
        Self {
            principal: entity(&TYPES.agent, &format!("{}/{}", request.workspace, request.agent)),
            workspace: entity(&TYPES.workspace, request.workspace),
            action,
            group,
            resource: resource(request),
        }
    }

    /// The agent in its workspace, the action in its group.
    fn entities(&self) -> Result<Entities, Failure> {
        let mut entities =
            vec![Entity::new_no_attrs(self.principal.clone(), HashSet::from([self.workspace.clone()]))];
        if self.action != self.group {
            entities.push(Entity::new_no_attrs(self.action.clone(), HashSet::from([self.group.clone()])));
        }
        Entities::from_entities(entities, None)
            .map_err(|_| "the request cannot be represented in Cedar".to_owned())
    }
}

/// What is acted on: the server of a tool, the model, the host; where there is none of these, the workspace.
fn resource(request: &Request<'_>) -> EntityUid {
    let host = request.host.map(|host| Key::Host.normalized(host));
    let host = host.as_deref();
    let candidates = match request.kind {
        Kind::ModelCall => {
            [(&TYPES.model, request.model), (&TYPES.host, host), (&TYPES.server, request.server)]
        }
        Kind::Egress => [(&TYPES.host, host), (&TYPES.server, request.server), (&TYPES.model, request.model)],
        _ => [(&TYPES.server, request.server), (&TYPES.host, host), (&TYPES.model, request.model)],
    };
    let found = candidates.into_iter().find_map(|(of, name)| Some(entity(of, name?)));
    found.unwrap_or_else(|| entity(&TYPES.workspace, request.workspace))
}
