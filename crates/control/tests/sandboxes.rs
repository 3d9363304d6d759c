//! What the configuration says of sandboxes: those of tool servers, and environments of packages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::time::Duration;

use ringfence_control::config::{Loaded, Rejected, ServerSandbox, load_text};

const POLICY: &str = "rules:\n  - { name: all, match: {}, decision: ALLOW }\n";

/// Reads a configuration of which `root` are more keys, `tools` the tool servers and `run` the program of an agent, beside `files`.
fn read(root: &str, tools: &str, run: &str, files: &[(&str, &str)]) -> Result<Loaded, Box<Rejected>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("papers/keys")).unwrap();
    for (name, text) in files.iter().chain(&[("safety-policy.yaml", POLICY)]) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let text = format!(
        "organization: acme\n{root}\nworkspaces:\n  lab: {{ agents: {{ a: {{ run: {run} }} }}, policy: safety-policy.yaml, tools: {{ {} }} }}\n",
        tools.replace("FOLDER", &folder.path().to_string_lossy())
    );
    load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text).map_err(Box::new)
}

fn rejected(root: &str, tools: &str, run: &str, files: &[(&str, &str)]) -> String {
    read(root, tools, run, files).err().map(|rejected| rejected.render()).unwrap_or_default()
}

fn warnings(loaded: &Loaded) -> String {
    loaded.warnings.iter().map(|said| said.message.as_str()).collect::<Vec<_>>().join("\n")
}

const PLAIN: &str = "{ command: [sh] }";

#[test]
fn a_server_with_mounts_or_egress_has_a_sandbox_and_one_without_is_told_of() {
    let tools = "files: { command: [serve], mounts: [{ source: papers, target: /papers, writable: true }], directory: /papers, \
                 egress: ['a.example:443'], limits: { memory: 128Mi, processes: 8, cpu: 0.5, disk: 1Mi } }, \
                 alone: { command: [serve], egress: [] }, \
                 old: { command: [serve] }";
    let loaded = read("", tools, PLAIN, &[]).unwrap();
    let told = warnings(&loaded);
    assert!(told.contains("server `old` has no sandbox: it sees the machine's files"), "{told}");
    assert!(!told.contains("`files` has no sandbox") && !told.contains("`alone` has no sandbox"), "{told}");

    let sandbox = |name: &str| -> Option<&ServerSandbox> {
        let servers = &loaded.config.workspaces[0].servers;
        servers.iter().find(|server| server.name.as_str() == name).unwrap().sandbox()
    };
    let files = sandbox("files").unwrap();
    assert_eq!((files.egress.join(" "), files.mounts.len()), ("a.example:443".into(), 1));
    assert_eq!((files.limits.memory, files.limits.processes), (Some(128 << 20), Some(8)));
    assert_eq!((files.limits.cpu_percent, files.limits.disk), (Some(50), 1 << 20));
    assert!(sandbox("alone").is_some_and(|alone| alone.egress.is_empty() && alone.mounts.is_empty()));
    assert!(sandbox("old").is_none());
}

#[test]
fn what_would_undo_a_sandbox_is_shown_in_none() {
    for source in ["/", "/proc", "/proc/sys", "/sys", "/sys/kernel", "/dev", "/dev/shm", "/usr/.."] {
        for run in [
            format!("{{ command: [sh], mounts: [{{ source: {source}, target: /x }}] }}"),
            format!("{{ command: [sh], files: {source} }}"),
            format!("{{ command: [sh], driver: runc, rootfs: {source} }}"),
        ] {
            let said = rejected("", "", &run, &[]);
            assert!(said.contains("cannot be shown in a sandbox: "), "{run}: {said}");
        }
        let tool = format!("x: {{ command: [s], mounts: [{{ source: {source}, target: /x }}] }}");
        assert!(rejected("", &tool, PLAIN, &[]).contains("cannot be shown in a sandbox: "), "{source}");
    }
    // What is only called so, and what lies elsewhere.
    for source in ["papers", "/usr/share"] {
        let run = format!("{{ command: [sh], mounts: [{{ source: {source}, target: /x }}] }}");
        assert_eq!(rejected("", "", &run, &[]), "", "{source}");
    }
}

