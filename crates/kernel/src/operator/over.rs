//! Waiting for what ends a run that is started here, whoever supervises it.

use std::sync::Arc;

use ringfence_types::Code;

use crate::fold::Phase;
use crate::limits::LOOK;
use crate::record::EndedBy;
use crate::{Kernel, Run};

impl Kernel {
    /// Returns when a run that was started here is to end: a person has stopped or killed it, its time is up, or nothing is known
    /// of it any more. What is only suspended may be let go on.
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

    fn stands_at_its_end(&self, run: &Run, cut: Code) -> Option<(EndedBy, String)> {
        let Some(life) = self.run(run.id).and_then(|view| view.life) else {
            return Some((EndedBy::Node, "it is not known any more".into()));
        };
        match life.phase {
            Phase::Stopping | Phase::Ended => {
                let why = life.why.unwrap_or(EndedBy::Person);
                Some((why, life.reason.unwrap_or_else(|| "it was stopped".into())))
            }
            _ if cut == Code::Deadline => Some((EndedBy::Deadline, "its time was up".into())),
            _ => None,
        }
    }
}
