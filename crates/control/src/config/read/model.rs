//! `models:` of a workspace.

use std::time::Duration;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_prices::Tokenizer;
use ringfence_types::{ModelName, parse_duration};

use super::super::{ModelConfig, ProviderConfig, ResponseCacheConfig, ServedConfig};
use super::endpoint::{BREAKER_DEFAULT, breaker};
use super::price::{self, Wanted};
use super::route::{self, Names};
use super::value::{duration, duration_within, key_name, word};
use super::{Origin, provider};

/// Tokens that an answer may have unless something else is written.
const MAX_OUTPUT_DEFAULT: u64 = 8192;

/// The least that a request's limit is lowered to unless something else is written.
const FLOOR_DEFAULT: u64 = 256;

/// The most tokens that can be written where a count of them is asked for.
const TOKENS_MAX: u64 = 1_000_000_000;

/// How long a call, and its first token, may take unless something else is written.
const TIMEOUT_DEFAULT: Duration = Duration::from_mins(10);
const FIRST_TOKEN_DEFAULT: Duration = Duration::from_mins(1);

/// The longest a call may be given, in seconds.
const TIMEOUT_MAX_SECONDS: u64 = 86_400;

/// Calls at once unless something else is written, and at most.
const CONCURRENT_DEFAULT: u32 = 64;
const CONCURRENT_MAX: u64 = 100_000;

/// How often a call is tried again unless something else is written, and at most.
const RETRIES_DEFAULT: u32 = 2;
const RETRIES_MAX: u64 = 10;

/// Keys of a model that somebody serves.
const SERVED_KEYS: [&str; 23] = [
    "model",
    "base_url",
    "key",
    "headers",
    "api",
    "script",
    "recording",
    "record",
    "price",
    "pass_unknown",
    "max_output",
    "floor",
    "context",
    "image_tokens",
    "tokenizer",
    "timeout",
    "first_token",
    "concurrent",
    "retries",
    "failover",
    "breaker",
    "cache",
    "credential",
];

/// What is written elsewhere for some of them.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("url", "base_url"),
    ("api_base", "base_url"),
    ("endpoint", "base_url"),
    ("api_key", "key"),
    ("apikey", "key"),
    ("bearer", "key"),
    ("max_tokens", "max_output"),
    ("fallback", "failover"),
    ("fallbacks", "failover"),
];

/// Reads every model.
pub(super) fn read_all(node: &Node, origin: Origin<'_>, report: &mut Report) -> Vec<ModelConfig> {
    let Some(members) = node.as_mapping() else {
        if !node.is_null() {
            report.error(node.place, format!("`models` must be a mapping, not {}", node.kind()));
        }
        return Vec::new();
    };
    let all: Vec<&str> = members.iter().map(|(key, _)| key.text.as_str()).collect();
    let is_served =
        |(_, value): &&(Key, Node)| value.get("provider").is_some() || value.get("route").is_none();
    let served: Vec<&str> = members.iter().filter(is_served).map(|(key, _)| key.text.as_str()).collect();
    let names = Names { all: &all, served: &served, members };
    let models: Vec<ModelConfig> =
        members.iter().filter_map(|(key, value)| model(key, value, names, origin, report)).collect();
    route::refuse_circles(&models, report);
    models
}

fn model(
    key: &Key,
    node: &Node,
    names: Names<'_>,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<ModelConfig> {
    let name = key_name(key, "a model", ModelName::new, report);
    let mut fields = Fields::shaped(node, "a model", "{ provider: openai, key: \"env:NAME\" }", report)?;
    fields.other_names(OTHER_NAMES);
    let provider = fields.get("provider");
    let route = fields.get("route").map(|node| route::rules(node, names, report));
    let served = match (provider, &route) {
        (Some(provider), _) => Some(served(provider, key, &mut fields, names, origin, report)),
        (None, Some(rules)) => {
            only_a_route(&mut fields, key, report);
            if rules.is_empty()
                && node.get("route").is_some_and(|node| node.as_sequence().is_some_and(<[_]>::is_empty))
            {
                report
                    .error(key.place, format!("the route `{}` leads nowhere", crate::shown::line(&key.text)));
            }
            None
        }
        (None, None) => {
            for key in SERVED_KEYS {
                fields.get(key);
            }
            report.error_with_hint(
                key.place,
                format!("model `{}` needs a `provider`", crate::shown::line(&key.text)),
                "one of openai, anthropic, scripted, replay; or a `route` to other models",
            );
            None
        }
    };
    fields.finish(report);
    let served = match served {
        Some(served) => Some(Box::new(served?)),
        None => None,
    };
    Some(ModelConfig { name: name?, served, route: route.unwrap_or_default(), place: key.place })
}

/// A route has nothing of its own.
fn only_a_route(fields: &mut Fields<'_>, key: &Key, report: &mut Report) {
    for name in SERVED_KEYS {
        if let Some(node) = fields.get(name) {
            let message = format!(
                "`{name}` goes with a `provider`: `{}` is only a route",
                crate::shown::line(&key.text)
            );
            report.error(node.place, message);
        }
    }
}

