//! What each upstream was found to speak. Asked once, by `server/discover` (MCP 2026-07-28, "Backward
//! Compatibility"), and again when the upstream has moved.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::{ServerName, WorkspaceName};

use super::era::Spoken;
use crate::targets::Target;

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Eras(Mutex<HashMap<(WorkspaceName, ServerName), Found>>);

/// What a server spoke, and where it was then.
type Found = (Target, Arc<Spoken>);

// === impl Eras ===

impl Eras {
    /// What the server at this place was found to speak.
    pub(crate) fn get(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        target: &Target,
    ) -> Option<Arc<Spoken>> {
        let known = self.0.lock();
        // A key of two owned names cannot be looked up by borrowed ones without a scan; there are few servers.
        let (place, spoken) = known.get(&(workspace.clone(), server.clone()))?;
        place.same_place(target).then(|| Arc::clone(spoken))
    }

    /// Notes what a server speaks, and gives it back.
    pub(crate) fn put(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        target: Target,
        spoken: Spoken,
    ) -> Arc<Spoken> {
        let spoken = Arc::new(spoken);
        self.0.lock().insert((workspace.clone(), server.clone()), (target, Arc::clone(&spoken)));
        spoken
    }
}
