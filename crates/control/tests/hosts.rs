//! What is told of hosts before anybody asks for one: by `check`, and by questions to the policy.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use ringfence_control::config::load_text;
use ringfence_control::explain::{ExplainError, decide, explain, replayed_arguments};
use ringfence_control::{Compiled, compile};
use ringfence_document::Diagnostic;
use ringfence_json::{Limits, Object, Value, parse};

/// Two workspaces, each with an agent and a tool server that hold hosts, and each with a policy of its own.
fn compiled(lab: &str, shop: &str) -> Compiled {
    let folder = tempfile::tempdir().unwrap();
    for (name, rules) in [("lab.yaml", lab), ("shop.yaml", shop)] {
        std::fs::write(folder.path().join(name), rules).unwrap();
    }
    let text = "organization: acme
workspaces:
  lab:
    tools: { files: { command: [serve], egress: ['registry.example:443'] } }
    agents: { a: { egress: ['example.com:443', 'api.example.com GET /v1/*'], run: { command: [sh] } } }
    policy: lab.yaml
  shop:
    agents: { b: { egress: [shop.example], run: { command: [sh] } } }
    policy: shop.yaml
";
    let loaded = load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text.to_owned());
    let compiled = loaded.and_then(|loaded| compile(loaded, &[]));
    compiled.unwrap_or_else(|rejected| panic!("{}", rejected.render()))
}

fn call(text: &str) -> Object {
    parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
}

/// As `ringfence init` writes it.
const INIT: &str = include_str!("../../ringfence/src/command/init/safety-policy.yaml");

const RULES: &str = "rules:
  - { name: looks, match: { kind: egress, host: api.example.com, action: get }, decision: ALLOW }
  - { name: site, match: { kind: egress, agent: a, host: example.com }, decision: REQUIRE_APPROVAL }
  - { name: fetches, match: { kind: egress, server: files, agent: 'tool:files' }, decision: ALLOW }
";

#[test]
fn hosts_that_no_rule_lets_be_reached_are_named_in_the_policy_of_their_workspace() {
    let of = |compiled: &Compiled| {
        let all = compiled.warnings.iter().filter(|one| one.message.starts_with("no rule allows `"));
        let file = |one: &Diagnostic| one.source.rsplit('/').next().unwrap_or_default().to_owned();
        all.map(|one| format!("{}: {}", file(one), one.message)).collect::<Vec<_>>()
    };
    assert_eq!(
        of(&compiled(INIT, RULES)),
        [
            "lab.yaml: no rule allows `a` of `lab` to reach `example.com:443`, `api.example.com GET /v1/*`: denied by default",
            "lab.yaml: no rule allows `tool:files` of `lab` to connect to `registry.example:443`: denied by default",
            "shop.yaml: no rule allows `b` of `shop` to connect to `shop.example`: denied by default",
        ]
    );
    let all = "rules: [{ name: all, match: { kind: egress }, decision: ALLOW }]";
    assert_eq!(of(&compiled(RULES, all)), [] as [&str; 0]);
}

#[test]
fn what_the_policy_makes_of_a_host_is_explained() {
    let compiled = compiled(RULES, RULES);
    let explained = |text: &str| explain(&compiled, &[], &call(text)).unwrap();
    let agent = |rest: &str| format!(r#"{{"workspace":"lab","agent":"a",{rest}}}"#);
    let server = |who: &str| format!(r#"{{"workspace":"lab",{who},"host":"registry.example"}}"#);
    for (asked, rule, action, granted) in [
        (agent(r#""host":"example.com""#), "site", "connect", true),
        (agent(r#""host":"example.com","port":80"#), "site", "get", false),
        (agent(r#""host":"API.example.com","method":"get","path":"/v1/x?y""#), "looks", "get", true),
        (agent(r#""host":"api.example.com","method":"GET","path":"/v2/x""#), "looks", "get", false),
        (agent(r#""host":"api.example.com","method":"POST""#), "default", "post", false),
        (server(r#""server":"files""#), "fetches", "connect", true),
        (server(r#""agent":"tool:files""#), "fetches", "connect", true),
    ] {
        let found = explained(&asked);
        assert_eq!(found.text("rule").unwrap_or("default"), rule, "{asked}");
        let action_type = if action == "get" { "read" } else { "write" };
        assert_eq!((found.text("action"), found.text("action_type")), (Some(action), Some(action_type)));
        assert_eq!(found.get("granted").and_then(Value::as_bool), Some(granted), "{asked}");
    }
    for (asked, said) in [
        (r#""host":"example.com""#, "`agent` is needed"),
        (r#""agent":"a","host":"not a host""#, "a domain name or an address"),
        (r#""agent":"a","host":"example.com","port":0"#, "1 to 65535"),
        (r#""agent":"a","host":"example.com","path":"/x""#, "beside a `method`"),
        (r#""agent":"a","host":"example.com","method":"GET","path":"x""#, "begins with /"),
        (r#""agent":"a","server":"files","host":"example.com""#, "left out where an `agent`"),
        (r#""agent":"a","tool":"x","host":"example.com""#, "left out where a `host`"),
        (r#""server":"fils","host":"example.com""#, "did you mean `files`?"),
    ] {
        let wrong: ExplainError =
            explain(&compiled, &[], &call(&format!(r#"{{"workspace":"lab",{asked}}}"#))).unwrap_err();
        assert!(wrong.to_string().contains(said), "{asked}: {wrong}");
    }
}

#[test]
fn a_recorded_request_to_a_host_is_replayed_as_rules_saw_it() {
    let rules = "rules:
  - name: v1
    match: { kind: egress }
    when: 'context.input.path == \"/v1/x\" && context.input.query == \"y=1\"'
    decision: ALLOW
";
    let compiled = compiled(rules, rules);
    let recorded = call(
        r#"{"workspace":"lab","agent":"a","host":"api.example.com","action_type":"read","arguments":
            {"host":"api.example.com","port":443,"protocol":"https","method":"GET","path":"/v1/x","query":"y=1"}}"#,
    );
    let arguments = replayed_arguments(&compiled, &recorded).unwrap();
    let verdict = decide(&compiled, &[], &recorded.with("arguments", arguments)).unwrap();
    assert_eq!(verdict.decision.as_str(), "ALLOW", "{}", verdict.reason);
}
