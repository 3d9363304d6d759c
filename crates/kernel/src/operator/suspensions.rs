//! The switch that stops things at once.

use std::time::Duration;

use ringfence_ledger::RoomFor;
use ringfence_types::{Code, Scope, SuspensionId};

use super::{LedgerUnavailable, durable};
use crate::admit::suspended_reason;
use crate::cancel::CutOff;
use crate::limits::SUSPENSIONS_MAX;
use crate::record::{Record, SuspensionRecord};
use crate::spawn::Scopes;
use crate::text::bounded;
use crate::views::SuspensionView;
use crate::{Actor, Kernel, Run};

/// What is cut off.
#[derive(Debug, Clone)]
pub struct Suspend {
    /// Which actions: all parts that are given must hold; none covers the node.
    pub scope: Scope,
    /// Why; agents are told.
    pub reason: String,
    /// For how long; until it is lifted if absent.
    pub duration: Option<Duration>,
}

/// Why nothing was suspended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuspendError {
    /// Nobody said why.
    #[error("a suspension needs a reason: agents and the log are told")]
    NoReason,
    /// Too many.
    #[error("{SUSPENSIONS_MAX} suspensions are in force; lift some first, or suspend a wider scope")]
    TooMany,
    /// See there.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

/// Why nothing was lifted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// No such suspension in force.
    #[error("no suspension {0} is in force; `ringfence suspend --list` shows those that are")]
    Unknown(SuspensionId),
    /// See there.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

impl Kernel {
    /// Cuts off everything a scope covers: what is under way at once, what comes until it is lifted.
    ///
    /// What is under way is cut before the record is durable, and stays cut when the log cannot take it.
    ///
    /// # Errors
    /// When there is no reason, there are too many, or the log cannot take it.
    pub async fn suspend(&self, request: Suspend, by: &Actor) -> Result<SuspensionView, SuspendError> {
        if request.reason.trim().is_empty() {
            return Err(SuspendError::NoReason);
        }
        let now = self.0.clock.now();
        let record = SuspensionRecord {
            suspension: self.0.new_id(SuspensionId::new),
            scope: request.scope,
            active: true,
            reason: bounded(&request.reason),
            until: request.duration.map(|duration| now.after(duration)),
            by: by.person.clone(),
        };
        let (ticket, cut) = {
            let mut state = self.0.state.lock();
            if state.fold.suspensions.in_force(now).count() >= SUSPENSIONS_MAX {
                return Err(SuspendError::TooMany);
            }
            let ticket = state.commit(
                &self.0.clock,
                &Record::Suspension(record.clone()),
                Vec::new(),
                RoomFor::Operator,
            );
            let cut = CutOff { code: Code::Suspended, reason: suspended_reason(&record), action: None };
            (ticket, state.live.cut(&record.scope, &cut))
        };
        durable(ticket.map_err(LedgerUnavailable::from)?).await?;
        Ok(SuspensionView::of(&record, cut))
    }

    /// Lifts a suspension.
    ///
    /// # Errors
    /// When no such suspension is in force, or the log cannot take it.
    pub async fn resume(&self, suspension: SuspensionId, by: &Actor) -> Result<(), ResumeError> {
        let ticket = {
            let mut state = self.0.state.lock();
            let now = self.0.clock.now();
            let known =
                state.fold.suspensions.get(suspension, now).ok_or(ResumeError::Unknown(suspension))?;
            let record = SuspensionRecord { active: false, by: by.person.clone(), ..known.clone() };
            state.commit(&self.0.clock, &Record::Suspension(record), Vec::new(), RoomFor::Operator)
        };
        durable(ticket.map_err(LedgerUnavailable::from)?).await?;
        Ok(())
    }

    /// The suspension that keeps a run from acting, if one does.
    pub fn suspension_of(&self, run: &Run) -> Option<SuspensionView> {
        let state = self.0.state.lock();
        let found = state.fold.suspensions.covering(&Scopes::of(run, None), self.0.clock.now());
        found.map(|record| SuspensionView::of(record, 0))
    }

    /// The suspensions in force, oldest first.
    pub fn suspensions(&self) -> Vec<SuspensionView> {
        let state = self.0.state.lock();
        state
            .fold
            .suspensions
            .in_force(self.0.clock.now())
            .map(|record| SuspensionView::of(record, 0))
            .collect()
    }
}
