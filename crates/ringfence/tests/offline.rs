//! What can be done without a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use std::fmt::Write as _;

use program::{Place, json};
use ringfence_json::Value;

#[test]
fn what_init_writes_passes_check() {
    let place = Place::new();
    place.run(&["init"]).expect(0);
    let checked = place.run(&["check"]).expect(0);
    assert!(checked.stdout.starts_with("ok: 1 workspace, 1 agent"), "{}", checked.stdout);
    assert_eq!(checked.stderr, "", "the starting point comes with warnings");
}

#[test]
fn what_init_shows_of_models_and_of_an_agent_in_a_sandbox_passes_check_once_it_is_taken_in() {
    let place = Place::new();
    place.run(&["init"]).expect(0);
    std::fs::create_dir(place.path().join("researcher")).unwrap();
    let pinned = format!("idna==3.10 --hash=sha256:{}\n", "0".repeat(64));
    place.write("researcher/requirements.txt", &pinned);
    let path = place.path().join("ringfence.yaml");
    let template = std::fs::read_to_string(&path).unwrap();
    let taken = template.replace("\n#    ", "\n    ").replace("\n#        models:", "\n        models:");
    assert!(
        taken.contains("\n    models:\n      smart:") && taken.contains("\n        models: [smart"),
        "{taken}"
    );
    std::fs::write(&path, taken).unwrap();
    let checked = place.run(&["check"]).expect(0);
    assert!(checked.stdout.contains(", 2 agents, 2 tool servers, 3 models, "), "{}", checked.stdout);
    // It holds a host that no rule lets it reach, until the rule is taken in too.
    assert!(
        checked.stderr.contains("no rule allows `researcher` of `main` to connect to"),
        "{}",
        checked.stderr
    );
    let path = place.path().join("safety-policy.yaml");
    let rules = std::fs::read_to_string(&path).unwrap().replace("\n#  ", "\n  ");
    std::fs::write(&path, rules).unwrap();
    let checked = place.run(&["check"]).expect(0);
    assert!(!checked.stderr.contains("no rule allows"), "{}", checked.stderr);
    let listed = place.run(&["prices", "list", "--model", "main/*"]).expect(0);
    assert_eq!(listed.stdout.lines().count(), 4, "{}", listed.stdout);
}

#[test]
fn init_overwrites_nothing() {
    let place = Place::new();
    place.write("safety-policy.yaml", "mine");
    let said = place.run(&["init"]).expect(2);
    assert!(said.stderr.contains("safety-policy.yaml is there already"), "{}", said.stderr);
    assert!(!place.path().join("ringfence.yaml").exists(), "one of two files was written");
    assert_eq!(std::fs::read_to_string(place.path().join("safety-policy.yaml")).unwrap(), "mine");
}

#[test]
fn a_bad_configuration_is_shown_line_by_line() {
    let place = Place::new();
    place.write(
        "ringfence.yaml",
        "organization: acme\nworkspaces:\n  lab:\n    agnets: { a: { tools: [x/*] } }\n    policy: [none.yaml]\n",
    );
    let said = place.run(&["check"]).expect(2);
    insta::assert_snapshot!(said.stderr);
    let diagnostics = place.run(&["check", "--json"]).expect(2).json();
    assert_eq!(diagnostics.pointer("/ok").and_then(Value::as_bool), Some(false));
    assert_eq!(diagnostics.pointer("/diagnostics/0/line").and_then(Value::as_u64), Some(4));
    let up = place.run(&["up", "--data", "data"]).expect(2);
    assert!(up.stderr.contains("agnets"), "{}", up.stderr);
}

#[test]
fn a_node_without_a_usable_configuration_leaves_no_folder_behind() {
    let place = Place::new();
    let data = place.path().join("data");
    let said = place.run(&["up", "--data", "data"]).expect(2);
    assert!(said.stderr.contains("`ringfence init` writes one here"), "{}", said.stderr);
    place.run(&["init"]).expect(0);
    let path = place.path().join("ringfence.yaml");
    let right = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        right.replace(
            "\n    policy:",
            "\n    models: { m: { provider: scripted, script: none.yaml, price: free } }\n    policy:",
        ),
    )
    .unwrap();
    let said = place.run(&["up", "--data", "data"]).expect(2);
    assert!(
        said.stderr.contains("cannot read the script") && said.stderr.contains(" --> ringfence.yaml:"),
        "{}",
        said.stderr
    );
    assert!(!data.exists(), "a folder was made for a node that cannot start");
}

