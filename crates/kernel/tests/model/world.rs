//! The small world of the sequences: five configurations, three agents, four servers, fifteen calls, five people.
//! What the rules say of a call is written out here by hand, beside the rules themselves.

use ringfence_types::Code;

/// Agents: workspace, name.
pub const AGENTS: [(&str, &str); 3] =
    [("research", "assistant"), ("research", "helper"), ("sales", "assistant")];
/// Servers: workspace, name.
pub const SERVERS: [(&str, &str); 4] =
    [("research", "tools"), ("research", "other"), ("sales", "tools"), ("sales", "other")];
pub const TOOLS: [&str; 6] = ["query", "send", "scale", "pay", "drop", "pace"];
/// Users of runs; the first is also a person who may approve.
pub const USERS: [Option<&str>; 3] = [Some("erin"), Some("sam"), None];
/// People and their roles.
pub const PEOPLE: [(&str, &str); 5] =
    [("dana", "approver"), ("max", "admin"), ("erin", "approver"), ("lee", "lead"), ("vic", "viewer")];

/// An upstream's call may take so long, in seconds.
pub const CALL_TIMEOUT: u64 = 60;
/// Failures in a row that open a breaker, and how long it stays open, in seconds.
pub const BREAKER: (u32, u64) = (3, 30);
pub const TOKEN_TTL: u64 = 3600;
/// Two calls of `pace` per minute.
pub const PACE: (u64, u64) = (2, 60);

