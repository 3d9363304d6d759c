//! Symbolic links in what was built: none of them leads out of it, but to the interpreter.

use std::path::{Component, Path};

/// Where the interpreter is that an environment leads to.
const SYSTEM: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Whether a link at this path stays in the folder that both are counted from. It may lead up from where it is, and then
/// down: each step up is from a folder that is really one, so this holds over any number of links.
pub(super) fn stays(path: &Path, target: &Path) -> bool {
    if target.is_absolute() {
        return is_interpreter(path, target);
    }
    let mut above = path.components().count().saturating_sub(1);
    let mut went_down = false;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if went_down || above == 0 => return false,
            Component::ParentDir => above -= 1,
            Component::Normal(_) => went_down = true,
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// `bin/python` of an environment for Python is a link to the machine's.
fn is_interpreter(path: &Path, target: &Path) -> bool {
    let is_python = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("python"))
    };
    let is_system = target.parent().is_some_and(|folder| SYSTEM.iter().any(|one| folder == Path::new(one)));
    path.parent() == Some(Path::new("bin")) && is_python(path) && is_python(target) && is_system
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_or_is_the_interpreter() {
        for (path, target) in [
            ("lib64", "lib"),
            (".bin/one", "../one/cli.js"),
            ("a/node_modules/.bin/one", "../../../b/cli.js"),
            ("bin/python", "/usr/bin/python3.11"),
            ("bin/python3", "python"),
            ("here", "."),
        ] {
            assert!(stays(Path::new(path), Path::new(target)), "{path} -> {target}");
        }
        for (path, target) in [
            ("lib", "/etc"),
            ("bin/python", "/etc/python"),
            ("bin/python", "/usr/bin/../../etc/python"),
            ("bin/sh", "/usr/bin/python3"),
            ("lib/python", "/usr/bin/python3"),
            ("out", ".."),
            ("a/out", "../.."),
            ("a/out", "../b/../../c"),
            ("out", "a/.."),
        ] {
            assert!(!stays(Path::new(path), Path::new(target)), "{path} -> {target}");
        }
    }
}
