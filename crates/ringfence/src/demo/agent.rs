//! The demo's agents: plain clients of MCP (2026-07-28) and of OpenAI's API, which do what they are told, with no idea of
//! Ringfence. They are this program itself: `ringfence demo --as-agent`.

use ringfence_json::{Limits, Object, Value, parse};

use super::chat::Chat;
use super::message::{MessageError, Way, post};
use crate::failure::Failure;
use crate::input::read_text;

const REVISION: &str = "2026-07-28";

/// More answers than any model gives before somebody stops it.
const ANSWERS_MAX: u64 = 20;

/// What an agent is told to do.
pub enum Order {
    /// Call a tool of a server.
    Call {
        /// The server.
        server: String,
        /// Its tool.
        tool: String,
        /// With these arguments.
        arguments: Object,
    },
    /// See which tools a server shows.
    Tools {
        /// The server.
        server: String,
    },
    /// Ask its model until there is no answer any more.
    Ask {
        /// What it is asked first.
        says: String,
        /// What every tool gives that the model wants; without it the model is asked the same again.
        result: Option<String>,
    },
}

/// What came of it.
pub struct Done(Object);

// === impl Order ===

impl Order {
    /// As an agent reads it.
    pub fn to_text(&self) -> String {
        let order = match self {
            Self::Call { server, tool, arguments } => Object::new()
                .with("call", tool.as_str())
                .with("of", server.as_str())
                .with("arguments", arguments.clone()),
            Self::Tools { server } => Object::new().with("tools", server.as_str()),
            Self::Ask { says, result } => {
                Object::new().with("ask", says.as_str()).with_some("result", result.as_deref())
            }
        };
        text_of(order)
    }

    fn read(text: &str) -> Option<Self> {
        let order = object_of(text)?;
        let word = |name: &str| order.text(name).map(str::to_owned);
        if let Some(server) = word("tools") {
            return Some(Self::Tools { server });
        }
        if let Some(says) = word("ask") {
            return Some(Self::Ask { says, result: word("result") });
        }
        let arguments = order.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
        Some(Self::Call { server: word("of")?, tool: word("call")?, arguments })
    }
}

// === impl Done ===

impl Done {
    /// What an agent wrote, if it is that.
    pub fn read(text: &str) -> Option<Self> {
        object_of(text).map(Self)
    }

    /// What its model is given as the result.
    pub fn text(&self) -> &str {
        self.0.text("text").unwrap_or_default()
    }

    /// Whether the call failed or was refused.
    pub fn is_error(&self) -> bool {
        self.0.get("is_error").and_then(Value::as_bool).unwrap_or(true)
    }

    /// The names of the tools that it was shown.
    pub fn tools(&self) -> usize {
        self.0.get("tools").and_then(Value::as_array).map_or(0, <[Value]>::len)
    }

    /// How often its model answered.
    pub fn answers(&self) -> u64 {
        self.0.get("answers").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Why its model did not answer any more, in a word for programs.
    pub fn refusal(&self) -> Option<&str> {
        self.0.text("refusal")
    }
}

/// What `--as-agent` does: reads an order on standard input and carries it out.
pub async fn play() -> Result<(), Failure> {
    let text = read_text("-", "the order")?;
    let order = Order::read(&text).ok_or_else(|| Failure::usage("the order is none"))?;
    let done = act(&order, &Way::of_a_sandbox()).await;
    let done = done.map_err(|error| Failure::no(error.to_string()))?;
    println!("{}", text_of(done.0));
    Ok(())
}

/// Carries an order out.
pub async fn act(order: &Order, way: &Way) -> Result<Done, MessageError> {
    let done = match order {
        Order::Call { server, tool, arguments } => call(way, server, tool, arguments.clone()).await?,
        Order::Tools { server } => {
            let answer = request(way, server, "tools/list", None, Object::new()).await?;
            let tools = answer.get("result").and_then(|result| result.get("tools")).and_then(Value::as_array);
            Object::new().with("tools", tools.unwrap_or_default().to_vec())
        }
        Order::Ask { says, result } => ask(way, says, result.as_deref()).await?,
    };
    Ok(Done(done))
}

async fn call(way: &Way, server: &str, tool: &str, arguments: Object) -> Result<Object, MessageError> {
    let parameters = Object::new().with("name", tool).with("arguments", arguments);
    let answer = request(way, server, "tools/call", Some(tool), parameters).await?;
    let result = answer.get("result");
    let blocks =
        result.and_then(|result| result.get("content")).and_then(Value::as_array).unwrap_or_default();
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect();
    let is_error = result.and_then(|result| result.get("isError")).and_then(Value::as_bool).unwrap_or(true);
    Ok(Object::new().with("text", texts.join(" ")).with("is_error", is_error))
}

async fn ask(way: &Way, says: &str, result: Option<&str>) -> Result<Object, MessageError> {
    let mut chat = Chat::new(way, says);
    for answers in 0..ANSWERS_MAX {
        let said = chat.ask().await?;
        if let Some(refusal) = said.refusal() {
            return Ok(Object::new()
                .with("answers", answers)
                .with("refusal", refusal)
                .with("text", said.text()));
        }
        if let Some(result) = result {
            chat.tool(&said, result);
        }
    }
    Ok(Object::new().with("answers", ANSWERS_MAX).with("text", "nothing stopped it"))
}

async fn request(
    way: &Way,
    server: &str,
    method: &str,
    name: Option<&str>,
    parameters: Object,
) -> Result<Object, MessageError> {
    let meta = Object::new()
        .with("io.modelcontextprotocol/protocolVersion", REVISION)
        .with(
            "io.modelcontextprotocol/clientInfo",
            Object::new().with("name", "demo-agent").with("version", "1"),
        )
        .with("io.modelcontextprotocol/clientCapabilities", Object::new());
    let message = Object::new()
        .with("jsonrpc", "2.0")
        .with("id", 1_u64)
        .with("method", method)
        .with("params", parameters.with("_meta", meta));
    let mut headers = vec![
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", REVISION),
        ("mcp-method", method),
    ];
    headers.extend(name.map(|name| ("mcp-name", name)));
    post(way, &format!("/mcp/{server}"), &headers, &message).await
}

fn text_of(object: Object) -> String {
    String::from_utf8(Value::from(object).to_bytes()).unwrap_or_default()
}

fn object_of(text: &str) -> Option<Object> {
    parse(text.trim().as_bytes(), &Limits::default()).ok()?.into_object()
}
