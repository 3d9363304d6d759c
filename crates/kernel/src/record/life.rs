//! The life of a run that is started here, step by step.

use ringfence_json::Object;
use ringfence_types::{
    ActionId, AgentName, ConversationName, PersonName, RunId, Timestamp, UserName, WorkspaceName,
};

use super::read::{Damaged, Members, damaged, texts};
use crate::{Ancestor, RunBounds};

/// A step in the life of a run in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStep {
    /// It waits for a place.
    Queued {
        /// For whom it works.
        user: Option<UserName>,
        /// What it is part of.
        conversation: Option<ConversationName>,
        /// When that was.
        at: Timestamp,
        /// When it must be over, whatever its limits say.
        expires_at: Timestamp,
        /// What it is given beside what its agent's configuration says.
        bounds: RunBounds,
        /// The action that started it, if a run did.
        started_by: Option<ActionId>,
    },
    /// Its sandbox is being made.
    Starting,
    /// Its program runs.
    Running {
        /// The layers in force by name, each with how, and those that are missing with why.
        layers: Object,
    },
    /// Its program is held.
    Paused {
        /// Why.
        reason: String,
    },
    /// Its program goes on.
    Resumed,
    /// Its program is sent a signal; where the run stands is as before.
    Signalled {
        /// Its name, such as `INT`.
        signal: String,
    },
    /// Its program is being ended.
    Stopping {
        /// Why.
        why: EndedBy,
        /// The same in words.
        reason: String,
    },
    /// Nothing of it is left.
    Ended {
        /// Why.
        why: EndedBy,
        /// The same in words.
        reason: String,
        /// How its program ended, if it began.
        exit: Option<Exit>,
        /// Bytes that it wrote to standard output and standard error.
        output_bytes: u64,
        /// What its sandbox used, where that is known.
        used: Option<Used>,
    },
}

/// What a run's sandbox used in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The most memory that it had, where that is kept.
    pub memory_bytes_peak: Option<u64>,
    /// Microseconds of processor time.
    pub cpu_us: u64,
    /// How many of its processes were killed because its memory was used up.
    pub memory_kills: u64,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its program ended by itself.
    Program,
    /// It could not be started.
    Start,
    /// Its time was up.
    Deadline,
    /// It did nothing for too long.
    Idle,
    /// It wrote too much.
    Output,
    /// A person stopped or killed it.
    Person,
    /// The run that started it stopped it, or has ended.
    Parent,
    /// The node stopped.
    Node,
    /// The node went down under it.
    Crash,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// A step, and whose.
#[derive(Debug, Clone)]
pub(crate) struct LifeRecord {
    pub workspace: WorkspaceName,
    pub agent: AgentName,
    pub run: RunId,
    /// Who stands above it.
    pub above: Vec<Ancestor>,
    pub step: RunStep,
    pub by: PersonName,
}

// === impl EndedBy ===

impl EndedBy {
    const ALL: [Self; 9] = [
        Self::Program,
        Self::Start,
        Self::Deadline,
        Self::Idle,
        Self::Output,
        Self::Person,
        Self::Parent,
        Self::Node,
        Self::Crash,
    ];

    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Start => "start",
            Self::Deadline => "deadline",
            Self::Idle => "idle",
            Self::Output => "output",
            Self::Person => "person",
            Self::Parent => "parent",
            Self::Node => "node",
            Self::Crash => "crash",
        }
    }
}

impl std::str::FromStr for EndedBy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|each| each.as_str() == text).ok_or(())
    }
}

// === impl RunStep ===

