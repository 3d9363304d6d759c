//! What a child is given, what is refused, and what the refusal says.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{PATIENCE, program, role, run, shell, spawner};
use ringfence_sandbox::limits::{MESSAGE_BYTES_MAX, STDERR_BYTES_MAX};
use ringfence_sandbox::{Command, ExitStatus, LayerName, Limits, SpawnError, SpawnerProgram, start_spawner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let mut child = spawner(&[]).spawn(&Command::new("cat")).await.unwrap();
    let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut received = Vec::new();
    let write = async {
        child.stdin.write_all(&sent).await.unwrap();
        drop(child.stdin);
    };
    let ((), read) = tokio::join!(write, child.stdout.read_to_end(&mut received));
    read.unwrap();
    assert!(received == sent);
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
}

/// A node with secrets in its environment.
#[test]
#[ignore = "a role"]
fn role_node_with_secrets() {
    if !common::has_role("role_node_with_secrets") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let command = Command::new("env").variable("SERVER_KEY", "given").variable("LANG", "de_DE.UTF-8");
        let child = spawner.spawn(&Command::new("sleep").argument("1000")).await.unwrap();
        let first = fs::read(format!("/proc/{}/environ", child.process.pid())).unwrap_or_default();
        let (_, process) = common::state_and_parent(child.process.pid()).unwrap();
        let above = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        println!("\nfirst {} spawner {}", first.len(), above.len());
        print!("{}", run(&spawner, &command).await.stdout);
    });
}

#[test]
fn nothing_of_the_nodes_environment_reaches_a_child_or_the_spawner() {
    let mut node = role(std::env::current_exe().unwrap(), "role_node_with_secrets");
    let node = node.env_clear().env("RINGFENCE_TEST_ROLE", "role_node_with_secrets");
    let node = node.env("OPENAI_API_KEY", "hunter2").env("LD_PRELOAD", "").env("PATH", "/usr/bin:/bin");
    let output = node.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("first")).collect();
    assert_eq!(lines.remove(0), "first 0 spawner 0");
    lines.retain(|line| line.contains('=') && !line.starts_with("test "));
    lines.sort_unstable();
    let home = lines[0].strip_prefix("HOME=").unwrap().to_owned();
    let temporary = format!("TMPDIR={home}");
    assert_eq!(
        lines[1..],
        ["LANG=de_DE.UTF-8", "PATH=/usr/bin:/bin", "SERVER_KEY=given", &temporary],
        "{said}"
    );
    assert!(home.contains("ringfence-home-"));
}

