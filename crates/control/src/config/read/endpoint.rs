//! What tool servers and models have in common: headers, keys, breakers.

use std::time::Duration;

use ringfence_document::{Diagnostic, Fields, Key, Node, Report};
use smol_str::SmolStr;

use super::super::{SecretSource, ServerUrl, ServerUrlError};
use super::Origin;
use super::value::{duration, mapping};

/// Failures in a row that open a breaker, and how long it stays open, unless something else is written.
pub(super) const BREAKER_DEFAULT: (u32, Duration) = (5, Duration::from_secs(30));

/// Headers that the node sets itself, or that would change where a request goes.
const RESERVED: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "accept",
    "origin",
];

/// What every request carries.
pub(super) struct Carried<'n> {
    /// `headers`, if it is written.
    pub headers: Option<&'n Node>,
    /// `key`, if it is written.
    pub key: Option<&'n Node>,
    /// Headers that the node sets itself besides those of HTTP.
    pub reserved: &'static [&'static str],
    /// Headers that would contradict a key.
    pub of_key: &'static [&'static str],
}

// === impl Carried ===

impl Carried<'_> {
    /// Reads both.
    pub(super) fn read(
        &self,
        origin: Origin<'_>,
        report: &mut Report,
    ) -> (Vec<(SmolStr, SecretSource)>, Option<SecretSource>) {
        let mut all: Vec<(SmolStr, SecretSource)> = Vec::new();
        for (name, value) in
            self.headers.and_then(|node| mapping(node, "`headers`", report)).unwrap_or_default()
        {
            all.extend(self.header(name, value, origin, report));
        }
        let twice = all.iter().find(|(name, _)| self.of_key.contains(&name.as_str()));
        if let (Some(node), Some((name, _))) = (self.key, twice) {
            report.error(node.place, format!("`key` is sent as `{name}`, which `headers` sets too"));
        }
        let key = self.key.and_then(|node| secret(node, "`key`", origin, report));
        (all, key)
    }

    fn header(
        &self,
        name: &Key,
        value: &Node,
        origin: Origin<'_>,
        report: &mut Report,
    ) -> Option<(SmolStr, SecretSource)> {
        let lower = name.text.to_ascii_lowercase();
        if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
            let shown = crate::shown::line(&name.text);
            report.error(name.place, format!("`{shown}` is not the name of a header"));
            return None;
        }
        if RESERVED.contains(&lower.as_str()) || self.reserved.contains(&lower.as_str()) {
            report.error(name.place, format!("the header `{lower}` is set by the node itself"));
            return None;
        }
        Some((lower.into(), secret(value, "a header's value", origin, report)?))
    }
}

/// Addresses as they are written, of a model and of a tool server.
const MODEL_URL: &str = "https://models.example.com/v1";
const SERVER_URL: &str = "https://mcp.example.com/mcp";

/// An address. One that carries what may be a secret is not shown.
pub(super) fn url(node: &Node, what: &str, report: &mut Report) -> Option<ServerUrl> {
    let text = node.text(what, report)?;
    let error = match ServerUrl::parse(text) {
        Ok(url) => return Some(url),
        Err(error) => error,
    };
    let concealed = matches!(error, ServerUrlError::UserInformation | ServerUrlError::Query);
    let diagnostic = Diagnostic::error(report.source().clone(), node.place, format!("{what}: {error}"));
    let diagnostic = match error {
        ServerUrlError::Malformed => diagnostic.with_hint(whole_url(text, what)),
        _ => diagnostic,
    };
    report.push(Diagnostic { concealed, ..diagnostic });
    None
}

/// What to write instead: the same with the scheme that is missing, else an example.
fn whole_url(text: &str, what: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-[]".contains(&byte);
    if !text.contains("://") && text.bytes().all(is_plain) {
        let (local, remote) = (format!("http://{text}"), format!("https://{text}"));
        // In the clear only where it does not leave this machine.
        let is_here = ServerUrl::parse(&local).is_ok_and(|url| url.is_loopback());
        let whole = if is_here { local } else { remote };
        if ServerUrl::parse(&whole).is_ok() {
            return format!("write `{whole}`");
        }
    }
    format!("such as {}", if what == "`base_url`" { MODEL_URL } else { SERVER_URL })
}

/// A secret must not be readable on the way.
pub(super) fn warn_exposed(node: &Node, url: Option<&ServerUrl>, has_secret: bool, report: &mut Report) {
    if url.is_some_and(ServerUrl::is_exposed) && has_secret {
        report.warning_with_hint(
            node.place,
            "a secret would travel in the clear to that server",
            "use https",
        );
    }
}

/// Where a secret is kept. What stands there instead is never shown.
pub(super) fn secret(
    node: &Node,
    what: &str,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<SecretSource> {
    let text = node.text(what, report)?;
    match SecretSource::parse(text, origin.folder) {
        Ok(source) => Some(source),
        Err(error) => {
            let diagnostic = Diagnostic::error(origin.source, node.place, format!("{what}: {error}"))
                .with_hint("write \"env:NAME\" or \"file:PATH\"");
            report.push(Diagnostic { concealed: true, ..diagnostic });
            None
        }
    }
}

/// `breaker:`
pub(super) fn breaker(node: &Node, report: &mut Report) -> Option<(u32, Duration)> {
    let mut fields = Fields::of(node, "a breaker", report)?;
    let failures = fields.get("failures").and_then(|node| node.whole("`failures`", 1..=1000, report));
    let open_for = fields.get("open_for").and_then(|node| duration(node, "`open_for`", report));
    fields.finish(report);
    let failures = failures.and_then(|count| u32::try_from(count).ok());
    Some((failures.unwrap_or(BREAKER_DEFAULT.0), open_for.unwrap_or(BREAKER_DEFAULT.1)))
}
