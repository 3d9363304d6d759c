//! Every bound of the kernel, in one place.

use std::time::Duration;

use ringfence_types::Rate;

/// Room kept in the log for the outcome of a cleared action, in bytes. An outcome's texts are cut to fit.
pub(crate) const OUTCOME_BYTES: usize = 4096;

/// The longest reason, note or message that goes into an entry, in bytes.
pub(crate) const REASON_BYTES_MAX: usize = 1000;

/// The largest tool definition that can be pinned, in bytes of canonical JSON: it stands in one entry of the log.
pub(crate) const DEFINITION_BYTES_MAX: usize = 56 * 1024;

/// How often a server may come with new definitions of its tools.
pub(crate) const DEFINITIONS_RATE: Rate = Rate { count: 30, per: Duration::from_hours(1) };

/// Tools of one server.
pub(crate) const TOOLS_MAX: usize = 2_000;

/// Runs that are known: those whose token can still be used, those that live, and those that ended lately. Where there are
/// so many, each workspace still has its share of them: there are never more than twice as many.
pub(crate) const RUNS_MAX: usize = 100_000;

/// Of these, so many are kept for what people and the node begin: runs that runs start do not get them.
pub(crate) const RUNS_RESERVED: usize = 10_000;

/// Where there are several workspaces, one has at most this share of them, in percent.
pub(crate) const RUNS_WORKSPACE_PERCENT: usize = 50;

/// Runs of one workspace that have ended, had no token, and are still known; those that ended first are forgotten above
/// that. They stay in the log.
pub(crate) const ENDED_RUNS_MAX: usize = 1_000;

/// Whoever waits for a run's end is answered: it is not forgotten so soon after it, however many there are.
pub(crate) const ENDED_KEPT_MIN: Duration = Duration::from_secs(10);

/// How long a run that is over is known at most.
pub(crate) const ENDED_KEPT_MAX: Duration = Duration::from_hours(1);

/// Requests for approval that wait: of one run, and of all.
pub(crate) const WAITING_PER_RUN_MAX: usize = 32;
pub(crate) const WAITING_MAX: usize = 10_000;

/// How long an agent is told to wait, at most, before it asks again whether a person has agreed.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Calls that wait for one request for approval.
pub(crate) const WAITERS_PER_APPROVAL_MAX: usize = 64;

/// Suspensions in force.
pub(crate) const SUSPENSIONS_MAX: usize = 10_000;

/// Leases of one run, besides as many as it may have actions under way (whose answers are held by one each).
pub(crate) const LEASES_PER_RUN_MAX: usize = 64;

/// The same for a run whose actions under way are not bounded.
pub(crate) const LEASES_WITHOUT_BOUND_MAX: usize = 10_000;

/// Refusals of one kind that are recorded one by one within [`REFUSAL_WINDOW`]; those above are counted.
pub(crate) const REFUSALS_SINGLE_MAX: u64 = 20;

/// How long refusals of one kind are counted together.
pub(crate) const REFUSAL_WINDOW: Duration = Duration::from_secs(10);

/// Different kinds of refusal of one run within [`REFUSAL_WINDOW`]; those above are counted by code alone, of which
/// there are few, so that a run writes a bounded number of refusals in that time.
pub(crate) const REFUSAL_KINDS_PER_RUN_MAX: usize = 32;

/// What agents asked for and were refused is kept up to this many bytes per run, as long as refusals of that run are
/// being counted (see [`REFUSAL_WINDOW`]).
pub(crate) const REFUSAL_PAYLOADS_PER_RUN_MAX: usize = 256 << 10;

/// The longest a run token can last.
pub(crate) const TOKEN_TTL_MAX: Duration = Duration::from_hours(30 * 24);

/// An action that is this much over its deadline and not settled was forgotten: its outcome is unknown.
pub(crate) const OVERDUE: Duration = Duration::from_mins(1);

/// Entries between two snapshots. A start replays at most this many and those of one more interval.
pub(crate) const SNAPSHOT_ENTRIES: u64 = 50_000;

/// A step of the wall clock by this much is recorded.
pub(crate) const CLOCK_JUMP: Duration = Duration::from_mins(1);

/// How often payloads whose time is over are removed.
pub(crate) const PRUNING: Duration = Duration::from_mins(10);

/// How long one connection to a host may last: what bounds it in truth is the time of its run.
pub(crate) const EGRESS_TIME_MAX: Duration = Duration::from_hours(24);

/// How often housekeeping looks around.
pub(crate) const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// In one of so many rounds what decides nothing any more is forgotten: that looks at every run that is known, four milliseconds
/// for 100,000.
pub(crate) const FORGETTING_ROUNDS: u32 = 8;

/// What is added to the tokens counted of an answer that the provider did not report to the end: a share, and so many
/// tokens, because it may have written more than arrived here: as many as a fast model writes in a quarter of a second.
pub(crate) const COUNTED_MARGIN_PERCENT: u64 = 5;
/// See [`COUNTED_MARGIN_PERCENT`].
pub(crate) const COUNTED_MARGIN_TOKENS: u64 = 256;

/// Conversations of one workspace whose spending is added up; new ones are refused above.
pub(crate) const CONVERSATIONS_PER_WORKSPACE_MAX: usize = 50_000;

/// Conversations of all workspaces. Where there are so many, each workspace still has its share of them: there are
/// never more than twice as many.
pub(crate) const CONVERSATIONS_MAX: usize = 200_000;

/// From which share of its bound on, in percent, a workspace's silent conversations are forgotten, and down to which.
pub(crate) const CONVERSATIONS_MANY_PERCENT: usize = 90;
/// See [`CONVERSATIONS_MANY_PERCENT`].
pub(crate) const CONVERSATIONS_KEPT_PERCENT: usize = 80;

/// Shares of a budget, in percent, at which people are told.
pub(crate) const BUDGET_TOLD_AT: [u8; 4] = [50, 80, 95, 100];

/// Bytes of names of files that stand in an entry; more are a payload.
pub(crate) const LISTED_BYTES_MAX: usize = 16 << 10;

/// How deep runs may be started by one another: so many above the deepest.
pub const SPAWN_DEPTH_MAX: usize = 4;

/// Runs that one run has started and that have not ended.
pub(crate) const CHILDREN_LIVING_MAX: usize = 16;

/// How often a run may start others: it, and all that stand under it, together.
pub(crate) const STARTS_RATE: Rate = Rate { count: 120, per: Duration::from_mins(1) };

/// Arguments that a run gives one that it starts.
pub(crate) const SPAWN_ARGUMENTS_MAX: usize = 64;

/// Bytes of all of them.
pub(crate) const SPAWN_ARGUMENTS_BYTES_MAX: usize = 64 << 10;

/// Bytes that a run gives one that it starts to read.
pub(crate) const SPAWN_INPUT_BYTES_MAX: usize = 1 << 20;

/// How long the start of a run may take, until it stands in the log.
pub(crate) const SPAWN_TIME_MAX: Duration = Duration::from_mins(1);

/// Milliseconds between attempts to put a step of a run on record while the log is away.
pub(crate) const STEP_PAUSES_MS: [u64; 7] = [1, 10, 100, 1_000, 5_000, 10_000, 30_000];

/// How often it is looked whether a run that is suspended is to end.
pub(crate) const LOOK: Duration = Duration::from_millis(500);