fn served<'n>(
    provider: &'n Node,
    key: &Key,
    fields: &mut Fields<'n>,
    names: Names<'_>,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<ServedConfig> {
    let base_url = fields.get("base_url");
    let provider = provider::read(provider, base_url, fields, origin, report);
    let answers = ["script", "recording"].into_iter().find_map(|key| fields.get(key)).map(|node| node.place);
    let written = fields.get("model");
    let model = written.map_or(Some(key.text.clone()), |node| word(node, "`model`", report));
    let own_price = fields.get("price");
    // What a price says is looked at also where nobody is known to serve the model.
    if provider.is_none()
        && let Some(node) = own_price
    {
        price::own(node, key, names.members, origin, report);
    }
    let known = provider.as_ref().zip(model.as_ref()).map(|(provider, model)| {
        let is_real = !matches!(provider, ProviderConfig::Scripted { .. } | ProviderConfig::Replay { .. });
        let wanted = Wanted {
            key,
            beside: names.members,
            written: own_price,
            model: (is_real || written.is_some()).then_some(model.as_str()),
            vendor: provider.vendor(),
            elsewhere: base_url.and_then(|node| Some((foreign_host(provider)?, node))),
        };
        wanted.known(origin, report)
    });
    let known = known.unwrap_or_default();
    let pass_unknown = fields.get("pass_unknown");
    let pass_unknown = pass_unknown.and_then(|node| node.boolean("`pass_unknown`", report)).unwrap_or(false);
    let (max_output, floor) = output(fields, known.max_output, report);
    let mut tokens = |key: &'static str| {
        let node = fields.get(key);
        node.and_then(|node| node.whole(&format!("`{key}`"), 1..=TOKENS_MAX, report))
    };
    let (context, image_tokens) = (tokens("context"), tokens("image_tokens"));
    let tokenizer = fields.get("tokenizer");
    let tokenizer = tokenizer.and_then(|node| node.word("`tokenizer`", &Tokenizer::WORDS, report));
    let (timeout, first_token) = times(fields, report);
    let concurrent = count(fields, "concurrent", 1..=CONCURRENT_MAX, CONCURRENT_DEFAULT, report);
    let retries = count(fields, "retries", 0..=RETRIES_MAX, RETRIES_DEFAULT, report);
    let failover = fields.get("failover").map(|node| route::failover(node, names, report));
    let (breaker_failures, breaker_open_for) =
        fields.get("breaker").and_then(|node| breaker(node, report)).unwrap_or(BREAKER_DEFAULT);
    let cache = fields.get("cache").map(|node| cache(node, report));
    fields.later("credential", report);
    Some(ServedConfig {
        provider: provider?,
        answers,
        model: model?,
        price: known.price,
        pass_unknown,
        max_output,
        floor,
        output_most: known.max_output,
        context: context.or(known.context),
        image_tokens: image_tokens.or(known.image_tokens),
        tokenizer: tokenizer.or(known.tokenizer).unwrap_or(Tokenizer::Bytes),
        timeout,
        first_token,
        concurrent,
        retries,
        failover: failover.unwrap_or_default(),
        breaker_failures,
        breaker_open_for,
        cache: cache.flatten(),
    })
}

/// The host, where it is neither this machine nor one whose prices ship.
fn foreign_host(provider: &ProviderConfig) -> Option<&str> {
    let url = &provider.endpoint()?.base_url;
    let host = url.uri().host()?;
    let is_known = provider.vendor().is_some_and(|vendor| vendor.host().eq_ignore_ascii_case(host));
    (!is_known && !url.is_loopback()).then_some(host)
}

/// `max_output` and `floor`; the model writes at most so many tokens, where that is known.
fn output(fields: &mut Fields<'_>, most: Option<u64>, report: &mut Report) -> (u64, u64) {
    let max_output = fields.get("max_output");
    let max_output = max_output.and_then(|node| node.whole("`max_output`", 1..=TOKENS_MAX, report));
    let max_output = max_output.unwrap_or(MAX_OUTPUT_DEFAULT.min(most.unwrap_or(u64::MAX)));
    let written = fields.get("floor");
    let floor = written.and_then(|node| node.whole("`floor`", 1..=TOKENS_MAX, report));
    if let (Some(node), Some(floor)) = (written, floor)
        && floor > max_output
    {
        report.error(node.place, format!("`floor` is more than `max_output`, which is {max_output}"));
    }
    (max_output, floor.unwrap_or(FLOOR_DEFAULT.min(max_output)))
}

fn times(fields: &mut Fields<'_>, report: &mut Report) -> (Duration, Duration) {
    let timeout = fields.get("timeout");
    let timeout = timeout.and_then(|node| duration_within(node, "`timeout`", TIMEOUT_MAX_SECONDS, report));
    let timeout = timeout.unwrap_or(TIMEOUT_DEFAULT);
    let written = fields.get("first_token");
    let first_token = written.and_then(|node| duration(node, "`first_token`", report));
    if let (Some(node), Some(first_token)) = (written, first_token)
        && first_token > timeout
    {
        report.error(node.place, "`first_token` is longer than `timeout`, which is for the whole call");
    }
    (timeout, first_token.unwrap_or(FIRST_TOKEN_DEFAULT.min(timeout)))
}

fn count(
    fields: &mut Fields<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    default: u32,
    report: &mut Report,
) -> u32 {
    let node = fields.get(key);
    let count = node.and_then(|node| node.whole(&format!("`{key}`"), range, report));
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
}

fn cache(node: &Node, report: &mut Report) -> Option<ResponseCacheConfig> {
    if let Some(time) = node.as_scalar().filter(|scalar| parse_duration(&scalar.text).is_ok()) {
        let message = "`cache` must be a mapping, not a text";
        report.error_with_hint(node.place, message, format!("write `cache: {{ ttl: {} }}`", time.text));
        return None;
    }
    let mut fields = Fields::shaped(node, "`cache`", "cache: { ttl: 1h }", report)?;
    let ttl = fields.require("ttl", report).and_then(|node| duration(node, "`ttl`", report));
    let tools = fields.get("tools").and_then(|node| node.boolean("`tools`", report)).unwrap_or(false);
    fields.finish(report);
    Some(ResponseCacheConfig { ttl: ttl?, tools })
}
