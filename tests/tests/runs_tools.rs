//! What people use in scripts, in the sandbox: git, curl, pip, a static program. Each meets the hosts that its agent holds, and
//! those that it does not, and says so.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::Config;
use ringfence_tests::node::Node;
use ringfence_tests::parts;

const POLICY: &str = "rules:\n  - { name: everything, match: {}, decision: ALLOW }\n";

async fn node(mounts: &str) -> (Node, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let config = format!(
        "organization: acme
workspaces:
  lab:
    environment: test
    agents:
      assistant:
        egress: [held.example, 'asked.example GET /ok/*']
        run: {{ command: [sh, -c, '. ./script'], files: '{}', mounts: [{mounts}] }}
    policy: [policy.yaml]
",
        files.path().display()
    );
    std::fs::write(files.path().join("script"), "").unwrap();
    let config = Config { files: vec![("ringfence.yaml", config), ("policy.yaml", POLICY.to_owned())] };
    (Node::start(&config).await, files)
}

async fn says(node: &Node, files: &tempfile::TempDir, script: &str) -> Said {
    std::fs::write(files.path().join("script"), script).unwrap();
    node.cli(&["run", "assistant", "-w", "lab"]).await
}

/// The hosts that were refused, each once.
async fn refused(node: &Node) -> Vec<String> {
    let entries = audit::entries(node, "refusal").await;
    let mut hosts: Vec<String> =
        entries.iter().filter_map(|entry| entry["host"].as_str()).map(str::to_owned).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

#[tokio::test]
async fn curl_reaches_what_is_held_and_is_told_what_is_not() {
    let (node, files) = node("").await;
    let said = says(&node, &files, "curl -sS http://elsewhere.example/; echo \"code $?\"").await;
    assert!(said.stdout.contains("code 6") && said.stderr.contains("elsewhere.example"), "{said:?}");
    let said = says(
        &node,
        &files,
        "curl -sS -X POST http://asked.example/ok/x; echo; curl -sS http://asked.example/no",
    )
    .await;
    for line in said.stdout.lines() {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["error"]["code"], "not_granted", "{line}");
    }
    assert_eq!(said.stdout.lines().count(), 2, "{said:?}");
    // Held, and then nobody is there: that is another thing.
    let said = says(&node, &files, "curl -s -o /dev/null -w '%{http_code}' http://held.example/").await;
    assert_eq!(said.stdout.trim(), "502", "{said:?}");
    assert_eq!(refused(&node).await, ["asked.example", "elsewhere.example"]);
    let cleared = audit::entries(&node, "intent").await;
    assert_eq!(cleared.iter().filter(|entry| entry["host"] == "held.example").count(), 1);
    audit::verify(&node).await;
}

#[tokio::test]
async fn git_is_told_what_is_not_held() {
    let (node, files) = node("").await;
    let said = says(
        &node,
        &files,
        "cd /work && git init -q repo && cd repo && git ls-remote https://forge.example/a.git",
    )
    .await;
    assert!(said.code == Some(128) && said.stderr.contains("forge.example"), "{said:?}");
    assert_eq!(refused(&node).await, ["forge.example"]);
}

#[tokio::test]
async fn pip_is_told_what_is_not_held() {
    let python = parts::python("agents");
    let asked =
        std::process::Command::new(&python).args(["-c", "import sys; print(sys.base_prefix)"]).output();
    let base = String::from_utf8(asked.unwrap().stdout).unwrap();
    let base = base.trim();
    let mounts = if base.starts_with("/usr") {
        String::new()
    } else {
        format!("{{ source: '{base}', target: '{base}' }}")
    };
    let (node, files) = node(&mounts).await;
    let script = format!(
        "cd /work && {base}/bin/python3 -m pip download --retries 0 --no-cache-dir --index-url https://index.example/simple six"
    );
    let said = says(&node, &files, &script).await;
    assert!(said.code == Some(1) && said.stderr.contains("six"), "{said:?}");
    assert_eq!(refused(&node).await, ["index.example"]);
}

#[tokio::test]
async fn a_static_program_runs() {
    let (node, files) = node("").await;
    // It is linked statically everywhere, because it makes what dynamic linking needs.
    let said = says(&node, &files, "/sbin/ldconfig -p | head -n 1").await.expect(0);
    assert!(said.stdout.contains("libs found"), "{said:?}");
}