#[tokio::test]
async fn standard_error_is_bounded_and_never_blocks_the_child() {
    let script = "head -c 5000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; echo done";
    let mut child = spawner(&[]).spawn(&shell(script)).await.unwrap();
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
    let complete = async {
        while child.stderr.total_bytes() < 5_000_009 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, complete).await.unwrap();
    let tail = child.stderr.tail();
    assert_eq!(tail.len(), STDERR_BYTES_MAX);
    assert!(tail.ends_with("x\nthe end\n"));
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named_with_where_it_was_looked_for() {
    let spawner = spawner(&[]);
    let refused = spawner.spawn(&Command::new("no-such-server").variable("PATH", "/opt/a:/opt/b")).await;
    let said = refused.unwrap_err().to_string();
    assert_eq!(
        said,
        "the program `no-such-server` was not found in PATH (/opt/a:/opt/b); install it, or give its absolute path in `command:`"
    );
    let refused = spawner.spawn(&Command::new("/opt/no/such-server")).await.unwrap_err();
    assert!(
        matches!(&refused, SpawnError::NoSuchFile { program } if program == "/opt/no/such-server"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_cannot_be_executed_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mode, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let spawner = spawner(&[]);
    let plain = file("plain", 0o644, "#!/bin/sh\n");
    let refused = spawner.spawn(&Command::new(&plain)).await.unwrap_err();
    assert!(matches!(refused, SpawnError::NotExecutable { .. }), "{refused}");
    let orphan = file("orphan", 0o755, "#!/opt/no/such/python\n");
    let refused = spawner.spawn(&Command::new(&orphan)).await.unwrap_err();
    assert!(matches!(refused, SpawnError::NoInterpreter { .. }), "{refused}");
    let in_path = Command::new("orphan").variable("PATH", folder.path());
    let refused = spawner.spawn(&in_path).await.unwrap_err();
    assert!(matches!(refused, SpawnError::NoInterpreter { .. }), "{refused}");
    let refused = spawner.spawn(&Command::new("true").directory("/opt/no/where")).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("the working directory /opt/no/where cannot be entered"),
        "{refused}"
    );
    // And none of them has hurt the spawner.
    assert_eq!(run(&spawner, &shell("pwd").directory("/usr")).await.stdout, "/usr\n");
}

#[tokio::test]
async fn a_program_in_a_hidden_folder_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    fs::write(&path, "#!/bin/sh\necho leaked\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = spawner(&[folder.path()]).spawn(&Command::new(&path)).await.unwrap_err();
    assert!(matches!(refused, SpawnError::NoSuchFile { .. }), "{refused}");
}

#[tokio::test]
async fn a_command_beyond_the_bound_is_refused_with_its_size() {
    let spawner = spawner(&[]);
    let large = "x".repeat(MESSAGE_BYTES_MAX / 2);
    let refused = spawner.spawn(&Command::new("true").argument(&large).argument(&large)).await.unwrap_err();
    assert!(matches!(refused, SpawnError::TooLarge { bytes, .. } if bytes > MESSAGE_BYTES_MAX), "{refused}");
    let largest = "x".repeat(MESSAGE_BYTES_MAX / 2 - 1_000);
    let fits = shell("echo ${#1} ${#2}").arguments(["sh", &largest, &largest]);
    let sizes = format!("{0} {0}\n", largest.len());
    assert_eq!(run(&spawner, &fits).await.stdout, sizes);
}

#[tokio::test]
async fn a_path_that_cannot_be_hidden_is_an_error_and_never_ignored() {
    let refused = start_spawner(&program(), &["/opt/no/such/data"]).unwrap_err();
    assert!(matches!(&refused, SpawnError::Unready(text) if text.contains("/opt/no/such/data")), "{refused}");
    let refused = start_spawner(&program(), &["data"]).unwrap_err();
    assert!(matches!(refused, SpawnError::Invalid(_)), "{refused}");
    let refused = start_spawner(&program(), &["/"]).unwrap_err();
    assert!(matches!(refused, SpawnError::Unready(_)), "{refused}");
    let refused = start_spawner(&program(), &[std::env::temp_dir()]).unwrap_err();
    assert!(matches!(&refused, SpawnError::Unready(text) if text.contains("TMPDIR")), "{refused}");

    let spawner = spawner(&[]);
    let refused = spawner.spawn(&Command::new("true").hide("/opt/no/such/data")).await.unwrap_err();
    assert!(matches!(&refused, SpawnError::Setup(text) if text.contains("/opt/no/such/data")), "{refused}");
}

#[tokio::test]
async fn a_program_that_is_no_spawner_is_told_apart() {
    let refused = start_spawner::<&str>(&SpawnerProgram::at("/bin/true"), &[]).unwrap_err();
    assert!(refused.to_string().contains("become_spawner_if_asked"), "{refused}");
    let refused = start_spawner::<&str>(&SpawnerProgram::at("/opt/no/such"), &[]).unwrap_err();
    assert!(matches!(refused, SpawnError::Start(_)), "{refused}");
}

#[tokio::test]
async fn limits_hold_and_no_core_is_written() {
    let limits = Limits { open_files: Some(40), processes: Some(77), ..Limits::default() };
    let script =
        shell("ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/limits | grep processes").limits(limits);
    let said = run(&spawner(&[]), &script).await.stdout;
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[..7], ["40", "40", "0", "Max", "processes", "77", "77"]);
    // Without an order, what the node was started with, not what the spawner raised for itself.
    let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap();
    assert_eq!(run(&spawner(&[]), &shell("ulimit -n")).await.stdout, format!("{soft}\n"));
}

#[tokio::test]
async fn signals_are_as_a_new_process_has_them() {
    let said = run(&spawner(&[]), &Command::new("cat").argument("/proc/self/status")).await;
    let wanted = |line: &&str| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|name| line.starts_with(name));
    let sets = said.stdout.lines().filter(wanted).filter_map(|line| line.split_whitespace().last());
    let sets: Vec<&str> = sets.collect();
    assert_eq!(sets, ["0000000000000000"; 3], "{}", said.stdout);
}

#[tokio::test]
async fn a_required_layer_that_is_in_force_is_no_obstacle() {
    let every = LayerName::TOOL_SERVER.into_iter().fold(Command::new("true"), Command::require);
    assert_eq!(run(&spawner(&[]), &every).await.status, ExitStatus::Exited(0));
}

/// A node that did as it should: hardened before anything else.
#[test]
#[ignore = "a role"]
fn role_hardened_node() {
    if !common::has_role("role_hardened_node") {
        return;
    }
    ringfence_sandbox::harden_process().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let child = spawner.spawn(&Command::new("true")).await.unwrap();
        println!("\ncomplete {}", child.process.layers().complete());
    });
    let owner = fs::metadata("/proc/self/environ").unwrap();
    println!("owner {}", std::os::unix::fs::MetadataExt::uid(&owner));
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    println!("core {:?} {:?}", core.current, core.maximum);
}

#[test]
fn a_hardened_node_starts_children_and_its_memory_is_its_own() {
    let output = role(std::env::current_exe().unwrap(), "role_hardened_node").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("complete true\nowner 0\ncore Some(1) Some(1)\n"), "{said}");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(14);
}
