//! What agents keep from one run to the next: given before the program runs, kept when it has ended, one run at a time.
//! `RINGFENCE_KILLS` says how often the node is killed; `RINGFENCE_SEED` plays one again.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ringfence_tests::audit;
use ringfence_tests::chance::Chance;
use ringfence_tests::cli::Said;
use ringfence_tests::config::Config;
use ringfence_tests::disk::{self, Filler};
use ringfence_tests::limits::EFFECT;
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::patience::eventually;
use serde_json::Value;

const POLICY: &str = "rules:\n  - { name: everything, match: {}, decision: ALLOW }\n";

/// How often the node is killed, unless the environment says otherwise.
const KILLS: u64 = 4;

/// The log allocates two segments of 64 MiB and 12 MiB for payloads ahead of need; the rest is for what agents keep.
const DISK_MIB: u32 = 192;

/// Agents that are shell scripts and keep something: name, size, script.
fn config(agents: &[(&str, &str, &str)]) -> Config {
    let one = |(name, size, script): &(&str, &str, &str)| {
        let script = script.replace('\'', "''");
        format!(
            "      {name}:\n        run: {{ command: [sh, -c, '{script}'], state: {{ size: {size} }} }}\n"
        )
    };
    let agents = agents.iter().map(one).collect::<Vec<_>>().concat();
    let config = format!(
        "organization: acme\nworkspaces:\n  lab:\n    environment: test\n    agents:\n{agents}    policy: [policy.yaml]\n"
    );
    Config { files: vec![("ringfence.yaml", config), ("policy.yaml", POLICY.to_owned())] }
}

/// Counts its runs, and takes its time about it.
const COUNTER: &str =
    "cd /agent/state; n=$(cat n 2>/dev/null || echo 0); sleep 0.1; echo $((n+1)) > n; cat n";

async fn run(node: &Node, agent: &str) -> Said {
    node.cli(&["run", agent, "-w", "lab"]).await
}

async fn begin(node: &Node, agent: &str) -> String {
    node.cli(&["run", agent, "-w", "lab", "--detach"]).await.expect(0).stdout.trim().to_owned()
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

async fn versions(node: &Node, agent: &str) -> Vec<Value> {
    let listed = node.cli(&["runs", "state", "list", "--agent", agent, "--json"]).await.expect(0).lines();
    listed.first().map(|state| state["versions"].as_array().unwrap().clone()).unwrap_or_default()
}

fn numbers(versions: &[Value]) -> Vec<u64> {
    versions.iter().map(|version| version["version"].as_u64().unwrap()).collect()
}

async fn state(node: &Node, how: &str, agent: &str, more: &[&str]) -> Said {
    let mut arguments = vec!["runs", "state", how, "-w", "lab", "--agent", agent];
    arguments.extend(more);
    node.cli(&arguments).await
}

/// What is in a version, unpacked.
async fn exported(node: &Node, agent: &str, version: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("state.tar");
    let version = version.to_string();
    state(node, "export", agent, &["--version", &version, "-o", tar.to_str().unwrap()]).await.expect(0);
    let into = tempfile::tempdir().unwrap();
    let status = Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(into.path()).status().unwrap();
    assert!(status.success());
    into
}

async fn events(node: &Node, kind: &str) -> Vec<Value> {
    audit::entries(node, kind).await
}

#[tokio::test]
async fn what_an_agent_keeps_is_there_in_its_next_run_and_sealed_between() {
    let script = "cd /agent/state; cat notes 2>/dev/null; echo remember-this-word >> notes; ln -sf notes link; mkdir -p a; ln -f notes a/again; \
        touch /agent/state/../x 2>/dev/null && echo out; exit 0";
    let node =
        Node::start(&config(&[("keeper", "1Mi", script), ("other", "1Mi", "ls -A /agent/state")])).await;
    assert_eq!(run(&node, "keeper").await.expect(0).stdout, "");
    assert_eq!(run(&node, "keeper").await.expect(0).stdout, "remember-this-word\n");
    assert_eq!(run(&node, "keeper").await.expect(0).stdout, "remember-this-word\n".repeat(2));
    assert_eq!(run(&node, "other").await.expect(0).stdout, "", "each agent has its own");
    let kept = versions(&node, "keeper").await;
    assert_eq!(numbers(&kept), [1, 2, 3]);
    assert_eq!((&kept[2]["why"], &kept[2]["bytes"]), (&"program".into(), &57.into()));
    let entries = events(&node, "run").await;
    let of = |event: &str| -> Vec<&Value> {
        entries.iter().filter(|entry| entry["event"] == event && entry["agent"] == "keeper").collect()
    };
    let digests =
        |entries: &[&Value]| -> Vec<Value> { entries.iter().map(|entry| entry["sha256"].clone()).collect() };
    assert_eq!(of("state_kept").len(), 3);
    assert_eq!(
        digests(&of("state_given")),
        digests(&of("state_kept")[..2]),
        "each begins with what the one before left"
    );
    // Nothing of it stands in the clear.
    let mut left = vec![node.data()];
    let mut sealed = 0;
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_file() && path.starts_with(node.data().join("state")) {
                let content = std::fs::read(&path).unwrap();
                assert!(!content.windows(18).any(|part| part == b"remember-this-word"), "{}", path.display());
                sealed += 1;
            }
        }
    }
    assert!(sealed > 3);
    let unpacked = exported(&node, "keeper", 3).await;
    assert_eq!(std::fs::read_link(unpacked.path().join("link")).unwrap(), Path::new("notes"));
    let notes = std::fs::read_to_string(unpacked.path().join("a/again")).unwrap();
    assert_eq!(notes, "remember-this-word\n".repeat(3));
    audit::verify(&node).await;
}