/// The arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Args {
    None,
    Text(&'static str),
    Replicas(u32),
    Amount(u32),
    /// Not what the tool takes.
    Bad(&'static str),
}

impl Args {
    pub fn json(self) -> String {
        match self {
            Self::None => "{}".into(),
            Self::Text(text) => format!(r#"{{"q":"{text}"}}"#),
            Self::Replicas(count) => format!(r#"{{"replicas":{count}}}"#),
            Self::Amount(amount) => format!(r#"{{"amount":{amount}}}"#),
            Self::Bad(text) => text.into(),
        }
    }
}

/// A call: server, tool, arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub server: &'static str,
    pub tool: &'static str,
    pub args: Args,
}

const fn call(server: &'static str, tool: &'static str, args: Args) -> Call {
    Call { server, tool, args }
}

pub const CALLS: [Call; 15] = [
    call("tools", "query", Args::Text("a")),
    call("tools", "query", Args::Text("b")),
    call("tools", "query", Args::Bad(r#"{"q":7}"#)),
    call("tools", "send", Args::Text("a")),
    call("tools", "send", Args::Text("b")),
    call("tools", "scale", Args::Replicas(5)),
    call("tools", "scale", Args::Replicas(50)),
    call("tools", "scale", Args::Bad(r#"{"replicas":"many"}"#)),
    call("tools", "pay", Args::Amount(20)),
    call("tools", "pay", Args::Amount(500)),
    call("tools", "drop", Args::None),
    call("tools", "pace", Args::None),
    call("tools", "nothing", Args::None),
    call("other", "query", Args::Text("a")),
    call("other", "send", Args::Text("a")),
];

/// What an approver may make of the arguments, besides leaving them; some of it is no narrowing.
pub const NARROWINGS: [Option<Args>; 4] =
    [None, Some(Args::Amount(10)), Some(Args::Amount(200)), Some(Args::None)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Config {
    Base,
    /// Nothing is sent.
    Frozen,
    /// Another rule about sending, answered by a lead; less may be paid.
    Lead,
    /// Sending needs nobody.
    Trusting,
    /// Assistants may do six actions and no longer scale.
    Tight,
}

pub const CONFIGS: [Config; 5] =
    [Config::Base, Config::Frozen, Config::Lead, Config::Trusting, Config::Tight];

/// What a rule asks of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    pub rule: &'static str,
    /// The role that answers; without one, approvers and admins.
    pub role: Option<&'static str>,
    pub quorum: usize,
    /// Seconds.
    pub expires: u64,
}

/// What the rules say of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub sent: Args,
    pub requirements: Vec<Requirement>,
    pub paced: bool,
}

const SENDS: Requirement = Requirement { rule: "sends", role: None, quorum: 1, expires: 600 };
const LEADS: Requirement = Requirement { rule: "leads", role: Some("lead"), quorum: 1, expires: 300 };
const PAYS: Requirement = Requirement { rule: "pays", role: None, quorum: 2, expires: 600 };

impl Config {
    /// The rules as users write them.
    pub fn rules(self) -> String {
        let sends = match self {
            Self::Base | Self::Tight => {
                "{ name: sends, match: { action: send }, decision: REQUIRE_APPROVAL, approval: { expires: 10m } }"
            }
            Self::Frozen => "{ name: frozen, match: { action: send }, decision: DENY }",
            Self::Lead => {
                "{ name: leads, match: { action: send }, decision: REQUIRE_APPROVAL, approval: { approvers: [lead], expires: 5m } }"
            }
            Self::Trusting => "{ name: trusts, match: { action: send }, decision: ALLOW }",
        };
        let most = self.most_paid();
        format!(
            "rules:
  - {sends}
  - {{ name: reads, match: {{ action_type: read }}, decision: ALLOW }}
  - {{ name: scales, match: {{ action: scale }}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{ max_replicas: 10 }} }}
  - {{ name: pays, match: {{ action: pay }}, decision: REQUIRE_APPROVAL, constraints: {{ max_amount: {most} }}, approval: {{ quorum: 2, expires: 10m }} }}
  - {{ name: drops, match: {{ action: drop }}, decision: DENY }}
  - {{ name: paces, match: {{ action: pace }}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{ rate: 2/m }} }}
"
        )
    }

    fn most_paid(self) -> u32 {
        if self == Self::Lead { 30 } else { 100 }
    }

    /// The same, by hand.
    pub fn decide(self, tool: &str, args: Args) -> Result<Verdict, Code> {
        let allowed = |sent| Ok(Verdict { sent, requirements: Vec::new(), paced: false });
        match (tool, args) {
            (_, Args::Bad(_)) => Err(Code::InvalidInput),
            ("query", _) => allowed(args),
            ("scale", Args::Replicas(count)) => allowed(Args::Replicas(count.min(10))),
            ("pay", Args::Amount(amount)) => Ok(Verdict {
                sent: Args::Amount(amount.min(self.most_paid())),
                requirements: vec![PAYS],
                paced: false,
            }),
            ("send", _) => match self {
                Self::Frozen => Err(Code::DeniedByPolicy),
                Self::Trusting => allowed(args),
                Self::Lead => Ok(Verdict { sent: args, requirements: vec![LEADS], paced: false }),
                Self::Base | Self::Tight => {
                    Ok(Verdict { sent: args, requirements: vec![SENDS], paced: false })
                }
            },
            ("pace", _) => Ok(Verdict { sent: args, requirements: Vec::new(), paced: true }),
            // Dropping is denied; a number that a rule limits must be there to be limited.
            _ => Err(Code::DeniedByPolicy),
        }
    }

    /// What an agent holds, as patterns.
    pub fn grants(self, agent: usize) -> &'static [&'static str] {
        match (agent, self) {
            (1, _) => &["tools/query", "tools/send", "other/*"],
            (_, Self::Tight) => &["tools/query", "tools/send", "tools/p*", "tools/drop", "tools/nothing"],
            _ => &["tools/*"],
        }
    }

    /// The same, by hand.
    pub fn holds(self, agent: usize, server: &str, tool: &str) -> bool {
        match agent {
            1 => server == "other" || ["query", "send"].contains(&tool),
            _ => server == "tools" && !(self == Self::Tight && tool == "scale"),
        }
    }

    /// How many actions a run may do.
    pub fn actions(self, agent: usize) -> Option<u64> {
        match (agent, self) {
            (1, _) => Some(8),
            (_, Self::Tight) => Some(6),
            _ => None,
        }
    }
}

/// From a run's first action to its end, in seconds.
pub fn wall(agent: usize) -> Option<u64> {
    (agent == 1).then_some(1200)
}

pub fn concurrent(agent: usize) -> Option<usize> {
    (agent != 1).then_some(3)
}

pub fn repetition(agent: usize) -> Option<usize> {
    (agent != 1).then_some(2)
}
