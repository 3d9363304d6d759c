//! Runs that runs start, each in a sandbox of its own: what they may do is what whoever started them may, and with it they end.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http;
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use serde_json::{Value, json};

const POLICY: &str = "\
rules:
  - { name: models, match: { kind: model_call }, decision: ALLOW }
  - { name: hosts, match: { kind: egress }, decision: ALLOW }
  - { name: spawns, match: { kind: spawn }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { denied_agents: [forbidden] } }
";

const SCRIPT: &str = "rules:\n  - say: Hello from the script.\n";

/// What agents here share: the API of the gateway, its tools, models.
const LIBRARY: &str = r#"
import json, os, sys, urllib.error, urllib.request

def post(url, body, headers={}, method="POST"):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers={"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

API = os.environ.get("RINGFENCE_API_URL", "http://gateway/api/v1")

def api(method, path, body=None):
    return post(API + path, body, method=method)

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}

def mcp(method, name=None, **params):
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "accept": "application/json, text/event-stream"}
    if name:
        headers["Mcp-Name"] = name
        params["name"] = name
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return post(os.environ["RINGFENCE_MCP_URL"], body, headers)[1]["result"]

def model(name="helper"):
    body = {"model": name, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    return post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body)

def say(value):
    print(json.dumps(value), flush=True)
"#;

struct Lab {
    node: Node,
    _files: tempfile::TempDir,
}

impl Lab {
    /// `lead` runs the script that a test gives it; `worker` another one; `lone` may start nobody.
    async fn start(lead: &str, worker: &str) -> Self {
        Self::start_with(lead, worker, "").await
    }

    async fn start_with(lead: &str, worker: &str, of_lead: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("gate.py"), LIBRARY).unwrap();
        for (name, script) in [("lead.py", lead), ("worker.py", worker)] {
            std::fs::write(files.path().join(name), format!("from gate import *\n{script}\n")).unwrap();
        }
        let folder = files.path().display();
        let run =
            |script: &str| format!("run: {{ command: [python3, {script}], files: '{folder}', stdin: true }}");
        let config = format!(
            "organization: acme
workspaces:
  lab:
    environment: test
    models:
      helper: {{ provider: scripted, script: script.yaml, price: {{ input: 1, output: 10 }} }}
      dear: {{ provider: scripted, script: script.yaml, price: {{ input: 100, output: 1000 }} }}
    agents:
      lead: {{ models: [helper], spawn: [worker, lead, forbidden, quiet], egress: [held.example], {of_lead} {} }}
      worker: {{ models: [helper, dear], spawn: [worker, lone], egress: ['*'], {} }}
      lone: {{ models: [helper], {} }}
      forbidden: {{ {} }}
      quiet: {{ run: {{ command: [sh, -c, 'echo quiet'] }} }}
    policy: [policy.yaml]
",
            run("lead.py"),
            run("worker.py"),
            run("lead.py"),
            run("worker.py")
        );
        let config = Config {
            files: vec![
                ("ringfence.yaml", config),
                ("policy.yaml", POLICY.to_owned()),
                ("script.yaml", SCRIPT.to_owned()),
            ],
        };
        Self { node: Node::start(&config).await, _files: files }
    }

    async fn run(&self, agent: &str, more: &[&str]) -> Said {
        let mut arguments = vec!["run", agent, "-w", "lab"];
        arguments.extend(more);
        self.node.cli(&arguments).await
    }

    /// What the agent said, a value a line.
    async fn says(&self, agent: &str) -> Vec<Value> {
        let lines = self.run(agent, &["--json"]).await.expect(0).lines();
        let said = lines.iter().filter(|line| line["stream"] == "stdout");
        said.map(|line| serde_json::from_str(line["text"].as_str().unwrap()).unwrap()).collect()
    }

    async fn show(&self, run: &str) -> Value {
        self.node.api(&format!("/api/v1/runs/{run}")).await.json()
    }

    async fn all(&self) -> Vec<Value> {
        self.node.cli(&["runs", "list", "--json"]).await.expect(0).lines()
    }

    async fn until(&self, run: &str, state: &str) -> Value {
        eventually(EFFECT, &format!("the run is {state}"), async || {
            let view = self.show(run).await;
            (view["state"] == state).then_some(view)
        })
        .await
    }
}

