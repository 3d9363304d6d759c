//! What people use in scripts, in the sandbox: git, curl, pip, a static program. Each meets the hosts that its agent holds, and
//! those that it does not, and says so.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::Path;
use std::process::Command;

use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::{Config, OPEN_POLICY};
use ringfence_tests::node::Node;
use ringfence_tests::parts;

async fn node(mounts: &str) -> (Node, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let script = format!("command: [sh, -c, '. ./script'], files: '{}'", files.path().display());
    let keys = [
        "egress: [held.example, 'asked.example GET /ok/*']".to_owned(),
        format!("run: {{ {script}, mounts: [{mounts}] }}"),
    ];
    std::fs::write(files.path().join("script"), "").unwrap();
    (Node::start(&Config::of_agent(&keys, OPEN_POLICY)).await, files)
}

/// Where what an environment was made from is installed.
fn base_of(python: &Path) -> String {
    let asked = Command::new(python).args(["-c", "import sys; print(sys.base_prefix)"]).output();
    String::from_utf8(asked.unwrap().stdout).unwrap().trim().to_owned()
}

/// What has to be shown inside for that to be there: the machine's own is there anyway.
fn mount_of(base: &str) -> String {
    if base.starts_with("/usr") {
        return String::new();
    }
    format!("{{ source: '{base}', target: '{base}' }}")
}

async fn says(node: &Node, files: &tempfile::TempDir, script: &str) -> Said {
    std::fs::write(files.path().join("script"), script).unwrap();
    node.cli(&["run", "assistant", "-w", "lab"]).await
}

/// What `runs logs` says that the last run was refused: each line.
async fn told(node: &Node) -> Vec<String> {
    let runs = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
    let run = runs[0]["run"].as_str().unwrap();
    let said = node.cli(&["runs", "logs", run, "--actions"]).await.expect(0).stdout;
    said.lines().filter(|line| line.contains(" refusal ")).map(str::to_owned).collect()
}

/// Expects the log of the last run to name a host that it may not reach, and why.
async fn expect_told(node: &Node, host: &str) {
    let told = told(node).await;
    let reason = format!(
        "{host}:53  not_granted: This agent may not reach {host}. Use one of the hosts it was given."
    );
    assert!(!told.is_empty() && told.iter().all(|line| line.contains(&reason)), "{told:#?}");
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
    expect_told(&node, "elsewhere.example").await;
    let said = says(
        &node,
        &files,
        "curl -sS -X POST http://asked.example/ok/x; echo; curl -sS http://asked.example/no",
    )
    .await;
    for (number, line) in said.stdout.lines().enumerate() {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["error"]["code"], "not_granted", "{line}");
        let message = answer["error"]["message"].as_str().unwrap();
        let method = ["POST", "GET"][number];
        assert_eq!(message, format!("This agent may reach asked.example:80, but not with this {method}."));
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
    expect_told(&node, "forge.example").await;
}

/// Each client asks for what is not held of a host whose TLS ends at the gateway, with one variable left of those that say whom to
/// trust, and with none.
const TRUSTS: &str = r#"
all='SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS'
asks() { (
    name=$1; keep=$2; shift 2
    for one in $all; do [ $one = $keep ] || unset $one; done
    printf '%s %s: ' $name $keep
    "$@" 2>&1 | tr '\n' ' '
    echo
) }
for keep in NONE $all; do
    case $keep in NONE | SSL_CERT_FILE | CURL_CA_BUNDLE) asks curl $keep curl -sS https://asked.example/no;; esac
    case $keep in NONE | SSL_CERT_FILE) asks urllib $keep python3 urllib_client.py;; esac
    case $keep in NONE | CURL_CA_BUNDLE | REQUESTS_CA_BUNDLE) asks requests $keep "$PYTHON" requests_client.py;; esac
    case $keep in NONE | GIT_SSL_CAINFO) asks git $keep git ls-remote https://asked.example/no.git;; esac
    case $keep in NONE | NODE_EXTRA_CA_CERTS) asks node $keep node client.mjs;; esac
done
"#;

/// What each of them prints once it has an answer.
const CLIENTS: [(&str, &str); 3] = [
    (
        "urllib_client.py",
        "import urllib.error, urllib.request
try: urllib.request.urlopen('https://asked.example/no')
except urllib.error.HTTPError as error: print(error.code, error.read().decode())",
    ),
    (
        "requests_client.py",
        "import requests\nanswer = requests.get('https://asked.example/no')\nprint(answer.status_code, answer.text)",
    ),
    (
        "client.mjs",
        "const answer = await fetch('https://asked.example/no');\nconsole.log(answer.status, await answer.text());",
    ),
];

#[tokio::test]
async fn every_client_trusts_the_authority_of_its_run_by_the_variables_that_are_set_and_by_nothing_else() {
    let python = parts::python("agents");
    let venv = python.parent().unwrap().parent().unwrap();
    let base = base_of(&python);
    let mounts = format!("{{ source: '{}', target: /opt/environment }}, {}", venv.display(), mount_of(&base));
    let (node, files) = node(&mounts).await;
    for (name, text) in CLIENTS {
        std::fs::write(files.path().join(name), text).unwrap();
    }
    let said = says(&node, &files, &format!("PYTHON=/opt/environment/bin/python\n{TRUSTS}")).await.expect(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    let (distrusted, trusted): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.contains(" NONE: "));
    // Without them nobody takes the gateway for the host, and nothing is asked.
    assert_eq!(distrusted.len(), 5, "{lines:#?}");
    for line in distrusted {
        assert!(line.to_lowercase().contains("certificate"), "{line}");
        assert!(!line.contains("403") && !line.contains("not_granted"), "{line}");
    }
    assert_eq!(trusted.len(), 7, "{lines:#?}");
    for line in trusted {
        // Git shows the status alone; the others have the whole answer.
        let is_git = line.starts_with("git ");
        let reason = if is_git { "error: 403" } else { "asked.example:443, but not with this GET." };
        assert!(line.contains(reason) && (is_git || line.contains("not_granted")), "{line}");
    }
    // Each of the seven was seen, by method and path. Of the others those that end the handshake themselves are told apart from it.
    let refused = audit::entries(&node, "refusal").await;
    let (seen, unseen): (Vec<_>, Vec<_>) = refused.iter().partition(|entry| entry["code"] == "not_granted");
    assert_eq!(seen.len(), 7, "{refused:#?}");
    assert!(unseen.len() >= 3, "curl and both of Python: {unseen:#?}");
    for entry in unseen {
        assert!(
            entry["reason"].as_str().unwrap().ends_with("has to trust the run's own authority."),
            "{entry:#?}"
        );
    }
    audit::verify(&node).await;
}

#[tokio::test]
async fn pip_is_told_what_is_not_held() {
    let python = parts::python("agents");
    let base = base_of(&python);
    let (node, files) = node(&mount_of(&base)).await;
    let script = format!(
        "cd /work && {base}/bin/python3 -m pip download --retries 0 --no-cache-dir --index-url https://index.example/simple six"
    );
    let said = says(&node, &files, &script).await;
    assert!(said.code == Some(1) && said.stderr.contains("six"), "{said:?}");
    assert_eq!(refused(&node).await, ["index.example"]);
    expect_told(&node, "index.example").await;
}

#[tokio::test]
async fn a_static_program_runs() {
    let (node, files) = node("").await;
    // It is linked statically everywhere, because it makes what dynamic linking needs.
    let said = says(&node, &files, "/sbin/ldconfig -p | head -n 1").await.expect(0);
    assert!(said.stdout.contains("libs found"), "{said:?}");
}