#[test]
fn what_does_not_fit_a_servers_sandbox_is_told() {
    for (tools, part) in [
        ("x: { command: [s], limits: { memory: 1Gi } }", "`limits` of a server hold in a sandbox"),
        ("x: { command: [s], egress: [], limits: { idle: 1m } }", "idle"),
        ("x: { command: [s], egress: ['not a host!'] }", "is no grant of a host"),
        ("x: { command: [s], egress: ['169.254.169.254:80'] }", "cannot be granted: no agent is led to"),
        ("x: { command: [s], egress: ['[fe80::1]:80 GET /'] }", "cannot be granted: no agent is led to"),
        ("x: { command: [s], mounts: [{ source: absent, target: /x }] }", "cannot be used"),
        ("x: { command: [s], mounts: [{ source: papers, target: /etc/x }] }", "not in /proc"),
        ("x: { command: [s], egress: [], directory: papers }", "`directory` is an absolute path inside"),
        ("x: { url: 'http://127.0.0.1:1/', egress: [] }", "`egress` goes with `command` only"),
        ("x: { url: 'http://127.0.0.1:1/', mounts: [] }", "`mounts` goes with `command` only"),
        (
            "x: { command: [s], mounts: [{ source: ., target: /x, writable: true }] }",
            "which decides what agents may do",
        ),
    ] {
        let said = rejected("", tools, PLAIN, &[]);
        assert!(said.contains(part), "{tools}: {said}");
    }
    let long = format!("{}: {{ command: [s], egress: [] }}", "x".repeat(125));
    assert!(rejected("", &long, PLAIN, &[]).contains("needs a shorter name"));
}

#[test]
fn servers_and_agents_may_share_a_folder_and_not_lead_each_other_elsewhere() {
    let share = |source: &str| format!("x: {{ command: [s], mounts: [{{ source: {source}, target: /x }}] }}");
    let run = "{ command: [sh], mounts: [{ source: papers, target: /papers, writable: true }] }";
    assert!(read("", &share("papers"), run, &[]).is_ok());
    let said = rejected("", &share("papers/one"), run, &[("papers/one", "")]);
    assert!(said.contains("papers/one, which is shown in a sandbox by itself"), "{said}");
}

#[test]
fn what_is_shown_holds_no_secret_and_nobody_changes_what_runs_outside() {
    let tools = "far: { url: 'http://127.0.0.1:1/', headers: { x-key: 'file:papers/keys/one' } }";
    let files = [("papers/keys/one", "x"), ("papers/tool.sh", "")];
    let mount = |source: &str| format!("{{ command: [sh], mounts: [{{ source: {source}, target: /x }}] }}");
    for run in ["{ command: [sh], files: papers }", &mount("papers/keys"), &mount("papers/keys/one")] {
        let said = rejected("", tools, run, &files);
        assert!(said.contains("is shown in a sandbox, and holds the secret "), "{run}: {said}");
        assert!(read("", "", run, &files).is_ok(), "{run}");
    }
    let shown = format!("{tools}, near: {{ command: [s], mounts: [{{ source: papers, target: /x }}] }}");
    assert!(rejected("", &shown, PLAIN, &files).contains("and holds the secret "));
    let writer = "{ command: [sh], mounts: [{ source: papers, target: /x, writable: true }] }";
    let outside = "old: { command: [sh, FOLDER/papers/tool.sh] }";
    let said = rejected("", outside, writer, &files);
    assert!(said.contains("papers/tool.sh, which decides what agents may do"), "{said}");
}

/// What is said of a folder in which somebody listens.
fn told_of(tools: &str, run: &str, make: impl Fn(&std::path::Path)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("papers/a/b")).unwrap();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    make(folder.path());
    std::fs::write(folder.path().join("safety-policy.yaml"), POLICY).unwrap();
    let text = format!(
        "organization: acme\nworkspaces:\n  lab: {{ agents: {{ a: {{ run: {{ command: [sh], {run} }} }} }}, policy: safety-policy.yaml, tools: {{ {tools} }} }}\n"
    );
    let loaded = load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text);
    let loaded = loaded.unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let said = loaded.warnings.iter().map(|warning| warning.message.clone());
    let here = format!("{}/", folder.path().canonicalize().unwrap().display());
    said.filter(|said| said.contains("past the gateway")).map(|said| said.replace(&here, "")).collect()
}

fn mount(source: &str, more: &str) -> String {
    format!("mounts: [{{ source: {source}, target: /x{more} }}]")
}

