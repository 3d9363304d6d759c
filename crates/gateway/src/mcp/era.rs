//! Which revision of MCP a message speaks (MCP 2026-07-28, "Versioning and Compatibility").
//!
//! *Modern* revisions carry everything in each request; *legacy* ones have sessions that begin with `initialize`.
//! Ringfence serves both and speaks to each upstream in the era of the client. Where the upstream does not speak
//! that era, the client is told so ([`Spoken::refuse`]); translating between the eras has its place there.

use http::HeaderMap;
use ringfence_json::{Object, Value};
use smol_str::SmolStr;

use super::fault::{self, Fault};
use super::headers;
use super::message::Request;

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2026-07-28: no sessions, no handshake.
    Modern,
    /// Up to 2025-11-25: sessions.
    Legacy,
}

/// The modern revision.
pub const MODERN: &str = "2026-07-28";
/// The newest legacy revision.
pub const LEGACY: &str = "2025-11-25";
/// The legacy revisions, newest first.
pub const LEGACY_ALL: [&str; 3] = [LEGACY, "2025-06-18", "2025-03-26"];
/// A revision that is not offered, but taken where an old client or server knows no other.
const LEGACY_TOLERATED: &str = "2024-11-05";

/// The metadata of a modern request.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The metadata of a modern request.
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The metadata of a modern request or answer.
pub const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// The metadata of an answer.
pub const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// The metadata of what comes on a subscription.
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What an upstream was found to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Its modern revisions, as far as they are known here.
    pub modern: bool,
    /// Whether it may speak a legacy one: always so when it is not modern, else if it says so.
    pub legacy: Vec<SmolStr>,
}

/// Whether `version` is a legacy revision that is taken here.
pub fn is_legacy(version: &str) -> bool {
    LEGACY_ALL.contains(&version) || version == LEGACY_TOLERATED
}

/// The era a request speaks, by its metadata and its headers.
///
/// # Errors
/// When they name a revision that is not known, or disagree. `supported` gives the revisions to name then: those of
/// the upstream, which may have to be asked.
pub fn of_request(headers: &HeaderMap, request: &Request, supported: &[&str]) -> Result<Era, Fault> {
    let header = headers::single(headers, &headers::VERSION)
        .map_err(|message| Fault::bad_request(fault::HEADER_MISMATCH, message))?;
    let meta = request.meta().and_then(|meta| meta.get(META_VERSION));
    match (header, meta) {
        (None, None) => Ok(Era::Legacy),
        (Some(header), None) if is_legacy(header) => Ok(Era::Legacy),
        (Some(MODERN), None) => Err(missing_meta(META_VERSION)),
        (Some(header), None) => Err(unknown(header, supported)),
        // A legacy client may say what it likes in metadata that its revision does not know.
        (Some(header), Some(_)) if is_legacy(header) && request.method != "server/discover" => {
            Ok(Era::Legacy)
        }
        (_, Some(meta)) => {
            let Some(meta) = meta.as_str() else { return Err(missing_meta(META_VERSION)) };
            of_modern(header, meta, supported)
        }
    }
}

fn of_modern(header: Option<&str>, meta: &str, supported: &[&str]) -> Result<Era, Fault> {
    let mismatch = |message: &str| Err(Fault::bad_request(fault::HEADER_MISMATCH, message));
    match header {
        None => mismatch("the MCP-Protocol-Version header is missing"),
        Some(header) if header != meta => {
            mismatch("the MCP-Protocol-Version header does not say what the body's _meta says")
        }
        Some(MODERN) => Ok(Era::Modern),
        Some(header) => Err(unknown(header, supported)),
    }
}

/// Whether a modern request has what every one needs, and its headers repeat it.
///
/// # Errors
/// With what is missing or disagrees.
pub fn check_modern(headers: &HeaderMap, request: &Request) -> Result<(), Fault> {
    if request.meta().and_then(|meta| meta.get(META_CAPABILITIES)).and_then(Value::as_object).is_none() {
        return Err(missing_meta(META_CAPABILITIES));
    }
    headers::check_standard(headers, request)
        .map_err(|message| Fault::bad_request(fault::HEADER_MISMATCH, format!("header mismatch: {message}")))
}

fn missing_meta(name: &str) -> Fault {
    Fault::bad_request(fault::INVALID_PARAMS, format!("params._meta lacks `{name}`, or it is malformed"))
}

fn unknown(version: &str, supported: &[&str]) -> Fault {
    Fault::unsupported_version(version, supported, "unsupported protocol version")
}

// === impl Spoken ===

impl Spoken {
    /// A server that did not know `server/discover`.
    pub fn legacy() -> Self {
        Self {
            modern: false,
            legacy: LEGACY_ALL.iter().map(|version| SmolStr::new_static(version)).collect(),
        }
    }

