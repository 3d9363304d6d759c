//! What the kernel shows, as JSON.

use ringfence_json::{Object, Value};
use ringfence_kernel::{
    ApprovalStatus, ApprovalView, EndedBy, Exit, PinView, RunView, SuspensionView, Upstream,
};
use ringfence_policy::{Approval, Change, Difference, diff_definitions};
use ringfence_types::{Role, Timestamp, WorkspaceName, format_duration};

pub(super) fn list<T>(items: impl IntoIterator<Item = T>, show: impl Fn(&T) -> Object) -> Value {
    Value::Array(items.into_iter().map(|item| Value::Object(show(&item))).collect())
}

pub(super) fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(items.into_iter().map(|item| Value::from(item.to_string())).collect())
}

pub(super) fn run(view: &RunView, now: Timestamp) -> Object {
    let run = &view.run;
    let life = view.life.as_ref();
    let (exit, used) = (life.and_then(|life| life.exit), life.and_then(|life| life.used));
    Object::new()
        .with("run", run.id.to_string())
        .with("workspace", &run.workspace)
        .with("agent", &run.agent)
        .with_some("user", run.user.as_ref())
        .with_some("conversation", run.conversation.as_ref())
        .with_some("parent", run.parent().map(|parent| parent.to_string()))
        .with("state", view.state(now))
        .with_some("started_here", life.is_some().then_some(true))
        .with("actions", view.actions)
        .with_some("actions_below", (view.actions_below > 0).then_some(view.actions_below))
        .with("in_flight", view.in_flight)
        .with("minted_by", &view.by)
        .with("minted_at", run.minted_at)
        .with("expires_at", run.expires_at)
        .with_some("first_used", view.first_used)
        .with_some("ended_at", view.ended.as_ref().map(|(at, _)| *at))
        .with_some("ended_because", view.ended.as_ref().map(|(_, reason)| reason.as_str()))
        .with_some("ended_by", life.and_then(|life| life.why).map(EndedBy::as_str))
        .with_some(
            "exit_code",
            exit.and_then(|exit| if let Exit::Code(code) = exit { Some(u64::from(code)) } else { None }),
        )
        .with_some(
            "exit_signal",
            exit.and_then(
                |exit| if let Exit::Signal(signal) = exit { Some(u64::from(signal)) } else { None },
            ),
        )
        .with_some("memory_bytes_peak", used.and_then(|used| used.memory_bytes_peak))
        .with_some("cpu_us", used.map(|used| used.cpu_us))
        .with_some("memory_kills", used.map(|used| used.memory_kills).filter(|kills| *kills > 0))
        .with_some("layers", life.and_then(|life| life.layers.clone()))
}

/// Something that answers to actions: a tool server or a model.
pub(super) fn upstream(workspace: &WorkspaceName, upstream: &Upstream) -> Object {
    let kind = match upstream {
        Upstream::Server(_) => "server",
        Upstream::Model(_) => "model",
    };
    Object::new().with("workspace", workspace).with(kind, upstream.name())
}

pub(super) fn suspension(view: &SuspensionView) -> Object {
    Object::new()
        .with("id", view.id.to_string())
        .with("scope", view.scope.to_object())
        .with("covers", view.scope.to_string())
        .with("reason", view.reason.as_str())
        .with("by", &view.by)
        .with_some("until", view.until)
}

pub(super) fn approval(view: &ApprovalView) -> Object {
    let scope = &view.scope;
    Object::new()
        .with("id", view.id.to_string())
        .with("state", approval_state(view.status))
        .with_some("workspace", scope.workspace.as_ref())
        .with_some("agent", scope.agent.as_ref())
        .with_some("run", scope.run.map(|run| run.to_string()))
        .with_some("user", view.user.as_deref())
        .with_some("server", scope.server.as_ref())
        .with_some("tool", scope.tool.as_ref())
        .with_some("model", scope.model.as_ref())
        .with_some("operation", view.operation.as_deref())
        .with_some("host", view.host.as_ref().map(|(host, _)| host))
        .with_some("port", view.host.as_ref().map(|(_, port)| u64::from(*port)))
        .with_some("spawns", view.spawns.as_ref())
        .with("action", view.action.to_string())
        .with_some("requested", view.requested.clone())
        .with_some("will_send", view.will_send.clone())
        .with("requirements", list(&view.requirements, |requirement| self::requirement(requirement)))
        .with("given", texts(&view.given))
        .with("asked_at", view.asked_at)
        .with("expires_at", view.expires_at)
}

pub(super) fn approval_state(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Waiting => "waiting",
        ApprovalStatus::Approved => "approved",
        ApprovalStatus::Denied => "denied",
        ApprovalStatus::Spent => "spent",
        ApprovalStatus::Expired => "expired",
    }
}

fn requirement(requirement: &Approval) -> Object {
    Object::new()
        .with("rule", &requirement.rule)
        .with("approvers", texts(requirement.approvers.iter().map(Role::as_str)))
        .with("quorum", requirement.quorum)
        .with("expires", format_duration(requirement.expires))
}

/// Where a tool's definition stands.
pub(super) fn pin_state(view: &PinView) -> &'static str {
    match (&view.pinned, &view.seen) {
        (Some(pinned), Some(seen)) if pinned.digest == seen.digest => "pinned",
        (Some(_), Some(_)) => "changed",
        (None, Some(_)) => "new",
        (_, None) => "gone",
    }
}

pub(super) fn pin(view: &PinView) -> Object {
    let shown = view.seen.as_ref().or(view.pinned.as_ref());
    Object::new()
        .with("workspace", &view.workspace)
        .with("server", &view.server)
        .with("tool", &view.tool)
        .with("state", pin_state(view))
        .with_some("pinned", view.pinned.as_ref().map(|definition| definition.digest.to_string()))
        .with_some("pinned_by", view.pinned_by.as_ref())
        .with_some("seen", view.seen.as_ref().map(|definition| definition.digest.to_string()))
        .with_some("description", shown.and_then(|definition| definition.description.as_deref()))
        .with_some("read_only_hint", shown.and_then(|definition| definition.read_only_hint))
}

/// What a person has to look at before taking the definition as right. Changes are escaped and bounded already.
pub(super) fn pin_difference(view: &PinView) -> Object {
    let difference = match (&view.pinned, &view.seen) {
        (Some(pinned), Some(seen)) => diff_definitions(&pinned.object, &seen.object),
        _ => Difference::default(),
    };
    let change = |change: &Change| {
        Object::new()
            .with("pointer", change.pointer.as_str())
            .with_some("before", change.before.as_deref())
            .with_some("after", change.after.as_deref())
    };
    pin(view)
        .with_some("definition", view.seen.as_ref().map(|definition| definition.object.clone()))
        .with("changes", Value::Array(difference.changes.iter().map(change).map(Value::Object).collect()))
        .with("omitted", u64::try_from(difference.omitted).unwrap_or(u64::MAX))
}
