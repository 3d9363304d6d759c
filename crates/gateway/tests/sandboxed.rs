//! Programs as they are, in a real sandbox whose only way out is the gateway.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Node, dana, limits, workspace};
use ringfence_kernel::{EgressGrants, Harbour as _, Mint, Minted, RunSockets};
use ringfence_sandbox::{
    Child, Command, Network, Root, Sockets, Spawner, SpawnerProgram, become_spawner_if_asked, start_spawner,
};
use ringfence_types::AgentName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const POLICY: &str = "rules: [{ name: everything, match: { kind: egress }, decision: ALLOW }]";

#[test]
#[ignore = "becomes the spawner of the other tests"]
fn the_spawner() {
    become_spawner_if_asked();
}

/// A node whose agent holds these hosts, and what starts programs.
async fn node(egress: &[&str]) -> (Node, Spawner) {
    let nothing: [&std::path::Path; 0] = [];
    let spawner = start_spawner(&SpawnerProgram::this_test("the_spawner"), &nothing).unwrap();
    let node = Node::start_with(&[], &[], POLICY, limits()).await;
    let mut setup = common::setup(POLICY, &[], &[]);
    let agents = &mut setup.workspaces.get_mut(&workspace()).unwrap().agents;
    for agent in agents.values_mut() {
        agent.egress = EgressGrants::parse(egress.iter().copied()).unwrap();
    }
    node.kernel.apply(setup, &dana()).await.unwrap();
    (node, spawner.into_async().unwrap())
}

async fn mint(node: &Node) -> Minted {
    let mint = Mint {
        workspace: workspace(),
        agent: AgentName::new("assistant").unwrap(),
        user: None,
        conversation: None,
        ttl: Duration::from_hours(1),
    };
    node.kernel.mint(mint, &dana()).await.unwrap()
}

/// What a shell script says in a sandbox of a run of its own.
async fn says(node: &Node, spawner: &Spawner, script: &str) -> String {
    let minted = mint(node).await;
    let run = node.kernel.authenticate(minted.token.reveal()).unwrap();
    let authority = node.gateway.authority(&run).unwrap_or_default();
    let root = Root::system().file("/tmp/authority.pem", authority);
    let command =
        Command::new("/bin/sh").argument("-c").argument(script).root(root).network(Network::Gateway);
    let mut child = spawner.spawn(&command).await.unwrap();
    let Sockets { tcp, udp, rest, unseen } = child.take_sockets().unwrap();
    let mooring = node.gateway.attach(Arc::clone(&run), RunSockets { tcp, udp, rest, unseen });
    let Child { mut process, stdin, mut stdout, stderr, .. } = child;
    drop(stdin);
    let mut said = String::new();
    let reading = tokio::time::timeout(Duration::from_secs(30), stdout.read_to_string(&mut said)).await;
    process.exited().await;
    drop(mooring);
    tokio::time::sleep(Duration::from_millis(20)).await;
    reading.unwrap_or_else(|_| panic!("it does not end: {}", stderr.tail())).unwrap();
    said + &stderr.tail()
}