#[tokio::test]
async fn one_run_has_it_at_a_time_the_others_wait_and_say_for_what() {
    let node =
        Node::start(&config(&[("counter", "1Mi", COUNTER), ("holder", "1Mi", "echo mine; sleep 1000")]))
            .await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(begin(&node, "counter").await);
    }
    for run in &all {
        until(&node, run, "ended").await;
    }
    assert_eq!(run(&node, "counter").await.expect(0).stdout, "6\n", "none of them was lost");

    let first = begin(&node, "holder").await;
    until(&node, &first, "running").await;
    let second = begin(&node, "holder").await;
    let view = eventually(EFFECT, "it says for what it waits", async || {
        let view = show(&node, &second).await;
        view["waits_for"].is_string().then_some(view)
    })
    .await;
    assert_eq!(view["state"], "queued");
    assert_eq!(view["waits_for"], format!("the state of lab/holder, which {first} has"));
    for (how, more) in [("restore", &["--version", "1"][..]), ("clear", &[])] {
        let refused = state(&node, how, "holder", more).await.expect(1);
        assert!(refused.stderr.contains(&first) && refused.stderr.contains("runs stop"), "{refused:?}");
    }
    node.cli(&["runs", "stop", &first]).await.expect(0);
    until(&node, &second, "running").await;
    assert!(show(&node, &second).await.get("waits_for").is_none());
    node.cli(&["kill", &second]).await.expect(0);
    until(&node, &second, "ended").await;
    let kept = versions(&node, "holder").await;
    let by_person: Vec<_> = kept.iter().map(|version| version["why"].as_str().unwrap()).collect();
    assert_eq!(by_person, ["person", "person"], "one that is stopped or killed leaves a version too");
    // In the log, the second begins after the end of the first.
    let entries = events(&node, "run").await;
    let place = |run: &str, event: &str| {
        entries.iter().position(|entry| entry["run"] == run && entry["event"] == event)
    };
    assert!(place(&first, "ended").unwrap() < place(&second, "starting").unwrap());
}

#[tokio::test]
async fn a_run_whose_state_one_above_it_has_says_so_instead_of_waiting_for_ever() {
    let script = "echo mine > /agent/state/mine; curl -sS -H content-type:application/json -d {\\\"agent\\\":\\\"lead\\\"} http://gateway/api/v1/runs; sleep 1000";
    let mut config = config(&[("lead", "1Mi", script)]);
    config.files[0].1 = config.files[0].1.replace("      lead:\n", "      lead:\n        spawn: [lead]\n");
    let node = Node::start(&config).await;
    let lead = begin(&node, "lead").await;
    let child = eventually(EFFECT, "a run that it started has ended", async || {
        let runs = node.api("/api/v1/runs").await.json();
        let ended = |run: &&Value| run["run"] != lead.as_str() && run["state"] == "ended";
        runs["runs"].as_array().unwrap().iter().find(ended).cloned()
    })
    .await;
    assert_eq!(child["ended_by"], "start");
    let because = child["ended_because"].as_str().unwrap();
    assert!(
        because.contains(&format!("the state of lab/lead is {lead}'s, which is above this run")),
        "{because}"
    );
    assert_eq!(show(&node, &lead).await["state"], "running");
}

