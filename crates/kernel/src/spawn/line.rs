//! Who stands above a run, and what it was given.

use std::time::Duration;

use ringfence_json::{Object, Value};
use ringfence_types::{AgentName, Budget, Money, RunId};

use crate::record::{Damaged, Members, milliseconds};

/// A run that stands above another: it started it, or what started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Which.
    pub run: RunId,
    /// Whose run it is; of the same workspace.
    pub agent: AgentName,
}

/// What one run was given, beside what its agent's configuration says: whichever is less holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunBounds {
    /// What it may spend in its whole life.
    pub budget: Budget,
    /// Actions.
    pub actions: Option<u64>,
    /// From its first action to its end.
    pub wall: Option<Duration>,
    /// Bytes of what it wrote that whoever started it is given at a time.
    pub result_bytes: Option<u64>,
}

// === impl Ancestor ===

impl Ancestor {
    /// All of them, as entries have them; nothing where there are none.
    pub(crate) fn list(all: &[Self]) -> Option<Value> {
        let one = |ancestor: &Self| {
            Object::new().with("run", ancestor.run.to_string()).with("agent", &ancestor.agent)
        };
        (!all.is_empty()).then(|| all.iter().map(one).collect::<Vec<_>>().into())
    }

    /// Reads what [`Ancestor::list`] writes, from the member `ancestors`.
    pub(crate) fn read_list(members: Members<'_>) -> Result<Vec<Self>, Damaged> {
        members.objects("ancestors", |each| Ok(Self { run: each.parse("run")?, agent: each.parse("agent")? }))
    }
}

// === impl RunBounds ===

impl RunBounds {
    /// Whether nothing is bounded.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn body(&self) -> Object {
        Object::new()
            .with_some("usd_nanos", self.budget.usd)
            .with_some("tokens", self.budget.tokens)
            .with_some("actions", self.actions)
            .with_some("wall_ms", self.wall.map(milliseconds))
            .with_some("result_bytes", self.result_bytes)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let number = |name: &str| members.0.contains(name).then(|| members.number(name)).transpose();
        let usd = number("usd_nanos")?.map(Money::from_nanos);
        Ok(Self {
            budget: Budget { usd, tokens: number("tokens")?, per: None },
            actions: number("actions")?,
            wall: number("wall_ms")?.map(Duration::from_millis),
            result_bytes: number("result_bytes")?,
        })
    }
}
