//! Runs under every driver, and images from a real registry.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config as ImageConfig, ImageLayer};
use oci_client::secrets::RegistryAuth;
use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::node::Node;
use ringfence_tests::patience::{eventually, eventually_true};
use serde_json::{Value, json};

const POLICY: &str = "rules:\n  - { name: everything, match: {}, decision: ALLOW }\n";
const SCRIPT: &str = "rules:\n  - say: Hello from the script.\n";

const RUNTIMES: [&str; 3] = ["runc", "crun", "runsc"];

/// A workspace whose agent is this program; `run` is added to what is written of it.
fn config(command: &str, run: &str) -> Config {
    let config = format!(
        "organization: acme
workspaces:
  lab:
    environment: test
    trust: first-use
    models:
      helper: {{ provider: scripted, script: script.yaml, price: {{ input: 1, output: 10 }} }}
    agents:
      assistant:
        models: [helper]
        run: {{ command: {command}, {run} }}
    policy: [policy.yaml]
"
    );
    Config {
        files: vec![
            ("ringfence.yaml", config),
            ("policy.yaml", POLICY.to_owned()),
            ("script.yaml", SCRIPT.to_owned()),
        ],
    }
}

fn shell(script: &str, run: &str) -> Config {
    config(&format!("[sh, -c, '{script}']"), run)
}

async fn run(node: &Node) -> Said {
    node.cli(&["run", "assistant", "-w", "lab"]).await
}

/// What is on record of the newest run.
async fn newest(node: &Node) -> Value {
    let runs = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
    let id = runs.first().unwrap()["run"].as_str().unwrap().to_owned();
    node.api(&format!("/api/v1/runs/{id}")).await.json()
}

#[tokio::test]
async fn an_agent_in_a_container_reaches_its_model_by_the_gateway() {
    let program = "import json, os, urllib.request\n\
                   url = os.environ[\"OPENAI_BASE_URL\"] + \"/chat/completions\"\n\
                   ask = {\"model\": \"helper\", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}\n\
                   request = urllib.request.Request(url, json.dumps(ask).encode(), {\"Content-Type\": \"application/json\"})\n\
                   answer = json.load(urllib.request.urlopen(request))\n\
                   print(answer[\"choices\"][0][\"message\"][\"content\"], os.getcwd())\n";
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("agent.py"), program).unwrap();
    for runtime in RUNTIMES {
        let more = format!("driver: {runtime}, files: '{}', require: [seccomp]", files.path().display());
        let node = Node::start(&config("[python3, agent.py]", &more)).await;
        let said = run(&node).await.expect(0);
        assert_eq!(said.stdout, "Hello from the script. /agent/files\n", "{runtime}: {}", said.stderr);
        let view = newest(&node).await;
        let driver = view["layers"]["driver"].as_str().unwrap();
        assert!(driver.starts_with(&format!("{runtime} ")), "{driver}");
        assert!(view["layers"]["landlock"].as_str().unwrap().starts_with("missing"), "{view}");
        let shown = node.cli(&["runs", "show", view["run"].as_str().unwrap()]).await.expect(0);
        let lines: Vec<&str> = shown.stdout.lines().collect();
        let layers = lines.iter().position(|line| line.starts_with("layers ")).unwrap();
        let why = view["layers"]["landlock"].as_str().unwrap();
        assert!(lines.contains(&format!("driver        {driver}").as_str()), "{}", shown.stdout);
        let missing = format!("  landlock            {why}");
        assert!(lines[layers + 1..].contains(&missing.as_str()), "{why}: {}", shown.stdout);
        assert!(lines[layers + 1].contains(" missing: "), "what is missing stands first: {}", shown.stdout);
        audit::verify(&node).await;
    }
}

#[tokio::test]
async fn who_is_killed_for_lack_of_memory_is_told_so_under_every_driver() {
    for driver in ["local", "restricted"].into_iter().chain(RUNTIMES) {
        let program = "import time; x = bytearray(400 << 20); print(1); time.sleep(9)";
        let keys = [
            "limits: { memory: 100Mi }".to_owned(),
            format!("run: {{ command: [python3, -c, '{program}'], driver: {driver} }}"),
        ];
        let node = Node::start(&Config::of_agent(&keys, POLICY)).await;
        let said = run(&node).await;
        let view = newest(&node).await;
        if view["layers"]["memory-limit"].as_str().is_none_or(|state| state.starts_with("missing")) {
            return;
        }
        assert!(said.code != Some(0) && said.stdout.is_empty(), "{driver}: {said:?}");
        assert!(said.stderr.contains("for lack of memory"), "{driver}: {said:?}");
        let because = view["ended_because"].as_str().unwrap();
        assert!(because.contains("for lack of memory") && because.contains("(it may have 100Mi)"), "{view}");
        assert!(view["memory_kills"].as_u64() > Some(0) && view["cpu_us"].as_u64() > Some(0), "{view}");
        let peak = view["memory_bytes_peak"].as_u64().unwrap();
        assert!((16 << 20..=100 << 20).contains(&peak), "{driver}: {view}");
        let entries = audit::at_least(&node, "run", 1).await;
        let ended = entries.iter().find(|entry| entry["event"] == "ended").unwrap();
        assert_eq!(
            (&ended["memory_bytes_peak"], &ended["cpu_us"]),
            (&view["memory_bytes_peak"], &view["cpu_us"])
        );
        audit::verify(&node).await;
    }
}

