//! The small world of these tests: who spends, what models cost, what may be spent. Plain numbers, which the oracle
//! reads as they stand and of which `nodes` makes what a kernel is told.

use crate::common::random::Random;

pub const WORKSPACES: [&str; 2] = ["research", "sales"];

/// With the index of their workspace.
pub const AGENTS: [(usize, &str); 3] = [(0, "assistant"), (0, "helper"), (1, "assistant")];

pub const USERS: [Option<&str>; 3] = [Some("erin"), Some("frank"), None];

pub const CONVERSATIONS: [Option<&str>; 3] = [None, Some("c"), Some("d")];

/// Seconds: how long a token lasts, and how long one call may take.
pub const TOKEN: u64 = 30 * 24 * 3600;
pub const CALL: u64 = 60;

/// Nano-dollars for a million tokens: read, cached, written into the cache, for an hour, written, thought.
pub type Rates = [u64; 6];

/// The rates of calls that read more than so many tokens; the first are for all.
pub type Steps = &'static [(u64, Rates)];

pub struct Model {
    pub name: &'static str,
    /// By service tier; the first is the usual one.
    pub tiers: &'static [(&'static str, Steps)],
    /// Nano-dollars for one search by the provider.
    pub search: Option<u64>,
    pub floor: u64,
    pub held: bool,
}

const PLAIN: Rates = [1_000_000_000, 100_000_000, 1_250_000_000, 2_000_000_000, 2_000_000_000, 2_000_000_000];
const LONG: Rates = [2_000_000_000, 200_000_000, 2_500_000_000, 4_000_000_000, 3_000_000_000, 9_000_000_000];
/// Dearer to read, cheaper to write.
const ODD: Rates = [7_000_000_001, 1, 3, 9_999_999_999, 1_000_000_007, 1_000_000_009];
const CHEAP: Rates = [333_333, 33_333, 1, 1, 777_777, 1_000_001];
const FLEX: Rates = [500_000_000, 50_000_000, 625_000_000, 1_000_000_000, 1_000_000_000, 1_000_000_000];
const PRIORITY: Rates =
    [1_750_000_000, 175_000_000, 2_000_000_000, 3_000_000_000, 14_000_000_000, 3_500_000_000];
const SPREAD: Rates = [1_000, 1_000, 1_000, 1_000, 0, 5_000_000_000];
const FREE: Rates = [0; 6];

pub const MODELS: [Model; 8] = [
    Model { name: "plain", tiers: &[("", &[(0, PLAIN)])], search: None, floor: 16, held: true },
    Model {
        name: "steps",
        tiers: &[("", &[(0, PLAIN), (1_000, LONG), (2_500, ODD), (9_000, FLEX)])],
        search: None,
        floor: 1,
        held: true,
    },
    Model {
        name: "tiers",
        tiers: &[
            ("", &[(0, PLAIN), (2_000, LONG)]),
            ("flex", &[(0, FLEX)]),
            ("priority", &[(0, PRIORITY)]),
            ("fast", &[(0, LONG)]),
        ],
        search: Some(1_000_000),
        floor: 64,
        held: true,
    },
    Model { name: "cheap", tiers: &[("", &[(0, CHEAP)])], search: None, floor: 16, held: true },
    Model { name: "odd", tiers: &[("", &[(0, ODD)])], search: Some(1), floor: 256, held: true },
    Model { name: "spread", tiers: &[("", &[(0, SPREAD)])], search: None, floor: 16, held: true },
    Model { name: "free", tiers: &[("", &[(0, FREE)])], search: None, floor: 16, held: true },
    Model { name: "hidden", tiers: &[("", &[(0, PLAIN)])], search: None, floor: 16, held: false },
];

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub model: usize,
    pub input: u64,
    pub output: Option<u64>,
    /// Tokens that each answer may cost beyond that.
    pub extra: u64,
    pub answers: u64,
    /// 0 writes nothing into the cache, 1 for a short time, 2 for an hour.
    pub cache: u8,
    pub tier: Option<&'static str>,
    /// Searches by the provider.
    pub searches: u64,
    pub conversation: usize,
    /// Answered with what was kept of an earlier one.
    pub kept: bool,
}

/// In whose spending something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Run,
    Conversation,
    Agent,
    User,
    Workspace,
}

pub const LEVELS: [Level; 5] = [Level::Run, Level::Conversation, Level::Agent, Level::User, Level::Workspace];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    Life,
    Hour,
    Day,
    Month,
}

pub const PERS: [Per; 4] = [Per::Life, Per::Hour, Per::Day, Per::Month];

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub usd: Option<u64>,
    pub tokens: Option<u64>,
    pub per: Per,
}

/// The caps of one workspace at each level.
#[derive(Debug, Clone, Default)]
pub struct Caps([Vec<Cap>; 5]);

impl Caps {
    /// Those of the workspace in the configuration of that number; in the first there are none.
    pub fn of(config: u64, workspace: usize) -> Self {
        let mut caps = Self::default();
        if config == 0 {
            return caps;
        }
        let mut random = Random::new(config * 2 + workspace as u64);
        for _ in 0..random.below(5) {
            let level = random.below(LEVELS.len());
            caps.0[level].push(cap(&mut random));
        }
        caps
    }

    pub fn at(&self, level: Level) -> &[Cap] {
        let index = LEVELS.iter().position(|known| *known == level).unwrap();
        &self.0[index]
    }
}

fn cap(random: &mut Random) -> Cap {
    // Some leave exactly the floor of a model, or a nano-dollar less.
    let usd = [
        0,
        999,
        1_000_000,
        1_031_999,
        1_032_000,
        3_333_333,
        10_000_000,
        10_000_000,
        30_000_000,
        100_000_000,
        400_000_000,
    ];
    let tokens = [0, 41, 656, 1_016, 1_500, 5_000, 20_000, 60_000, 200_000];
    let per = random.pick(&PERS);
    match random.below(8) {
        0 => Cap { usd: Some(random.pick(&usd)), tokens: Some(random.pick(&tokens)), per },
        1 | 2 => Cap { usd: None, tokens: Some(random.pick(&tokens)), per },
        _ => Cap { usd: Some(random.pick(&usd)), tokens: None, per },
    }
}
