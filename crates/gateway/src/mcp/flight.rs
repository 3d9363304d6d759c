//! One cleared call from its departure to its settlement.
//!
//! A flight owns the clearance. However it ends, it is settled once: by [`Flight::land`], or when it is dropped
//! because the client went away, in which case the upstream is told as well.

use std::sync::Arc;

use http::StatusCode;
use ringfence_json::{Object, Value};
use ringfence_kernel::{Call, Cancel, CancelledBy, Clearance, CutOff, Failure, Lease, Outcome, Run};
use ringfence_types::{ActionId, Code, Refusal, ServerName};
use tokio::time::Instant;

use super::era::Era;
use super::fault::{Fault, INTERNAL_ERROR};
use super::judge::{Withheld, judge, judge_error};
use super::link::Link;
use super::message::{Request, Response};
use super::method::Kind;
use super::passage::Passage;
use super::question::Asker;
use super::refusal::{self, Effect};
use super::session::{InFlight, Session};
use super::upstream::UpstreamError;
use super::wire::{result_bytes, write_object};
use crate::gate::Gate;

/// Who calls, and how they can be answered.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) gate: Arc<Gate>,
    pub(crate) run: Arc<Run>,
    pub(crate) era: Era,
    /// A legacy client's session.
    pub(crate) session: Option<Arc<Session>>,
    /// Whether the client takes a stream.
    pub(crate) streams: bool,
}

/// One cleared call.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    pub(crate) kind: Kind,
    /// Cancelled when the client calls it off.
    pub(crate) underway: Option<InFlight>,
    /// The way it took; `None` until something may have been sent.
    pub(crate) link: Option<Link>,
    /// Asks the client while the call is under way.
    pub(crate) asker: Option<Asker>,
    /// The HTTP status of the upstream's answer.
    pub(crate) status: StatusCode,
    // INVARIANT: `Some` until it is settled.
    clearance: Option<Clearance>,
}

/// How a flight ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The upstream answered.
    Answered(Response),
    /// It did not, or not usably.
    Failed(UpstreamError),
    /// It was cut off from above.
    Cut(CutOff),
    /// The client called it off.
    CalledOff,
}

/// What the client is given at the end.
#[derive(Debug)]
pub(crate) struct Landed {
    /// The HTTP status, if nothing was sent yet.
    pub(crate) status: StatusCode,
    /// The answer, as JSON.
    pub(crate) body: Vec<u8>,
    /// What cuts off an answer that takes a while to give out.
    pub(crate) lease: Option<Lease>,
    /// What is known of the effect.
    pub(crate) effect: Effect,
}

/// What a flight comes to.
#[derive(Debug)]
struct Landing {
    outcome: Outcome,
    body: Vec<u8>,
    effect: Effect,
}

// === impl Flight ===

impl Flight {
    pub(crate) fn new(
        caller: Caller,
        request: Request,
        kind: Kind,
        underway: Option<InFlight>,
        clearance: Clearance,
    ) -> Self {
        Self {
            asker: caller.session.as_ref().map(Asker::new),
            caller,
            request,
            kind,
            underway,
            link: None,
            status: StatusCode::OK,
            clearance: Some(clearance),
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "only `land` and `drop` take the clearance, and both end the flight"
    )]
    fn clearance(&self) -> &Clearance {
        self.clearance.as_ref().expect("a flight is settled when it ends")
    }

    pub(crate) fn action(&self) -> ActionId {
        self.clearance().action()
    }

    pub(crate) fn server(&self) -> &ServerName {
        self.clearance().server()
    }

    pub(crate) fn call(&self) -> &Call {
        self.clearance().call()
    }

