//! What the kernel knows against what the model knows.

use std::sync::Arc;

use ringfence_kernel::{ApprovalStatus, ApprovalView, Kernel, Run};
use ringfence_types::Timestamp;

use crate::approvals::{Request, State};
use crate::model::Model;
use crate::world::PEOPLE;

/// Everything that people can see of the kernel's state. Learns the identifiers of requests that waiting calls made.
pub fn state(model: &mut Model, kernel: &Kernel, runs: &[Arc<Run>], start: Timestamp) -> Result<(), String> {
    same("open actions", kernel.status().open, model.actions.iter().filter(|action| action.open).count())?;
    for (index, each) in runs.iter().enumerate() {
        run(model, kernel, each, index, start)?;
    }
    suspensions(model, kernel)?;
    approvals(model, kernel, runs)
}

#[allow(clippy::needless_pass_by_value, reason = "what is compared is mostly computed on the spot")]
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, kernel: T, model: T) -> Result<(), String> {
    if kernel == model { Ok(()) } else { Err(format!("{what}: kernel {kernel:?}, model {model:?}")) }
}

fn run(model: &Model, kernel: &Kernel, run: &Arc<Run>, index: usize, start: Timestamp) -> Result<(), String> {
    let known = &model.runs[index];
    let Some(view) = kernel.run(run.id) else {
        // An hour after its end a run may be forgotten.
        return if model.now > known.expires_at { Ok(()) } else { Err(format!("run {index} is forgotten")) };
    };
    same(&format!("actions of run {index}"), view.actions, known.actions)?;
    same(&format!("under way of run {index}"), view.in_flight as usize, model.under_way(index))?;
    same(&format!("end of run {index}"), view.ended.is_some(), known.ended)?;
    let first_used = view.first_used.map(|at| at.since(start).as_secs());
    same(&format!("first use of run {index}"), first_used, known.first_used)
}

fn suspensions(model: &Model, kernel: &Kernel) -> Result<(), String> {
    let mut known: Vec<_> = kernel.suspensions().iter().map(|view| Some(view.id)).collect();
    let mut wanted: Vec<_> =
        model.suspensions.iter().filter(|it| it.in_force(model.now)).map(|it| it.id).collect();
    known.sort();
    wanted.sort();
    same("suspensions in force", known, wanted)
}

fn approvals(model: &mut Model, kernel: &Kernel, runs: &[Arc<Run>]) -> Result<(), String> {
    let now = kernel.now();
    let live = |view: &ApprovalView| match view.status {
        ApprovalStatus::Waiting | ApprovalStatus::Approved => true,
        ApprovalStatus::Denied => now < view.expires_at,
        ApprovalStatus::Spent | ApprovalStatus::Expired => false,
    };
    let views: Vec<ApprovalView> = kernel.approvals().into_iter().filter(live).collect();
    let seconds = model.now;
    let wanted: Vec<usize> =
        (0..model.requests.len()).filter(|at| model.requests[*at].is_live(seconds)).collect();
    let listed: Vec<_> = views.iter().map(|view| (view.id, view.status)).collect();
    if listed.len() != wanted.len() {
        let wanted: Vec<_> =
            wanted.iter().map(|at| (model.requests[*at].id, model.requests[*at].state)).collect();
        return Err(format!("live requests: kernel {listed:?}, model {wanted:?}"));
    }
    for index in wanted {
        let taken: Vec<_> = model.requests.iter().filter_map(|request| request.id).collect();
        let request = &mut model.requests[index];
        let is_it = |view: &&ApprovalView| match request.id {
            Some(id) => view.id == id,
            None => !taken.contains(&view.id) && asks_the_same(view, request, runs),
        };
        let view = views.iter().find(is_it).ok_or_else(|| format!("no request like {request:?}"))?;
        request.id = Some(view.id);
        same_request(view, request)?;
    }
    Ok(())
}

fn asks_the_same(view: &ApprovalView, request: &Request, runs: &[Arc<Run>]) -> bool {
    let requested = view.requested.as_ref().map(|object| String::from_utf8(object.to_canonical()).unwrap());
    view.scope.run == Some(runs[request.binding.run].id)
        && view.scope.tool.as_ref().is_some_and(|tool| tool.as_str() == request.binding.tool)
        && requested == Some(request.binding.requested.json())
}

fn same_request(view: &ApprovalView, request: &Request) -> Result<(), String> {
    let status = match request.state {
        State::Waiting { .. } => ApprovalStatus::Waiting,
        State::Approved { .. } => ApprovalStatus::Approved,
        State::Denied { .. } => ApprovalStatus::Denied,
        State::Spent => ApprovalStatus::Spent,
        State::Expired => ApprovalStatus::Expired,
    };
    let what = |part: &str| format!("{part} of request {:?}", request.binding);
    same(&what("status"), view.status, status)?;
    let given: Vec<&str> = view.given.iter().map(ringfence_types::PersonName::as_str).collect();
    let yes: Vec<&str> = request.yes.iter().map(|person| PEOPLE[*person].0).collect();
    same(&what("answers"), given, yes)?;
    let will_send = view.will_send.as_ref().map(|object| String::from_utf8(object.to_canonical()).unwrap());
    same(&what("arguments"), will_send, Some(request.sent.json()))
}
