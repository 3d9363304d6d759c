//! What holds of every policy that loads.
//!
//! An input is a policy; if its last line is a comment that is a JSON object, that is the arguments of the call.

use std::sync::OnceLock;

use ringfence_document::{Diagnostic, render};
use ringfence_json::{Limits, Object};
use ringfence_policy::{Compiled, InputSchema, PolicySet, Request, Source, Verdict, Vocabulary};
use ringfence_types::{ActionType, Decision, Kind, Role};
use smol_str::SmolStr;

/// The call that is decided where the input has none.
const ARGUMENTS: &str = r#"{"replicas":50,"namespace":"app","query":"tides","tags":["a","b"]}"#;

/// What is pinned of the tool's arguments.
const SCHEMA: &str = r#"{"type":"object","properties":{"replicas":{"default":3},"namespace":{},"query":{},
    "tags":{"default":["a"]},"spec":{"properties":{"n":{"default":7}}}}}"#;

/// Denies everything, whatever another file says.
const DENY: &str = "rules: [{ name: deny-everything-under-a-name-nobody-takes, match: {}, decision: DENY }]";

/// Compiles the bytes as a policy and decides a call; returns whether they are one.
pub fn check(data: &[u8]) -> bool {
    // Files that are not text are refused before they come here.
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let source = Source::yaml("policy.yaml", text);
    let compiled = compile(std::slice::from_ref(&source)).map_err(|errors| can_be_told(&errors, text));
    let Ok(compiled) = compiled else { return false };
    can_be_shown(&compiled.warnings, text);
    let again = compile(std::slice::from_ref(&source)).expect("it compiled a moment ago");
    assert_eq!(compiled.set.digest(), again.set.digest());
    // Both together may be too many, or share a name.
    let denying = compile(&[source, Source::yaml("deny.yaml", DENY)]).ok();

    let call = Call::new(arguments(text).or_else(|| arguments(ARGUMENTS)).unwrap_or_default());
    decides_deterministically(&compiled.set, &again.set, &call);
    refuses_what_does_not_fit(&compiled.set, &call);
    narrows_once(&compiled.set, &call, text);
    if let Some(denying) = denying {
        let verdict = call.ask(|request| denying.set.decide(request));
        assert_eq!(verdict.decision, Decision::Deny, "another file denies, and does not win");
    }
    true
}

fn compile(sources: &[Source]) -> Result<Compiled, Vec<Diagnostic>> {
    PolicySet::compile(sources, &Vocabulary::default())
}

fn arguments(text: &str) -> Option<Object> {
    let last = text.lines().next_back()?;
    let json = last.strip_prefix("# ").unwrap_or(last);
    ringfence_json::parse(json.as_bytes(), &Limits::default()).ok()?.into_object()
}

/// Who is refused must learn why.
fn can_be_told(errors: &[Diagnostic], text: &str) {
    assert!(errors.iter().any(Diagnostic::is_error), "refused without an error");
    can_be_shown(errors, text);
}

fn can_be_shown(diagnostics: &[Diagnostic], text: &str) {
    for diagnostic in diagnostics {
        let shown = render(diagnostic, text);
        assert!(shown.ends_with('\n') && !diagnostic.message.is_empty(), "{shown:?}");
        assert!(!shown.contains('\u{1b}'), "what a file holds reaches a terminal as it is");
    }
}

/// The same again: asked once more, compiled once more, and explained.
fn decides_deterministically(policy: &PolicySet, again: &PolicySet, call: &Call) {
    let first = call.ask(|request| policy.decide(request));
    for other in [
        call.ask(|request| policy.decide(request)),
        call.ask(|request| again.decide(request)),
        call.ask(|request| policy.explain(request)).verdict,
    ] {
        assert!(is_same(&first, &other), "the same call was decided twice and differently");
    }
}

fn is_same(one: &Verdict, other: &Verdict) -> bool {
    (one.decision, &one.rule, &one.reason) == (other.decision, &other.rule, &other.reason)
        && (&one.matched, &one.arguments, &one.narrowed)
            == (&other.matched, &other.arguments, &other.narrowed)
        && (&one.misfit, &one.obligations) == (&other.misfit, &other.obligations)
        && (&one.approvals, &one.shadowed) == (&other.approvals, &other.shadowed)
}

fn refuses_what_does_not_fit(policy: &PolicySet, call: &Call) {
    let verdict = call.ask(|request| policy.decide(request));
    assert!(verdict.misfit.is_none() || verdict.decision == Decision::Deny, "it does not fit, and goes on");
    if !call.ask(|request| policy.may_ever_allow(request)) {
        assert_eq!(verdict.decision, Decision::Deny, "hidden because it is always denied, and is not");
    }
    if let Some(strictest) = verdict.matched.iter().map(|matched| matched.decision).max() {
        assert!(verdict.decision >= strictest, "laxer than a rule that matched");
    }
}

/// What is sent needs no further narrowing. A condition may read the arguments, and then another rule applies.
fn narrows_once(policy: &PolicySet, call: &Call, text: &str) {
    let first = call.ask(|request| policy.decide(request));
    if first.misfit.is_some() || text.contains("when") {
        return;
    }
    let narrowed = Call::new(first.arguments.unwrap_or_else(|| call.arguments.clone()));
    let second = narrowed.ask(|request| policy.decide(request));
    assert_eq!((second.decision, second.arguments, second.misfit), (first.decision, None, None));
}

/// A call of an agent, with everything a rule can look at.
struct Call {
    arguments: Object,
    schema: &'static InputSchema,
    roles: Vec<Role>,
    labels: Vec<SmolStr>,
}

impl Call {
    fn new(arguments: Object) -> Self {
        Self {
            arguments,
            schema: schema(),
            roles: vec![Role::new("engineer").expect("it is a role")],
            labels: vec!["infra".into()],
        }
    }

    fn ask<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        ask(&Request {
            kind: Kind::ToolCall,
            organization: "acme",
            workspace: "research",
            environment: "production",
            agent: "assistant",
            user: Some("mia"),
            roles: &self.roles,
            server: Some("cluster"),
            tool: Some("deploy_app"),
            model: None,
            host: None,
            capability: Some("kubernetes"),
            action: Some("deploy"),
            action_type: ActionType::Write,
            risk: Some("high"),
            labels: &self.labels,
            arguments: &self.arguments,
            schema: Some(self.schema),
        })
    }
}

fn schema() -> &'static InputSchema {
    static PINNED: OnceLock<InputSchema> = OnceLock::new();
    PINNED.get_or_init(|| {
        let schema = ringfence_json::parse(SCHEMA.as_bytes(), &Limits::default()).expect("it is JSON");
        InputSchema::parse(&schema).expect("it is a schema")
    })
}
