//! A configuration that says something else of the world, while programs have connections open.

use super::passing::{certificate, secure};
use super::requests::{Client, a_secure_site};
use super::support::{NEAR, Sandbox, limits, world};

#[tokio::test]
async fn the_next_request_of_an_open_connection_goes_where_the_configuration_says_now() {
    for http2 in [false, true] {
        let (port, theirs) = a_secure_site("api.example", http2).await;
        let trusted = || vec![certificate(theirs.pem().as_bytes())];
        let near = [("api.example", NEAR)];
        // Nobody listens there.
        let elsewhere = [("api.example", "127.0.0.77".parse().unwrap())];
        let mut sandbox =
            Sandbox::start_in(&["api.example:443 GET /*"], world(&near, trusted()), limits()).await;
        sandbox.lead(443, port);
        let ours = sandbox.berth.authority().unwrap().pem().to_owned();
        let stream = sandbox.dial("api.example", 443).await;
        let alpn: &[&[u8]] = if http2 { &[b"h2"] } else { &[b"http/1.1"] };
        let stream = secure(stream, "api.example", ours.as_bytes(), alpn).await.unwrap();
        let mut client = Client::new(stream, http2).await;
        for (world, expected) in [
            (world(&near, trusted()), "GET /x"),
            (world(&near, Vec::new()), "certificate is not trusted"),
            (world(&near, trusted()), "GET /x"),
            (world(&elsewhere, trusted()), "does not answer"),
            (world(&near, trusted()), "GET /x"),
        ] {
            sandbox.turn(world);
            let (status, body) = client.ask("GET", "/x").await;
            assert!(body.contains(expected), "{http2} {status} {body}");
        }
    }
}
