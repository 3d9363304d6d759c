//! Many boxes at once: how long they take to start, what they weigh, and how long from the kill of one to its last
//! process gone while the others run: `crowd [COUNT]`.

use std::time::{Duration, Instant};

use ringfence_sandbox::{
    Command, Limits, Network, Root, SpawnerProgram, become_spawner_if_asked, start_spawner,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    become_spawner_if_asked();
    let count: usize = std::env::args().nth(1).map_or(Ok(100), |count| count.parse())?;
    let bootstrap = start_spawner::<&str>(&SpawnerProgram::this(), &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let spawner = bootstrap.into_async()?;
        let limits = Limits { memory_bytes: Some(1 << 28), cpu_percent: Some(100), ..Limits::default() };
        let command = Command::new("/bin/sleep").argument("1000");
        let command = command.root(Root::system()).network(Network::Gateway).limits(limits);
        let before = available();
        let begin = Instant::now();
        let mut boxes = Vec::new();
        for _ in 0..count {
            boxes.push(spawner.spawn(&command).await?);
        }
        println!("{count} boxes started in {:?}", begin.elapsed());
        let each = before.saturating_sub(available()) / count.max(1) as u64;
        println!("{each} kB of the machine's memory each, the program's own included");
        let mut times = Vec::new();
        while let Some(mut one) = boxes.pop() {
            let begin = Instant::now();
            one.process.kill();
            one.process.exited().await;
            times.push(begin.elapsed());
            // Between one half and none, they go together.
            if boxes.len() <= count / 2 {
                break;
            }
        }
        report("kill to gone, one by one", &mut times);
        let begin = Instant::now();
        for one in &boxes {
            one.process.kill();
        }
        let mut together = Vec::new();
        for one in &mut boxes {
            one.process.exited().await;
            together.push(begin.elapsed());
        }
        report("kill to gone, the rest together", &mut together);
        Ok(())
    })
}

/// Memory that programs could still get, in kB.
fn available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
    println!(
        "{what}: p50 {:?}, p99 {:?} over {}",
        at(50).copied().unwrap_or_default(),
        at(99).copied().unwrap_or_default(),
        times.len()
    );
}
