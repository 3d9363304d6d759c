//! Agents of every temper, each a shell script, with the model, the tool server and the host that they call.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::config::Config;

/// The agents: a name, limits of its own, and a shell script. Whatever they do, they have three seconds.
pub const AGENTS: [(&str, &str, &str); 14] = [
    ("writer", "", "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done"),
    ("flood", "output: 64Ki", "yes a long line of output"),
    (
        "forker",
        "",
        "(setsid sleep 1000 &); (sleep 1000 &); sh -c \"sleep 1000 & exec sleep 1000\" & setsid sh -c \"sleep 1000 & sleep 1000\"",
    ),
    ("stubborn", "", "trap \"\" TERM HUP INT; while :; do sleep 0.05; done"),
    ("still", "idle: 1s", "sleep 1000"),
    (
        "caller",
        "",
        "while :; do curl -sS -m 5 -H content-type:application/json -d @ask.json $OPENAI_BASE_URL/chat/completions; done",
    ),
    (
        "holder",
        "",
        "curl -sSN -H content-type:application/json -d @stream.json $OPENAI_BASE_URL/chat/completions & curl -sS -x http://gateway:3128 http://127.0.0.1:PORT/ & wait",
    ),
    (
        "tooled",
        "",
        "to() { curl -sS -H @tool.headers -H \"mcp-session-id: $session\" -d @$1.json $url; }
         while :; do for url in $RINGFENCE_MCP_NOTES_URL $RINGFENCE_MCP_BARE_URL; do
         session=$(curl -sS -D - -o /dev/null -H @tool.headers -d @hello.json $url | tr -d \"\\r\" | sed -n \"s/^mcp-session-id: //p\")
         to begun; to tool; to tool; done; done",
    ),
    // Keeps a number between its runs, and leaves it.
    (
        "leaver",
        "",
        "n=$(cat /agent/state/n || echo 0); echo $((n + 1)) > /agent/state/n; mkdir /agent/out/d; echo $n > /agent/out/d/n; sleep 0.1",
    ),
    // Starts others, until it ends, and they with it.
    (
        "lead",
        "",
        "while :; do curl -sS -m 5 -H content-type:application/json -d @start.json http://gateway/api/v1/runs; sleep 0.5; done",
    ),
    ("contained", "", "(setsid sleep 1000 &); setsid sh -c \"sleep 1000 & sleep 1000\""),
    ("confined", "", "(setsid sleep 1000 &); setsid sh -c \"sleep 1000 & sleep 1000\""),
    ("missing", "", ""),
    ("held", "", "echo it began"),
];

/// What else is configured of an agent, and of its program.
fn more(agent: &str) -> (&'static str, &'static str) {
    match agent {
        "leaver" => ("", ", state: { size: 8Mi }"),
        "lead" => ("\n        spawn: [writer, stubborn]", ""),
        "contained" => ("", ", driver: runc"),
        "confined" => ("", ", driver: restricted"),
        _ => ("", ""),
    }
}

/// A tool server that is a child of the node, for each run that calls it; once in a sandbox and once without.
const SERVER: &str = r#"
import json, sys
for line in sys.stdin:
    m = json.loads(line); id = m.get("id"); p = m.get("params") or {}
    if id is None: continue
    answer = {"jsonrpc": "2.0", "id": id}
    if m["method"] == "initialize":
        answer["result"] = {"protocolVersion": p["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "notes", "version": "1"}}
    elif m["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "note", "inputSchema": {"type": "object"}}]}
    elif m["method"] == "tools/call":
        answer["result"] = {"content": [{"type": "text", "text": "noted"}]}
    else:
        answer["error"] = {"code": -32601, "message": "no"}
    sys.stdout.write(json.dumps(answer) + "\n"); sys.stdout.flush()
"#;

const TOOL_HEADERS: &str = "content-type: application/json
accept: application/json, text/event-stream
mcp-protocol-version: 2025-11-25
";

const POLICY: &str = "rules:\n  - { name: everything, match: {}, decision: ALLOW }\n";

/// A host that takes connections and says nothing.
pub async fn a_silent_host() -> u16 {
    let listening = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listening.unwrap_or_else(|error| panic!("cannot listen: {error}"));
    let port = listener.local_addr().map_or(0, |address| address.port());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    port
}

/// Writes what they read, and their tool server, into a folder.
pub fn write_files(folder: &Path) {
    let ask = |stream: bool, words: &str| {
        let message = json!([{ "role": "user", "content": words }]);
        json!({ "model": "gpt", "messages": message, "max_completion_tokens": 2000, "stream": stream })
            .to_string()
    };
    let client = json!({ "name": "agent", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    let message = |method: &str, params: serde_json::Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
    };
    for (name, content) in [
        ("ask.json", ask(false, "mock:tokens=5,delay_ms=20")),
        ("stream.json", ask(true, "mock:tokens=1000,chunks=1000,delay_ms=20")),
        ("hello.json", message("initialize", hello)),
        ("begun.json", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()),
        ("tool.json", message("tools/call", json!({ "name": "note", "arguments": {} }))),
        ("start.json", json!({ "agent": "stubborn" }).to_string()),
        ("tool.headers", TOOL_HEADERS.to_owned()),
        ("server.py", SERVER.to_owned()),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// The configuration of a node that has them all: with their files in `files`, the provider of models at `url`, and a host that
/// says nothing on the port `silent`.
pub fn config(files: &Path, url: &str, silent: u16) -> Config {
    let mut text = format!(
        "organization: acme
workspaces:
  lab:
    environment: test
    trust: first-use
    tools:
      notes: {{ command: [python3, /srv/server.py], capability: notes, egress: [], mounts: [{{ source: '{files}', target: /srv }}] }}
      bare: {{ command: [python3, '{files}/server.py'], capability: notes }}
    models:
      gpt: {{ provider: openai, model: gpt-mock, base_url: '{url}/v1', key: 'env:MOCK_KEY', price: {{ input: 1, output: 10 }},
             concurrent: 1000, breaker: {{ failures: 1000, open_for: 1s }}, retries: 0 }}
    budget: {{ usd: 1000000.00 }}
    agents:
",
        files = files.display(),
    );
    for (agent, limits, script) in AGENTS {
        let command = match agent {
            "missing" => "[no-such-program]".to_owned(),
            // A string of JSON is one of YAML.
            _ => json!(["sh", "-c", script.replace("PORT", &silent.to_string())]).to_string(),
        };
        let (of_agent, of_run) = more(agent);
        let comma = if limits.is_empty() { "" } else { ", " };
        let _ = write!(
            text,
            "      {agent}:
        models: [gpt]
        tools: ['notes/*', 'bare/*']
        egress: ['127.0.0.1:{silent}']
        budget: {{ usd: off }}
        limits: {{ wall: 3s, repetition: off, model_calls: off, loops: {{ stale: off, failing: off, errors: off }}{comma}{limits} }}
        run: {{ command: {command}, files: '{}'{of_run} }}{of_agent}
",
            files.display()
        );
    }
    text.push_str("    policy: [policy.yaml]\n");
    Config { files: vec![("ringfence.yaml", text), ("policy.yaml", POLICY.to_owned())] }
}
