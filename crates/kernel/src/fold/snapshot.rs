//! The fold as a document and back, so that a start need not replay everything.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::ActionId;

use super::approvals::{Given, Kept, Request, State};
use super::{Accounts, ApprovalState, Fold, Life, OpenAction, RunState};
use crate::model::Reservation;
use crate::record::{
    Damaged, EndedBy, Exit, Members, PendingRecord, PinRecord, PinState, Subject, SuspensionRecord,
    TokenRecord, Used, texts,
};

/// The version of the document.
const VERSION: u64 = 2;

impl Fold {
    /// The state as a document, the same for the same state.
    pub(crate) fn to_document(&self) -> Object {
        let mut runs: Vec<&RunState> = self.runs.iter().collect();
        runs.sort_by_key(|state| state.run.id);
        let mut approvals: Vec<&Request> = self.approvals.iter().collect();
        // In the order in which they were asked: of two for the same call the later one counts.
        approvals.sort_by_key(|request| request.entry);
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_by_key(|(action, _)| **action);
        let open = open.into_iter().map(|(action, open)| {
            let body = open.subject.body().with("action", action.to_string());
            body.with("cleared_at", open.cleared_at)
                .with("deadline", open.deadline)
                .with_some("reserved", open.reservation.map(Reservation::body))
        });
        Object::new()
            .with("v", VERSION)
            .with("next", self.next)
            .with("at", self.at)
            .with("runs", runs.into_iter().map(run_document).collect::<Vec<_>>())
            .with("suspensions", self.suspensions.all().map(SuspensionRecord::body).collect::<Vec<_>>())
            .with("approvals", approvals.into_iter().map(request_document).collect::<Vec<_>>())
            .with("pins", self.pin_records().iter().map(PinRecord::body).collect::<Vec<_>>())
            .with("accounts", self.accounts.to_document())
            .with("open", open.collect::<Vec<_>>())
    }

    /// Reads what [`Fold::to_document`] writes.
    pub(crate) fn from_document(document: &Object) -> Result<Self, Damaged> {
        let members = Members(document);
        if members.number("v")? != VERSION {
            return Err(Damaged("v".into()));
        }
        let mut fold = Self::default();
        for run in members.objects("runs", read_run)? {
            fold.runs.insert(run);
        }
        for suspension in members.objects("suspensions", SuspensionRecord::read)? {
            fold.suspensions.apply(&suspension);
        }
        for request in members.objects("approvals", read_request)? {
            fold.approvals.insert(request);
        }
        for pin in members.objects("pins", PinRecord::read)? {
            fold.pins.apply(&pin);
        }
        fold.accounts = Accounts::from_document(members)?;
        for (action, open) in members.objects("open", read_open)? {
            fold.open.insert(action, open);
        }
        fold.next = members.number("next")?;
        fold.at = members.parse("at")?;
        Ok(fold)
    }

    /// The pins as the records that lead to them.
    fn pin_records(&self) -> Vec<PinRecord> {
        let mut records = Vec::new();
        for (workspace, server, tool, pin) in self.pins.iter() {
            let mut record = |state, definition: &Arc<_>, by: &_, person| {
                records.push(PinRecord {
                    workspace: workspace.clone(),
                    server: server.clone(),
                    tool: tool.clone(),
                    state,
                    definition: Some(Arc::clone(definition)),
                    by: Clone::clone(by),
                    person,
                });
            };
            if let Some(pinned) = &pin.pinned {
                record(PinState::Pinned, &pinned.definition, &pinned.by, pinned.person);
            }
            if let Some(seen) = &pin.seen {
                record(PinState::Seen, seen, &crate::actor::node_name(), false);
            }
        }
        records
    }
}

fn run_document(state: &RunState) -> Object {
    let body =
        TokenRecord::run_body(&state.run).with_some("token", state.token.map(|token| token.to_string()));
    let ended = state
        .ended
        .as_ref()
        .map(|(at, reason)| Object::new().with("at", *at).with("reason", reason.as_str()));
    body.with("by", &state.by)
        .with_some("first_used", state.first_used)
        .with("actions", state.actions)
        .with("model_calls", state.model_calls)
        .with_some("actions_below", some(state.actions_below))
        .with_some("model_calls_below", some(state.model_calls_below))
        .with_some("last_action", state.last_action.map(|action| action.to_string()))
        .with_some("ended", ended)
        .with_some("life", state.life.as_ref().map(life_document))
}

/// A count, where there is one.
fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

