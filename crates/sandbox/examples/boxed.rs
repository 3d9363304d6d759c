//! Runs a program as an agent is run, to see how it fares: `boxed PROGRAM [ARGUMENT…]`. Nobody answers to the network.

use std::path::Path;

use ringfence_sandbox::{
    Command, Limits, Network, Root, SpawnerProgram, become_spawner_if_asked, start_spawner,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    become_spawner_if_asked();
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: boxed PROGRAM [ARGUMENT…]")?;
    let limits = Limits { memory_bytes: Some(1 << 30), cpu_percent: Some(200), ..Limits::default() };
    let command = Command::new(program)
        .arguments(arguments)
        .root(Root::system())
        .network(Network::Gateway)
        .limits(limits);
    let bootstrap = start_spawner::<&Path>(&SpawnerProgram::this(), &[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut child = bootstrap.into_async()?.spawn(&command).await?;
        for layer in child.process.layers().iter() {
            eprintln!("{layer}");
        }
        // Without anybody to serve them, what the program asks of the network is refused and does not wait.
        drop(child.take_sockets());
        let mut stdin = child.stdin;
        tokio::spawn(async move { tokio::io::copy(&mut tokio::io::stdin(), &mut stdin).await });
        tokio::io::copy(&mut child.stdout, &mut tokio::io::stdout()).await?;
        let status = child.process.exited().await;
        eprintln!("{}{status}", child.stderr.tail());
        // Not by return: that would wait for a terminal at which nobody types.
        std::process::exit(i32::from(!status.success()))
    })
}
