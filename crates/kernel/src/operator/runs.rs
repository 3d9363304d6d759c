//! Minting run tokens, ending runs.

use std::time::Duration;

use ringfence_ledger::{RoomFor, Ticket};
use ringfence_types::{AgentName, ConversationName, RunId, ServerName, Timestamp, UserName, WorkspaceName};

use super::{LedgerUnavailable, durable};
use crate::fold::{BegunBy, Phase};
use crate::limits::TOKEN_TTL_MAX;
use crate::record::{EndedBy, NodeEvent, Record, RunRecord, RunStep, TokenRecord};
use crate::state::State;
use crate::text::bounded;
use crate::{Actor, Kernel, Run, RunBounds, RunToken, Setup};

/// What a run token is minted for.
#[derive(Debug, Clone)]
pub struct Mint {
    /// Where the agent belongs.
    pub workspace: WorkspaceName,
    /// Whose run it will be.
    pub agent: AgentName,
    /// For whom it works.
    pub user: Option<UserName>,
    /// What it is part of.
    pub conversation: Option<ConversationName>,
    /// How long the token can be used.
    pub ttl: Duration,
}

/// A new run and its token, which is shown only here.
#[derive(Debug)]
pub struct Minted {
    /// The token, for the agent.
    pub token: RunToken,
    /// The run it stands for.
    pub run: RunId,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// Why no token was minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// No such workspace.
    #[error("there is no workspace {0}; `ringfence status` lists those there are")]
    UnknownWorkspace(WorkspaceName),
    /// No such agent there.
    #[error("the workspace {workspace} has no agent {agent}; add it to ringfence.yaml")]
    UnknownAgent {
        /// The workspace.
        workspace: WorkspaceName,
        /// The agent.
        agent: AgentName,
    },
    /// No such tool server there, or none that runs in a sandbox of its own.
    #[error("the workspace {workspace} has no tool server {server} with `mounts` or `egress`")]
    UnknownServer {
        /// The workspace.
        workspace: WorkspaceName,
        /// The server.
        server: ServerName,
    },
    /// A time to live that is too long.
    #[error("a run token lasts at most {} days", TOKEN_TTL_MAX.as_secs() / 86_400)]
    TtlTooLong,
    /// Too many that live, have tokens that can still be used, or ended lately.
    #[error(
        "the workspace {0} has as many runs and tokens as may be known at once; end some, or wait until they expire"
    )]
    TooManyRuns(WorkspaceName),
    /// See there.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

