//! Packages whose code runs while an environment is built, because they are named: what it can do, and what it cannot.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::Path;

use ringfence_tests::audit;
use ringfence_tests::environments::{BOUNDS, Made, POLICY, Place};
use ringfence_tests::index::Index;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::patience::eventually;
use serde_json::Value;

/// A place for an agent of Node, with what its lock has beside the project itself and the scripts that run.
async fn of_node(index: &Index, packages: &[String], scripts: &str, more: &str, agent: &str) -> Place {
    of_node_within(index, packages, scripts, more, agent, BOUNDS).await
}

/// The same, whose build may take something else.
async fn of_node_within(
    index: &Index,
    packages: &[String],
    scripts: &str,
    more: &str,
    agent: &str,
    bounds: &str,
) -> Place {
    let names: Vec<String> = packages
        .iter()
        .filter_map(|package| package.strip_prefix("\"node_modules/")?.split_once('"'))
        .filter(|(place, _)| !place.contains("/node_modules/"))
        .map(|(place, rest)| {
            let alias = rest.split_once("\"name\":\"").and_then(|(_, rest)| rest.split_once('"'));
            let version = alias.map_or("1.0.0".to_owned(), |(name, _)| format!("npm:{name}@1.0.0"));
            format!(r#""{place}":"{version}""#)
        })
        .collect();
    let names = names.join(",");
    let project = format!(r#"{{"name":"agent","version":"0.0.0","dependencies":{{{names}}}{more}}}"#);
    let lock = format!(
        r#"{{"name":"agent","version":"0.0.0","lockfileVersion":3,"requires":true,"packages":{{"":{{"name":"agent","version":"0.0.0","dependencies":{{{names}}}}},{}}}}}"#,
        packages.join(",")
    );
    let files = [("package.json", project), ("package-lock.json", lock), ("agent.cjs", agent.to_owned())];
    let run = format!(
        "command: [node, agent.cjs], node: {{ lock: FOLDER/package-lock.json, scripts: [{scripts}] }}"
    );
    Place::open(Made { index, run: &run, files: &files, policy: POLICY, bounds }).await
}

fn requirements_run(named: &str) -> String {
    format!("command: [python, agent.py], python: {{ lock: FOLDER/requirements.txt, build: [{named}] }}")
}

async fn of_python(index: &Index, requirements: String, named: &str, agent: &str) -> Place {
    let files = [("requirements.txt", requirements), ("agent.py", agent.to_owned())];
    let run = requirements_run(named);
    Place::open(Made { index, run: &run, files: &files, policy: POLICY, bounds: BOUNDS }).await
}

/// The same place, of which the configuration says something else.
async fn rewritten(place: &mut Place, old: &str, new: &str) {
    place.node.kill().await;
    let config = place.node.folder().join("ringfence.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(&config, text.replace(old, new)).unwrap();
    place.node.restart().await;
}

/// Whether a program lives that was started with this argument.
fn lives(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let said = |path: &Path| std::fs::read(path.join("cmdline")).unwrap_or_default();
    processes
        .into_iter()
        .any(|process| said(&process.path()).split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

/// That a build tried to reach a host and was refused is in the log.
async fn expect_refused(place: &Place, builder: &str, host: &str) {
    let refused = place.refused().await;
    let is_it = |entry: &&Value| entry["agent"] == builder && entry["host"] == host;
    let entry = refused.iter().find(is_it);
    assert!(entry.is_some_and(|entry| entry["code"] == "not_granted"), "{host}: {refused:?}");
}

const LOOKS: &str = "const at = require.resolve('belt');\n\
    const ran = name => { try { return require(name); } catch { return 'absent'; } };\n\
    console.log(require('comet'), require(at), require('other'), ran('meteor'));\n";

#[tokio::test]
async fn install_scripts_run_of_the_packages_that_are_named_wherever_they_are_and_of_no_others() {
    let index = Index::start().await;
    let script = r#","hasInstallScript":true"#;
    let packages = [
        index.locked("node_modules/belt", "belt", r#","dependencies":{"comet":"1.0.0"}"#),
        // A lock that does not say that it has a script.
        index.locked("node_modules/belt/node_modules/comet", "comet", ""),
        index.locked("node_modules/comet", "comet", script),
        index.locked("node_modules/meteor", "meteor", script),
        index.locked("node_modules/other", "comet", &format!(r#","name":"comet"{script}"#)),
    ];
    let place = of_node(&index, &packages, "comet", "", LOOKS).await;
    assert_eq!(place.run().await.expect(0).stdout, "tail ran tail ran tail ran false\n");
    let builds = place.builds().await;
    assert_eq!(builds[0]["reason"], "it was built from package-lock.json, and code ran of comet");

    // Who names others has another environment; who names none has the one without code.
    for (scripts, told) in
        [("", "tail tail tail false\n"), ("meteor, comet", "tail ran tail ran tail ran true\n")]
    {
        let place = of_node(&index, &packages, scripts, "", LOOKS).await;
        assert_eq!(place.run().await.expect(0).stdout, told, "{scripts}");
    }
}

#[tokio::test]
async fn whoever_is_named_later_gets_an_environment_of_its_own() {
    let index = Index::start().await;
    let packages = [index.locked("node_modules/comet", "comet", "")];
    let agent = "console.log(require('comet'));\n";
    let mut place = of_node(&index, &packages, "", "", agent).await;
    assert_eq!(place.run().await.expect(0).stdout, "tail\n");
    rewritten(&mut place, "scripts: []", "scripts: [comet]").await;
    assert_eq!(place.run().await.expect(0).stdout, "tail ran\n");
    assert_eq!((place.builds().await.len(), place.kept()), (2, 2));
}

#[tokio::test]
async fn what_an_install_script_tries_beside_its_work_is_refused_and_nothing_of_it_lives_on() {
    let index = Index::start().await;
    let packages = [index.locked("node_modules/ravel", "ravel", "")];
    let agent = "console.log(JSON.stringify(require('ravel')));\n";
    let place = of_node(&index, &packages, "ravel", "", agent).await;
    let told: Value = serde_json::from_str(&place.run().await.expect(0).stdout).unwrap();
    let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((word("index"), word("process")), ("done".into(), "number".into()), "{told}");
    for tried in ["elsewhere", "machine", "setuid"] {
        assert_eq!(word(tried), "refused", "{tried}: {told}");
    }
    assert!(!lives("86399.75"));
    expect_refused(&place, "build:node", "elsewhere.example").await;
    audit::verify(&place.node).await;
}

#[tokio::test]
async fn what_a_script_leaves_that_is_no_environment_is_not_kept_and_does_not_stay() {
    let index = Index::start().await;
    let packages = [index.locked("node_modules/snare", "snare", "")];
    for (trap, said) in [
        ("fifo", "here is no file, folder or link that can be kept"),
        ("link", "here is a link that leads out of it"),
        ("swap", "is no folder that was built there"),
        ("deep", "it takes more than 64Mi of the disk, or too many files"),
        ("names", "the paths of all files take more than 64 MiB"),
        ("large", "it takes more than 64Mi of the disk"),
        ("failing", "the snare says no"),
    ] {
        let place = of_node(&index, &packages, "snare", &format!(r#","snare":"{trap}""#), "").await;
        let told = place.run().await.expect(1).stderr;
        assert!(told.contains(said), "{trap}: {told}");
        assert_eq!(place.kept(), 0, "{trap}");
    }
}

#[tokio::test]
async fn what_was_built_is_read_no_longer_than_somebody_waits_for_it() {
    let index = Index::start().await;
    let packages = [index.locked("node_modules/snare", "snare", "")];
    let bounds = "size: 8192Gi, timeout: 2m";
    let place = of_node_within(&index, &packages, "snare", r#","snare":"hole""#, "", bounds).await;
    let run = place.node.cli(&["run", "assistant", "-w", "lab", "--detach"]).await.expect(0);
    let environments = place.node.data().join("environments");
    eventually(EFFECT, "what was built is read, which takes hours", async || {
        let mut found = std::fs::read_dir(&environments).into_iter().flatten().flatten();
        found.any(|one| one.path().join("tree").exists()).then_some(())
    })
    .await;
    place.node.cli(&["kill", run.stdout.trim(), "--reason", "a test"]).await.expect(0);
    let end = eventually(EFFECT, "the end of the build", async || place.builds().await.pop()).await;
    assert_eq!((&end["why"], &end["exit_code"]), (&"idle".into(), &0.into()), "{end}");
    eventually(EFFECT, "nothing is read or kept any more", async || (place.kept() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_native_module_is_compiled_against_the_headers_of_this_machines_node() {
    let has = |path: &str| Path::new(path).exists();
    if !(has("/usr/include/node/common.gypi")
        && has("/usr/bin/node")
        && has("/usr/bin/cc")
        && has("/usr/bin/make"))
    {
        eprintln!("skipped: there is no compiler, or Node has no headers beside it");
        return;
    }
    let index = Index::start().await;
    let packages = [index.locked("node_modules/flint", "flint", "")];
    let place = of_node(&index, &packages, "flint", "", "console.log(require('flint'));\n").await;
    assert_eq!(place.run().await.expect(0).stdout, "spark\n");
    assert_eq!(place.refused().await, Vec::<Value>::new());
}

const TELLS: &str = "import clay, json, moon\nprint(json.dumps(dict(clay.told, moon=moon.phase)))\n";

#[tokio::test]
async fn a_source_distribution_that_is_named_is_built_by_what_the_same_file_has() {
    let index = Index::start().await;
    let requirements = ["moon", "kiln", "clay"].map(|name| index.requirement(name)).concat();
    let mut place = of_python(&index, requirements, "Clay", TELLS).await;
    let told: Value = serde_json::from_str(&place.run().await.expect(0).stdout).unwrap();
    // Another package of the same environment is in its hands.
    for (tried, became) in [("index", "done"), ("process", "None"), ("moon", "fired")] {
        assert_eq!(told[tried], became, "{tried}: {told}");
    }
    for tried in ["elsewhere", "address", "models", "machine", "setuid"] {
        assert_eq!(told[tried], "refused", "{tried}: {told}");
    }
    assert!(!lives("86399.25"));
    for host in ["elsewhere.example", "203.0.113.9"] {
        expect_refused(&place, "build:python", host).await;
    }
    assert_eq!(place.builds().await[0]["reason"], "it was built from requirements.txt, and code ran of Clay");
    // Any other environment is as it was.
    std::fs::write(place.files.path().join("requirements.txt"), index.requirement("moon")).unwrap();
    std::fs::write(place.files.path().join("agent.py"), "import moon\nprint(moon.phase)\n").unwrap();
    rewritten(&mut place, "build: [Clay]", "build: []").await;
    assert_eq!(place.run().await.expect(0).stdout, "waxing\n");
    audit::verify(&place.node).await;
}

#[tokio::test]
async fn who_is_not_named_is_not_built_and_nothing_is_fetched_to_build_who_is() {
    let index = Index::start().await;
    let all = ["moon", "kiln", "clay", "sunny"].map(|name| index.requirement(name)).concat();
    let place = of_python(&index, all, "clay", "").await;
    let said = place.run().await.expect(1).stderr;
    assert!(said.contains("only wheels are installed") && said.contains("sunny"), "{said}");

    // What would build it is not in the file, although the index has it.
    let (brick, kiln) = (index.requirement("brick"), index.requirement("kiln"));
    let place = of_python(&index, brick.clone(), "brick", "").await;
    let said = place.run().await.expect(1).stderr;
    assert!(said.contains("has to be in the same file"), "{said}");
    of_python(&index, brick + &kiln, "brick", "import brick\n").await.run().await.expect(0);

    let wrong = index.requirement("moon") + &index.requirement("kiln");
    let wrong = wrong + &format!("clay==1.0 --hash=sha256:{}\n", "0".repeat(64));
    let place = of_python(&index, wrong, "clay", "").await;
    let said = place.run().await.expect(1).stderr;
    assert!(said.contains("find out why"), "{said}");
    assert_eq!(place.kept(), 0);
}

#[tokio::test]
async fn a_source_distribution_of_a_lock_of_uv_is_built_when_it_is_named_and_refused_when_not() {
    let index = Index::start().await;
    let package = |name: &str, file: &str, key: (&str, &str)| {
        let (url, digest, size) = (&index.url, index.digest(file, "sha256"), index.size(file));
        let (open, close) = key;
        format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"1.0\"\nsource = {{ registry = \"{url}/simple\" }}\n\
             {open}{{ url = \"{url}/files/{file}\", hash = \"sha256:{digest}\", size = {size} }}{close}\n"
        )
    };
    let lock = format!(
        "version = 1\nrequires-python = \">=3.8\"\n\n[[package]]\nname = \"agent\"\nversion = \"0\"\n\
         source = {{ virtual = \".\" }}\n\
         dependencies = [{{ name = \"clay\" }}, {{ name = \"kiln\" }}, {{ name = \"moon\" }}]\n{}{}{}",
        package("clay", "clay-1.0.tar.gz", ("sdist = ", "")),
        package("kiln", "kiln-1.0-py3-none-any.whl", ("wheels = [", "]")),
        package("moon", "moon-1.0-py3-none-any.whl", ("wheels = [", "]")),
    );
    let project = "[project]\nname = \"agent\"\nversion = \"0\"\nrequires-python = \">=3.8\"\n\
                   dependencies = [\"clay\", \"kiln\", \"moon\"]\n";
    let files = [("pyproject.toml", project.to_owned()), ("uv.lock", lock), ("agent.py", TELLS.to_owned())];
    let open = async |named: &str| {
        let run =
            format!("command: [python, agent.py], python: {{ lock: FOLDER/uv.lock, build: [{named}] }}");
        Place::open(Made { index: &index, run: &run, files: &files, policy: POLICY, bounds: BOUNDS }).await
    };
    let told: Value = serde_json::from_str(&open("clay").await.run().await.expect(0).stdout).unwrap();
    assert_eq!((&told["moon"], &told["elsewhere"]), (&"fired".into(), &"refused".into()), "{told}");
    let said = open("").await.run().await.expect(1).stderr;
    assert!(said.contains("only wheels are installed"), "{said}");
}