#[tokio::test]
async fn two_that_want_each_others_state_do_not_wait_for_one_another_for_ever() {
    let signs = tempfile::tempdir().unwrap();
    let script = |other: &str| {
        format!(
            "until test -e /signs/go; do sleep 0.05; done; curl -sS -H content-type:application/json -d {{\\\"agent\\\":\\\"{other}\\\"}} http://gateway/api/v1/runs; sleep 1000"
        )
    };
    let (left, right) = (script("right"), script("left"));
    let mut config = config(&[("left", "1Mi", &left), ("right", "1Mi", &right)]);
    let text = &mut config.files[0].1;
    for (name, other) in [("left", "right"), ("right", "left")] {
        *text =
            text.replace(&format!("      {name}:\n"), &format!("      {name}:\n        spawn: [{other}]\n"));
    }
    let mounts = format!("mounts: [{{ source: '{}', target: /signs }}], state:", signs.path().display());
    *text = text.replace("state:", &mounts);
    let node = Node::start(&config).await;
    let both = [begin(&node, "left").await, begin(&node, "right").await];
    for run in &both {
        until(&node, run, "running").await;
    }
    std::fs::write(signs.path().join("go"), "").unwrap();
    // Each has started one of the other agent: one waits, and the one that would have closed the circle has ended.
    let children = eventually(EFFECT, "one of those that they started has ended", async || {
        let runs = node.api("/api/v1/runs").await.json()["runs"].as_array().unwrap().clone();
        let children: Vec<Value> = runs.into_iter().filter(|run| run["parent"].is_string()).collect();
        (children.len() == 2 && children.iter().any(|run| run["state"] == "ended")).then_some(children)
    })
    .await;
    let (ended, waits): (Vec<&Value>, Vec<&Value>) = children.iter().partition(|run| run["state"] == "ended");
    assert_eq!((ended.len(), waits.len()), (1, 1), "{children:?}");
    assert_eq!(ended[0]["ended_by"], "start");
    let because = ended[0]["ended_because"].as_str().unwrap();
    assert!(because.contains("they would wait for one another"), "{because}");
    assert!(waits[0]["waits_for"].is_string(), "{}", waits[0]);
    // When those above are stopped, nothing of it stays.
    for run in &both {
        node.cli(&["runs", "stop", run]).await.expect(0);
        until(&node, run, "ended").await;
    }
}

#[tokio::test]
async fn an_earlier_version_is_the_newest_again_and_all_can_be_removed() {
    let node = Node::start(&config(&[("counter", "1Mi", COUNTER)])).await;
    for count in 1..=3 {
        assert_eq!(run(&node, "counter").await.expect(0).stdout, format!("{count}\n"));
    }
    let said = state(&node, "restore", "counter", &["--version", "1"]).await.expect(0);
    assert_eq!(said.stdout, "version 4 is version 1 again\n");
    assert_eq!(run(&node, "counter").await.expect(0).stdout, "2\n");
    let wrong = state(&node, "restore", "counter", &["--version", "9"]).await.expect(1);
    assert!(wrong.stderr.contains("there are: 1, 2, 3, 4, 5"), "{wrong:?}");
    let table = node.cli(&["runs", "state", "list"]).await.expect(0).stdout;
    assert!(table.contains("version 1, restored"), "{table}");
    assert_eq!(state(&node, "clear", "counter", &[]).await.expect(0).stdout, "5 versions were removed\n");
    assert_eq!(run(&node, "counter").await.expect(0).stdout, "1\n");
    assert_eq!(numbers(&versions(&node, "counter").await), [6], "no number is used twice");
    let entries = events(&node, "run").await;
    let by: Vec<(&str, &str)> = entries
        .iter()
        .filter(|entry| ["state_restored", "state_cleared"].contains(&entry["event"].as_str().unwrap()))
        .map(|entry| (entry["event"].as_str().unwrap(), entry["by"].as_str().unwrap()))
        .collect();
    assert_eq!(by, [("state_restored", "owner"), ("state_cleared", "owner")]);
    let nobody = state(&node, "clear", "nobody", &[]).await.expect(1);
    assert!(nobody.stderr.contains("keeps nothing"), "{nobody:?}");
    audit::verify(&node).await;
}

