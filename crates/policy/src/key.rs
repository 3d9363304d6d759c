//! What a rule can match on.

use std::borrow::Cow;

use ringfence_types::Role;
use smol_str::SmolStr;

use crate::Request;

/// A key under `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Whom the node works for.
    Organization,
    /// Where the agent belongs.
    Workspace,
    /// `production`, `staging`, …
    Environment,
    /// Who acts.
    Agent,
    /// For whom.
    User,
    /// One of the roles of that user.
    Role,
    /// The kind of effect.
    Kind,
    /// The tool server.
    Server,
    /// The tool.
    Tool,
    /// The model.
    Model,
    /// The host of a request.
    Host,
    /// What the server is for.
    Capability,
    /// The tool in the policy's words.
    Action,
    /// `read` or `write`.
    ActionType,
    /// As configured.
    Risk,
    /// One of the labels that are configured.
    Labels,
}

/// A request as rules see it: what has to be brought into one form is, once.
pub(crate) struct Subject<'a> {
    pub request: &'a Request<'a>,
    host: Option<Cow<'a, str>>,
}

/// What a request has under a key.
enum Values<'a> {
    One(Option<&'a str>),
    Roles(&'a [Role]),
    Labels(&'a [SmolStr]),
}

// === impl Key ===

impl Key {
    /// Every key there is.
    pub const ALL: [Self; 16] = [
        Self::Organization,
        Self::Workspace,
        Self::Environment,
        Self::Agent,
        Self::User,
        Self::Role,
        Self::Kind,
        Self::Server,
        Self::Tool,
        Self::Model,
        Self::Host,
        Self::Capability,
        Self::Action,
        Self::ActionType,
        Self::Risk,
        Self::Labels,
    ];

    /// As it stands in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Workspace => "workspace",
            Self::Environment => "environment",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Role => "role",
            Self::Kind => "kind",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Model => "model",
            Self::Host => "host",
            Self::Capability => "capability",
            Self::Action => "action",
            Self::ActionType => "action_type",
            Self::Risk => "risk",
            Self::Labels => "labels",
        }
    }

    /// The key of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// A value as it is compared: of hosts in lower case and without the dot of the root, everything else as written.
    pub(crate) fn normalized(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Host => normalized_host(value),
            _ => Cow::Borrowed(value),
        }
    }

    fn values<'a>(self, subject: &'a Subject<'_>) -> Values<'a> {
        let request = subject.request;
        Values::One(match self {
            Self::Role => return Values::Roles(request.roles),
            Self::Labels => return Values::Labels(request.labels),
            Self::Organization => Some(request.organization),
            Self::Workspace => Some(request.workspace),
            Self::Environment => Some(request.environment),
            Self::Agent => Some(request.agent),
            Self::User => request.user,
            Self::Kind => Some(request.kind.as_str()),
            Self::Server => request.server,
            Self::Tool => request.tool,
            Self::Model => request.model,
            Self::Host => subject.host.as_deref(),
            Self::Capability => request.capability,
            Self::Action => request.action,
            Self::ActionType => Some(request.action_type.as_str()),
            Self::Risk => request.risk,
        })
    }

    /// Whether one of the values that the request has under this key passes; false if it has none.
    pub(crate) fn any(self, subject: &Subject<'_>, mut test: impl FnMut(&str) -> bool) -> bool {
        match self.values(subject) {
            Values::One(value) => value.is_some_and(test),
            Values::Roles(roles) => roles.iter().any(|role| test(role.as_str())),
            Values::Labels(labels) => labels.iter().any(|label| test(label)),
        }
    }

    /// The values that the request has under this key, for people.
    pub(crate) fn shown(self, subject: &Subject<'_>) -> Vec<String> {
        let mut values = Vec::new();
        self.any(subject, |value| {
            values.push(value.to_owned());
            false
        });
        values
    }
}

// === impl Subject ===

impl<'a> Subject<'a> {
    pub(crate) fn new(request: &'a Request<'a>) -> Self {
        Self { request, host: request.host.map(normalized_host) }
    }
}

/// DNS compares names without regard to case (RFC 4343), and `example.com.` is `example.com` (RFC 1034 §3.1).
fn normalized_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}
