//! Runs of a real node, as an operator starts and ends them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::config::{POLICY_OPEN, WORKSPACE};
use crate::control::Operator;
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::Times;
use crate::node::Node;

/// How long one may take to its first word.
const PATIENCE: Duration = Duration::from_secs(20);

/// Syncs of the probe after each.
const SYNCS: u32 = 2;

/// An agent: its name, and its program as YAML has it.
pub type Agent = (&'static str, &'static str);

/// What whole starts take.
pub struct Wholes {
    pub answered: Times,
    pub starting: Times,
    pub word: Times,
    pub torn_down: Times,
    pub whole: Times,
    pub probe: Probe,
}

/// Writes the configuration of a node with these agents, which have a writable folder, if there is one, as `/shared` inside.
pub fn write(folder: &Path, shared: Option<&Path>, agents: &[Agent]) -> Result<(), Failure> {
    let mounts = shared.map_or_else(String::new, |shared| {
        format!(", mounts: [{{ source: '{}', target: /shared, writable: true }}]", shared.display())
    });
    let mut config =
        format!("organization: acme\nworkspaces:\n  {WORKSPACE}:\n    environment: staging\n    agents:\n");
    for (name, command) in agents {
        let _ = write!(
            config,
            "      {name}:
        limits: {{ wall: 4h, memory: 1Gi, cpu: 2, output: 64Mi }}
        run: {{ command: {command}{mounts} }}
"
        );
    }
    config.push_str("    policy: [policy.yaml]\n");
    std::fs::write(folder.join("ringfence.yaml"), config)?;
    std::fs::write(folder.join("policy.yaml"), POLICY_OPEN)?;
    Ok(())
}

/// Starts so many runs, one after the other, each to its end.
pub async fn measure_starts(folder: &Path, count: u32) -> Result<Wholes, Failure> {
    let shared = tempfile::tempdir()?;
    let pipe = shared.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    write(folder, Some(shared.path()), &[("speaker", "[sh, -c, 'echo x > /shared/pipe']")])?;
    let node = Node::start_again(folder).await?;
    let words = listen(&pipe)?;
    let mut operator = Operator::connect(&node.socket()).await?;
    let new = Times::default;
    let probe = Probe::new(folder)?;
    let mut wholes =
        Wholes { answered: new(), starting: new(), word: new(), torn_down: new(), whole: new(), probe };
    let mut words_at = HashMap::new();
    for _ in 0..count {
        let asked = Instant::now();
        let run = operator.start("speaker").await?;
        wholes.answered.record(asked.elapsed());
        let (at, wall) = words.recv_timeout(PATIENCE).map_err(|_| failure("a run said nothing"))?;
        wholes.whole.record(at.saturating_duration_since(asked));
        operator.until(&run, "ended").await?;
        words_at.insert(run, wall);
        wholes.probe.sample(SYNCS)?;
    }
    let entries = operator.entries("run").await?;
    node.stop()?;
    wholes.read(&entries, &words_at)?;
    Ok(wholes)
}

/// Tells when something comes through a pipe.
fn listen(pipe: &Path) -> Result<mpsc::Receiver<(Instant, SystemTime)>, Failure> {
    // For reading and writing: it never comes to its end.
    let mut pipe = std::fs::File::options().read(true).write(true).open(pipe)?;
    let (sender, words) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while pipe.read(&mut buffer).is_ok_and(|length| length > 0) {
            let _ = sender.send((Instant::now(), SystemTime::now()));
        }
    });
    Ok(words)
}

// === impl Wholes ===

impl Wholes {
    /// Adds what the log says of the steps between.
    fn read(&mut self, entries: &[Value], words: &HashMap<String, SystemTime>) -> Result<(), Failure> {
        for (run, word) in words {
            let at = |event: &str| {
                let of = entries.iter().find(|entry| entry["run"] == **run && entry["event"] == event);
                of.and_then(|entry| seconds(entry["at"].as_str()?))
                    .ok_or_else(|| failure(format!("{run} has no {event} in the log")))
            };
            let word = word.duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
            let between = |from: f64, to: f64| Duration::from_secs_f64((to - from).max(0.0));
            let (queued, starting, ended) = (at("queued")?, at("starting")?, at("ended")?);
            self.starting.record(between(queued, starting));
            self.word.record(between(starting, word));
            self.torn_down.record(between(word, ended));
        }
        Ok(())
    }
}

/// Seconds within the day's hours of a time such as `2026-11-22T01:41:02.889738Z`, counted from 1970.
fn seconds(text: &str) -> Option<f64> {
    let at: ringfence_types::Timestamp = text.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit in 53 bits")]
    Some(at.as_micros() as f64 / 1e6)
}
