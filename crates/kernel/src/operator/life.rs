//! Runs that are started here: their steps, from the queue to the end.

use std::sync::Arc;

use ringfence_ledger::{RoomFor, Ticket};
use ringfence_types::{
    AgentName, Builder, ConversationName, Principal, RunId, ServerName, UserName, WorkspaceName,
};

use super::runs::{room, unknown_agent};
use super::{LedgerUnavailable, MintError, RunError, durable};
use crate::fold::Phase;
use crate::limits::TOKEN_TTL_MAX;
use crate::record::{LifeRecord, Record, RunStep};
use crate::state::State;
use crate::text::bounded;
use crate::{Actor, Kernel, Run, RunBounds};

/// What a run in a sandbox is made for.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Where the agent belongs.
    pub workspace: WorkspaceName,
    /// Whose run it will be.
    pub agent: AgentName,
    /// For whom it works.
    pub user: Option<UserName>,
    /// What it is part of.
    pub conversation: Option<ConversationName>,
}

impl Kernel {
    /// A new run of an agent that is started here. There is no token: whoever answers its sandbox's sockets knows whose
    /// they are.
    ///
    /// # Errors
    /// As [`Kernel::mint`].
    pub async fn queue_run(&self, request: Begin, by: &Actor) -> Result<Arc<Run>, MintError> {
        unknown_agent(&self.setup(), &request.workspace, &request.agent)?;
        self.queue(request, by).await
    }

    /// A new run of a tool server that is started in a sandbox of its own, as [`Kernel::queue_run`].
    ///
    /// # Errors
    /// As there, and when no such server is configured to run so.
    pub async fn queue_server_run(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
    ) -> Result<Arc<Run>, MintError> {
        let unknown = || MintError::UnknownServer { workspace: workspace.clone(), server: server.clone() };
        let agent = Principal::server_name(server).map_err(|_| unknown())?;
        let setup = self.setup();
        let known = setup.workspaces.get(workspace).and_then(|workspace| workspace.servers.get(server));
        known.and_then(|server| server.holds.as_ref()).ok_or_else(unknown)?;
        let begin = Begin { workspace: workspace.clone(), agent, user: None, conversation: None };
        self.queue(begin, &Actor::node()).await
    }

    /// A new run in which the node builds something for this workspace, as [`Kernel::queue_run`].
    ///
    /// # Errors
    /// As there.
    pub async fn queue_build(
        &self,
        workspace: &WorkspaceName,
        builder: Builder,
    ) -> Result<Arc<Run>, MintError> {
        if !self.setup().workspaces.contains_key(workspace) {
            return Err(MintError::UnknownWorkspace(workspace.clone()));
        }
        let agent = builder.name();
        let begin = Begin { workspace: workspace.clone(), agent, user: None, conversation: None };
        self.queue(begin, &Actor::node()).await
    }

    async fn queue(&self, request: Begin, by: &Actor) -> Result<Arc<Run>, MintError> {
        let (setup, at) = (self.setup(), self.0.clock.now());
        let record = LifeRecord {
            workspace: request.workspace,
            agent: request.agent,
            run: self.0.new_id(RunId::new),
            above: Vec::new(),
            step: RunStep::Queued {
                user: request.user,
                conversation: request.conversation,
                at,
                expires_at: at.after(TOKEN_TTL_MAX),
                bounds: RunBounds::default(),
                started_by: None,
            },
            by: by.person.clone(),
        };
        let id = record.run;
        let (ticket, run) = {
            let mut state = self.0.state.lock();
            room(&state, &setup, &record.workspace)?;
            let ticket = state.commit(&self.0.clock, &Record::Life(record), Vec::new(), RoomFor::Operator);
            let ticket = ticket.map_err(LedgerUnavailable::from)?;
            (ticket, state.fold.runs.get(id).map(|known| Arc::clone(&known.run)))
        };
        durable(ticket).await?;
        // The fold has it as soon as it is in the log.
        Ok(run.ok_or(LedgerUnavailable)?)
    }

    /// Takes a run one step further. With the step to its end, and with its end, everything it has under way is cut off.
    ///
    /// # Errors
    /// When there is no such run here, it has ended, it cannot take this step, or the log cannot take it.
    pub async fn step_run(&self, run: RunId, step: RunStep, by: &Actor) -> Result<(), RunError> {
        let ticket = {
            let mut state = self.0.state.lock();
            let known = state.fold.runs.get(run).ok_or(RunError::Unknown(run))?;
            let phase = known.phase();
            // Programs of agents alone can be held, and told something.
            let is_agents = matches!(step, RunStep::Paused { .. } | RunStep::Signalled { .. });
            let is_other = is_agents && known.run.principal() != Principal::Agent;
            if is_other || !phase.is_some_and(|phase| phase.may(&step)) {
                return Err(match phase {
                    Some(Phase::Ended) => RunError::Ended(run),
                    _ => RunError::Step(run, step.event()),
                });
            }
            self.step(&mut state, run, step, by)?
        };
        durable(ticket).await.map(drop).map_err(RunError::from)
    }

    /// Writes a step and cuts off what it ends.
    pub(super) fn step(
        &self,
        state: &mut State,
        run: RunId,
        step: RunStep,
        by: &Actor,
    ) -> Result<Ticket, RunError> {
        let known = state.fold.runs.get(run).ok_or(RunError::Unknown(run))?;
        let step = bounded_step(step);
        let over = match &step {
            RunStep::Stopping { why, reason } | RunStep::Ended { why, reason, .. } => {
                Some((*why, reason.clone()))
            }
            _ => None,
        };
        let is_end = matches!(step, RunStep::Ended { .. });
        let record = LifeRecord {
            workspace: known.run.workspace.clone(),
            agent: known.run.agent.clone(),
            run,
            above: known.run.above.clone(),
            step,
            by: by.person.clone(),
        };
        let ticket = state.commit(&self.0.clock, &Record::Life(record), Vec::new(), RoomFor::Operator);
        let ticket = ticket.map_err(LedgerUnavailable::from)?;
        if let Some((why, reason)) = over {
            state.cut_run(run, why, &reason);
            self.end_below(state, run);
        }
        if is_end {
            self.0.endings.notify_waiters();
        }
        Ok(ticket)
    }

    /// The runs that were started here and are not over.
    pub fn living_runs(&self) -> Vec<Arc<Run>> {
        let state = self.0.state.lock();
        let living =
            state.fold.runs.iter().filter(|known| known.phase().is_some_and(|phase| phase != Phase::Ended));
        living.map(|known| Arc::clone(&known.run)).collect()
    }
}

fn bounded_step(step: RunStep) -> RunStep {
    match step {
        RunStep::Paused { reason } => RunStep::Paused { reason: bounded(&reason) },
        RunStep::Stopping { why, reason } => RunStep::Stopping { why, reason: bounded(&reason) },
        RunStep::Ended { why, reason, exit, output_bytes, used } => {
            RunStep::Ended { why, reason: bounded(&reason), exit, output_bytes, used }
        }
        step => step,
    }
}
