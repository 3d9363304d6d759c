//! What runs of agents are made of, as configurations have it: for runs that are begun here by others than people.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ringfence_types::{AgentName, Digest, WorkspaceName};

use crate::plan::Plan;

/// Configurations that are kept: what was cleared is started as the configuration says that decided, and at once, so that even
/// reloads in quick succession leave each its own.
const CONFIGS_MAX: usize = 4;

/// The plan of each agent that a program is configured for.
pub type PlansByAgent = HashMap<(WorkspaceName, AgentName), Plan>;

/// The plans of the last configurations, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Plans(RwLock<Vec<(Digest, Arc<PlansByAgent>)>>);

// === impl Plans ===

impl Plans {
    /// Has the plans of a configuration ready for what it decides.
    pub(crate) fn prepare(&self, config: Digest, plans: PlansByAgent) {
        let mut all = self.0.write();
        all.retain(|(known, _)| *known != config);
        all.push((config, Arc::new(plans)));
        if all.len() > CONFIGS_MAX {
            all.remove(0);
        }
    }

    /// The plan of an agent as that configuration has it, never another one's.
    pub(crate) fn get(&self, config: Digest, workspace: &WorkspaceName, agent: &AgentName) -> Option<Plan> {
        let all = self.0.read();
        let (_, plans) = all.iter().find(|(known, _)| *known == config)?;
        plans.get(&(workspace.clone(), agent.clone())).cloned()
    }
}
