//! The paths under which agents find models.

use ringfence_llm::{Api, Family};

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    /// A call of a model.
    Call(Api),
    /// The models that there are.
    Models,
    /// One of them.
    Model(&'a str),
}

/// Where paths of the APIs begin for a client whose base URL lacks something.
const NEARLY: [&str; 6] = ["/v1", "/chat", "/responses", "/embeddings", "/models", "/messages"];

/// Whose API a path belongs to, or was meant to; `None` for one that is no model's.
pub(crate) fn family_of(path: &str) -> Option<Family> {
    let is_under =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_under("/openai") {
        Some(Family::OpenAi)
    } else if ["/anthropic", "/messages", "/v1/messages"].into_iter().any(is_under) {
        Some(Family::Anthropic)
    } else if NEARLY.into_iter().any(is_under) {
        Some(Family::OpenAi)
    } else {
        None
    }
}

/// What is said of a path under which there is nothing: the base URLs that there are. `host`: as the client called it.
pub(crate) fn nothing_here(host: Option<&str>) -> String {
    let base = host
        .filter(|host| host.len() <= HOST_BYTES_MAX)
        .map_or_else(String::new, |host| format!("http://{host}"));
    format!(
        "there is nothing under this path; the base URL is {base}/openai/v1 for OpenAI's clients and {base}/anthropic for \
         Anthropic's"
    )
}

/// Bytes of a host that is repeated.
const HOST_BYTES_MAX: usize = 255;

// === impl Endpoint ===

impl<'a> Endpoint<'a> {
    /// The endpoint of a path of that family; `None` when there is none.
    pub(crate) fn of_path(family: Family, path: &'a str) -> Option<Self> {
        let rest = match family {
            Family::OpenAi => path.strip_prefix("/openai/v1")?,
            Family::Anthropic => path.strip_prefix("/anthropic/v1")?,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest == "/models" {
            return Some(Self::Models);
        }
        if let Some(model) = rest.strip_prefix("/models/") {
            return Some(Self::Model(model));
        }
        let is_it = |api: &Api| {
            let path = api.path();
            api.family() == family && path.strip_prefix("/v1").unwrap_or(path) == rest
        };
        Api::ALL.into_iter().find(is_it).map(Self::Call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_paths_lead_anywhere() {
        let (openai, anthropic) = (Some(Family::OpenAi), Some(Family::Anthropic));
        for (path, family, endpoint) in [
            ("/openai/v1/chat/completions", openai, Some(Endpoint::Call(Api::Chat))),
            ("/openai/v1/responses/", openai, Some(Endpoint::Call(Api::Responses))),
            ("/openai/v1/embeddings", openai, Some(Endpoint::Call(Api::Embeddings))),
            ("/openai/v1/models", openai, Some(Endpoint::Models)),
            ("/openai/v1/models/smart", openai, Some(Endpoint::Model("smart"))),
            ("/openai/v1/responses/resp_1", openai, None),
            ("/openai/v1/messages", openai, None),
            ("/openai/v2/chat/completions", openai, None),
            ("/openai", openai, None),
            ("/anthropic/v1/messages", anthropic, Some(Endpoint::Call(Api::Messages))),
            ("/anthropic/v1/messages/count_tokens", anthropic, Some(Endpoint::Call(Api::CountTokens))),
            ("/anthropic/v1/messages/batches", anthropic, None),
            ("/anthropic/v1/models", anthropic, Some(Endpoint::Models)),
            ("/openaix/v1/models", None, None),
            ("/v1/models", openai, None),
            ("/v1/messages", anthropic, None),
            ("/chat/completions", openai, None),
            ("/v1x", None, None),
            ("/mcp", None, None),
        ] {
            assert_eq!(family_of(path), family, "{path}");
            let found = family.and_then(|family| Endpoint::of_path(family, path));
            assert_eq!(found, endpoint, "{path}");
        }
    }
}