#[tokio::test]
async fn a_version_that_does_not_verify_is_never_given_to_a_run() {
    let node = Node::start(&config(&[("counter", "1Mi", COUNTER)])).await;
    for _ in 0..2 {
        run(&node, "counter").await.expect(0);
    }
    let newest = node.data().join("state/lab/counter/2.state");
    let mut bytes = std::fs::read(&newest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let refused = run(&node, "counter").await;
    assert_ne!(refused.code, Some(0));
    for said in
        ["version 2 does not verify", "ringfence runs state restore -w lab --agent counter --version N"]
    {
        assert!(refused.stderr.contains(said), "{said}: {refused:?}");
    }
    assert_eq!(
        numbers(&versions(&node, "counter").await),
        [1, 2],
        "a run that did not begin leaves no version"
    );
    let damaged = state(&node, "restore", "counter", &["--version", "2"]).await.expect(1);
    assert!(damaged.stderr.contains("does not verify"), "{damaged:?}");
    state(&node, "restore", "counter", &["--version", "1"]).await.expect(0);
    assert_eq!(run(&node, "counter").await.expect(0).stdout, "2\n");
}

#[tokio::test]
async fn what_no_longer_fits_refuses_the_run_and_nothing_is_lost() {
    let script = "cd /agent/state; [ -e blob ] || head -c 900K /dev/zero > blob; ls -s blob";
    let mut node = Node::start(&config(&[("keeper", "1Mi", script)])).await;
    run(&node, "keeper").await.expect(0);
    node.stop().await;
    node.reconfigure(&config(&[("keeper", "512Ki", script)]));
    node.restart().await;
    let refused = run(&node, "keeper").await;
    assert!(refused.stderr.contains("give it a larger `state: { size: … }`"), "{refused:?}");
    node.stop().await;
    node.reconfigure(&config(&[("keeper", "2Mi", script)]));
    node.restart().await;
    run(&node, "keeper").await.expect(0);
    assert_eq!(numbers(&versions(&node, "keeper").await), [1, 2]);
}

#[tokio::test]
async fn a_node_that_is_stopped_keeps_what_its_runs_had() {
    let script = "cd /agent/state; cat n 2>/dev/null; echo kept > n; echo left > /agent/out/left; echo ready; sleep 1000";
    let mut node = Node::start(&config(&[("keeper", "1Mi", script)])).await;
    let first = begin(&node, "keeper").await;
    eventually(EFFECT, "it is ready", async || {
        node.cli(&["runs", "logs", &first]).await.stdout.contains("ready").then_some(())
    })
    .await;
    assert_eq!(node.stop().await, Some(0));
    node.restart().await;
    let kept = versions(&node, "keeper").await;
    assert_eq!((numbers(&kept), &kept[0]["why"]), (vec![1], &"node".into()));
    let left = node.cli(&["runs", "artifacts", &first, "--json"]).await.expect(0).json();
    assert_eq!(left["artifacts"][0]["name"], "left");
    let second = begin(&node, "keeper").await;
    eventually(EFFECT, "the next run has it", async || {
        node.cli(&["runs", "logs", &second]).await.stdout.starts_with("kept\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hostile_folder_is_kept_without_what_is_no_file_or_not_at_all() {
    let hostile = "cd /agent/state; ln -sf /etc/passwd p; mkfifo f; truncate -s 3G sparse; [ -s sparse ] || exit 4; echo odd > \"$(printf \"new\\nline\")\"; \
        chmod 000 p 2>/dev/null; echo shut > shut; chmod 000 shut; cat /agent/state/shut; true";
    let deep = "cd /agent/state; d=.; for i in $(seq 1 70); do d=$d/d; done; mkdir -p $d; echo made";
    let full = "cd /agent/state; head -c 10M /dev/zero > full; ls | wc -l";
    let many = "cd /agent/state; seq 1 5000 | xargs touch 2>/dev/null; ls | wc -l";
    let agents =
        [("hostile", "1Mi", hostile), ("deep", "1Mi", deep), ("full", "1Mi", full), ("many", "1Mi", many)];
    let node = Node::start(&config(&agents)).await;
    for _ in 0..2 {
        run(&node, "hostile").await.expect(0);
    }
    let kept = versions(&node, "hostile").await;
    assert_eq!(numbers(&kept), [1, 2], "it comes back, gigabytes of holes and all");
    let entries = events(&node, "run").await;
    let left_out: Vec<&Value> = entries.iter().filter(|entry| entry["event"] == "state_kept").collect();
    assert!(left_out.iter().all(|entry| entry["left_out_count"] == 1), "{left_out:?}");

    run(&node, "deep").await.expect(0);
    assert!(versions(&node, "deep").await.is_empty());
    let incidents = events(&node, "incident").await;
    let incident = incidents.iter().find(|incident| incident["event"] == "state_not_kept").unwrap();
    assert!(incident["reason"].as_str().unwrap().contains("64 folders deep"), "{incident}");

    for agent in ["full", "many"] {
        let first = run(&node, agent).await.stdout;
        let second = run(&node, agent).await.stdout;
        assert_eq!(first, second);
        assert_eq!(numbers(&versions(&node, agent).await), [1, 2], "what filled it once fits again: {agent}");
    }
    audit::verify(&node).await;
}

/// Writes two megabytes and what they are, in that order; and what run that was.
const BLOB: &str = "cd /agent/state; n=$(cat n 2>/dev/null || echo 0); [ $n = 0 ] || sha256sum -c --quiet sum || exit 9; \
    head -c 2000000 /dev/urandom > blob; sha256sum blob > sum; echo $((n+1)) > n";

#[tokio::test]
async fn a_node_that_is_killed_leaves_the_newest_version_old_or_new_and_never_torn() {
    let kills = std::env::var("RINGFENCE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut chance = Chance::seeded();
    let agents = [("one", "8Mi", BLOB), ("two", "8Mi", BLOB), ("three", "8Mi", BLOB)];
    let mut node = Node::start(&config(&agents)).await;
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for kill in 0..kills {
        for (agent, _, _) in agents {
            for _ in 0..3 {
                begin(&node, agent).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        node.kill().await;
        node.restart().await;
        for (agent, _, _) in agents {
            let kept = versions(&node, agent).await;
            let numbers = numbers(&kept);
            let last = numbers.last().copied().unwrap_or(0);
            assert!(
                last >= newest.get(agent).copied().unwrap_or(0),
                "kill {kill}: {agent} lost its newest: {numbers:?}"
            );
            newest.insert(agent, last);
            for number in numbers {
                let unpacked = exported(&node, agent, number).await;
                let status = Command::new("sha256sum")
                    .args(["-c", "--quiet", "sum"])
                    .current_dir(unpacked.path())
                    .status();
                assert!(status.unwrap().success(), "kill {kill}: version {number} of {agent} is torn");
            }
        }
        audit::verify(&node).await;
    }
    for (agent, _, _) in agents {
        run(&node, agent).await.expect(0);
        let left = std::fs::read_dir(node.data().join("state/lab").join(agent)).unwrap().count();
        assert_eq!(
            left,
            versions(&node, agent).await.len() + 1,
            "its versions and their index, and nothing else"
        );
    }
    println!("newest: {newest:?}");
    assert!(newest.values().any(|last| *last > 1), "no run ended before a kill: {newest:?}");
}

#[tokio::test]
async fn on_a_full_disk_the_versions_before_stay_and_it_is_said() {
    let test = "on_a_full_disk_the_versions_before_stay_and_it_is_said";
    let Some(disk) = disk::small(test, DISK_MIB) else { return };
    let surroundings = Surroundings { data: Some(disk.join("data")), ..Surroundings::default() };
    let script = "cd /agent/state; cat n 2>/dev/null; trap \"head -c 4000000 /dev/urandom > blob; echo late > n; exit 0\" TERM; \
        [ -e n ] || { echo early > n; exit 0; }; echo ready; while :; do sleep 0.05; done";
    let node = Node::start_in(surroundings, &config(&[("keeper", "8Mi", script)])).await;
    run(&node, "keeper").await.expect(0);
    assert_eq!(numbers(&versions(&node, "keeper").await), [1]);
    let second = begin(&node, "keeper").await;
    eventually(EFFECT, "it is ready", async || {
        let printed = node.cli(&["runs", "logs", &second]).await;
        printed.stdout.contains("ready").then_some(())
    })
    .await;
    let filler = Filler::new(&disk);
    node.cli(&["runs", "stop", &second]).await.expect(0);
    until(&node, &second, "ended").await;
    assert_eq!(numbers(&versions(&node, "keeper").await), [1]);
    drop(filler);
    let entries = events(&node, "run").await;
    let said = entries.iter().find(|entry| entry["event"] == "state_not_kept").unwrap();
    assert!(said["reason"].as_str().unwrap().contains("lab/keeper has what it had before"), "{said}");
    let incidents = events(&node, "incident").await;
    assert!(incidents.iter().any(|incident| incident["event"] == "state_not_kept"), "{incidents:?}");
    let third = begin(&node, "keeper").await;
    eventually(EFFECT, "the next run has the version before", async || {
        let printed = node.cli(&["runs", "logs", &third]).await;
        printed.stdout.starts_with("early\n").then_some(())
    })
    .await;
    node.cli(&["runs", "stop", &third]).await.expect(0);
    until(&node, &third, "ended").await;
    assert_eq!(numbers(&versions(&node, "keeper").await), [1, 2], "there is room again");
    audit::verify(&node).await;
}