fn read_run(members: Members<'_>) -> Result<RunState, Damaged> {
    let run = TokenRecord::read_run(members)?;
    let ended = if members.0.contains("ended") {
        let ended = members.object("ended")?;
        Some((ended.parse("at")?, ended.text("reason")?.to_owned()))
    } else {
        None
    };
    Ok(RunState {
        run: Arc::new(run),
        token: members.optional("token")?,
        by: members.parse("by")?,
        first_used: members.optional("first_used")?,
        actions: members.number("actions")?,
        model_calls: members.number("model_calls")?,
        actions_below: members.number_or("actions_below", 0)?,
        model_calls_below: members.number_or("model_calls_below", 0)?,
        last_action: members.optional("last_action")?,
        ended,
        life: members.optional_object("life", read_life)?,
    })
}

fn life_document(life: &Life) -> Object {
    let (code, signal) = match life.exit {
        None => (None, None),
        Some(Exit::Code(code)) => (Some(u64::from(code)), None),
        Some(Exit::Signal(signal)) => (None, Some(u64::from(signal))),
    };
    let body = Object::new()
        .with("phase", life.phase.as_str())
        .with("since", life.since)
        .with_some("layers", life.layers.clone())
        .with_some("why", life.why.map(EndedBy::as_str))
        .with_some("reason", life.reason.as_deref())
        .with_some("exit_code", code)
        .with_some("exit_signal", signal);
    Used::write(life.used.as_ref(), body)
}

fn read_life(members: Members<'_>) -> Result<Life, Damaged> {
    Ok(Life {
        phase: members.parse("phase")?,
        since: members.parse("since")?,
        layers: members.optional_object("layers", |layers| Ok(layers.0.clone()))?,
        why: members.optional("why")?,
        reason: members.optional("reason")?,
        exit: Exit::read(members)?,
        used: Used::read(members)?,
    })
}

fn request_document(request: &Request) -> Object {
    let given = |given: &Given| {
        Object::new()
            .with("approver", &given.approver)
            .with_some("answers", texts(&given.answers))
            .with("at", given.at)
            .with_some("note", given.note.as_deref())
    };
    Object::new()
        .with("entry", request.entry)
        .with("pending", request.record.body())
        .with("asked_at", request.asked_at)
        .with("state", state_document(&request.state))
        .with("given", request.given.iter().map(given).collect::<Vec<_>>())
        .with_some("narrowed", request.narrowed.map(kept_document))
        .with("final_digest", request.final_digest.to_string())
}

fn read_request(members: Members<'_>) -> Result<Request, Damaged> {
    let given = |given: Members<'_>| {
        Ok(Given {
            approver: given.parse("approver")?,
            answers: given.list("answers")?,
            at: given.parse("at")?,
            note: given.optional("note")?,
        })
    };
    let narrowed = if members.0.contains("narrowed") {
        let kept = members.object("narrowed")?;
        Some(Kept { entry: kept.number("entry")?, name: kept.parse("name")? })
    } else {
        None
    };
    Ok(Request {
        entry: members.number("entry")?,
        record: PendingRecord::read(members.object("pending")?)?,
        asked_at: members.parse("asked_at")?,
        state: read_state(members.object("state")?)?,
        given: members.objects("given", given)?,
        narrowed,
        final_digest: members.parse("final_digest")?,
    })
}

fn kept_document(kept: Kept) -> Object {
    Object::new().with("entry", kept.entry).with("name", kept.name.to_string())
}

fn state_document(state: &State) -> Object {
    let document = |word: &str| Object::new().with("is", word);
    match state {
        State::Waiting { until } => document("waiting").with("until", *until),
        State::Approved { until } => document("approved").with("until", *until),
        State::Denied { by, note, until } => document("denied")
            .with_some("by", by.as_ref())
            .with_some("note", note.as_deref())
            .with("until", *until),
        State::Spent { action, at } => document("spent").with("action", action.to_string()).with("at", *at),
        State::Expired { at } => document("expired").with("at", *at),
    }
}

fn read_state(members: Members<'_>) -> Result<State, Damaged> {
    Ok(match members.text("is")? {
        "waiting" => ApprovalState::Waiting { until: members.parse("until")? },
        "approved" => ApprovalState::Approved { until: members.parse("until")? },
        "denied" => ApprovalState::Denied {
            by: members.optional("by")?,
            note: members.optional("note")?,
            until: members.parse("until")?,
        },
        "spent" => ApprovalState::Spent { action: members.parse("action")?, at: members.parse("at")? },
        "expired" => ApprovalState::Expired { at: members.parse("at")? },
        _ => return Err(Damaged("is".into())),
    })
}

fn read_open(members: Members<'_>) -> Result<(ActionId, OpenAction), Damaged> {
    let open = OpenAction {
        subject: Subject::read(members)?,
        cleared_at: members.parse("cleared_at")?,
        deadline: members.parse("deadline")?,
        reservation: members.optional_object("reserved", Reservation::read)?,
    };
    Ok((members.parse("action")?, open))
}
