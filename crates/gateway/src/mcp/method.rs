//! What a method is to the gate: an action, a list, part of the handshake, or nothing that passes.

use super::era::Era;

/// The kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `tools/call`
    Tool,
    /// `resources/read`
    Resource,
    /// `prompts/get`
    Prompt,
    /// Another action: it reaches the server with something of the agent's in it.
    Other(&'static str),
    /// A list, which is filtered.
    List(&'static List),
    /// The legacy handshake.
    Initialize,
    /// Its modern counterpart.
    Discover,
    /// The modern stream of changes.
    Listen,
    /// `logging/setLevel`: a word from a short list, which changes nothing but what is told.
    LogLevel,
    /// No effect at all.
    Ping,
}

/// A list of what a server has.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// The method.
    pub method: &'static str,
    /// The member of the result that holds the elements.
    pub member: &'static str,
    /// The action that an agent has to hold to see the elements; for tools each stands for itself.
    pub action: Option<&'static str>,
}

/// `tools/list`
pub static TOOLS: List = List { method: "tools/list", member: "tools", action: None };
/// `prompts/list`
pub static PROMPTS: List = List { method: "prompts/list", member: "prompts", action: Some("prompts/get") };
/// `resources/list`
pub static RESOURCES: List =
    List { method: "resources/list", member: "resources", action: Some("resources/read") };
/// `resources/templates/list`
pub static TEMPLATES: List =
    List { method: "resources/templates/list", member: "resourceTemplates", action: Some("resources/read") };

/// What a request with this method is. `None` when nothing of that name passes: unknown is refused.
pub fn kind(era: Era, method: &str) -> Option<Kind> {
    Some(match (method, era) {
        ("tools/call", _) => Kind::Tool,
        ("resources/read", _) => Kind::Resource,
        ("prompts/get", _) => Kind::Prompt,
        ("completion/complete", _) => Kind::Other("completion/complete"),
        ("tools/list", _) => Kind::List(&TOOLS),
        ("prompts/list", _) => Kind::List(&PROMPTS),
        ("resources/list", _) => Kind::List(&RESOURCES),
        ("resources/templates/list", _) => Kind::List(&TEMPLATES),
        ("initialize", Era::Legacy) => Kind::Initialize,
        ("ping", Era::Legacy) => Kind::Ping,
        ("resources/subscribe", Era::Legacy) => Kind::Other("resources/subscribe"),
        ("resources/unsubscribe", Era::Legacy) => Kind::Other("resources/unsubscribe"),
        ("logging/setLevel", Era::Legacy) => Kind::LogLevel,
        ("server/discover", Era::Modern) => Kind::Discover,
        ("subscriptions/listen", Era::Modern) => Kind::Listen,
        _ => return None,
    })
}

/// Whether a legacy server may ask this of a client.
pub fn is_question(method: &str) -> bool {
    matches!(method, "elicitation/create" | "sampling/createMessage" | "roots/list")
}

/// Whether a notification of an upstream says that one of its lists changed.
pub fn is_list_change(method: &str) -> bool {
    matches!(
        method,
        "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
    )
}