#[test]
fn errors_have_a_cause_and_a_way_out() {
    let place = Place::new();
    let mut all = String::new();
    for (arguments, code) in [
        (&["status"][..], 3),
        (&["status", "--node", "unix:nowhere.sock"], 3),
        (&["status", "--node", "http://10.0.0.1:7401"], 2),
        (&["status", "--node", "nowhere"], 2),
        (&["check"], 2),
        (&["suspend", "--reason", "x"], 2),
        (&["audit", "verify", "nowhere"], 2),
        (&["audit", "query", "--kind", "intnet"], 2),
        (&["audit", "show", "me"], 2),
        (&["audit", "query"], 3),
        (&["policy", "check", "rules.txt"], 2),
        (&["policy", "explain", "[]"], 2),
        (&["approvals", "show", "me"], 2),
        (&["runs"], 2),
        (&["fly"], 2),
        (&["run", "assistant", "-w", "main", "--", "x"], 3),
        (&["secret", "list"], 2),
        (&["console"], 2),
        (&["models"], 2),
        (&["budget", "list"], 2),
        (&["audit", "verify"], 2),
    ] {
        let said = place.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.stderr);
        assert_eq!(said.stdout, "", "{arguments:?}");
        writeln!(all, "$ ringfence {}\n{}", arguments.join(" "), said.stderr).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_person_gets_a_token_whose_hash_is_accepted() {
    let place = Place::new();
    let made = place.run(&["token", "person", "dana", "--json"]).expect(0).json();
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap().to_owned();
    assert!(text("token").starts_with("rfp_"));
    place.run(&["init"]).expect(0);
    let path = place.path().join("ringfence.yaml");
    let configuration = std::fs::read_to_string(&path).unwrap();
    let person = format!("people:\n  dana: {{ roles: [admin], token_hash: \"{}\" }}\n", text("token_hash"));
    std::fs::write(&path, configuration.replace("people: {}\n", &person)).unwrap();
    place.run(&["check"]).expect(0);
}

#[test]
fn policies_are_explained_tested_and_compared_offline() {
    let place = Place::new();
    place.run(&["init"]).expect(0);
    let call = r#"{"workspace":"main","agent":"assistant","server":"files","tool":"move_file","arguments":{"from":"a"}}"#;
    let explained = place.run(&["policy", "explain", call, "-c", "ringfence.yaml"]).expect(0);
    insta::assert_snapshot!(explained.stdout);
    let wrong =
        place.run(&["policy", "explain", &call.replace("assistant", "asistant"), "-c", "ringfence.yaml"]);
    assert!(wrong.expect(2).stderr.contains("did you mean `assistant`?"));

    let host = ["policy", "explain", "-c", "ringfence.yaml", "-w", "main", "--host", "registry.npmjs.org"];
    let held = place.run(&[&host[..], &["--server", "files"]].concat()).expect(0).stdout;
    assert!(held.starts_with("ALLOW by rule `npx-finds-the-server`"), "{held}");
    assert!(
        held.contains("  leads where this machine's resolver says, if that is on the internet\n"),
        "{held}"
    );
    assert!(held.contains("  TLS passes through: the program itself"), "{held}");
    let other =
        place.run(&[&host[..], &["--agent", "assistant", "--method", "GET"]].concat()).expect(0).stdout;
    assert!(
        other.starts_with("DENY: it does not hold this") && other.contains("\nDENY by the default"),
        "{other}"
    );
    place.run(&host).expect(2);
    place.run(&["policy", "explain", "--path", "/x"]).expect(2);

    place.write(
        "cases.yaml",
        "cases:\n  - name: moving is forbidden\n    request: { capability: filesystem, tool: move_file }\n    expect: { decision: DENY }\n  - name: reading is not\n    request: { action_type: read }\n    expect: { decision: DENY }\n  \
         - name: the server is found\n    request: { server: files, host: registry.npmjs.org }\n    expect: { decision: ALLOW }\n",
    );
    let tested = place.run(&["policy", "test", "cases.yaml", "--junit", "report.xml"]).expect(1);
    assert!(tested.stdout.contains("FAILED reading is not"), "{}", tested.stdout);
    assert!(!tested.stdout.contains("no case reaches"), "{}", tested.stdout);
    let report = std::fs::read_to_string(place.path().join("report.xml")).unwrap();
    assert!(report.contains("failures=\"1\""), "{report}");

    place.write(
        "few.yaml",
        "cases:\n  - name: moving is forbidden\n    request: { capability: filesystem, tool: move_file }\n    expect: { decision: DENY }\n",
    );
    let tested = place.run(&["policy", "test", "few.yaml"]).expect(0);
    assert!(
        tested.stdout.ends_with("no case reaches `reads`, `npx-finds-the-server`\n"),
        "{}",
        tested.stdout
    );
    let tested = place.run(&["policy", "test", "few.yaml", "--json"]).expect(0);
    assert!(
        tested.stdout.ends_with("{\"unreached\":[\"reads\",\"npx-finds-the-server\"]}\n"),
        "{}",
        tested.stdout
    );

    let policy = std::fs::read_to_string(place.path().join("safety-policy.yaml")).unwrap();
    place.write(
        "wider.yaml",
        &policy
            .replace("decision: REQUIRE_APPROVAL", "decision: ALLOW")
            .replace("    approval: { quorum: 1, expires: 15m }\n", ""),
    );
    let wider = place.run(&["policy", "diff", "safety-policy.yaml", "wider.yaml", "--refuse-wider"]);
    assert!(wider.stdout.contains("wider"), "{}\n{}", wider.stdout, wider.stderr);
    place.run(&["policy", "diff", "safety-policy.yaml", "safety-policy.yaml", "--refuse-wider"]).expect(0);
}

#[test]
fn the_schema_is_one_that_cedar_reads_and_names_the_tools() {
    let place = Place::new();
    place.run(&["init"]).expect(0);
    let path = place.path().join("ringfence.yaml");
    let configuration = std::fs::read_to_string(&path).unwrap();
    assert!(configuration.contains("files/*"), "{configuration}");
    place.write("named.yaml", &configuration.replace("files/*", "files/move_file, files/read_*"));
    let named = place.run(&["policy", "schema", "-c", "named.yaml"]).expect(0).stdout;
    let _schema =
        cedar_policy::Schema::from_cedarschema_str(&named).unwrap_or_else(|error| panic!("{error}\n{named}"));
    assert!(named.contains("action \"files/move_file\""), "{named}");
    assert!(!named.contains("read_*"), "{named}");
    // Without a node, from the configuration that is here; and nowhere, from nothing.
    place.run(&["policy", "schema"]).expect(0);
    std::fs::remove_file(path).unwrap();
    place.run(&["policy", "schema"]).expect(3);
}

#[test]
fn completions_are_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell]).expect(0).stdout.contains("approvals"), "{shell}");
    }
}

