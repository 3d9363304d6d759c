//! One `*.cedar` file.

use cedar_policy::{Expression, Policy, PolicySet};
use ringfence_document::{Diagnostic, Place, Report};
use smol_str::SmolStr;

use super::annotations::Annotations;
use super::explain::{self, Lines};
use super::reads::reads_input;
use super::validate::Checker;
use crate::limits::CEDAR_BYTES_MAX;
use crate::rule::Effect;
use crate::text::shown;
use crate::{Key, Source};

/// A policy of a file.
pub(super) struct ReadRule {
    pub(super) policy: Policy,
    pub(super) rule: CedarRule,
}

/// A compiled rule.
pub(crate) struct CedarRule {
    pub(crate) effect: Effect,
    /// The file it stands in.
    pub(crate) source: SmolStr,
    /// Where it begins.
    pub(crate) place: Place,
    /// Scope and conditions as one expression.
    pub(super) condition: Expression,
    pub(super) reads_input: bool,
}

impl CedarRule {
    /// Scope and conditions, as Cedar writes them.
    pub(crate) fn condition(&self) -> String {
        self.condition.to_string()
    }
}

/// Reads a file; everything that is wrong goes into `diagnostics`.
pub(super) fn read(
    source: &Source,
    checker: Option<&Checker>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<ReadRule> {
    let mut report = Report::new(source.name.as_str());
    let rules = match parse(source, &mut report) {
        Some(set) => rules(source, &set, checker, &mut report),
        None => Vec::new(),
    };
    diagnostics.extend(report.into_diagnostics());
    rules
}

fn parse(source: &Source, report: &mut Report) -> Option<PolicySet> {
    if source.text.len() > CEDAR_BYTES_MAX {
        report.error(Place::WHOLE, format!("the file is longer than {CEDAR_BYTES_MAX} bytes"));
        return None;
    }
    match source.text.parse() {
        Ok(set) => Some(set),
        Err(errors) => {
            for error in explain::parse(&errors, &source.name, &source.text) {
                report.push(error);
            }
            None
        }
    }
}

fn rules(source: &Source, set: &PolicySet, checker: Option<&Checker>, report: &mut Report) -> Vec<ReadRule> {
    let lines = Lines::of(&source.text);
    for template in set.templates() {
        let (offset, length) =
            template.as_ref().loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()));
        let hint = "write the entity in place of `?principal` or `?resource`";
        report.error_with_hint(lines.place(offset, length), "templates are not supported", hint);
    }
    if let Some(checker) = checker {
        checker.check_file(set, &lines, report);
    }
    for policy in set.policies() {
        hosts(policy, &lines, report);
    }
    let mut policies: Vec<(usize, usize, &Policy)> = set
        .policies()
        .map(|policy| {
            let span = policy.as_ref().loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()));
            (span.0, span.1, policy)
        })
        .collect();
    policies.sort_by_key(|(offset, _, _)| *offset);
    policies
        .into_iter()
        .filter_map(|(offset, length, policy)| rule(source, &lines, offset, length, policy, report))
        .collect()
}

/// Hosts are compared in one form, so one written in another form would never be met.
fn hosts(policy: &Policy, lines: &Lines<'_>, report: &mut Report) {
    for literal in policy.entity_literals() {
        let id = literal.id().unescaped();
        let normal = Key::Host.normalized(id);
        if literal.type_name().to_string() == "Host" && normal != id {
            let (offset, length) = literal_place(policy, id);
            let hint = format!("write {}", shown(&normal, 100));
            report.error_with_hint(
                lines.place(offset, length),
                "a host is written in lower case, without a dot at its end",
                hint,
            );
        }
    }
}

/// Where a policy first writes an entity's id; the policy if it writes it in some other way.
pub(super) fn literal_place(policy: &Policy, id: &str) -> (usize, usize) {
    let Some(loc) = policy.as_ref().loc() else { return (0, 0) };
    let (offset, length) = (loc.span.offset(), loc.span.len());
    let written = format!("\"{id}\"");
    match loc.src.get(offset..offset + length).and_then(|text| text.find(&written)) {
        Some(at) => (offset + at, written.len()),
        None => (offset, length),
    }
}

fn rule(
    source: &Source,
    lines: &Lines<'_>,
    offset: usize,
    length: usize,
    policy: &Policy,
    report: &mut Report,
) -> Option<ReadRule> {
    let place = lines.place(offset, length);
    let text = source.text.get(offset..offset + length).unwrap_or_default();
    let annotation_place = |annotation: &str| {
        let written = format!("@{annotation}");
        text.find(&written).map_or(place, |at| lines.place(offset + at, written.len()))
    };
    let file = source.name.rsplit('/').next().unwrap_or_default();
    let fallback = format!("{}:{}", &file[..file.floor_char_boundary(100)], place.line);
    let effect = Annotations::of(policy, annotation_place, report).effect(&fallback)?;
    let condition = Expression::from(policy.as_ref().condition());
    let reads_input = reads_input(policy);
    let rule = CedarRule { effect, source: source.name.as_str().into(), place, condition, reads_input };
    Some(ReadRule { policy: policy.clone(), rule })
}
