//! A node and the commands that ask it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use program::Place;
use ringfence_json::Value;

const CONFIGURATION: &str = "organization: acme
workspaces:
  lab:
    environment: test
    tools: { search: { url: 'http://127.0.0.1:9/mcp', capability: web_search } }
    agents: { assistant: { tools: [search/*] } }
    policy: [safety-policy.yaml]
";

const POLICY: &str = "rules:
  - name: everything
    match: {}
    decision: ALLOW
";

fn place() -> Place {
    let place = Place::new();
    place.write("ringfence.yaml", CONFIGURATION);
    place.write("safety-policy.yaml", POLICY);
    place
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name}")).to_owned()
}

#[test]
fn a_node_is_started_asked_and_stopped() {
    let place = place();
    let node = place.up();
    for name in ["gateway", "control", "socket", "node"] {
        assert!(!text(&node.announced, name).is_empty());
    }
    let status = place.run(&["status"]).expect(0);
    assert!(
        status.stdout.contains("admitting actions") && status.stdout.contains("lab"),
        "{}",
        status.stdout
    );

    let token = place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0).stdout;
    assert!(token.starts_with("rfr_") && token.lines().count() == 1, "the token stands not alone");
    let minted =
        place.run(&["token", "mint", "-w", "lab", "--agent", "assistant", "--json"]).expect(0).json();
    let run = text(&minted, "run");
    assert!(!text(&minted, "expires_at").is_empty());

    let listed = place.run(&["runs", "list"]).expect(0).stdout;
    assert!(listed.contains(&run) && listed.lines().count() == 3, "{listed}");
    place.run(&["runs", "show", &run]).expect(0);
    place.run(&["kill", &run, "--reason", "enough"]).expect(0);
    assert!(place.run(&["runs", "stop", &run]).expect(1).stderr.contains("ended already"));
    assert!(place.run(&["runs", "logs", &run]).expect(0).stdout.contains("enough"));

    place.run(&["approvals", "list"]).expect(0);
    place.run(&["tools", "list"]).expect(0);
    place.run(&["tools", "diff"]).expect(0);
    let unknown = place.run(&["token", "mint", "-w", "lba", "--agent", "assistant"]).expect(1);
    assert!(unknown.stderr.contains("no workspace lba"), "{}", unknown.stderr);
    assert_eq!(node.stop(), Some(0));
    place.run(&["status"]).expect(3);
}

#[test]
fn a_suspension_is_made_listed_and_lifted() {
    let place = place();
    let node = place.up();
    let arguments =
        ["suspend", "-w", "lab", "--server", "search", "--reason", "look", "--for", "1h", "--json"];
    let id = text(&place.run(&arguments).expect(0).json(), "id");
    let listed = place.run(&["suspend", "--list"]).expect(0).stdout;
    assert!(listed.contains(&id) && listed.contains("workspace lab, server search"), "{listed}");
    place.run(&["resume", &id]).expect(0);
    place.run(&["resume", &id]).expect(1);
    assert_eq!(place.run(&["suspend", "--list"]).expect(0).stdout, "nothing is suspended\n");
    place.run(&["suspend", "--all", "--reason", "everything"]).expect(0);
    drop(node);
}

#[test]
fn a_second_node_on_the_same_data_is_refused() {
    let place = place();
    let node = place.up();
    let second = place.run(&["up", "--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"]).expect(1);
    assert!(second.stderr.contains("another"), "{}", second.stderr);
    place.run(&["status"]).expect(0);
    drop(node);
}

#[test]
fn the_log_is_asked_verified_and_exported_with_and_without_a_node() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    let asked = place.run(&["audit", "query", "--kind", "token", "--json"]).expect(0).stdout;
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.contains("\"agent\":\"assistant\""), "{asked}");
    let checkpoint = place.run(&["audit", "checkpoint"]).expect(0).stdout;
    place.write("checkpoint.txt", &checkpoint);
    place.run(&["audit", "verify", "--since", "checkpoint.txt"]).expect(0);
    assert_eq!(node.stop(), Some(0));

    let offline = place.run(&["audit", "query", "--kind", "token", "--json"]).expect(0).stdout;
    assert_eq!(offline, asked, "the log says another thing without its node");
    let csv = place.run(&["audit", "export", "--format", "csv", "--kind", "token"]).expect(0).stdout;
    assert!(csv.starts_with("id,at,node,kind,") && csv.lines().count() == 2, "{csv}");
    place.run(&["audit", "show", "0"]).expect(0);
    let verified = place.run(&["audit", "verify", "--since", "checkpoint.txt", "--json"]).expect(0).json();
    assert_eq!(verified.get("ok").and_then(Value::as_bool), Some(true));
}

#[test]
fn a_log_that_was_cut_is_not_whole() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    let checkpoint = place.run(&["audit", "checkpoint"]).expect(0).stdout;
    place.write("checkpoint.txt", &checkpoint);
    assert_eq!(node.stop(), Some(0));
    std::fs::remove_dir_all(place.path().join("state")).unwrap();
    let node = place.up();
    assert_eq!(node.stop(), Some(0));
    let said = place.run(&["audit", "verify", "--since", "checkpoint.txt"]);
    assert!(said.code != 0, "another log passed for the one that was kept: {}", said.stdout);
}

#[test]
fn a_person_on_tcp_needs_their_token() {
    let place = place();
    let made = place.run(&["token", "person", "vera", "--json"]).expect(0).json();
    let people =
        format!("people: {{ vera: {{ roles: [viewer], token_hash: \"{}\" }} }}\n", text(&made, "token_hash"));
    place.write("ringfence.yaml", &format!("{people}{CONFIGURATION}"));
    let node = place.up();
    let control = text(&node.announced, "control");
    let refused = place.run(&["status", "--node", &control]).expect(1);
    assert!(refused.stderr.contains("RINGFENCE_TOKEN"), "{}", refused.stderr);
    drop(node);
}
