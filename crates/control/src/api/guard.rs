//! What every request passes first: is it meant for this node, and who asks?

use http::{HeaderMap, StatusCode, Uri, header};
use ringfence_types::Digest;

use super::problem::Problem;
use crate::{People, Person, Power};

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The socket in the data folder; the peer's user id, and the folder's owner.
    Socket {
        /// Whose process is at the other end (SO_PEERCRED).
        uid: u32,
        /// Whose folder it is.
        owner: u32,
    },
    /// A TCP listener on this port.
    Tcp {
        /// Ours.
        port: u16,
    },
}

/// Refuses what a browser was tricked into sending: a `Host` that is not ours (DNS rebinding), an `Origin` that is
/// not ours (another site's script).
pub(crate) fn meant_for_us(entrance: Entrance, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let Entrance::Tcp { port } = entrance else { return origin_is_ours(headers, None) };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        _ => uri.authority().map_or("", http::uri::Authority::as_str),
    };
    if !is_ours(host, port) {
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "this host name is not this node's")
            .hint(format!("use http://127.0.0.1:{port}")));
    }
    origin_is_ours(headers, Some(port))
}

fn origin_is_ours(headers: &HeaderMap, port: Option<u16>) -> Result<(), Problem> {
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.strip_prefix("http://").unwrap_or_default();
        if !port.is_some_and(|port| is_ours(host, port)) {
            return Err(Problem::forbidden("requests from other sites' pages are refused"));
        }
    }
    Ok(())
}

fn is_ours(host: &str, port: u16) -> bool {
    let Some((name, given)) = host.rsplit_once(':') else { return false };
    given.parse() == Ok(port)
        && (name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "[::1]"))
}

/// What somebody shows of who they are. It holds for as long as the configuration knows it: whoever is answered for
/// long is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A token, by its hash; `None` for what is no person's token.
    Token(Option<Digest>),
    /// The user of the process at the other end of the socket, and who owns the data folder.
    User {
        /// Whose process it is.
        uid: u32,
        /// Whose folder it is.
        owner: u32,
    },
    /// Nothing.
    None,
}

/// What a request shows of who asks: a token, or on the socket its user id.
pub(crate) fn credential(entrance: Entrance, headers: &HeaderMap) -> Result<Credential, Problem> {
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    match (authorizations.next(), authorizations.next()) {
        (Some(value), None) => {
            let token = value.to_str().ok().and_then(bearer).unwrap_or_default();
            Ok(Credential::Token(People::hash_of(token)))
        }
        (None, _) => Ok(match entrance {
            Entrance::Socket { uid, owner } => Credential::User { uid, owner },
            Entrance::Tcp { .. } => Credential::None,
        }),
        (Some(_), Some(_)) => Err(Problem::wrong("more than one Authorization header")),
    }
}

/// Who that is, among these people.
pub(crate) fn authenticate(credential: Credential, people: &People) -> Result<Person, Problem> {
    let refuse = |detail: String| Problem::new(StatusCode::UNAUTHORIZED, detail);
    match credential {
        Credential::Token(hash) => hash.and_then(|hash| people.by_hash(&hash)).cloned().ok_or_else(|| {
            refuse("this token is not a person's token here".into()).hint(
                "`ringfence token person NAME` makes one; its hash goes under `people:` in ringfence.yaml",
            )
        }),
        Credential::User { uid, owner } => people.by_uid(uid, owner).ok_or_else(|| {
            refuse(format!("user {uid} of this machine is nobody here"))
                .hint(format!("add `uid: {uid}` to a person under `people:` in ringfence.yaml"))
        }),
        Credential::None => Err(refuse("every request needs a person's token".into())
            .hint("send `Authorization: Bearer rfp_…`; the command line takes it from RINGFENCE_TOKEN")),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether this person may do this.
pub(crate) fn authorize(person: &Person, power: Power) -> Result<(), Problem> {
    if person.may(power) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("{} may not do this: it needs the role {}", person.name, power.role()))
        .hint("an admin can add the role under `people:` in ringfence.yaml"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TCP: Entrance = Entrance::Tcp { port: 7401 };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn hosts_and_origins_of_others_are_refused() {
        for (pairs, passes) in [
            (&[("host", "127.0.0.1:7401")][..], true),
            (&[("host", "localhost:7401")], true),
            (&[("host", "[::1]:7401")], true),
            (&[("host", "127.0.0.1:80")], false),
            (&[("host", "127.0.0.1")], false),
            (&[("host", "evil.example:7401")], false),
            (&[], false),
            (&[("host", "127.0.0.1:7401"), ("host", "127.0.0.1:7401")], false),
            (&[("host", "127.0.0.1:7401"), ("origin", "http://127.0.0.1:7401")], true),
            (&[("host", "127.0.0.1:7401"), ("origin", "http://evil.example")], false),
            (&[("host", "127.0.0.1:7401"), ("origin", "null")], false),
        ] {
            assert_eq!(
                meant_for_us(TCP, &headers(pairs), &Uri::from_static("/")).is_ok(),
                passes,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn loopback_alone_opens_nothing() {
        let people = People::default();
        let who =
            |entrance, headers: &HeaderMap, people| authenticate(credential(entrance, headers)?, people);
        assert!(who(TCP, &headers(&[]), &people).is_err());
        assert!(who(TCP, &headers(&[("authorization", "Bearer rfp_x")]), &people).is_err());
        let owner = Entrance::Socket { uid: 7, owner: 7 };
        assert!(who(owner, &headers(&[]), &people).is_ok());
        let bad_token = headers(&[("authorization", "Bearer x")]);
        assert!(who(owner, &bad_token, &people).is_err(), "a wrong token is not made up for by the socket");
        assert!(who(Entrance::Socket { uid: 8, owner: 7 }, &headers(&[]), &people).is_err());
    }
}
