//! Why a model stopped, in either API's word.

/// Anthropic's `stop_reason` as OpenAI's `finish_reason`; `None` for a word that is not known.
///
/// A turn that is paused and a context that is full both leave an answer that could go on, which in Chat is `length`.
pub(super) fn finish_reason(stop_reason: &str) -> Option<&'static str> {
    Some(match stop_reason {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" | "pause_turn" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => return None,
    })
}

/// OpenAI's `finish_reason` as Anthropic's `stop_reason`; `None` for a word that is not known.
///
/// With a tool the client forced, OpenAI says `stop` although there are calls: clients of Anthropic act on `tool_use`. Which
/// stop sequence was met is not told in Chat, so that is `end_turn`.
pub(super) fn stop_reason(finish_reason: &str, calls: bool, refused: bool) -> Option<&'static str> {
    Some(match finish_reason {
        "stop" | "tool_calls" if calls => "tool_use",
        "stop" | "tool_calls" if refused => "refusal",
        "stop" | "tool_calls" => "end_turn",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        _ => return None,
    })
}
