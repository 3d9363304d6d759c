//! Programs as agents, each in a sandbox whose only way out is the gateway.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::time::Duration;

use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use serde_json::Value;

const POLICY: &str = "\
rules:
  - { name: everything, match: {}, decision: ALLOW }
";

const SCRIPT: &str = "\
rules:
  - say: Hello from the script.
";

/// A workspace whose agent is this program; `limits` and `run` are added to what is written of it.
fn config(command: &str, limits: &str, run: &str) -> Config {
    let config = format!(
        "organization: acme
workspaces:
  lab:
    environment: test
    trust: first-use
    models:
      helper: {{ provider: scripted, script: script.yaml, price: {{ input: 1, output: 10 }} }}
    agents:
      assistant:
        models: [helper]
        limits: {{ {limits} }}
        run: {{ command: {command} {run} }}
    policy: [policy.yaml]
"
    );
    Config {
        files: vec![
            ("ringfence.yaml", config),
            ("policy.yaml", POLICY.to_owned()),
            ("script.yaml", SCRIPT.to_owned()),
        ],
    }
}

/// An agent that is a shell script.
fn shell(script: &str) -> Config {
    config(&format!("[sh, -c, '{script}']"), "", "")
}

async fn run(node: &Node, more: &[&str]) -> Said {
    let mut arguments = vec!["run", "assistant", "-w", "lab"];
    arguments.extend(more);
    node.cli(&arguments).await
}

/// Starts a run and leaves it.
async fn begin(node: &Node) -> String {
    run(node, &["--detach"]).await.expect(0).stdout.trim().to_owned()
}

async fn show(node: &Node, run: &str) -> Value {
    node.api(&format!("/api/v1/runs/{run}")).await.json()
}

async fn until(node: &Node, run: &str, state: &str) -> Value {
    eventually(EFFECT, &format!("the run is {state}"), async || {
        let view = show(node, run).await;
        (view["state"] == state).then_some(view)
    })
    .await
}

/// What stands in the log of a run's life.
async fn life(node: &Node) -> Vec<String> {
    let entries = node.cli(&["audit", "query", "--kind", "run", "--json"]).await.expect(0).lines();
    let of_runs = entries.iter().filter(|entry| entry["run"].is_string());
    of_runs.map(|entry| entry["event"].as_str().unwrap().to_owned()).collect()
}

/// Processes of the machine whose command line has this in it.
fn processes(with: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(with)).count()
}

#[tokio::test]
async fn a_program_runs_as_an_agent_and_its_status_is_the_commands() {
    let node = Node::start(&shell(
        "echo out; echo err >&2; printf \"$1 in\"; sleep 0.1; printf \" pieces\"; exit 7",
    ))
    .await;
    let said = run(&node, &["--", "name", "argument"]).await.expect(7);
    assert_eq!(said.stdout, "out\nargument in pieces\n");
    assert!(said.stderr.contains("err"), "{}", said.stderr);
    assert_eq!(life(&node).await, ["queued", "starting", "running", "ended"]);
    let runs = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
    let id = runs[0]["run"].as_str().unwrap();
    let view = show(&node, id).await;
    assert_eq!(
        (&view["state"], &view["exit_code"], &view["ended_by"]),
        (&"ended".into(), &7.into(), &"program".into())
    );
    assert!(view["layers"]["seccomp"].as_str().unwrap().starts_with("in force"), "{view}");
    let logs = node.cli(&["runs", "logs", id]).await.expect(0);
    assert_eq!(logs.stdout, "out\nargument in pieces\n");
    let found = node.cli(&["runs", "logs", id, "--grep", "argu"]).await.expect(0);
    assert_eq!(found.stdout, "argument in pieces\n");
    audit::verify(&node).await;
}

#[tokio::test]
async fn a_long_line_is_printed_whole() {
    let node = Node::start(&shell("head -c 40000 /dev/zero | tr \"\\\\0\" x; echo end")).await;
    let said = run(&node, &[]).await.expect(0);
    let is_whole = said.stdout == format!("{}end\n", "x".repeat(40_000));
    assert!(is_whole, "{} bytes", said.stdout.len());
}

#[tokio::test]
async fn nothing_of_the_machine_is_inside_but_what_was_named() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(
        files.path().join("agent.sh"),
        "cat data.txt; env; ls /root /home /etc/shadow; id -u; touch x",
    )
    .unwrap();
    std::fs::write(files.path().join("data.txt"), "the data\n").unwrap();
    let command = format!(", files: '{}', env: {{ TOPIC: tides }}", files.path().display());
    let node = Node::start(&config("[sh, agent.sh]", "", &command)).await;
    let said = run(&node, &[]).await;
    assert!(said.stdout.starts_with("the data\n"), "{said:?}");
    for set in [
        "OPENAI_BASE_URL=http://gateway/openai/v1",
        "OPENAI_API_KEY=unused",
        "TOPIC=tides",
        "RINGFENCE_AGENT=assistant",
    ] {
        assert!(said.stdout.contains(set), "{set}: {said:?}");
    }
    for kept_out in ["RINGFENCE_DATA", "CARGO", "SSH_", "rfr_"] {
        assert!(!said.stdout.contains(kept_out), "{kept_out}: {said:?}");
    }
    assert!(said.stderr.contains("/etc/shadow") && !said.stdout.contains("shadow"), "{said:?}");
    assert!(said.stderr.contains("Read-only"), "its files are read-only: {said:?}");
}

