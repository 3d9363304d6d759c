//! What runs leave in `/agent/out`: collected when they have ended, named by the log, fetched and held against it.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::{Path, PathBuf};

use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::{Config, OPEN_POLICY};
use ringfence_tests::disk::{self, Filler};
use ringfence_tests::limits::EFFECT;
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::patience::eventually;
use serde_json::Value;

/// The log allocates two segments of 64 MiB and 12 MiB for payloads ahead of need; a tenth of all of it is for what runs leave.
const DISK_MIB: u32 = 256;

/// An agent that is a shell script, with limits of its own.
fn shell(script: &str, limits: &str) -> Config {
    let keys = [format!("limits: {{ {limits} }}"), format!("run: {{ command: [sh, -c, '{script}'] }}")];
    Config::of_agent(&keys, OPEN_POLICY)
}

/// Runs the agent to its end: its name.
async fn run(node: &Node) -> String {
    let said = node.cli(&["run", "assistant", "-w", "lab", "--json"]).await;
    let lines = said.lines();
    let view = lines.iter().find(|line| line["run"].is_string());
    view.unwrap_or_else(|| panic!("{said:?}"))["run"].as_str().unwrap().to_owned()
}

async fn artifacts(node: &Node, run: &str) -> Value {
    node.cli(&["runs", "artifacts", run, "--json"]).await.expect(0).json()
}

fn names(listed: &Value) -> Vec<&str> {
    listed["artifacts"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect()
}

fn why<'a>(listed: &'a Value, name: &str) -> &'a str {
    let left_out = listed["left_out"].as_array().unwrap();
    let found = left_out.iter().find(|file| file["name"] == name);
    found.unwrap_or_else(|| panic!("{name} was not left out: {listed}"))["why"].as_str().unwrap()
}

async fn events(node: &Node, run: &str) -> Vec<String> {
    let entries =
        node.cli(&["audit", "query", "--run", run, "--kind", "run", "--json"]).await.expect(0).lines();
    entries.iter().map(|entry| entry["event"].as_str().unwrap().to_owned()).collect()
}

/// The files under a folder of the node's data, wherever they are.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found
}

async fn fetch(node: &Node, run: &str, more: &[&str]) -> Said {
    let mut arguments = vec!["runs", "artifacts", run];
    arguments.extend(more);
    node.cli(&arguments).await
}

#[tokio::test]
async fn what_a_run_leaves_is_named_by_the_log_and_fetched_as_it_was() {
    let script = "cd /agent/out; mkdir -p a/b; echo report > report.txt; cp report.txt a/b/same.txt; \
        ln report.txt a/again; head -c 3000000 /dev/urandom > large; sha256sum large; exit 3";
    let node = Node::start(&shell(script, "")).await;
    let run = run(&node).await;
    let listed = artifacts(&node, &run).await;
    assert_eq!(names(&listed), ["a/again", "a/b/same.txt", "large", "report.txt"]);
    assert_eq!(events(&node, &run).await, ["queued", "starting", "running", "artifacts", "ended"]);
    let entries =
        node.cli(&["audit", "query", "--run", &run, "--kind", "run", "--json"]).await.expect(0).lines();
    let entry = entries.iter().find(|entry| entry["event"] == "artifacts").unwrap();
    assert_eq!((&entry["artifacts"], &entry["count"]), (&listed["artifacts"], &4.into()));
    let printed = node.cli(&["runs", "logs", &run]).await.expect(0).stdout;
    assert!(printed.starts_with(listed["artifacts"][2]["sha256"].as_str().unwrap()), "{printed}: {listed}");

    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one");
    fetch(&node, &run, &["a/b/same.txt", "-o", one.to_str().unwrap()]).await.expect(0);
    assert_eq!(std::fs::read(&one).unwrap(), b"report\n");
    let streamed = fetch(&node, &run, &["report.txt", "-o", "-"]).await.expect(0);
    assert_eq!(streamed.stdout, "report\n");
    let all = folder.path().join("all");
    fetch(&node, &run, &["--all", all.to_str().unwrap()]).await.expect(0);
    assert_eq!(files_under(&all).len(), 4);
    assert_eq!(std::fs::read(all.join("large")).unwrap().len(), 3_000_000);
    let table = fetch(&node, &run, &[]).await.expect(0).stdout;
    assert!(table.contains("a/b/same.txt") && table.contains("2929Ki"), "{table}");
    let missing = fetch(&node, &run, &["report.tx", "-o", one.to_str().unwrap()]).await.expect(1);
    assert!(missing.stderr.contains("did you mean `report.txt`?"), "{missing:?}");
    assert_eq!(std::fs::read(&one).unwrap(), b"report\n", "what was there stays");

    // Changed on the disk since: it is not given out, and not taken.
    let digest = listed["artifacts"][3]["sha256"].as_str().unwrap();
    let kept: Vec<PathBuf> =
        files_under(&node.data().join("runs")).into_iter().filter(|path| path.ends_with(digest)).collect();
    assert_eq!(kept.len(), 2, "by its content, of the run and of the workspace: {kept:?}");
    std::fs::write(&kept[0], "forged\n").unwrap();
    let refused = fetch(&node, &run, &["report.txt", "-o", one.to_str().unwrap()]).await.expect(1);
    assert!(refused.stderr.contains("not what the log says"), "{refused:?}");
    assert_eq!(files_under(folder.path()).len(), 5, "nothing half is left");
    audit::verify(&node).await;
}

