//! `ringfence doctor`

mod drivers;
mod machine;
mod outside;
mod packages;

use std::path::PathBuf;

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_sandbox::{LayerState, SpawnerProgram, probe};

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{Output, Style, paint};
use crate::show::add;

/// Show what this machine can do, tried out and not guessed, and how to get the rest
///
/// Exit status 1 when something that a node needs is missing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence doctor\n  ringfence doctor -c ringfence.yaml")]
pub struct Doctor {
    /// Try as well what this configuration says of hosts: where the names under `egress` lead from here
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// A node runs, with less.
    Less,
    /// A node cannot run.
    Broken,
}

/// One thing that was tried.
#[derive(Debug)]
pub struct Finding {
    /// What about.
    pub section: &'static str,
    /// What.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// How to get more.
    pub remedy: Option<String>,
}

impl Doctor {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let folder = global.folder()?;
        let mut findings = machine::findings(&folder);
        findings.extend(layers());
        findings.extend(drivers::findings());
        findings.extend(packages::findings());
        findings.extend(outside::findings(self.config.as_deref()));
        let output = global.output();
        if output.is_json() {
            findings.iter().try_for_each(|finding| output.document(&document(finding)))?;
        } else {
            output.text(&render(&findings, output))?;
        }
        if findings.iter().any(|finding| finding.state == State::Broken) {
            return Err(Failure::said(Exit::No));
        }
        Ok(())
    }
}

/// The layers between what the node starts and the machine, by setting up sandboxes.
fn layers() -> Vec<Finding> {
    const SECTION: &str = "isolation of runs and of tool servers over stdio";
    let layers = match probe(&SpawnerProgram::this()) {
        Ok(layers) => layers,
        Err(error) => {
            return vec![Finding {
                section: SECTION,
                name: "sandbox".to_owned(),
                state: State::Broken,
                detail: error.to_string(),
                remedy: Some(
                    "without it neither a run nor a stdio tool server starts; servers with a `url` work"
                        .to_owned(),
                ),
            }];
        }
    };
    let finding = |layer: &ringfence_sandbox::Layer| {
        let (state, detail) = match &layer.state {
            LayerState::InForce(how) => (State::Good, how.clone()),
            LayerState::Missing(why) => (State::Less, format!("{why}: {}", layer.name.without())),
        };
        let remedy = (state != State::Good).then(|| layer.name.remedy().to_owned());
        Finding { section: SECTION, name: layer.name.to_string(), state, detail, remedy }
    };
    std::iter::once(sight(SECTION)).chain(layers.iter().map(finding)).collect()
}

/// What a tool server sees is not the machine's to decide.
fn sight(section: &'static str) -> Finding {
    let detail = "with `mounts` or `egress` as runs do; without either the machine's files, but for the node's, and its \
                  network (`ringfence check` says of each which)";
    let name = "what they see".to_owned();
    Finding { section, name, state: State::Good, detail: detail.to_owned(), remedy: None }
}

fn document(finding: &Finding) -> Value {
    let state = match finding.state {
        State::Good => "good",
        State::Less => "less",
        State::Broken => "broken",
    };
    Object::new()
        .with("section", finding.section)
        .with("name", finding.name.as_str())
        .with("state", state)
        .with("detail", finding.detail.as_str())
        .with_some("remedy", finding.remedy.as_deref())
        .into()
}

fn render(findings: &[Finding], output: Output) -> String {
    let colour = output.colour();
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut section = "";
    for finding in findings {
        if finding.section != section {
            section = finding.section;
            let gap = if text.is_empty() { "" } else { "\n" };
            add(&mut text, format_args!("{gap}{}\n", paint(section, Style::Heading, colour)));
        }
        let (mark, style) = match finding.state {
            State::Good => ("ok  ", Style::Good),
            State::Less => ("less", Style::Warning),
            State::Broken => ("FAIL", Style::Bad),
        };
        let line = format!(
            "  {}  {:<width$}  {}",
            paint(mark, style, colour),
            finding.name,
            crate::safe(&finding.detail)
        );
        text.push_str(line.trim_end());
        text.push('\n');
        if let Some(remedy) = &finding.remedy {
            add(&mut text, format_args!("        {:<width$}  to get it: {remedy}\n", ""));
        }
    }
    let less = findings.iter().filter(|finding| finding.state != State::Good).count();
    let sum = match less {
        0 => "\neverything is there\n".to_owned(),
        1 => "\none thing could be better\n".to_owned(),
        many => format!("\n{many} things could be better\n"),
    };
    text.push_str(&sum);
    text
}
