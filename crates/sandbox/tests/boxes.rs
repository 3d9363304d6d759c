//! What a box shows of the machine, what can be changed in it, and what is an error.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::{Ended, run, spawner};
use ringfence_sandbox::{
    Command, DriverName, ExitStatus, LayerName, Limits, Network, Root, SpawnError, Spawner,
};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

fn boxed(script: &str, root: Root) -> Command {
    Command::new("sh").argument("-c").argument(script).root(root).network(Network::Gateway)
}

async fn said(spawner: &Spawner, script: &str, root: Root) -> String {
    let Ended { stdout, .. } = run(spawner, &boxed(script, root)).await;
    stdout
}

async fn refused(spawner: &Spawner, root: Root) -> String {
    match spawner.spawn(&boxed("true", root)).await {
        Err(SpawnError::Setup(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

/// A folder of the machine with a file in it, by its canonical name.
fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    fs::create_dir(path.join("inner")).unwrap();
    fs::write(path.join("paper"), "public").unwrap();
    (folder, path)
}

#[tokio::test]
async fn a_box_shows_the_system_and_nothing_else_of_the_machine() {
    let spawner = spawner(&[]);
    let shown = said(
        &spawner,
        "ls /; ls /etc; ls -A /work /tmp; id -un; pwd; echo $HOME $TMPDIR $PATH",
        Root::system(),
    )
    .await;
    let lines: Vec<&str> = shown.lines().collect();
    let allowed = [
        "bin",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "sbin",
        "tmp",
        "usr",
        "work",
        // /etc
        "alternatives",
        "ca-certificates",
        "crypto-policies",
        "group",
        "host.conf",
        "hostname",
        "hosts",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "localtime",
        "mime.types",
        "mtab",
        "nsswitch.conf",
        "os-release",
        "passwd",
        "pki",
        "protocols",
        "resolv.conf",
        "services",
        "ssl",
        "/work:",
        "/tmp:",
        "",
        "agent",
        "/work",
    ];
    let (last, listed) = lines.split_last().unwrap();
    let more: Vec<_> = listed.iter().filter(|line| !allowed.contains(line)).collect();
    assert!(more.is_empty(), "{more:?}");
    assert_eq!(*last, "/work /tmp /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for wanted in ["usr", "passwd", "resolv.conf", "agent", "/work"] {
        assert!(listed.contains(&wanted), "{wanted}");
    }
    let said =
        said(&spawner, "cat /etc/passwd | cut -d: -f1; cat /etc/resolv.conf | head -1", Root::system()).await;
    assert_eq!(said, "root\nagent\nnobody\nnameserver 127.0.0.1\n");
}

#[tokio::test]
async fn an_empty_root_runs_a_program_that_brings_all_it_needs() {
    let spawner = spawner(&[]);
    let (_folder, path) = folder();
    let shown = Root::empty()
        .read_only("/usr", "/usr")
        .read_only("/usr/lib64", "/lib64")
        .read_only("/usr/lib", "/lib");
    let command = Command::new("/usr/bin/ls").argument("/").root(shown.read_only(&path, "/data"));
    let ended = run(&spawner, &command).await;
    assert_eq!(ended.stdout, "data\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\nwork\n", "{}", ended.stderr);
    let refused = spawner.spawn(&Command::new("/usr/bin/ls").root(Root::empty())).await.unwrap_err();
    assert!(matches!(refused, SpawnError::NoSuchFile { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_read_only_stays_and_what_is_writable_changes_outside() {
    let spawner = spawner(&[]);
    let (_folder, path) = folder();
    let root = || Root::system().read_only(&path, "/deep/in/data").writable(path.join("inner"), "/agent/out");
    let script = "cat /deep/in/data/paper; echo x > /deep/in/data/paper || echo refused; rm /deep/in/data/paper || echo refused; \
                  echo result > /agent/out/file; chmod 600 /agent/out/file; ls -ld /agent/out | cut -d' ' -f3; mkdir /agent/new || echo refused";
    assert_eq!(said(&spawner, script, root()).await, "publicrefused\nrefused\nagent\nrefused\n");
    assert_eq!(fs::read_to_string(path.join("inner/file")).unwrap(), "result\n");
    assert_eq!(fs::read_to_string(path.join("paper")).unwrap(), "public");
    // A single file, too.
    let one = Root::system()
        .read_only(path.join("paper"), "/agent/paper")
        .writable(path.join("inner/file"), "/agent/file");
    assert_eq!(
        said(&spawner, "cat /agent/paper; echo y > /agent/file; ls /agent", one).await,
        "publicfile\npaper\n"
    );
    assert_eq!(fs::read_to_string(path.join("inner/file")).unwrap(), "y\n");
}

#[tokio::test]
async fn files_and_scratch_folders_are_there_and_bounded() {
    let spawner = spawner(&[]);
    let root = Root::system()
        .file("/etc/hosts", "10.0.0.1 elsewhere\n")
        .file("/agent/ca.pem", "certificate")
        .scratch("/agent/cache", 1 << 20)
        .scratch("/tmp", 1 << 20);
    let script = "cat /etc/hosts /agent/ca.pem; echo x > /agent/ca.pem || echo refused; \
                  head -c 9000000 /dev/zero > /agent/cache/x; stat -c %s /agent/cache/x; \
                  head -c 9000000 /dev/zero > /tmp/x; stat -c %s /tmp/x; \
                  head -c 99000000 /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x; head -c 9000000 /dev/zero > /work/x; stat -c %s /work/x";
    let limits = Limits { home_bytes: 1 << 20, ..Limits::default() };
    let ended = run(&spawner, &boxed(script, root).limits(limits)).await;
    let expected = "10.0.0.1 elsewhere\ncertificaterefused\n1048576\n1048576\n67108864\n1048576\n";
    assert_eq!(ended.stdout, expected, "{}", ended.stderr);
}

#[tokio::test]
async fn a_source_that_is_missing_or_leads_elsewhere_is_an_error_that_names_it() {
    let spawner = spawner(&[]);
    let (_folder, path) = folder();
    let missing = refused(&spawner, Root::system().read_only(path.join("none"), "/a")).await;
    assert!(missing.contains("/none: No such file"), "{missing}");
    symlink("/etc", path.join("link")).unwrap();
    for source in [path.join("link"), path.join("link/ssl"), path.join("inner/../link")] {
        if source.ends_with("../link") {
            let refused = spawner.spawn(&boxed("true", Root::system().read_only(source, "/a"))).await;
            assert!(matches!(refused, Err(SpawnError::Invalid(_))));
            continue;
        }
        let leads = refused(&spawner, Root::system().read_only(source, "/a")).await;
        assert!(
            leads.contains("leads over a symbolic link; name the path that it leads to, /etc"),
            "{leads}"
        );
    }
    let device = refused(&spawner, Root::system().read_only("/dev/null", "/a")).await;
    assert!(device.contains("neither a file nor a folder"), "{device}");
}

#[tokio::test]
async fn a_target_in_a_folder_of_the_machine_is_not_made_there() {
    let spawner = spawner(&[]);
    let (_folder, path) = folder();
    let refused =
        refused(&spawner, Root::system().writable(&path, "/data").scratch("/data/new/cache", 1 << 20)).await;
    assert!(refused.contains("/data/new/cache") && refused.contains("not made there"), "{refused}");
    assert!(!path.join("new").exists());
    // One that exists is mounted on, and what is written there stays in the box.
    let root = Root::system().writable(&path, "/data").scratch("/data/inner", 1 << 20);
    assert_eq!(said(&spawner, "echo x > /data/inner/file; cat /data/inner/file", root).await, "x\n");
    assert_eq!(fs::read_dir(path.join("inner")).unwrap().count(), 0);
    // Nor is a link of the machine followed.
    symlink("/work", path.join("link")).unwrap();
    let root = Root::system().writable(&path, "/data").scratch("/data/link/x", 1 << 20);
    match spawner.spawn(&boxed("true", root)).await {
        Err(SpawnError::Setup(text)) => assert!(text.contains("/data/link/x"), "{text}"),
        other => panic!("a link was followed: {other:?}"),
    }
}

#[tokio::test]
async fn what_lies_in_another_place_is_put_there_after_it() {
    let spawner = spawner(&[]);
    let (_folder, path) = folder();
    // Folders of the machine in those in memory, and the other way round, each ordered first.
    let root = Root::system()
        .file("/data/inner/deep/note", "note")
        .scratch("/data/inner", 1 << 20)
        .read_only(path.join("paper"), "/work/paper")
        .read_only(&path, "/tmp/parts/x")
        .writable(&path, "/data")
        .file("/tmp/parts/note", "beside");
    let script = "cat /tmp/parts/x/paper /work/paper /tmp/parts/note /data/paper /data/inner/deep/note; echo; \
                  echo x > /tmp/free && echo x > /work/free && echo x > /tmp/parts/x/new || echo refused";
    assert_eq!(said(&spawner, script, root).await, "publicpublicbesidepublicnote\nrefused\n");
    assert!(!path.join("inner/deep").exists() && !path.join("new").exists());
}

#[tokio::test]
async fn the_nodes_folder_does_not_show_below_what_is_shown() {
    let (_folder, path) = folder();
    fs::write(path.join("inner/secret"), "hunter2").unwrap();
    let hidden = path.join("inner");
    let spawner = spawner(&[&hidden]);
    let root = Root::system().read_only(&path, "/data");
    let script = "ls -A /data /data/inner; cat /data/inner/secret || echo refused";
    assert_eq!(said(&spawner, script, root).await, "/data:\ninner\npaper\n\n/data/inner:\nrefused\n");
    let refused = refused(&spawner, Root::system().read_only(&hidden, "/data")).await;
    assert!(refused.contains("hidden from all children"), "{refused}");
}

#[tokio::test]
async fn every_layer_is_reported_and_those_that_were_not_ordered_are_said_to_be_missing() {
    let spawner = spawner(&[]);
    let root = rustix::process::geteuid().is_root();
    let child = spawner.spawn(&boxed("true", Root::system())).await.unwrap();
    let layers = child.process.layers();
    assert_eq!(layers.iter().map(|layer| layer.name).collect::<Vec<_>>(), LayerName::ALL);
    let missing: Vec<LayerName> = layers.missing().map(|layer| layer.name).collect();
    // Without root the machine these tests run on gives no cgroup.
    let expected: &[LayerName] = if root {
        &[LayerName::MemoryLimit, LayerName::CpuLimit]
    } else {
        &[LayerName::MemoryLimit, LayerName::CpuLimit, LayerName::Freezer]
    };
    assert_eq!(missing, expected);
    let memory = layers.iter().find(|layer| layer.name == LayerName::MemoryLimit).unwrap();
    assert_eq!(memory.to_string(), "memory-limit: missing (not ordered)");
    assert_eq!(spawner.run_layers().complete(), root);
}

#[tokio::test]
async fn a_required_layer_that_is_missing_refuses_the_run() {
    let spawner = spawner(&[]);
    let every = LayerName::ALL
        .into_iter()
        .filter(|name| ![LayerName::MemoryLimit, LayerName::CpuLimit, LayerName::Freezer].contains(name));
    let command = every.fold(boxed("echo fine", Root::system()), Command::require);
    assert_eq!(run(&spawner, &command).await.stdout, "fine\n");
    let refused = spawner.spawn(&command.require(LayerName::MemoryLimit)).await.unwrap_err();
    assert!(matches!(refused, SpawnError::LayerMissing { name: LayerName::MemoryLimit, .. }), "{refused}");
    let host = boxed("true", Root::system()).network(Network::Host).require(LayerName::NetworkNamespace);
    let refused = spawner.spawn(&host).await.unwrap_err();
    assert!(
        matches!(refused, SpawnError::LayerMissing { name: LayerName::NetworkNamespace, .. }),
        "{refused}"
    );
    // And of a tool server nothing is required in silence that only boxes have.
    let server = Command::new("true").require(LayerName::PrivateRoot);
    let refused = spawner.spawn(&server).await.unwrap_err();
    assert!(refused.to_string().contains("not ordered"), "{refused}");
}

#[tokio::test]
async fn a_device_of_the_machine_is_used_and_not_changed() {
    // To the mode they have: were it not refused, nothing would change.
    let script = "cd /dev; for one in null zero full random urandom tty $MORE; do chmod 0666 $one; done; \
                  echo x > null && head -c 1 zero | wc -c && head -c 8 urandom | wc -c; echo x > full || echo full";
    let spawner = spawner(&[]);
    let server = Command::new("sh").argument("-c").argument(script);
    let boxed = boxed(script, Root::system()).variable("MORE", "/proc/timer_list");
    for (command, number) in [(boxed, 7), (server, 6)] {
        let ended = run(&spawner, &command).await;
        assert_eq!(ended.stdout, "1\n8\nfull\n", "{}", ended.stderr);
        let refused = ended.stderr.lines().filter(|line| line.contains("Read-only file system")).count();
        assert_eq!(refused, number, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn terminals_and_files_in_shared_memory_are_counted() {
    let script = "import os\n\
        opened = 0\n\
        try:\n  while opened < 200: os.openpty(); opened += 1\n\
        except OSError: pass\n\
        made = 0\n\
        try:\n  while made < 20000: os.mknod(f'/dev/shm/{made}'); made += 1\n\
        except OSError: pass\n\
        print(opened, made < 20000)";
    let command = Command::new("/usr/bin/python3").argument("-c").argument(script).root(Root::system());
    let ended = run(&spawner(&[]), &command).await;
    assert_eq!(ended.stdout, "64 True\n", "{}", ended.stderr);
}

#[tokio::test]
async fn ordinary_programs_run() {
    let spawner = spawner(&[]);
    let scripts = [
        (
            "git",
            "cd /work && git init -q . && echo x > a && git add a && git -c user.name=a -c user.email=a@b commit -qm x && git log --oneline | wc -l",
        ),
        ("curl", "curl -s file:///etc/hostname | wc -l"),
        ("node", "node -e 'require(\"os\").networkInterfaces(); setTimeout(() => console.log(1), 5)'"),
        ("python3", "/usr/bin/python3 -c 'print(1)'"),
        ("bash", "bash -c 'set -o pipefail; echo $((2 - 1)) | cat'"),
        ("tar", "tar cf /tmp/x.tar -C /etc hosts && tar tf /tmp/x.tar | wc -l"),
        ("perl", "perl -e 'print 1, \"\\n\"'"),
    ];
    for (program, script) in scripts {
        let there =
            ["/usr/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
        if !there {
            continue;
        }
        let ended = run(&spawner, &boxed(script, Root::system())).await;
        assert_eq!(
            (ended.stdout.trim(), ended.status),
            ("1", ExitStatus::Exited(0)),
            "{program}: {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn ordinary_programs_run_without_namespaces_too() {
    let node = "node -e 'const fs = require(\"fs\"), path = require(\"os\").tmpdir() + \"/x\"; \
                fs.writeFileSync(path, \"1\"); setTimeout(() => console.log(fs.readFileSync(path, \"utf8\")), 5)'";
    let scripts = [
        ("node", node),
        ("node", "node --version | wc -l"),
        (
            "python3",
            "/usr/bin/python3 -c 'import tempfile; print(tempfile.NamedTemporaryFile(\"w\").write(\"x\"))'",
        ),
        ("bash", "bash -c 'cat <<< 1'"),
        ("tar", "cd && echo x > y && tar cf $TMPDIR/x.tar y && tar tf $TMPDIR/x.tar | wc -l"),
        ("perl", "perl -e 'print 1, \"\\n\"'"),
        // The machine's own, which is everybody's: not for a program in here.
        ("sh", "echo x 2>/dev/null > /tmp/x || echo 1"),
        ("ls", "ls /tmp 2>/dev/null || ls $TMPDIR | wc -l | sed s/0/1/"),
    ];
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    for (program, script) in scripts {
        let folders = ["/usr/bin", "/usr/local/bin"];
        if !folders.iter().any(|folder| Path::new(folder).join(program).exists()) {
            continue;
        }
        let command = Command::new("sh").argument("-c").argument(script);
        let command = command.root(Root::system()).network(Network::None);
        let mut child = driver.create(&command).await.unwrap().exec().await.unwrap();
        let mut said = String::new();
        child.stdout.read_to_string(&mut said).await.unwrap();
        let status = child.process.exited().await;
        assert_eq!((said.trim(), status), ("1", ExitStatus::Exited(0)), "{program}: {}", child.stderr.tail());
    }
    // What is shown is named as it is, over no link.
    let (_folder, path) = folder();
    symlink(path.join("inner"), path.join("link")).unwrap();
    let root = Root::system().read_only(path.join("link"), path.join("link"));
    let command = Command::new("true").root(root).network(Network::None);
    let refused = driver.create(&command).await.unwrap_err().to_string();
    assert!(refused.contains("leads over a symbolic link; name the path that it leads to, "), "{refused}");
}

#[tokio::test]
async fn a_driver_is_of_use_where_programs_can_look_at_files_and_is_said_not_to_be_where_not() {
    let spawner = spawner(&[]);
    for name in DriverName::ALL {
        let Some(driver) = common::driver(&spawner, name).await else { continue };
        let network = if name.has_network() { Network::Gateway } else { Network::None };
        let command = Command::new("sh").argument("-c").argument("stat /usr >/dev/null 2>&1; echo $?");
        let mut child = driver.spawn(&command.root(Root::system()).network(network)).await.unwrap();
        let mut said = String::new();
        child.stdout.read_to_string(&mut said).await.unwrap();
        match ringfence_sandbox::try_program(&*driver).await {
            Ok(()) => assert_eq!(said, "0\n", "{name}"),
            Err(useless @ SpawnError::Useless { .. }) => {
                // Its kernel is its own; of all others it is the machine's.
                assert_eq!((name, said.as_str()), (DriverName::Runsc, "1\n"), "{useless}");
                assert!(useless.to_string().contains("`stat /usr` there: stat: "), "{useless}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(16);
}
