//! The commands, one file each.

pub mod approvals;
pub mod artifacts;
pub mod audit;
pub mod check;
pub mod completions;
pub mod doctor;
pub mod init;
pub mod kill;
pub mod policy;
pub mod prices;
pub mod resume;
pub mod run;
mod run_signals;
pub mod runs;
pub mod spend;
pub mod state;
pub mod status;
pub mod suspend;
pub mod token;
pub mod tools;
pub mod up;
