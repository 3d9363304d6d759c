//! Every chore of the project, so that nothing has to be remembered.

mod bench;
mod error;
mod fuzz;
mod install;
mod place;
mod program;
mod soak;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::place::Place;

/// The chores of the project.
///
/// Example: cargo xtask test
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Command {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measure the figures of docs/benchmarks.md, with the release build.
    ///
    /// Example: cargo xtask bench calls --quick
    #[command(disable_help_flag = true)]
    Bench {
        /// What to measure, and how; `--help` says what there is.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Fuzz what strangers send: messages, policies, logs.
    ///
    /// Example: cargo xtask fuzz policy --seconds 300
    Fuzz {
        /// Only these targets.
        #[arg(value_enum)]
        targets: Vec<fuzz::Target>,
        /// How long each.
        #[arg(long, default_value_t = fuzz::IN_TESTS.as_secs())]
        seconds: u64,
        /// Give one target this one input again.
        #[arg(long, requires = "targets")]
        input: Option<std::path::PathBuf>,
    },
    /// Install the real servers, clients and tools that the tests run against.
    ///
    /// They go to target/parts, or to the folder that RINGFENCE_PARTS names. A second run costs nothing.
    Install,
    /// Run the long tests, about an hour: kills, the model, runs, fuzzing. docs/soak.md has the last results.
    ///
    /// Example: cargo xtask soak kills model
    Soak {
        /// Only these parts.
        #[arg(value_enum)]
        parts: Vec<soak::Part>,
    },
    /// Check and test everything, in the order in which problems are cheapest to find.
    ///
    /// Example: cargo xtask test format lints
    Test {
        /// Only these phases.
        #[arg(value_enum)]
        phases: Vec<test::Phase>,
    },
    /// Run the sandbox's tests under Debian's kernel and cgroup v2 alone, in QEMU. docs/soak.md has the last results.
    ///
    /// Example: cargo xtask vm bounds escape
    Vm {
        /// Only these files of crates/sandbox/tests.
        tests: Vec<String>,
        /// Another kernel, as the package of a distribution (.deb).
        #[arg(long)]
        kernel: Option<std::path::PathBuf>,
    },
}

fn main() -> ExitCode {
    let place = Place::here();
    let done = match Command::parse().chore {
        Chore::Bench { arguments } => bench::run_benches(&place, &arguments),
        Chore::Fuzz { targets, seconds, input } => {
            fuzz::chore(&place, &targets, std::time::Duration::from_secs(seconds), input.as_deref())
        }
        Chore::Install => install::everything(&place),
        Chore::Soak { parts } => soak::run(&place, &parts),
        Chore::Test { phases } => test::run(&place, &phases),
        Chore::Vm { tests, kernel } => vm::run_tests(&place, kernel.as_deref(), &tests),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
