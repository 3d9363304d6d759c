//! Runs started, paused, stopped and killed at random, with kill -9 of the node in between: nothing is left on the machine,
//! and every run's record is complete. `RINGFENCE_RUNS` and `RINGFENCE_KILLS` say how many; `RINGFENCE_SEED` plays one again.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use ringfence_mock_model::{MockModel, Options};
use ringfence_tests::agents::{AGENTS, a_silent_host, config, write_files};
use ringfence_tests::audit;
use ringfence_tests::chance::Chance;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::lives::Lives;
use ringfence_tests::mcp::http::{Answer, try_over, try_post_over};
use ringfence_tests::models::{KEY, Log, Scene};
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::patience::{eventually, eventually_true};
use ringfence_tests::remains::{Remains, descriptors, of_runs};
use ringfence_tests::upstream::text;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Runs and kills, unless the environment says otherwise.
const RUNS: u64 = 40;
const KILLS: u64 = 3;

/// From so many on, everything has to have happened.
const MANY_KILLS: u64 = 20;

/// Runs under way at once, most of the time; and when there is a crowd, more than the node has places for.
const AT_ONCE: usize = 16;
const CROWD: u64 = 150;

/// Every so many kills there is one.
const CROWD_EVERY: u64 = 12;

/// The longest time that a run is left alone.
const LEFT_ALONE_MS_MAX: u64 = 1_500;

/// The longest time that the node goes on after the last start that counts.
const LAST_MOMENTS_MS_MAX: u64 = 800;

/// The longest time that a run may take when nobody ends it: its own three seconds, and the grace after them; with room for
/// a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(25);

/// What happens to a run from outside.
#[derive(Clone, Copy, Debug)]
enum Fate {
    LeftAlone,
    Stopped,
    Killed,
    StoppedThenKilled,
    /// Held until the node dies or somebody else ends it.
    Paused,
    PausedThenResumed,
    PausedThenStopped,
}

const FATES: [Fate; 7] = [
    Fate::LeftAlone,
    Fate::Stopped,
    Fate::Killed,
    Fate::StoppedThenKilled,
    Fate::Paused,
    Fate::PausedThenResumed,
    Fate::PausedThenStopped,
];

/// What the person who starts runs was told.
#[derive(Default)]
struct Known {
    /// Agents of runs that were begun.
    begun: Mutex<BTreeMap<String, String>>,
    turned_away: Mutex<Vec<String>>,
}

/// Who does one thing to one run after the other.
#[derive(Clone)]
struct Person {
    socket: PathBuf,
    known: Arc<Known>,
}

impl Person {
    /// Begins a run, sees to its fate, and waits for its end; none of it, once the node is gone.
    async fn see_through(self, agent: String, fate: Fate, waits: [Duration; 2], place: OwnedSemaphorePermit) {
        let _place = place;
        let begin = json!({ "workspace": "lab", "agent": agent, "user": "robin" });
        let Ok(answer) = try_post_over(&self.socket, "/api/v1/runs", &begin).await else { return };
        if answer.status != 200 {
            self.known.turned_away.lock().unwrap().push(answer.text());
            return;
        }
        let (run, is_held) = (text(&answer.json(), "run"), agent == "held");
        self.known.begun.lock().unwrap().insert(run.clone(), agent);
        let (first, then) = match fate {
            Fate::LeftAlone => (None, None),
            Fate::Stopped => (Some("stop"), None),
            Fate::Killed => (Some("kill"), None),
            Fate::StoppedThenKilled => (Some("stop"), Some("kill")),
            Fate::Paused => (Some("pause"), None),
            Fate::PausedThenResumed => (Some("pause"), Some("resume")),
            Fate::PausedThenStopped => (Some("pause"), Some("stop")),
        };
        for (order, wait) in [first, then].into_iter().zip(waits) {
            let Some(order) = order else { break };
            tokio::time::sleep(wait).await;
            // It may be over, or not far enough.
            if self.order(&run, order).await.is_none() {
                return;
            }
        }
        // What may not begin has no time that could be up.
        let patience = if is_held { Duration::ZERO } else { PATIENCE };
        let ending = self.until_ended(&run);
        if tokio::time::timeout(patience, ending).await.is_err() && self.order(&run, "kill").await.is_some() {
            assert!(is_held, "a run of {PATIENCE:?} and more: {run}");
            self.until_ended(&run).await;
        }
    }