#[test]
fn the_doctor_tries_things_out() {
    let place = Place::new();
    place.write(
        "ringfence.yaml",
        "organization: acme\negress: { addresses: { git.corp: 10.1.2.3, localhost: system } }\nworkspaces: { main: {} }\n",
    );
    let said = place.run(&["doctor", "--json", "-c", "ringfence.yaml"]);
    let findings: Vec<_> = said.stdout.lines().map(json).collect();
    let named = |name: &str| {
        findings.iter().any(|finding| finding.get("name").and_then(|name| name.as_str()) == Some(name))
    };
    for name in
        ["open files", "disk", "sync to disk", "clock", "landlock", "process-namespace", "whom TLS trusts"]
    {
        assert!(named(name), "{name}: {}", said.stdout);
    }
    // Where names lead from here, and that this machine itself is none of those places.
    for (name, state, detail) in
        [("git.corp", "good", "leads to 10.1.2.3"), ("localhost", "less", "no name is led by `system`")]
    {
        let text = |finding: &Value, key: &str| finding.get(key).and_then(Value::as_str).map(str::to_owned);
        let finding = findings.iter().find(|one| text(one, "name").as_deref() == Some(name)).unwrap();
        assert_eq!(text(finding, "state").as_deref(), Some(state));
        assert!(text(finding, "detail").unwrap().contains(detail), "{}", said.stdout);
    }
}
