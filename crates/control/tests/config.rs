//! What `ringfence.yaml` takes and what it says of everything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

use std::path::Path;

use ringfence_control::config::{Config, Loaded, Rejected, Transport, TrustConfig, load, load_text};

const POLICY: &str = "rules:\n  - name: reads\n    match: { action_type: read }\n    decision: ALLOW\n";

/// Loads a configuration from a folder that has a policy beside it.
fn read(text: &str) -> Result<Loaded, Rejected> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("safety-policy.yaml"), POLICY).unwrap();
    load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text.to_owned())
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|rejected| panic!("{}", rejected.render())).config
}

/// What is said of a configuration that cannot be used.
fn said(text: &str) -> String {
    read(text).expect_err("it was taken").render()
}

fn workspace(body: &str) -> String {
    format!("organization: acme\nworkspaces:\n  research:\n{body}")
}

#[test]
fn everything_that_can_be_written_is_read() {
    let config = config(include_str!("whole.yaml"));
    assert_eq!(config.organization.as_str(), "acme");
    assert_eq!(config.approval_wait.as_secs(), 20);
    assert_eq!((config.cache.memory, config.cache.disk), (8 << 20, 0));
    assert_eq!(config.people.len(), 2);
    assert_eq!(config.people[1].uid, Some(1000));
    let research = config.workspace("research").unwrap();
    assert_eq!(research.trust, TrustConfig::Explicit);
    assert_eq!(research.retention.as_secs(), 30 * 86_400);
    let [search, files, cluster] = &research.servers[..] else { panic!("three servers") };
    let Transport::Http { headers, bearer, .. } = &search.transport else { panic!("a URL") };
    assert_eq!(headers[0].0, "x-team");
    assert!(bearer.is_some() && search.trust_hints);
    assert_eq!((search.breaker_failures, search.breaker_open_for.as_secs()), (3, 60));
    let Transport::Stdio { command, environment, directory, .. } = &files.transport else {
        panic!("a command")
    };
    assert_eq!(command.len(), 4);
    assert_eq!(environment.len(), 2);
    assert!(directory.as_ref().unwrap().is_absolute());
    assert_eq!(cluster.actions[0].labels, ["infra"]);
    let limits = research.agents[0].limits;
    assert_eq!(limits.wall, None, "`off` switches a limit off");
    assert_eq!((limits.concurrent, limits.repetition, limits.actions), (Some(4), Some(7), Some(500)));
}

#[test]
fn what_is_not_written_has_a_strict_default() {
    let config =
        config(&workspace("    agents: { assistant: { tools: [] } }\n    policy: safety-policy.yaml\n"));
    let research = config.workspace("research").unwrap();
    assert_eq!((research.environment.as_str(), research.trust), ("production", TrustConfig::Explicit));
    assert_eq!(config.approval_wait.as_secs(), 50);
    assert_eq!((config.cache.memory, config.cache.disk), (16 << 20, 256 << 20));
    let limits = research.agents[0].limits;
    assert_eq!(
        (limits.wall.unwrap().as_secs(), limits.concurrent, limits.repetition),
        (300, Some(16), Some(5))
    );
    let staging =
        read(&workspace("    environment: staging\n    policy: safety-policy.yaml\n")).unwrap().config;
    assert_eq!(staging.workspaces[0].trust, TrustConfig::FirstUse);
}

#[test]
fn all_errors_are_reported_at_once_with_place_and_nearest_word() {
    insta::assert_snapshot!(said(include_str!("mistakes.yaml")));
}

#[test]
fn what_is_not_in_this_version_says_so() {
    insta::assert_snapshot!(said(include_str!("later.yaml")));
}