    /// Returns when it has ended, or nobody is there to ask.
    async fn until_ended(&self, run: &str) {
        while self.state(run).await.is_some_and(|state| state != "ended") {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    async fn order(&self, run: &str, order: &str) -> Option<Answer> {
        try_over(&self.socket, Method::POST, &format!("/api/v1/runs/{run}/{order}")).await.ok()
    }

    async fn state(&self, run: &str) -> Option<String> {
        let answer = try_over(&self.socket, Method::GET, &format!("/api/v1/runs/{run}")).await.ok()?;
        Some(text(&answer.json(), "state"))
    }
}

/// Everything that is there while runs come and go.
struct Stage {
    scene: Scene,
    remains: Remains,
    chance: Chance,
    known: Arc<Known>,
    _files: tempfile::TempDir,
    _temporary: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        let chance = Chance::seeded();
        let (files, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_files(files.path());
        let options = Options { key: KEY.to_owned(), ..Options::default() };
        let mock = MockModel::start(options).await.unwrap();
        let config = config(files.path(), &mock.url(), a_silent_host().await);
        let environment = vec![("MOCK_KEY", KEY.into()), ("TMPDIR", temporary.path().to_owned())];
        let node = Node::start_in(Surroundings { environment, ..Surroundings::default() }, &config).await;
        node.cli(&["suspend", "-w", "lab", "--agent", "held", "--reason", "to wait"]).await.expect(0);
        let remains = Remains::of(node.folder(), temporary.path());
        let scene = Scene { node, mock, token: String::new() };
        Self { scene, remains, chance, known: Arc::default(), _files: files, _temporary: temporary }
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.chance.below(most))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.chance.below(all.len() as u64)).unwrap()]
    }

    /// Begins `count` runs, at most so many at once, and goes on beginning some more until `last_moments` are over.
    async fn act(&mut self, count: u64, at_once: usize, last_moments: Option<Duration>) -> JoinSet<()> {
        let person =
            Person { socket: self.scene.node.data().join("control.sock"), known: Arc::clone(&self.known) };
        let places = Arc::new(Semaphore::new(at_once));
        let mut people = JoinSet::new();
        let is_crowd = at_once > AT_ONCE;
        for _ in 0..count {
            self.begin_one(&person, &places, &mut people, is_crowd).await;
        }
        if let Some(last_moments) = last_moments {
            let going_on = async {
                loop {
                    self.begin_one(&person, &places, &mut people, false).await;
                }
            };
            let _ = tokio::time::timeout(last_moments, going_on).await;
        }
        people
    }

    async fn begin_one(
        &mut self,
        person: &Person,
        places: &Arc<Semaphore>,
        people: &mut JoinSet<()>,
        is_crowd: bool,
    ) {
        let (agent, _, _) = self.one_of(&AGENTS);
        let agent = if is_crowd { "still" } else { agent };
        let fate = self.one_of(&FATES);
        let waits = [self.millis(LEFT_ALONE_MS_MAX), self.millis(LEFT_ALONE_MS_MAX)];
        let pause = self.millis(if is_crowd { 5 } else { 40 });
        let place = Arc::clone(places).acquire_owned().await.unwrap();
        people.spawn(person.clone().see_through(agent.to_owned(), fate, waits, place));
        self.remains.look();
        tokio::time::sleep(pause).await;
    }

    /// Lets runs come and go, kills the node, and starts it again: nothing of what was there is left.
    async fn die_and_live(&mut self, count: u64, at_once: usize) {
        let last_moments = self.millis(LAST_MOMENTS_MS_MAX);
        let mut people = self.act(count, at_once, Some(last_moments)).await;
        self.remains.look();
        self.scene.node.kill().await;
        while people.join_next().await.is_some() {}
        self.scene.node.restart().await;
        let alive = [self.scene.node.pid().unwrap()];
        self.expect_nothing_left(&alive, true).await;
    }

    async fn expect_nothing_left(&self, alive: &[u32], node: bool) {
        let mut left = Vec::new();
        eventually_true(EFFECT, async || {
            left = self.remains.left(alive, node);
            left.is_empty()
        })
        .await;
        assert!(left.is_empty(), "{} things are left:\n{}", left.len(), left.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_runs_and_their_node_nothing_is_left_but_their_record() {
    let (runs, kills) =
        (number("RINGFENCE_RUNS").unwrap_or(RUNS), number("RINGFENCE_KILLS").unwrap_or(KILLS));
    let mut stage = Stage::set().await;
    let each = runs / (kills + 1);
    for kill in 1..=kills {
        let is_crowd = kill % CROWD_EVERY == 0;
        let (count, at_once) = if is_crowd { (CROWD, usize::MAX >> 4) } else { (each, AT_ONCE) };
        stage.die_and_live(count, at_once).await;
    }
    // The last ones end in peace.
    let before = descriptors(stage.scene.node.pid().unwrap());
    let missing = runs.saturating_sub(stage.known.begun.lock().unwrap().len() as u64);
    let mut people = stage.act(missing.max(each), AT_ONCE, None).await;
    while people.join_next().await.is_some() {}
    let node = stage.scene.node.pid().unwrap();
    eventually(EFFECT, "no process of a run is left", async || (of_runs(node) == 0).then_some(())).await;
    let mut more = Vec::new();
    let none_more = eventually_true(EFFECT, async || {
        more = more_than(&before, &descriptors(node));
        more.is_empty()
    });
    assert!(none_more.await, "the node holds more than before: {more:?}");

    let log = stage.scene.settled().await;
    let lives = Lives::read(&log.all);
    expect_whole(&stage, &log, &lives, kills).await;
    audit::verify(&stage.scene.node).await;
    assert_eq!(stage.scene.node.stop().await, Some(0));
    stage.expect_nothing_left(&[], false).await;
    // What was there to its end is in the log as well, as the next start reads it.
    stage.scene.node.restart().await;
    Lives::read(&stage.scene.settled().await.all).expect_ended_since(&lives);
}

/// The record of every run is complete, and says what was told and done.
async fn expect_whole(stage: &Stage, log: &Log, lives: &Lives, kills: u64) {
    lives.expect_ended();
    let begun = stage.known.begun.lock().unwrap().clone();
    for (run, agent) in &begun {
        let life = lives.0.get(run).unwrap_or_else(|| panic!("{run} was begun and is not in the log"));
        assert_eq!(life.agent, *agent);
    }
    let mut whole = 0;
    for (run, life) in &lives.0 {
        let (agent, why) = (life.agent.as_str(), life.why());
        let began = life.steps.iter().any(|step| step == "running");
        assert!(!(began && matches!(agent, "missing" | "held")), "{agent} cannot begin: {life:?}");
        let allowed: &[&str] = match agent {
            // A run for each server in a sandbox, which is there for as long as somebody calls it.
            _ if life.is_a_servers() => &["", "start", "idle", "program", "node", "crash"],
            "missing" => &["start", "person", "crash"],
            "held" => &["deadline", "person", "crash"],
            "flood" => &["output", "person", "crash", "deadline"],
            "still" => &["idle", "person", "crash", "deadline"],
            // Who was held has lost the connections that it waited for.
            "writer" | "holder" | "leaver" => &["program", "person", "crash", "deadline"],
            // With whoever has started it.
            "stubborn" => &["person", "crash", "deadline", "parent"],
            _ => &["person", "crash", "deadline"],
        };
        assert!(allowed.contains(&why.as_str()), "{agent} ended by {why}: {life:?}");
        if agent == "writer" && why == "program" {
            let output = stage.scene.node.api(&format!("/api/v1/runs/{run}/output")).await;
            assert_eq!(output.text().lines().count(), 100, "{run}: {}", output.text());
            whole += 1;
        }
    }
    let seen = stage.scene.seen().await;
    assert!(seen.requests <= log.calls.len() as u64, "the provider was asked without an intent");
    let ends: Vec<String> = lives.ends().iter().map(|(why, count)| format!("{count} {why}")).collect();
    let paused = lives.been("paused");
    println!("{} runs, {kills} kills; ended by: {}; {paused} were paused", lives.0.len(), ends.join(", "));
    let acted = |member: &str| {
        let of_kind = |entry: &&Value| entry["kind"] == "intent" && entry.get(member).is_some();
        log.all.iter().filter(of_kind).count()
    };
    let (models, tools, hosts) = (log.calls.len(), acted("tool"), acted("host"));
    let left = |event: &str| log.all.iter().filter(|entry| entry["event"] == event).count();
    let (states, artifacts, children) = (left("state_kept"), left("artifacts"), acted("spawns"));
    println!("{states} states kept, {artifacts} runs left files, {children} started by others");
    println!(
        "{models} calls of models, {tools} of tools, {hosts} connections, {} entries; {whole} outputs compared",
        log.entries
    );
    let turned_away = stage.known.turned_away.lock().unwrap();
    assert!(turned_away.is_empty(), "{turned_away:?}");
    // Few runs may by chance be without one kind of action.
    let kinds = [models, tools, hosts, states, artifacts, children];
    let kinds = kinds.into_iter().filter(|count| *count > 0).count();
    let wanted = if kills < MANY_KILLS { 1 } else { 6 };
    assert!(kinds >= wanted && stage.remains.spawners() > 0, "too little happened to say anything");
    assert!(lives.ends().contains_key("crash") && lives.ends().contains_key("person"), "{ends:?}");
}

/// Of which kinds that a run could leave open in the node there are more than before it.
fn more_than(before: &BTreeMap<String, usize>, after: &BTreeMap<String, usize>) -> Vec<String> {
    let count = |of: &BTreeMap<String, usize>, kind: &str| of.get(kind).copied().unwrap_or(0);
    let kinds = ["net", "mnt", "pid", "user", "anon_inode:[pidfd]", "sys", "proc"].into_iter();
    let more = kinds.filter(|kind| count(after, kind) > count(before, kind));
    more.map(|kind| format!("{kind}: {}, then {}", count(before, kind), count(after, kind))).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
