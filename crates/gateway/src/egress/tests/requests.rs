//! Requests of HTTP, each decided.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::passing::{authority, certificate, secure};
use super::support::{NEAR, Sandbox, a_host, host, limits, read_all, read_answer, reason, say, world};
use crate::egress::tls::authority::Authority;
use crate::{EgressLimits, Limits};

/// Answers with what was asked: method, path, the Host header and how long the body was; `/big` with much.
async fn mirror(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/big" {
        return Ok(Response::new(Full::new(vec![b'x'; 300_000].into())));
    }
    if parts.uri.path() == "/endless" {
        return Ok(Response::new(Full::new(vec![b'x'; 1 << 30].into())));
    }
    let named = parts.headers.get("host").map(|value| value.to_str().unwrap().to_owned());
    let named = named.or_else(|| parts.uri.authority().map(ToString::to_string)).unwrap_or_default();
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let text = format!("{} {} {named} {length} {:?}", parts.method, parts.uri.path(), parts.version);
    Ok(Response::builder().header("x-from", "host").body(Full::new(text.into())).unwrap())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, http2: bool) {
    let io = TokioIo::new(stream);
    // A client that goes away is no failure of a test.
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service_fn(mirror))
            .await
            .map_err(|_| ())
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service_fn(mirror))
            .await
            .map_err(|_| ())
    };
}

/// A host of plain HTTP.
pub(super) async fn a_site() -> u16 {
    a_host(|stream| serve(stream, false)).await
}