#[tokio::test]
async fn without_namespaces_a_program_runs_and_reaches_nothing() {
    let files = tempfile::tempdir_in("/var/tmp").unwrap();
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = "cat data; env | grep -c gateway; echo x > \"$HOME/x\" && cat \"$HOME/x\"; \
                  python3 -c \"import socket; socket.create_connection((\\\"gateway\\\", 80))\" 2>/dev/null || echo none";
    fs::write(files.path().join("agent.sh"), script).unwrap();
    fs::write(files.path().join("data"), "the data\n").unwrap();
    let more = format!("driver: restricted, files: '{}'", files.path().display());
    let node = Node::start(&config("[sh, agent.sh]", &more)).await;
    let said = run(&node).await;
    assert_eq!(said.stdout, "the data\n0\nx\nnone\n", "{}", said.stderr);
    let view = newest(&node).await;
    assert_eq!(view["layers"]["driver"], "restricted", "{view}");
    assert!(view["layers"]["network-namespace"].as_str().unwrap().starts_with("missing"));
    // It has no folder for what is to be kept, and nobody is sent there.
    let left = node.cli(&["runs", "artifacts", view["run"].as_str().unwrap()]).await;
    assert!(left.stderr.contains("there is no /agent/out"), "{}", left.stderr);
    let checked = node.cli(&["check"]).await;
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains("no network"), "{checked:?}");
    // What is required is not given up for it.
    node.reconfigure(&config("[sh, agent.sh]", &format!("{more}, require: [private-root]")));
    node.cli(&["up", "--help"]).await.expect(0);
    let refused = eventually(EFFECT, "the run is refused", async || {
        let said = run(&node).await;
        said.stderr.contains("private-root").then_some(said)
    })
    .await;
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
}

#[tokio::test]
async fn a_killed_node_leaves_nothing_of_a_container() {
    for runtime in RUNTIMES {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let script = format!("echo {marker}; sleep 1000.{} & sleep 1000", std::process::id());
        let mut node = Node::start(&shell(&script, &format!("driver: {runtime}"))).await;
        let id = node.cli(&["run", "assistant", "-w", "lab", "--detach"]).await.expect(0).stdout;
        let runs = async || node.cli(&["runs", "logs", id.trim()]).await.stdout.contains(&marker);
        assert!(eventually_true(EFFECT, runs).await, "{runtime} does not run");
        node.kill().await;
        let words = [marker.as_str(), "/oci/state"];
        let gone = async || words.iter().all(|word| processes(word) == 0);
        assert!(eventually_true(EFFECT, gone).await, "something of {runtime} is left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains("/oci/"), "{runtime}: {mounts}");
    }
}

/// Processes of the machine whose command line has this in it.
fn processes(with: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(with)).count()
}

/// A registry on this machine.
struct Registry {
    process: Child,
    folder: tempfile::TempDir,
    host: String,
}

impl Registry {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let store = folder.path().join("store");
        let written = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: '{}' }} }}\nhttp: {{ addr: '{host}' }}\n",
            store.display()
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, written).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry is installed; run `cargo xtask install`");
        let registry = Self { process, folder, host };
        let answers = async || tokio::net::TcpStream::connect(&registry.host).await.is_ok();
        assert!(eventually_true(EFFECT, answers).await, "the registry does not answer");
        registry
    }

    /// Puts an image there, whose file VERSION says this.
    async fn push(&self, tag: &str, version: &str) -> String {
        let name = format!("{}/agents/box:{tag}", self.host);
        // It may be there already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(vec![self.host.clone()]),
            ..ClientConfig::default()
        };
        let client = Client::new(config);
        let plain = archive(version);
        let unpacked = ImageLayer::oci_v1(plain.clone(), None).sha256_digest();
        let described = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": { "Env": ["GREETING=hello", "PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": [unpacked] },
        });
        let image = ImageConfig::oci_v1(described.to_string().into_bytes(), None);
        let layers = [ImageLayer::oci_v1_gzip(zipped(&plain), None)];
        let reference: Reference = name.parse().unwrap();
        client.push(&reference, &layers, image, &RegistryAuth::Anonymous, None).await.unwrap();
        client.fetch_manifest_digest(&reference, &RegistryAuth::Anonymous).await.unwrap()
    }

    fn image(&self, tag: &str) -> String {
        format!("{}/agents/box:{tag}", self.host)
    }

    /// The largest part of what it keeps, which is a layer: the newest of them.
    fn layer(&self) -> PathBuf {
        let mut all = Vec::new();
        files_below(&self.folder.path().join("store"), &mut all);
        let of = |path: &Path| fs::metadata(path).unwrap();
        let largest = all.iter().map(|path| of(path).len()).max().unwrap();
        let layers = all.into_iter().filter(|path| of(path).len() + 4_096 > largest);
        layers.max_by_key(|path| of(path).modified().unwrap()).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn files_below(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { files_below(&entry.path(), all) } else { all.push(entry.path()) }
    }
}

