//! What a run is shown of those that it has started.

use ringfence_json::{Object, Value};
use ringfence_kernel::{EndedBy, Exit, Printed, RunView};

use crate::gate::Gate;

/// Runs in one list.
const LISTED_MAX: usize = 100;

/// How a run stands.
pub(super) fn run(gate: &Gate, view: &RunView) -> Object {
    let life = view.life.as_ref();
    let (code, signal) = match life.and_then(|life| life.exit) {
        None => (None, None),
        Some(Exit::Code(code)) => (Some(u64::from(code)), None),
        Some(Exit::Signal(signal)) => (None, Some(u64::from(signal))),
    };
    Object::new()
        .with("run", view.run.id.to_string())
        .with("agent", &view.run.agent)
        .with("state", view.state(gate.kernel.now()))
        .with_some("exit_code", code)
        .with_some("exit_signal", signal)
        .with_some("ended_by", life.and_then(|life| life.why).map(EndedBy::as_str))
        .with_some("ended_because", view.ended.as_ref().map(|(_, reason)| reason.as_str()))
        .with("actions", view.actions + view.actions_below)
}

/// Those that this one has started, newest first.
pub(super) fn runs(gate: &Gate, of: ringfence_types::RunId) -> Object {
    let children = gate.kernel.children_of(of, LISTED_MAX + 1);
    let shown: Vec<Value> =
        children.iter().take(LISTED_MAX).map(|view| Value::Object(run(gate, view))).collect();
    Object::new().with("runs", shown).with("more", children.len() > LISTED_MAX)
}

/// The last part of what a run wrote, added to what is shown of it.
pub(super) async fn with_output(gate: &Gate, view: &RunView, shown: Object) -> Object {
    let bytes = gate.limits.spawn_output_bytes.min(view.run.bounds.result_bytes.unwrap_or(u64::MAX));
    let printed = match gate.nurseries.get() {
        Some(nursery) => nursery.printed(view.run.id, bytes).await,
        None => Printed::default(),
    };
    let lines: Vec<Value> = printed.lines.into_iter().map(Value::Object).collect();
    shown.with("output", lines).with_some("output_is_cut", (!printed.is_whole).then_some(true))
}
