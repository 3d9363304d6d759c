//! A machine that refuses layers: what is missing is said, and what is left still holds.
//!
//! The refusals are real: a process of its own, the node, gives them up for itself and all it starts by a seccomp
//! filter, as container engines do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use common::{Host, eventually, has_role, marker, processes_with, role, run, shell, spawner};
use ringfence_sandbox::{Command, DriverName, ExitStatus, LayerName, Network, Root, SpawnError, Spawner};
use rustix::process::{Pid, Signal, kill_process};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use tokio::io::AsyncReadExt as _;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// Makes this process a machine without these.
fn refuse(namespaces: i32, calls: &[i64]) {
    let bits = (0..32).map(|bit| 1_u64 << bit).filter(|bit| u64::from(namespaces.cast_unsigned()) & bit != 0);
    let flag = |bit| {
        let any = SeccompCmpOp::MaskedEq(bit);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, any, bit).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    };
    let mut rules = BTreeMap::new();
    let flags: Vec<SeccompRule> = bits.map(flag).collect();
    if !flags.is_empty() {
        rules.insert(libc::SYS_clone, flags);
    }
    rules.extend(calls.iter().map(|call| (*call, Vec::new())));
    answer_no(rules, libc::EPERM);
}

/// Has calls answered with an error, from now on.
fn answer_no(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) {
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let action = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture).unwrap();
    seccompiler::apply_filter_all_threads(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// Makes this process a machine without nf_tables: the kernel's channel to them cannot be opened.
fn refuse_nf_tables() {
    let is = |argument, value: i32| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).unwrap()
    };
    let rule = SeccompRule::new(vec![is(0, libc::AF_NETLINK), is(2, libc::NETLINK_NETFILTER)]).unwrap();
    answer_no([(libc::SYS_socket, vec![rule])].into(), libc::EPROTONOSUPPORT);
}

const NAMESPACES: i32 =
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
const LANDLOCK: [i64; 1] = [libc::SYS_landlock_create_ruleset];

fn missing(spawner: &Spawner) -> Vec<String> {
    spawner.layers().missing().map(ToString::to_string).collect()
}

/// What happens in the role, as lines of text that the test compares.
async fn describe(data: &Path) {
    let spawner = spawner(&[data]);
    let child = spawner.spawn(&Command::new("true")).await.unwrap();
    let on_child: Vec<String> = child.process.layers().missing().map(ToString::to_string).collect();
    assert_eq!(on_child, missing(&spawner), "a child's report is its own");
    for line in on_child {
        println!("> {line}");
    }
    // Another child is there, with something in its home that only it may see.
    let mut other = spawner.spawn(&shell("echo mine > ~/other; echo ready; sleep 1000")).await.unwrap();
    common::ready(&mut other).await;
    let script = format!(
        "cat {0}/secret || echo refused; ls {0} || echo unlisted; cat {1}/paper; ls ~ && echo x > ~/y && cat ~/y; cat $(dirname $HOME)/*/other",
        data.display(),
        data.parent().unwrap().display()
    );
    for line in run(&spawner, &shell(&script)).await.stdout.lines() {
        println!("> {line}");
    }
    let require = Command::new("true").require(LayerName::HiddenPaths).require(LayerName::ProcessNamespace);
    match spawner.spawn(&require).await {
        Err(SpawnError::LayerMissing { name, .. }) => println!("> required {name}"),
        other => println!("> required and {}", if other.is_ok() { "there" } else { "broken" }),
    }
}

fn in_role(name: &str) -> bool {
    if !has_role(name) {
        return false;
    }
    match name {
        "role_without_namespaces" | "role_box_without_namespaces" => refuse(NAMESPACES, &[]),
        "role_box_without_network" => refuse(libc::CLONE_NEWNET, &[]),
        "role_drivers_without_namespaces" => {
            refuse(NAMESPACES | libc::CLONE_NEWNET | libc::CLONE_NEWCGROUP, &[libc::SYS_unshare]);
        }
        "role_without_landlock" | "role_box_without_landlock" => refuse(0, &LANDLOCK),
        "role_box_without_nf_tables" => refuse_nf_tables(),
        "role_without_mounts" | "role_box_without_mounts" => refuse(0, &[libc::SYS_mount]),
        _ => refuse(NAMESPACES, &LANDLOCK),
    }
    true
}

