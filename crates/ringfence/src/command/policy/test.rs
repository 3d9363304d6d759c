//! `ringfence policy test`

use std::path::PathBuf;

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_policy::{CaseReport, Cases, Source, Vocabulary};
use ringfence_types::RuleName;

use super::files::{POLICY, compiled_or_said, rendered};
use crate::cli::Global;
use crate::command::check::eprint_text;
use crate::failure::{Exit, Failure};
use crate::input::read_text;

/// Rules that the note on those without a case names.
const UNREACHED_SHOWN_MAX: usize = 20;

/// Run the cases that stand beside a policy
///
/// Exit status 1 when one of them fails. Rules that no case reaches are listed.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ringfence policy test safety-policy.test.yaml --policy safety-policy.yaml --junit report.xml"
)]
pub struct Test {
    /// The files of cases
    #[arg(value_name = "CASES", required = true)]
    cases: Vec<PathBuf>,
    /// The policy; several files are compiled together
    #[arg(long, value_name = "FILE", default_value = POLICY)]
    policy: Vec<PathBuf>,
    /// Also write a report in JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Test {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let policy = compiled_or_said(&self.policy)?;
        let reports: Vec<CaseReport> = self
            .cases
            .iter()
            .map(|path| Ok(read(path)?.run(&policy.set, &Vocabulary::default())))
            .collect::<Result<_, Failure>>()?;
        if let Some(path) = &self.junit {
            write_junit(path, &reports)?;
        }
        let output = global.output();
        for report in &reports {
            if output.is_json() {
                report.results.iter().try_for_each(|result| output.document(&document(report, result)))?;
            } else {
                output.text(&report.to_string())?;
            }
        }
        let unreached = CaseReport::unreached(&reports, &policy.set);
        if output.is_json() {
            output.document(&Object::new().with("unreached", names(&unreached)).into())?;
        } else if !unreached.is_empty() {
            output.text(&note(&unreached))?;
        }
        if reports.iter().all(CaseReport::passed) { Ok(()) } else { Err(Failure::said(Exit::No)) }
    }
}

fn names(rules: &[&RuleName]) -> Vec<Value> {
    rules.iter().map(|rule| Value::from(rule.as_str())).collect()
}

/// Not a failure: nobody said what these rules have to do.
fn note(unreached: &[&RuleName]) -> String {
    let mut shown: Vec<String> =
        unreached.iter().take(UNREACHED_SHOWN_MAX).map(|rule| format!("`{rule}`")).collect();
    let more = unreached.len() - shown.len();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    format!("no case reaches {}\n", shown.join(", "))
}

fn read(path: &std::path::Path) -> Result<Cases, Failure> {
    let name = path.display().to_string();
    let text = read_text(&name, "the cases")?;
    Cases::parse(&name, &text).map_err(|diagnostics| {
        eprint_text(&rendered(&diagnostics, &[Source::yaml(name.clone(), text.clone())]));
        Failure::said(Exit::Usage)
    })
}

/// One document: several files of cases are suites of one report.
fn write_junit(path: &std::path::Path, reports: &[CaseReport]) -> Result<(), Failure> {
    let text = match reports {
        [one] => one.to_junit(),
        many => {
            let suites: Vec<String> = many.iter().map(|report| suites_of(&report.to_junit())).collect();
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{}</testsuites>\n",
                suites.concat()
            )
        }
    };
    std::fs::write(path, text)
        .map_err(|error| Failure::usage(format!("cannot write the report to {}: {error}", path.display())))
}

/// What stands inside `testsuites`, or the document without its declaration.
fn suites_of(document: &str) -> String {
    let inside = |text: &str| {
        let from = text.find("<testsuites").and_then(|at| Some(at + text[at..].find('>')? + 1))?;
        let to = text.rfind("</testsuites>")?;
        Some(text.get(from..to)?.trim_start().to_owned())
    };
    inside(document).unwrap_or_else(|| {
        document.split_once("?>").map_or(document, |(_, rest)| rest).trim_start().to_owned()
    })
}

fn document(report: &CaseReport, result: &ringfence_policy::CaseResult) -> Value {
    let mismatches = result.mismatches.iter().map(|mismatch| {
        Object::new()
            .with("what", mismatch.what)
            .with("expected", mismatch.expected.as_str())
            .with("actual", mismatch.actual.as_str())
    });
    Object::new()
        .with("file", report.source.as_str())
        .with("case", result.name.as_str())
        .with("line", result.place.line)
        .with("passed", result.passed())
        .with("mismatches", mismatches.collect::<Vec<_>>())
        .into()
}
