//! A request, as far as whoever makes up an answer to it has to look at it. Nothing is judged here: what makes no sense
//! is left out.

use std::collections::HashMap;

use ringfence_json::{Object, Value};

use crate::Api;

/// What a request says.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// The model that is asked, in the provider's words.
    pub model: String,
    /// What the system or the developer says.
    pub system: String,
    /// The last message of the user that has a text.
    pub user: String,
    /// Which answer of the conversation this is to be, from 1: calling a tool is one, what follows its result another.
    pub turn: u64,
    /// What tools brought since the last answer.
    pub results: Vec<Brought>,
    /// The names of the tools that the model is given.
    pub tools: Vec<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether streamed Chat Completions are to tell what was used.
    pub tell_usage: bool,
    /// Tokens that the answer may have at most.
    pub limit: Option<u64>,
    /// How many answers.
    pub answers: u64,
    /// Texts to embed; of a list of tokens, the list as a text.
    pub inputs: Vec<String>,
    /// Numbers that a vector is to have.
    pub dimensions: Option<u64>,
    /// Whether vectors are to be written in base64.
    pub base64: bool,
}

/// What a tool brought.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Brought {
    /// The tool; empty where the request does not say.
    pub tool: String,
    /// What it said.
    pub text: String,
}

// === impl Heard ===

impl Heard {
    /// Reads a request.
    pub fn read(api: Api, request: &Object) -> Self {
        let flag = |name: &str| request.get(name).and_then(Value::as_bool).unwrap_or(false);
        let number = |name: &str| request.get(name).and_then(Value::as_u64);
        let options = request.get("stream_options");
        let mut heard = Self {
            model: request.text("model").unwrap_or_default().to_owned(),
            stream: flag("stream"),
            tell_usage: options.and_then(|options| options.get("include_usage")).and_then(Value::as_bool)
                == Some(true),
            limit: ["max_completion_tokens", "max_output_tokens", "max_tokens"].into_iter().find_map(number),
            answers: number("n").unwrap_or(1).max(1),
            tools: objects(request, "tools").filter_map(tool_name).map(str::to_owned).collect(),
            dimensions: number("dimensions"),
            base64: request.text("encoding_format") == Some("base64"),
            ..Self::default()
        };
        let mut talk = Talk { heard: &mut heard, calls: HashMap::new(), answering: false };
        match api {
            Api::Chat => talk.chat(request),
            Api::Responses => talk.responses(request),
            Api::Messages | Api::CountTokens => talk.messages(request),
            Api::Embeddings => talk.heard.inputs = inputs(request.get("input")),
        }
        heard.turn += 1;
        heard
    }
}

/// Never what is said.
impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Heard(turn {}, {} results)", self.turn, self.results.len())
    }
}

impl std::fmt::Debug for Brought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Brought({} bytes)", self.text.len())
    }
}

/// Goes through a conversation.
struct Talk<'h, 'r> {
    heard: &'h mut Heard,
    /// The tools that were called, by the id of the call.
    calls: HashMap<&'r str, &'r str>,
    /// What came last was the model's.
    answering: bool,
}

// === impl Talk ===

impl<'r> Talk<'_, 'r> {
    fn chat(&mut self, request: &'r Object) {
        for message in objects(request, "messages") {
            let text = text_of(message.get("content"));
            match message.text("role").unwrap_or_default() {
                "system" | "developer" => self.system(&text),
                "assistant" => {
                    self.answer();
                    for call in objects(message, "tool_calls") {
                        let function = call.get("function").or_else(|| call.get("custom"));
                        let name = function.and_then(|function| function.get("name")).and_then(Value::as_str);
                        self.call(call.text("id"), name);
                    }
                }
                "tool" => self.result(message.text("tool_call_id"), text),
                _ => self.user(&text),
            }
        }
    }

    fn responses(&mut self, request: &'r Object) {
        self.system(request.text("instructions").unwrap_or_default());
        if let Some(text) = request.text("input") {
            self.user(text);
        }
        for item in objects(request, "input") {
            match (item.text("type").unwrap_or("message"), item.text("role")) {
                ("function_call" | "custom_tool_call", _) => {
                    self.answer();
                    self.call(item.text("call_id"), item.text("name"));
                }
                ("function_call_output" | "custom_tool_call_output", _) => {
                    self.result(item.text("call_id"), text_of(item.get("output")));
                }
                ("message", Some("system" | "developer")) => self.system(&text_of(item.get("content"))),
                ("message", Some("user")) => self.user(&text_of(item.get("content"))),
                _ => self.answer(),
            }
        }
    }

    fn messages(&mut self, request: &'r Object) {
        self.system(&text_of(request.get("system")));
        for message in objects(request, "messages") {
            if message.text("role") == Some("assistant") {
                self.answer();
                for block in
                    objects(message, "content").filter(|block| block.text("type") == Some("tool_use"))
                {
                    self.call(block.text("id"), block.text("name"));
                }
                continue;
            }
            for block in objects(message, "content") {
                if block.text("type") == Some("tool_result") {
                    self.result(block.text("tool_use_id"), text_of(block.get("content")));
                }
            }
            self.user(&text_of(message.get("content")));
        }
    }

    fn system(&mut self, text: &str) {
        if !self.heard.system.is_empty() && !text.is_empty() {
            self.heard.system.push('\n');
        }
        self.heard.system.push_str(text);
    }

    fn user(&mut self, text: &str) {
        self.answering = false;
        if !text.is_empty() {
            text.clone_into(&mut self.heard.user);
        }
    }

    /// Something of the model's: what comes without anything between is one answer.
    fn answer(&mut self) {
        if !self.answering {
            self.heard.turn += 1;
            self.heard.results.clear();
        }
        self.answering = true;
    }

    fn call(&mut self, id: Option<&'r str>, tool: Option<&'r str>) {
        if let (Some(id), Some(tool)) = (id, tool) {
            self.calls.insert(id, tool);
        }
    }

    fn result(&mut self, id: Option<&str>, text: String) {
        self.answering = false;
        let tool = id.and_then(|id| self.calls.get(id)).copied().unwrap_or_default().to_owned();
        self.heard.results.push(Brought { tool, text });
    }
}

/// A text, or the texts of a list of parts.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.to_string(),
        Some(Value::Array(parts)) => {
            let text = |part: &Value| match part.get("type").and_then(Value::as_str) {
                Some("tool_result") => None,
                _ => part.get("text").and_then(Value::as_str).map(str::to_owned),
            };
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn tool_name(tool: &Object) -> Option<&str> {
    let nested = || tool.get("function").or_else(|| tool.get("custom")).and_then(|one| one.get("name"));
    tool.text("name").or_else(|| nested().and_then(Value::as_str))
}

/// One text, a list of texts, one list of tokens, or a list of those.
fn inputs(input: Option<&Value>) -> Vec<String> {
    let as_text = |value: &Value| match value {
        Value::String(text) => text.to_string(),
        other => String::from_utf8_lossy(&other.to_bytes()).into_owned(),
    };
    match input {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) if !all.iter().all(|one| one.as_number().is_some()) => {
            all.iter().map(as_text).collect()
        }
        Some(one) => vec![as_text(one)],
    }
}

/// The objects in an array.
fn objects<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a Object> {
    let array = object.get(name).and_then(Value::as_array).unwrap_or_default();
    array.iter().filter_map(Value::as_object)
}
