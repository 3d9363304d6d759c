//! What the upstreams' tool lists said last, as far as the gate needs it before it asks the kernel: the headers that
//! repeat arguments, and the names that are too long for `/mcp`.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ringfence_policy::ToolDefinition;
use ringfence_types::{ServerName, WorkspaceName};
use smol_str::SmolStr;

use super::headers::ParamHeaders;
use super::names;

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Catalog(RwLock<HashMap<WorkspaceName, HashMap<ServerName, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    /// The tools that have such headers.
    headers: HashMap<SmolStr, Arc<ParamHeaders>>,
    /// The tools, by name.
    tools: HashMap<SmolStr, Arc<ToolDefinition>>,
    /// Tools and prompts with a cut name, by that.
    cut: HashMap<String, SmolStr>,
}

// === impl Catalog ===

impl Catalog {
    /// Takes note of a server's tools.
    pub(crate) fn put_tools(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        tools: &[Arc<ToolDefinition>],
    ) {
        let mut all = self.0.write();
        let entry = all.entry(workspace.clone()).or_default().entry(server.clone()).or_default();
        entry.headers.clear();
        entry.tools.clear();
        for tool in tools {
            entry.tools.insert(tool.name.as_str().into(), Arc::clone(tool));
            let schema = tool.input.schema().as_object();
            if let Some(Ok(headers)) = schema.map(ParamHeaders::of_schema)
                && !headers.is_empty()
            {
                entry.headers.insert(tool.name.as_str().into(), Arc::new(headers));
            }
        }
        entry.note_names(server, tools.iter().map(|tool| tool.name.as_str()));
    }

    /// Takes note of the names of a server's prompts.
    pub(crate) fn put_names<'a>(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        names: impl Iterator<Item = &'a str>,
    ) {
        let mut all = self.0.write();
        all.entry(workspace.clone())
            .or_default()
            .entry(server.clone())
            .or_default()
            .note_names(server, names);
    }

    /// A tool's definition as it was seen last, whether or not it is pinned.
    pub(crate) fn tool(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        tool: &str,
    ) -> Option<Arc<ToolDefinition>> {
        self.0.read().get(workspace)?.get(server)?.tools.get(tool).cloned()
    }

    /// The headers that repeat arguments of a tool.
    pub(crate) fn headers(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        tool: &str,
    ) -> Option<Arc<ParamHeaders>> {
        self.0.read().get(workspace)?.get(server)?.headers.get(tool).cloned()
    }

    /// The server and name that an exposed name stands for.
    pub(crate) fn resolve(&self, workspace: &WorkspaceName, exposed: &str) -> Option<(ServerName, SmolStr)> {
        if !names::looks_cut(exposed) {
            return names::split(exposed).map(|(server, name)| (server, name.into()));
        }
        let all = self.0.read();
        all.get(workspace)?
            .iter()
            .find_map(|(server, entry)| Some((server.clone(), entry.cut.get(exposed)?.clone())))
    }
}

// === impl Entry ===

impl Entry {
    fn note_names<'a>(&mut self, server: &ServerName, names: impl Iterator<Item = &'a str>) {
        for name in names {
            let exposed = names::exposed(server, name);
            if names::looks_cut(&exposed) {
                self.cut.insert(exposed, name.into());
            }
        }
    }
}
