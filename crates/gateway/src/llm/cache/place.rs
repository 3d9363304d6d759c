//! Where the answer to a call is kept, if it may be.

use std::time::Duration;

use ringfence_json::Object;
use ringfence_llm::request::{Asked, canonical_for_cache};
use ringfence_types::{Digest, Timestamp};

use super::super::call::Call;
use super::super::route::Candidate;

/// What tells a call from all others that could be answered differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(super) Digest);

/// Where the answer to a call is to be kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(super) key: Key,
    /// The configuration that the key is of.
    pub(crate) config: Digest,
    pub(super) ttl: Duration,
    /// Whether it may stand on the disk: not what this machine made up itself, from a file that may be another after the
    /// next start.
    pub(super) on_disk: bool,
}

/// The place of a call's answer, if its model keeps answers and this one may be kept: nothing that acts, at the
/// provider or, unless the configuration says so, at the client, and nothing that the provider keeps.
pub(crate) fn place(call: &Call, candidate: &Candidate, asked: &Asked, request: &Object) -> Option<Place> {
    let served = candidate.target.served.as_ref()?;
    let rules = served.cache?;
    let acts = !asked.hosted.is_empty() || (!asked.tools.is_empty() && !rules.tools);
    let fits = !acts && !asked.stores && !asked.hidden_input && asked.unknown.is_empty();
    if !fits {
        return None;
    }
    let setup = call.gate.kernel.setup();
    let (workspace, _) = setup.agent(&call.run.workspace, &call.run.agent)?;
    Some(Place {
        key: Key::of(call, candidate, asked, request, setup.digest),
        config: setup.digest,
        // What was answered is a payload as any other.
        ttl: rules.ttl.min(workspace.retention),
        on_disk: served.provider.http().is_some(),
    })
}

// === impl Key ===

impl Key {
    fn of(call: &Call, candidate: &Candidate, asked: &Asked, request: &Object, config: Digest) -> Self {
        let config = config.to_string();
        let run = &call.run;
        let named = candidate.named.as_ref().map_or("", |named| named.as_str());
        let stream = if asked.stream { "stream" } else { "whole" };
        // A streamed answer has its usage only for those who asked.
        let usage = if asked.usage_asked { "usage" } else { "" };
        let betas = call.said.betas.join(",");
        let parts = [
            // Another version may translate otherwise.
            env!("CARGO_PKG_VERSION"),
            config.as_str(),
            run.workspace.as_str(),
            run.agent.as_str(),
            candidate.model.as_str(),
            named,
            call.api.word(),
            stream,
            usage,
            &betas,
        ];
        let mut text = Vec::with_capacity(1_024);
        // Each with its length before it, so that no part runs into the next.
        for part in parts.into_iter().map(str::as_bytes) {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        text.extend_from_slice(&canonical_for_cache(call.api, request));
        Self(Digest::of(&text))
    }
}

// === impl Place ===

impl Place {
    /// Whether an answer may still be given that is kept until then. One that is kept for longer than any may be comes
    /// from a time when the clock was ahead.
    pub(super) fn allows(&self, until: Timestamp, now: Timestamp) -> bool {
        now < until && until <= now.after(self.ttl)
    }
}
