//! Cedar beside YAML: one verdict from both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;

use common::{Call, json, object};
use ringfence_document::Diagnostic;
use ringfence_policy::{
    Cases, KnownServer, KnownTool, Language, PolicySet, Source, ToolDefinition, Vocabulary,
};
use ringfence_types::{ActionType, Code, Decision};

const DEPLOY: &str = r#"{"name":"deploy_app","inputSchema":{"type":"object","required":["replicas"],
    "properties":{"replicas":{"type":"integer"},"zone":{"type":"string"}}}}"#;

fn vocabulary() -> Vocabulary {
    let tool = |name: &str, definition: &str| KnownTool {
        workspace: "research".parse().unwrap(),
        server: "cluster".parse().unwrap(),
        name: name.parse().unwrap(),
        action: name.into(),
        action_type: ActionType::Write,
        risk: None,
        labels: Vec::new(),
        definition: Some(Arc::new(ToolDefinition::parse(&json(definition)).unwrap())),
    };
    Vocabulary {
        servers: vec![KnownServer {
            workspace: "research".parse().unwrap(),
            name: "cluster".parse().unwrap(),
            capability: Some("kubernetes".into()),
        }],
        tools: vec![
            tool("deploy_app", DEPLOY),
            tool("list_pods", r#"{"name":"list_pods","inputSchema":{"type":"object"}}"#),
        ],
        ..Vocabulary::default()
    }
}

fn compile(yaml: &str, cedar: &str, vocabulary: &Vocabulary) -> Result<(PolicySet, Vec<Diagnostic>), String> {
    let sources = [Source::yaml("safety-policy.yaml", yaml), Source::cedar("rules.cedar", cedar)];
    match PolicySet::compile(&sources, vocabulary) {
        Ok(compiled) => Ok((compiled.set, compiled.warnings)),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

fn policy(yaml: &str, cedar: &str) -> PolicySet {
    compile(yaml, cedar, &Vocabulary::default()).unwrap().0
}

const ALLOW: &str = "rules: [{ name: all, match: {}, decision: ALLOW }]";

#[test]
fn the_strictest_of_both_languages_wins_and_all_constraints_hold() {
    let policy = policy(
        "rules: [{ name: limits, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_replicas: 10 } }]",
        r#"
        @id("ask") @decision("require_approval") @approvers("lead") @quorum("2") @constraints("max_replicas: 5")
        permit (principal, action == Action::"cluster/deploy_app", resource);
        @id("no-kube-system") @reason("kube-system is off limits.") forbid (principal, action, resource)
        when { context.input has namespace && context.input.namespace == "kube-system" };
        @id("watch") @mode("shadow") forbid (principal, action, resource);
        "#,
    );
    let verdict = Call::with(r#"{"replicas":50}"#).decide(&policy);
    assert_eq!((verdict.decision, verdict.rule.unwrap().as_str()), (Decision::RequireApproval, "ask"));
    assert_eq!(verdict.arguments.unwrap(), object(r#"{"replicas":5}"#));
    assert_eq!((verdict.approvals.len(), verdict.approvals[0].quorum), (1, 2));
    assert_eq!(verdict.matched.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(), ["limits", "ask"]);
    assert_eq!(verdict.shadowed.len(), 1);
    let verdict = Call::with(r#"{"replicas":5,"namespace":"kube-system"}"#).decide(&policy);
    assert_eq!((verdict.decision, verdict.reason.as_str()), (Decision::Deny, "kube-system is off limits."));
    assert_eq!(verdict.matched.len(), 3, "the permits are known beside the forbid");
}

#[test]
fn a_rule_that_fails_refuses_and_says_which() {
    for cedar in [
        r#"@id("broken") forbid (principal, action, resource) when { context.input.amount > 10 };"#,
        r#"@id("broken") permit (principal, action, resource) when { context.input.amount > 10 };"#,
    ] {
        let verdict = Call::with("{}").decide(&policy(ALLOW, cedar));
        assert_eq!((verdict.decision, verdict.rule.as_ref().unwrap().as_str()), (Decision::Deny, "broken"));
        assert_eq!(verdict.misfit.unwrap().code, Code::DeniedByPolicy);
        assert!(
            verdict.reason.contains("it reads `amount`, which this call does not have"),
            "{}",
            verdict.reason
        );
        assert_eq!(Call::with(r#"{"amount":1}"#).decide(&policy(ALLOW, cedar)).decision, Decision::Allow);
    }
    let shadow = r#"@id("broken") @mode("shadow") forbid (principal, action, resource) when { context.input.amount > 10 };"#;
    let verdict = Call::with("{}").decide(&policy(ALLOW, shadow));
    assert_eq!((verdict.decision, verdict.shadowed[0].decision), (Decision::Allow, Decision::Deny));
}

#[test]
fn a_when_holds_or_not_or_refuses() {
    let yaml = r"
rules:
  - { name: all, match: {}, decision: ALLOW }
  - name: large
    match: { action: deploy }
    when: context.input.replicas > 10
    decision: DENY
";
    let policy = policy(yaml, "");
    let cases = [
        (r#"{"replicas":10}"#, Decision::Allow, "all"),
        (r#"{"replicas":11}"#, Decision::Deny, "large"),
        (r#"{"replicas":"eleven"}"#, Decision::Deny, "large"),
        (r#"{"replicas":1e999}"#, Decision::Deny, "large"),
        (r#"{"replicas":null}"#, Decision::Deny, "large"),
        ("{}", Decision::Deny, "large"),
    ];
    for (arguments, decision, rule) in cases {
        let verdict = Call::with(arguments).decide(&policy);
        assert_eq!((verdict.decision, verdict.rule.unwrap().as_str()), (decision, rule), "{arguments}");
    }
    let elsewhere = Call { action: Some("list".into()), ..Call::with("{}") };
    assert_eq!(
        elsewhere.decide(&policy).decision,
        Decision::Allow,
        "not evaluated where `match` does not hold"
    );
}

#[test]
fn what_is_denied_whatever_is_sent_is_known_beforehand() {
    let hidden = |yaml: &str, cedar: &str| {
        !Call::with("{}").ask(|request| policy(yaml, cedar).may_ever_allow(request))
    };
    let none = "rules: []";
    for (yaml, cedar, expected) in [
        (ALLOW, "", false),
        (none, "", true),
        (none, "permit (principal, action, resource);", false),
        (none, "permit (principal, action, resource) when { context.input.a == 1 };", false),
        (none, "permit (principal, action, resource) when { context.agent == \"other\" };", true),
        (ALLOW, "forbid (principal, action, resource) when { context.agent == \"assistant\" };", true),
        (ALLOW, "forbid (principal, action, resource) when { context.input has a };", false),
        (ALLOW, "forbid (principal, action, resource) when { context.nothing };", true),
        (ALLOW, "@mode(\"shadow\") forbid (principal, action, resource);", false),
        ("rules: [{ name: a, match: {}, decision: ALLOW, when: 'context.input.x' }]", "", false),
        ("rules: [{ name: a, match: {}, decision: ALLOW, when: 'context.agent == \"x\"' }]", "", true),
        (
            "default: ALLOW\nrules: [{ name: a, match: {}, decision: DENY, when: 'context.input.x' }]",
            "",
            false,
        ),
        (
            "default: ALLOW\nrules: [{ name: a, match: {}, decision: DENY, when: 'context.user == \"mia\"' }]",
            "",
            true,
        ),
    ] {
        assert_eq!(hidden(yaml, cedar), expected, "{yaml} {cedar}");
    }
}

#[test]
fn mistakes_in_both_languages_are_reported_together() {
    let yaml = r#"rules:
  - { name: one, match: {}, decision: ALOW }
  - { name: two, match: {}, decision: ALLOW, when: "context.input.x ==" }
  - name: three
    match: {}
    decision: ALLOW
    when: |
      context.agent ==
  - { name: twice, match: {}, decision: ALLOW }
"#;
    let cedar = "@id(\"twice\") permit (principal, action, resource);\n@decision(\"perhaps\") permit (principal, action, resource);\n";
    insta::assert_snapshot!(compile(yaml, cedar, &Vocabulary::default()).unwrap_err());
}

#[test]
fn a_when_is_checked_against_the_tools_that_match_leaves() {
    let rule = |matching: &str, when: &str| {
        format!("rules:\n  - name: a\n    match: {matching}\n    when: {when}\n    decision: DENY\n")
    };
    let check = |matching: &str, when: &str| compile(&rule(matching, when), "", &vocabulary()).map(|_| ());
    assert_eq!(check("{ tool: deploy_app }", "context.input.replicas > 10"), Ok(()));
    assert_eq!(check("{ action: deploy_*, agent: x }", "context.input.replicas > 10"), Ok(()));
    assert_eq!(check("{}", "context.input has replicas && context.input.replicas > 10"), Ok(()));
    assert_eq!(check("{ tool: unknown }", "context.input.whatever > 10"), Ok(()), "nothing to check against");
    let errors = [
        check("{}", "context.input.replicas > 10"),
        check("{ tool: deploy_app }", "context.input.replicas > \"ten\""),
        check("{ tool: deploy_app }", "context.input.replicsa > 10"),
        check("{ tool: deploy_app }", "context.input.zone == \"eu\""),
    ];
    let report = errors.into_iter().map(Result::unwrap_err).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(report);
}

#[test]
fn dogwood_has_its_place_and_is_refused() {
    assert_eq!(Language::of_file_name("rules.dogwood"), Some(Language::Dogwood));
    let source = Source { name: "rules.dogwood".into(), text: String::new(), language: Language::Dogwood };
    let errors = PolicySet::compile(&[source], &Vocabulary::default()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("policies in Dogwood, with conditions over history"));
}

#[test]
fn only_rules_whose_scope_fits_are_evaluated() {
    // Each of these would fail, and so refuse, if it were evaluated.
    let mut others = String::new();
    for number in 0..500 {
        let agent = format!("Agent::\"research/a{number}\"");
        let action = format!("Action::\"cluster/t{number}\"");
        others.push_str("forbid (principal == ");
        others.extend([&agent, ", action == ", &action, ", resource) when { context.nothing };\n"]);
    }
    let verdict = Call::with("{}").decide(&policy(ALLOW, &others));
    assert_eq!(verdict.decision, Decision::Allow);
}

/// What stands between a fence of that language and its end, in the documentation.
fn documented(language: &str) -> Vec<String> {
    let text = include_str!("../../../docs/policy.md");
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.filter_map(|block| block.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_documentation_compiles() {
    let rules = documented("cedar");
    assert!(!rules.is_empty());
    for text in rules {
        compile("rules: []", &text, &Vocabulary::default()).unwrap();
    }
    let cases: Vec<_> = documented("yaml").into_iter().filter(|text| text.contains("\ncases:")).collect();
    assert!(!cases.is_empty());
    for text in cases {
        Cases::parse("policy-cases.yaml", &text).unwrap();
    }
}
