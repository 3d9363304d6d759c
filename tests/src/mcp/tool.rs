//! What came of a tool call.

use serde_json::Value;

/// The key under which Ringfence tells a program what it decided.
const DECISION: &str = "dev.ringfence/decision";

/// The result of `tools/call`.
#[derive(Debug, Clone)]
pub struct ToolAnswer {
    /// The result as it came.
    pub result: Value,
}

impl ToolAnswer {
    /// All text blocks, joined by line ends.
    pub fn text(&self) -> String {
        let blocks = self.result["content"].as_array();
        let blocks = blocks.unwrap_or_else(|| panic!("no content in {}", self.result));
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        texts.join("\n")
    }

    /// Whether the tool, or the gate before it, says that it failed.
    pub fn is_error(&self) -> bool {
        self.result["isError"].as_bool().unwrap_or(false)
    }

    /// What Ringfence decided, for programs; null if the call simply went through.
    pub fn decision(&self) -> &Value {
        &self.result["_meta"][DECISION]
    }

    /// The code of a refusal; empty if there was none.
    pub fn code(&self) -> &str {
        self.decision()["code"].as_str().unwrap_or_default()
    }

    /// Expects the call to have been refused with a code, in words for the model and in fields for programs.
    #[track_caller]
    pub fn expect_refused(&self, code: &str) -> &Self {
        assert!(self.is_error(), "not refused: {}", self.result);
        assert_eq!(self.code(), code, "{}", self.result);
        assert!(!self.text().trim().is_empty(), "refused without a word: {}", self.result);
        self
    }

    /// Expects the call to have reached the tool and succeeded.
    #[track_caller]
    pub fn expect_done(&self) -> &Self {
        assert!(!self.is_error(), "not done: {}", self.result);
        self
    }
}