fn archive(version: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut put = |path: &str, kind: tar::EntryType, mode: u32, content: &[u8], leads_to: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        if leads_to.is_empty() {
            archive.append_data(&mut header, path, content).unwrap();
        } else {
            archive.append_link(&mut header, path, leads_to).unwrap();
        }
    };
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| fs::read(path).ok());
    let busybox = busybox.expect("busybox-static is installed; run `cargo xtask install`");
    put("bin/", tar::EntryType::Directory, 0o755, b"", "");
    put("bin/busybox", tar::EntryType::Regular, 0o4755, &busybox, "");
    for name in ["sh", "cat", "id", "ls", "stat"] {
        put(&format!("bin/{name}"), tar::EntryType::Symlink, 0o777, b"", "busybox");
    }
    put("VERSION", tar::EntryType::Regular, 0o644, format!("{version}\n").as_bytes(), "");
    archive.into_inner().unwrap()
}

fn zipped(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(plain).unwrap();
    packed.finish().unwrap()
}

const LOOK: &str = "cat /VERSION; echo $GREETING; id -u; stat -c %a /bin/busybox; ls /";

fn of_image(runtime: &str, image: &str) -> Config {
    shell(LOOK, &format!("driver: {runtime}, image: \"{image}\""))
}

/// Folders of images in the node's data.
fn kept(node: &Node) -> Vec<String> {
    let all = fs::read_dir(node.data().join("images")).into_iter().flatten().flatten();
    let mut names: Vec<String> = all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "pins.json");
    names
}

#[tokio::test]
async fn an_image_is_what_its_digest_says_and_a_tag_what_it_was_first() {
    let registry = Registry::start().await;
    let first = registry.push("1", "one").await;
    let mut node = Node::start(&of_image("runc", &registry.image("1"))).await;
    let said = run(&node).await.expect(0);
    let mut lines = said.stdout.lines();
    let seen: Vec<&str> = lines.by_ref().take(4).collect();
    assert_eq!(seen, ["one", "hello", "0", "755"], "{said:?}");
    let root: Vec<&str> = lines.collect();
    assert_eq!(root, ["VERSION", "agent", "bin", "dev", "etc", "proc", "tmp", "work"]);
    assert_eq!(newest(&node).await["layers"]["image"], first.as_str());

    let second = registry.push("1", "two").await;
    assert_ne!(first, second);
    assert!(
        run(&node).await.expect(0).stdout.starts_with("one\n"),
        "the tag was moved, and not what it means here"
    );
    assert_eq!(kept(&node), [first.replace(':', "-")]);

    // By its digest, in another runtime, and without the registry once it is there.
    node.reconfigure(&of_image("crun", &format!("{}@{second}", registry.image("1"))));
    node.stop().await;
    node.restart().await;
    assert!(run(&node).await.expect(0).stdout.starts_with("two\n"));
    drop(registry);
    assert!(run(&node).await.expect(0).stdout.starts_with("two\n"));
    assert_eq!(newest(&node).await["layers"]["image"], second.as_str());
    audit::verify(&node).await;
}

#[tokio::test]
async fn an_image_that_is_not_what_it_says_is_refused_whole() {
    let registry = Registry::start().await;
    let digest = registry.push("1", "one").await;
    let other = format!("sha256:{}", "0".repeat(64));
    let unknown = format!("{}@{other}", registry.image("1"));
    let mut node = Node::start(&of_image("runc", &unknown)).await;
    let said = run(&node).await;
    assert!(said.stderr.contains("cannot be pulled"), "{said:?}");

    let layer = registry.layer();
    let mut damaged = fs::read(&layer).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&layer, damaged).unwrap();
    node.reconfigure(&of_image("runc", &format!("{}@{digest}", registry.image("1"))));
    node.stop().await;
    node.restart().await;
    let said = run(&node).await;
    assert!(
        said.stderr.contains("is not what it says") || said.stderr.contains("cannot be pulled"),
        "{said:?}"
    );
    assert!(said.stdout.is_empty(), "{said:?}");
    assert!(kept(&node).is_empty(), "{:?}", kept(&node));
}
