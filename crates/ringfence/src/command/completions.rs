//! `ringfence completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, Global};
use crate::failure::Failure;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence completions bash > ringfence.bash")]
pub struct Completions {
    /// Which
    shell: Shell,
}

impl Completions {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ringfence", &mut script);
        global.output().text(&String::from_utf8_lossy(&script))
    }
}
