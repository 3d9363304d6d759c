//! The terms on which a model call was cleared.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::Money;

use super::Meter;
use super::demand::{Demand, ModelCall};
use crate::record::{Damaged, Members};
use crate::setup::ModelSetup;

/// What was set aside for a call at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reservation {
    pub usd: Money,
    pub tokens: u64,
}

/// What a clearance of a model call holds beside what every clearance holds.
#[derive(Debug)]
pub(crate) struct Terms {
    pub call: ModelCall,
    pub setup: Arc<ModelSetup>,
    /// The model that the agent named, if that is another.
    pub named: Option<Arc<ModelSetup>>,
    /// As the rules left it.
    pub demand: Demand,
    /// Tokens that each answer may have: what the provider is told.
    pub output: Option<u64>,
    /// Whether that is less than what was asked for, because no more fits a budget.
    pub lowered: bool,
    pub reservation: Reservation,
    pub meter: Meter,
}

// === impl Reservation ===

impl Reservation {
    pub(crate) fn body(self) -> Object {
        Object::new().with("usd_nanos", self.usd).with("tokens", self.tokens)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let usd = Money::from_nanos(members.number("usd_nanos")?);
        Ok(Self { usd, tokens: members.number("tokens")? })
    }
}
