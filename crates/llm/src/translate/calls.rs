//! Calls of tools within a conversation, and whether each has its result.

use std::collections::HashSet;

use smol_str::SmolStr;

use super::node::{At, Read};

/// The calls of a conversation so far, by the ids both sides take.
#[derive(Default)]
pub(super) struct Calls {
    /// All, for an id may stand once only.
    seen: HashSet<SmolStr>,
    /// Those of the newest turn that made any, in their order.
    newest: Vec<(SmolStr, At)>,
    /// Those of it without a result.
    open: HashSet<SmolStr>,
}

// === impl Calls ===

impl Calls {
    /// A call at `at`. Its id must be a new one: Anthropic wants each once in a conversation.
    pub(super) fn begin(&mut self, id: &SmolStr, at: &At) -> Read<()> {
        if !self.seen.insert(id.clone()) {
            let message = "stands twice in the conversation: each call needs an id of its own";
            return Err(at.member("id").fault(message));
        }
        if self.open.is_empty() {
            self.newest.clear();
        }
        self.open.insert(id.clone());
        self.newest.push((id.clone(), at.clone()));
        Ok(())
    }

    /// A result, whose id is at `at`.
    pub(super) fn end(&mut self, id: &SmolStr, at: &At) -> Read<()> {
        if self.open.remove(id) {
            return Ok(());
        }
        Err(at.fault("answers no call of the assistant message before it, or one answered already"))
    }

    /// Both APIs want the results of all calls directly after them; `how` says what that takes.
    pub(super) fn answered(&self, how: &'static str) -> Read<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        match self.newest.iter().find(|(id, _)| self.open.contains(id)) {
            Some((_, at)) => Err(at.fault(how)),
            None => Ok(()),
        }
    }
}
