//! Waiting for what ends a run that is started here, whoever supervises it.

use std::sync::Arc;
use std::time::Duration;

use ringfence_types::{Code, RunId};

use super::{LedgerUnavailable, RunError};
use crate::fold::Phase;
use crate::limits::{LOOK, STEP_PAUSES_MS};
use crate::record::{EndedBy, RunStep};
use crate::spawn::{PARENT_ENDED, time_left};
use crate::{Actor, Kernel, Run};

impl Kernel {
    /// Returns when a run that was started here is to end: a person has stopped or killed it, its time is up, or nothing is known
    /// of it or of its agent any more. What is only suspended may be let go on.
    pub async fn run_over(&self, run: &Arc<Run>) -> (EndedBy, String) {
        loop {
            let code = match self.lease(run, None) {
                Ok(lease) => lease.cancel().cancelled().await.code,
                Err(refusal) => refusal.code,
            };
            if let Some(end) = self.stands_at_its_end(run, code) {
                return end;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// As [`Kernel::step_run`] by the node, again and again while the log is away: what has happened must not go missing. Where
    /// the run stands elsewhere already, somebody else was faster.
    pub async fn step_run_surely(&self, run: RunId, step: RunStep) {
        for pause in STEP_PAUSES_MS {
            match self.step_run(run, step.clone(), &Actor::node()).await {
                Err(RunError::LedgerUnavailable(LedgerUnavailable)) => {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                _ => return,
            }
        }
        tracing::error!(%run, step = step.event(), "the log cannot take a step of a run; the next start of the node ends it there");
    }

    fn stands_at_its_end(&self, run: &Run, cut: Code) -> Option<(EndedBy, String)> {
        let Some(life) = self.run(run.id).and_then(|view| view.life) else {
            return Some((EndedBy::Node, "it is not known any more".into()));
        };
        match life.phase {
            Phase::Stopping | Phase::Ended => {
                let why = life.why.unwrap_or(EndedBy::Person);
                Some((why, life.reason.unwrap_or_else(|| "it was stopped".into())))
            }
            _ if self.is_orphaned(run) => Some((EndedBy::Parent, PARENT_ENDED.into())),
            // Also where it is suspended, which is what it is told first.
            _ if cut == Code::Deadline || self.has_no_time(run) => {
                Some((EndedBy::Deadline, "its time was up".into()))
            }
            _ if self.0.setup.load().holder(run).is_none() => {
                Some((EndedBy::Person, "its agent was taken out of the configuration".into()))
            }
            _ => None,
        }
    }

    fn has_no_time(&self, run: &Run) -> bool {
        let (setup, now) = (self.0.setup.load(), self.0.clock.now());
        time_left(&self.0.state.lock(), &setup, run, now).is_zero()
    }
}
