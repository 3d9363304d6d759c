//! Environments of packages: built once, by `uv` and `npm`, in a sandbox that reaches the index alone; shown read-only.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;
use std::process::Stdio;

use ringfence_tests::audit;
use ringfence_tests::cli;
use ringfence_tests::environments::{BOUNDS, Made, POLICY, Place};
use ringfence_tests::index::Index;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::patience::{eventually, within};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

const SAYS_WHERE: &str = "\
import os, sys, tide
print(tide.level, sys.prefix, os.environ['VIRTUAL_ENV'])
try:
    open(tide.__file__, 'a')
except OSError as error:
    print(error.strerror)
";

#[tokio::test]
async fn an_agent_finds_what_its_requirements_name_and_the_second_run_builds_nothing() {
    let index = Index::start().await;
    let requirements = index.requirement("tide") + &index.requirement("moon");
    let place = Place::python(&index, requirements.clone(), SAYS_WHERE).await;
    let said = place.run().await.expect(0);
    assert_eq!(said.stdout, "high, waxing /agent/python /agent/python\nRead-only file system\n");
    let builds = place.builds().await;
    assert_eq!((builds.len(), &builds[0]["exit_code"]), (1, &Value::from(0)), "{builds:?}");
    let asked = index.asked();
    assert!(asked >= 4, "{asked}");

    place.run().await.expect(0);
    assert_eq!((place.builds().await.len(), index.asked(), place.kept()), (1, asked, 1));
    // What it is made of is what tells it from others.
    std::fs::write(place.files.path().join("requirements.txt"), requirements + "\n# another\n").unwrap();
    place.run().await.expect(0);
    assert_eq!((place.builds().await.len(), place.kept()), (2, 2));
    // Each connection is on record, as the node's own.
    let intents = audit::entries(&place.node, "intent").await;
    let own = intents.iter().filter(|entry| entry["agent"] == "build:python");
    assert!(own.clone().count() >= 4 && own.clone().all(|entry| entry["host"] == "127.0.0.1"), "{intents:?}");
    audit::verify(&place.node).await;
}

#[tokio::test]
async fn an_environment_outlives_the_node_and_one_that_was_changed_is_built_again() {
    let index = Index::start().await;
    let agent = "import moon\nprint(moon.phase)\n";
    let mut place = Place::python(&index, index.requirement("moon"), agent).await;
    place.run().await.expect(0);
    place.node.kill().await;
    place.node.restart().await;
    assert_eq!(place.run().await.expect(0).stdout, "waxing\n");
    assert_eq!(place.builds().await.len(), 1);

    place.node.kill().await;
    let environments = place.node.data().join("environments");
    let environment = std::fs::read_dir(&environments).unwrap().next().unwrap().unwrap().path();
    let mut found = glob(&environment.join("tree"), "__init__.py", "moon");
    std::fs::write(found.remove(0), "phase = 'changed'\n").unwrap();
    std::fs::create_dir(environments.join(".unfinished-left")).unwrap();
    place.node.restart().await;
    assert_eq!(place.run().await.expect(0).stdout, "waxing\n");
    assert_eq!((place.builds().await.len(), place.kept()), (2, 1));
}

