//! The life of a run: queued, started in a sandbox, supervised, ended, and nothing of it left but its record.
//!
//! ```text
//! start ──▶ queue ──▶ sandbox ──▶ program ──▶ end
//!             │          │           │         │
//!           place     sockets ──▶ whoever      └─ SIGTERM, then everything in the sandbox killed
//!                                 answers them
//! ```
//!
//! Each step is an entry in the log before the next is taken ([`ringfence_kernel::RunStep`]); where a run stands is what the
//! log says, and a node that comes back ends what it had under way. What the program writes is kept line by line
//! ([`Output`]).

mod artifacts;
mod environments;
mod files;
mod images;
mod kept;
mod limits;
mod nursery;
mod output;
mod plan;
mod plans;
mod process;
mod prune;
mod queue;
mod reader;
mod runs;
mod signal;
mod sparing;
mod state;
mod supervise;
mod tail;
mod tree;

pub use environments::{BuildSettings, Recipe, RecipeError, builders};
pub use files::{AgentState, StateExport};
pub use images::{ImageError, ImageName};
pub use limits::{ARTIFACTS_MAX, LINE_BYTES_MAX, QUEUE_MAX, STATE_VERSIONS_MAX};
pub use output::{Follower, Line, Output, OutputError, Stream};
pub use plan::{Mount, Plan, Rootfs};
pub use plans::PlansByAgent;
pub use runs::{Options, Runs, StartError};
pub use signal::{NoSignal, Signal};
pub use state::{StateError, StateVersion};