#[test]
fn a_secret_written_into_the_file_is_refused_and_never_shown() {
    let secret = "sk-live-hunter2hunter2";
    for body in [
        format!("    tools: {{ s: {{ url: 'https://x/', key: {secret} }} }}\n"),
        format!("    tools: {{ s: {{ url: 'https://x/', headers: {{ x-key: {secret} }} }} }}\n"),
    ] {
        let rejected = read(&workspace(&body)).expect_err("a secret was taken");
        let shown = format!("{}{rejected}{rejected:?}", rejected.render());
        assert!(shown.contains("env:NAME") && !shown.contains("hunter2"), "{shown}");
    }
    let token = format!(
        "organization: acme\npeople: {{ dana: {{ roles: [admin], token_hash: {secret} }} }}\nworkspaces: {{ a: {{}} }}\n"
    );
    let rejected = read(&token).expect_err("a token was taken");
    assert!(!rejected.render().contains("hunter2"), "{}", rejected.render());
}

#[test]
fn a_missing_policy_is_an_error_at_its_place() {
    let shown = said(&workspace("    policy: [safety-policy.yaml, more.yaml]\n"));
    assert!(shown.contains("ringfence.yaml:4:34") && shown.contains("more.yaml"), "{shown}");
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let rejected = load(Path::new("/nonexistent/ringfence.yaml")).expect_err("there is none");
    assert!(rejected.render().contains("ringfence init"), "{}", rejected.render());
}

#[test]
fn two_people_cannot_be_one() {
    let hash = format!("sha256:{}", "ab".repeat(32));
    let people = format!(
        "organization: acme\npeople:\n  dana: {{ roles: [admin], token_hash: \"{hash}\", uid: 7 }}\n  kim: {{ roles: [viewer], token_hash: \"{hash}\", uid: 7 }}\nworkspaces: {{ a: {{}} }}\n"
    );
    let shown = said(&people);
    assert!(shown.contains("the same `token_hash`") && shown.contains("the same `uid`"), "{shown}");
}

#[test]
fn the_digest_is_of_every_text() {
    let body = "    policy: safety-policy.yaml\n";
    let folder = tempfile::tempdir().unwrap();
    let (path, policy) = (folder.path().join("ringfence.yaml"), folder.path().join("safety-policy.yaml"));
    std::fs::write(&path, workspace(body)).unwrap();
    std::fs::write(&policy, POLICY).unwrap();
    let first = load(&path).unwrap().digest;
    assert_eq!(load(&path).unwrap().digest, first);
    std::fs::write(&policy, format!("{POLICY}# a remark\n")).unwrap();
    assert_ne!(load(&path).unwrap().digest, first);
}

