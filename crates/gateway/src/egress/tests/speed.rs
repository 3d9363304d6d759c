//! How fast bytes go through. Only looked at: `cargo test --release -p ringfence-gateway speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::passing::{certificate, secure};
use super::requests::a_secure_site;
use super::support::{NEAR, Sandbox, a_host, limits, say, world};

const TIME: Duration = Duration::from_secs(3);

async fn measure<S: AsyncRead + Unpin>(what: &str, stream: &mut S) {
    let mut buffer = vec![0; 1 << 20];
    let (started, mut bytes) = (Instant::now(), 0);
    while started.elapsed() < TIME {
        match tokio::time::timeout(TIME, stream.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => bytes += read,
            _ => break,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let gigabits = bytes as f64 * 8.0 / seconds / 1e9;
    println!("{what}: {gigabits:.2} Gbit/s, {bytes} bytes in {seconds:.1} s");
}

async fn a_source() -> u16 {
    a_host(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        let piece = vec![1; 1 << 20];
        while stream.write_all(&piece).await.is_ok() {}
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a figure, not a test"]
async fn speed_of_what_passes_through() {
    let port = a_source().await;
    let mut direct = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    say(&mut direct, "x").await;
    measure("direct", &mut direct).await;
    drop(direct);
    let mut sandbox = Sandbox::start(&["api.example:25"]).await;
    sandbox.lead(25, port);
    let mut stream = sandbox.dial("api.example", 25).await;
    say(&mut stream, "x").await;
    measure("passed through", &mut stream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a figure, not a test"]
async fn speed_of_what_is_looked_into() {
    for http2 in [false, true] {
        let (port, theirs) = a_secure_site("api.example", http2).await;
        let world = world(&[("api.example", NEAR)], vec![certificate(theirs.pem().as_bytes())]);
        let mut sandbox = Sandbox::start_in(&["api.example:443 GET /*"], world, limits()).await;
        sandbox.lead(443, port);
        let ours = sandbox.berth.authority().unwrap().pem().to_owned();
        let stream = sandbox.dial("api.example", 443).await;
        let mut stream = secure(stream, "api.example", ours.as_bytes(), &[]).await.unwrap();
        say(&mut stream, "GET /endless HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
        measure("looked into", &mut stream).await;
    }
}
