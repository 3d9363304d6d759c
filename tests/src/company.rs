//! A company: an authority of its own, and a service with a certificate of it that is near and not on the internet.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// The service.
const SERVICE: &str = include_str!("company.py");

/// Where the folder of the company is, in the process that is beside it.
const VARIABLE: &str = "RINGFENCE_COMPANY";

/// Where the service is on the link.
pub const ADDRESS: &str = "10.77.0.2";

/// The near end of the link: this machine's own address.
pub const NEAR_END: &str = "10.77.0.1";

/// Where it is as well: where clouds have the keys of machines.
pub const LINK_LOCAL: &str = "169.254.169.254";

/// Makes the link and has names lead where the file in the folder says, then starts what follows.
const LINK: &str = r#"set -e
ip link set lo up
mount --bind "$RINGFENCE_COMPANY/hosts" /etc/hosts
unshare -n -- /usr/bin/python3 -c "$SERVICE" "$RINGFENCE_COMPANY" there "$ADDRESS:443" "$LINK_LOCAL:443" </dev/null >"$RINGFENCE_COMPANY/listens" &
while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add here type veth peer name there netns $!
ip addr add "$NEAR_END/16" dev here
ip addr add 169.254.1.1/16 dev here
ip link set here up
while [ ! -s "$RINGFENCE_COMPANY/listens" ]; do kill -0 $!; sleep 0.01; done
status=0
"$@" || status=$?
kill $!
exit $status"#;

/// An authority and what it vouches for, in a folder.
pub struct Company {
    folder: PathBuf,
    _own: Option<TempDir>,
    service: Option<Child>,
}

impl Company {
    /// One whose service is on an address of this machine; gives the port as well.
    pub fn start(hosts: &[&str]) -> (Self, u16) {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        found(folder.path(), hosts);
        let place = format!("{}:0", own_address());
        let mut service = Command::new("/usr/bin/python3");
        service.args(["-c", SERVICE]).arg(folder.path()).args(["-", &place]).stdout(Stdio::piped());
        let mut service = service.spawn().unwrap_or_else(|error| panic!("python3: {error}"));
        let mut said = String::new();
        let stdout = service.stdout.take().map(BufReader::new);
        let read = stdout.map(|mut stdout| stdout.read_line(&mut said));
        let port = said.trim().parse();
        let port = port.unwrap_or_else(|_| panic!("the service of the company said {said:?}: {read:?}"));
        (Self { folder: folder.path().to_owned(), _own: Some(folder), service: Some(service) }, port)
    }

    /// Runs the calling test once more beside a company, whose service is at the other end of a link, at [`ADDRESS`] and at
    /// [`LINK_LOCAL`]; `names` is what this machine's resolver says there. Returns the company in that second process, and nothing
    /// in the first, where the test is over.
    pub fn beside(test: &str, names: &[(&str, &str)]) -> Option<Self> {
        if let Some(folder) = std::env::var_os(VARIABLE) {
            return Some(Self { folder: folder.into(), _own: None, service: None });
        }
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let hosts: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        found(folder.path(), &hosts);
        let lines: Vec<String> = names.iter().map(|(name, address)| format!("{address} {name}")).collect();
        write(&folder.path().join("hosts"), &format!("127.0.0.1 localhost\n{}\n", lines.join("\n")));
        let this = std::env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
        let mut again = Command::new("unshare");
        if rustix::process::geteuid().is_root() {
            again.args(["-nm", "sh", "-c", LINK, "sh"]);
        } else {
            // An ordinary user makes networks in a user namespace, and is himself again in one in there.
            let user = format!("--map-user={}", rustix::process::geteuid().as_raw());
            let group = format!("--map-group={}", rustix::process::getegid().as_raw());
            again.args(["-Urnm", "sh", "-c", LINK, "sh", "unshare", "-U", &user, &group, "--"]);
        }
        again.arg(this).args(["--exact", test, "--nocapture"]);
        again.env(VARIABLE, folder.path()).env("SERVICE", SERVICE).stdin(Stdio::null());
        again.env("ADDRESS", ADDRESS).env("NEAR_END", NEAR_END).env("LINK_LOCAL", LINK_LOCAL);
        let output = again.output().unwrap_or_else(|error| panic!("unshare: {error}"));
        // Indented, so that nobody takes its closing line for this test's.
        for text in [&output.stdout, &output.stderr] {
            String::from_utf8_lossy(text).lines().for_each(|line| println!("    {line}"));
        }
        assert!(output.status.success(), "{test} failed beside the company");
        None
    }

    /// The certificate of its authority, in PEM.
    pub fn authority(&self) -> String {
        read(&self.folder.join("authority.pem"))
    }

    /// The file with it.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// A key that is nobody else's to see, in PEM.
    pub fn key(&self) -> String {
        read(&self.folder.join("host.key"))
    }

    /// What was asked of the service: `HOST PATH` of each request.
    pub fn asked(&self) -> Vec<String> {
        read(&self.folder.join("asked")).lines().map(str::to_owned).collect()
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// An address of this machine that is not loopback, which inside a sandbox is everybody's own.
pub fn own_address() -> IpAddr {
    let asked = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Nothing is sent: the machine only says by which address it would be.
        socket.connect("203.0.113.1:9")?;
        socket.local_addr()
    });
    asked.unwrap_or_else(|error| panic!("this machine has no address but loopback: {error}")).ip()
}

/// An authority, and the certificate and the key of these hosts.
fn found(folder: &Path, hosts: &[&str]) {
    let made = || {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "A company");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let own = authority.self_signed(&key)?.pem();
        let issuer = Issuer::new(authority, key);
        let of_host = KeyPair::generate()?;
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let host = CertificateParams::new(hosts)?.signed_by(&of_host, &issuer)?.pem();
        Ok::<_, rcgen::Error>([
            ("authority.pem", own),
            ("host.pem", host),
            ("host.key", of_host.serialize_pem()),
            ("asked", String::new()),
        ])
    };
    for (name, text) in made().unwrap_or_else(|error| panic!("no authority: {error}")) {
        write(&folder.join(name), &text);
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
