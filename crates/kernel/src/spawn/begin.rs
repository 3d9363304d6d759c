//! Beginning a run that was cleared.

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::{Object, Value};
use ringfence_ledger::{RoomFor, Ticket};
use ringfence_types::{Code, Refusal, RunId};

use super::{Ancestor, Scopes, SpawnClearance};
use crate::admit::standing;
use crate::fold::BegunBy;
use crate::limits::TOKEN_TTL_MAX;
use crate::objection::Objection;
use crate::operator::durable;
use crate::record::{LifeRecord, Record, RunStep};
use crate::{Kernel, Outcome, Run, RunView};

impl Kernel {
    /// Begins the run that was cleared, and settles: it is on record and waits for its place when this answers. Whoever calls
    /// this supervises it.
    ///
    /// # Errors
    /// When whoever asked has been cut off since, there are too many runs, or the log cannot take it: nothing was begun.
    pub async fn begin_child(&self, clearance: SpawnClearance) -> Result<Arc<Run>, Refusal> {
        let action = clearance.action();
        let begun = self.queue_child(&clearance);
        let (ticket, run) = match begun {
            Ok(begun) => begun,
            Err(objection) => {
                clearance.settle(Outcome::NotSent { message: objection.reason.clone() });
                return Err(objection.into_refusal(action));
            }
        };
        let result = Value::Object(Object::new().with("run", run.id.to_string())).to_bytes();
        clearance.settle(Outcome::Completed { result, is_error: false });
        match durable(ticket).await {
            Ok(_) => Ok(run),
            // The log failed, and with it the run and the clearance.
            Err(_) => Err(Objection::unavailable().into_refusal(action)),
        }
    }

    fn queue_child(&self, clearance: &SpawnClearance) -> Result<(Ticket, Arc<Run>), Objection> {
        let (parent, now) = (clearance.run(), self.0.clock.now());
        let id = self.0.new_id(RunId::new);
        let setup = self.setup();
        let mut state = self.0.state.lock();
        // Whatever ends the parent cuts this clearance under the same lock, and ends what is begun before it.
        clearance.cancel().check().map_err(|cut| Objection::new(cut.code, cut.reason))?;
        standing(&state, &setup, parent, &Scopes::of(parent, None), now)?;
        let workspaces = setup.workspaces.len();
        if !state.fold.runs.crowd().has_room(&parent.workspace, workspaces, BegunBy::Run) {
            let reason = "There are as many runs of this workspace as may be. Try again later.";
            return Err(Objection::new(Code::Overloaded, reason).retry_after(Duration::from_mins(1)));
        }
        let by = state.fold.runs.get(parent.id).map(|known| known.by.clone());
        let record = LifeRecord {
            workspace: parent.workspace.clone(),
            agent: clearance.call().agent().clone(),
            run: id,
            above: line_under(parent),
            step: RunStep::Queued {
                user: parent.user.clone(),
                conversation: parent.conversation.clone(),
                at: now,
                expires_at: parent.expires_at.min(now.after(TOKEN_TTL_MAX)),
                bounds: clearance.bounds(),
                started_by: Some(clearance.action()),
            },
            by: by.unwrap_or_else(crate::actor::node_name),
        };
        let ticket = state.commit(&self.0.clock, &Record::Life(record), Vec::new(), RoomFor::Operator);
        let ticket = ticket.map_err(|_| Objection::unavailable())?;
        let run = state.fold.runs.get(id).map(|known| Arc::clone(&known.run));
        // The fold has it as soon as it is in the log.
        Ok((ticket, run.ok_or_else(Objection::unavailable)?))
    }

    /// A run, if this one has started it.
    pub fn child_of(&self, parent: RunId, child: RunId) -> Option<RunView> {
        self.run(child).filter(|view| view.run.parent() == Some(parent))
    }

    /// Waits until a run that was started here has ended; how it stands then. `None` where it is not known any more.
    pub async fn run_ended(&self, run: RunId) -> Option<RunView> {
        loop {
            // Asked for before it is looked: an end in between is heard.
            let ending = self.0.endings.notified();
            let view = self.run(run)?;
            if view.ended.is_some() {
                return Some(view);
            }
            ending.await;
        }
    }
}

/// Who stands above a run that this one starts.
fn line_under(parent: &Run) -> Vec<Ancestor> {
    let own = Ancestor { run: parent.id, agent: parent.agent.clone() };
    std::iter::once(own).chain(parent.above.iter().cloned()).collect()
}
