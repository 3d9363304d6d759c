//! Uses of tools that the provider hosts.

use ringfence_json::Object;
use smol_str::SmolStr;

use super::output::{object, objects};
use super::stated::Counts;

/// Tools and how often they were used.
pub(super) type Uses = Vec<(SmolStr, u64)>;

/// Kinds of tools that are kept apart; there are about ten.
const KINDS_MAX: usize = 64;

/// What a usage of Anthropic's says: `server_tool_use: {web_search_requests: 2}`. Also, whether it can be so.
pub(super) fn anthropic(usage: &Object) -> (Uses, bool) {
    let Some(stated) = object(usage, "server_tool_use") else { return (Uses::new(), true) };
    let mut counts = Counts::of(stated);
    let mut uses = Uses::new();
    for name in stated.iter().map(|(name, _)| name).take(KINDS_MAX) {
        let tool = name.strip_suffix("_requests").unwrap_or(name);
        uses.extend(counts.get(&[name]).filter(|times| *times > 0).map(|times| (tool.into(), times)));
    }
    (uses, !counts.doubtful)
}

/// What a whole response of OpenAI's says: its items, and `tool_usage`, which counts the searches that cost something.
pub(super) fn openai(response: &Object) -> (Uses, bool) {
    let mut uses = Uses::new();
    objects(response, "output").filter_map(of_item).for_each(|tool| add(&mut uses, tool));
    let search = object(response, "tool_usage").and_then(|usage| object(usage, "web_search"));
    let Some(mut counts) = search.map(Counts::of) else { return (uses, true) };
    if let Some(searches) = counts.get(&["num_requests"]) {
        uses.retain(|(tool, _)| tool != "web_search");
        if searches > 0 {
            uses.push(("web_search".into(), searches));
        }
    }
    (uses, !counts.doubtful)
}

/// The hosted tool that an output item of the Responses API is a use of.
pub(super) fn of_item(item: &Object) -> Option<&'static str> {
    let action = || object(item, "action").and_then(|action| action.text("type"));
    Some(match item.text("type")? {
        // To open a page that was found costs nothing.
        "web_search_call" if matches!(action(), None | Some("search")) => "web_search",
        "file_search_call" => "file_search",
        "code_interpreter_call" => "code_interpreter",
        "image_generation_call" => "image_generation",
        "mcp_call" => "mcp",
        _ => return None,
    })
}

/// One use more.
pub(super) fn add(uses: &mut Uses, tool: &str) {
    match uses.iter_mut().find(|(known, _)| known == tool) {
        Some((_, times)) => *times = times.saturating_add(1),
        None => uses.push((tool.into(), 1)),
    }
}

/// The larger number of each tool.
pub(super) fn merge(uses: &mut Uses, other: Uses) {
    for (tool, times) in other {
        if let Some((_, known)) = uses.iter_mut().find(|(known, _)| *known == tool) {
            *known = times.max(*known);
        } else if uses.len() < KINDS_MAX {
            uses.push((tool, times));
        }
    }
}