fn play(name: &str) {
    if !in_role(name) {
        return;
    }
    let data = std::env::var("RINGFENCE_TEST_DATA").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(describe(Path::new(&data)));
}

#[test]
#[ignore = "a role"]
fn role_without_namespaces() {
    play("role_without_namespaces");
}

#[test]
#[ignore = "a role"]
fn role_without_landlock() {
    play("role_without_landlock");
}

#[test]
#[ignore = "a role"]
fn role_without_mounts() {
    play("role_without_mounts");
}

#[test]
#[ignore = "a role"]
fn role_without_both() {
    play("role_without_both");
}

/// What the role says about itself.
fn told_by(name: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/secret"), "hunter2\n").unwrap();
    fs::write(folder.path().join("paper"), "public\n").unwrap();
    let mut node = role(std::env::current_exe().unwrap(), name);
    let output = node.env("RINGFENCE_TEST_DATA", folder.path().join("data")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().filter_map(|line| Some(line.split_once("> ")?.1.to_owned())).collect()
}

#[test]
fn without_namespaces_landlock_hides_the_data_and_the_rest_is_said_to_be_missing() {
    let said = told_by("role_without_namespaces");
    insta::assert_snapshot!(said.join("\n"), @r"
    process-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    mount-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    ipc-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    host-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    private-proc: missing (no mount namespace)
    read-only-kernel: missing (no mount namespace)
    private-devices: missing (no mount namespace)
    private-home: missing (no mount namespace)
    refused
    unlisted
    public
    x
    required process-namespace
    ");
}

#[test]
fn without_landlock_the_mounts_hide_the_data_and_landlock_is_said_to_be_missing() {
    let said = told_by("role_without_landlock");
    insta::assert_snapshot!(said.join("\n"), @r"
    landlock: missing (not in this kernel, or refused by a filter)
    refused
    public
    x
    required and there
    ");
}

#[test]
fn without_mounts_the_process_namespace_stands_and_landlock_hides_the_data() {
    let said = told_by("role_without_mounts");
    insta::assert_snapshot!(said.join("\n"), @r"
    mount-namespace: missing (making mounts private: Operation not permitted (os error 1))
    private-proc: missing (making mounts private: Operation not permitted (os error 1))
    read-only-kernel: missing (making mounts private: Operation not permitted (os error 1))
    private-devices: missing (making mounts private: Operation not permitted (os error 1))
    private-home: missing (making mounts private: Operation not permitted (os error 1))
    refused
    unlisted
    public
    x
    required and there
    ");
}

#[test]
fn without_both_the_data_can_be_read_and_that_is_said() {
    let said = told_by("role_without_both");
    insta::assert_snapshot!(said.join("\n"), @r"
    process-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    mount-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    ipc-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    host-namespace: missing (the kernel refused the namespace: Operation not permitted (os error 1))
    private-proc: missing (no mount namespace)
    read-only-kernel: missing (no mount namespace)
    private-devices: missing (no mount namespace)
    private-home: missing (no mount namespace)
    hidden-paths: missing (neither by a mount (no mount namespace) nor by Landlock)
    landlock: missing (not in this kernel, or refused by a filter)
    hunter2
    secret
    public
    x
    mine
    required hidden-paths
    ");
}

/// A box on such a machine, in one line of text.
async fn try_box(spawner: &Spawner, network: Network) -> String {
    let command = shell("echo in a box").root(Root::system()).network(network);
    match spawner.spawn(&command).await {
        Ok(_child) => run(spawner, &command).await.stdout.trim().to_owned(),
        Err(refused) => refused.to_string(),
    }
}

fn play_box(name: &str) {
    if !in_role(name) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        for network in [Network::Gateway, Network::Host] {
            println!("> {}", try_box(&spawner, network).await);
        }
        if let Some(layer) = spawner.run_layers().missing().find(|layer| layer.name == LayerName::Landlock) {
            println!("> {layer}");
        }
    });
}

#[test]
#[ignore = "a role"]
fn role_box_without_namespaces() {
    play_box("role_box_without_namespaces");
}

#[test]
#[ignore = "a role"]
fn role_box_without_network() {
    play_box("role_box_without_network");
}

#[test]
#[ignore = "a role"]
fn role_box_without_mounts() {
    play_box("role_box_without_mounts");
}

#[test]
#[ignore = "a role"]
fn role_box_without_landlock() {
    play_box("role_box_without_landlock");
}

#[test]
fn a_box_is_refused_where_its_root_or_its_network_cannot_be_made() {
    let refused = told_by("role_box_without_namespaces");
    // Root can still make a network namespace, nobody cannot.
    assert!(refused[0].contains(" is required and missing: "), "{refused:?}");
    let root = "the sandbox layer private-root is required and missing: it takes a mount namespace";
    assert!(refused[1].starts_with(root), "{refused:?}");
    let refused = told_by("role_box_without_network");
    assert!(
        refused[0].starts_with("the sandbox layer network-namespace is required and missing: "),
        "{refused:?}"
    );
    assert_eq!(refused[1], "in a box", "with the machine's network, as ordered");
    let refused = told_by("role_box_without_mounts");
    for said in &refused[..2] {
        assert!(said.contains("private-root is required and missing: making mounts private: "), "{said}");
    }
}

#[test]
fn a_box_without_landlock_runs_and_says_so() {
    let said = told_by("role_box_without_landlock");
    assert_eq!(
        said,
        ["in a box", "in a box", "landlock: missing (not in this kernel, or refused by a filter)"]
    );
}

/// A box on such a machine: which layers it has, whether a port that is listened on and another are reached in it, and what is
/// said where the layer is required.
#[test]
#[ignore = "a role"]
fn role_box_without_nf_tables() {
    if !in_role("role_box_without_nf_tables") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        for layer in spawner.run_layers().missing().filter(|layer| layer.name == LayerName::TransparentProxy)
        {
            println!("> {layer}");
        }
        let dials = Command::new("python3").argument("-c").argument(
            "import socket\n\
             for port in [443, 5432]:\n\
             \x20 try: socket.create_connection(('192.0.2.1', port), 10); print(port, 'reached')\n\
             \x20 except OSError as e: print(port, e.strerror)",
        );
        let command = dials.root(Root::system()).network(Network::Gateway);
        let mut child = spawner.spawn(&command).await.unwrap();
        for layer in
            child.process.layers().missing().filter(|layer| layer.name == LayerName::TransparentProxy)
        {
            println!("> {layer}");
        }
        let sockets = child.take_sockets().unwrap();
        println!("> rest {}", sockets.rest.is_some());
        let mut said = String::new();
        child.stdout.read_to_string(&mut said).await.unwrap();
        for line in said.lines() {
            println!("> {line}");
        }
        let required = command.require(LayerName::TransparentProxy);
        println!(
            "> {}",
            spawner.spawn(&required).await.map_or_else(|refused| refused.to_string(), |_| "runs".into())
        );
    });
}

#[test]
fn where_other_ports_cannot_be_caught_they_are_refused_inside_and_that_is_said() {
    let said = told_by("role_box_without_nf_tables");
    let missing = |line: &String| line.starts_with("transparent-proxy: missing (catching other ports: ");
    let why = "Protocol not supported";
    for line in said.iter().filter(|line| missing(line)) {
        assert!(line.contains(why), "{line}");
    }
    let of_box: Vec<&str> = said.iter().filter(|line| !missing(line)).map(String::as_str).collect();
    assert_eq!(said.len() - of_box.len(), 2, "of the machine and of the box: {said:#?}");
    assert_eq!(of_box[..3], ["rest false", "443 reached", "5432 Connection refused"], "{said:#?}");
    let required = "the sandbox layer transparent-proxy is required and missing: catching other ports: ";
    assert!(of_box[3].starts_with(required) && of_box[3].contains(why), "{said:#?}");
}

/// Every driver on such a machine, in a line each.
#[test]
#[ignore = "a role"]
fn role_drivers_without_namespaces() {
    if !in_role("role_drivers_without_namespaces") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        for (name, network) in
            [(DriverName::Local, Network::Gateway), (DriverName::Restricted, Network::None)]
        {
            let driver = spawner.driver(name).await.unwrap();
            let probed = driver.probe().await.map(|posture| posture.layers.in_force(LayerName::Landlock));
            println!("> {}", probed.map_or_else(|refused| refused.to_string(), |held| format!("{held}")));
            let script = "cat /etc/hostname /root/* || echo refused; echo x > ~/x && cat ~/x";
            let command = shell(script).root(Root::system()).network(network);
            match driver.spawn(&command).await {
                Ok(mut child) => {
                    let mut said = String::new();
                    child.stdout.read_to_string(&mut said).await.unwrap();
                    println!("> {}", said.replace('\n', " "));
                }
                Err(refused) => println!("> {refused}"),
            }
            if let Err(refused) = ringfence_sandbox::try_program(&*driver).await {
                println!("> {refused}");
            } else {
                println!("> of use");
            }
        }
    });
}

