//! Neighbours of the machine and the service at 169.254.169.254: what reaches them outside does not from inside.
//!
//! The neighbour is real: another network, at the other end of a link whose near end is in the network that the node is
//! started in. `neighbour.py` answers there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;
use std::process::{Command as HostCommand, Stdio};

use common::{eventually, has_role, spawner};
use ringfence_sandbox::{Command, Driver, DriverName, Network, Root};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

const NEIGHBOUR: &str = include_str!("neighbour.py");

/// Makes the link, and starts what follows in the network with its near end.
const LINK: &str = "set -e
ip link set lo up
unshare -n -- /usr/bin/python3 -c \"$NEIGHBOUR\" \"$ASKED\" </dev/null >/dev/null &
while [ \"$(readlink /proc/$!/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
ip link add here type veth peer name there netns $!
ip addr add 10.77.0.1/24 dev here
ip addr add 169.254.1.1/16 dev here
ip addr add fd00:ec2::1/64 dev here nodad
ip link set here up
status=0
\"$@\" || status=$?
kill $!
exit $status";

/// Asks everywhere, and says of each what was answered.
const ASK: &str = "import socket as s
for host in ('10.77.0.2', '169.254.169.254', 'fd00:ec2::254', '::ffff:169.254.169.254'):
    for kind, port in ((s.SOCK_STREAM, 53), (s.SOCK_STREAM, 80), (s.SOCK_STREAM, 8080), (s.SOCK_DGRAM, 53), (s.SOCK_DGRAM, 8080)):
        try:
            one = s.socket(s.AF_INET6 if ':' in host else s.AF_INET, kind)
            one.settimeout(PATIENCE)
            one.connect((host, port))
            if kind == s.SOCK_DGRAM: one.send(b'x')
            print(one.recv(99).decode() or 'nothing')
        except OSError: print('nothing')";

/// How many answers that are.
const QUESTIONS: usize = 20;

/// How often the neighbour was asked.
fn asked(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn ask_from_outside() -> String {
    let script = ASK.replace("PATIENCE", "10");
    let output = HostCommand::new("/usr/bin/python3").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

async fn ask_from_inside(driver: &dyn Driver, network: Network) -> String {
    let command = Command::new("/usr/bin/python3").argument("-c").argument(ASK.replace("PATIENCE", "0.2"));
    let command = command.root(Root::system()).network(network);
    let mut child = driver.create(&command).await.unwrap().exec().await.unwrap();
    // Nobody stands behind the sockets: what is not answered by the neighbour is not answered.
    drop(child.take_sockets());
    let mut said = String::new();
    child.stdout.read_to_string(&mut said).await.unwrap();
    child.process.exited().await;
    assert_eq!(said.lines().count(), QUESTIONS, "{} {network:?}: {}", driver.name(), child.stderr.tail());
    said
}

/// A node whose network has a neighbour.
#[test]
#[ignore = "a role"]
fn role_node_with_a_neighbour() {
    if !has_role("role_node_with_a_neighbour") {
        return;
    }
    let file = std::env::var("ASKED").unwrap();
    let control = || {
        let before = asked(Path::new(&file));
        assert_eq!(ask_from_outside(), "neighbour\n".repeat(QUESTIONS), "the control is not answered");
        assert_eq!(asked(Path::new(&file)), before + QUESTIONS);
    };
    assert!(eventually(|| ask_from_outside() == "neighbour\n".repeat(QUESTIONS)), "{}", ask_from_outside());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut tried = 0;
    runtime.block_on(async {
        let spawner = spawner(&[]);
        for name in DriverName::ALL {
            let Some(driver) = common::driver(&spawner, name).await else { continue };
            let networks = if name.has_network() {
                [Network::Gateway, Network::None].as_slice()
            } else {
                &[Network::None]
            };
            for network in networks {
                let before = asked(Path::new(&file));
                let said = ask_from_inside(&*driver, *network).await;
                assert_eq!(said, "nothing\n".repeat(QUESTIONS), "{name} {network:?}");
                assert_eq!(asked(Path::new(&file)), before, "{name} {network:?}");
                tried += 1;
            }
        }
        // With the machine's network, which only tool servers have, it is reached: it is the network that keeps it away.
        let driver = spawner.driver(DriverName::Local).await.unwrap();
        assert!(ask_from_inside(&*driver, Network::Host).await.contains("neighbour"));
    });
    control();
    println!("\ntried {tried}");
}

#[test]
fn neighbours_and_the_service_with_the_machines_keys_are_not_reached_from_inside() {
    let folder = tempfile::tempdir().unwrap();
    let root = rustix::process::geteuid().is_root();
    // An ordinary user makes networks in a user namespace, and is himself again in one in there.
    let own = if root { ["-n", "--"].as_slice() } else { &["-Urn", "--"] };
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut node = HostCommand::new("unshare");
    node.args(own).args(["sh", "-c", LINK, "sh"]);
    if !root {
        node.args(["unshare", "-U", &format!("--map-user={user}"), &format!("--map-group={group}"), "--"]);
    }
    let role = common::role(std::env::current_exe().unwrap(), "role_node_with_a_neighbour");
    node.arg(role.get_program()).args(role.get_args());
    for (name, value) in role.get_envs() {
        node.env(name, value.unwrap_or_default());
    }
    node.env("NEIGHBOUR", NEIGHBOUR).env("ASKED", folder.path().join("asked")).stdin(Stdio::null());
    let output = node.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\ntried "), "{said}");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(2);
}