#[tokio::test]
async fn models_are_reached_without_a_token() {
    let script = "import json, os, urllib.request
request = urllib.request.Request(os.environ[\"OPENAI_BASE_URL\"] + \"/chat/completions\", method=\"POST\",
    data=json.dumps({\"model\": \"helper\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}).encode(),
    headers={\"content-type\": \"application/json\", \"authorization\": \"Bearer \" + os.environ[\"OPENAI_API_KEY\"]})
print(json.load(urllib.request.urlopen(request))[\"choices\"][0][\"message\"][\"content\"])
";
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.py"), script).unwrap();
    let node =
        Node::start(&config("[python3, agent.py]", "", &format!(", files: '{}'", files.path().display())))
            .await;
    let said = run(&node, &["--user", "dana"]).await.expect(0);
    assert_eq!(said.stdout, "Hello from the script.\n");
    let entries =
        node.cli(&["audit", "query", "--kind", "intent", "--user", "dana", "--json"]).await.expect(0).lines();
    assert_eq!(entries.len(), 1);
    let spent = node.api("/api/v1/spend?agent=assistant").await.json();
    assert!(spent["total"]["usd_nanos"].as_u64().unwrap() > 0, "{spent}");
}

#[tokio::test]
async fn a_run_is_watched_paused_stopped_and_killed() {
    let node =
        Node::start(&shell("trap \"echo asked; exit 3\" TERM; while :; do echo tick; sleep 0.05; done"))
            .await;
    let id = begin(&node).await;
    until(&node, &id, "running").await;
    node.cli(&["runs", "pause", &id, "--reason", "to look"]).await.expect(0);
    until(&node, &id, "paused").await;
    node.cli(&["runs", "resume", &id]).await.expect(0);
    until(&node, &id, "running").await;
    node.cli(&["runs", "stop", &id, "--reason", "enough"]).await.expect(0);
    let ended = until(&node, &id, "ended").await;
    assert_eq!((&ended["ended_by"], &ended["exit_code"]), (&"person".into(), &3.into()), "{ended}");
    assert_eq!(ended["ended_because"], "enough");
    let logs = node.cli(&["runs", "logs", &id, "--follow"]).await.expect(0);
    assert!(logs.stdout.ends_with("asked\n"), "{logs:?}");
    let second = begin(&node).await;
    until(&node, &second, "running").await;
    node.cli(&["kill", &second]).await.expect(0);
    assert_eq!(until(&node, &second, "ended").await["ended_by"], "person");
}

#[tokio::test]
async fn a_run_is_told_as_server_sent_events() {
    let node = Node::start(&shell("echo one; sleep 0.3; echo two >&2; exit 4")).await;
    let id = begin(&node).await;
    let told = node.api(&format!("/api/v1/runs/{id}/events")).await.text();
    let events: Vec<(&str, Value)> = told
        .split_terminator("\n\n")
        .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
        .map(|(kind, data)| (kind, serde_json::from_str(data).unwrap()))
        .collect();
    let of = |kind: &str, member: &str| -> Vec<String> {
        let of_kind = events.iter().filter(|(each, _)| *each == kind);
        of_kind.map(|(_, data)| data[member].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("output", "text"), ["one", "two"], "{told}");
    assert_eq!(of("output", "stream"), ["stdout", "stderr"]);
    let states = of("state", "state");
    assert!(states.contains(&"running".to_owned()) && states.last().unwrap() == "ended", "{states:?}");
    assert_eq!(events.last().unwrap().1["exit_code"], 4);
}

#[tokio::test]
async fn all_runs_of_an_agent_are_killed_at_once_and_none_begins_until_that_is_lifted() {
    let mark = format!("2000.{}", std::process::id());
    let node = Node::start(&shell(&format!("trap : TERM; sleep {mark} & sleep {mark}; sleep {mark}"))).await;
    let ids = [begin(&node).await, begin(&node).await, begin(&node).await];
    for id in &ids {
        until(&node, id, "running").await;
    }
    eventually(EFFECT, "they sleep", async || (processes(&mark) >= 6).then_some(())).await;
    let killed = node.cli(&["kill", "-w", "lab", "--agent", "assistant", "--json"]).await.expect(0).json();
    assert_eq!(killed["runs"].as_array().unwrap().len(), 3, "{killed}");
    for id in &ids {
        assert_eq!(until(&node, id, "ended").await["ended_by"], "person");
    }
    assert_eq!(processes(&mark), 0);
    let held = begin(&node).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = show(&node, &held).await;
    let id = killed["id"].as_str().unwrap();
    let for_what = waiting["waits_for"].as_str().unwrap();
    assert!(
        waiting["state"] == "queued" && for_what.ends_with(&format!("`ringfence resume {id}`")),
        "{waiting}"
    );
    node.cli(&["resume", killed["id"].as_str().unwrap()]).await.expect(0);
    until(&node, &held, "running").await;
    let said = node.cli(&["kill", "-w", "lab"]).await.expect(0).stdout;
    assert!(said.contains("; 1 run is cut off and ending\n"), "what is still stopping has not ended: {said}");
    until(&node, &held, "ended").await;
    let said = node.cli(&["kill", "-w", "lab"]).await.expect(0).stdout;
    assert!(said.contains("; no run was alive\n"), "{said}");
    let over = node.cli(&["runs", "stop", &held]).await;
    assert!(over.stderr.contains("has ended already") && over.stderr.contains("hint: "), "{}", over.stderr);
    assert!(node.cli(&["kill", "-w", "lab", "--agent", "asistant"]).await.code != Some(0));
}

#[tokio::test]
async fn a_program_that_does_not_end_is_ended() {
    for (command, limits, why) in [
        ("trap : TERM; while :; do sleep 0.1; done", "wall: 1s", "deadline"),
        ("sleep 60", "idle: 1s", "idle"),
        ("yes", "output: 64Ki", "output"),
        // It has ended before anybody can look at what it wrote.
        ("seq 9000", "output: 64Ki", "output"),
    ] {
        let node = Node::start(&config(&format!("[sh, -c, '{command}']"), limits, "")).await;
        let said = run(&node, &[]).await;
        assert!(said.code != Some(0) && said.stderr.contains("ended:"), "{why}: {said:?}");
        let runs = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
        assert_eq!(runs[0]["ended_by"], why, "{}", runs[0]);
    }
}

#[tokio::test]
async fn a_run_goes_on_when_nobody_reads_its_output_any_more_and_that_is_said() {
    for (then, state) in [("sleep 1000", "running"), ("exit 0", "ended")] {
        let node = Node::start(&shell(&format!("echo one; sleep 1; echo two; {then}"))).await;
        let program = ringfence_tests::cli::program();
        let script = r#""$0" --data "$1" run assistant -w lab | head -1; echo "${PIPESTATUS[0]}""#;
        let mut piped = tokio::process::Command::new("bash");
        piped.args(["-c", script]).arg(program).arg(node.data());
        let said = piped.env_remove("RINGFENCE_NODE").env_remove("RINGFENCE_TOKEN").output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "one\n0\n");
        let told = String::from_utf8_lossy(&said.stderr);
        let runs = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
        let run = runs[0]["run"].as_str().unwrap();
        if state == "running" {
            assert!(told.contains(&format!("it goes on: `ringfence runs logs {run} --follow`")), "{told}");
            assert_eq!(runs[0]["state"], state, "{}", runs[0]);
        } else {
            until(&node, run, "ended").await;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let node = Node::start(&config("[no-such-program]", "", "")).await;
    let said = run(&node, &[]).await.expect(1);
    assert!(said.stderr.contains("no-such-program"), "{said:?}");
    let said = node.cli(&["run", "asistant", "-w", "lab"]).await;
    assert!(said.code != Some(0) && said.stderr.contains("assistant"), "{said:?}");
}

#[tokio::test]
async fn nothing_is_left_of_runs_when_the_node_goes_down() {
    let mark = std::process::id();
    let mut node = Node::start(&shell(&format!("sleep 1000.{mark} & sleep 1000.{mark}"))).await;
    let sleeping = format!("1000.{mark}");
    let ids = [begin(&node).await, begin(&node).await];
    for id in &ids {
        until(&node, id, "running").await;
    }
    eventually(EFFECT, "they sleep", async || (processes(&sleeping) >= 4).then_some(())).await;
    node.kill().await;
    eventually(EFFECT, "nothing sleeps", async || (processes(&sleeping) == 0).then_some(())).await;
    node.restart().await;
    for id in &ids {
        let view = show(&node, id).await;
        assert_eq!((&view["state"], &view["ended_by"]), (&"ended".into(), &"crash".into()), "{view}");
    }
    let id = begin(&node).await;
    until(&node, &id, "running").await;
    // A node that is asked to end ends them first.
    let stopped = tokio::time::timeout(Duration::from_secs(20), node.stop()).await.unwrap();
    assert_eq!(stopped, Some(0));
    assert_eq!(processes(&sleeping), 0);
}
