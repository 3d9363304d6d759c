//! npm's server-everything, a legacy server over HTTP that is not a full pass of the suite.

use tokio::process::Command;

use crate::limits::START;
use crate::parts;
use crate::patience::eventually;

/// The running server; it dies with this value.
pub struct Everything {
    /// Its MCP endpoint.
    pub url: String,
    _child: tokio::process::Child,
}

impl Everything {
    /// Starts it on a free port and waits until it answers.
    pub async fn start() -> Self {
        let port = free_port();
        let child = Command::new(parts::node())
            .arg(parts::package("server-everything"))
            .arg("streamableHttp")
            .env("PORT", port.to_string())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("server-everything does not start: {error}"));
        let address = format!("127.0.0.1:{port}");
        eventually(START, "server-everything listens", async || {
            tokio::net::TcpStream::connect(&address).await.ok()
        })
        .await;
        Self { url: format!("http://{address}/mcp"), _child: child }
    }
}

/// A port that nobody listened on a moment ago, for a program that cannot choose its own.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let port = listener.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.unwrap_or_else(|error| panic!("no free port: {error}"))
}
