//! Signals that `ringfence run` gets reach the program as they are; who is not listened to ends it.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use ringfence_tests::audit;
use ringfence_tests::cli;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http::try_post_over;
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const POLICY: &str = "\
rules:
  - { name: everything, match: {}, decision: ALLOW }
";

/// Counts what it hears; each line is written before the next signal can come.
const LISTENS: &str = "\
for name in HUP INT QUIT TERM USR1 USR2; do trap \"echo heard $name; [ $name = TERM ] && exit 9\" $name; done;
echo ready; while :; do sleep 0.02; done";

/// Hears nothing of what asks it to end.
const DEAF: &str = "trap : INT TERM; echo ready; while :; do sleep 0.02; done";

fn config(script: &str, run: &str) -> Config {
    let script = script.replace('\'', "''").replace('\n', " ");
    Config::of_agent(&[format!("run: {{ command: [sh, -c, '{script}'] {run} }}")], POLICY)
}

/// `ringfence run`, while it runs.
struct Command {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Command {
    fn start(node: &Node) -> Self {
        Self::start_with(node, &mut std::process::Command::new(cli::program()))
    }

    fn start_with(node: &Node, command: &mut std::process::Command) -> Self {
        let data = node.data();
        let command = command.arg("--data").arg(&data).args(["run", "assistant", "-w", "lab"]);
        let command = command.env_remove("RINGFENCE_NODE").env_remove("RINGFENCE_TOKEN");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn hears(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The next line of its program. The node works meanwhile: it is a process of its own.
    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// Its status and what it said on standard error.
    fn ended(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code().unwrap_or_else(|| 1_000 + status.signal().unwrap()), said)
    }
}

async fn runs(node: &Node) -> Vec<Value> {
    node.cli(&["runs", "list", "--json"]).await.expect(0).lines()
}

/// What stands in the log of signals, oldest first.
async fn recorded(node: &Node) -> Vec<String> {
    let entries = audit::exported(node).await;
    let of = entries.iter().filter(|entry| entry["kind"] == "run" && entry["event"] == "signalled");
    of.map(|entry| format!("{} by {}", entry["signal"].as_str().unwrap(), entry["by"].as_str().unwrap()))
        .collect()
}

async fn a_program_hears_them(run: &str) {
    let node = Node::start(&config(LISTENS, run)).await;
    let mut command = Command::start(&node);
    assert_eq!(command.line(), "ready");
    let mut expected = Vec::new();
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::TERM, "TERM"),
    ] {
        // It is about the window of a terminal that is not inside.
        command.hears(Signal::WINCH);
        command.hears(signal);
        assert_eq!(command.line(), format!("heard {name}"), "{run}");
        expected.push(format!("{name} by owner"));
    }
    let (status, said) = command.ended();
    assert_eq!(status, 9, "it ended as its program did: {said}");
    let ended = runs(&node).await.remove(0);
    assert_eq!((&ended["ended_by"], &ended["exit_code"]), (&"program".into(), &9.into()), "{ended}");
    assert_eq!(recorded(&node).await, expected, "each by whom");
    audit::verify(&node).await;
}

#[tokio::test]
async fn a_program_hears_every_signal_that_ringfence_run_gets_as_it_is() {
    a_program_hears_them("").await;
}

#[tokio::test]
async fn so_does_one_in_a_container_of_a_runtime() {
    if std::process::Command::new("runc").arg("--version").output().is_err() {
        eprintln!("skipped: no runc on this machine");
        return;
    }
    a_program_hears_them(", driver: runc").await;
}

#[tokio::test]
async fn a_signal_that_the_program_does_not_expect_ends_it_with_its_number() {
    let node = Node::start(&config("echo ready; exec sleep 100", "")).await;
    let mut command = Command::start(&node);
    assert_eq!(command.line(), "ready");
    command.hears(Signal::INT);
    let (status, said) = command.ended();
    assert_eq!(status, 130, "{said}");
    let ended = runs(&node).await.remove(0);
    assert_eq!((&ended["ended_by"], &ended["exit_signal"]), (&"program".into(), &2.into()), "{ended}");
}

