//! The benches, one file each.

mod calls;
mod crowd;
mod decision;
mod egress;
mod llm;
mod log;
mod memory;
mod sandboxes;
mod steady;
mod suspension;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::llm::Kind;
use crate::table::Table;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// What a decision costs as a policy grows
    Decision,
    /// What a tool call through the gateway costs, beside one without
    Calls,
    /// How fast the log takes entries, and how fast it is verified
    Log,
    /// What the node has in memory, and how fast it starts on a long log
    Memory,
    /// How soon a suspension stops what is under way
    Suspension,
    /// What a model call costs, direct, through this gateway and through others
    Llm,
    /// What thousands of slow streams take, and how soon a suspension ends them
    Streams,
    /// What gets through when hundreds of calls meet a budget for 20
    Burst,
    /// What a sandbox costs, beside other ways to make one
    Sandboxes,
    /// What a hundred runs weigh, and how soon one that is killed is gone
    Crowd,
    /// How fast bytes and requests leave a sandbox through the gateway
    Egress,
    /// Nothing: keeps a node busy for a minute, to look at with a profiler
    Steady,
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Shortly.
    pub quick: bool,
    /// Clients at once, where a bench does not say itself.
    pub clients: usize,
    /// The ways to a model that are measured.
    pub only: Vec<Kind>,
    /// Where the measured data goes.
    pub folder: PathBuf,
}

// === impl Which ===

impl Which {
    /// Everything that has figures and needs nothing but this program, in order.
    pub const ALL: [Self; 5] = [Self::Decision, Self::Log, Self::Calls, Self::Suspension, Self::Memory];

    /// In words.
    pub fn what(self) -> &'static str {
        match self {
            Self::Decision => "decisions",
            Self::Calls => "tool calls through the gateway and direct",
            Self::Log => "the log",
            Self::Memory => "memory, and starts on a long log",
            Self::Suspension => "suspensions",
            Self::Llm => "model calls on each way",
            Self::Streams => "slow streams",
            Self::Burst => "a burst against a budget",
            Self::Sandboxes => "sandboxes, and other ways to make one",
            Self::Crowd => "a hundred runs at once",
            Self::Egress => "the way out of a sandbox",
            Self::Steady => "nothing, but keeping a node busy",
        }
    }

    /// Measures.
    pub async fn measure(self, plan: &Plan) -> Result<Vec<Table>, Failure> {
        match self {
            Self::Decision => decision::measure(plan),
            Self::Calls => calls::measure(plan).await.map(|table| vec![table]),
            Self::Log => log::measure(plan),
            Self::Memory => memory::measure(plan).await,
            Self::Suspension => suspension::measure(plan).await.map(|table| vec![table]),
            Self::Llm => llm::cost(plan).await,
            Self::Streams => llm::streams(plan).await,
            Self::Burst => llm::burst(plan).await,
            Self::Sandboxes => sandboxes::measure(plan).await,
            Self::Crowd => crowd::measure(plan).await,
            Self::Egress => egress::measure(plan).await.map(|table| vec![table]),
            Self::Steady => steady::keep_busy(plan).await,
        }
    }
}

// === impl Plan ===

impl Plan {
    /// One of two values.
    pub fn choose<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A duration in milliseconds.
    pub fn millis(&self, full: u64, quick: u64) -> Duration {
        Duration::from_millis(self.choose(full, quick))
    }

    /// A fresh folder on the file system that is measured; it goes when it is dropped.
    pub fn fresh(&self) -> Result<TempDir, Failure> {
        Ok(tempfile::tempdir_in(&self.folder)?)
    }
}