#[test]
fn hosts_that_an_agent_may_reach_are_read_and_mistakes_told() {
    let agent = |egress: &str| {
        workspace(&format!(
            "    agents: {{ assistant: {{ egress: {egress} }} }}\n    policy: safety-policy.yaml\n"
        ))
    };
    let fine =
        read(&agent("[api.example.com, '*.pypi.org:443', 'api.github.com GET,HEAD /repos/*']")).unwrap();
    assert_eq!(fine.config.workspaces[0].agents[0].egress.len(), 3);
    let said = said(&agent("['https://a.example', 'a.example get /', 'a.example:0', 7]"));
    for part in ["`https://a.example` is no grant of a host", "a method in capitals", "a port is a number"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn where_a_connection_that_is_passed_through_may_reach_more_than_its_name_says_that_is_told() {
    let told = |grant: &str| {
        let text =
            format!("    agents: {{ a: {{ egress: ['{grant}'] }} }}\n    policy: safety-policy.yaml\n");
        let warnings = read(&workspace(&text)).unwrap().warnings;
        let one = |said: &ringfence_document::Diagnostic| {
            format!("{} ({})", said.message, said.hint.as_deref().unwrap_or_default())
        };
        warnings.iter().map(one).collect::<String>()
    };
    for (grant, parts) in [
        ("*", ["every public host", "only the name is seen", "write `* * /*`"]),
        ("*:8443", ["every public host", "only the name is seen", "write `*:8443 * /*`"]),
        (
            "*.example.com:443",
            ["below example.com", "hosts of others stand", "write `*.example.com:443 * /*`"],
        ),
        ("*.cloudfront.net", ["behind cloudfront.net", "many owners", "write `*.cloudfront.net * /*`"]),
        ("d1.cloudfront.net", ["behind cloudfront.net", "many owners", "write `d1.cloudfront.net * /*`"]),
    ] {
        let told = told(grant);
        assert!(parts.iter().all(|part| told.contains(part)), "{grant}: {told}");
    }
    for grant in
        ["* * /*", "*.example.com GET", "d2.cloudfront.net * /*", "notcloudfront.net", "10.0.0.1:5432"]
    {
        assert_eq!(told(grant), "", "{grant}");
    }
}

#[test]
fn what_is_wrong_with_a_run_is_told_with_the_way_out() {
    let agent = |run: &str| {
        let text = format!(
            "    agents: {{ a: {{ run: {{ command: [sh], {run} }} }} }}\n    policy: safety-policy.yaml\n"
        );
        workspace(&text)
    };
    for (run, wrong, way_out) in [
        ("state: 256Mi", "`state` must be a mapping", "write `state: { size: 256Mi }`"),
        ("state: {}", "size", "write `state: { size: 256Mi }`"),
        ("stdin: ./questions", "`stdin` must be true or false", "--input FILE"),
        ("stdin: 'true'", "`stdin` must be true or false", "write `stdin: true`"),
        ("driver: runc, image: a, rootfs: .", "and not of both", "leave one out"),
        (
            "python: none.txt",
            "the file of `python`",
            "`uv pip compile --generate-hashes requirements.in -o requirements.txt`",
        ),
        ("node: package-lock.json", "the file of `node`", "`npm install --package-lock-only`"),
        ("files: none", "the folder of `files`", "starts at the folder of this file"),
        ("mounts: [{ source: ., target: /agent/x }]", "absolute path inside", "such as /data/papers"),
    ] {
        let said = said(&agent(run));
        let hint = said.split_once("hint:").map(|(_, hint)| hint).unwrap_or_default();
        assert!(said.contains(wrong) && hint.contains(way_out), "{run}: {said}");
    }
    for run in ["stdin: false", "stdin: true", "state: { size: 8Mi }"] {
        assert!(read(&agent(run)).is_ok(), "{run}");
    }
}

#[test]
fn the_program_of_an_agent_and_what_it_may_use_are_read_and_mistakes_told() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (shown, own) = (folder.path().display(), other.path().display());
    let agent = |run: &str, limits: &str| {
        workspace(&format!(
            "    agents: {{ assistant: {{ run: {run}, limits: {{ {limits} }} }} }}\n    policy: safety-policy.yaml\n"
        ))
    };
    let run = format!(
        "{{ command: [python3, agent.py], files: '{shown}', env: {{ A: b }}, stdin: true, require: [seccomp, landlock], state: {{ size: 8Mi }}, \
         mounts: [{{ source: '{own}', target: /data, writable: true }}] }}"
    );
    let fine = config(&agent(
        &run,
        "memory: 512Mi, cpu: 1.5, processes: off, disk: 1Mi, output: 64Ki, idle: 2m, artifacts: off",
    ));
    let read = &fine.workspaces[0].agents[0];
    let program = read.run.as_ref().unwrap();
    assert_eq!((program.command.len(), program.mounts.len(), program.require.len()), (2, 1, 2));
    let limits = read.limits.sandbox;
    assert_eq!((limits.memory, limits.cpu_percent, limits.processes), (Some(512 << 20), Some(150), None));
    assert_eq!((limits.disk, limits.output, limits.idle.unwrap().as_secs()), (1 << 20, 64 << 10, 120));
    assert_eq!((limits.artifacts, program.state), (None, Some(8 << 20)));
    let usual = config(&agent("{ command: [sh] }", "memory: 1Gi"));
    let usual = &usual.workspaces[0].agents[0];
    assert_eq!((usual.limits.sandbox.artifacts, usual.run.as_ref().unwrap().state), (Some(64 << 20), None));
    let run = "{ command: [], state: { size: 1Ki, keep: 3 }, files: /no/such/folder, env: { K: 'env:KEY' }, require: [secomp], \
               mounts: [{ source: /usr, target: /proc/x }, { source: /usr, target: /a/../b }] }";
    let said = said(&agent(run, "memory: 1Ki, cpu: 1.234"));
    for part in [
        "names no program",
        "/no/such/folder cannot be used",
        "a secret cannot stand in an agent's environment",
        "`seccomp`",
        "not in /proc",
        "`memory` must be at least 64Ki",
        "`size` must be at least 64Ki",
        "`keep`",
        "processors are a number",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_an_agent_can_change_holds_nothing_that_decides_what_agents_may_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringfence.yaml");
    std::fs::write(folder.path().join("safety-policy.yaml"), POLICY).unwrap();
    for made in ["agent/cache", "out/cache", "own"] {
        std::fs::create_dir_all(folder.path().join(made)).unwrap();
    }
    let read = |mounts: &str| {
        let text = workspace(&format!(
            "    agents: {{ assistant: {{ run: {{ command: [sh], files: agent, mounts: [{mounts}] }} }} }}\n    policy: safety-policy.yaml\n"
        ));
        std::fs::write(&path, &text).unwrap();
        load_text("ringfence.yaml", &path, text)
    };
    let writable = |source: &str| format!("{{ source: {source}, target: /x, writable: true }}");
    assert!(read(&writable("own")).is_ok());
    assert!(read("{ source: ., target: /x }").is_ok(), "what can only be read may hold anything");
    let said = read(&writable(".")).unwrap_err().render();
    assert!(said.contains("which decides what agents may do"), "{said}");
    let said = read(&writable("agent")).unwrap_err().render();
    assert!(said.contains("which is shown in a sandbox by itself"), "{said}");
    let said = read(&writable("agent/cache")).unwrap_err().render();
    assert!(said.contains("agent/cache can be changed") && said.contains("is a part of"), "{said}");
    let both = format!("{}, {{ source: out/cache, target: /y }}", writable("out"));
    let said = read(&both).unwrap_err().render();
    assert!(said.contains("out/cache, which is shown"), "{said}");
}

#[test]
fn agents_of_which_runs_may_start_runs_have_programs_and_mistakes_are_told() {
    let agents = |spawn: &str| {
        workspace(&format!(
            "    agents: {{ lead: {{ spawn: {spawn}, run: {{ command: [sh] }} }}, researcher: {{ spawn: [lead], run: {{ command: [sh] }} }}, plain: {{}} }}\n    \
             policy: safety-policy.yaml\n"
        ))
    };
    let fine = read(&agents("[researcher, lead]")).unwrap();
    let lead = &fine.config.workspaces[0].agents[0];
    assert_eq!(
        lead.spawn.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["researcher", "lead"],
        "a circle is fine"
    );
    for (spawn, part) in [
        ("[reseacher]", "`researcher`"),
        ("[plain]", "no agent `plain` with a program"),
        ("[a b]", "an agent:"),
        ("true", "`spawn` must be a list"),
    ] {
        let shown = said(&agents(spawn));
        assert!(shown.contains(part), "{spawn}: {shown}");
    }
    let twice = read(&agents("[lead, lead]")).unwrap().warnings;
    assert!(twice.iter().any(|remark| remark.message.contains("stands here twice")));
    let own = said(&workspace(
        "    tools: { ringfence: { url: 'http://127.0.0.1:1/mcp' } }\n    policy: safety-policy.yaml\n",
    ));
    assert!(own.contains("no server can be called `ringfence`"), "{own}");
}