/// As somebody does who is in a hurry: a machine that is busy may take longer than they wait between two.
async fn interrupt_until_it_is_stopped(node: &Node, command: &Command) {
    eventually(EFFECT, "it is being stopped", async || {
        command.hears(Signal::INT);
        tokio::time::sleep(Duration::from_millis(300)).await;
        ["stopping", "ended"].contains(&runs(node).await[0]["state"].as_str().unwrap()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_interruption_stops_a_program_that_does_not_listen_and_a_third_kills_it() {
    let node = Node::start(&config(DEAF, "")).await;
    let mut stopped = Command::start(&node);
    assert_eq!(stopped.line(), "ready");
    stopped.hears(Signal::INT);
    eventually(EFFECT, "the first is on record", async || (recorded(&node).await.len() == 1).then_some(()))
        .await;
    assert_eq!(runs(&node).await[0]["state"], "running", "once is for the program alone");
    interrupt_until_it_is_stopped(&node, &stopped).await;
    let (status, said) = stopped.ended();
    assert!(status == 137 && said.contains("interrupted twice"), "{status}: {said}");
    let ended = runs(&node).await.remove(0);
    assert_eq!(
        (&ended["ended_by"], &ended["ended_because"]),
        (&"person".into(), &"interrupted twice".into()),
        "{ended}"
    );

    let mut killed = Command::start(&node);
    assert_eq!(killed.line(), "ready");
    killed.hears(Signal::INT);
    interrupt_until_it_is_stopped(&node, &killed).await;
    killed.hears(Signal::INT);
    let (status, said) = killed.ended();
    assert_eq!(status, 137, "{said}");
}

#[tokio::test]
async fn an_interruption_before_the_program_runs_ends_the_run() {
    let node = Node::start(&config("echo ready; exec sleep 100", "")).await;
    let suspended =
        node.cli(&["suspend", "-w", "lab", "--reason", "to wait", "--json"]).await.expect(0).json();
    let command = Command::start(&node);
    eventually(EFFECT, "it waits", async || {
        runs(&node).await.first().is_some_and(|run| run["state"] == "queued").then_some(())
    })
    .await;
    // It may only now begin to listen.
    tokio::time::sleep(Duration::from_millis(300)).await;
    command.hears(Signal::USR1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    command.hears(Signal::INT);
    let (status, said) = command.ended();
    assert!(status == 1 && said.contains("SIGINT before its program ran"), "{status}: {said}");
    assert!(said.contains("SIGUSR1 was not passed on"), "{said}");
    assert!(recorded(&node).await.is_empty(), "nothing was told");
    assert!(suspended["id"].is_string());
}

#[tokio::test]
async fn whoever_is_told_to_ignore_a_signal_does_not_pass_it_on() {
    let node = Node::start(&config(LISTENS, "")).await;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""]).arg(cli::program());
    let mut command = Command::start_with(&node, &mut shell);
    assert_eq!(command.line(), "ready");
    command.hears(Signal::HUP);
    command.hears(Signal::INT);
    command.hears(Signal::USR1);
    assert_eq!(command.line(), "heard USR1");
    command.hears(Signal::TERM);
    assert_eq!(command.line(), "heard TERM");
    assert_eq!(command.ended().0, 9);
    assert_eq!(recorded(&node).await, ["USR1 by owner", "TERM by owner"]);
}

#[tokio::test]
async fn a_node_that_is_lost_is_said_to_be() {
    let mut node = Node::start(&config("echo ready; exec sleep 100", "")).await;
    let mut command = Command::start(&node);
    assert_eq!(command.line(), "ready");
    let id = runs(&node).await.remove(0)["run"].as_str().unwrap().to_owned();
    node.kill().await;
    let (status, said) = command.ended();
    assert!(status == 3 && said.contains("node") && said.contains(&id), "{status}: {said}");
}

#[tokio::test]
async fn signals_that_are_none_and_runs_that_are_not_there_are_told() {
    let node = Node::start(&config("exit 0", "")).await;
    let id =
        node.cli(&["run", "assistant", "-w", "lab", "--detach"]).await.expect(0).stdout.trim().to_owned();
    eventually(EFFECT, "it has ended", async || (runs(&node).await[0]["state"] == "ended").then_some(()))
        .await;
    let tell = async |run: &str, signal: &str| {
        let path = format!("/api/v1/runs/{run}/signal");
        let socket = node.data().join("control.sock");
        try_post_over(&socket, &path, &serde_json::json!({ "signal": signal })).await.unwrap()
    };
    let wrong = tell(&id, "KILL").await;
    assert!(wrong.status == 400 && wrong.text().contains("HUP, INT, QUIT, TERM, USR1 and USR2"), "{wrong:?}");
    let over = tell(&id, "SIGINT").await;
    assert!(over.status == 409 && over.text().contains("has ended"), "{over:?}");
    let nobody = tell(&id.replace(&id[4..], &"0".repeat(id.len() - 4)), "INT").await;
    assert!([400, 404].contains(&nobody.status.as_u16()), "{nobody:?}");
    assert!(recorded(&node).await.is_empty());
}
