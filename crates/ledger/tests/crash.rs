//! kill -9 and a disk that is really full: this test binary started again as the process that suffers it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{class, draft, note, open, options};
use ringfence_json::Object;
use ringfence_ledger::{AppendError, Ledger, RoomFor, VerifyOptions, check_entry, verify};
use ringfence_types::EntryKind;

const ROLE: &str = "RINGFENCE_LEDGER_TEST_ROLE";
const FOLDER: &str = "RINGFENCE_LEDGER_TEST_FOLDER";

/// Runs a role in a process of its own; the test of that role is a no-op otherwise.
fn role(name: &str) -> Option<PathBuf> {
    (std::env::var(ROLE).as_deref() == Ok(name)).then(|| std::env::var_os(FOLDER).unwrap().into())
}

fn command(program: &Path, wrapper: &[&str], role: &str, test: &str, folder: &Path) -> Command {
    let mut words: Vec<&std::ffi::OsStr> = wrapper.iter().map(std::ffi::OsStr::new).collect();
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["--exact", test, "--nocapture"]);
    command.env(ROLE, role).env(FOLDER, folder);
    command
}

/// Appends for ever, with payloads, from four threads; prints the number of each entry once it is durable.
#[test]
fn role_appender() {
    let Some(folder) = role("appender") else { return };
    let (ledger, session, recovery) = open(&folder);
    println!("open {}", recovery.size);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let mut draft = draft(EntryKind::Incident, Object::new().with("text", "x".repeat(300)));
                    draft.payloads.extend(session.seal(&class(), b"a payload of this entry"));
                    match session.append(draft, RoomFor::New) {
                        Ok(ticket) => {
                            ticket.durable_blocking().unwrap();
                            println!("durable {}", ticket.id());
                        }
                        Err(AppendError::Overloaded) => std::thread::sleep(Duration::from_millis(1)),
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    drop(ledger);
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut highest = None;
    for round in 0..12_u64 {
        let mut child = command(&program, &[], "appender", "role_appender", folder.path());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Between the first acknowledgements and some hundred, so that kills come at every kind of moment.
        let until = 1 + round * round * 3;
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            if let Some(id) = line.strip_prefix("durable ") {
                let id: u64 = id.parse().unwrap();
                highest = highest.max(Some(id));
                seen += 1;
                if seen == until {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(seen >= until, "the appender ended by itself");
    }
    let (ledger, _session, recovery) = open(folder.path());
    assert!(Some(recovery.size) > highest, "{recovery:?}, acknowledged {highest:?}");
    for (index, entry) in ledger.read(0).unwrap().enumerate() {
        assert_eq!(check_entry(&entry.unwrap().bytes).unwrap().id, index as u64);
    }
    ledger.close();
    let report = verify(folder.path(), &VerifyOptions::default()).unwrap();
    assert_eq!((report.entries, report.payloads), (recovery.size, recovery.size));
}

/// Fills a small file system, then shows what still works, then makes space.
#[test]
fn role_full_disk() {
    let Some(folder) = role("full disk") else { return };
    let ballast = folder.join("ballast");
    let (ledger, session, _) = open(&folder.join("ledger"));
    session.open_class(&class()).unwrap();
    let mut room = session.reserve(20, 5_000).unwrap();
    while let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(&ballast) {
        if std::io::Write::write_all(&mut file, &vec![1; 64 << 10]).is_err() {
            break;
        }
    }
    let long = "x".repeat(4_000);
    let refused = loop {
        match session.append(note(&long), RoomFor::New) {
            Ok(ticket) => ticket.durable_blocking().unwrap(),
            Err(AppendError::Overloaded) => std::thread::sleep(Duration::from_millis(1)),
            Err(other) => break other,
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert!(ledger.space().full || ledger.space().for_new < 10_000);
    for _ in 0..20 {
        session.append(note(&long), RoomFor::Reserved(&mut room)).unwrap().durable_blocking().unwrap();
    }
    session.append(note("suspended"), RoomFor::Operator).unwrap().durable_blocking().unwrap();
    ledger.derive();
    let size = ledger.durable();
    // A node that is started again on the full disk serves what it can.
    drop((room, session, ledger));
    let (ledger, session, recovery) = open(&folder.join("ledger"));
    assert_eq!(recovery.size, size);
    session.append(note("still suspended"), RoomFor::Operator).unwrap().durable_blocking().unwrap();

    std::fs::remove_file(&ballast).unwrap();
    let again = loop {
        match session.append(note(&long), RoomFor::New) {
            Ok(ticket) => break ticket,
            Err(AppendError::Full | AppendError::Overloaded) => std::thread::sleep(Duration::from_millis(10)),
            Err(other) => panic!("{other}"),
        }
    };
    again.durable_blocking().unwrap();
    ledger.close();
    let report = verify(&folder.join("ledger"), &VerifyOptions::default()).unwrap();
    assert_eq!((report.entries, report.signed), (size + 2, size + 2));
    println!("full disk survived");
}

#[test]
fn a_disk_that_is_really_full_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let script = format!("mount -t tmpfs -o size=24m none {} && exec \"$@\"", folder.path().display());
    let wrapper = ["unshare", "-Urm", "sh", "-c", &script, "sh"];
    let output = command(&program, &wrapper, "full disk", "role_full_disk", folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("full disk survived"), "{text}\n{errors}");
}

#[test]
fn a_log_that_cannot_be_made_on_a_full_disk_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    options.faults.disk_full(true);
    let refused = Ledger::open(folder.path(), options).unwrap_err();
    assert!(refused.to_string().contains("allocate space"), "{refused}");
}