#[test]
fn sockets_and_pipes_in_what_a_sandbox_is_shown_are_told_of() {
    let socket = |at: &std::path::Path| drop(std::os::unix::net::UnixListener::bind(at).unwrap());
    let pipe = |at: &std::path::Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let server = |source: &str| format!("x: {{ command: [s], {} }}", mount(source, ""));
    let deep = "papers holds the socket papers/a/b/s: who listens there is reached from inside";
    let piped = "papers holds the pipe papers/a/p: who listens there";
    let in_socket = |folder: &std::path::Path| socket(&folder.join("papers/a/b/s"));
    let in_pipe = |folder: &std::path::Path| pipe(&folder.join("papers/a/p"));
    let (plain, none) = (mount("papers", ""), "stdin: false");
    for (tools, run, make, expected) in [
        ("", plain.as_str(), &in_socket as &dyn Fn(&std::path::Path), deep),
        (&server("papers"), none, &in_socket, deep),
        ("", "files: papers", &in_socket, deep),
        ("", "driver: runc, rootfs: papers", &in_socket, deep),
        ("", &mount("papers/a/b/s", ""), &in_socket, "papers/a/b/s is a socket: who listens there"),
        ("", &mount("papers", ", writable: true"), &in_pipe, piped),
        ("", &format!("driver: runc, {plain}"), &in_pipe, piped),
        ("", &mount("/run", ""), &|_| (), "/run "),
        // Landlock stands before what is only read, and where there is no network no socket is made.
        ("", &plain, &in_pipe, ""),
        ("", "driver: restricted, files: papers", &in_socket, ""),
        // What a link leads to is not there inside.
        (
            "",
            &mount("root", ""),
            &|folder| std::os::unix::fs::symlink("/run", folder.join("root/run")).unwrap(),
            "",
        ),
        ("", &plain, &|_| (), ""),
        (&server("papers"), none, &|_| (), ""),
    ] {
        let said = told_of(tools, run, make);
        let expected: Vec<&str> = Some(expected).into_iter().filter(|text| !text.is_empty()).collect();
        assert_eq!(said.len(), expected.len(), "{tools} {run}: {said:?}");
        assert!(said.iter().zip(expected).all(|(said, part)| said.starts_with(part)), "{run}: {said:?}");
    }
}

#[test]
fn environments_come_from_the_public_indexes_unless_others_are_named() {
    let written = |root: &str| read(root, "", PLAIN, &[]).unwrap().config.environments;
    let usual = written("");
    assert_eq!(usual.python.hosts, ["pypi.org:443", "files.pythonhosted.org:443"]);
    assert_eq!(usual.node.hosts, ["registry.npmjs.org:443"]);
    assert_eq!((usual.size, usual.timeout), (4 << 30, Duration::from_mins(10)));
    let own = written(
        "environments: { python: { index: 'http://10.0.0.5:8080/simple/' }, node: { hosts: ['more.example:443'] }, size: 1Gi, timeout: 1m, kept: 2d }",
    );
    assert_eq!(
        (own.python.url.as_str(), own.python.hosts.join(" ")),
        ("http://10.0.0.5:8080/simple", "10.0.0.5:8080".into())
    );
    assert_eq!(own.node.hosts, ["registry.npmjs.org:443", "more.example:443"]);
    assert_eq!(
        (own.size, own.timeout, own.kept),
        (1 << 30, Duration::from_mins(1), Duration::from_hours(48))
    );
    for (root, part) in [
        ("environments: { python: { index: 'https://me:secret@x/' } }", "a user name or password"),
        ("environments: { python: { hosts: ['?'] } }", "is no grant of a host"),
        ("environments: { size: 1 }", "`size` must be at least"),
        ("environments: { rust: {} }", "rust"),
    ] {
        let said = rejected(root, "", PLAIN, &[]);
        assert!(said.contains(part) && !said.contains("secret@"), "{root}: {said}");
    }
}