    /// What a server says of itself in `supportedVersions` or in an error's `supported`.
    pub fn from_versions(versions: &[Value]) -> Self {
        let said = |version: &str| versions.iter().any(|value| value.as_str() == Some(version));
        let legacy =
            LEGACY_ALL.iter().filter(|version| said(version)).map(|version| SmolStr::new_static(version));
        Self { modern: said(MODERN), legacy: legacy.collect() }
    }

    /// Whether it speaks this era.
    pub fn speaks(&self, era: Era) -> bool {
        match era {
            Era::Modern => self.modern,
            Era::Legacy => !self.legacy.is_empty(),
        }
    }

    /// The revisions that both sides of the gate know, newest first.
    pub fn versions(&self) -> Vec<&str> {
        self.modern.then_some(MODERN).into_iter().chain(self.legacy.iter().map(SmolStr::as_str)).collect()
    }

    /// What a client of the other era is told. A client that speaks both goes on in the right one.
    pub fn refuse(&self, server: &str, requested: &str) -> Fault {
        let versions = self.versions();
        let message = format!(
            "the server `{server}` speaks only {}; use a client that speaks it too (Ringfence does not translate \
             between them yet)",
            versions.join(", ")
        );
        Fault::unsupported_version(requested, &versions, message)
    }
}

/// Leaves only those of a discovery's versions that are served here.
pub fn narrow_versions(result: &mut Object) {
    let Some(Value::Array(versions)) = result.get_mut("supportedVersions") else { return };
    versions
        .retain(|version| version.as_str().is_some_and(|version| version == MODERN || is_legacy(version)));
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn request(meta: &[(&str, &str)]) -> Request {
        let meta = meta.iter().fold(Object::new(), |meta, (name, value)| meta.with(*name, *value));
        let meta = if meta.is_empty() { meta } else { meta.with(META_CAPABILITIES, Object::new()) };
        Request::new(1.into(), "tools/list", Object::new().with("_meta", meta))
    }

    fn headers(version: Option<&str>) -> HeaderMap {
        let value = version.map(|version| HeaderValue::from_str(version).unwrap());
        value.into_iter().map(|value| (headers::VERSION, value)).collect()
    }

    #[test]
    fn the_era_follows_from_metadata_and_header_together() {
        let modern = Some(MODERN);
        for (header, meta, expected) in [
            (None, None, Ok(Era::Legacy)),
            (Some("2025-06-18"), None, Ok(Era::Legacy)),
            (Some("2025-11-25"), modern, Ok(Era::Legacy)),
            (modern, modern, Ok(Era::Modern)),
            (modern, None, Err(fault::INVALID_PARAMS)),
            (None, modern, Err(fault::HEADER_MISMATCH)),
            (modern, Some("2099-01-01"), Err(fault::HEADER_MISMATCH)),
            (Some("2099-01-01"), Some("2099-01-01"), Err(fault::UNSUPPORTED_VERSION)),
            (Some("2099-01-01"), None, Err(fault::UNSUPPORTED_VERSION)),
            (Some("nonsense"), None, Err(fault::UNSUPPORTED_VERSION)),
        ] {
            let meta: Vec<_> = meta.map(|meta| (META_VERSION, meta)).into_iter().collect();
            let found = of_request(&headers(header), &request(&meta), &[MODERN]);
            assert_eq!(found.map_err(|fault| fault.code), expected, "{header:?} {meta:?}");
        }
    }

    #[test]
    fn a_modern_request_needs_its_metadata_and_headers() {
        let mut map = headers(Some(MODERN));
        let code = |headers: &HeaderMap, request: &Request| {
            check_modern(headers, request).map_err(|fault| fault.code)
        };
        assert_eq!(code(&map, &request(&[])), Err(fault::INVALID_PARAMS));
        let complete = request(&[(META_VERSION, MODERN)]);
        assert_eq!(code(&map, &complete), Err(fault::HEADER_MISMATCH));
        map.insert(HeaderName::from_static("mcp-method"), HeaderValue::from_static("tools/list"));
        assert_eq!(code(&map, &complete), Ok(()));
    }

    #[test]
    fn a_refusal_names_what_the_server_speaks() {
        let spoken = Spoken::from_versions(&[Value::from("2025-06-18"), Value::from("1999-01-01")]);
        assert!(spoken.speaks(Era::Legacy) && !spoken.speaks(Era::Modern));
        let fault = spoken.refuse("files", MODERN);
        assert_eq!(fault.code, fault::UNSUPPORTED_VERSION);
        assert_eq!(
            Value::from(fault.data.unwrap()).to_string(),
            r#"{"supported":["2025-06-18"],"requested":"2026-07-28"}"#
        );
    }
}
