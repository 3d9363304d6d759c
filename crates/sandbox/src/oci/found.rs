//! Where a runtime is on this machine, and which version it says it is.

use std::path::{Path, PathBuf};

use super::Kind;

/// Beside the node's own PATH, which for an ordinary user lacks some of these.
const USUAL: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Bytes of a version that are kept.
const VERSION_BYTES_MAX: usize = 64;

/// The program of a runtime, without symbolic links.
pub(crate) fn find(kind: Kind) -> Option<PathBuf> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let own: Vec<PathBuf> = std::env::split_paths(&own).filter(|folder| folder.is_absolute()).collect();
    let usual = USUAL.iter().map(PathBuf::from);
    let is_program = |path: &PathBuf| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let mut all = own.into_iter().chain(usual).map(|folder: PathBuf| folder.join(kind.as_str()));
    all.find(is_program).and_then(|path| Path::new(&path).canonicalize().ok())
}

/// The version in what a runtime prints for `--version`: the last word of its first line, as all three write it.
pub(crate) fn version_in(printed: &str) -> String {
    let word = printed.lines().next().and_then(|line| line.split_whitespace().last()).unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-+~_".contains(letter);
    word.chars().filter(|letter| plain(*letter)).take(VERSION_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn a_version_is_read_of_what_each_runtime_prints() {
        assert_eq!(version_in("runc version 1.1.5+ds1\ncommit: 1.1.5\nspec: 1.0.2-dev"), "1.1.5+ds1");
        assert_eq!(version_in("crun version 1.8.1\ncommit: f8a0"), "1.8.1");
        assert_eq!(version_in("runsc version 0.0~20221219.0\nspec: 1.0.2-dev"), "0.0~20221219.0");
        assert_eq!(version_in(""), "");
        assert_eq!(version_in("x \u{1b}[31m1.2"), "31m1.2");
    }
}
