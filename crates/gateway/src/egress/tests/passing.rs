//! Connections that are passed through.

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::Value;
use ringfence_kernel::RunSockets;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::support::{NEAR, Sandbox, a_host, host, limits, read_all, say, world};
use crate::egress::harbour::moor;
use crate::egress::tls::authority::Authority;

pub(super) fn authority() -> Authority {
    let now = ringfence_kernel::Clock::system().now();
    Authority::new(now, now.after(Duration::from_hours(1)), 16).unwrap()
}

pub(super) fn certificate(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

/// Speaks TLS as a client that trusts this authority.
pub(super) async fn secure(
    stream: TcpStream,
    name: &str,
    authority: &[u8],
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(authority)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(Duration::from_secs(5), connecting).await.unwrap()
}

/// A host that speaks TLS and echoes, and the authority it is known by.
async fn an_echo(name: &'static str) -> (u16, Authority) {
    let theirs = authority();
    let config = theirs.host(&host(name)).unwrap();
    let port = a_host(move |stream| {
        let config = Arc::clone(&config);
        async move {
            let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else { return };
            let (mut read, mut write) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        }
    })
    .await;
    (port, theirs)
}

#[tokio::test]
async fn tls_to_a_granted_host_goes_through_untouched_and_is_counted() {
    let mut sandbox = Sandbox::start(&["api.example:443"]).await;
    let (port, theirs) = an_echo("api.example").await;
    sandbox.lead(443, port);
    let stream = sandbox.dial("api.example", 443).await;
    let mut stream = secure(stream, "api.example", theirs.pem().as_bytes(), &[]).await.unwrap();
    stream.write_all(&vec![7; 100_000]).await.unwrap();
    let mut back = vec![0; 100_000];
    stream.read_exact(&mut back).await.unwrap();
    assert!(back.iter().all(|byte| *byte == 7));
    assert!(sandbox.entries("outcome", 0).await.is_empty(), "it is not settled before it ends");
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await;
    drop(stream);
    assert_eq!(sandbox.outcome(1).await, "completed");
    let intent = sandbox.entries("intent", 1).await.remove(0);
    assert_eq!(intent.text("host"), Some("api.example"));
}

#[tokio::test]
async fn a_host_that_is_not_granted_hears_nothing_and_the_program_hears_an_alert() {
    let mut sandbox = Sandbox::start(&["other.example:443"]).await;
    let (port, theirs) = an_echo("api.example").await;
    sandbox.lead(443, port);
    let stream = sandbox.dial("api.example", 443).await;
    let error = secure(stream, "api.example", theirs.pem().as_bytes(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(sandbox.refusals(1).await, ["not_granted"]);
}

#[tokio::test]
async fn a_name_in_tls_that_is_not_the_one_that_was_dialled_is_refused() {
    let mut sandbox = Sandbox::start(&["api.example:443", "other.example:443"]).await;
    let (port, theirs) = an_echo("other.example").await;
    sandbox.lead(443, port);
    let stream = sandbox.dial("api.example", 443).await;
    let error = secure(stream, "other.example", theirs.pem().as_bytes(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(sandbox.refusals(1).await, ["invalid_input"]);
    assert!(sandbox.entries("intent", 0).await.is_empty());
}

#[tokio::test]
async fn what_is_not_tls_does_not_pass_on_the_port_of_tls() {
    let mut sandbox = Sandbox::start(&["api.example:443"]).await;
    for (number, text) in ["GET / HTTP/1.1\r\nhost: api.example\r\n\r\n", "SSH-2.0-x\r\n"].iter().enumerate()
    {
        let mut stream = sandbox.dial("api.example", 443).await;
        say(&mut stream, text).await;
        assert!(read_all(&mut stream).await.is_empty());
        assert_eq!(sandbox.refusals(number + 1).await.last().unwrap(), "invalid_input");
    }
    let mut stream = sandbox.dial("api.example", 443).await;
    stream.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).await.unwrap();
    assert_eq!(read_all(&mut stream).await, [21, 3, 3, 0, 2, 2, 50]);
    // Nothing at all, for too long.
    let mut stream = sandbox.dial("api.example", 443).await;
    assert!(read_all(&mut stream).await.is_empty());
    assert_eq!(sandbox.refusals(4).await.len(), 4);
    assert!(sandbox.entries("intent", 0).await.is_empty());
}

#[tokio::test]
async fn other_ports_pass_any_bytes_once_they_are_granted() {
    // A host that speaks first, as many old protocols have it.
    let port = a_host(|mut stream| async move {
        stream.write_all(b"220 hello\r\n").await.unwrap();
        let mut line = [0; 6];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(&line).await.unwrap();
    })
    .await;
    let mut sandbox = Sandbox::start(&["api.example:25"]).await;
    sandbox.lead(25, port);
    let mut stream = sandbox.dial("api.example", 25).await;
    let mut greeting = [0; 11];
    stream.read_exact(&mut greeting).await.unwrap();
    say(&mut stream, "QUIT\r\n").await;
    assert_eq!(read_all(&mut stream).await, b"QUIT\r\n");
    drop(stream);
    assert_eq!(sandbox.outcome(1).await, "completed");
    let mut stream = sandbox.dial("other.example", 25).await;
    assert!(read_all(&mut stream).await.is_empty());
    assert_eq!(sandbox.refusals(1).await, ["not_granted"]);
}

#[tokio::test]
async fn a_suspension_and_the_end_of_the_run_cut_what_is_under_way() {
    for by_suspension in [true, false] {
        let (port, theirs) = an_echo("api.example").await;
        let mut sandbox = Sandbox::start(&["api.example:443"]).await;
        sandbox.lead(443, port);
        let stream = sandbox.dial("api.example", 443).await;
        let mut stream = secure(stream, "api.example", theirs.pem().as_bytes(), &[]).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        if by_suspension {
            sandbox.suspend().await;
        } else {
            sandbox.berth.stop.cancel();
        }
        let ended = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut [0; 1])).await.unwrap();
        assert!(!matches!(ended, Ok(1..)), "{ended:?}");
        assert_eq!(sandbox.outcome(1).await, "cancelled");
    }
}

#[tokio::test]
async fn a_host_that_nobody_answers_for_is_said_to_be_so() {
    let mut sandbox = Sandbox::start(&["api.example:443", "10.0.0.1:443", "*"]).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    sandbox.lead(443, closed);
    let stream = sandbox.dial("api.example", 443).await;
    let error = secure(stream, "api.example", authority().pem().as_bytes(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
    let outcome = sandbox.entries("outcome", 1).await.remove(0);
    assert_eq!(outcome.text("status"), Some("not_sent"));
}

#[tokio::test]
async fn no_grant_leads_to_where_the_node_itself_listens() {
    let hits = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let port = a_host(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async {}
    })
    .await;
    for named in ["127.0.0.1", "127.0.0.9", "0.0.0.0", "near.example"] {
        let names = [("near.example", NEAR)];
        let listeners = [std::net::SocketAddr::new(NEAR, port)];
        let (held, world) = (format!("{named}:{port}"), world(&names, Vec::new()));
        let mut sandbox = Sandbox::start_beside(&listeners, &[&held], world, limits()).await;
        let mut stream = sandbox.dial(named, port).await;
        say(&mut stream, "hello").await;
        assert!(read_all(&mut stream).await.is_empty());
        assert_eq!(sandbox.outcome(1).await, "not_sent");
        assert_eq!(hits.load(std::sync::atomic::Ordering::Relaxed), 0, "{named}");
    }
}

#[tokio::test]
async fn an_address_that_is_near_is_reached_only_if_the_grant_names_it() {
    let hits = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let port = a_host(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async {}
    })
    .await;
    for (grant, expected) in [(format!("*:{port}"), 0), (format!("127.0.0.1:{port}"), 1)] {
        let mut sandbox =
            Sandbox::start_in(&[&grant], world(&[("near.example", NEAR)], Vec::new()), limits()).await;
        let mut stream = sandbox.dial("127.0.0.1", port).await;
        say(&mut stream, "hello").await;
        read_all(&mut stream).await;
        drop(stream);
        sandbox.outcome(1).await;
        assert_eq!(hits.load(std::sync::atomic::Ordering::Relaxed), expected, "{grant}");
    }
}

#[tokio::test]
async fn what_is_caught_is_decided_by_the_port_that_was_dialled() {
    // It stands for the socket that catches every other port: the port of its connections is the one they are to.
    let rest = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = rest.local_addr().unwrap().port();
    let sandbox = Sandbox::start(&[&format!("api.example:{port}")]).await;
    let sockets = RunSockets { rest: Some(rest), ..RunSockets::default() };
    moor(&sandbox.berth, sockets);
    let really = a_host(|mut stream| async move {
        stream.write_all(b"220 speaks first\r\n").await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await;
    sandbox.lead(port, really);
    let mut stream = TcpStream::connect((sandbox.inside("api.example"), port)).await.unwrap();
    let mut said = [0; 18];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"220 speaks first\r\n");
    stream.write_all(b"\x00\x01 any bytes").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, b"\x00\x01 any bytes");
    assert_eq!(sandbox.outcome(1).await, "completed");
    let intent = sandbox.entries("intent", 1).await.remove(0);
    assert_eq!(
        (intent.text("host"), intent.get("port").and_then(Value::as_u64)),
        (Some("api.example"), Some(port.into()))
    );

    // Another host on this port, with bytes and without a word.
    let mut stream = TcpStream::connect((sandbox.inside("other.example"), port)).await.unwrap();
    say(&mut stream, "\x00 any bytes").await;
    assert!(read_all(&mut stream).await.is_empty());
    assert_eq!(sandbox.refusals(1).await, ["not_granted"]);
    drop(TcpStream::connect((sandbox.inside("small.example"), port)).await.unwrap());
    let refused = sandbox.entries("refusal", 2).await;
    let hosts: Vec<_> = refused.iter().map(|entry| entry.text("host").unwrap()).collect();
    assert_eq!(hosts, ["other.example", "small.example"]);
    assert!(refused.iter().all(|entry| entry.get("port").and_then(Value::as_u64) == Some(port.into())));
}
