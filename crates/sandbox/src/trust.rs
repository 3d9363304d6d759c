//! Whose certificates programs in a root of their own trust, where that is not the machine's authorities alone.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::limits::TRUST_LINKS_MAX;
use crate::{Command, Root};

/// The authorities that programs inside trust: the machine's and their own; and their own alone.
const ALL: &str = "/agent/trust/all.pem";
const OWN: &str = "/agent/trust/run.pem";

/// Where distributions keep the authorities of the machine, and programs look for them that are told nothing else.
const MACHINES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The one of them that a root of the machine's system has a copy of, whatever it is on the machine.
const COPIED: &str = "/etc/ssl/cert.pem";

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

    /// Shows them inside: where the variables say, and over the authorities of the system that the root has, for programs that
    /// heed no variable.
    pub fn show(&self, root: Root) -> Root {
        let usual = usual_places(&root);
        let root = root.read_only(self.all(), ALL).read_only(self.own(), OWN);
        usual.into_iter().fold(root, |root, place| root.read_only(self.all(), place))
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

/// The files in which programs of a root find the authorities of its system.
fn usual_places(root: &Root) -> Vec<PathBuf> {
    let base = match &root.folder {
        Some(folder) => folder.as_path(),
        None if root.system => Path::new("/"),
        None => return Vec::new(),
    };
    let mut places: Vec<_> = MACHINES.iter().filter_map(|place| resolve(base, Path::new(place))).collect();
    if root.system && Path::new(COPIED).is_file() {
        places.push(COPIED.into());
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// A path as far as it was followed.
enum Followed {
    /// A link on it leads there.
    Link(PathBuf),
    /// It leads over no link, and is this without `..`.
    Place(PathBuf),
}

/// Where a path of a root leads, with the root in this folder: a file, and no link on the way.
fn resolve(base: &Path, path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..TRUST_LINKS_MAX {
        match follow(base, &path)? {
            Followed::Link(leads_to) => path = leads_to,
            Followed::Place(place) => return within(base, &place).is_file().then_some(place),
        }
    }
    None
}

/// Follows a path to the first link on it; `None` where nothing is there.
fn follow(base: &Path, path: &Path) -> Option<Followed> {
    let mut come = PathBuf::from("/");
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        match part {
            Component::Normal(name) => come.push(name),
            Component::ParentDir => {
                come.pop();
                continue;
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        }
        let found = std::fs::symlink_metadata(within(base, &come)).ok()?;
        if found.is_symlink() {
            let leads_to = std::fs::read_link(within(base, &come)).ok()?;
            come.pop();
            // An absolute one begins at the root anew.
            return Some(Followed::Link(come.join(leads_to).join(parts.as_path())));
        }
    }
    Some(Followed::Place(come))
}

fn within(base: &Path, path: &Path) -> PathBuf {
    base.join(path.strip_prefix("/").unwrap_or(path))
}

impl Drop for Trust {
    fn drop(&mut self) {
        // What cannot be removed goes with the folder, and holds no secret.
        let _ = std::fs::remove_file(self.all());
        let _ = std::fs::remove_file(self.own());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_authorities_of_a_root_are_found_over_its_own_links_and_never_outside() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let write = |path: &str| {
            let path = base.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "authorities").unwrap();
        };
        assert!(usual_places(&Root::folder(base)).is_empty(), "there are none");
        // As Fedora has them, with a link to a folder and one to a file.
        write("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
        std::fs::create_dir_all(base.join("etc/pki/tls/certs")).unwrap();
        std::fs::create_dir_all(base.join("etc/ssl")).unwrap();
        symlink(
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            base.join("etc/pki/tls/certs/ca-bundle.crt"),
        )
        .unwrap();
        symlink("../pki/tls/certs", base.join("etc/ssl/certs")).unwrap();
        symlink("certs/ca-bundle.crt", base.join("etc/ssl/cert.pem")).unwrap();
        let real = PathBuf::from("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
        assert_eq!(usual_places(&Root::folder(base)), std::slice::from_ref(&real));
        // As Debian has them.
        std::fs::remove_file(base.join("etc/ssl/certs")).unwrap();
        write("etc/ssl/certs/ca-certificates.crt");
        let debian = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
        assert_eq!(usual_places(&Root::folder(base)), [real.clone(), debian.clone()]);
        // Links that lead above the root stay in it, and those in a circle nowhere.
        std::fs::remove_file(base.join("etc/ssl/cert.pem")).unwrap();
        symlink("../../../../etc/ssl/certs/ca-certificates.crt", base.join("etc/ssl/cert.pem")).unwrap();
        assert_eq!(usual_places(&Root::folder(base)), [real.clone(), debian.clone()]);
        std::fs::remove_file(base.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
        symlink("ca-certificates.crt", base.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
        assert_eq!(usual_places(&Root::folder(base)), [real]);
        assert!(usual_places(&Root::empty()).is_empty());
    }
}