/// Why a run was not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// No such run.
    #[error("there is no run {0}; `ringfence runs list` shows those there are")]
    Unknown(RunId),
    /// It is over.
    #[error("the run {0} has ended already")]
    Ended(RunId),
    /// It is not where this step begins.
    #[error("the run {0} cannot be {1} where it stands")]
    Step(RunId, &'static str),
    /// See there.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

impl Kernel {
    /// Mints a token for a new run.
    ///
    /// # Errors
    /// When there is no such agent, the time is too long, there are too many, or the log cannot take it.
    pub async fn mint(&self, request: Mint, by: &Actor) -> Result<Minted, MintError> {
        let setup = self.0.setup.load_full();
        unknown_agent(&setup, &request.workspace, &request.agent)?;
        if request.ttl > TOKEN_TTL_MAX {
            return Err(MintError::TtlTooLong);
        }
        let token = RunToken::new(&crate::kernel::Inner::random());
        let minted_at = self.0.clock.now();
        let run = Run {
            id: self.0.new_id(RunId::new),
            workspace: request.workspace,
            agent: request.agent,
            user: request.user,
            conversation: request.conversation,
            minted_at,
            expires_at: minted_at.after(request.ttl),
            above: Vec::new(),
            bounds: RunBounds::default(),
        };
        let minted = Minted { run: run.id, expires_at: run.expires_at, token };
        let record = TokenRecord { run, token: minted.token.digest(), by: by.person.clone() };
        let ticket = {
            let mut state = self.0.state.lock();
            room(&state, &setup, &record.run.workspace)?;
            state.commit(&self.0.clock, &Record::Token(record), Vec::new(), RoomFor::Operator)
        };
        durable(ticket.map_err(LedgerUnavailable::from)?).await?;
        Ok(minted)
    }

    /// Ends a run: its token no longer works, and what it has under way is cut off.
    ///
    /// # Errors
    /// When there is no such run, it is over, or the log cannot take it.
    pub async fn kill(&self, run: RunId, reason: &str, by: &Actor) -> Result<(), RunError> {
        match self.begin_to_kill(run, reason, by)? {
            Some(ticket) => durable(ticket).await.map(drop).map_err(RunError::from),
            None => Ok(()),
        }
    }

    /// As [`Kernel::kill`], many at once: all are told before the log has to be waited for. Gives those that were not over.
    ///
    /// # Errors
    /// When the log cannot take it; some may be ended then.
    pub async fn kill_all(&self, runs: &[RunId], reason: &str, by: &Actor) -> Result<Vec<RunId>, RunError> {
        let (mut killed, mut tickets) = (Vec::new(), Vec::new());
        for run in runs {
            match self.begin_to_kill(*run, reason, by) {
                Ok(ticket) => {
                    killed.push(*run);
                    tickets.extend(ticket);
                }
                // It was faster.
                Err(RunError::Ended(_) | RunError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for ticket in tickets {
            durable(ticket).await?;
        }
        Ok(killed)
    }

    /// Puts the end of a run on its way into the log; `None` where it is being ended already.
    fn begin_to_kill(&self, run: RunId, reason: &str, by: &Actor) -> Result<Option<Ticket>, RunError> {
        let mut state = self.0.state.lock();
        let known = state.fold.runs.get(run).ok_or(RunError::Unknown(run))?;
        if known.ended.is_some() {
            return Err(RunError::Ended(run));
        }
        match known.phase() {
            None => self.end_elsewhere(&mut state, run, reason, by).map(Some),
            Some(Phase::Stopping) => Ok(None),
            // Whoever supervises it ends it, and says so.
            Some(_) => {
                let step = RunStep::Stopping { why: EndedBy::Person, reason: reason.to_owned() };
                self.step(&mut state, run, step, by).map(Some)
            }
        }
    }

    /// A run that nobody supervises here is over with the entry that says so.
    fn end_elsewhere(
        &self,
        state: &mut State,
        run: RunId,
        reason: &str,
        by: &Actor,
    ) -> Result<Ticket, RunError> {
        let known = state.fold.runs.get(run).ok_or(RunError::Unknown(run))?;
        let record = RunRecord {
            event: NodeEvent::Ended,
            run: Some((known.run.workspace.clone(), known.run.agent.clone(), run)),
            reason: bounded(reason),
            by: by.person.clone(),
        };
        let ticket = state.commit(&self.0.clock, &Record::Run(record), Vec::new(), RoomFor::Operator);
        state.cut_run(run, EndedBy::Person, reason);
        self.end_below(state, run);
        Ok(ticket.map_err(LedgerUnavailable::from)?)
    }
}

/// Refuses an agent that is not configured.
pub(super) fn unknown_agent(
    setup: &Setup,
    workspace: &WorkspaceName,
    agent: &AgentName,
) -> Result<(), MintError> {
    if !setup.workspaces.contains_key(workspace) {
        return Err(MintError::UnknownWorkspace(workspace.clone()));
    }
    if setup.agent(workspace, agent).is_none() {
        return Err(MintError::UnknownAgent { workspace: workspace.clone(), agent: agent.clone() });
    }
    Ok(())
}

/// Refuses one more run where there is no room for it.
pub(super) fn room(state: &State, setup: &Setup, workspace: &WorkspaceName) -> Result<(), MintError> {
    if state.fold.runs.crowd().has_room(workspace, setup.workspaces.len(), BegunBy::Operator) {
        return Ok(());
    }
    Err(MintError::TooManyRuns(workspace.clone()))
}
