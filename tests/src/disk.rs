//! A small disk of a test's own, without touching the machine's.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the small disk is, in the process that has one.
const VARIABLE: &str = "RINGFENCE_SMALL_DISK";

/// Ways to a mount namespace: for everybody where user namespaces are allowed, else for root.
const WAYS: [&str; 2] = ["-Urm", "-m"];

/// What is written at a time, in bytes: much, then the rest.
const PIECES: [usize; 2] = [1 << 20, 1 << 12];

/// Runs the calling test once more, in a mount namespace with a memory disk of `mebibytes`; returns the folder of that disk
/// in that second process, and nothing in the first, where the test is over.
pub fn small(test: &str, mebibytes: u32) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(VARIABLE) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
    let this = std::env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
    let mount = format!(
        "mount -t tmpfs -o size={mebibytes}m,mode=700 tmpfs \"${VARIABLE}\" && exec \"$0\" --exact \"$1\" --nocapture"
    );
    let status = unshare(folder.path(), &["sh".into(), "-c".into(), mount.into(), this.into(), test.into()]);
    assert!(status, "{test} failed on its small disk");
    None
}

fn unshare(folder: &Path, command: &[OsString]) -> bool {
    let possible = |way: &&&str| {
        let probe = format!("mount -t tmpfs tmpfs '{}'", folder.display());
        let output = Command::new("unshare").arg(way).args(["sh", "-c", &probe]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let way = WAYS.iter().find(possible).unwrap_or_else(|| {
        panic!("no disk can be mounted here: allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or run as root")
    });
    let output = Command::new("unshare").arg(way).args(command).env(VARIABLE, folder).output();
    let output = output.unwrap_or_else(|error| panic!("unshare: {error}"));
    // Indented, so that nobody takes its closing line for this test's.
    for text in [&output.stdout, &output.stderr] {
        String::from_utf8_lossy(text).lines().for_each(|line| println!("    {line}"));
    }
    output.status.success()
}

/// A file that takes all the space there is; the space comes back when this goes.
pub struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Fills the disk of a folder.
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("filler");
        let mut file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for length in PIECES {
            let piece = vec![b'x'; length];
            while file.write_all(&piece).is_ok() {}
        }
        Self { path }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