/// The files of that name in a folder of that name, below a folder.
fn glob(folder: &std::path::Path, name: &str, parent: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(glob(&path, name, parent));
        } else if path.ends_with(format!("{parent}/{name}")) {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_package_that_is_not_what_its_hash_says_is_refused() {
    let index = Index::start().await;
    let wrong = index.digest("tide-1.0-py3-none-any.whl", "sha256");
    let requirements = format!("moon==1.0 --hash=sha256:{wrong}\n");
    let place = Place::python(&index, requirements, "print('ran')").await;
    let said = place.run().await.expect(1);
    assert!(said.stdout.is_empty() && said.stderr.contains("find out why"), "{said:?}");
    assert_eq!((place.builds().await[0]["exit_code"].as_u64() > Some(0), place.kept()), (true, 0));
}

/// Says what a package left that has a line which every Python with `site` runs, and whether modules are compiled.
const LOOKS_AROUND: &str = "\
import eager, os
print(os.path.exists('/agent/python/ran'), os.path.exists(os.environ['EAGER']))
print(os.path.exists(eager.__cached__))
";

#[tokio::test]
async fn nothing_of_a_package_is_run_when_its_environment_is_built_and_it_is_compiled() {
    let index = Index::start().await;
    let requirements = index.requirement("eager") + &index.requirement("tide") + &index.requirement("moon");
    let run = "command: [python, agent.py], python: FOLDER/requirements.txt, env: { EAGER: /tmp/ran }";
    let files = [("requirements.txt", requirements), ("agent.py", LOOKS_AROUND.to_owned())];
    let place = Place::open(Made { index: &index, run, files: &files, policy: POLICY, bounds: BOUNDS }).await;
    // In the run it is the agent's own matter, and shows that the line is one that runs.
    assert_eq!(place.run().await.expect(0).stdout, "False True\nTrue\n");
}

#[tokio::test]
async fn a_package_without_a_wheel_is_refused_and_nothing_of_it_runs() {
    let index = Index::start().await;
    let place = Place::python(&index, index.requirement("sunny"), "print('ran')").await;
    let said = place.run().await.expect(1);
    assert!(said.stderr.contains("only wheels are installed"), "{said:?}");
    // All that uv said is in what the run wrote.
    assert!(said.stderr.contains("sunny==1.0 has no usable wheels"), "{said:?}");
    assert_eq!(place.kept(), 0);
}

#[tokio::test]
async fn a_build_reaches_the_index_and_nothing_else() {
    let elsewhere = Index::start().await;
    let index = Index::start_with_files_at(Some(&elsewhere)).await;
    let place = Place::python(&index, index.requirement("moon"), "print('ran')").await;
    let said = place.run().await.expect(1);
    assert!(said.stderr.contains("a build reaches the hosts of `environments`"), "{said:?}");
    let refused = place.refused().await;
    let port: u64 = elsewhere.host().rsplit(':').next().unwrap().parse().unwrap();
    let is_it = |entry: &Value| entry["agent"] == "build:python" && entry["port"] == port;
    assert!(refused.iter().any(|entry| is_it(entry) && entry["code"] == "not_granted"), "{refused:?}");
    assert_eq!((elsewhere.asked(), place.kept()), (0, 0));
}

#[tokio::test]
async fn a_rule_that_denies_the_index_holds_for_builds_too() {
    let index = Index::start().await;
    let files = [("requirements.txt", index.requirement("moon")), ("agent.py", String::new())];
    let run = "command: [python, agent.py], python: FOLDER/requirements.txt";
    let policy =
        "rules:\n  - { name: no-index, match: { kind: egress, agent: 'build:*' }, decision: DENY }\n";
    let place = Place::open(Made { index: &index, run, files: &files, policy, bounds: BOUNDS }).await;
    place.run().await.expect(1);
    let refused = place.refused().await;
    assert!(refused.iter().any(|entry| entry["rule"] == "no-index"), "{refused:?}");
    assert_eq!(index.asked(), 0);
}

#[tokio::test]
async fn a_build_is_bounded_in_time_and_on_the_disk() {
    let index = Index::start().await;
    let run = "command: [python, agent.py], python: FOLDER/requirements.txt";
    let with = async |package: &str, bounds: &str| {
        let files = [("requirements.txt", index.requirement(package)), ("agent.py", String::new())];
        let place = Place::open(Made { index: &index, run, files: &files, policy: POLICY, bounds }).await;
        let said = place.run().await.expect(1);
        assert_eq!(place.kept(), 0);
        (said.stderr, place.builds().await[0]["why"].clone())
    };
    let (said, why) = with("bulk", "size: 5Mi").await;
    assert!(said.contains("it takes more than 5Mi of the disk") && why == "output", "{said} {why}");
    let (said, why) = with("bulk", "size: 1Mi").await;
    assert!(said.contains("a file takes more than a build may") && why == "program", "{said} {why}");
    index.open(false);
    let (said, why) = with("moon", "timeout: 1s").await;
    assert!(said.contains("it took more than 1s") && why == "deadline", "{said} {why}");
}

#[tokio::test]
async fn all_who_want_the_same_wait_for_one_build_and_it_is_called_off_when_they_have_gone() {
    let index = Index::start().await;
    let place = Place::python(&index, index.requirement("moon"), "import moon\n").await;
    index.open(false);
    let begin = async || {
        let said = place.node.cli(&["run", "assistant", "-w", "lab", "--detach"]).await.expect(0);
        said.stdout.trim().to_owned()
    };
    let waits = async |run: &str| {
        eventually(EFFECT, "the run waits for its environment", async || {
            let view = place.node.api(&format!("/api/v1/runs/{run}")).await.json();
            (view["state"] == "starting" && view["waits_for"].is_string()).then_some(())
        })
        .await;
    };
    let ended = async |run: &str| {
        eventually(EFFECT, "the run has ended", async || {
            let view = place.node.api(&format!("/api/v1/runs/{run}")).await.json();
            (view["state"] == "ended").then_some(view)
        })
        .await
    };
    let runs = [begin().await, begin().await, begin().await];
    for run in &runs {
        waits(run).await;
    }
    // One who goes takes nothing from the others.
    place.node.cli(&["kill", &runs[0], "--reason", "a test"]).await.expect(0);
    assert_eq!(ended(&runs[0]).await["ended_by"], "person");
    index.open(true);
    for run in &runs[1..] {
        assert_eq!(ended(run).await["exit_code"], 0);
    }
    assert_eq!(place.builds().await.len(), 1);

    index.open(false);
    std::fs::write(place.files.path().join("requirements.txt"), index.requirement("tide")).unwrap();
    let last = begin().await;
    waits(&last).await;
    place.node.cli(&["kill", &last, "--reason", "a test"]).await.expect(0);
    let end = eventually(EFFECT, "the end of the build", async || place.builds().await.get(1).cloned()).await;
    assert_eq!(end["why"], "idle", "{end}");
    eventually(EFFECT, "nothing half built", async || (place.kept() == 1).then_some(())).await;
}

#[tokio::test]
async fn whoever_follows_a_run_is_told_that_its_environment_is_built() {
    let index = Index::start().await;
    let place = Place::python(&index, index.requirement("moon"), "import moon\n").await;
    index.open(false);
    let mut command = cli::command(place.node.folder());
    command.args(["--data", place.node.data().to_str().unwrap(), "run", "assistant", "-w", "lab"]);
    let mut run = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    let line = within(EFFECT, "a word of what it waits for", said.next_line()).await.unwrap().unwrap();
    assert!(line.ends_with("waits for its environment, which is built from requirements.txt"), "{line}");
    index.open(true);
    assert!(within(EFFECT, "the end of the run", run.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_lock_of_uv_is_installed_as_it_stands() {
    let index = Index::start().await;
    let project = "[project]\nname = \"agent\"\nversion = \"0\"\nrequires-python = \">=3.8\"\ndependencies = [\"moon\"]\n";
    let wheel = "moon-1.0-py3-none-any.whl";
    let lock = format!(
        "version = 1
requires-python = \">=3.8\"

[[package]]
name = \"agent\"
version = \"0\"
source = {{ virtual = \".\" }}
dependencies = [{{ name = \"moon\" }}]

[package.metadata]
requires-dist = [{{ name = \"moon\" }}]

[[package]]
name = \"moon\"
version = \"1.0\"
source = {{ registry = \"{0}/simple\" }}
wheels = [{{ url = \"{0}/files/{wheel}\", hash = \"sha256:{1}\", size = {2} }}]
",
        index.url,
        index.digest(wheel, "sha256"),
        index.size(wheel)
    );
    let agent = "import moon\nprint(moon.phase)\n";
    let files =
        [("pyproject.toml", project.to_owned()), ("uv.lock", lock.clone()), ("agent.py", agent.to_owned())];
    let run = "command: [python, agent.py], python: FOLDER/uv.lock";
    let place = Place::open(Made { index: &index, run, files: &files, policy: POLICY, bounds: BOUNDS }).await;
    assert_eq!(place.run().await.expect(0).stdout, "waxing\n");
    let wrong = lock.replace(&index.digest(wheel, "sha256"), &"0".repeat(64));
    std::fs::write(place.files.path().join("uv.lock"), wrong).unwrap();
    let said = place.run().await.expect(1);
    assert!(said.stderr.contains("find out why"), "{said:?}");

    let asked = index.asked();
    let bare = lock.replace(&format!("hash = \"sha256:{}\", ", index.digest(wheel, "sha256")), "");
    std::fs::write(place.files.path().join("uv.lock"), bare).unwrap();
    let said = place.run().await.expect(1);
    assert!(said.stderr.contains("`moon` of uv.lock has a wheel without a `hash`"), "{said:?}");
    assert_eq!(index.asked(), asked, "nothing is fetched");
}

#[tokio::test]
async fn packages_for_node_are_found_by_modules_of_either_kind_and_their_scripts_do_not_run() {
    let index = Index::start().await;
    let tarball = "comet-1.0.0.tgz";
    let package = r#"{"name":"agent","version":"0.0.0","dependencies":{"comet":"1.0.0"}}"#;
    let lock = format!(
        r#"{{"name":"agent","version":"0.0.0","lockfileVersion":3,"requires":true,"packages":{{
            "":{{"name":"agent","version":"0.0.0","dependencies":{{"comet":"1.0.0"}}}},
            "node_modules/comet":{{"version":"1.0.0","resolved":"{}/files/{tarball}","integrity":"sha512-{}","hasInstallScript":true}}}}}}"#,
        index.url,
        index.digest(tarball, "sha512")
    );
    let agent = "import comet from 'comet';\nimport { createRequire } from 'module';\n\
                 console.log(comet, createRequire(import.meta.url)('comet'));\n";
    let files = [
        ("package.json", package.to_owned()),
        ("package-lock.json", lock.clone()),
        ("agent.mjs", agent.to_owned()),
    ];
    let run = "command: [node, agent.mjs], node: FOLDER/package-lock.json";
    let place = Place::open(Made { index: &index, run, files: &files, policy: POLICY, bounds: BOUNDS }).await;
    assert_eq!(place.run().await.expect(0).stdout, "tail tail\n");
    assert_eq!(place.run().await.expect(0).stdout, "tail tail\n");
    let builds = place.builds().await;
    assert_eq!((builds.len(), &builds[0]["agent"]), (1, &Value::from("build:node")));

    let wrong = lock.replace(&index.digest(tarball, "sha512"), &"A".repeat(86)).replace("AA\"", "AA==\"");
    std::fs::write(place.files.path().join("package-lock.json"), wrong).unwrap();
    let said = place.run().await.expect(1);
    assert!(said.stderr.contains("is not what its `integrity` says"), "{said:?}");

    let asked = index.asked();
    let digest = format!("\"integrity\":\"sha512-{}\"", index.digest(tarball, "sha512"));
    for none in ["\"integrity\":\"sha512-\"", "\"inBundle\":true"] {
        std::fs::write(place.files.path().join("package-lock.json"), lock.replace(&digest, none)).unwrap();
        let said = place.run().await.expect(1);
        assert!(said.stderr.contains("`node_modules/comet` has no `integrity`"), "{said:?}");
    }
    assert_eq!(index.asked(), asked, "nothing is fetched");
}
