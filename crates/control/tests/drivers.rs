//! What the configuration says of what keeps runs apart from the machine, and what their root is made of.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use ringfence_control::config::{Loaded, Rejected, RunConfig, load_text};
use ringfence_runs::Rootfs;
use ringfence_sandbox::DriverName;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Reads a configuration whose agent has this `run`, and `more` beside it.
fn read(run: &str, more: &str) -> Result<Loaded, Box<Rejected>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let policy = "rules:\n  - { name: all, match: {}, decision: ALLOW }\n";
    std::fs::write(folder.path().join("safety-policy.yaml"), policy).unwrap();
    let text = format!(
        "organization: acme\nworkspaces:\n  lab:\n    agents: {{ a: {{ run: {{ command: [sh], {run} }} {more} }} }}\n    \
         policy: safety-policy.yaml\n"
    );
    load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text).map_err(Box::new)
}

fn run(run: &str) -> RunConfig {
    let loaded = read(run, "").unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    loaded.config.workspaces[0].agents[0].run.clone().unwrap()
}

fn rejected(run: &str) -> String {
    read(run, "").err().map(|rejected| rejected.render()).unwrap_or_default()
}

fn warnings(run: &str, more: &str) -> String {
    let loaded = read(run, more).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    loaded.warnings.iter().map(|said| said.message.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_names_its_driver_and_its_root() {
    let usual = run("stdin: true");
    assert_eq!((usual.driver, usual.rootfs), (DriverName::Local, Rootfs::Machine));
    for driver in DriverName::ALL {
        assert_eq!(run(&format!("driver: {driver}")).driver, driver);
    }
    let folder = run("driver: crun, rootfs: root");
    assert!(matches!(folder.rootfs, Rootfs::Folder(path) if path.is_absolute() && path.ends_with("root")));
    let image = run(&format!("driver: runsc, image: \"registry.example:5000/team/agent:1@{DIGEST}\""));
    assert!(matches!(image.rootfs, Rootfs::Image(name) if name.digest() == Some(DIGEST)));
}

#[test]
fn what_no_driver_can_give_is_told() {
    for (run, told) in [
        ("driver: docker", "there is no driver `docker`"),
        ("driver: run", "`runc`"),
        ("image: debian", "no other root"),
        ("driver: local, rootfs: root", "no other root"),
        ("driver: restricted, rootfs: root", "no other root"),
        ("driver: runc, rootfs: file", "is no folder"),
        ("driver: runc, rootfs: nowhere", "cannot be used"),
        ("driver: runc, rootfs: root, image: debian", "not of both"),
        ("driver: runc, image: \"debian@sha256:12\"", "names no image"),
        ("driver: runc, image: \"https://registry/debian\"", "names no image"),
        ("driver: restricted, state: { size: 1Mi }", "no place for `state`"),
        ("driver: restricted, mounts: [{ source: root, target: /data }]", "seen where it is"),
    ] {
        let said = rejected(run);
        assert!(said.contains(told), "{run}: {said}");
    }
}

#[test]
fn what_is_probably_not_meant_is_pointed_out() {
    assert!(warnings("driver: runc, image: \"debian:12\"", "").contains("has no digest"));
    assert!(!warnings(&format!("driver: runc, image: \"debian:12@{DIGEST}\""), "").contains("digest"));
    let alone = warnings("driver: restricted", ", egress: [\"a.example:443\"]");
    assert!(alone.contains("no network: it reaches none of its egress"), "{alone}");
    assert!(!warnings("driver: restricted", "").contains("no network"));
    assert!(!warnings("driver: runc", ", egress: [\"a.example:443\"]").contains("no network"));
}

#[test]
fn nobody_changes_what_the_root_of_a_run_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("roots/one/usr/share")).unwrap();
    std::fs::create_dir_all(folder.path().join("beside")).unwrap();
    std::os::unix::fs::symlink("roots/one", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("../roots/one/usr", folder.path().join("beside/inner")).unwrap();
    let policy = "rules:\n  - { name: all, match: {}, decision: ALLOW }\n";
    std::fs::write(folder.path().join("safety-policy.yaml"), policy).unwrap();
    let read = |rooted: &str, by_tool: bool, source: &str, writable: bool| {
        let mounts = format!("mounts: [{{ source: {source}, target: /x, writable: {writable} }}]");
        let plain = "command: [sh]".to_owned();
        let (agent, tool) =
            if by_tool { (plain, mounts) } else { (format!("{plain}, {mounts}"), "egress: []".to_owned()) };
        let text = format!(
            "organization: acme\nworkspaces:\n  lab:\n    policy: safety-policy.yaml\n    agents: {{ a: {{ run: {{ {agent} }} }} }}\n    \
             tools: {{ t: {{ command: [serve], {tool} }} }}\n  \
             far:\n    policy: safety-policy.yaml\n    agents: {{ b: {{ run: {{ command: [sh], driver: runc, rootfs: {rooted} }} }} }}\n"
        );
        load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text)
    };
    for by_tool in [false, true] {
        for (rooted, source, how) in [
            ("roots/one", "roots/one", "holds"),
            ("roots/one", "roots", "holds"),
            ("roots/one", "roots/one/usr/share", "is a part of"),
            ("link", "roots/one/usr", "is a part of"),
            ("roots/one", "link", "holds"),
            ("roots/one", "beside/inner", "is a part of"),
        ] {
            let said = read(rooted, by_tool, source, true).unwrap_err().render();
            let part =
                format!("and {how} {}", folder.path().canonicalize().unwrap().join("roots/one").display());
            assert!(
                said.contains(&part) && said.contains("shown in a sandbox by itself"),
                "{source}: {said}"
            );
            assert!(read(rooted, by_tool, source, false).is_ok(), "what can only be read may be shared");
        }
        assert!(read("roots/one", by_tool, "beside", true).is_ok());
    }
}
