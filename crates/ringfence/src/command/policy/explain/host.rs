//! A host that is asked about.

use clap::Args;
use ringfence_json::{Object, Value};

use crate::failure::Failure;
use crate::show::texts;

/// A host, who would reach it, and how.
#[derive(Debug, Args)]
pub struct Asked {
    /// Instead of a call: a host that a program in a sandbox would reach; port 443 unless given
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "call", requires = "workspace")]
    host: Option<String>,
    /// With --host: where its agent belongs
    #[arg(short, long, requires = "host")]
    workspace: Option<String>,
    /// With --host: which agent would reach it
    #[arg(long, requires = "host", required_unless_present_any = ["call", "server"])]
    agent: Option<String>,
    /// With --host: which tool server would, instead of an agent
    #[arg(long, requires = "host", conflicts_with = "agent")]
    server: Option<String>,
    /// With --host: the method of a request; without it, a connection that is passed through
    #[arg(long, requires = "host")]
    method: Option<String>,
    /// With --method: its path
    #[arg(long, requires = "method")]
    path: Option<String>,
}

// === impl Asked ===

impl Asked {
    /// The call as it is asked about.
    pub fn call(self) -> Result<Object, Failure> {
        let written = self.host.unwrap_or_default();
        let (host, port) = host_and_port(&written)?;
        Ok(Object::new()
            .with_some("workspace", self.workspace)
            .with_some("agent", self.agent)
            .with_some("server", self.server)
            .with("host", host)
            .with_some("port", port.map(u64::from))
            .with_some("method", self.method)
            .with_some("path", self.path))
    }
}

/// How it would be reached: where its name leads, and what becomes of TLS.
pub fn reached(reached: &Object) -> String {
    let entry = reached.text("entry").map(crate::safe);
    let is_private = reached.get("private").and_then(Value::as_bool) == Some(true);
    let addresses = reached.get("addresses").map(|_| texts(reached, "addresses"));
    let leads = match (entry, addresses) {
        (Some(entry), Some(addresses)) => {
            format!("leads to {addresses}, by `{entry}` under `egress: addresses`")
        }
        (Some(entry), None) => format!(
            "leads where this machine's resolver says, on the internet or in a private network, by `{entry}` under `egress: addresses`"
        ),
        (None, Some(_)) if is_private => "is dialled as it is: the grant names the address".to_owned(),
        (None, Some(_)) => {
            "is dialled if it is on the internet: no grant names the address itself".to_owned()
        }
        (None, None) => "leads where this machine's resolver says, if that is on the internet".to_owned(),
    };
    let authorities = reached.get("authorities").and_then(Value::as_u64).unwrap_or(0);
    let tls = match (reached.text("tls"), authorities) {
        (Some("ends_at_gateway"), 0) => {
            "  TLS ends at the gateway, which trusts whom this machine trusts\n".to_owned()
        }
        (Some("ends_at_gateway"), more) => {
            format!(
                "  TLS ends at the gateway, which trusts whom this machine trusts and {more} of `egress: authorities`\n"
            )
        }
        (Some(_), _) => {
            "  TLS passes through: the program itself holds the host to its certificate\n".to_owned()
        }
        (None, _) => String::new(),
    };
    format!("  {leads}\n{tls}")
}

/// An IPv6 address has colons of its own; one with a port stands in brackets.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), Failure> {
    let is_bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
    match text.rsplit_once(':') {
        Some((host, port)) if !is_bare_v6 && !port.ends_with(']') => match port.parse() {
            Ok(port) => Ok((host, Some(port))),
            Err(_) => Err(Failure::usage(format!("`{}` is no port", crate::safe(port)))
                .hint("write a number from 1 to 65535, as in api.github.com:443")),
        },
        _ => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_an_address() {
        for (text, expected) in [
            ("api.example.com", ("api.example.com", None)),
            ("api.example.com:8443", ("api.example.com", Some(8443))),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("[2001:db8::1]", ("[2001:db8::1]", None)),
            ("[2001:db8::1]:443", ("[2001:db8::1]", Some(443))),
        ] {
            assert_eq!(host_and_port(text).unwrap(), expected, "{text}");
        }
        assert!(host_and_port("a.example:x").is_err() && host_and_port("a.example:70000").is_err());
    }
}
