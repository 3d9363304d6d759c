//! What of the system a root shows: found out once for all children of a spawner.
//!
//! `/etc` is made anew for each child. What holds nothing of the machine is copied; what is large or changes when
//! packages are installed is shown as it is; who there is, and who answers to names, is written here.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ground::Ground;
use crate::inside::identity::AGENT;
use crate::limits::COPIED_BYTES_MAX;
use crate::network::Network;
use crate::root::Root;

/// Programs and libraries; where the machine has links, so has the root.
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Shown as they are, where they are.
const SHOWN: [&str; 7] = [
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/crypto-policies",
];

/// Copied: small, the same on every machine of a distribution.
const COPIED: [&str; 8] = [
    // Whether a name has more than one address.
    "/etc/host.conf",
    "/etc/ld.so.conf",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
];

/// Links that are shown as such.
const LINKS: [&str; 2] = ["/etc/os-release", "/etc/mtab"];

/// What roots show of the system.
#[derive(Debug, Default)]
pub(crate) struct Etc {
    folders: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

// === impl Etc ===

impl Etc {
    /// Looks at the machine.
    pub(crate) fn find() -> Self {
        let mut etc = Self::default();
        for path in SYSTEM.iter().chain(&SHOWN).map(Path::new) {
            match fs::symlink_metadata(path) {
                Ok(found) if found.is_symlink() => etc.link(path),
                Ok(found) if found.is_dir() || found.is_file() => etc.folders.push(path.to_owned()),
                _ => {}
            }
        }
        for path in LINKS.map(Path::new) {
            etc.link(path);
        }
        let parts = fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
        for path in COPIED.iter().map(PathBuf::from).chain(parts.map(|entry| entry.path())) {
            let small =
                fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= COPIED_BYTES_MAX);
            if let Some(content) = small.then(|| fs::read(&path).ok()).flatten() {
                etc.files.push((path, content));
            }
        }
        etc
    }

    /// Files and folders of the machine that are shown.
    pub(in crate::inside) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// Which files and folders of the machine they are now: some are replaced when packages are installed.
    pub(crate) fn identities(&self) -> Vec<Option<(u64, u64)>> {
        let identity = |path: &PathBuf| {
            let found = fs::symlink_metadata(path).ok()?;
            Some((found.dev(), found.ino()))
        };
        self.folders.iter().map(identity).collect()
    }

    /// Makes the links and files of the system, and those every child has, unless the root has its own.
    pub(super) fn lay_out(
        &self,
        ground: &Ground,
        root: &Root,
        servers: &str,
        has: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        if root.system {
            for (path, leads_to) in &self.links {
                ground.link(path, leads_to)?;
            }
            for (path, content) in &self.files {
                ground.file(path, content)?;
            }
        }
        for (path, content) in written(&root.home, servers).into_iter().filter(|(path, _)| !has(path)) {
            ground.file(Path::new(path), content.as_bytes())?;
        }
        Ok(())
    }

    fn link(&mut self, path: &Path) {
        if let Ok(leads_to) = fs::read_link(path) {
            self.links.push((path.to_owned(), leads_to));
        }
    }
}

/// The name servers of a network, to be asked before the machine's files are left.
pub(super) fn name_servers(network: Network) -> String {
    match network {
        Network::Gateway => "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n".to_owned(),
        Network::None => String::new(),
        Network::Host => fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
    }
}

/// Who there is, and who answers to names.
fn written(home: &Path, servers: &str) -> [(&'static str, String); 6] {
    let home = home.display();
    [
        (
            "/etc/passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:{AGENT}:{AGENT}:agent:{home}:/bin/sh\n\
                 nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        ),
        ("/etc/group", format!("root:x:0:\nagent:x:{AGENT}:\nnogroup:x:65534:\n")),
        ("/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n".to_owned()),
        ("/etc/hostname", "sandbox\n".to_owned()),
        ("/etc/resolv.conf", servers.to_owned()),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"
                .to_owned(),
        ),
    ]
}