#[test]
fn whose_code_runs_while_an_environment_is_built_is_named_one_by_one_and_told_of() {
    let digest = "A".repeat(86);
    let package = format!(r#"{{"version":"1.0.0","integrity":"sha512-{digest}==","hasInstallScript":true}}"#);
    let lock = format!(
        r#"{{"lockfileVersion":3,"packages":{{"node_modules/a":{package},"node_modules/@b/c":{package}}}}}"#
    );
    let requirements = format!("one==1 --hash=sha256:{0}\ntwo==2 --hash=sha256:{0}\n", "0".repeat(64));
    let files = [
        ("requirements.txt", requirements.as_str()),
        ("package-lock.json", lock.as_str()),
        ("package.json", "{}"),
    ];
    let run = |written: &str| format!("{{ command: [python, agent.py], {written} }}");
    let read = |written: &str| read("", "", &run(written), &files).unwrap();
    let named = |loaded: &Loaded| {
        let run = loaded.config.workspaces[0].agents[0].run.as_ref().unwrap();
        run.recipes[0].named().join(" ")
    };
    for (written, names, part) in [
        ("python: requirements.txt", "", ""),
        ("python: { lock: requirements.txt }", "", ""),
        ("node: { lock: package-lock.json, scripts: [] }", "", ""),
        (
            "python: { lock: requirements.txt, build: [two] }",
            "two",
            "code of `two` runs, and of what builds it, while",
        ),
        (
            "node: { lock: package-lock.json, scripts: [a, '@b/c'] }",
            "a @b/c",
            "install scripts of `a`, `@b/c` run while the environment of `node` is built",
        ),
    ] {
        let loaded = read(written);
        assert_eq!(named(&loaded), names, "{written}");
        let told = warnings(&loaded);
        assert_eq!(told.contains("can change all of it"), !names.is_empty(), "{written}: {told}");
        assert!(told.contains(part), "{written}: {told}");
    }
    for (written, part) in [
        ("python: { lock: requirements.txt, build: [tow] }", "no package `tow` in the file"),
        ("python: { lock: requirements.txt, build: ['two==2'] }", "is no name of a package"),
        ("python: { lock: requirements.txt, build: two }", "`build` must be a list"),
        ("python: { lock: requirements.txt, scripts: [two] }", "scripts"),
        ("python: { build: [two] }", "lock"),
        ("python: { lock: package-lock.json, build: [a] }", "neither a requirements.txt nor a uv.lock"),
        ("node: { lock: package-lock.json, scripts: [b] }", "such as a, @b/c"),
        ("node: { lock: package-lock.json, scripts: ['*'] }", "is no name of a package"),
        ("node: [package-lock.json]", "must be"),
    ] {
        let said = rejected("", "", &run(written), &files);
        assert!(said.contains(part), "{written}: {said}");
    }
}

#[test]
fn what_an_environment_cannot_be_made_of_is_told_with_the_way_out() {
    let lock = r#"{"lockfileVersion":3,"packages":{"node_modules/a":{"resolved":"git+ssh://x"}}}"#;
    let fine = format!("a==1 --hash=sha256:{}\n", "0".repeat(64));
    let options = format!("--index-url https://x.example\n{fine}");
    let files = [
        ("fine.txt", fine.as_str()),
        ("bare.txt", "a==1\n"),
        ("options.txt", options.as_str()),
        ("package-lock.json", lock),
        ("package.json", "{}"),
        ("uv.lock", "version = 1\n"),
    ];
    let run = |key: &str, file: &str| format!("{{ command: [python, agent.py], {key}: {file} }}");
    assert!(read("", "", &run("python", "fine.txt"), &files).is_ok());
    for (key, file, part) in [
        ("python", "bare.txt", "uv pip compile --generate-hashes"),
        ("python", "options.txt", "the option `--index-url`"),
        ("python", "absent.txt", "cannot be used"),
        ("python", "package.json", "neither a requirements.txt nor a uv.lock"),
        ("python", "uv.lock", "pyproject.toml cannot be read"),
        ("node", "package-lock.json", "has no `integrity`"),
        ("node", "fine.txt", "is no package-lock.json"),
    ] {
        let said = rejected("", "", &run(key, file), &files);
        assert!(said.contains(part), "{key}: {file}: {said}");
    }
}

#[test]
fn what_a_workspace_requires_is_required_of_its_servers_too() {
    let tools = "boxed: { command: [serve], egress: [], require: seccomp }, bare: { command: [serve], require: [hidden-paths] }, \
                 far: { url: 'http://127.0.0.1:1/' }";
    let loaded =
        read("", &format!("{tools} }}, require: [landlock, seccomp], runs: {{ at_once: 3"), PLAIN, &[]);
    let loaded = loaded.unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let workspace = &loaded.config.workspaces[0];
    let layers = |name: &str| {
        let server = workspace.servers.iter().find(|server| server.name.as_str() == name).unwrap();
        server.require.iter().map(|layer| layer.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(layers("boxed"), "landlock seccomp");
    assert_eq!(layers("bare"), "hidden-paths landlock seccomp");
    assert_eq!(layers("far"), "");
    assert_eq!((workspace.require.len(), workspace.runs_at_once), (2, Some(3)));
}

#[test]
fn what_cannot_be_required_is_told() {
    for (tools, part) in [
        ("x: { command: [s], egress: [], require: [secomp] }", "`seccomp`"),
        ("x: { url: 'http://127.0.0.1:1/', require: [seccomp] }", "`require` goes with `command` only"),
        (
            "x: { command: [s], require: [private-root] }",
            "the layer private-root, which it never has without a sandbox",
        ),
        (
            "x: { command: [s] } }, require: [network-namespace], runs: { at_once: 1",
            "server `x` is required to have",
        ),
        (
            "x: { command: [s] } }, require: [everything], runs: { at_once: 1",
            "there is no layer `everything`",
        ),
        ("x: { command: [s] } }, runs: { at_once: 0", "from 1 to 128"),
        ("x: { command: [s] } }, runs: { at_once: 129", "from 1 to 128"),
        ("x: { command: [s] } }, runs: { wait: 1", "`wait`"),
    ] {
        let said = rejected("", tools, PLAIN, &[]);
        assert!(said.contains(part), "{tools}: {said}");
    }
}
