//! The node as a whole.

use ringfence_json::{Object, Value};
use ringfence_kernel::{Account, Actor};
use ringfence_types::{Window, WorkspaceName};

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use super::super::{desk::Desk, metrics as exposition, money, show};

pub(in crate::api) async fn health(_: Call) -> Result<Answer, Problem> {
    Ok(Answer::Document(Object::new().with("status", "ok")))
}

pub(in crate::api) async fn ready(call: Call) -> Result<Answer, Problem> {
    if call.desk.kernel.status().admitting {
        return Ok(Answer::Document(Object::new().with("status", "ready")));
    }
    Err(Problem::unavailable("the node admits no actions at present").hint("`ringfence status` says why"))
}

pub(in crate::api) async fn openapi(call: Call) -> Result<Answer, Problem> {
    Ok(Answer::Document(call.desk.description.clone()))
}

pub(in crate::api) async fn metrics(call: Call) -> Result<Answer, Problem> {
    let desk = &call.desk;
    let kernel = &desk.kernel;
    let mut text = exposition::render(&kernel.status(), &kernel.runs(), desk.failed_logins.total());
    let mut fill = exposition::Fill::default();
    kernel.budgets(|account, run, budget, sum| {
        fill.count(account, run, budget, sum);
        false
    });
    exposition::render_spending(&mut text, &kernel.status().counts.booked, &fill);
    let workspaces = &desk.in_force().compiled.loaded.config.workspaces;
    let reserved = workspaces.iter().map(|workspace| {
        let sum = kernel.spent(&Account::Workspace(workspace.name.clone()));
        (workspace.name.to_string(), sum.reserved_usd.to_string(), sum.reserved_tokens)
    });
    exposition::render_reserved(&mut text, &reserved.collect::<Vec<_>>());
    Ok(Answer::Text("text/plain; version=0.0.4; charset=utf-8", text))
}

pub(in crate::api) async fn whoami(call: Call) -> Result<Answer, Problem> {
    let caller = &call.caller;
    let powers = [crate::Power::View, crate::Power::Operate, crate::Power::Approve];
    let may = powers.into_iter().filter(|power| caller.may(*power)).map(crate::Power::role);
    Ok(Answer::Document(
        Object::new()
            .with("person", &caller.name)
            .with("roles", show::texts(&caller.roles))
            .with("owner", caller.owner)
            .with("may", show::texts(may)),
    ))
}

pub(in crate::api) async fn reload(call: Call) -> Result<Answer, Problem> {
    let done = call.desk.reloader.reload(&call.desk, &Actor::from(&call.caller)).await;
    let report = done.map_err(|error| {
        Problem::new(http::StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            .hint("`ringfence check` shows every line; the old configuration stays in force")
    })?;
    Ok(Answer::Document(
        Object::new().with("changed", report.changed).with("digest", report.digest.to_string()),
    ))
}

pub(in crate::api) async fn status(call: Call) -> Result<Answer, Problem> {
    Ok(Answer::Document(status_of(&call.desk)))
}

fn status_of(desk: &Desk) -> Object {
    let status = desk.kernel.status();
    let in_force = desk.in_force();
    let refused = desk.refused.lock().clone();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let breakers =
        status.open_breakers.iter().map(|(workspace, upstream)| show::upstream(workspace, upstream));
    let (kept, kept_most) = desk.runs.kept_bytes();
    let layers = desk
        .missing_layers
        .iter()
        .map(|(layer, why)| Object::new().with("layer", layer.as_str()).with("why", why.as_str()));
    Object::new()
        .with("node", &desk.node)
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("organization", &in_force.compiled.loaded.config.organization)
        .with("gateway", desk.addresses.gateway.as_str())
        .with("control", desk.addresses.control.as_str())
        .with("started_at", status.started_at)
        .with("admitting", status.admitting)
        .with("configuration", configuration(desk))
        .with_some(
            "refused_configuration",
            refused.map(|refused| Object::new().with("at", refused.at).with("cause", refused.cause)),
        )
        .with("workspaces", workspaces(desk))
        .with("full_budgets", full_budgets(desk))
        .with("runs", count(status.runs))
        .with("kept_output", Object::new().with("bytes", kept).with("bytes_max", kept_most))
        .with("open_actions", count(status.open))
        .with("waiting_approvals", count(status.waiting))
        .with("suspensions", show::list(desk.kernel.suspensions(), show::suspension))
        .with("open_breakers", breakers.collect::<Vec<_>>())
        .with("missing_layers", layers.collect::<Vec<_>>())
        .with(
            "log",
            Object::new()
                .with("entries", status.entries)
                .with("durable", status.durable)
                .with_some("key", desk.books.verifier_key().ok().flatten()),
        )
}

/// Budgets of which more than this is spent or set aside, in percent, are shown with the status.
const FULL_PERCENT: u8 = 80;

/// The fullest budgets, at most so many.
const FULL_SHOWN_MAX: usize = 50;

fn full_budgets(desk: &Desk) -> Value {
    let now = desk.kernel.now();
    let mut full = desk.kernel.budgets(|_, _, budget, sum| sum.percent_of(budget) >= FULL_PERCENT);
    // A stable sort: of those equally full, the wider stay first.
    full.sort_by_key(|budget| std::cmp::Reverse(budget.percent()));
    show::list(full.iter().take(FULL_SHOWN_MAX), |budget| money::budget(budget, now))
}

fn configuration(desk: &Desk) -> Object {
    let in_force = desk.in_force();
    let loaded = &in_force.compiled.loaded;
    let file = loaded.sources.first().map(|source| source.path.display().to_string());
    Object::new()
        .with_some("file", file)
        .with("digest", loaded.digest.to_string())
        .with("since", in_force.since)
        .with("warnings", u64::try_from(in_force.compiled.warnings.len()).unwrap_or(u64::MAX))
}

fn workspaces(desk: &Desk) -> Value {
    let in_force = desk.in_force();
    let compiled = &in_force.compiled;
    let pins = desk.kernel.pins();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let today = |workspace: &WorkspaceName| {
        desk.kernel.spent_within(&Account::Workspace(workspace.clone()), Some(Window::Day))
    };
    show::list(&compiled.loaded.config.workspaces, |workspace| {
        let own = || pins.iter().filter(|pin| pin.workspace == workspace.name);
        let unapproved = own().filter(|pin| matches!(show::pin_state(pin), "new" | "changed")).count();
        Object::new()
            .with("workspace", &workspace.name)
            .with("environment", workspace.environment.clone())
            .with("agents", show::texts(workspace.agents.iter().map(|agent| &agent.name)))
            .with("servers", show::texts(workspace.servers.iter().map(|server| &server.name)))
            .with("models", show::texts(workspace.models.iter().map(|model| &model.name)))
            .with("tools", count(own().count()))
            .with("tools_to_approve", count(unapproved))
            .with("spent_today", money::spent(&today(&workspace.name)))
            .with_some("policy", compiled.policies.get(&workspace.name).map(|set| set.digest().to_string()))
    })
}
