//! Answering requests for approval.

use ringfence_json::Object;
use ringfence_ledger::{RoomFor, SealedPayload};
use ringfence_types::{ApprovalId, Digest, RuleName, Timestamp};

use super::{LedgerUnavailable, durable};
use crate::ask::Ask;
use crate::fold::{Pinned, Request};
use crate::kernel::Inner;
use crate::narrower;
use crate::proposal::{CONTINUATION, digest_of, take_continuation};
use crate::record::{Answer, ApprovalRecord, Record, milliseconds};
use crate::target::Target;
use crate::text::bounded;
use crate::view::View;
use crate::views::ApprovalView;
use crate::{Actor, Kernel, Proposal};

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// No such request.
    #[error("there is no request {0}; `ringfence approvals list` shows those that wait")]
    Unknown(ApprovalId),
    /// It does not wait any more.
    #[error("the request {0} does not wait any more: it was answered, has expired, or was used")]
    NotWaiting(ApprovalId),
    /// The run works for this person.
    #[error("nobody approves what is done on their own behalf; another person has to")]
    Own,
    /// They may not.
    #[error("this needs a person with one of the roles {}", roles.join(", "))]
    NotAllowed {
        /// The roles that may.
        roles: Vec<String>,
    },
    /// They did.
    #[error("you have approved this already; another person has to as well")]
    Already,
    /// What the approver made of the arguments cannot be sent.
    #[error("these arguments cannot be sent: {0}")]
    Arguments(String),
    /// See there.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

/// Arguments as an approver narrowed them, and what the rules make of them.
struct Narrowed {
    arguments: Object,
    final_digest: Digest,
}

impl Kernel {
    /// Says yes to a request, optionally to less than was asked for. With the last person that the rules ask for,
    /// the call that has waited longest goes through.
    ///
    /// # Errors
    /// When there is no such request, it does not wait, this person may not, or the arguments cannot be sent.
    pub async fn approve(
        &self,
        approval: ApprovalId,
        by: &Actor,
        arguments: Option<Object>,
        note: Option<&str>,
    ) -> Result<ApprovalView, ApprovalError> {
        self.0.may_approve(approval, by)?;
        let narrowed =
            arguments.map(|arguments| self.0.narrowed_by_approver(approval, arguments)).transpose()?;
        let payload = match &narrowed {
            Some(narrowed) => Some(self.0.seal_narrowed(approval, &narrowed.arguments)?),
            None => None,
        };
        let ticket = {
            let mut state = self.0.state.lock();
            let now = self.0.clock.now();
            let request = state.fold.approvals.get(approval).ok_or(ApprovalError::Unknown(approval))?;
            let answers = answers(request, by, now)?;
            let record = ApprovalRecord {
                answers,
                narrowed: payload.as_ref().map(SealedPayload::name),
                final_digest: narrowed.as_ref().map(|narrowed| narrowed.final_digest),
                ..self.0.answer(request, Answer::Approved, by, note)
            };
            let payloads = payload.into_iter().collect();
            let ticket = state.commit(&self.0.clock, &Record::Approval(record), payloads, RoomFor::Operator);
            // Woken here and not once this is durable, so that nobody has to come back to do it: the intent of the
            // call stands behind this yes in the log, and is never durable without it.
            if state.fold.approvals.get(approval).is_some_and(|request| request.is_approved(now)) {
                state.wake_oldest(approval);
            }
            ticket
        };
        durable(ticket.map_err(LedgerUnavailable::from)?).await?;
        self.approval(approval).ok_or(ApprovalError::Unknown(approval))
    }

    /// Says no to a request. The same call is refused until the request would have expired.
    ///
    /// # Errors
    /// As [`Kernel::approve`].
    pub async fn deny(
        &self,
        approval: ApprovalId,
        by: &Actor,
        note: Option<&str>,
    ) -> Result<ApprovalView, ApprovalError> {
        let ticket = {
            let mut state = self.0.state.lock();
            let now = self.0.clock.now();
            let request = state.fold.approvals.get(approval).ok_or(ApprovalError::Unknown(approval))?;
            if !request.is_waiting(now) && !request.is_approved(now) {
                return Err(ApprovalError::NotWaiting(approval));
            }
            answering_roles(request, by)?;
            let record = self.0.answer(request, Answer::Denied, by, note);
            let ticket =
                state.commit(&self.0.clock, &Record::Approval(record), Vec::new(), RoomFor::Operator);
            state.wake_all(approval);
            ticket
        };
        durable(ticket.map_err(LedgerUnavailable::from)?).await?;
        self.approval(approval).ok_or(ApprovalError::Unknown(approval))
    }
}

impl Inner {
    /// An answer without what only a yes has.
    pub(crate) fn answer(
        &self,
        request: &Request,
        answer: Answer,
        by: &Actor,
        note: Option<&str>,
    ) -> ApprovalRecord {
        ApprovalRecord {
            subject: request.record.subject.clone(),
            approval: request.record.approval,
            answer,
            approver: (answer != Answer::Expired).then(|| by.person.clone()),
            answers: Vec::new(),
            note: note.map(bounded),
            narrowed: None,
            final_digest: None,
            latency_ms: milliseconds(self.clock.now().since(request.asked_at)),
            parents: vec![request.record.action],
        }
    }

