//! A file of cases as it is written.

use std::collections::HashMap;
use std::str::FromStr;

use ringfence_document::{Diagnostic, Fields, Node, Place, Report};
use ringfence_json::Value;
use ringfence_types::{ActionType, Code, Decision, Kind, RuleName};
use smol_str::SmolStr;

use super::{Case, CaseRequest, Cases, Expectation, value};
use crate::limits::{CASE_NAME_BYTES_MAX, CASES_MAX};

pub(super) fn read(source: &str, text: &str) -> Result<Cases, Vec<Diagnostic>> {
    let root = ringfence_document::parse(source, text)?;
    let mut report = Report::new(source);
    let cases = file(&root, &mut report).unwrap_or_default();
    if report.errors() > 0 {
        return Err(report.into_diagnostics());
    }
    Ok(Cases { source: source.into(), cases })
}

fn file(root: &Node, report: &mut Report) -> Option<Vec<Case>> {
    let mut fields = Fields::of(root, "a file of cases", report)?;
    let defaults = fields.get("defaults").and_then(|node| request(node, report)).unwrap_or_default();
    let nodes =
        fields.require("cases", report).and_then(|node| node.list("`cases`", report)).unwrap_or_default();
    fields.finish(report);
    if nodes.len() > CASES_MAX {
        report.error(root.place, format!("more than {CASES_MAX} cases in one file"));
        return None;
    }
    let cases: Vec<Case> = nodes.iter().filter_map(|node| case(node, &defaults, report)).collect();
    let mut seen: HashMap<&str, Place> = HashMap::new();
    for case in &cases {
        if let Some(first) = seen.insert(&case.name, case.place) {
            let message =
                format!("two cases are called `{}`; the first is at line {}", case.name, first.line);
            report.error(case.place, message);
        }
    }
    Some(cases)
}

fn case(node: &Node, defaults: &CaseRequest, report: &mut Report) -> Option<Case> {
    let mut fields = Fields::of(node, "a case", report)?;
    let name_node = fields.require("name", report);
    let name = name_node.and_then(|node| node.text("the name of a case", report));
    if name.is_some_and(|name| name.len() > CASE_NAME_BYTES_MAX) {
        report.error(node.place, format!("the name of a case has more than {CASE_NAME_BYTES_MAX} bytes"));
    }
    let asked = fields.require("request", report).and_then(|node| request(node, report));
    let expect = fields.require("expect", report).and_then(|node| expectation(node, report));
    fields.finish(report);
    let request = asked?.or(defaults);
    Some(Case {
        name: name?.to_string(),
        place: name_node.map_or(node.place, |node| node.place),
        request,
        expect: expect?,
    })
}

fn request(node: &Node, report: &mut Report) -> Option<CaseRequest> {
    let mut fields = Fields::of(node, "`request`", report)?;
    let mut text =
        |key: &'static str| fields.get(key).and_then(|node| node.text(&format!("`{key}`"), report).cloned());
    let mut request = CaseRequest {
        organization: text("organization"),
        workspace: text("workspace"),
        environment: text("environment"),
        agent: text("agent"),
        user: text("user"),
        server: text("server"),
        tool: text("tool"),
        model: text("model"),
        host: text("host"),
        capability: text("capability"),
        action: text("action"),
        risk: text("risk"),
        ..CaseRequest::default()
    };
    request.kind = fields.get("kind").and_then(|node| word(node, "`kind`", Kind::ALL, Kind::as_str, report));
    request.action_type = fields
        .get("action_type")
        .and_then(|node| word(node, "`action_type`", ActionType::ALL, ActionType::as_str, report));
    request.roles = fields.get("role").map(|node| many(node, "a role", report));
    request.labels = fields.get("labels").map(|node| many(node, "a label", report));
    request.arguments = fields.get("arguments").and_then(|node| value::arguments(node, report));
    fields.finish(report);
    Some(request)
}

fn expectation(node: &Node, report: &mut Report) -> Option<Expectation> {
    let mut fields = Fields::of(node, "`expect`", report)?;
    let decision = fields
        .require("decision", report)
        .and_then(|node| word(node, "`decision`", Decision::ALL, Decision::as_str, report));
    let rule = fields.get("rule").and_then(|node| {
        // `rule: null` asks for the default to decide.
        if node.is_null() { Some(None) } else { node.parsed("`rule`", RuleName::new, report).map(Some) }
    });
    let code = fields.get("code").and_then(|node| word(node, "`code`", Code::ALL, Code::as_str, report));
    let reason = fields.get("reason").and_then(|node| node.text("`reason`", report)).map(SmolStr::to_string);
    let arguments =
        fields.get("arguments").and_then(|node| value::arguments(node, report)).map(Value::Object);
    let narrowed = fields.get("narrowed").map(|node| {
        many::<SmolStr>(node, "a pointer of `narrowed`", report).iter().map(SmolStr::to_string).collect()
    });
    let matched = fields.get("matched").map(|node| many(node, "a rule", report));
    let shadowed = fields.get("shadowed").map(|node| many(node, "a rule", report));
    fields.finish(report);
    let decision = decision?;
    Some(Expectation { decision, rule, code, reason, arguments, narrowed, matched, shadowed })
}

fn word<T: FromStr + Copy>(
    node: &Node,
    what: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
    report: &mut Report,
) -> Option<T> {
    let words: Vec<&str> = all.iter().map(|value| as_str(*value)).collect();
    node.word(what, &words, report)
}

/// One value or a list; an empty list is none.
fn many<T: FromStr<Err: std::fmt::Display>>(node: &Node, what: &str, report: &mut Report) -> Vec<T> {
    node.one_or_many().iter().filter_map(|node| node.parsed(what, T::from_str, report)).collect()
}

impl CaseRequest {
    /// This request, and what it does not say from `defaults`.
    fn or(self, defaults: &Self) -> Self {
        let of = |own: Option<SmolStr>, other: &Option<SmolStr>| own.or_else(|| other.clone());
        Self {
            kind: self.kind.or(defaults.kind),
            organization: of(self.organization, &defaults.organization),
            workspace: of(self.workspace, &defaults.workspace),
            environment: of(self.environment, &defaults.environment),
            agent: of(self.agent, &defaults.agent),
            user: of(self.user, &defaults.user),
            roles: self.roles.or_else(|| defaults.roles.clone()),
            server: of(self.server, &defaults.server),
            tool: of(self.tool, &defaults.tool),
            model: of(self.model, &defaults.model),
            host: of(self.host, &defaults.host),
            capability: of(self.capability, &defaults.capability),
            action: of(self.action, &defaults.action),
            action_type: self.action_type.or(defaults.action_type),
            risk: of(self.risk, &defaults.risk),
            labels: self.labels.or_else(|| defaults.labels.clone()),
            arguments: self.arguments.or_else(|| defaults.arguments.clone()),
        }
    }
}
