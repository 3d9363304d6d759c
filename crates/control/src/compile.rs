//! A configuration with its policies compiled: what `check` checks and what a node applies.

mod egress;

use std::collections::HashMap;
use std::sync::Arc;

use ringfence_document::Diagnostic;
use ringfence_policy::{KnownAgent, KnownModel, KnownServer, KnownTool, PolicySet, Source, Vocabulary};
use ringfence_types::WorkspaceName;

use crate::config::{Loaded, Rejected};

/// A configuration that can be put into force.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What was read.
    pub loaded: Loaded,
    /// The rules of each workspace; workspaces with the same files share one.
    pub policies: HashMap<WorkspaceName, Arc<PolicySet>>,
    /// What its author should know, of configuration and policy.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles the policies with what is known; `tools` are the pinned ones, none offline.
///
/// # Errors
/// Everything that is wrong in any policy.
pub fn compile(loaded: Loaded, tools: &[KnownTool]) -> Result<Compiled, Rejected> {
    let mut vocabulary = vocabulary(&loaded, tools);
    let mut done: Vec<(&[Source], Arc<PolicySet>)> = Vec::new();
    let mut policies = HashMap::new();
    let mut warnings = loaded.warnings.clone();
    let mut errors = Vec::new();
    for workspace in &loaded.config.workspaces {
        let sources = loaded.policies.get(&workspace.name).map_or(&[][..], Vec::as_slice);
        if let Some((_, set)) = done.iter().find(|(known, _)| *known == sources) {
            policies.insert(workspace.name.clone(), Arc::clone(set));
            continue;
        }
        vocabulary.egress = egress::held(&loaded, sources);
        match PolicySet::compile(sources, &vocabulary) {
            Ok(compiled) => {
                let set = Arc::new(compiled.set);
                done.push((sources, Arc::clone(&set)));
                policies.insert(workspace.name.clone(), set);
                add_new(&mut warnings, compiled.warnings);
            }
            Err(diagnostics) => add_new(&mut errors, diagnostics),
        }
    }
    if errors.is_empty() {
        return Ok(Compiled { loaded, policies, warnings });
    }
    warnings.append(&mut errors);
    Err(Rejected { diagnostics: warnings, sources: loaded.sources })
}

/// A file that two workspaces share is wrong once.
fn add_new(all: &mut Vec<Diagnostic>, more: Vec<Diagnostic>) {
    for diagnostic in more {
        if !all.contains(&diagnostic) {
            all.push(diagnostic);
        }
    }
}

/// What is known of a configuration; `tools` are the pinned ones, or [those it names](crate::named_tools).
pub fn vocabulary(loaded: &Loaded, tools: &[KnownTool]) -> Vocabulary {
    let mut vocabulary =
        Vocabulary { organization: Some(loaded.config.organization.clone()), ..Vocabulary::default() };
    for workspace in &loaded.config.workspaces {
        vocabulary.agents.extend(workspace.agents.iter().map(|agent| KnownAgent {
            workspace: workspace.name.clone(),
            environment: workspace.environment.clone(),
            name: agent.name.clone(),
            spawns: !agent.spawn.is_empty(),
        }));
        vocabulary.servers.extend(workspace.servers.iter().map(|server| KnownServer {
            workspace: workspace.name.clone(),
            name: server.name.clone(),
            capability: server.capability.clone(),
        }));
    }
    for workspace in &loaded.config.workspaces {
        vocabulary.models.extend(
            workspace
                .models
                .iter()
                .map(|model| KnownModel { workspace: workspace.name.clone(), name: model.name.clone() }),
        );
    }
    let roles = loaded.config.people.iter().flat_map(|person| &person.roles);
    for role in roles {
        if !vocabulary.roles.contains(role) {
            vocabulary.roles.push(role.clone());
        }
    }
    vocabulary.tools = tools.to_vec();
    vocabulary
}

// === impl Compiled ===

impl Compiled {
    /// The warnings, as people read them; empty if there are none.
    pub fn render_warnings(&self) -> String {
        crate::config::render_all(&self.warnings, &self.loaded.sources)
    }
}
