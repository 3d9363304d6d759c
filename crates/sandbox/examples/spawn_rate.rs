//! How long a child takes from asking to its program running, and to its end: `spawn_rate [COUNT]`.

use std::time::{Duration, Instant};

use ringfence_sandbox::{Command, SpawnerProgram, become_spawner_if_asked, start_spawner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    become_spawner_if_asked();
    let count = std::env::args().nth(1).map_or(Ok(200), |count| count.parse())?;
    let bootstrap = start_spawner::<&str>(&SpawnerProgram::this(), &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let spawner = bootstrap.into_async()?;
        let command = Command::new("/bin/true");
        let (mut started, mut ended) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let begin = Instant::now();
            let mut child = spawner.spawn(&command).await?;
            started.push(begin.elapsed());
            child.process.exited().await;
            ended.push(begin.elapsed());
        }
        report("running", started);
        report("ended", ended);
        Ok(())
    })
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p99 {:?} over {} children", at(50), at(99), times.len());
}
