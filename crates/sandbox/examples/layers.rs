//! Prints what this machine gives a tool server, as `ringfence doctor` does.

use ringfence_sandbox::{LayerState, SpawnerProgram, become_spawner_if_asked, probe};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    become_spawner_if_asked();
    for layer in probe(&SpawnerProgram::this())?.iter() {
        println!("{layer}");
        if let LayerState::Missing(_) = layer.state {
            println!("    without it: {}\n    to get it: {}", layer.name.without(), layer.name.remedy());
        }
    }
    Ok(())
}
