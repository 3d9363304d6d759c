//! What can be typed: the commands and what they all share.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};

use crate::client::{Address, Client, Secret, data_folder};
use crate::command;
use crate::failure::Failure;
use crate::output::Output;

/// Ringfence runs AI agents in production safely: every action decided by policy before it happens, recorded, and
/// stoppable.
#[derive(Debug, Parser)]
#[command(
    name = "ringfence",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit status: 0 done · 1 the answer is no · 2 wrong use or bad configuration · 3 cannot reach the node"
)]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands share.
#[derive(Debug, Args)]
pub struct Global {
    /// Answer in JSON: one document, or one object a line for lists and streams
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// The node: unix:PATH, or a URL (with RINGFENCE_TOKEN) [default: control.sock in the data folder]
    #[arg(long, global = true, env = "RINGFENCE_NODE", hide_env_values = true, value_name = "NODE")]
    #[arg(help_heading = "Global options")]
    pub node: Option<String>,
    /// The node's data folder [default: $XDG_STATE_HOME/ringfence, or /var/lib/ringfence for root]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data: Option<PathBuf>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(crate::demo::Demo),
    Init(command::init::Init),
    Up(command::up::Up),
    Check(command::check::Check),
    Status(command::status::Status),
    Spend(command::spend::Spend),
    Token(command::token::Token),
    Run(command::run::Run),
    Runs(command::runs::Runs),
    Policy(command::policy::Policy),
    Prices(command::prices::Prices),
    Approvals(command::approvals::Approvals),
    Suspend(command::suspend::Suspend),
    Resume(command::resume::Resume),
    Kill(command::kill::Kill),
    Tools(command::tools::Tools),
    Audit(command::audit::Audit),
    Doctor(command::doctor::Doctor),
    Completions(command::completions::Completions),
}

/// Words that are no command, and what was most likely meant.
const MEANT: [(&str, &str); 12] = [
    (
        "models",
        "`ringfence prices list` shows models and what they cost, `ringfence status` those of each workspace",
    ),
    (
        "model",
        "`ringfence prices list` shows models and what they cost, `ringfence status` those of each workspace",
    ),
    ("price", "`ringfence prices list`"),
    ("budget", "`ringfence spend` shows what was spent and how full budgets are"),
    ("budgets", "`ringfence spend` shows what was spent and how full budgets are"),
    ("cost", "`ringfence spend` shows what was spent and how full budgets are"),
    ("start", "`ringfence up` starts a node, `ringfence run AGENT` an agent"),
    ("stop", "`ringfence runs stop RUN` ends a run; a node ends by SIGTERM"),
    (
        "log",
        "`ringfence audit query` and `ringfence audit tail` show the log, `ringfence runs logs RUN` what a run wrote",
    ),
    (
        "logs",
        "`ringfence audit query` and `ringfence audit tail` show the log, `ringfence runs logs RUN` what a run wrote",
    ),
    ("agents", "`ringfence status` shows the agents of each workspace"),
    ("validate", "`ringfence check`"),
];

/// Commands that have their place and are not in this version, and what to do instead.
const LATER: [(&str, &str); 2] = [
    ("secret", "name an environment variable or a file in ringfence.yaml: `key: \"env:NAME\"`"),
    ("console", "`ringfence status`, `ringfence approvals` and `ringfence audit tail` show what there is"),
];

/// Ends the program as clap does, but says of a command that comes later that it does.
pub fn explain_and_exit(error: &clap::Error) -> ! {
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::InvalidSubcommand => {
            // The word may also stand behind a command that there is.
            let is_command =
                std::env::args().skip(1).find(|word| !word.starts_with('-')).as_ref() == Some(word);
            let later = LATER.iter().find(|(later, _)| later == word && is_command);
            if let Some((_, instead)) = later {
                exit_with(
                    &Failure::usage(format!("`ringfence {word}` is not in this version")).hint(*instead),
                );
            }
            if let Some((_, hint)) = MEANT.iter().find(|(other, _)| other == word && is_command) {
                exit_with(&Failure::usage(format!("there is no command `{word}`")).hint(*hint));
            }
        }
        _ => {}
    }
    error.exit()
}

fn exit_with(failure: &Failure) -> ! {
    eprintln!("{failure}");
    std::process::exit(2);
}

// === impl Global ===

impl Global {
    /// Where answers go.
    pub fn output(&self) -> Output {
        Output::new(self.json)
    }

    /// The data folder.
    ///
    /// # Errors
    /// When none was given and none can be found.
    pub fn folder(&self) -> Result<PathBuf, Failure> {
        data_folder(self.data.as_deref())
    }

    /// A client of the node that was named, else of the one in the data folder.
    ///
    /// # Errors
    /// When the node's address is none.
    pub fn client(&self) -> Result<Client, Failure> {
        let address = match self.node.as_deref().filter(|node| !node.is_empty()) {
            Some(node) => Address::parse(node)?,
            None => Address::in_folder(&self.folder()?),
        };
        let token = std::env::var("RINGFENCE_TOKEN").ok().filter(|token| !token.is_empty());
        Ok(Client::new(address, token.map(Secret::new)))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    /// Calls `visit` with every command that does something itself, and the words that lead to it.
    fn leaves(command: &clap::Command, words: &str, visit: &mut impl FnMut(&clap::Command, &str)) {
        let words = format!("{words} {}", command.get_name());
        let mut subcommands = command.get_subcommands().peekable();
        if subcommands.peek().is_none() {
            visit(command, words.trim());
        }
        for subcommand in subcommands {
            leaves(subcommand, &words, visit);
        }
    }

    /// The words of a line as a shell takes them; of quotes, single ones.
    fn words_of(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_has_a_description_and_an_example_that_parses() {
        leaves(&Cli::command(), "", &mut |command, words| {
            assert!(command.get_about().is_some(), "`{words}` says nothing about itself");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = help.lines().map(str::trim).find(|line| line.starts_with(words));
            let example = example.unwrap_or_else(|| panic!("`{words} --help` has no example"));
            let line = example.split(" > ").next().unwrap_or_default();
            if let Err(error) = Cli::try_parse_from(words_of(line)) {
                panic!("the example of `{words}` does not parse: {error}");
            }
        });
    }
}