/// A host of HTTPS that speaks HTTP/2 if asked to and it can.
pub(super) async fn a_secure_site(name: &'static str, http2: bool) -> (u16, Authority) {
    let theirs = authority();
    let config = theirs.host(&host(name)).unwrap();
    let mut config = rustls::ServerConfig::clone(&config);
    if !http2 {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    let config = Arc::new(config);
    let port = a_host(move |stream| {
        let config = Arc::clone(&config);
        async move {
            let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else { return };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve(stream, http2).await;
        }
    })
    .await;
    (port, theirs)
}

async fn a_sandbox(egress: &[&str]) -> (Sandbox, TcpStream) {
    let mut sandbox = Sandbox::start(egress).await;
    let port = a_site().await;
    sandbox.lead(80, port);
    let stream = sandbox.dial("api.example", 80).await;
    (sandbox, stream)
}

#[tokio::test]
async fn each_request_of_a_connection_is_an_action_of_its_own() {
    let (sandbox, mut stream) = a_sandbox(&["api.example:80"]).await;
    say(&mut stream, "GET /a?b=c HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    let (head, body) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("x-from: host"), "{head}");
    assert_eq!(body, b"GET /a api.example 0 HTTP/1.1");
    say(&mut stream, "POST /b HTTP/1.1\r\nHost: API.example:80\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(read_answer(&mut stream).await.1, b"POST /b api.example 5 HTTP/1.1");
    say(&mut stream, "DELETE /b HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    let (head, body) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 403 Nothing is deleted."), "{head}");
    assert!(head.contains("x-should-retry: false"), "{head}");
    assert_eq!(reason(&body), "Nothing is deleted.");
    // The connection is as good as before.
    say(&mut stream, "HEAD /c HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    let mut head = vec![0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head, b"HTTP/1.1 200 OK");
    assert_eq!(sandbox.outcome(3).await, "completed");
    assert_eq!(sandbox.entries("intent", 3).await.len(), 3);
    assert_eq!(sandbox.refusals(1).await, ["denied_by_policy"]);
}

#[tokio::test]
async fn a_request_to_another_host_than_was_dialled_is_refused_and_the_way_out_is_told() {
    let (sandbox, mut stream) = a_sandbox(&["api.example:80", "other.example:80"]).await;
    let both = "Both have to be the same";
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", both),
        ("GET http://other.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n", both),
        ("GET / HTTP/1.1\r\nHost: api.example\r\nHost: other.example\r\n\r\n", "more than one Host header"),
        ("GET / HTTP/1.1\r\n\r\n", "no Host header"),
        ("OPTIONS * HTTP/1.1\r\nHost: api.example:8080\r\n\r\n", both),
    ] {
        say(&mut stream, request).await;
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{request}: {head}");
        assert!(reason(&body).contains(expected), "{}", reason(&body));
    }
    assert!(sandbox.entries("intent", 0).await.is_empty());
    let refusals = sandbox.entries("refusal", 1).await;
    assert!(refusals.iter().all(|refusal| refusal.text("code") == Some("invalid_input")));
}

#[tokio::test]
async fn what_is_not_granted_is_said_to_be_so() {
    let mut sandbox = Sandbox::start(&["api.example:80 GET /v1/*"]).await;
    sandbox.lead(80, a_site().await);
    for (name, request, expected) in [
        ("other.example", "GET /v1/x", "may not reach other.example:80"),
        ("api.example", "GET /v2/x", "not with this GET"),
        ("api.example", "POST /v1/x", "not with this POST"),
        ("api.example", "GET /v1/../v2", "read in more than one way"),
    ] {
        let mut stream = sandbox.dial(name, 80).await;
        say(&mut stream, &format!("{request} HTTP/1.1\r\nHost: {name}\r\n\r\n")).await;
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{head}");
        assert!(reason(&body).contains(expected), "{}", reason(&body));
    }
    let mut stream = sandbox.dial("api.example", 80).await;
    say(&mut stream, "GET /v1/x HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_rule_bounds_what_a_host_may_answer() {
    let mut sandbox = Sandbox::start(&["small.example:80"]).await;
    sandbox.lead(80, a_site().await);
    let mut stream = sandbox.dial("small.example", 80).await;
    say(&mut stream, "GET /big HTTP/1.1\r\nHost: small.example\r\n\r\n").await;
    let body = read_all(&mut stream).await;
    assert!(body.len() < 200_000, "{} bytes", body.len());
    let outcome = sandbox.entries("outcome", 1).await.remove(0);
    assert_eq!((outcome.text("status"), outcome.text("code")), (Some("failed"), Some("too_large")));
}

#[tokio::test]
async fn a_host_that_does_not_answer_as_it_should_is_an_error_and_is_recorded() {
    for (answer, status) in
        [("", "502"), ("nonsense\r\n\r\n", "502"), ("HTTP/1.1 101 X\r\nupgrade: y\r\n\r\n", "502")]
    {
        let mut sandbox = Sandbox::start(&["api.example:80"]).await;
        let port = a_host(move |mut stream| async move {
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        sandbox.lead(80, port);
        let mut stream = sandbox.dial("api.example", 80).await;
        say(&mut stream, "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
        let (head, _) = read_answer(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}: {head}");
        assert_eq!(sandbox.outcome(1).await, "failed", "{answer:?}");
    }
}

#[tokio::test]
async fn a_host_that_says_nothing_is_given_up() {
    let egress = EgressLimits { answer_time: Duration::from_millis(100), ..limits().egress };
    let limits = Limits { egress, ..limits() };
    let port = a_host(|mut stream| async move {
        read_all(&mut stream).await;
    })
    .await;
    let mut sandbox =
        Sandbox::start_in(&["api.example:80"], world(&[("api.example", NEAR)], Vec::new()), limits).await;
    sandbox.lead(80, port);
    let mut stream = sandbox.dial("api.example", 80).await;
    say(&mut stream, "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 504"));
    assert_eq!(sandbox.outcome(1).await, "failed");
}

#[tokio::test]
async fn a_suspension_cuts_an_answer_on_its_way() {
    let port = a_host(|mut stream| async move {
        let _ = stream.read(&mut [0; 1_024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegin").await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    })
    .await;
    let mut sandbox = Sandbox::start(&["api.example:80"]).await;
    sandbox.lead(80, port);
    let mut stream = sandbox.dial("api.example", 80).await;
    say(&mut stream, "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    let mut begun = Vec::new();
    while !begun.ends_with(b"begin") {
        begun.push(stream.read_u8().await.unwrap());
    }
    sandbox.suspend().await;
    assert!(read_all(&mut stream).await.is_empty());
    assert_eq!(sandbox.outcome(1).await, "cancelled");
}

#[tokio::test]
async fn websocket_goes_on_in_bytes_after_a_request_that_was_allowed() {
    let port = a_host(a_socket).await;
    let mut sandbox = Sandbox::start(&["api.example:80 GET /socket"]).await;
    sandbox.lead(80, port);
    let mut stream = sandbox.dial("api.example", 80).await;
    speak_websocket(&mut stream).await;
    assert!(sandbox.entries("outcome", 0).await.is_empty());
    drop(stream);
    let outcome = sandbox.entries("outcome", 1).await.remove(0);
    assert_eq!(outcome.text("status"), Some("completed"));
}

#[tokio::test]
async fn websocket_over_tls_that_ends_here_is_a_request_that_is_decided_and_goes_on_in_bytes() {
    let theirs = authority();
    let config = theirs.host(&host("api.example")).unwrap();
    let port = a_host(move |stream| {
        let config = Arc::clone(&config);
        async move {
            let stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await.unwrap();
            a_socket(stream).await;
        }
    })
    .await;
    let trusted = vec![certificate(theirs.pem().as_bytes())];
    let world = world(&[("api.example", NEAR)], trusted);
    let mut sandbox = Sandbox::start_in(&["api.example:443 GET /socket"], world, limits()).await;
    sandbox.lead(443, port);
    let ours = sandbox.berth.authority().unwrap().pem().to_owned();
    let stream = sandbox.dial("api.example", 443).await;
    // As programs do that could speak HTTP/2 too, and for a WebSocket do not.
    let mut stream = secure(stream, "api.example", ours.as_bytes(), &[b"http/1.1"]).await.unwrap();
    say(&mut stream, &asking_for("/other")).await;
    let (head, body) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 403") && reason(&body).contains("not with this GET"), "{head}");
    speak_websocket(&mut stream).await;
    let intents = sandbox.entries("intent", 1).await;
    assert_eq!(intents.len(), 1, "what was refused was never to be sent");
    assert_eq!(intents[0].text("host"), Some("api.example"));
    assert_eq!(sandbox.refusals(1).await, ["not_granted"]);
    assert!(sandbox.entries("outcome", 0).await.is_empty(), "it goes on");
    sandbox.suspend().await;
    let mut rest = Vec::new();
    // Cut, so that there is no end of TLS.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    assert_eq!(sandbox.outcome(1).await, "cancelled");
}

/// What asks for a WebSocket at a path.
fn asking_for(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    )
}

/// A host of WebSockets: what is said to it, it says.
async fn a_socket(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(read.read_u8().await.unwrap());
    }
    assert!(String::from_utf8(request).unwrap().to_ascii_lowercase().contains("upgrade: websocket"));
    let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    write.write_all(answer.as_bytes()).await.unwrap();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// Asks for a WebSocket and has a frame come back.
async fn speak_websocket(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    say(stream, &asking_for("/socket")).await;
    let (head, _) = read_answer(stream).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: websocket"), "{head}");
    stream.write_all(&[0x81, 0x02, b'h', b'i']).await.unwrap();
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0x81, 0x02, b'h', b'i']);
}

#[tokio::test]
async fn tls_ends_here_where_a_grant_names_requests() {
    for (inside, outside) in [(false, false), (false, true), (true, false), (true, true)] {
        let (port, theirs) = a_secure_site("api.example", outside).await;
        let trusted = vec![certificate(theirs.pem().as_bytes())];
        let world = world(&[("api.example", NEAR)], trusted);
        let mut sandbox = Sandbox::start_in(&["api.example:443 GET,DELETE /v1/*"], world, limits()).await;
        sandbox.lead(443, port);
        let ours = sandbox.berth.authority().unwrap().pem().to_owned();
        let stream = sandbox.dial("api.example", 443).await;
        let alpn: &[&[u8]] = if inside { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let stream = secure(stream, "api.example", ours.as_bytes(), alpn).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), inside);
        let mut client = Client::new(stream, inside).await;
        let version = if inside && outside { "HTTP/2.0" } else { "HTTP/1.1" };
        let (status, body) = client.ask("GET", "/v1/x").await;
        assert_eq!((status, body), (200, format!("GET /v1/x api.example 0 {version}")));
        let (status, body) = client.ask("GET", "/v2/x").await;
        assert!(status == 403 && body.contains("not with this GET"), "{body}");
        let (status, body) = client.ask("DELETE", "/v1/x").await;
        assert!(status == 403 && body.contains("Nothing is deleted"), "{body}");
        assert_eq!(sandbox.outcome(1).await, "completed");
        assert_eq!(sandbox.refusals(2).await, ["not_granted", "denied_by_policy"]);
    }
}

#[tokio::test]
async fn many_streams_of_one_connection_are_many_actions() {
    let (port, theirs) = a_secure_site("api.example", true).await;
    let trusted = vec![certificate(theirs.pem().as_bytes())];
    let world = world(&[("api.example", NEAR)], trusted);
    let mut sandbox = Sandbox::start_in(&["api.example:443 * /*"], world, limits()).await;
    sandbox.lead(443, port);
    let ours = sandbox.berth.authority().unwrap().pem().to_owned();
    let stream = sandbox.dial("api.example", 443).await;
    let stream = secure(stream, "api.example", ours.as_bytes(), &[b"h2"]).await.unwrap();
    let client = Client::new(stream, true).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..50 {
        let mut client = client.clone();
        asking.spawn(async move { client.ask("GET", &format!("/{number}")).await.0 });
    }
    assert!(asking.join_all().await.into_iter().all(|status| status == 200));
    sandbox.entries("outcome", 50).await;
    assert_eq!(sandbox.entries("intent", 50).await.len(), 50);
}

/// Whether a whole head of a request is in it.
fn holds_a_request(bytes: &[u8], http2: bool) -> bool {
    if !http2 {
        return bytes.ends_with(b"\r\n\r\n");
    }
    // Frames after the preface (RFC 9113 §4.1), HEADERS among them.
    let mut rest = bytes.get(24..).unwrap_or_default();
    while let [a, b, c, kind, ..] = *rest {
        if kind == 1 {
            return true;
        }
        rest = rest.get(9 + u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
    }
    false
}

#[tokio::test]
async fn nothing_of_a_run_is_left_when_it_is_over() {
    for http2 in [false, true] {
        let theirs = authority();
        let config = theirs.host(&host("api.example")).unwrap();
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let port = a_host(move |stream| {
            let (config, heard) = (Arc::clone(&config), heard.clone());
            async move {
                let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else {
                    return;
                };
                let mut bytes = Vec::new();
                while !holds_a_request(&bytes, http2) && stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {}
                let _ = heard.send(());
                // It never answers.
                read_all(&mut stream).await;
            }
        })
        .await;
        let trusted = vec![certificate(theirs.pem().as_bytes())];
        let world = world(&[("api.example", NEAR)], trusted);
        let mut sandbox = Sandbox::start_in(&["api.example:443 * /*"], world, limits()).await;
        sandbox.lead(443, port);
        let ours = sandbox.berth.authority().unwrap().pem().to_owned();
        let stream = sandbox.dial("api.example", 443).await;
        let alpn: &[&[u8]] = if http2 { &[b"h2"] } else { &[] };
        let stream = secure(stream, "api.example", ours.as_bytes(), alpn).await.unwrap();
        let mut client = Client::new(stream, http2).await;
        let asking = tokio::spawn(async move { client.ask("GET", "/").await });
        hears.recv().await.unwrap();
        let berth = Arc::downgrade(&sandbox.berth);
        sandbox.berth.stop.cancel();
        assert_eq!(sandbox.outcome(1).await, "cancelled");
        drop(sandbox);
        // It hears that there is no answer, if it still hears anything.
        assert!(asking.await.map_or(true, |(status, _)| status == 502));
        for _ in 0..100 {
            if berth.strong_count() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(berth.strong_count(), 0);
    }
}

#[tokio::test]
async fn a_rule_that_cannot_be_kept_refuses() {
    let mut sandbox = Sandbox::start(&["secrets.example:80"]).await;
    let mut stream = sandbox.dial("secrets.example", 80).await;
    say(&mut stream, "GET / HTTP/1.1\r\nHost: secrets.example\r\n\r\n").await;
    let (head, body) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 403") && reason(&body).contains("redact"), "{head}");
    assert_eq!(sandbox.outcome(1).await, "not_sent");
}

#[tokio::test]
async fn a_host_whose_certificate_is_not_trusted_gets_no_request() {
    let (port, _) = a_secure_site("api.example", true).await;
    let world = world(&[("api.example", NEAR)], Vec::new());
    let mut sandbox = Sandbox::start_in(&["api.example:443 GET /*"], world, limits()).await;
    sandbox.lead(443, port);
    let ours = sandbox.berth.authority().unwrap().pem().to_owned();
    let stream = sandbox.dial("api.example", 443).await;
    let stream = secure(stream, "api.example", ours.as_bytes(), &[]).await.unwrap();
    let (status, body) = Client::new(stream, false).await.ask("GET", "/").await;
    assert!(status == 502 && body.contains("not trusted"), "{status} {body}");
    assert_eq!(sandbox.outcome(1).await, "not_sent");
}

#[tokio::test]
async fn a_program_that_does_not_trust_the_runs_authority_is_told_of_in_the_log() {
    let mut sandbox = Sandbox::start(&["api.example:443 GET /*"]).await;
    let stream = sandbox.dial("api.example", 443).await;
    assert!(secure(stream, "api.example", authority().pem().as_bytes(), &[]).await.is_err());
    let refusal = sandbox.entries("refusal", 1).await.remove(0);
    assert!(refusal.text("reason").unwrap().contains("trust the run's own authority"));
}

/// A client of HTTP/1.1 or HTTP/2.
#[derive(Clone)]
pub(super) enum Client {
    Http1(Arc<tokio::sync::Mutex<hyper::client::conn::http1::SendRequest<Full<Bytes>>>>),
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(super) async fn new<S>(stream: S, http2: bool) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        if http2 {
            let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            let (sender, connection) = builder.handshake(io).await.unwrap();
            tokio::spawn(connection);
            return Self::Http2(sender);
        }
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(Arc::new(tokio::sync::Mutex::new(sender)))
    }

    pub(super) async fn ask(&mut self, method: &str, path: &str) -> (u16, String) {
        let request = Request::builder().method(method);
        let response = match self {
            Self::Http1(sender) => {
                let request = request.uri(path).header("host", "api.example");
                let mut sender = sender.lock().await;
                sender.ready().await.unwrap();
                sender.send_request(request.body(Full::default()).unwrap()).await
            }
            Self::Http2(sender) => {
                let request = request.uri(format!("https://api.example{path}"));
                sender.send_request(request.body(Full::default()).unwrap()).await
            }
        };
        let (parts, body) = response.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }
}
