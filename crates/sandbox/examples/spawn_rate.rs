//! How long children take from asking to their first word, and to their end: a tool server, and a box with every
//! layer, beside the bare namespaces of such a box made by `unshare`, in turns: `spawn_rate [ROUNDS]`.
//!
//! The last line compares: the box's first word over that of the bare namespaces, and its starts per second.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ringfence_sandbox::{
    Command, Limits, Network, Root, Spawner, SpawnerProgram, become_spawner_if_asked, start_spawner,
};
use tokio::io::AsyncReadExt;

type Failure = Box<dyn std::error::Error>;

/// The namespaces of a box, as the options of unshare(1).
const BARE: [&str; 10] = [
    "--user",
    "--map-current-user",
    "--mount",
    "--net",
    "--ipc",
    "--uts",
    "--cgroup",
    "--time",
    "--pid",
    "--fork",
];

/// Children one after another between two changes of kind, so that none meets the others' tear-down alone.
const IN_A_ROW: usize = 20;

/// Times of one kind of child.
struct Times {
    what: &'static str,
    running: Vec<Duration>,
    word: Vec<Duration>,
    end: Vec<Duration>,
    whole: Duration,
}

fn main() -> Result<(), Failure> {
    become_spawner_if_asked();
    let rounds: usize = std::env::args().nth(1).map_or(Ok(10), |count| count.parse())?;
    let bootstrap = start_spawner::<&str>(&SpawnerProgram::this(), &[])?;
    for layer in bootstrap.run_layers().missing() {
        println!("{layer}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let spawner = bootstrap.into_async()?;
        let server = Command::new("/bin/echo").argument("x");
        let limits = Limits { memory_bytes: Some(1 << 30), cpu_percent: Some(200), ..Limits::default() };
        let boxed = server.clone().root(Root::system()).network(Network::Gateway);
        let full = boxed.clone().limits(limits);
        let mut server_times = Times::new("tool server");
        let mut boxed_times = Times::new("box without memory and cpu limits");
        let mut full_times = Times::new("box");
        let mut bare_times = Times::new("bare namespaces");
        for _ in 0..rounds {
            server_times.sandboxes(&spawner, &server).await?;
            boxed_times.sandboxes(&spawner, &boxed).await?;
            full_times.sandboxes(&spawner, &full).await?;
            bare_times.bare()?;
        }
        for times in [&mut server_times, &mut boxed_times, &mut full_times, &mut bare_times] {
            times.report();
        }
        let mut ratio = |part| {
            at(&mut full_times.word, part).as_secs_f64() / at(&mut bare_times.word, part).as_secs_f64()
        };
        // On a machine that is busy with other things, the quickest tenth is what tells.
        println!(
            "box over bare: first word {:.2} × (of the quickest tenth {:.2} ×), starts/s {:.2} ×",
            ratio(50),
            ratio(10),
            full_times.rate() / bare_times.rate()
        );
        Ok(())
    })
}

// === impl Times ===

impl Times {
    fn new(what: &'static str) -> Self {
        Self { what, running: Vec::new(), word: Vec::new(), end: Vec::new(), whole: Duration::ZERO }
    }

    async fn sandboxes(&mut self, spawner: &Spawner, command: &Command) -> Result<(), Failure> {
        let whole = Instant::now();
        for _ in 0..IN_A_ROW {
            let begin = Instant::now();
            let mut child = spawner.spawn(command).await?;
            self.running.push(begin.elapsed());
            child.stdout.read_u8().await?;
            self.word.push(begin.elapsed());
            child.process.exited().await;
            self.end.push(begin.elapsed());
        }
        self.whole += whole.elapsed();
        Ok(())
    }

    fn bare(&mut self) -> Result<(), Failure> {
        let whole = Instant::now();
        for _ in 0..IN_A_ROW {
            let begin = Instant::now();
            let mut child = std::process::Command::new("unshare")
                .args(BARE)
                .args(["/bin/echo", "x"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut stdout = child.stdout.take().ok_or("no output")?;
            stdout.read_exact(&mut [0])?;
            self.word.push(begin.elapsed());
            child.wait()?;
            self.end.push(begin.elapsed());
        }
        self.whole += whole.elapsed();
        Ok(())
    }

    fn rate(&self) -> f64 {
        let count = u32::try_from(self.end.len()).unwrap_or(u32::MAX);
        f64::from(count) / self.whole.as_secs_f64()
    }

    fn report(&mut self) {
        let rate = self.rate();
        println!(
            "{}: started p50 {:?}, first word p10 {:?} p50 {:?} p99 {:?}, end p50 {:?}, {rate:.0} starts/s over {}",
            self.what,
            p50(&mut self.running),
            at(&mut self.word, 10),
            p50(&mut self.word),
            at(&mut self.word, 99),
            p50(&mut self.end),
            self.end.len(),
        );
    }
}

fn p50(times: &mut [Duration]) -> Duration {
    at(times, 50)
}

fn at(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * part / 100).copied().unwrap_or_default()
}
