//! The gateway itself, from inside.

use ringfence_kernel::{Harbour as _, RunSockets};

use super::support::{Sandbox, mint, read_answer, say};

async fn ask(sandbox: &mut Sandbox, headers: &str) -> String {
    let mut stream = sandbox.dial("gateway", 80).await;
    say(&mut stream, &format!("GET /openai/v1/models HTTP/1.1\r\n{headers}\r\n")).await;
    read_answer(&mut stream).await.0.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_socket_says_whose_request_it_is() {
    let mut sandbox = Sandbox::start(&[]).await;
    let own = sandbox.minted.token.reveal().to_owned();
    let other = mint(&sandbox.kernel).await.token.reveal().to_owned();
    for (headers, expected) in [
        ("Host: gateway\r\n".to_owned(), "200"),
        ("Host: gateway:80\r\nAuthorization: Bearer unused\r\n".to_owned(), "200"),
        ("Host: gateway\r\nx-api-key: unused\r\n".to_owned(), "200"),
        (format!("Host: gateway\r\nAuthorization: Bearer {own}\r\n"), "200"),
        (format!("Host: gateway\r\nAuthorization: Bearer {other}\r\n"), "401"),
        ("Host: gateway\r\nAuthorization: Bearer rfr_nonsense\r\n".to_owned(), "401"),
        ("Host: evil.example\r\n".to_owned(), "403"),
        ("Host: gateway\r\nOrigin: http://evil.example\r\n".to_owned(), "403"),
    ] {
        let answer = ask(&mut sandbox, &headers).await;
        assert!(answer.contains(expected), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn the_gateway_answers_on_its_own_ports_only() {
    let mut sandbox = Sandbox::start(&["*"]).await;
    let mut stream = sandbox.dial("gateway", 443).await;
    assert!(read_answer(&mut stream).await.0.is_empty());
    assert_eq!(sandbox.refusals(1).await, ["invalid_input"]);
}

#[tokio::test]
async fn sockets_are_answered_until_the_mooring_is_dropped() {
    let sandbox = Sandbox::start(&["api.example GET /*"]).await;
    let trusted = sandbox.gateway.authority(&sandbox.run).unwrap();
    assert_eq!(
        sandbox.gateway.authority(&sandbox.run),
        Some(trusted),
        "what a sandbox was made to trust stays"
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sockets = RunSockets { tcp: vec![(80, listener)], ..RunSockets::default() };
    let mooring = sandbox.gateway.attach(sandbox.run.clone(), sockets);
    let mut open = tokio::net::TcpStream::connect(address).await.unwrap();
    // Nothing is granted, and that is said: somebody answers.
    say(&mut open, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert!(read_answer(&mut open).await.0.starts_with("HTTP/1.1 403"));
    drop(mooring);
    assert!(read_answer(&mut open).await.0.is_empty());
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("somebody still listens");
}

#[tokio::test]
async fn an_authority_is_made_only_for_those_whose_requests_are_seen() {
    for (egress, has) in [
        (&[][..], false),
        (&["api.example", "*.other.example:8443"], false),
        (&["api.example", "other.example GET /v1/*"], true),
    ] {
        let sandbox = Sandbox::start(egress).await;
        let pem = sandbox.gateway.authority(&sandbox.run);
        assert_eq!(pem.is_some_and(|pem| pem.starts_with(b"-----BEGIN CERTIFICATE")), has, "{egress:?}");
    }
}

#[tokio::test]
async fn bytes_to_a_host_of_which_requests_are_held_are_told_so() {
    let mut sandbox = Sandbox::start(&["api.example:2525 GET /*"]).await;
    let mut stream = sandbox.dial("api.example", 2525).await;
    say(&mut stream, "\0these are no requests").await;
    assert!(read_answer(&mut stream).await.0.is_empty());
    let refused = sandbox.entries("refusal", 1).await;
    let reason = refused[0].text("reason").unwrap();
    assert!(reason.contains("holds some requests to api.example:2525"), "{reason}");
}
