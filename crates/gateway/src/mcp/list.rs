//! Lists: fetched whole, tools noted by the kernel, and shown only as far as the agent holds them and policy could
//! ever allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_json::{Object, Value};
use ringfence_kernel::Run;
use ringfence_policy::ToolDefinition;
use ringfence_types::{ServerName, WorkspaceName};

use super::era::Era;
use super::fault::METHOD_NOT_FOUND;
use super::headers::ParamHeaders;
use super::link::Link;
use super::message::{Id, Request, Response};
use super::method::List;
use super::passage::Passage;
use super::upstream::UpstreamError;
use crate::gate::Gate;

/// One list of one server.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The elements, as the server sent them.
    pub(crate) elements: Vec<Value>,
    /// The other members of the result.
    pub(crate) rest: Object,
}

/// Why there is no list.
#[derive(Debug)]
pub(crate) enum ListError {
    /// The upstream gave none.
    Upstream(UpstreamError),
    /// It answered with an error, and this HTTP status.
    Rejected(Box<Response>, http::StatusCode),
    /// Its tools cannot be noted in the log, so none are shown.
    Ledger,
}

// === impl ListError ===

impl ListError {
    /// Whether the server does not know the list at all.
    pub(crate) fn is_unknown_method(&self) -> bool {
        let Self::Rejected(response, _) = self else { return false };
        let code = response.outcome.as_ref().err().and_then(|error| error.get("code")?.as_number()?.as_i64());
        code == Some(METHOD_NOT_FOUND.into())
    }
}

impl From<UpstreamError> for ListError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

/// Fetches all pages of a list. `params` are those of the client, or the node's own.
pub(crate) async fn fetch(
    gate: &Gate,
    passage: Passage<'_>,
    link: &Link,
    list: &List,
    params: &Object,
) -> Result<Listed, ListError> {
    let fetching = fetch_pages(gate, passage, link, list, params);
    tokio::time::timeout(gate.limits.errand_time, fetching)
        .await
        .unwrap_or(Err(ListError::Upstream(UpstreamError::Timeout)))
}

async fn fetch_pages(
    gate: &Gate,
    passage: Passage<'_>,
    link: &Link,
    list: &List,
    params: &Object,
) -> Result<Listed, ListError> {
    let mut params = params.clone();
    params.remove("cursor");
    let mut listed: Option<Listed> = None;
    for _ in 0..gate.limits.list_pages {
        let mut page = fetch_page(gate, passage, link, list, &params).await?;
        let Some(Value::Array(elements)) = page.remove(list.member) else {
            return Err(UpstreamError::Malformed("a list without elements").into());
        };
        let cursor = page.remove("nextCursor");
        let all = listed.get_or_insert_with(|| Listed { elements: Vec::new(), rest: page });
        all.elements.extend(elements);
        if all.elements.len() > gate.limits.list_elements {
            return Err(UpstreamError::TooMany { max: gate.limits.list_elements }.into());
        }
        match cursor {
            Some(Value::String(cursor)) => drop(params.insert("cursor", cursor)),
            _ => break,
        }
    }
    listed.ok_or_else(|| UpstreamError::Malformed("a list without pages").into())
}

async fn fetch_page(
    gate: &Gate,
    passage: Passage<'_>,
    link: &Link,
    list: &List,
    params: &Object,
) -> Result<Object, ListError> {
    let request = Request::new(next_id(), list.method, params.clone());
    let (status, answer) = link.ask(gate, passage, &request).await?;
    answer.outcome.map_err(|error| {
        let rejected = Response { id: None, outcome: Err(error) };
        ListError::Rejected(Box::new(rejected), status)
    })
}

/// An identifier for a request of the node's own, which no client's meets.
pub(crate) fn next_id() -> Id {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Id::Text(smol_str::format_smolstr!("ringfence-own-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Leaves what a run may see. Tools are noted by the kernel first.
pub(crate) async fn filter(
    gate: &Gate,
    run: &Arc<Run>,
    server: &ServerName,
    list: &List,
    listed: &mut Listed,
) -> Result<(), ListError> {
    match list.action {
        None => {
            let tools = note(gate, &run.workspace, server, &listed.elements).await?;
            let shown = tools.into_iter().filter(|tool| gate.kernel.may_show(run, server, tool));
            listed.elements = shown.map(|tool| tool.object.clone()).collect();
        }
        Some(action) if !gate.kernel.may_use(run, server, action) => listed.elements.clear(),
        Some(_) => {}
    }
    Ok(())
}

/// Tells the kernel what tools a server gives now. Definitions that cannot be used are left out.
pub(crate) async fn note(
    gate: &Gate,
    workspace: &WorkspaceName,
    server: &ServerName,
    elements: &[Value],
) -> Result<Vec<Arc<ToolDefinition>>, ListError> {
    let mut tools: Vec<Arc<ToolDefinition>> = Vec::with_capacity(elements.len());
    for element in elements {
        let Some(tool) = definition(gate, workspace, server, element) else { continue };
        // Which of two tools of one name would be called, only the server knows.
        if tools.iter().any(|other| other.name == tool.name) {
            tracing::warn!(%workspace, %server, tool = %tool.name, "the server names two tools alike; the first counts");
            continue;
        }
        tools.push(tool);
    }
    gate.catalog.put_tools(workspace, server, &tools);
    gate.kernel.observe(workspace, server, &tools).await.map_err(|_| ListError::Ledger)?;
    Ok(tools)
}

/// A tool's definition; the one from last time where it is the same, because compiling its schemas is dear.
fn definition(
    gate: &Gate,
    workspace: &WorkspaceName,
    server: &ServerName,
    element: &Value,
) -> Option<Arc<ToolDefinition>> {
    let name = element.get("name").and_then(Value::as_str).unwrap_or_default();
    let digest = ToolDefinition::digest_of(element);
    if let Some(known) = gate.catalog.tool(workspace, server, name).filter(|known| known.digest == digest) {
        return Some(known);
    }
    let parsed = match ToolDefinition::parse(element) {
        Ok(parsed) => parsed,
        Err(error) => {
            tracing::warn!(%workspace, %server, %error, "a tool definition cannot be used and is hidden");
            return None;
        }
    };
    match parsed.input.schema().as_object().map(ParamHeaders::of_schema) {
        Some(Err(error)) => {
            tracing::warn!(%workspace, %server, tool = %parsed.name, %error, "a tool is hidden");
            None
        }
        _ => Some(Arc::new(parsed)),
    }
}

/// The result of a list, as the client gets it.
pub(crate) fn result(era: Era, list: &List, listed: Listed) -> Object {
    let mut result = listed.rest;
    result.insert(list.member, Value::Array(listed.elements));
    make_private(era, &mut result);
    result
}

/// What was filtered for one agent must not be kept for another (MCP 2026-07-28, "Caching").
pub(crate) fn make_private(era: Era, result: &mut Object) {
    if era == Era::Modern || result.contains("cacheScope") {
        result.insert("cacheScope", "private");
    }
}