/// A host on this machine that answers every request with `text`.
async fn a_host(text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_found_by_name_and_knows_the_run_by_its_socket() {
    let (node, spawner) = node(&[]).await;
    for family in ["-4", "-6"] {
        let script = format!(
            "curl -sS {family} -m 10 -H 'Authorization: Bearer unused' http://gateway/openai/v1/models"
        );
        let said = says(&node, &spawner, &script).await;
        assert!(said.contains("\"list\""), "{family}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_host_is_reached_through_the_proxy_and_no_other_is() {
    let port = a_host("hello from outside").await;
    let other = a_host("not this one").await;
    let (node, spawner) = node(&[&format!("127.0.0.1:{port}")]).await;
    let fetch = |port: u16| format!("curl -sS -m 10 -x http://gateway:3128 http://127.0.0.1:{port}/");
    assert_eq!(says(&node, &spawner, &fetch(port)).await, "hello from outside");
    let said = says(&node, &spawner, &fetch(other)).await;
    assert!(said.contains("may not reach"), "{said}");
    let direct = format!("curl -sS -m 10 http://127.0.0.1:{other}/");
    let said = says(&node, &spawner, &direct).await;
    assert!(said.contains("onnect"), "the machine's own loopback is another: {said}");
    node.entries("outcome", 1).await;
    assert_eq!(node.entries("refusal", 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_told_no_in_ways_that_they_show() {
    let (node, spawner) = node(&["known.example:443"]).await;
    for (script, expected) in [
        ("curl -sS -m 10 http://169.254.169.254/latest/meta-data", "may not reach 169.254.169.254:80"),
        ("curl -sS -m 10 'http://[fd00:ec2::254]/'", "may not reach fd00:ec2::254:80"),
        ("curl -sS -m 10 https://unknown.example/", "Could not resolve host"),
        ("curl -sSk -m 10 https://93.184.216.34/", "access denied"),
        ("curl -sSk -m 10 --resolve known.example:443:93.184.216.34 https://known.example/", "access denied"),
        ("curl -sS -m 10 -x http://gateway:3128 https://unknown.example/", "403"),
        (
            "python3 -c \"import urllib.request as r; r.urlopen(r.Request('https://unknown.example/'), timeout=10)\" 2>&1 | tail -1",
            "not known",
        ),
        (
            "https_proxy=http://gateway:3128 python3 -c \"import urllib.request as r; r.urlopen('https://unknown.example/', timeout=10)\" 2>&1 | tail -1",
            "403 This agent may not reach unknown.example:443",
        ),
    ] {
        let said = says(&node, &spawner, script).await;
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{script}: {said}");
    }
    assert!(node.entries("refusal", 8).await.len() >= 8);
    assert!(node.entries("intent", 0).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_requests_are_seen_programs_trust_the_authority_of_their_run_and_no_other() {
    let (node, spawner) = node(&["known.invalid:443 GET /v1/*"]).await;
    // Nothing is behind the name, which is told inside TLS: the gateway's certificate was good enough.
    for (script, expected) in [
        ("curl -sS -m 20 --cacert /tmp/authority.pem https://known.invalid/v1/x", "cannot be resolved"),
        (
            "curl -sS -m 20 --http1.1 --cacert /tmp/authority.pem https://known.invalid/v1/x",
            "cannot be resolved",
        ),
        (
            "curl -sS -m 20 --cacert /tmp/authority.pem -w ' %{http_version}' https://known.invalid/v2",
            "with this GET",
        ),
        ("curl -sS -m 20 --cacert /tmp/authority.pem -w ' %{http_version}' https://known.invalid/v2", " 2"),
        ("curl -sS -m 20 https://known.invalid/v1/x", "certificate"),
        (
            "python3 -c \"import ssl, urllib.request as r; c = ssl.create_default_context(cafile='/tmp/authority.pem'); c.verify_flags |= ssl.VERIFY_X509_STRICT; r.urlopen('https://known.invalid/v2', context=c, timeout=20)\" 2>&1 | tail -1",
            "HTTP Error 403: This agent may reach known.invalid:443, but not with this GET",
        ),
    ] {
        let said = says(&node, &spawner, script).await;
        assert!(said.contains(expected), "{script}: {said}");
    }
    assert!(node.entries("outcome", 2).await.len() == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_name_server_is_the_gateways_and_answers_from_its_own_address() {
    let (node, spawner) = node(&["known.example"]).await;
    let script = r#"python3 -c "
import socket
q = b'\0\7\1\0\0\1\0\0\0\0\0\0\5known\7example\0\0\1\0\1'
for family, server in ((socket.AF_INET, '8.8.8.8'), (socket.AF_INET6, '2001:4860:4860::8888')):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(5); s.connect((server, 53)); s.send(q)
    print(socket.inet_ntoa(s.recv(512)[-4:]))
t = socket.create_connection(('1.1.1.1', 53), 5); t.sendall(len(q).to_bytes(2, 'big') + q)
print(socket.inet_ntoa(t.recv(512)[-4:]))
print(sorted({a[4][0] for a in socket.getaddrinfo('known.example', 443)}))
print(socket.gethostbyaddr('100.64.1.0')[0])
""#;
    let said = says(&node, &spawner, script).await;
    let expected =
        "100.64.1.0\n100.64.1.0\n100.64.1.0\n['100.64.1.0', 'fd9b:2c61:7a48::100']\nknown.example\n";
    assert_eq!(said, expected);
}
