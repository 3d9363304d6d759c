//! The drivers of runs, each by setting up a sandbox of it.

use std::path::Path;

use ringfence_sandbox::{
    DriverName, Posture, SpawnError, Spawner, SpawnerProgram, start_spawner, try_program,
};

use super::{Finding, State};

const SECTION: &str = "drivers of runs";

/// So many layers that are missing are named.
const NAMED_MAX: usize = 4;

/// What there is of each.
pub(super) fn findings() -> Vec<Finding> {
    let Ok(bootstrap) = start_spawner::<&Path>(&SpawnerProgram::this(), &[]) else {
        // What lacks stands above.
        return Vec::new();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    runtime.block_on(async {
        let Ok(spawner) = bootstrap.into_async() else { return Vec::new() };
        let mut all = Vec::new();
        for name in DriverName::ALL {
            all.push(finding(name, probe(&spawner, name).await));
        }
        all
    })
}

async fn probe(spawner: &Spawner, name: DriverName) -> Result<Posture, SpawnError> {
    let driver = spawner.driver(name).await?;
    let posture = driver.probe().await?;
    try_program(&*driver).await?;
    Ok(posture)
}

fn finding(name: DriverName, probed: Result<Posture, SpawnError>) -> Finding {
    let (state, detail, remedy) = match probed {
        Ok(posture) => (State::Good, told(&posture), None),
        // Nothing lacks where nobody asked for it.
        Err(SpawnError::NoRuntime { .. }) => (
            State::Good,
            format!("{name} is not on this machine, and only a run with `driver: {name}` needs it"),
            None,
        ),
        Err(error @ SpawnError::Useless { .. }) => {
            let way = format!("a newer {name}; until then, no run with `driver: {name}`");
            (State::Less, error.to_string(), Some(way))
        }
        Err(error) => (State::Less, error.to_string(), Some(way_out(name).to_owned())),
    };
    Finding { section: SECTION, name: name.to_string(), state, detail, remedy }
}

/// What it has, and what it lacks where that is little.
fn told(posture: &Posture) -> String {
    let all = posture.layers.iter().count();
    let missing: Vec<&str> = posture.layers.missing().map(|layer| layer.name.as_str()).collect();
    let (driver, count) = (posture.driver(), all - missing.len());
    match missing.len() {
        0 => format!("{driver}, with all {all} layers"),
        1..=NAMED_MAX => format!("{driver}, with {count} of {all} layers: without {}", missing.join(", ")),
        _ if !posture.driver.has_network() => {
            format!("{driver}, with {count} of {all} layers: no namespace, no network")
        }
        _ => format!("{driver}, with {count} of {all} layers; `ringfence runs show` names them"),
    }
}

fn way_out(name: DriverName) -> &'static str {
    match name {
        DriverName::Local => {
            "allow user namespaces as above, or give runs `driver: restricted`, which has no network"
        }
        DriverName::Restricted => "Linux 6.12 or newer with Landlock enabled at boot",
        DriverName::Runc | DriverName::Crun | DriverName::Runsc => {
            "user namespaces as above, cgroup v2, and a runtime of 2022 or newer"
        }
    }
}
