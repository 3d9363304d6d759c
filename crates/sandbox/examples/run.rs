//! Runs a program as a tool server is run, to see how it fares: `run PROGRAM [ARGUMENT…]`.

use std::path::Path;

use ringfence_sandbox::{Command, SpawnerProgram, become_spawner_if_asked, start_spawner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    become_spawner_if_asked();
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: run PROGRAM [ARGUMENT…]")?;
    let command = Command::new(program).arguments(arguments);
    let bootstrap = start_spawner::<&Path>(&SpawnerProgram::this(), &[])?;
    for layer in bootstrap.layers().missing() {
        eprintln!("{layer}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut child = bootstrap.into_async()?.spawn(&command).await?;
        // Whoever types keeps the program waiting for more; the end of the input ends that.
        let mut stdin = child.stdin;
        tokio::spawn(async move { tokio::io::copy(&mut tokio::io::stdin(), &mut stdin).await });
        tokio::io::copy(&mut child.stdout, &mut tokio::io::stdout()).await?;
        let status = child.process.exited().await;
        eprintln!("{}{status}", child.stderr.tail());
        // Not by return: that would wait for a terminal at which nobody types.
        std::process::exit(i32::from(!status.success()))
    })
}
