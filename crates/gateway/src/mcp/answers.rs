//! Answers that are no call's: results of lists and greetings, and why there is none.

use http::{Response, StatusCode};
use ringfence_kernel::Lease;
use ringfence_types::Refusal;

use super::era::Era;
use super::fault::{self, Fault};
use super::flight::Caller;
use super::message::{Id, Response as Answer};
use super::refusal::{self, Effect};
use super::upstream::UpstreamError;
use crate::gate::Gate;
use crate::http::outbound::{self, Outbound};

/// Why a request that is no action is not answered.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It is wrong.
    Fault(Fault),
    /// Policy, or a suspension.
    Refused(Box<Refusal>),
    /// The upstream answered with an error, and this HTTP status.
    Rejected(Box<Answer>, StatusCode),
}

/// One JSON answer with status 200.
pub(crate) fn json(caller: &Caller, answer: &Answer) -> Response<Outbound> {
    outbound::json(StatusCode::OK, answer.to_bytes(), None, caller.gate.limits.piece_bytes)
}

/// As [`json`], for what a lease allowed: it is cut off with it on its way out.
pub(crate) fn json_held(caller: &Caller, answer: &Answer, lease: Lease) -> Response<Outbound> {
    outbound::json_held(StatusCode::OK, answer.to_bytes(), lease, caller.gate.limits.piece_bytes)
}

/// The answer to a request that is wrong.
pub(crate) fn fault(caller: &Caller, fault: &Fault, id: Option<Id>) -> Response<Outbound> {
    respond_fault(&caller.gate, fault, id)
}

pub(super) fn respond_fault(gate: &Gate, fault: &Fault, id: Option<Id>) -> Response<Outbound> {
    outbound::json(fault.status, fault.to_response(id).to_bytes(), None, gate.limits.piece_bytes)
}

/// An error that answers no request.
pub(super) fn bare_fault(gate: &Gate, fault: &Fault) -> Response<Outbound> {
    let mut response = respond_fault(gate, fault, None);
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

// === impl Denied ===

impl Denied {
    pub(crate) fn respond(self, caller: &Caller, id: Option<Id>) -> Response<Outbound> {
        let piece = caller.gate.limits.piece_bytes;
        match self {
            Self::Fault(fault) => respond_fault(&caller.gate, &fault, id),
            Self::Refused(refusal) => {
                respond_fault(&caller.gate, &refusal::fault(&refusal, Effect::Refused), id)
            }
            Self::Rejected(mut answer, status) => {
                answer.id = id;
                let status = if caller.era == Era::Modern { status } else { StatusCode::OK };
                outbound::json(status, answer.to_bytes(), None, piece)
            }
        }
    }
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<UpstreamError> for Denied {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::SessionGone => Self::Fault(Fault::no_session()),
            UpstreamError::Cut(cut) => Self::Fault(Fault::answer(fault::REFUSED, cut.reason)),
            UpstreamError::Gone => Self::Fault(Fault {
                status: StatusCode::NOT_FOUND,
                ..Fault::answer(fault::INVALID_REQUEST, "there is no such tool server")
            }),
            error => {
                tracing::debug!(%error, "an upstream gave no answer");
                Self::Fault(Fault::upstream(error.for_agents()))
            }
        }
    }
}
