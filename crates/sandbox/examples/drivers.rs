//! Starts a program under every driver of this machine, and says how long each takes: made, then running, in milliseconds; and
//! how long a process and a thread in it take, in microseconds.

use std::time::Instant;

use ringfence_sandbox::{
    Command, Driver, DriverName, Network, Root, SpawnError, SpawnerProgram, become_spawner_if_asked,
    start_spawner,
};
use tokio::io::AsyncReadExt;

/// How often each.
const STARTS: usize = 21;

/// The least of some rounds: a process that is made and waited for, and a thread.
const WITHIN: &str = "import os, threading, time
def process():
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
def thread():
    made = threading.Thread(target=int)
    made.start()
    made.join()
def least(act):
    def round():
        begin = time.perf_counter()
        for _ in range(200): act()
        return (time.perf_counter() - begin) / 200e-6
    return min(round() for _ in range(7))
print(f'process {least(process):.0f} us, thread {least(thread):.0f} us')";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    become_spawner_if_asked();
    let bootstrap = start_spawner::<&str>(&SpawnerProgram::this(), &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let spawner = bootstrap.into_async()?;
        for name in DriverName::ALL {
            match spawner.driver(name).await {
                Ok(driver) => measure(&*driver).await?,
                Err(error) => println!("{name}: {error}"),
            }
        }
        Ok(())
    })
}

async fn measure(driver: &dyn Driver) -> Result<(), SpawnError> {
    let network = if driver.name().has_network() { Network::Gateway } else { Network::None };
    let command = Command::new("/bin/true").root(Root::system()).network(network);
    let (mut made, mut running) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begin = Instant::now();
        let created = driver.create(&command).await?;
        made.push(begin.elapsed());
        let mut child = created.exec().await?;
        running.push(begin.elapsed());
        child.process.exited().await;
    }
    made.sort();
    running.sort();
    let middle = |all: &[std::time::Duration]| all[all.len() / 2].as_secs_f64() * 1_000.0;
    let command = Command::new("/usr/bin/python3").arguments(["-SEc", WITHIN]).root(Root::system());
    let mut child = driver.create(&command.network(network)).await?.exec().await?;
    let mut within = String::new();
    // Whoever says nothing has no such program.
    let _ = child.stdout.read_to_string(&mut within).await;
    let driver = driver.probe().await?.driver();
    let (made, running) = (middle(&made), middle(&running));
    println!("{driver}: made p50 {made:.1} ms, running p50 {running:.1} ms; {}", within.trim());
    Ok(())
}
