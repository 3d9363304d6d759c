//! Checking policies against what is known of tools.

use cedar_policy::Schema;

use super::*;
use crate::cedar_schema;

fn report(text: &str, vocabulary: &Vocabulary) -> String {
    let (_, diagnostics) = compiled_with(text, vocabulary);
    listed(&diagnostics)
}

#[test]
fn the_schema_has_every_tool_with_its_arguments() {
    let mut known = vocabulary(vec![
        tool("cluster", "deploy_app", DEPLOY),
        tool("search", "query", r#"{"type":"object"}"#),
    ]);
    known.tools[1].risk = Some("low".into());
    let text = cedar_schema(&known);
    insta::assert_snapshot!(text);
    assert!(Schema::from_cedarschema_str(&text).is_ok());
    assert!(Schema::from_cedarschema_str(&cedar_schema(&Vocabulary::default())).is_ok());
}

#[test]
fn names_of_strangers_cannot_break_the_schema() {
    let properties: Vec<_> =
        ["\\\" }; entity Admin; //", "\\u0000", "\\u202e", "if", "__cedar", "", "a\\nb", "\\\\", "😀", "`"]
            .iter()
            .map(|name| format!(r#""{name}":{{"type":"string"}}"#))
            .collect();
    let schema = format!(r#"{{"type":"object","properties":{{{}}}}}"#, properties.join(","));
    let known = vocabulary(vec![tool("search", "q\" in [\"x\u{202e}\\", &schema)]);
    let checker = Checker::of(&known).unwrap();
    assert!(checker.is_whole(), "{}", cedar_schema(&known));
    assert!(!cedar_schema(&known).contains("\nentity Admin"));
}

#[test]
fn wrong_types_are_errors_and_unknown_names_warnings() {
    let known = vocabulary(vec![
        tool("cluster", "deploy_app", DEPLOY),
        tool("search", "query", r#"{"type":"object"}"#),
    ]);
    let text = r#"
permit (principal, action == Action::"cluster/deploy_app", resource) when { context.input.replicas > "ten" };
permit (principal, action == Action::"cluster/deploy_app", resource) when { context.input.replicsa > 10 };
permit (principal, action == Action::"cluster/deploy_app", resource) when { context.input.limit > 10 };
permit (principal, action == Action::"cluster/deploy_app", resource) when { context.input.any == 1 };
permit (principal, action == Action::"cluster/deploy_app", resource) when { context.input.spec.image like "eu/*" };
permit (principal, action == Action::"cluster/deploy_ap", resource) when { context.input.replicas > 10 };
permit (principal == Agent::"research/assistent", action, resource);
permit (principal, action, resource == Server::"serch");
permit (principal, action == Action::"cluster/deploy_app", resource == Model::"x");
permit (principal == User::"dana", action, resource);
permit (principal, action, resource) when { context.user == "dana" };
permit (principal, action, resource) when { context.enviroment == "production" };
"#;
    insta::assert_snapshot!(report(text, &known));
}

#[test]
fn what_is_right_is_not_complained_about() {
    let known = vocabulary(vec![
        tool("cluster", "deploy_app", DEPLOY),
        tool("search", "query", r#"{"type":"object"}"#),
    ]);
    let text = r#"
permit (principal in Workspace::"research", action in Action::"tool_call", resource) when { context.environment == "staging" };
permit (principal == Agent::"research/assistant", action == Action::"cluster/deploy_app", resource == Server::"cluster")
when { context.input.replicas <= 10 && context.input has cpu && context.input.cpu.lessThan(decimal("2.0")) && context.capability == "web" };
forbid (principal, action, resource) when { context has user && context.user == "mallory" };
forbid (principal, action in [Action::"model_call", Action::"egress"], resource);
forbid (principal, action == Action::"cluster/deploy_app", resource)
unless { context.role.contains("ops") && context.input has tags && context.input.tags.contains("x") && context.input has spec && context.input.spec has ports && context.input.spec.ports.contains(80) };
permit (principal, action == Action::"model_call", resource) when { context.model == "fast" };
forbid (principal, action == Action::"cluster/deploy_app", resource) when { context.input has ref && context.input.ref has x && context.input.ref.x > 1 };
"#;
    assert_eq!(report(text, &known), "");
}

#[test]
fn offline_nothing_is_said_about_names() {
    assert_eq!(
        report(
            "permit (principal == Agent::\"x/y\", action == Action::\"x/y\", resource) when { context.input.a.b > 1 };",
            &Vocabulary::default()
        ),
        ""
    );
}

#[test]
fn a_condition_is_checked_for_the_actions_it_is_about() {
    let known = vocabulary(vec![
        tool("cluster", "deploy_app", DEPLOY),
        tool("search", "query", r#"{"type":"object"}"#),
    ]);
    let checker = Checker::of(&known).unwrap();
    let compile = |text: &str, actions: &[&str]| {
        let actions: Vec<_> = actions.iter().map(|action| (*action).to_owned()).collect();
        Condition::compile(text, Some(&checker), &actions).map(|(_, findings)| findings)
    };
    assert_eq!(compile("context.input.replicas > 10", &["cluster/deploy_app"]), Ok(Vec::new()));
    assert_eq!(compile("context.input.replicas > 10", &[]), Ok(Vec::new()), "unchecked");
    let findings = compile("true && context.input.replicas > \"x\"", &["cluster/deploy_app"]).unwrap_err();
    assert!(findings.iter().any(|finding| finding.is_error && finding.offset == 33), "{findings:?}");
}
