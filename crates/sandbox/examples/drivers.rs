//! Starts a program under every driver of this machine, and says how long each takes: made, then running, in milliseconds.

use std::time::Instant;

use ringfence_sandbox::{
    Command, Driver, DriverName, Network, Root, SpawnError, SpawnerProgram, become_spawner_if_asked,
    start_spawner,
};

/// How often each.
const STARTS: usize = 21;

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
    let driver = driver.probe().await?.driver();
    println!("{driver}: made p50 {:.1} ms, running p50 {:.1} ms", middle(&made), middle(&running));
    Ok(())
}
