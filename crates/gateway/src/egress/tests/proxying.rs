//! Programs that go through a proxy.

use tokio::net::TcpStream;

use super::passing::{certificate, secure};
use super::requests::{a_secure_site, a_site};
use super::support::{NEAR, Sandbox, limits, read_all, read_answer, reason, say, world};

async fn proxy(sandbox: &mut Sandbox) -> TcpStream {
    sandbox.dial("gateway", 3128).await
}

async fn connect(stream: &mut TcpStream, target: &str) -> (String, Vec<u8>) {
    say(stream, &format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(tokio::io::AsyncReadExt::read_u8(stream).await.unwrap()));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    tokio::io::AsyncReadExt::read_exact(stream, &mut body).await.unwrap();
    (head, body)
}

#[tokio::test]
async fn requests_with_a_whole_address_go_to_their_hosts() {
    let mut sandbox = Sandbox::start(&["api.example:80", "other.example:80"]).await;
    sandbox.lead(80, a_site().await);
    let mut stream = proxy(&mut sandbox).await;
    for name in ["api.example", "other.example", "api.example"] {
        let request = format!(
            "GET http://{name}/x HTTP/1.1\r\nHost: {name}\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n"
        );
        say(&mut stream, &request).await;
        assert_eq!(read_answer(&mut stream).await.1, format!("GET /x {name} 0 HTTP/1.1").into_bytes());
    }
    for (request, expected) in [
        (
            "GET http://small.example/ HTTP/1.1\r\nHost: small.example\r\n\r\n",
            "may not reach small.example:80",
        ),
        ("GET http://api.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n", "Both have to be the same"),
        ("GET https://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n", "https goes by CONNECT"),
        ("GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", "This is a proxy"),
        ("GET http://gateway:81/ HTTP/1.1\r\nHost: gateway:81\r\n\r\n", "answers on port 80"),
    ] {
        say(&mut stream, request).await;
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{head}");
        assert!(reason(&body).contains(expected), "{}", reason(&body));
    }
    assert_eq!(sandbox.entries("outcome", 3).await.len(), 3);
}

#[tokio::test]
async fn a_tunnel_leads_to_the_host_that_it_was_asked_for_and_to_no_other() {
    let (port, theirs) = a_secure_site("api.example", false).await;
    let mut sandbox = Sandbox::start(&["api.example:443"]).await;
    sandbox.lead(443, port);
    let mut stream = proxy(&mut sandbox).await;
    assert!(connect(&mut stream, "api.example:443").await.0.starts_with("HTTP/1.1 200"));
    let mut stream = secure(stream, "api.example", theirs.pem().as_bytes(), &[]).await.unwrap();
    say(&mut stream, "GET /x HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!(read_answer(&mut stream).await.1, b"GET /x api.example 0 HTTP/1.1");
    drop(stream);
    assert_eq!(sandbox.outcome(1).await, "completed");
    let mut stream = proxy(&mut sandbox).await;
    assert!(connect(&mut stream, "api.example:443").await.0.starts_with("HTTP/1.1 200"));
    let error = secure(stream, "other.example", theirs.pem().as_bytes(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(sandbox.outcome(2).await, "not_sent");
    assert_eq!(sandbox.refusals(1).await, ["invalid_input"]);
}

#[tokio::test]
async fn a_tunnel_that_may_not_be_is_refused_before_it_is_there_in_words() {
    let mut sandbox = Sandbox::start(&["api.example:443", "requests.example GET /x"]).await;
    for (target, expected) in [
        ("other.example:443", "may not reach other.example:443"),
        ("api.example:22", "may not reach api.example:22"),
        ("169.254.169.254:80", "may not reach 169.254.169.254:80"),
        ("gateway:443", "answers on port 80"),
    ] {
        let mut stream = proxy(&mut sandbox).await;
        let (head, body) = connect(&mut stream, target).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        assert!(head.lines().next().unwrap().contains(expected), "{head}");
        assert!(reason(&body).contains(expected), "{}", reason(&body));
    }
    assert_eq!(sandbox.refusals(4).await.len(), 4);
}

#[tokio::test]
async fn in_a_tunnel_requests_are_seen_one_by_one_where_a_grant_names_them() {
    let (port, theirs) = a_secure_site("api.example", false).await;
    let world = world(&[("api.example", NEAR)], vec![certificate(theirs.pem().as_bytes())]);
    let mut sandbox = Sandbox::start_in(&["api.example:443 GET /v1/*"], world, limits()).await;
    sandbox.lead(443, port);
    let ours = sandbox.berth.authority().unwrap().pem().to_owned();
    let mut stream = proxy(&mut sandbox).await;
    assert!(connect(&mut stream, "api.example:443").await.0.starts_with("HTTP/1.1 200"));
    let mut stream = secure(stream, "api.example", ours.as_bytes(), &[]).await.unwrap();
    say(&mut stream, "GET /v1/x HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    assert_eq!(read_answer(&mut stream).await.1, b"GET /v1/x api.example 0 HTTP/1.1");
    say(&mut stream, "GET /v2/x HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn plain_requests_in_a_tunnel_are_decided_like_others() {
    let mut sandbox = Sandbox::start(&["api.example:80"]).await;
    sandbox.lead(80, a_site().await);
    let mut stream = proxy(&mut sandbox).await;
    assert!(connect(&mut stream, "api.example:80").await.0.starts_with("HTTP/1.1 200"));
    say(&mut stream, "GET /x HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    assert_eq!(read_answer(&mut stream).await.1, b"GET /x api.example 0 HTTP/1.1");
    say(&mut stream, "GET /x HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 403"));
    // A proxy in the tunnel is asked in vain.
    say(&mut stream, "CONNECT other.example:80 HTTP/1.1\r\nHost: other.example:80\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn the_gateway_itself_is_reached_through_its_proxy() {
    let mut sandbox = Sandbox::start(&[]).await;
    let mut stream = proxy(&mut sandbox).await;
    say(&mut stream, "GET http://gateway/openai/v1/models HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
    let mut stream = proxy(&mut sandbox).await;
    assert!(connect(&mut stream, "gateway:80").await.0.starts_with("HTTP/1.1 200"));
    say(&mut stream, "GET /openai/v1/models HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").await;
    let answer = String::from_utf8(read_all(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
