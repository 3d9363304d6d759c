//! What is kept of the files of runs: what came out of one, and what an agent keeps from one to the next.
//!
//! Entries of the kind `run` that change no state here: whoever asks reads them.

use ringfence_json::{Object, Value};
use ringfence_types::{AgentName, Digest, PersonName, RunId, WorkspaceName, format_size};

use super::read::Members;

/// What became of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilesEvent {
    /// What a run left is kept, named by its content.
    Artifacts {
        /// Files that are kept.
        count: u64,
        /// Bytes of all of them.
        bytes: u64,
        /// Each with `name`, `bytes` and `sha256`.
        files: Vec<Object>,
        /// What was left out, each with `name` and `why`; the first of them.
        left_out: Vec<Object>,
        /// How many were left out.
        left_out_count: u64,
    },
    /// A run begins with a version of what its agent keeps.
    StateGiven {
        /// Which.
        version: u64,
        /// Of the file that holds it.
        digest: Digest,
    },
    /// What a run left of what its agent keeps is a version of its own.
    StateKept {
        /// Its number.
        version: u64,
        /// Bytes of the files in it.
        bytes: u64,
        /// Of the file that holds it.
        digest: Digest,
        /// Files of a kind that is not kept.
        left_out: u64,
    },
    /// What a run left of what its agent keeps is lost; the versions before stay.
    StateNotKept {
        /// Why.
        reason: String,
    },
    /// An earlier version is the newest again.
    StateRestored {
        /// The number that it has now.
        version: u64,
        /// The one that it had.
        from: u64,
        /// Of the file that holds it now.
        digest: Digest,
    },
    /// What an agent kept is removed.
    StateCleared {
        /// How many versions there were.
        versions: u64,
    },
    /// What runs wrote was removed before its time, because there was too much of it.
    Pruned {
        /// How many runs' it was.
        runs: u64,
        /// How many bytes.
        bytes: u64,
    },
}

/// Whose files they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesOf {
    /// In which workspace; none for all of the node's.
    pub workspace: Option<WorkspaceName>,
    /// Of which agent.
    pub agent: Option<AgentName>,
    /// Of which run.
    pub run: Option<RunId>,
}

/// What became of files, and whose.
#[derive(Debug, Clone)]
pub(crate) struct FilesRecord {
    pub of: FilesOf,
    pub event: FilesEvent,
    /// The payload with the names, where they are too many for an entry.
    pub manifest: Option<Digest>,
    pub by: PersonName,
}

/// The words in the log.
const ARTIFACTS: &str = "artifacts";
const STATE_GIVEN: &str = "state_given";
const STATE_KEPT: &str = "state_kept";
const STATE_NOT_KEPT: &str = "state_not_kept";
const STATE_RESTORED: &str = "state_restored";
const STATE_CLEARED: &str = "state_cleared";
const PRUNED: &str = "output_pruned";

// === impl FilesEvent ===

impl FilesEvent {
    /// The word in the log.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Artifacts { .. } => ARTIFACTS,
            Self::StateGiven { .. } => STATE_GIVEN,
            Self::StateKept { .. } => STATE_KEPT,
            Self::StateNotKept { .. } => STATE_NOT_KEPT,
            Self::StateRestored { .. } => STATE_RESTORED,
            Self::StateCleared { .. } => STATE_CLEARED,
            Self::Pruned { .. } => PRUNED,
        }
    }

    /// The same in words.
    fn reason(&self) -> String {
        let out = |count: &u64| match count {
            0 => String::new(),
            count => format!("; {count} left out"),
        };
        match self {
            Self::Artifacts { count, bytes, left_out_count, .. } => {
                format!("{count} files of {}{}", format_size(*bytes), out(left_out_count))
            }
            Self::StateGiven { version, .. } => format!("it begins with version {version}"),
            Self::StateKept { version, bytes, left_out, .. } => {
                format!("version {version} of {}{}", format_size(*bytes), out(left_out))
            }
            Self::StateNotKept { reason } => reason.clone(),
            Self::StateRestored { version, from, .. } => format!("version {version} is version {from} again"),
            Self::StateCleared { versions } => format!("{versions} versions were removed"),
            Self::Pruned { runs, bytes } => {
                format!("the output of the {runs} oldest runs was removed, {}", format_size(*bytes))
            }
        }
    }

    /// What an entry says of it. Names that stand in a payload do not stand in the entry too.
    fn write(&self, body: Object, manifest: Option<Digest>) -> Object {
        match self {
            Self::Artifacts { count, bytes, left_out_count, .. } => {
                let body = body.with("count", *count).with("bytes", *bytes);
                let body = body.with_some("left_out_count", (*left_out_count > 0).then_some(*left_out_count));
                match manifest {
                    Some(name) => body.with("manifest", name.to_string()),
                    None => self
                        .names()
                        .iter()
                        .fold(body, |body, (name, value)| body.with(name.as_str(), value.clone())),
                }
            }
            Self::StateGiven { version, digest } => {
                body.with("version", *version).with("sha256", digest.to_string())
            }
            Self::StateKept { version, bytes, digest, left_out } => body
                .with("version", *version)
                .with("bytes", *bytes)
                .with("sha256", digest.to_string())
                .with_some("left_out_count", (*left_out > 0).then_some(*left_out)),
            Self::StateRestored { version, from, digest } => {
                body.with("version", *version).with("from", *from).with("sha256", digest.to_string())
            }
            Self::StateCleared { versions } => body.with("versions", *versions),
            Self::Pruned { runs, bytes } => body.with("runs", *runs).with("bytes", *bytes),
            Self::StateNotKept { .. } => body,
        }
    }

    /// The names of files, which may be many.
    pub(crate) fn names(&self) -> Object {
        let Self::Artifacts { files, left_out, .. } = self else { return Object::new() };
        let list = |objects: &[Object]| -> Value { objects.to_vec().into() };
        Object::new()
            .with("artifacts", list(files))
            .with_some("left_out", (!left_out.is_empty()).then(|| list(left_out)))
    }
}

// === impl FilesRecord ===

impl FilesRecord {
    /// Whether an entry of the kind `run` is one of these.
    pub(crate) fn is_one(members: Members<'_>) -> bool {
        let known =
            [ARTIFACTS, STATE_GIVEN, STATE_KEPT, STATE_NOT_KEPT, STATE_RESTORED, STATE_CLEARED, PRUNED];
        members.0.text("event").is_some_and(|event| known.contains(&event))
    }

    pub(crate) fn body(&self) -> Object {
        let body = Object::new()
            .with_some("workspace", self.of.workspace.as_ref())
            .with_some("agent", self.of.agent.as_ref())
            .with_some("run", self.of.run.map(|run| run.to_string()))
            .with("event", self.event.event());
        self.event.write(body, self.manifest).with("reason", self.event.reason()).with("by", &self.by)
    }
}