    /// What lets messages of this call go out.
    pub(crate) fn passage(&self) -> Passage<'_> {
        Passage::Cleared(self.clearance())
    }

    pub(crate) fn cancel(&self) -> Cancel {
        self.clearance().cancel().clone()
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.clearance().deadline()
    }

    /// Whether texts of the upstream may reach the agent before its answer does: not where something is to be
    /// redacted, because nobody knows yet what.
    pub(crate) fn may_tell(&self) -> bool {
        self.clearance().obligations().redact.is_empty()
    }

    /// Settles the call and says what the client is given. `leased`: whether something else cuts off the answer while
    /// it is given out.
    pub(crate) fn land(mut self, end: End, leased: bool) -> Landed {
        let sent = self.link.is_some();
        if matches!(end, End::Cut(_) | End::CalledOff | End::Failed(UpstreamError::Timeout)) {
            self.tell_upstream();
        }
        let mut landing = self.landing(end, sent);
        let lease = if leased { Ok(None) } else { self.lease(&landing) };
        let lease = lease.unwrap_or_else(|cut| {
            // Cut off in the moment between: the answer is not given out.
            landing = self.held_back(cut);
            None
        });
        if let Some(clearance) = self.clearance.take() {
            clearance.settle(landing.outcome);
        }
        Landed { status: self.status, body: landing.body, lease, effect: landing.effect }
    }

    fn landing(&mut self, end: End, sent: bool) -> Landing {
        match end {
            End::Answered(response) if response.id.as_ref() != Some(&self.request.id) => {
                self.failed(&UpstreamError::Malformed("an answer to another request"), sent)
            }
            End::Answered(Response { outcome: Ok(result), .. }) => self.result(result),
            End::Answered(Response { outcome: Err(error), .. }) => self.rejected(error),
            End::Failed(error) => {
                self.status = StatusCode::OK;
                self.failed(&error, sent)
            }
            End::Cut(cut) => self.cut(cut, sent),
            End::CalledOff => {
                let fault = Fault::answer(INTERNAL_ERROR, "the client called the request off");
                let body = fault.to_response(Some(self.request.id.clone())).to_bytes();
                Landing { outcome: called_off(sent), body, effect: self.effect(sent) }
            }
        }
    }

    /// The server has answered, and its answer is cut off.
    fn held_back(&self, cut: CutOff) -> Landing {
        let outcome = match cut.code {
            Code::Suspended | Code::Deadline | Code::Overloaded => Outcome::Cancelled { by: cut_by(&cut) },
            _ => Outcome::Failed { failure: Failure::Withheld, message: cut.reason.clone() },
        };
        self.refused(outcome, cut.code, cut.reason, Effect::Executed(self.clearance().decision()))
    }

    /// What cuts off an answer that takes a while to give out, once the call is settled.
    fn lease(&self, landing: &Landing) -> Result<Option<Lease>, CutOff> {
        let gate = &self.caller.gate;
        if landing.body.len() <= gate.limits.piece_bytes {
            return Ok(None);
        }
        let leased = gate.kernel.lease(&self.caller.run, Some((self.server(), self.call().tool_name())));
        leased.map(Some).map_err(|refusal| CutOff {
            code: refusal.code,
            reason: refusal.reason,
            action: None,
        })
    }

    fn effect(&self, sent: bool) -> Effect {
        let decision = self.clearance().decision();
        if sent { Effect::Unknown(decision) } else { Effect::NotSent(decision) }
    }

    fn rejected(&mut self, error: Object) -> Landing {
        let error = match judge_error(error, self.clearance().obligations()) {
            Ok(error) => error,
            Err(withheld) => {
                self.status = StatusCode::OK;
                return self.withheld(&withheld);
            }
        };
        let message = "the tool server answered with a JSON-RPC error".to_owned();
        let answer = Response { id: Some(self.request.id.clone()), outcome: Err(error) };
        let outcome = Outcome::Failed { failure: Failure::UpstreamError, message };
        Landing { outcome, body: answer.to_bytes(), effect: Effect::Executed(self.clearance().decision()) }
    }

    /// Tells the upstream that nobody waits for the answer any more, in a task of its own.
    fn tell_upstream(&mut self) {
        let (Some(link), Ok(runtime)) = (self.link.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (gate, id) = (Arc::clone(&self.caller.gate), self.request.id.clone());
        runtime.spawn(async move { link.call_off(&gate, &id).await });
    }

    fn result(&self, result: Object) -> Landing {
        let clearance = self.clearance();
        let definition = clearance.definition().map(Arc::as_ref);
        let mut result = match judge(result, clearance.obligations(), definition) {
            Ok(result) => result,
            Err(withheld) => return self.withheld(&withheld),
        };
        match self.kind {
            Kind::Tool => refusal::tell_narrowed(&mut result, clearance.action(), clearance.narrowed()),
            Kind::Resource if result.contains("cacheScope") => drop(result.insert("cacheScope", "private")),
            _ => {}
        }
        let gate = &self.caller.gate;
        gate.rounds.note(self.caller.run.id, self.server(), self.call(), &result, &gate.limits);
        let is_error = result.get("isError").and_then(Value::as_bool) == Some(true);
        let mut bytes = Vec::with_capacity(512);
        write_object(&result, &mut bytes);
        let answer = result_bytes(&self.request.id, &bytes);
        let effect = Effect::Executed(clearance.decision());
        Landing { outcome: Outcome::Completed { result: bytes, is_error }, body: answer, effect }
    }

    fn withheld(&self, withheld: &Withheld) -> Landing {
        let (failure, code) = match withheld {
            Withheld::TooLarge { .. } => (Failure::Withheld, Code::TooLarge),
            Withheld::Invalid(_) => (Failure::InvalidOutput, Code::UpstreamFailed),
        };
        let message = withheld.to_string();
        let reason = as_sentence(&message);
        let effect = Effect::Executed(self.clearance().decision());
        self.refused(Outcome::Failed { failure, message }, code, reason, effect)
    }

    fn failed(&self, error: &UpstreamError, sent: bool) -> Landing {
        let clearance = self.clearance();
        if matches!(error, UpstreamError::Timeout) && clearance.ends_with_run() {
            let reason = "This run's time is up. Finish with what you have.".to_owned();
            return self.cut(CutOff { code: Code::Deadline, reason, action: None }, sent);
        }
        let message = error.to_string();
        let reason = as_sentence(&error.for_agents());
        if matches!(error, UpstreamError::Spawn(_) | UpstreamError::Source(_)) {
            tracing::warn!(server = %self.server(), %message, "a tool server cannot be used");
        }
        let effect = self.effect(sent);
        if !sent {
            let outcome = if error.is_upstreams() {
                Outcome::Unreachable { message }
            } else {
                Outcome::NotSent { message }
            };
            return self.refused(outcome, Code::UpstreamFailed, reason, effect);
        }
        // Once something was sent, nobody can say that nothing was, whatever went wrong then.
        let failure = error.failure().unwrap_or(Failure::Transport);
        let code = if failure == Failure::TooLarge { Code::TooLarge } else { Code::UpstreamFailed };
        self.refused(Outcome::Failed { failure, message }, code, reason, effect)
    }

    fn cut(&self, cut: CutOff, sent: bool) -> Landing {
        let by = cut_by(&cut);
        let effect = self.effect(sent);
        if !sent {
            let message = "cut off before anything was sent".to_owned();
            return self.refused(Outcome::NotSent { message }, cut.code, cut.reason, effect);
        }
        let reason = format!("{} The call was cut off while it was under way.", cut.reason);
        self.refused(Outcome::Cancelled { by }, cut.code, reason, effect)
    }

    /// The answer that says why there is no other.
    fn refused(&self, outcome: Outcome, code: Code, reason: String, effect: Effect) -> Landing {
        let action = self.clearance().action();
        let refusal = Refusal::new(code, action, reason);
        let body = refused_bytes(self.caller.era, self.kind, &self.request, &refusal, effect);
        Landing { outcome, body, effect }
    }
}

fn cut_by(cut: &CutOff) -> CancelledBy {
    match cut.code {
        Code::Deadline => CancelledBy::Deadline,
        Code::Overloaded => CancelledBy::Shutdown,
        _ => CancelledBy::Suspension,
    }
}

/// The answer to a refused request, as JSON.
pub(crate) fn refused_bytes(
    era: Era,
    kind: Kind,
    request: &Request,
    refusal: &Refusal,
    effect: Effect,
) -> Vec<u8> {
    let outcome = refusal::outcome(era, kind, refusal, effect);
    Response { id: Some(request.id.clone()), outcome }.to_bytes()
}

fn as_sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

fn called_off(sent: bool) -> Outcome {
    if sent {
        return Outcome::Cancelled { by: CancelledBy::Client };
    }
    Outcome::NotSent { message: "the client called it off before anything was sent".to_owned() }
}

impl From<UpstreamError> for End {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Cut(cut) => Self::Cut(cut),
            error => Self::Failed(error),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Some(clearance) = self.clearance.take() else { return };
        // A panic is not the client's doing: the clearance says by itself that nobody knows what happened.
        if std::thread::panicking() {
            return;
        }
        clearance.settle(called_off(self.link.is_some()));
        self.tell_upstream();
    }
}