#[test]
fn without_namespaces_the_driver_that_needs_none_works_and_the_other_is_refused() {
    let said = told_by("role_drivers_without_namespaces");
    assert_eq!(said.len(), 6, "{said:?}");
    for refused in &said[..3] {
        assert!(refused.contains(" is required and missing: "), "{refused}");
    }
    assert_eq!(said[3..], ["true", "refused x ", "of use"]);
}

/// A node without namespaces, with children that leave processes behind in every way.
#[test]
#[ignore = "a role"]
fn role_node() {
    if !in_role("role_node") {
        return;
    }
    let marker = std::env::var("RINGFENCE_TEST_MARKER").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let leave = |last: &str| {
            shell(&format!(
                "sleep {marker} & setsid sleep {marker} & (setsid sh -c 'sleep {marker} & sleep {marker}' &) ; {last}"
            ))
        };
        let mut ended = spawner.spawn(&leave("exit 4")).await.unwrap();
        assert_eq!(ended.process.exited().await, ExitStatus::Exited(4));
        let after_exit = processes_with(&marker).len();
        let mut killed = spawner.spawn(&leave("sleep 1000")).await.unwrap();
        assert!(eventually(|| processes_with(&marker).len() == 4));
        killed.process.kill();
        assert_eq!(killed.process.exited().await, ExitStatus::Killed);
        let after_kill = processes_with(&marker).len();
        let _child = spawner.spawn(&leave("sleep 1000")).await.unwrap();
        println!("\nleft {after_exit} {after_kill}");
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn without_namespaces_nothing_outlives_its_child_or_the_node_either() {
    let marker = marker();
    let mut node = role(std::env::current_exe().unwrap(), "role_node");
    let mut node = Host(node.env("RINGFENCE_TEST_MARKER", &marker).spawn().unwrap());
    let mut said = BufReader::new(node.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(said.find(|line| line.starts_with("left")).unwrap(), "left 0 0");
    assert!(eventually(|| processes_with(&marker).len() == 4));
    kill_process(Pid::from_child(&node.0), Signal::KILL).unwrap();
    node.0.wait().unwrap();
    assert!(eventually(|| processes_with(&marker).is_empty()), "{:?}", processes_with(&marker));
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(10);
}
