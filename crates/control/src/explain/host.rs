//! Questions about hosts.

use ringfence_gateway::Lead;
use ringfence_json::{Object, Value};
use ringfence_kernel::{EgressCall, EgressGrants, EgressProtocol};
use ringfence_types::{AgentName, HostName, Principal};

use super::{By, ExplainError, On, agent, server, text};
use crate::config::{OutsideConfig, WorkspaceConfig};

/// The port on which each request is seen.
const HTTP: u16 = 80;

/// The port where a call names none.
const PORT: u64 = 443;

/// Members that stand beside no host.
const OTHERS: [&str; 4] = ["tool", "model", "spawns", "operation"];

/// What is asked of that host. A question has all of it as members; what was recorded has it in its `arguments`.
pub(super) fn asked<'a>(name: &str, call: &Object) -> Result<On<'a>, ExplainError> {
    for member in OTHERS {
        if text(call, member)?.is_some() {
            return Err(ExplainError::Type { member, expected: "left out where a `host` is named" });
        }
    }
    let recorded = call.get("arguments").and_then(Value::as_object);
    let call = recorded.filter(|recorded| recorded.contains("host")).unwrap_or(call);
    let host = HostName::new(name)
        .map_err(|_| ExplainError::Type { member: "host", expected: "a domain name or an address" })?;
    let port = port(call)?;
    let method = text(call, "method")?.map(str::to_ascii_uppercase);
    // On port 80 there are requests only.
    let is_web = port == HTTP && !call.contains("protocol");
    let method = method.or_else(|| is_web.then(|| "GET".to_owned()));
    let path = path(call, method.is_some())?;
    let protocol = protocol(call, port, method.is_some())?;
    let call = EgressCall { host, port, protocol, method: method.map(Into::into), path };
    let arguments = call.arguments();
    Ok(On::Host { call, arguments })
}

/// How a host is reached where the rules allow it: where its name leads, and who holds its certificate against whom.
pub(super) fn reached(outside: &OutsideConfig, by: &By<'_>, call: &EgressCall) -> Object {
    let grants = EgressGrants::parse(by.egress().iter().map(String::as_str)).unwrap_or_default();
    let leads = outside.leads();
    let entry = leads.entry_of(&call.host);
    let addresses = match (call.host.address(), entry) {
        (Some(address), _) => Some(vec![address]),
        (None, Some((_, Lead::Fixed(addresses)))) => Some(addresses.clone()),
        (None, _) => None,
    };
    let texts = addresses.map(|all| all.iter().map(|one| Value::from(one.to_string())).collect::<Vec<_>>());
    let is_named = call.host.address().is_some() && grants.names(&call.host);
    let reached = Object::new()
        .with_some("entry", entry.map(|(name, _)| name.to_string()))
        .with_some("addresses", texts)
        // Whether it may be in a private network.
        .with("private", is_named || entry.is_some());
    if !matches!(call.protocol, EgressProtocol::Tls | EgressProtocol::Https) {
        return reached;
    }
    let ends = grants.wants_requests(&call.host, call.port);
    let more: usize = outside.authorities.iter().map(|file| file.certificates.count()).sum();
    reached
        .with("tls", if ends { "ends_at_gateway" } else { "passes_through" })
        .with_some("authorities", ends.then_some(more as u64))
}

fn port(call: &Object) -> Result<u16, ExplainError> {
    let port = match call.get("port") {
        None | Some(Value::Null) => Some(PORT),
        Some(port) => port.as_u64(),
    };
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    port.ok_or(ExplainError::Type { member: "port", expected: "a number from 1 to 65535" })
}

/// A request always has a path, and where none is seen there is none.
fn path(call: &Object, is_request: bool) -> Result<Option<String>, ExplainError> {
    let wrong = |expected| Err(ExplainError::Type { member: "path", expected });
    match text(call, "path")? {
        Some(_) if !is_request => {
            wrong("beside a `method`: without one it is a connection, in which no path is seen")
        }
        Some(path) if !path.starts_with('/') => wrong("one that begins with /"),
        path => {
            let query = text(call, "query")?.map(|query| format!("?{query}")).unwrap_or_default();
            Ok(is_request.then(|| format!("{}{query}", path.unwrap_or("/"))))
        }
    }
}

/// As it would be seen, unless the call says it.
fn protocol(call: &Object, port: u16, is_request: bool) -> Result<EgressProtocol, ExplainError> {
    use EgressProtocol::{Http, Https, Tcp, Tls, Udp};
    let Some(word) = text(call, "protocol")? else {
        return Ok(match (is_request, port) {
            (true, 80) => Http,
            (true, _) => Https,
            (false, _) => Tls,
        });
    };
    let found = [Tls, Http, Https, Tcp, Udp].into_iter().find(|protocol| protocol.as_str() == word);
    found.ok_or(ExplainError::Type { member: "protocol", expected: "tls, http, https, tcp or udp" })
}

/// Who asks: an agent; or of a host a tool server, by `server` or under the name that stands where an agent's would.
pub(super) fn by<'a>(workspace: &'a WorkspaceConfig, call: &Object) -> Result<By<'a>, ExplainError> {
    let name = text(call, "agent")?;
    if text(call, "host")?.is_none() {
        return agent(workspace, call).map(By::Agent);
    }
    let as_agent = name.and_then(|name| AgentName::new(name).ok());
    let named = match (as_agent.as_ref().and_then(Principal::server_of), text(call, "server")?) {
        (Some(named), _) => named,
        (None, Some(named)) if name.is_none() => named,
        (None, None) => return agent(workspace, call).map(By::Agent),
        (None, Some(_)) => {
            let expected = "left out where an `agent` asks for a host";
            return Err(ExplainError::Type { member: "server", expected });
        }
    };
    let server = server(workspace, named)?;
    let name = Principal::server_name(&server.name)
        .map_err(|_| ExplainError::Type { member: "server", expected: "a name with room for `tool:`" })?;
    Ok(By::Server(server, name))
}
