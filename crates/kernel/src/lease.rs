//! What is no action but reaches a server all the same: greetings, lists, streams. It is granted like an action, is
//! cut off like one, and its refusal is recorded like one.

use std::sync::Arc;

use ringfence_types::{
    ActionId, AgentName, Code, HostName, ModelName, NAME_BYTES_MAX, Principal, Refusal, ServerName,
};

use crate::Kernel;
use crate::Run;
use crate::admit::standing;
use crate::cancel::{Cancel, CutOff};
use crate::kernel::Inner;
use crate::limits::{LEASES_PER_RUN_MAX, LEASES_WITHOUT_BOUND_MAX};
use crate::live::LiveId;
use crate::objection::Objection;
use crate::record::Subject;
use crate::spawn::Scopes;
use crate::state::{Shared, State};
use crate::target::Target;

/// Something that goes on and can be cut off. It ends when it is dropped.
#[derive(Debug)]
pub struct Lease {
    shared: Shared,
    live: LiveId,
    cancel: Cancel,
}

// === impl Kernel ===

impl Kernel {
    /// Lets a run turn to a server with something that is no action, `tools/list`, say.
    ///
    /// # Errors
    /// When the agent holds nothing of the server, and as [`Kernel::lease`].
    pub fn visit(&self, run: &Arc<Run>, server: &ServerName, method: &str) -> Result<Lease, Refusal> {
        let setup = self.setup();
        if setup.holds(run).is_some_and(|holds| holds.server(server)) {
            return self.lease(run, Some((server, method)));
        }
        let reason = format!("This agent holds nothing of the server `{server}`.");
        let target = Target::tool(server, method);
        Err(self.refuse_lease(run, target, Objection::new(Code::NotGranted, reason)))
    }

    /// Lets a run hold something open: with a server and one of its tools or methods, or, without, with all of them.
    ///
    /// # Errors
    /// When something above the run is suspended, it has ended, or it holds too many. What concerns a server is
    /// recorded.
    pub fn lease(&self, run: &Arc<Run>, target: Option<(&ServerName, &str)>) -> Result<Lease, Refusal> {
        let target = target.map(|(server, tool)| Target::tool(server, tool));
        self.lease_on(run, target)
    }

    /// As [`Kernel::lease`], on a model: for as long as its answer is given out.
    ///
    /// # Errors
    /// As there.
    pub fn lease_model(&self, run: &Arc<Run>, model: &ModelName, operation: &str) -> Result<Lease, Refusal> {
        self.lease_on(run, Some(Target::Model { model: model.clone(), operation: operation.into() }))
    }

    fn lease_on(&self, run: &Arc<Run>, target: Option<Target>) -> Result<Lease, Refusal> {
        let scopes = Scopes::of(run, target.as_ref());
        let objection = {
            let mut state = self.0.state.lock();
            match self.objection(&state, run, &scopes) {
                None => {
                    let (live, cancel) = state.live.insert(scopes, None);
                    return Ok(Lease { shared: Arc::clone(&self.0), live, cancel });
                }
                Some(objection) => objection,
            }
        };
        Err(match target {
            Some(target) => self.refuse_lease(run, target, objection),
            None => objection.into_refusal(self.0.new_id(ActionId::new)),
        })
    }

    /// Refuses, on the record, what an agent asked for and what never became a proposal: it is malformed, say.
    pub fn turn_away(
        &self,
        run: &Run,
        server: &ServerName,
        tool: &str,
        code: Code,
        reason: impl Into<String>,
    ) -> Refusal {
        self.refuse_lease(run, Target::tool(server, tool), Objection::new(code, reason))
    }

    /// As [`Kernel::turn_away`], for what was asked of a model. The name is the agent's to invent: what a name cannot
    /// have in it is left out.
    pub fn turn_away_model(
        &self,
        run: &Run,
        model: &str,
        operation: &str,
        code: Code,
        reason: impl Into<String>,
    ) -> Refusal {
        let kept: String =
            model.chars().filter(|c| c.is_ascii_alphanumeric() || "._-@".contains(*c)).collect();
        let kept = kept.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
        let name = ModelName::new(&kept[..kept.len().min(NAME_BYTES_MAX)]);
        // Without a name it has to have one all the same: no configuration has this one.
        let name = name.or_else(|_| ModelName::new("unnamed"));
        let objection = Objection::new(code, reason);
        match name {
            Ok(model) => {
                self.refuse_lease(run, Target::Model { model, operation: operation.into() }, objection)
            }
            Err(_) => objection.into_refusal(self.0.new_id(ActionId::new)),
        }
    }

    /// As [`Kernel::turn_away`], for what was asked of a host.
    pub fn turn_away_egress(
        &self,
        run: &Run,
        host: &HostName,
        port: u16,
        code: Code,
        reason: impl Into<String>,
    ) -> Refusal {
        self.refuse_lease(run, Target::Host { host: host.clone(), port }, Objection::new(code, reason))
    }

    /// As [`Kernel::turn_away`], for the start of a run of this agent.
    pub fn turn_away_spawn(
        &self,
        run: &Run,
        agent: &AgentName,
        code: Code,
        reason: impl Into<String>,
    ) -> Refusal {
        self.refuse_lease(run, Target::Agent { agent: agent.clone() }, Objection::new(code, reason))
    }

    fn objection(&self, state: &State, run: &Run, scopes: &Scopes) -> Option<Objection> {
        let setup = self.setup();
        if let Err(objection) = standing(state, &setup, run, scopes, self.0.clock.now()) {
            return Some(objection);
        }
        let agent = setup.holder(run);
        let concurrent = agent.and_then(|(_, agent)| agent.limits.concurrent);
        let bound = LEASES_PER_RUN_MAX + concurrent.map_or(LEASES_WITHOUT_BOUND_MAX, |bound| bound as usize);
        (state.live.leases_of(run.id) >= bound)
            .then(|| Objection::new(Code::RateLimited, format!("This run holds {bound} streams already.")))
    }

    fn refuse_lease(&self, run: &Run, target: Target, objection: Objection) -> Refusal {
        let action = self.0.new_id(ActionId::new);
        self.0.refuse_to(Subject::of(run, target), action, objection, None)
    }
}

impl Inner {
    /// Ends what is held open by runs that may no longer hold it: their time is over, or the grant is gone.
    pub(crate) fn cut_leases(&self, state: &mut State) {
        let (setup, now) = (self.setup.load(), self.clock.now());
        let over = |scopes: &Scopes| {
            let cut = |code, reason: String| Some(CutOff { code, reason, action: None });
            let Some(known) = state.fold.runs.get(scopes.run()?) else {
                return cut(Code::Deadline, "This run is over.".into());
            };
            let run = &known.run;
            // What a tool server's own run holds open is on no server: it is the server's.
            let is_agent = run.principal() == Principal::Agent;
            let holds = |server| !is_agent || setup.holds(run).is_some_and(|holds| holds.server(server));
            match standing(state, &setup, run, scopes, now) {
                Err(objection) => cut(objection.code, objection.reason),
                Ok(()) if scopes.server().is_none_or(holds) => None,
                Ok(()) => cut(Code::NotGranted, "This agent no longer holds anything of that server.".into()),
            }
        };
        state.live.cut_leases(over);
    }
}

// === impl Lease ===

impl Lease {
    /// Cut off from above: asked before each byte is written.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.state.lock().live.remove(self.live);
    }
}
