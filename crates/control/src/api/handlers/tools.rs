//! Tool definitions: seen, pinned, changed.

use ringfence_json::Object;
use ringfence_kernel::{Actor, PinError, PinSelection, PinView};
use ringfence_types::{ServerName, ToolName, WorkspaceName};

use super::super::call::{Answer, Call};
use super::super::problem::Problem;
use super::super::show;

impl From<PinError> for Problem {
    fn from(error: PinError) -> Self {
        match error {
            PinError::UnknownServer { .. } | PinError::UnknownTool { .. } => Self::unknown(error.to_string()),
            PinError::Changed { .. } => Self::conflict(error.to_string()),
            PinError::LedgerUnavailable(error) => error.into(),
        }
    }
}

/// Where a definition can stand.
const STATES: [&str; 4] = ["pinned", "new", "changed", "gone"];

/// The same, of those that are not the pinned ones.
const DIFFERENT: [&str; 3] = ["new", "changed", "gone"];

fn wanted(call: &Call, states: &[&'static str]) -> Result<Vec<PinView>, Problem> {
    let (workspace, server) = (call.asked("workspace"), call.asked("server"));
    let (tool, state) = (call.asked("tool"), call.asked_word("state", states)?);
    let wanted = |view: &PinView| {
        workspace.is_none_or(|name| view.workspace.as_str() == name)
            && server.is_none_or(|name| view.server.as_str() == name)
            && tool.is_none_or(|name| view.tool.as_str() == name)
            && state.is_none_or(|state| show::pin_state(view) == state)
    };
    Ok(call.desk.kernel.pins().into_iter().filter(wanted).collect())
}

pub(in crate::api) async fn tools(call: Call) -> Result<Answer, Problem> {
    let limit = call.limit()?;
    call.desk.looked.cancelled().await;
    let all = wanted(&call, &STATES)?;
    let more = all.len() > limit;
    let shown = show::list(all.into_iter().take(limit), show::pin);
    Ok(Answer::Document(Object::new().with("tools", shown).with("more", more)))
}

pub(in crate::api) async fn tools_diff(call: Call) -> Result<Answer, Problem> {
    let limit = call.limit()?;
    call.desk.looked.cancelled().await;
    let differs = |view: &PinView| show::pin_state(view) != "pinned";
    let all: Vec<PinView> = wanted(&call, &DIFFERENT)?.into_iter().filter(differs).collect();
    let more = all.len() > limit;
    let shown = show::list(all.into_iter().take(limit), show::pin_difference);
    Ok(Answer::Document(Object::new().with("tools", shown).with("more", more)))
}

pub(in crate::api) async fn approve_tools(call: Call) -> Result<Answer, Problem> {
    let workspace: WorkspaceName = call.required("workspace")?;
    let server: ServerName = call.required("server")?;
    let tool: Option<ToolName> = call.member("tool")?;
    let digest = call.member("digest")?;
    let selection = match (tool, call.flag("all")?) {
        (Some(tool), false) => PinSelection::One { tool, digest },
        (None, true) if digest.is_none() => PinSelection::All,
        _ => {
            return Err(Problem::wrong("nothing says which definitions to take as right")
                .hint("name a `tool` (and the `digest` you looked at), or say `all: true`"));
        }
    };
    let actor = Actor::from(&call.caller);
    call.desk.looked.cancelled().await;
    let pinned = call.desk.kernel.approve_pins(&workspace, &server, &selection, &actor).await?;
    Ok(Answer::Document(
        Object::new()
            .with("workspace", &workspace)
            .with("server", &server)
            .with("pinned", show::texts(&pinned)),
    ))
}
