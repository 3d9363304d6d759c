//! Operators: who they are, and the switches they have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use std::fmt::Write as _;

use program::{CONFIGURATION, Place, place, text};
use ringfence_json::Value;

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
fn a_mistyped_name_is_no_switch() {
    let place = place();
    let node = place.up();
    let refused = place.run(&["suspend", "--server", "serach", "--reason", "look"]).expect(1);
    assert!(refused.stderr.contains("did you mean `search`?"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--even-if-unknown"), "{}", refused.stderr);
    assert_eq!(place.run(&["suspend", "--list"]).expect(0).stdout, "nothing is suspended\n");
    let arguments = ["suspend", "--server", "search", "--tool", "find", "--reason", "look"];
    let warned = place.run(&arguments).expect(0);
    assert!(warned.stderr.contains("no tool `find` was ever seen here"), "{}", warned.stderr);
    let listed = place.run(&["suspend", "--list"]).expect(0).stdout;
    assert!(listed.contains("server search, tool find") && listed.contains("until lifted"), "{listed}");
    drop(node);
}

#[test]
fn the_switch_works_while_a_tool_server_hangs() {
    let place = place();
    let hanging = "{ command: [sleep, '1000'], capability: web_search }";
    let usual = "{ url: 'http://127.0.0.1:9/mcp', capability: web_search }";
    place.write("ringfence.yaml", &CONFIGURATION.replace(usual, hanging));
    let node = place.up();
    place.run(&["status"]).expect(0);
    place.run(&["suspend", "--server", "search", "--reason", "hangs"]).expect(0);
    // What this machine refuses to the server is on record.
    let status = place.run(&["status", "--json"]).expect(0).json();
    let missing = status.get("missing_layers").and_then(Value::as_array).unwrap().len();
    let incidents = place.run(&["audit", "query", "--kind", "incident", "--json"]).expect(0).stdout;
    assert_eq!(incidents.contains("isolation_missing"), missing > 0, "{missing}: {incidents}");
    assert_eq!(node.stop(), Some(0));
}

/// The configuration with these people and their roles; their tokens.
fn people<const N: usize>(place: &Place, people: [(&str, &str); N]) -> [String; N] {
    let mut text_of_all = String::from("people:\n");
    let tokens = people.map(|(name, role)| {
        let made = place.run(&["token", "person", name, "--json"]).expect(0).json();
        let hash = text(&made, "token_hash");
        writeln!(text_of_all, "  {name}: {{ roles: [{role}], token_hash: \"{hash}\" }}").unwrap();
        text(&made, "token")
    });
    place.write("ringfence.yaml", &format!("{text_of_all}{CONFIGURATION}"));
    tokens
}

#[test]
fn a_person_on_tcp_needs_their_token_and_may_what_their_role_may() {
    let place = place();
    let [vera, olga] = people(&place, [("vera", "viewer"), ("olga", "operator")]);
    let node = place.up();
    let control = text(&node.announced, "control");
    let refused = place.run(&["status", "--node", &control]).expect(1);
    assert!(refused.stderr.contains("RINGFENCE_TOKEN"), "{}", refused.stderr);
    place.run_as("rfp_0000", &node, &["status"]).expect(1);
    place.run_as(&vera, &node, &["status"]).expect(0);
    let suspend = ["suspend", "-w", "lab", "--reason", "look"];
    let refused = place.run_as(&vera, &node, &suspend).expect(1);
    assert!(refused.stderr.contains("operator"), "{}", refused.stderr);
    place.run_as(&olga, &node, &suspend).expect(0);
    let listed = place.run_as(&vera, &node, &["suspend", "--list"]).expect(0).stdout;
    assert!(listed.contains("olga"), "{listed}");
    drop(node);
}

#[test]
fn a_node_gives_the_schema_of_its_policies() {
    let place = place();
    let node = place.up();
    let schema = place.run(&["policy", "schema"]).expect(0).stdout;
    let _schema = cedar_policy::Schema::from_cedarschema_str(&schema)
        .unwrap_or_else(|error| panic!("{error}\n{schema}"));
    drop(node);
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let place = place();
    let node = place.up();
    let mut changes = place.follow(&["audit", "tail", "--kind", "config", "--last", "1000", "--json"]);
    changes.line_with("\"kind\":\"config\"");
    // The node looks at its files every second; this one looks as it did.
    let path = place.path().join("ringfence.yaml");
    let looked = std::fs::metadata(&path).unwrap().modified().unwrap();
    place.write("ringfence.yaml", &CONFIGURATION.replace("lab:", "den:"));
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(looked).unwrap();
    node.hang_up();
    changes.line_with("\"kind\":\"config\"");
    // It is on record before it is in force.
    while !place.run(&["status"]).expect(0).stdout.contains("den") {}
    drop(node);
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let place = place();
    for arguments in [["--gateway", "0.0.0.0:0"], ["--control", "[::]:0"]] {
        let refused = place.run(&[&["up"], &arguments[..]].concat()).expect(2);
        assert!(refused.stderr.contains("127.0.0.1"), "{}", refused.stderr);
    }
}
