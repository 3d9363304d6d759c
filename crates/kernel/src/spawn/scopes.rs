//! What suspensions are held against.

use ringfence_types::{RunId, Scope, ServerName};

use crate::Run;
use crate::target::Target;

/// The scope of what a run does, and those of everybody above it doing the same: what covers any of them covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scopes {
    own: Scope,
    above: Vec<Scope>,
}

// === impl Scopes ===

impl Scopes {
    /// Of a run and what it acts on, if that is anything in particular.
    pub(crate) fn of(run: &Run, target: Option<&Target>) -> Self {
        let within = |scope: Scope| match target {
            Some(target) => target.within(scope),
            None => scope,
        };
        let above = run.above.iter().map(|ancestor| {
            within(Scope {
                workspace: Some(run.workspace.clone()),
                agent: Some(ancestor.agent.clone()),
                run: Some(ancestor.run),
                ..Scope::default()
            })
        });
        Self { own: within(run.scope()), above: above.collect() }
    }

    /// Whether a scope covers this.
    pub(crate) fn covered_by(&self, scope: &Scope) -> bool {
        scope.covers(&self.own) || self.above.iter().any(|above| scope.covers(above))
    }

    /// Whose it is.
    pub(crate) fn run(&self) -> Option<RunId> {
        self.own.run
    }

    /// Which tool server it is on, if it is on one.
    pub(crate) fn server(&self) -> Option<&ServerName> {
        self.own.server.as_ref()
    }
}
