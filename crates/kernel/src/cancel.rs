//! Cutting off what is under way.

use std::sync::{Arc, OnceLock};

use ringfence_types::{ActionId, Code};
use tokio_util::sync::CancellationToken;

/// A handle on something that can be cut off from above: by a suspension, a kill, a shutdown. Clones are the same
/// handle.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    token: CancellationToken,
    reason: Arc<OnceLock<(CutOff, Option<EndOfRun>)>>,
}

/// That its run ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndOfRun(pub String);

/// Why something was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// `suspended` or `deadline`.
    pub code: Code,
    /// A sentence for the agent.
    pub reason: String,
    /// The action, if this is one.
    pub action: Option<ActionId>,
}

// === impl Cancel ===

impl Cancel {
    /// Cuts it off. The first reason stays.
    pub(crate) fn cut(&self, cut: CutOff) {
        self.set(cut, None);
    }

    /// Cuts it off because its run ended. The first reason stays.
    pub(crate) fn end(&self, cut: CutOff, end: EndOfRun) {
        self.set(cut, Some(end));
    }

    /// What it was cut off by, if its run's end is what cut it off.
    pub(crate) fn ended(&self) -> Option<(&CutOff, &EndOfRun)> {
        self.reason.get().and_then(|(cut, end)| Some((cut, end.as_ref()?)))
    }

    fn set(&self, cut: CutOff, end: Option<EndOfRun>) {
        // A second reason changes nothing: whoever waits was woken by the first.
        let _ = self.reason.set((cut, end));
        self.token.cancel();
    }

    /// Waits until it is cut off; forever if it never is. Safe to drop and ask again.
    pub async fn cancelled(&self) -> CutOff {
        self.token.cancelled().await;
        self.reason()
    }

    /// Whether it still may go on; asked before each byte is written to an agent.
    ///
    /// # Errors
    /// When it was cut off.
    pub fn check(&self) -> Result<(), CutOff> {
        if self.token.is_cancelled() { Err(self.reason()) } else { Ok(()) }
    }

    fn reason(&self) -> CutOff {
        let unsaid =
            || CutOff { code: Code::Suspended, reason: String::from("This was cut off."), action: None };
        self.reason.get().map_or_else(unsaid, |(cut, _)| cut.clone())
    }
}
