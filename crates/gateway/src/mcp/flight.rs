//! One cleared call from its departure to its settlement.
//!
//! A flight owns the clearance. However it ends, it is settled once: by [`Flight::land`], or when it is dropped
//! because the client went away, in which case the upstream is told as well.

use std::sync::Arc;

use http::StatusCode;
use ringfence_json::{Object, Value};
use ringfence_kernel::{Call, Cancel, CancelledBy, Clearance, CutOff, Failure, Outcome, Run};
use ringfence_types::{ActionId, Code, Refusal, ServerName};
use tokio::time::Instant;

use super::era::Era;
use super::fault::{Fault, INTERNAL_ERROR};
use super::gate::Gate;
use super::judge::{Withheld, judge};
use super::link::Link;
use super::message::{Request, Response};
use super::method::Kind;
use super::passage::Passage;
use super::question::Asker;
use super::refusal;
use super::session::{InFlight, Session};
use super::upstream::UpstreamError;
use super::wire::{result_bytes, write_object};

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

    /// Settles the call and says what the client is given.
    pub(crate) fn land(mut self, end: End) -> Landed {
        let sent = self.link.is_some();
        if matches!(end, End::Cut(_) | End::CalledOff | End::Failed(UpstreamError::Timeout)) {
            self.tell_upstream();
        }
        let (outcome, answer) = match end {
            End::Answered(response) if response.id.as_ref() != Some(&self.request.id) => {
                self.failed(&UpstreamError::Malformed("an answer to another request"), sent)
            }
            End::Answered(Response { outcome: Ok(result), .. }) => self.result(result),
            End::Answered(Response { outcome: Err(error), .. }) => {
                let message = "the tool server answered with a JSON-RPC error".to_owned();
                let answer = Response { id: Some(self.request.id.clone()), outcome: Err(error) };
                (Outcome::Failed { failure: Failure::UpstreamError, message }, answer.to_bytes())
            }
            End::Failed(error) => {
                self.status = StatusCode::OK;
                self.failed(&error, sent)
            }
            End::Cut(cut) => self.cut(cut, sent),
            End::CalledOff => {
                let fault = Fault::answer(INTERNAL_ERROR, "the client called the request off");
                let answer = fault.to_response(Some(self.request.id.clone()));
                (called_off(sent), answer.to_bytes())
            }
        };
        if let Some(clearance) = self.clearance.take() {
            clearance.settle(outcome);
        }
        Landed { status: self.status, body: answer }
    }

    /// Tells the upstream that nobody waits for the answer any more, in a task of its own.
    fn tell_upstream(&mut self) {
        let (Some(link), Ok(runtime)) = (self.link.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (gate, id) = (Arc::clone(&self.caller.gate), self.request.id.clone());
        runtime.spawn(async move { link.call_off(&gate, &id).await });
    }

    fn result(&self, result: Object) -> (Outcome, Vec<u8>) {
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
        (Outcome::Completed { result: bytes, is_error }, answer)
    }

    fn withheld(&self, withheld: &Withheld) -> (Outcome, Vec<u8>) {
        let (failure, code) = match withheld {
            Withheld::TooLarge { .. } => (Failure::Withheld, Code::TooLarge),
            Withheld::Invalid(_) => (Failure::InvalidOutput, Code::UpstreamFailed),
        };
        let reason = format!("The call was executed, but its result is withheld: {withheld}.");
        (Outcome::Failed { failure, message: withheld.to_string() }, self.refused(code, reason))
    }

    fn failed(&self, error: &UpstreamError, sent: bool) -> (Outcome, Vec<u8>) {
        let clearance = self.clearance();
        if matches!(error, UpstreamError::Timeout) && clearance.ends_with_run() {
            let reason = "This run's time is up. Finish with what you have.".to_owned();
            return self.cut(CutOff { code: Code::Deadline, reason, action: None }, sent);
        }
        let message = error.to_string();
        let said = as_sentence(&message);
        // Once something was sent, nobody can say that nothing was, whatever went wrong then.
        let failure = error.failure().unwrap_or(Failure::Transport);
        if !sent {
            let reason = format!("{said} Nothing was sent.");
            let outcome = if error.is_upstreams() {
                Outcome::Unreachable { message }
            } else {
                Outcome::NotSent { message }
            };
            return (outcome, self.refused(Code::UpstreamFailed, reason));
        }
        let code = if failure == Failure::TooLarge { Code::TooLarge } else { Code::UpstreamFailed };
        let reason = format!("{said} It may have taken effect: check before you try again.");
        (Outcome::Failed { failure, message }, self.refused(code, reason))
    }

    fn cut(&self, cut: CutOff, sent: bool) -> (Outcome, Vec<u8>) {
        let by = match cut.code {
            Code::Deadline => CancelledBy::Deadline,
            Code::Overloaded => CancelledBy::Shutdown,
            _ => CancelledBy::Suspension,
        };
        if !sent {
            let message = "cut off before anything was sent".to_owned();
            return (Outcome::NotSent { message }, self.refused(cut.code, cut.reason));
        }
        let reason =
            format!("{} The call was cut off while it was under way; it may have taken effect.", cut.reason);
        (Outcome::Cancelled { by }, self.refused(cut.code, reason))
    }

    /// The answer that says why there is no other.
    fn refused(&self, code: Code, reason: String) -> Vec<u8> {
        let action = self.clearance().action();
        let refusal = Refusal { code, action, rule: None, reason, approval: None, retry_after: None };
        refused_bytes(self.caller.era, self.kind, &self.request, &refusal)
    }
}

/// The answer to a refused request, as JSON.
pub(crate) fn refused_bytes(era: Era, kind: Kind, request: &Request, refusal: &Refusal) -> Vec<u8> {
    let outcome = refusal::outcome(era, kind, refusal);
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
