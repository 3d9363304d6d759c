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
use ringfence_tests::process::Process;

async fn node(mounts: &str) -> (Node, tempfile::TempDir) {
    node_that_holds("held.example, 'asked.example GET /ok/*'", mounts).await
}

async fn node_that_holds(hosts: &str, mounts: &str) -> (Node, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let script = format!("command: [sh, -c, '. ./script'], files: '{}'", files.path().display());
    let keys = [format!("egress: [{hosts}]"), format!("run: {{ {script}, mounts: [{mounts}] }}")];
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
/// trust, and most with none.
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
    case $keep in SSL_CERT_FILE) asks urllib $keep python3 urllib_client.py;; esac
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
async fn every_client_trusts_the_authority_of_its_run_by_the_machines_own_list_or_by_the_variables_that_are_set()
 {
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
    // Who brings a list of its own knows the machine's not, and takes the gateway for nobody: nothing is asked.
    let brings_its_own =
        |line: &&&str| ["requests NONE: ", "node NONE: "].iter().any(|own| line.starts_with(own));
    let (distrusted, trusted): (Vec<&str>, Vec<&str>) = lines.iter().partition(brings_its_own);
    assert_eq!(distrusted.len(), 2, "{lines:#?}");
    for line in distrusted {
        assert!(line.to_lowercase().contains("certificate"), "{line}");
        assert!(!line.contains("403") && !line.contains("not_granted"), "{line}");
    }
    assert_eq!(trusted.len(), 9, "{lines:#?}");
    for line in trusted {
        // Git shows the status alone; the others have the whole answer.
        let is_git = line.starts_with("git ");
        let reason = if is_git { "error: 403" } else { "asked.example:443, but not with this GET." };
        assert!(line.contains(reason) && (is_git || line.contains("not_granted")), "{line}");
    }
    // Each of the nine was seen, by method and path. One that ends the handshake itself is told apart from it.
    let refused = audit::entries(&node, "refusal").await;
    let (seen, unseen): (Vec<_>, Vec<_>) = refused.iter().partition(|entry| entry["code"] == "not_granted");
    assert_eq!(seen.len(), 9, "{refused:#?}");
    assert!(!unseen.is_empty(), "that of Python: {refused:#?}");
    for entry in unseen {
        let reason = entry["reason"].as_str().unwrap();
        assert!(reason.ends_with("has to trust the run's own authority."), "{entry:#?}");
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

/// A program that serves a folder over HTTP, and says where.
const SERVE: &str = "
import functools, http.server, json, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
print(json.dumps({'host': f'127.0.0.1:{server.server_port}'}), flush=True)
server.serve_forever()
";

/// A repository that git clones as plain files.
const REPOSITORY: &str = "
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x
git init -q made && cd made && echo ebb > tide && git add tide && git commit -q -m one && cd ..
git clone -q --bare made sea.git && git -C sea.git update-server-info
";

#[tokio::test]
async fn git_clones_and_pip_installs_from_a_host_that_is_held() {
    let served = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-ec", REPOSITORY]).current_dir(&served).status();
    assert!(made.unwrap().success());
    let made = Command::new("python3").arg(parts::script("packages.py")).arg(served.path()).output();
    assert!(made.unwrap().status.success());
    std::fs::create_dir_all(served.path().join("simple/moon")).unwrap();
    let page = "<a href='../../moon-1.0-py3-none-any.whl'>moon-1.0-py3-none-any.whl</a>";
    std::fs::write(served.path().join("simple/moon/index.html"), page).unwrap();
    let mut serving = tokio::process::Command::new("python3");
    serving.args(["-c", SERVE]).arg(served.path());
    let (_serving, at) = Process::start(serving).await;
    let host = at["host"].as_str().unwrap();

    let base = base_of(&parts::python("agents"));
    let (node, files) = node_that_holds(host, &mount_of(&base)).await;
    let script = format!(
        "set -e; cd /work; export http_proxy=http://gateway:3128
         git clone -q http://{host}/sea.git; cat sea/tide
         python={base}/bin/python3
         $python -m pip install -q --no-cache-dir --target site --index-url http://{host}/simple/ moon
         PYTHONPATH=site $python -c 'import moon; print(moon.phase)'"
    );
    let said = says(&node, &files, &script).await.expect(0);
    assert_eq!(said.stdout, "ebb\nwaxing\n");
    let asked = audit::entries(&node, "intent").await;
    let of_host = asked.iter().filter(|entry| entry["host"] == "127.0.0.1").count();
    assert!(of_host >= 7, "each request of both is decided: {asked:#?}");
    assert!(refused(&node).await.is_empty());
}