    /// Asked before anything of the request is looked at, so that errors tell it to nobody else.
    fn may_approve(&self, approval: ApprovalId, by: &Actor) -> Result<(), ApprovalError> {
        let state = self.state.lock();
        let request = state.fold.approvals.get(approval).ok_or(ApprovalError::Unknown(approval))?;
        answers(request, by, self.clock.now()).map(drop)
    }

    fn seal_narrowed(
        &self,
        approval: ApprovalId,
        arguments: &Object,
    ) -> Result<SealedPayload, ApprovalError> {
        let workspace = {
            let state = self.state.lock();
            let request = state.fold.approvals.get(approval).ok_or(ApprovalError::Unknown(approval))?;
            request.record.subject.workspace.clone()
        };
        Ok(self.seal(&workspace, &arguments.to_canonical()).ok_or(LedgerUnavailable)?)
    }

    /// Holds what an approver made of the arguments against schema and rules, as a call with them would be.
    fn narrowed_by_approver(
        &self,
        approval: ApprovalId,
        mut arguments: Object,
    ) -> Result<Narrowed, ApprovalError> {
        let request = self.state.lock().fold.approvals.get(approval).cloned();
        let request = request.ok_or(ApprovalError::Unknown(approval))?;
        let asked = self.object_payload(&request.requested()).ok_or(LedgerUnavailable)?;
        let whole = match request.record.subject.target {
            Target::Tool { .. } => None,
            Target::Model { .. } => Some("a model call"),
            Target::Host { .. } => Some("a connection"),
            Target::Agent { .. } => Some("the start of a run"),
        };
        if let Some(what) = whole {
            return Err(ApprovalError::Arguments(format!("{what} is approved or denied as it is")));
        }
        let proposal = self.proposal_of(&request, &asked).ok_or(ApprovalError::NotWaiting(approval))?;
        // An approver may leave the continuation out where it is shown among the arguments, but not change it.
        let kept = take_continuation(&mut arguments);
        if kept.is_some() && kept.as_ref() != proposal.call.continuation() {
            let what = format!("{CONTINUATION} is what the agent answers the server; it cannot be changed");
            return Err(ApprovalError::Arguments(what));
        }
        if let Some(pointer) = narrower::beyond(&proposal.call.arguments(), &arguments) {
            let what = format!(
                "{} is not less than what the agent asked for; an approver can lower numbers, and leave out members and elements",
                bounded(&pointer.escape_debug().to_string())
            );
            return Err(ApprovalError::Arguments(what));
        }
        let (call, ask) = (proposal.call.clone(), Ask::from(proposal));
        let setup = self.setup.load_full();
        let pinned = {
            let state = self.state.lock();
            crate::admit::current_definition(&state, &ask).map(Option::<&Pinned>::cloned)
        };
        let requested = request.record.requested;
        let weighed = pinned
            .and_then(|pinned| View::of(&setup, &ask)?.weigh(&ask, requested, pinned.as_ref(), &arguments));
        let weighed = weighed.map_err(|objection| ApprovalError::Arguments(objection.reason))?;
        let arguments = call.recorded(&arguments).into_owned();
        if weighed.final_digest != digest_of(&arguments) {
            let what = "the rules would narrow them further; approve what the rules leave".to_owned();
            return Err(ApprovalError::Arguments(what));
        }
        Ok(Narrowed { arguments, final_digest: weighed.final_digest })
    }

    /// The call that asked, as it would be proposed again.
    fn proposal_of(&self, request: &Request, arguments: &Object) -> Option<Proposal> {
        let subject = &request.record.subject;
        let run = self.state.lock().fold.runs.get(subject.run)?.run.clone();
        let Target::Tool { server, tool } = &subject.target else { return None };
        let call = crate::proposal::call_of(tool, request.record.definition.is_some(), arguments)?;
        Some(Proposal { run, server: server.clone(), call })
    }
}

/// The rules whose requirement this person can answer; at least one.
fn answers(request: &Request, by: &Actor, now: Timestamp) -> Result<Vec<RuleName>, ApprovalError> {
    let answers = answering_roles(request, by)?;
    if !request.is_waiting(now) {
        return Err(ApprovalError::NotWaiting(request.record.approval));
    }
    if request.given.iter().any(|given| given.approver == by.person) {
        return Err(ApprovalError::Already);
    }
    Ok(answers)
}

/// Whether this person may answer at all: not their own run, and with a role that a rule names.
fn answering_roles(request: &Request, by: &Actor) -> Result<Vec<RuleName>, ApprovalError> {
    let requirements = &request.record.requirements;
    if request.record.subject.user.as_ref().is_some_and(|user| user.as_str() == by.person.as_str()) {
        return Err(ApprovalError::Own);
    }
    let answering = requirements.iter().filter(|requirement| by.may_approve(&requirement.approvers));
    let answers: Vec<RuleName> = answering.map(|requirement| requirement.rule.clone()).collect();
    if answers.is_empty() {
        let mut roles: Vec<String> = requirements
            .iter()
            .flat_map(|requirement| &requirement.approvers)
            .map(ToString::to_string)
            .collect();
        if roles.is_empty() {
            roles = vec!["approver".into(), "admin".into()];
        }
        return Err(ApprovalError::NotAllowed { roles });
    }
    Ok(answers)
}
