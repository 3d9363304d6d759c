//! A program that listens, in a process group of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::{Failure, failure};

/// How long a program may take until it answers. LiteLLM reads for half a minute on a cold disk.
const READY: Duration = Duration::from_mins(2);

/// Between two questions whether it is ready.
const LOOK: Duration = Duration::from_millis(50);

/// A running program. Dropping it kills it, with all it has started.
pub struct Server {
    child: Child,
}

// === impl Server ===

impl Server {
    /// Starts a program that listens on an address, and waits until it answers GET of `path`, with whatever status.
    pub async fn start(
        mut command: Command,
        address: SocketAddr,
        path: &str,
        log: &Path,
    ) -> Result<Self, Failure> {
        let (out, err) = (File::create(log)?, File::options().append(true).open(log)?);
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|error| {
            failure(format!("{} does not start: {error}", command.get_program().to_string_lossy()))
        })?;
        let mut server = Self { child };
        let started = Instant::now();
        while get(address, path).await.is_err() {
            if server.child.try_wait()?.is_some() || started.elapsed() > READY {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                return Err(failure(format!("it does not start: {}", last.join(" | "))));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on at the moment.
pub fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The folder of what `cargo xtask install` and `cargo xtask bench llm` install.
pub fn parts() -> Result<PathBuf, Failure> {
    let named = std::env::var_os("RINGFENCE_PARTS").map(PathBuf::from);
    named.ok_or_else(|| failure("the folder of parts is not known: run `cargo xtask bench llm`"))
}

/// The body of an answer to GET.
pub async fn get(address: SocketAddr, path: &str) -> Result<Bytes, Failure> {
    let stream = TcpStream::connect(address).await?;
    let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    let request = Request::get(path).header("host", address.to_string()).body(Full::<Bytes>::default())?;
    let answer = connection.send_request(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
}
