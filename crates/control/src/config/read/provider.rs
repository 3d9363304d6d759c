//! Who serves a model, and where.

use std::path::PathBuf;

use ringfence_document::{Fields, Node, Report, nearest};
use ringfence_prices::Vendor;

use super::super::{EndpointConfig, ModelApi, ProviderConfig, ServerUrl};
use super::Origin;
use super::endpoint::{Carried, url, warn_exposed};

/// The words for those who can serve a model.
const PROVIDERS: [&str; 4] = ["openai", "anthropic", "scripted", "replay"];

/// What to do about a provider that has no word of its own.
const OTHER_PROVIDER: &str = "one of openai, anthropic, scripted, replay; whatever speaks the API of one of the first two \
     (vLLM, Ollama, Azure, a gateway) is `provider: openai` or `provider: anthropic` with its `base_url`";

/// Headers of the APIs, which the node sets itself.
const RESERVED_HEADERS: &[&str] = &["accept-encoding"];

/// The keys that say where a provider is.
struct Written<'n> {
    base_url: Option<&'n Node>,
    key: Option<&'n Node>,
    headers: Option<&'n Node>,
    api: Option<&'n Node>,
    script: Option<&'n Node>,
    recording: Option<&'n Node>,
    record: Option<&'n Node>,
}

/// Who serves it, and everything about where.
pub(super) fn read<'n>(
    provider: &'n Node,
    base_url: Option<&'n Node>,
    fields: &mut Fields<'n>,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<ProviderConfig> {
    let written = Written {
        base_url,
        key: fields.get("key"),
        headers: fields.get("headers"),
        api: fields.get("api"),
        script: fields.get("script"),
        recording: fields.get("recording"),
        record: fields.get("record"),
    };
    let word = provider.text("`provider`", report)?;
    match word.as_str() {
        "openai" => {
            written.only_endpoint("openai", report);
            written.endpoint(ModelApi::OpenAi, origin, report).map(ProviderConfig::OpenAi)
        }
        "anthropic" => {
            written.only_endpoint("anthropic", report);
            written.endpoint(ModelApi::Anthropic, origin, report).map(ProviderConfig::Anthropic)
        }
        "scripted" => written.scripted(provider, origin, report),
        "replay" => written.replay(provider, origin, report),
        other => {
            let message = format!("`provider` cannot be `{}`", crate::shown::line(other));
            match nearest(other, PROVIDERS) {
                Some(_) => report.unknown(provider.place, message, other, &PROVIDERS),
                None => report.error_with_hint(provider.place, message, OTHER_PROVIDER),
            }
            None
        }
    }
}

// === impl Written ===

impl Written<'_> {
    fn only_endpoint(&self, provider: &str, report: &mut Report) {
        let alien = [("api", self.api), ("script", self.script), ("recording", self.recording)];
        not_with(provider, alien, report);
        not_with(provider, [("record", self.record)], report);
    }

    fn scripted(&self, provider: &Node, origin: Origin<'_>, report: &mut Report) -> Option<ProviderConfig> {
        let alien = [("base_url", self.base_url), ("key", self.key), ("headers", self.headers)];
        not_with("scripted", alien, report);
        not_with(
            "scripted",
            [("api", self.api), ("recording", self.recording), ("record", self.record)],
            report,
        );
        let script = file("script", self.script, provider, origin, report)?;
        Some(ProviderConfig::Scripted { script })
    }

    fn replay(&self, provider: &Node, origin: Origin<'_>, report: &mut Report) -> Option<ProviderConfig> {
        not_with("replay", [("script", self.script)], report);
        let api = self
            .api
            .map_or(Some(ModelApi::OpenAi), |node| node.word("`api`", &["openai", "anthropic"], report));
        let is_recorded = self.record.and_then(|node| node.boolean("`record`", report)).unwrap_or(false);
        let recording = file("recording", self.recording, provider, origin, report);
        let record = if is_recorded {
            Some(self.endpoint(api?, origin, report)?)
        } else {
            for (name, node) in [("base_url", self.base_url), ("key", self.key), ("headers", self.headers)] {
                if let Some(node) = node {
                    report.error(node.place, format!("`{name}` of a replay goes with `record: true` only"));
                }
            }
            None
        };
        Some(ProviderConfig::Replay { recording: recording?, api: api?, record })
    }

    fn endpoint(&self, api: ModelApi, origin: Origin<'_>, report: &mut Report) -> Option<EndpointConfig> {
        let base_url = match self.base_url {
            Some(node) => url(node, "`base_url`", report),
            None => ServerUrl::parse(api.base_url()).ok(),
        };
        let of_key: &'static [&'static str] = match api {
            ModelApi::OpenAi => &["authorization"],
            ModelApi::Anthropic => &["authorization", "x-api-key"],
        };
        let asked = Carried { headers: self.headers, key: self.key, reserved: RESERVED_HEADERS, of_key };
        let (headers, key) = asked.read(origin, report);
        if let Some(node) = self.base_url {
            warn_exposed(node, base_url.as_ref(), key.is_some() || !headers.is_empty(), report);
        }
        Some(EndpointConfig { base_url: base_url?, headers, key })
    }
}

fn not_with<const N: usize>(provider: &str, alien: [(&str, Option<&Node>); N], report: &mut Report) {
    for (name, node) in alien {
        if let Some(node) = node {
            report.error(node.place, format!("`{name}` does not go with `provider: {provider}`"));
        }
    }
}

fn file(
    name: &str,
    node: Option<&Node>,
    provider: &Node,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<PathBuf> {
    let Some(node) = node else {
        report.error(provider.place, format!("this provider needs `{name}`, the name of a file"));
        return None;
    };
    let path = node.text(&format!("`{name}`"), report)?;
    Some(origin.folder.join(path.as_str()))
}

// === impl ModelApi ===

impl ModelApi {
    /// Where its maker serves it.
    fn base_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com",
        }
    }
}

impl std::str::FromStr for ModelApi {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "openai" => Ok(Self::OpenAi),
            "anthropic" => Ok(Self::Anthropic),
            _ => Err(()),
        }
    }
}

// === impl ProviderConfig ===

impl ProviderConfig {
    /// Whose prices hold there; `None` where answers come from a file.
    pub(super) fn vendor(&self) -> Option<Vendor> {
        let by_host = |endpoint: &EndpointConfig| endpoint.base_url.uri().host().and_then(Vendor::of_host);
        match self {
            Self::OpenAi(endpoint) => Some(by_host(endpoint).unwrap_or(Vendor::OpenAi)),
            Self::Anthropic(endpoint) => Some(by_host(endpoint).unwrap_or(Vendor::Anthropic)),
            Self::Scripted { .. } | Self::Replay { .. } => None,
        }
    }
}
