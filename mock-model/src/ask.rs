//! As much of a request as an answer needs.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::behaviour::{MARK, directives};
use crate::wire::Api;

/// Bytes of content to a token of input: fewer tokens than any real tokenizer would count, so that no careful
/// estimate is ever exceeded by an honest answer.
const BYTES_TO_A_TOKEN: usize = 6;

/// A request.
#[derive(Debug, Deserialize)]
pub struct Ask<'a> {
    #[serde(borrow, default)]
    pub model: Cow<'a, str>,
    #[serde(default)]
    pub stream: Option<bool>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    pub n: Option<u32>,
    stream_options: Option<StreamOptions>,
    #[serde(borrow)]
    messages: Option<Vec<Turn<'a>>>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    pub dimensions: Option<u32>,
    #[serde(borrow)]
    pub encoding_format: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// A message, or an item of the Responses API.
#[derive(Debug, Deserialize)]
struct Turn<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

/// What the conversation says to this server.
pub struct Told {
    /// Directives of the latest user message that has any.
    pub directives: Option<String>,
    /// Whether a tool has answered since the latest message of the user.
    pub tool_answered: bool,
    /// Tokens of input.
    pub input: u32,
}

// === impl Ask ===

impl Ask<'_> {
    /// The limit on output, in tokens.
    pub fn most(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_output_tokens).or(self.max_tokens)
    }

    /// Whether usage is to be told at the end of a stream.
    pub fn include_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// Reads the conversation.
    pub fn told(&self, api: Api) -> Told {
        let items = if api == Api::Responses { self.items() } else { None };
        let turns = items.as_deref().or(self.messages.as_deref()).unwrap_or_default();
        let mut told = Told { directives: None, tool_answered: false, input: 0 };
        let mut user_spoke = false;
        for turn in turns.iter().rev() {
            let user = turn.role == "user" && !turn.is_only_results();
            told.tool_answered |= !user_spoke && turn.is_result();
            user_spoke |= user;
            if let (true, None, Some(content)) = (user, &told.directives, turn.content) {
                told.directives = directives(content.get()).map(str::to_owned);
            }
        }
        if told.directives.is_none() && items.is_none() {
            told.directives = self.input.and_then(|input| directives(input.get())).map(str::to_owned);
        }
        told.input = self.input_tokens(turns, items.is_none());
        told
    }

    /// The input of the Responses API, where it is a list.
    fn items(&self) -> Option<Vec<Turn<'_>>> {
        let text = self.input?.get();
        if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
    }

    fn input_tokens(&self, turns: &[Turn], with_input: bool) -> u32 {
        let length = |value: Option<&RawValue>| value.map_or(0, |value| value.get().len());
        let turns: usize = turns.iter().map(|turn| length(turn.content) + length(turn.output)).sum();
        let input = if with_input { length(self.input) } else { 0 };
        let beside = length(self.system) + length(self.instructions) + length(self.tools);
        u32::try_from((turns + input + beside) / BYTES_TO_A_TOKEN + 1).unwrap_or(u32::MAX)
    }
}

// === impl Turn ===

impl Turn<'_> {
    /// What a tool answered.
    fn is_result(&self) -> bool {
        self.role == "tool"
            || self.kind == "function_call_output"
            || self.content.is_some_and(|content| content.get().contains("\"tool_result\""))
    }

    /// A message of the user in which only tools speak.
    fn is_only_results(&self) -> bool {
        let content = self.content.map_or("", RawValue::get);
        content.contains("\"tool_result\"") && !content.contains(MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::Ask;
    use crate::wire::Api;

    #[test]
    fn the_latest_user_message_with_directives_counts_and_results_after_it_are_seen() {
        let text = r#"{"model":"m","messages":[{"role":"user","content":"mock:tokens=1"},{"role":"user","content":"mock:tokens=2"},{"role":"assistant","content":null},{"role":"tool","content":"mock:tokens=3"}]}"#;
        let ask: Ask = serde_json::from_str(text).unwrap();
        let told = ask.told(Api::Chat);
        assert_eq!(told.directives.as_deref(), Some("tokens=2"));
        assert!(told.tool_answered);
    }

    #[test]
    fn results_before_the_latest_user_message_are_history() {
        let text = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":"x"}]},{"role":"user","content":[{"type":"text","text":"mock:tokens=2"}]}]}"#;
        let ask: Ask = serde_json::from_str(text).unwrap();
        let told = ask.told(Api::Messages);
        assert_eq!(told.directives.as_deref(), Some("tokens=2"));
        assert!(!told.tool_answered);
    }

    #[test]
    fn the_input_of_the_responses_api_is_a_text_or_a_list() {
        let ask: Ask = serde_json::from_str(r#"{"model":"m","input":"mock:tokens=2"}"#).unwrap();
        assert_eq!(ask.told(Api::Responses).directives.as_deref(), Some("tokens=2"));
        let text = r#"{"model":"m","input":[{"role":"user","content":"mock:tokens=2"},{"type":"function_call_output","call_id":"c","output":"x"}]}"#;
        let ask: Ask = serde_json::from_str(text).unwrap();
        let told = ask.told(Api::Responses);
        assert_eq!((told.directives.as_deref(), told.tool_answered), (Some("tokens=2"), true));
    }
}