#[tokio::test]
async fn nothing_of_a_hostile_folder_gets_out_of_it() {
    let script = "cd /agent/out; ln -s /etc/passwd passwd; ln -s / root; ln -s ../../etc up; mkfifo fifo; \
        truncate -s 3G gigabytes; truncate -s 1M hole; echo odd > \"$(printf \"new\\nline\")\"; echo esc > \"$(printf \"\\033[2J\")\"; \
        echo raw > \"$(printf \"\\377\")\"; echo dots > ...; echo shut > shut; chmod 000 shut; mkdir closed; echo in > closed/in; chmod 000 closed; \
        echo tilde > \"~\"; echo dash > ./-o; d=.; for i in $(seq 1 70); do d=$d/d; done; mkdir -p $d; echo deep > $d/file";
    let node = Node::start(&shell(&script.replace('\'', "''"), "artifacts: 4Mi")).await;
    let run = run(&node).await;
    let listed = artifacts(&node, &run).await;
    assert_eq!(
        names(&listed),
        ["-o", "...", "\\u{1b}[2J", "\\xff", "closed/in", "hole", "new\\nline", "shut", "~"]
    );
    for (name, reason) in [("passwd", "symbolic"), ("root", "symbolic"), ("up", "symbolic"), ("fifo", "fifo")]
    {
        assert!(why(&listed, name).contains(reason), "{listed}");
    }
    assert!(why(&listed, "gigabytes").contains("more than 4Mi"), "{listed}");
    assert_eq!(listed["left_out_count"], 6, "and what is too deep: {listed}");

    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("into");
    fetch(&node, &run, &["--all", into.to_str().unwrap()]).await.expect(0);
    assert_eq!(files_under(&into).len(), 9);
    assert_eq!(std::fs::read(into.join("shut")).unwrap(), b"shut\n");
    assert_eq!(std::fs::read(into.join("hole")).unwrap(), vec![0; 1 << 20]);
    let table = fetch(&node, &run, &[]).await.expect(0).stdout;
    assert!(!table.contains('\u{1b}'), "{table:?}");
    audit::verify(&node).await;
}

#[tokio::test]
async fn more_files_than_are_kept_are_counted_and_their_names_stand_beside_the_log() {
    // 64 MiB hold 16,384 names; it is ended while it goes on.
    let script = "cd /agent/out; seq 1 20000 | xargs touch; echo done";
    let node = Node::start(&shell(script, "")).await;
    let run = run(&node).await;
    let listed = artifacts(&node, &run).await;
    assert_eq!(names(&listed).len(), 10_000);
    assert!(listed["left_out_count"].as_u64().unwrap() > 5_000, "{}", listed["left_out_count"]);
    assert_eq!(listed["left_out"].as_array().unwrap().len(), 100);
    let entries =
        node.cli(&["audit", "query", "--run", &run, "--kind", "run", "--json"]).await.expect(0).lines();
    let entry = entries.iter().find(|entry| entry["event"] == "artifacts").unwrap();
    assert!(entry["manifest"].is_string() && entry.get("artifacts").is_none(), "{entry}");
    audit::verify(&node).await;
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_what_it_had_and_one_that_left_nothing_has_no_entry() {
    let node =
        Node::start(&shell("echo partial > /agent/out/partial; echo ready; sleep 1000", "wall: 2s")).await;
    let killed = run(&node).await;
    assert_eq!(names(&artifacts(&node, &killed).await), ["partial"]);
    let entries =
        node.cli(&["audit", "query", "--run", &killed, "--kind", "run", "--json"]).await.expect(0).lines();
    assert_eq!(entries.last().unwrap()["why"], "deadline");
    let without = Node::start(&shell("ls -d /agent/out", "artifacts: off")).await;
    let none = run(&without).await;
    assert_eq!(events(&without, &none).await, ["queued", "starting", "running", "ended"]);
    let said = fetch(&without, &none, &[]).await.expect(1);
    assert!(said.stderr.contains("left nothing"), "{said:?}");
    let printed = without.cli(&["runs", "logs", &none]).await.expect(0).stderr;
    assert!(printed.contains("cannot access"), "{printed}");
}

#[tokio::test]
async fn of_what_runs_leave_a_disk_holds_a_tenth_and_the_oldest_goes() {
    let test = "of_what_runs_leave_a_disk_holds_a_tenth_and_the_oldest_goes";
    let Some(disk) = disk::small(test, DISK_MIB) else { return };
    let surroundings = Surroundings { data: Some(disk.join("data")), ..Surroundings::default() };
    let node = Node::start_in(surroundings, &shell("head -c 6M /dev/urandom > /agent/out/file", "")).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(run(&node).await);
    }
    // Four times six are less than a tenth, five times six are more.
    let pruned = async || -> Vec<Value> {
        let entries = audit::entries(&node, "run").await;
        entries.into_iter().filter(|entry| entry["event"] == "output_pruned").collect()
    };
    let said = eventually(EFFECT, "room is made", async || pruned().await.into_iter().next()).await;
    assert_eq!(
        (&said["runs"], &said["by"]),
        (&2.into(), &"ringfence-node".into()),
        "down to nine tenths: {said}"
    );
    for (index, run) in all.iter().enumerate() {
        let fetched = fetch(&node, run, &["file", "-o", "-"]).await;
        if index < 2 {
            assert!(fetched.expect(1).stderr.contains("no longer kept"));
        } else {
            fetched.expect(0);
        }
        assert_eq!(names(&artifacts(&node, run).await), ["file"], "the log names it all the same");
    }

    // What does not fit is left out, and the run ends all the same.
    let filler = Filler::new(&disk);
    let late = run(&node).await;
    drop(filler);
    let events = events(&node, &late).await;
    assert_eq!(events.last().map(String::as_str), Some("ended"), "{events:?}");
    let half = files_under(&node.data().join("runs")).into_iter().any(|path| path.ends_with("unfinished"));
    assert!(!half && files_under(&node.data().join("runs").join("lab").join(&late)).len() <= 1);
    audit::verify(&node).await;
}
