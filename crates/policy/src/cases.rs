//! Cases that a policy has to pass: `ringfence policy test`.
//!
//! A file of cases stands beside the policy. Each case is a request and what is expected of it; what a request does
//! not say comes from the file's `defaults`, then from what is known of the tool, then from what holds everywhere.

mod compare;
mod read;
mod run;
mod value;

use std::collections::HashSet;
use std::fmt;

use ringfence_document::{Diagnostic, Place};
use ringfence_json::{Object, Value};
use ringfence_types::{ActionType, Code, Decision, Kind, Role, RuleName};
use smol_str::SmolStr;

use crate::{PolicySet, Vocabulary};

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases {
    /// The name of the file, as shown in reports.
    pub source: SmolStr,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// One request and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What is shown, unique in the file.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What is asked.
    pub request: CaseRequest,
    /// What has to come of it.
    pub expect: Expectation,
}

/// A request as a case gives it; `None` is what the case leaves to what is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseRequest {
    pub(crate) kind: Option<Kind>,
    pub(crate) organization: Option<SmolStr>,
    pub(crate) workspace: Option<SmolStr>,
    pub(crate) environment: Option<SmolStr>,
    pub(crate) agent: Option<SmolStr>,
    pub(crate) user: Option<SmolStr>,
    pub(crate) roles: Option<Vec<Role>>,
    pub(crate) server: Option<SmolStr>,
    pub(crate) tool: Option<SmolStr>,
    pub(crate) model: Option<SmolStr>,
    pub(crate) host: Option<SmolStr>,
    pub(crate) capability: Option<SmolStr>,
    pub(crate) action: Option<SmolStr>,
    pub(crate) action_type: Option<ActionType>,
    pub(crate) risk: Option<SmolStr>,
    pub(crate) labels: Option<Vec<SmolStr>>,
    pub(crate) arguments: Option<Object>,
}

/// What has to come of a request; what is `None` may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The decision.
    pub decision: Decision,
    /// The rule that decides; `Some(None)` when it must be the default.
    pub rule: Option<Option<RuleName>>,
    /// The code of the refusal; for ALLOW there is none.
    pub code: Option<Code>,
    /// A part of what the agent is told.
    pub reason: Option<String>,
    /// What is sent, whole, after narrowing.
    pub arguments: Option<Value>,
    /// JSON Pointers (RFC 6901) to the arguments that are narrowed, all of them.
    pub narrowed: Option<Vec<String>>,
    /// Every enforced rule that matches.
    pub matched: Option<Vec<RuleName>>,
    /// Every rule in shadow that matches.
    pub shadowed: Option<Vec<RuleName>>,
}

/// What came of all cases of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file.
    pub source: SmolStr,
    /// In its order.
    pub results: Vec<CaseResult>,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// The case.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What was not as expected; empty when it passed.
    pub mismatches: Vec<CaseMismatch>,
    /// What the agent would be told.
    pub reason: String,
    /// Every rule that applied, in force or in shadow.
    pub reached: Vec<RuleName>,
}

/// One thing that was not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseMismatch {
    /// Which member of `expect`.
    pub what: &'static str,
    /// As the case has it.
    pub expected: String,
    /// As it came.
    pub actual: String,
}

// === impl Cases ===

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// All that is wrong with it, with places.
    pub fn parse(source: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        read::read(source, text)
    }

    /// Asks the policy each case. What is known of tools gives their types, defaults and schemas.
    pub fn run(&self, policy: &PolicySet, vocabulary: &Vocabulary) -> CaseReport {
        let results = self.cases.iter().map(|case| run::run(case, policy, vocabulary)).collect();
        CaseReport { source: self.source.clone(), results }
    }
}

// === impl CaseReport ===

impl CaseReport {
    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| !result.passed()).count()
    }

    /// Whether all passed.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// The rules that no case of these reports reached: nothing is known of what they do. Several files of cases can
    /// be about one policy, so that is for all of them together.
    pub fn unreached<'p>(reports: &[Self], policy: &'p PolicySet) -> Vec<&'p RuleName> {
        let results = reports.iter().flat_map(|report| &report.results);
        let reached: HashSet<&RuleName> = results.flat_map(|result| &result.reached).collect();
        policy.rule_names().filter(|rule| !reached.contains(rule)).collect()
    }

    /// The report in JUnit's XML, as build servers read it: one suite, one test a case.
    pub fn to_junit(&self) -> String {
        crate::junit::write(self)
    }
}

impl CaseResult {
    /// Whether all was as expected.
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

impl fmt::Display for CaseReport {
    /// A line for each case that passed, a difference for each that did not, and a sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.results {
            let mark = if result.passed() { "ok    " } else { "FAILED" };
            writeln!(f, "{mark} {}", result.name)?;
            if !result.passed() {
                writeln!(f, "       at {}:{}:{}", self.source, result.place.line, result.place.column)?;
                write!(f, "{result}")?;
            }
        }
        let (count, failed) = (self.results.len(), self.failed());
        let cases = if count == 1 { "case" } else { "cases" };
        writeln!(f, "{count} {cases}, {} passed, {failed} failed", count - failed)
    }
}

impl fmt::Display for CaseResult {
    /// The difference, indented; `-` is what was expected and `+` what came.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mismatch in &self.mismatches {
            writeln!(f, "       {}", mismatch.what)?;
            writeln!(f, "         - {}", mismatch.expected)?;
            writeln!(f, "         + {}", mismatch.actual)?;
        }
        if self.passed() { Ok(()) } else { writeln!(f, "       the agent is told: {}", self.reason) }
    }
}