impl RunStep {
    /// The word in the log.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Starting => "starting",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::Signalled { .. } => "signalled",
            Self::Stopping { .. } => "stopping",
            Self::Ended { .. } => "ended",
        }
    }

    fn write(&self, body: Object) -> Object {
        match self {
            Self::Queued { user, conversation, at, expires_at, bounds, started_by } => body
                .with_some("user", user.as_ref())
                .with_some("conversation", conversation.as_ref())
                .with("minted_at", *at)
                .with("expires_at", *expires_at)
                .with_some("bounds", (!bounds.is_empty()).then(|| bounds.body()))
                .with_some("parents", started_by.and_then(|action| texts(&[action]))),
            Self::Running { layers } => body.with("layers", layers.clone()),
            Self::Paused { reason } => body.with("reason", reason.as_str()),
            Self::Signalled { signal } => body.with("signal", signal.as_str()),
            Self::Stopping { why, reason } => body.with("why", why.as_str()).with("reason", reason.as_str()),
            Self::Ended { why, reason, exit, output_bytes, used } => {
                let body = body.with("why", why.as_str()).with("reason", reason.as_str());
                let body = match exit {
                    None => body,
                    Some(Exit::Code(code)) => body.with("exit_code", u64::from(*code)),
                    Some(Exit::Signal(signal)) => body.with("exit_signal", u64::from(*signal)),
                };
                Used::write(used.as_ref(), body.with("output_bytes", *output_bytes))
            }
            Self::Starting | Self::Resumed => body,
        }
    }

    fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let why = || members.text("why")?.parse().map_err(|()| damaged("why"));
        let reason = || members.text("reason").map(str::to_owned);
        Ok(match members.text("event")? {
            "queued" => Self::Queued {
                user: members.optional("user")?,
                conversation: members.optional("conversation")?,
                at: members.parse("minted_at")?,
                expires_at: members.parse("expires_at")?,
                bounds: members.optional_object("bounds", RunBounds::read)?.unwrap_or_default(),
                started_by: members.list("parents")?.first().copied(),
            },
            "starting" => Self::Starting,
            "running" => Self::Running { layers: members.object("layers")?.0.clone() },
            "paused" => Self::Paused { reason: reason()? },
            "resumed" => Self::Resumed,
            "signalled" => Self::Signalled { signal: members.text("signal")?.to_owned() },
            "stopping" => Self::Stopping { why: why()?, reason: reason()? },
            "ended" => Self::Ended {
                why: why()?,
                reason: reason()?,
                exit: Exit::read(members)?,
                output_bytes: members.number("output_bytes")?,
                used: Used::read(members)?,
            },
            _ => return Err(damaged("event")),
        })
    }
}

// === impl Used ===

impl Used {
    /// A body with this in it.
    pub(crate) fn write(used: Option<&Self>, body: Object) -> Object {
        body.with_some("memory_bytes_peak", used.and_then(|used| used.memory_bytes_peak))
            .with_some("cpu_us", used.map(|used| used.cpu_us))
            .with_some("memory_kills", used.map(|used| used.memory_kills).filter(|kills| *kills > 0))
    }

    /// Reads what stands in such a body.
    pub(crate) fn read(members: Members<'_>) -> Result<Option<Self>, Damaged> {
        if !members.0.contains("cpu_us") {
            return Ok(None);
        }
        let peak = members.0.contains("memory_bytes_peak").then(|| members.number("memory_bytes_peak"));
        Ok(Some(Self {
            memory_bytes_peak: peak.transpose()?,
            cpu_us: members.number("cpu_us")?,
            memory_kills: members.number_or("memory_kills", 0)?,
        }))
    }
}

// === impl Exit ===

impl Exit {
    /// Reads what stands in an entry of how a program ended.
    pub(crate) fn read(members: Members<'_>) -> Result<Option<Self>, Damaged> {
        let number = |name: &str| -> Result<u8, Damaged> {
            members.number(name)?.try_into().map_err(|_| damaged(name))
        };
        Ok(match (members.0.contains("exit_code"), members.0.contains("exit_signal")) {
            (true, _) => Some(Exit::Code(number("exit_code")?)),
            (_, true) => Some(Exit::Signal(number("exit_signal")?)),
            (false, false) => None,
        })
    }
}

// === impl LifeRecord ===

impl LifeRecord {
    /// Whether an entry of the kind `run` is one of these: the node's own, and the end of a run that runs elsewhere, are
    /// others.
    pub(crate) fn is_one(members: Members<'_>) -> bool {
        members.0.contains("run") && (members.0.text("event") != Some("ended") || members.0.contains("why"))
    }

    pub(crate) fn body(&self) -> Object {
        let body = Object::new()
            .with("workspace", &self.workspace)
            .with("agent", &self.agent)
            .with("run", self.run.to_string())
            .with_some("ancestors", Ancestor::list(&self.above))
            .with("event", self.step.event());
        self.step.write(body).with("by", &self.by)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            workspace: members.parse("workspace")?,
            agent: members.parse("agent")?,
            run: members.parse("run")?,
            above: Ancestor::read_list(members)?,
            step: RunStep::read(members)?,
            by: members.parse("by")?,
        })
    }
}