fn texts(view: &Value) -> Vec<&str> {
    view["output"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

/// Processes of the machine whose command line has this in it.
fn processes(with: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(with)).count()
}

#[tokio::test]
async fn a_run_starts_another_over_http_and_by_the_tool_and_sees_what_it_wrote() {
    let lead = r#"
status, begun = api("POST", "/runs", {"agent": "worker", "input": "tides", "arguments": ["deep"], "wait": True})
say([status, begun])
say(api("GET", "/runs/" + begun["run"]))
say(api("GET", "/runs/" + begun["run"] + "/output"))
say(api("GET", "/runs"))
say([tool["name"] for tool in mcp("tools/list")["tools"]])
spawned = mcp("tools/call", "ringfence__spawn", arguments={"agent": "worker", "input": "moons", "wait": False})
say(spawned)
run = spawned["structuredContent"]["run"]
say(mcp("tools/call", "ringfence__runs", arguments={"action": "wait", "run": run}))
say(mcp("tools/call", "ringfence__runs", arguments={"action": "list"})["structuredContent"])
"#;
    let worker = r#"
print("about", sys.stdin.read(), *sys.argv[1:], model()[1]["choices"][0]["message"]["content"])
print("oops", file=sys.stderr)
sys.exit(7)
"#;
    let lab = Lab::start(lead, worker).await;
    let said = lab.says("lead").await;
    let [begun, shown, output, list, tools, spawned, waited, both] = &said[..] else { panic!("{said:#?}") };
    assert_eq!(begun[0], 200);
    let child = &begun[1];
    assert_eq!(
        (&child["state"], &child["exit_code"], &child["ended_by"]),
        (&json!("ended"), &json!(7), &json!("program"))
    );
    let mut lines = texts(child);
    lines.sort_unstable();
    assert_eq!(lines, ["about tides deep Hello from the script.", "oops"]);
    assert_eq!((&shown[1]["run"], &shown[1]["agent"]), (&child["run"], &json!("worker")));
    assert_eq!(texts(&output[1]).len(), 2);
    assert_eq!(list[1]["runs"].as_array().unwrap().len(), 1);
    assert_eq!(*tools, json!(["ringfence__spawn", "ringfence__runs"]));
    assert!(spawned["structuredContent"]["exit_code"].is_null(), "it did not wait: {spawned}");
    let second = &waited["structuredContent"];
    assert_eq!((&second["state"], &second["exit_code"]), (&json!("ended"), &json!(7)));
    assert!(waited["content"][0]["text"].as_str().unwrap().contains("about moons"), "{waited}");
    assert_eq!(both["runs"].as_array().unwrap().len(), 2);

    // People see whose they are, and the log how it came.
    let all = lab.all().await;
    let parent = all.iter().find(|run| run["agent"] == "lead").unwrap();
    let children: Vec<&Value> = all.iter().filter(|run| run["parent"] == parent["run"]).collect();
    assert_eq!(children.len(), 2);
    let id = parent["run"].as_str().unwrap();
    let view = lab.show(id).await;
    assert_eq!(view["children"].as_array().unwrap().len(), 2);
    assert_eq!(view["actions_below"], 2, "one model call of each");
    assert!(view["spent"]["usd_nanos"].as_u64().unwrap() > 0, "what they spent counts for it: {view}");
    let shown = lab.node.cli(&["runs", "show", children[0]["run"].as_str().unwrap()]).await.expect(0).stdout;
    assert!(shown.contains(id), "{shown}");
    let found =
        lab.node.cli(&["audit", "query", "--run", id, "--kind", "intent", "--json"]).await.expect(0).lines();
    let spawns: Vec<&Value> = found.iter().filter(|entry| entry["spawns"] == "worker").collect();
    assert_eq!(spawns.len(), 2);
    audit::verify(&lab.node).await;
}

#[tokio::test]
async fn what_no_grant_no_rule_and_no_budget_covers_is_refused_and_says_why() {
    let lead = r#"
say(api("POST", "/runs", {"agent": "lone"}))
say(api("POST", "/runs", {"agent": "forbidden"}))
say(api("POST", "/runs", {"agent": "quiet", "input": "anything"}))
say(api("POST", "/runs", {"agent": "worker", "budget": {"eur": 1}}))
say(api("POST", "/runs", {"agent": "worker", "wait": "yes"}))
say(mcp("tools/call", "ringfence__spawn", arguments={"agent": "lone"}))
say(api("GET", "/runs"))
say("RINGFENCE_API_URL" in os.environ)
say([tool["name"] for tool in mcp("tools/list")["tools"]])
"#;
    let lab = Lab::start(lead, "").await;
    let said = lab.says("lead").await;
    let code = |answer: &Value| {
        (answer[0].clone(), answer[1]["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    for (at, status, expected) in [
        (0, 403, "not_granted"),
        (1, 403, "denied_by_policy"),
        (2, 400, "invalid_input"),
        (3, 400, "invalid_input"),
        (4, 400, "invalid_input"),
    ] {
        assert_eq!(code(&said[at]), (json!(status), expected.to_owned()), "{}", said[at]);
    }
    assert_eq!(said[5]["isError"], true);
    assert_eq!(said[5]["_meta"]["dev.ringfence/decision"]["code"], "not_granted");
    assert_eq!(said[6][1]["runs"], json!([]), "nothing was started");
    assert_eq!((&said[7], &said[8]), (&json!(true), &json!(["ringfence__spawn", "ringfence__runs"])));
    assert_eq!(lab.all().await.len(), 1);
    let refusals = audit::entries(&lab.node, "refusal").await;
    assert!(refusals.iter().any(|entry| entry["spawns"] == "lone" && entry["code"] == "not_granted"));
    // Nothing was sent where it could not be started.
    let outcomes = audit::entries(&lab.node, "outcome").await;
    assert!(outcomes.iter().any(|entry| entry["spawns"] == "quiet" && entry["status"] == "not_sent"));

    // Who may start nobody has neither the tools nor the address, and is told so.
    let said = lab.says("lone").await;
    assert_eq!((&said[7], &said[8]), (&json!(false), &json!([])));
    assert_eq!(code(&said[0]).1, "not_granted");
}

#[tokio::test]
async fn a_child_spends_what_is_left_of_its_parents_money_and_no_more() {
    // Each call may come to an eighth of a cent and costs much less: money for a few, whoever makes them.
    let lead = r#"
say(model()[0])
status, child = api("POST", "/runs", {"agent": "worker", "budget": {"usd": 100}, "wait": True})
say(child)
say(model()[1])
"#;
    let worker = "say([answer[1].get('error', {}).get('message', answer[0]) for answer in (model() for _ in range(6))])";
    let lab = Lab::start_with(lead, worker, "budget: { usd: 0.0015 },").await;
    let said = lab.says("lead").await;
    assert_eq!(said[0], 200, "{said:#?}");
    let child: Value = serde_json::from_str(texts(&said[1])[0]).unwrap();
    let answers = child.as_array().unwrap();
    let went = answers.iter().filter(|answer| **answer == 200).count();
    assert!((1..6).contains(&went), "{child}");
    let refused = answers.last().unwrap().as_str().unwrap();
    assert!(refused.contains("the run that started this one"), "{refused}");
    assert_eq!(said[2]["error"]["code"], "over_budget", "{}", said[2]);
    let runs = lab.all().await;
    let lead = runs.iter().find(|run| run["agent"] == "lead").unwrap();
    let view = lab.show(lead["run"].as_str().unwrap()).await;
    let spent = view["spent"]["usd_nanos"].as_u64().unwrap();
    assert!(spent > 0 && spent <= 1_500_000, "{view}");
}

#[tokio::test]
async fn a_child_that_wants_more_than_its_parent_holds_gets_none_of_it() {
    let lead = r#"
say(api("POST", "/runs", {"agent": "worker", "wait": True})[1])
"#;
    let worker = r#"
say(model("helper")[0])
say(model("dear")[1]["error"]["code"])
def reached(host):
    try:
        return post("http://%s/" % host, None, method="GET")[0]
    except urllib.error.URLError as error:
        return "unreached"
say(reached("held.example"))
say(reached("else.example"))
say(api("POST", "/runs", {"agent": "lone"})[1]["error"]["code"])
everybody = api("GET", "/runs")[1]["runs"]
say(everybody)
for run in [os.environ["RINGFENCE_RUN"], "run_00000000000000000000000000"]:
    say([api("GET", "/runs/" + run)[0], api("GET", "/runs/" + run + "/output")[0], api("POST", "/runs/" + run + "/stop")[0]])
deep = api("POST", "/runs", {"agent": "worker", "wait": True})
say(deep[1].get("error", {}).get("code") or deep[1]["state"])
"#;
    let lab = Lab::start(lead, worker).await;
    let said = lab.says("lead").await;
    let lines: Vec<Value> = texts(&said[0]).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], 200);
    assert_eq!(lines[1], "model_not_found", "its parent holds no such model");
    // Held by both: resolved, and nobody answers in a test; not held by the parent: its name does not exist.
    assert_ne!(lines[2], "unreached", "{lines:#?}");
    assert_eq!(lines[3], "unreached");
    assert_eq!(lines[4], "not_granted", "its parent may not start that one");
    assert_eq!(lines[5], json!([]), "it sees its own and nobody else's");
    assert_eq!((&lines[6], &lines[7]), (&json!([404, 404, 404]), &json!([404, 404, 404])));
    // Each starts one more, until they stand too deep: as many as that, and all have ended.
    let all = lab.all().await;
    assert_eq!(all.len(), 5, "one and four under it: {all:#?}");
    assert!(all.iter().all(|run| run["state"] == "ended"));
    let refusals = audit::entries(&lab.node, "refusal").await;
    assert!(refusals.iter().any(|entry| entry["reason"].as_str().unwrap().contains("as deep as")));
}

#[tokio::test]
async fn with_its_parent_a_child_is_ended_and_nothing_is_left() {
    let mark = format!("3000.{}", std::process::id());
    let lead = r#"
import time
for number in range(2):
    say(api("POST", "/runs", {"agent": "worker", "arguments": [str(number)]})[1]["run"])
if "leave" not in sys.argv:
    time.sleep(3000)
while not all(run["actions"] for run in api("GET", "/runs")[1]["runs"]):
    time.sleep(0.05)
"#;
    let worker = format!(
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nmodel()\n\
         if len(sys.argv) > 1: api('POST', '/runs', {{'agent': 'worker'}})\nsubprocess.run(['sleep', '{mark}'])"
    );
    let mut lab = Lab::start(lead, &worker).await;
    for how in ["kill", "leave", "crash"] {
        let more: &[&str] = if how == "leave" { &["--detach", "--", "leave"] } else { &["--detach"] };
        let id = lab.run("lead", more).await.expect(0).stdout.trim().to_owned();
        if how != "leave" {
            eventually(EFFECT, "four sleep", async || (processes(&mark) >= 4).then_some(())).await;
        }
        match how {
            "kill" => drop(lab.node.cli(&["kill", &id]).await.expect(0)),
            "crash" => {
                lab.node.kill().await;
                eventually(EFFECT, "nothing sleeps", async || (processes(&mark) == 0).then_some(())).await;
                lab.node.restart().await;
            }
            _ => drop(lab.until(&id, "ended").await),
        }
        eventually(EFFECT, "all have ended", async || {
            lab.all().await.iter().all(|run| run["state"] == "ended").then_some(())
        })
        .await;
        assert_eq!(processes(&mark), 0, "{how}");
        let expected = if how == "crash" { "crash" } else { "parent" };
        let under: Vec<Value> = lab.all().await.into_iter().filter(|run| run["agent"] == "worker").collect();
        assert!(under[..2].iter().all(|run| run["ended_by"] == expected), "{how}: {under:#?}");
    }
    audit::verify(&lab.node).await;
}

#[tokio::test]
async fn a_child_can_be_stopped_by_its_parent_and_suspended_with_it() {
    let lead = r#"
import time
one = api("POST", "/runs", {"agent": "worker"})[1]["run"]
while not api("GET", "/runs/" + one)[1]["actions"]:
    time.sleep(0.05)
say(api("POST", "/runs/" + one + "/stop"))
while api("GET", "/runs/" + one)[1]["state"] != "ended":
    time.sleep(0.05)
say(api("GET", "/runs/" + one)[1])
two = api("POST", "/runs", {"agent": "worker"})[1]["run"]
time.sleep(3000)
"#;
    let worker = r#"
import time
while True:
    say(model()[1].get("error", {}).get("code", "went"))
    time.sleep(0.1)
"#;
    let lab = Lab::start(lead, worker).await;
    let id = lab.run("lead", &["--detach"]).await.expect(0).stdout.trim().to_owned();
    let second = eventually(EFFECT, "the second runs", async || {
        let all = lab.all().await;
        let mut under = all.iter().filter(|run| run["parent"] == id.as_str());
        let is_second = under.clone().count() == 2;
        under.find(|run| is_second && run["state"] == "running" && run["actions"] != 0).cloned()
    })
    .await;
    let said: Vec<Value> = lab.node.cli(&["runs", "logs", &id]).await.expect(0).lines();
    assert_eq!(said[0][0], 200);
    assert_eq!(said[1]["ended_by"], "parent", "{said:#?}");
    let suspended =
        lab.node.cli(&["suspend", "--run", &id, "--reason", "to look", "--json"]).await.expect(0).json();
    let child = second["run"].as_str().unwrap();
    let logs = async || lab.node.cli(&["runs", "logs", child]).await.expect(0).stdout;
    eventually(EFFECT, "it is suspended too", async || logs().await.contains("suspended").then_some(()))
        .await;
    assert_eq!(lab.show(child).await["state"], "running", "its processes are not touched");
    lab.node.cli(&["resume", suspended["id"].as_str().unwrap()]).await.expect(0);
    eventually(EFFECT, "it goes on", async || logs().await.ends_with("\"went\"\n").then_some(())).await;
    lab.node.cli(&["runs", "stop", &id]).await.expect(0);
    assert_eq!(lab.until(child, "ended").await["ended_by"], "parent");
}

#[tokio::test]
async fn an_agent_that_runs_elsewhere_starts_runs_here_with_its_token() {
    let lab =
        Lab::start("", "import time\nsay(sys.argv)\ntime.sleep(0 if 'short' in sys.argv else 3000)").await;
    let minted =
        lab.node.cli(&["token", "mint", "-w", "lab", "--agent", "lead", "--json"]).await.expect(0).json();
    let bearer = format!("Bearer {}", minted["token"].as_str().unwrap());
    let url = format!("{}/api/v1/runs", lab.node.gateway);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ask = async |body: Value| -> (u16, Value) {
        let answer = http::post(&url, &headers, &body.to_string()).await;
        (answer.status.as_u16(), answer.json())
    };
    let (status, ended) = ask(json!({ "agent": "worker", "arguments": ["short"], "wait": true })).await;
    assert_eq!((status, &ended["state"]), (200, &json!("ended")), "{ended}");
    let (status, begun) = ask(json!({ "agent": "worker" })).await;
    assert_eq!(status, 201);
    let child = begun["run"].as_str().unwrap();
    lab.until(child, "running").await;
    assert_eq!(http::get(&url).await.status.as_u16(), 401);
    // Its token dead, what it started ends.
    lab.node.cli(&["kill", minted["run"].as_str().unwrap()]).await.expect(0);
    assert_eq!(lab.until(child, "ended").await["ended_by"], "parent");
}
