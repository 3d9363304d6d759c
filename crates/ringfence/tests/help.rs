//! The help of every command, as people read it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use std::fmt::Write as _;

use program::Place;

/// Every command that has help of its own.
const COMMANDS: &[&str] = &[
    "",
    "init",
    "up",
    "check",
    "status",
    "spend",
    "token",
    "token mint",
    "token person",
    "runs",
    "runs list",
    "runs show",
    "runs logs",
    "runs stop",
    "policy",
    "policy check",
    "policy explain",
    "policy test",
    "policy diff",
    "policy simulate",
    "prices",
    "prices list",
    "prices show",
    "prices import",
    "approvals",
    "approvals list",
    "approvals show",
    "approvals approve",
    "approvals deny",
    "suspend",
    "resume",
    "kill",
    "tools",
    "tools list",
    "tools diff",
    "tools approve",
    "audit",
    "audit tail",
    "audit query",
    "audit show",
    "audit verify",
    "audit checkpoint",
    "audit export",
    "doctor",
    "completions",
];

#[test]
fn the_help_of_every_command() {
    let place = Place::new();
    let mut all = String::new();
    for command in COMMANDS {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let said = place.run(&arguments);
        assert_eq!(said.code, 0, "{command}: {}", said.stderr);
        assert!(!said.stdout.contains('\x1b'), "colour without a terminal");
        writeln!(all, "=== ringfence {command}\n{}", said.stdout).unwrap();
    }
    insta::assert_snapshot!(all);
}
