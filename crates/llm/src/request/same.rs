//! Which requests are the same.

use ringfence_json::Object;

use crate::Api;

/// Members on which no answer depends: who asks, for whom it is billed, how it is cached, kept and sent, and how
/// fast. The model is left out as well, because whoever looks for an answer knows which model is really asked.
const VOLATILE: &[&str] = &[
    "model",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "cache_control",
    "diagnostics",
    "fallback_credit_token",
    "store",
    "stream",
    "stream_options",
    "service_tier",
    "speed",
];

/// The request in a form that is the same for all requests that mean the same, with the name of the API in front. The
/// members that no answer depends on are left out: `model` (keep it beside), `user`, `metadata`, `safety_identifier`,
/// `prompt_cache_key`, `prompt_cache_options`, `prompt_cache_retention`, `cache_control` at the top, `diagnostics`,
/// `fallback_credit_token`, `store`, `stream`, `stream_options`, `service_tier`, `speed`. So are members that are
/// `null`. Marks for caching inside messages stay.
pub fn canonical_for_cache(api: Api, request: &Object) -> Vec<u8> {
    let kept = request.iter().filter(|(name, value)| !value.is_null() && !VOLATILE.contains(&name.as_str()));
    let kept: Object = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut canonical = Vec::with_capacity(1_024);
    canonical.extend_from_slice(api.word().as_bytes());
    canonical.push(b'\n');
    kept.write_canonical(&mut canonical);
    canonical
}
