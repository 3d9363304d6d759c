//! A client of a server that is a child process, to prove the npm servers without a gateway.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::limits::START;
use crate::mcp::{ToolAnswer, parse};
use crate::patience::within;

/// A running child; it dies with this value.
pub struct ChildServer {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    last_id: u64,
    _child: Child,
}

impl ChildServer {
    /// Starts it and shakes hands for a revision of the older era.
    pub async fn start(mut command: Command, version: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("the server does not start: {error}"));
        let input = child.stdin.take().unwrap_or_else(|| panic!("no standard input"));
        let output = child.stdout.take().unwrap_or_else(|| panic!("no standard output"));
        let mut client = Self { input, output: BufReader::new(output).lines(), last_id: 0, _child: child };
        let hello = json!({
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "ringfence-tests", "version": "1" },
        });
        assert_eq!(client.request("initialize", hello).await["protocolVersion"], version);
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        client
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> ToolAnswer {
        ToolAnswer {
            result: self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await,
        }
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        loop {
            let line = within(START, method, self.output.next_line()).await;
            let line = line.ok().flatten().unwrap_or_else(|| panic!("{method}: the server is gone"));
            let message = parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
            if message["id"] == id {
                assert!(message.get("result").is_some(), "{message}");
                return message["result"].clone();
            }
        }
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        let sent = self.input.write_all(line.as_bytes()).await;
        sent.unwrap_or_else(|error| panic!("the server does not listen: {error}"));
    }
}
