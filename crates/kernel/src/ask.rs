//! What is asked, of whatever kind: what the one path takes through its steps.

use std::borrow::Cow;
use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::{ConversationName, Digest, ServerName};

use crate::proposal::digest_of;
use crate::record::Subject;
use crate::spawn::Scopes;
use crate::target::Target;
use crate::{
    Call, EgressCall, EgressProposal, ModelCall, ModelProposal, Proposal, Run, SpawnCall, SpawnProposal,
};

/// A proposal of any kind.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub run: Arc<Run>,
    pub what: What,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Something of a tool server.
    Server {
        /// Of which.
        server: ServerName,
        /// What.
        call: Call,
    },
    /// Something of a model.
    Model(Box<ModelCall>),
    /// Something of a host.
    Egress(EgressCall),
    /// The start of another run.
    Spawn(Box<SpawnCall>),
}

impl From<Proposal> for Ask {
    fn from(proposal: Proposal) -> Self {
        Self { run: proposal.run, what: What::Server { server: proposal.server, call: proposal.call } }
    }
}

impl From<ModelProposal> for Ask {
    fn from(proposal: ModelProposal) -> Self {
        Self { run: proposal.run, what: What::Model(Box::new(proposal.call)) }
    }
}

impl From<EgressProposal> for Ask {
    fn from(proposal: EgressProposal) -> Self {
        Self { run: proposal.run, what: What::Egress(proposal.call) }
    }
}

impl From<SpawnProposal> for Ask {
    fn from(proposal: SpawnProposal) -> Self {
        Self { run: proposal.run, what: What::Spawn(Box::new(proposal.call)) }
    }
}

// === impl Ask ===

impl Ask {
    pub(crate) fn target(&self) -> Target {
        match &self.what {
            What::Server { server, call } => Target::tool(server, call.tool_name()),
            What::Model(call) => {
                Target::Model { model: call.model.clone(), operation: call.operation.clone() }
            }
            What::Egress(call) => Target::Host { host: call.host.clone(), port: call.port },
            What::Spawn(call) => Target::Agent { agent: call.agent().clone() },
        }
    }

    /// What suspensions are held against.
    pub(crate) fn scopes(&self) -> Scopes {
        Scopes::of(&self.run, Some(&self.target()))
    }

    /// Whose action, and on what.
    pub(crate) fn subject(&self) -> Subject {
        let named = self.conversation();
        let subject = Subject::of(&self.run, self.target());
        Subject { conversation: subject.conversation.clone().or(named), ..subject }
    }

    /// The conversation that the request itself names.
    fn conversation(&self) -> Option<ConversationName> {
        match &self.what {
            What::Server { .. } | What::Egress(_) | What::Spawn(_) => None,
            What::Model(call) => call.conversation.clone(),
        }
    }

    /// What rules see as the arguments.
    pub(crate) fn arguments(&self) -> Object {
        match &self.what {
            What::Server { call, .. } => call.arguments(),
            What::Model(call) => call.arguments(),
            What::Egress(call) => call.arguments(),
            What::Spawn(call) => call.written().clone(),
        }
    }

    /// What is kept of it with these arguments, which are those that [`Ask::arguments`] gave.
    pub(crate) fn recorded(&self, arguments: &Object) -> Cow<'_, [u8]> {
        match &self.what {
            What::Server { call, .. } => call.recorded(arguments).to_canonical().into(),
            What::Model(call) => Cow::Borrowed(&call.request),
            What::Egress(_) | What::Spawn(_) => arguments.to_canonical().into(),
        }
    }

    /// What tells it from everything else that could be asked of the same.
    pub(crate) fn requested(&self, arguments: &Object) -> Digest {
        match &self.what {
            What::Server { call, .. } => digest_of(&call.recorded(arguments)),
            What::Model(call) => Digest::of(&call.request),
            What::Egress(_) | What::Spawn(_) => digest_of(arguments),
        }
    }

    pub(crate) fn model(&self) -> Option<&ModelCall> {
        match &self.what {
            What::Server { .. } | What::Egress(_) | What::Spawn(_) => None,
            What::Model(call) => Some(call),
        }
    }
}
