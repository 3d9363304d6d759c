//! Runs that a node does not know any more.

use std::path::Path;
use std::time::{Duration, SystemTime};

use ringfence_kernel::{Actor, Begin, Clock, EndedBy, Kernel, Options, RunStep};
use ringfence_types::{AgentName, NodeName, RunId, Timestamp, WorkspaceName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Node, NodeOptions, prepare_folder};
use crate::config::load;
use crate::setup::kernel_setup;

const CONFIG: &str = "organization: acme
workspaces:
  lab:
    environment: test
    agents: { assistant: { tools: [] } }
    policy: [policy.yaml]
";

/// A run that began and ended here three hours ago, on the disk.
async fn long_ago(options: &NodeOptions) -> RunId {
    let then = SystemTime::now().checked_sub(Duration::from_hours(3)).unwrap();
    let since = then.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let start = Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap());
    let compiled = crate::compile(load(&options.config).unwrap(), &[]).unwrap();
    prepare_folder(&options.data).unwrap();
    let open =
        Options { node: NodeName::new("test").unwrap(), clock: Clock::manual(start), segment_bytes: None };
    let (kernel, _) = Kernel::open(&options.data, open, kernel_setup(&compiled).unwrap()).await.unwrap();
    let begin = Begin {
        workspace: WorkspaceName::new("lab").unwrap(),
        agent: AgentName::new("assistant").unwrap(),
        user: None,
        conversation: None,
    };
    let run = kernel.queue_run(begin, &Actor::node()).await.unwrap().id;
    let ended = RunStep::Ended {
        why: EndedBy::Person,
        reason: "enough".into(),
        exit: None,
        output_bytes: 0,
        used: None,
    };
    kernel.step_run(run, ended, &Actor::node()).await.unwrap();
    kernel.stop().await;
    run
}

async fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_known_no_more_is_told_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("ringfence.yaml", CONFIG), ("policy.yaml", "rules: []\n")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let options = NodeOptions {
        config: folder.path().join("ringfence.yaml"),
        data: folder.path().join("data"),
        gateway: "127.0.0.1:0".parse().unwrap(),
        control: "127.0.0.1:0".parse().unwrap(),
        name: Some(NodeName::new("test").unwrap()),
        spawner: None,
    };
    let run = long_ago(&options).await;
    let node = Node::start(options).await.unwrap();
    let socket = node.addresses().socket.clone();
    // It is forgotten soon after the start.
    while get(&socket, "/api/v1/runs").await.contains(&run.to_string()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = get(&socket, &format!("/api/v1/runs/{run}")).await;
    for part in
        ["HTTP/1.1 200", "\"state\":\"ended\"", "\"ended_because\":\"enough\"", "\"ended_by\":\"person\""]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("\"actions\""), "nobody counts them any more: {told}");
    let other = RunId::new(Timestamp::from_micros(0), [7; 10]);
    assert!(get(&socket, &format!("/api/v1/runs/{other}")).await.contains("HTTP/1.1 404"));
    node.stop().await;
}
