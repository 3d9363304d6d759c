//! Whose certificates programs in a root of their own trust, where that is not the machine's authorities alone.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Command, Root};

/// The authorities that programs inside trust: the machine's and their own; and their own alone.
const ALL: &str = "/agent/trust/all.pem";
const OWN: &str = "/agent/trust/run.pem";

/// Where distributions keep the authorities of the machine.
const MACHINES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Certificates for one child, in files that are removed with this: shown inside, they outlive their names outside.
#[derive(Debug)]
pub struct Trust(PathBuf);

// === impl Trust ===

impl Trust {
    /// Writes them into a folder: the machine's and `own`, which is PEM.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(folder: &Path, own: &[u8]) -> io::Result<Self> {
        let trust = Self(folder.to_owned());
        let mut all = Self::machines().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        if !all.is_empty() && !all.ends_with(b"\n") {
            all.push(b'\n');
        }
        all.extend_from_slice(own);
        std::fs::write(trust.all(), all)?;
        std::fs::write(trust.own(), own)?;
        Ok(trust)
    }

    /// Removes what a node that went down has left of them in a folder.
    pub fn forget(folder: &Path) {
        drop(Self(folder.to_owned()));
    }

    /// Where this machine keeps its authorities, if it has any.
    pub fn machines() -> Option<&'static Path> {
        MACHINES.iter().map(Path::new).find(|path| path.is_file())
    }

    /// Shows them inside.
    pub fn show(&self, root: Root) -> Root {
        root.read_only(self.all(), ALL).read_only(self.own(), OWN)
    }

    /// Has the usual libraries trust them.
    pub fn announce(command: Command) -> Command {
        Self::variables().into_iter().fold(command, |command, (name, path)| command.variable(name, path))
    }

    /// The variables that do so.
    pub fn variables() -> [(&'static str, &'static str); 5] {
        [
            ("SSL_CERT_FILE", ALL),
            ("REQUESTS_CA_BUNDLE", ALL),
            ("CURL_CA_BUNDLE", ALL),
            ("GIT_SSL_CAINFO", ALL),
            ("NODE_EXTRA_CA_CERTS", OWN),
        ]
    }

    fn all(&self) -> PathBuf {
        self.0.join("trust-all.pem")
    }

    fn own(&self) -> PathBuf {
        self.0.join("trust-run.pem")
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        // What cannot be removed goes with the folder, and holds no secret.
        let _ = std::fs::remove_file(self.all());
        let _ = std::fs::remove_file(self.own());
    }
}
