//! A node and the commands that ask it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use program::{place, text};

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

    let spent = place.run(&["spend", "--by", "user,day", "--since", "1h"]).expect(0);
    assert_eq!(spent.stdout, "nothing was spent\n");
    let spent = place.run(&["spend", "--json"]).expect(0).json();
    assert!(spent.get("budgets").is_some() && spent.get("entries") == spent.get("durable"), "{spent:?}");
    assert!(place.run(&["spend", "--by", "agnet"]).expect(2).stderr.contains("did you mean `agent`?"));
    place.run(&["approvals", "list"]).expect(0);
    place.run(&["tools", "list"]).expect(0);
    place.run(&["tools", "diff"]).expect(0);
    let unknown = place.run(&["token", "mint", "-w", "lba", "--agent", "assistant"]).expect(1);
    assert!(unknown.stderr.contains("no workspace lba"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("did you mean `lab`?"), "{}", unknown.stderr);
    let unknown = place.run(&["token", "mint", "-w", "lab", "--agent", "asistant"]).expect(1);
    assert!(unknown.stderr.contains("did you mean `assistant`?"), "{}", unknown.stderr);
    assert_eq!(node.stop(), Some(0));
    place.run(&["status"]).expect(3);
    place.run(&["spend"]).expect(3);
}

#[test]
fn a_second_node_on_the_same_data_is_refused() {
    let place = place();
    let node = place.up();
    let second = place.run(&["up", "--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"]).expect(2);
    assert!(second.stderr.contains("another"), "{}", second.stderr);
    place.run(&["status"]).expect(0);
    drop(node);
}
