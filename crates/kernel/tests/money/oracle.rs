//! What the kernel must say: a list of all calls, from which everything is added up anew whenever it is asked for.

use ringfence_types::Code;

use crate::price;
use crate::told::{End, Tokens, Told};
use crate::world::{AGENTS, CALL, CONVERSATIONS, Call, Caps, Level, MODELS, Per, TOKEN, USERS};

/// Seconds after the end of a call's time at which it is given up.
const OVERDUE: u64 = 60;

/// Seconds after its end for which a run is known at least.
const KEPT: u64 = 3600;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Hours into the day, and days into the month, at which time begins; and how long months are from there on.
const BEGINS: (u64, u64) = (9, 20);
const MONTHS: [u64; 8] = [30, 31, 31, 28, 31, 30, 31, 30];

/// Whose spending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    Run(usize),
    Conversation(usize, Option<&'static str>, &'static str),
    Agent(usize),
    User(usize, &'static str),
    Workspace(usize),
}

#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub agent: usize,
    pub user: Option<&'static str>,
    conversation: Option<&'static str>,
    expires: u64,
}

/// What is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    Run(usize),
    Agent(usize),
    Workspace(usize),
}

/// A call that was cleared.
#[derive(Debug, Clone)]
pub struct Cleared {
    pub call: Call,
    /// Tokens that each answer may have.
    pub output: Option<u64>,
    pub lowered: bool,
    pub usd: u128,
    tokens: u128,
    run: usize,
    whose: Vec<Whose>,
    at: u64,
    deadline: u64,
    /// What it came to: money and tokens.
    pub booked: Option<(u128, u128)>,
}

/// A sum over calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub usd: u128,
    pub tokens: u128,
    pub calls: u128,
    pub reserved_usd: u128,
    pub reserved_tokens: u128,
}

#[derive(Debug, Default)]
pub struct Oracle {
    /// Seconds since it began.
    pub now: u64,
    pub config: u64,
    pub runs: Vec<Run>,
    pub calls: Vec<Cleared>,
    pub cuts: Vec<Cut>,
}

impl Oracle {
    pub fn mint(&mut self, agent: usize, user: usize, conversation: usize) {
        let expires = self.now + TOKEN;
        let (user, conversation) = (USERS[user], CONVERSATIONS[conversation]);
        self.runs.push(Run { agent, user, conversation, expires });
    }

    fn workspace(&self, run: usize) -> usize {
        AGENTS[self.runs[run].agent].0
    }

    fn whose(&self, run: usize, call: Call) -> Vec<Whose> {
        let Run { agent, user, conversation, .. } = self.runs[run];
        let workspace = self.workspace(run);
        let mut whose = vec![Whose::Run(run), Whose::Agent(agent), Whose::Workspace(workspace)];
        whose.extend(user.map(|user| Whose::User(workspace, user)));
        let conversation = conversation.or(CONVERSATIONS[call.conversation]);
        whose.extend(conversation.map(|name| Whose::Conversation(workspace, user, name)));
        whose
    }

    /// Whether a call may be made, and within which bounds. Books nothing.
    pub fn decide(&self, run: usize, call: Call) -> Result<Cleared, Code> {
        let (agent, workspace) = (self.runs[run].agent, self.workspace(run));
        let cuts = [Cut::Run(run), Cut::Agent(agent), Cut::Workspace(workspace)];
        if self.cuts.iter().any(|cut| cuts.contains(cut)) {
            return Err(Code::Suspended);
        }
        if self.now >= self.runs[run].expires {
            return Err(Code::Deadline);
        }
        let model = &MODELS[call.model];
        if !model.held {
            return Err(Code::NotGranted);
        }
        let whose = self.whose(run, call);
        let needs = |output: u64| {
            let written = (u128::from(output) + u128::from(call.extra)) * u128::from(call.answers);
            let tokens = u128::from(call.input) + written;
            price::worst(model, call, written).map(|usd| (usd, tokens))
        };
        let fits = |output: u64| {
            let (usd, tokens) = needs(output).unwrap();
            self.fits(workspace, &whose, usd, tokens)
        };
        let asked = call.output.unwrap_or(0);
        let deadline = (self.now + CALL).min(self.runs[run].expires);
        let (at, booked) = (self.now, None);
        if call.kept {
            let (output, usd, tokens) = (call.output, 0, 0);
            return Ok(Cleared {
                call,
                output,
                lowered: false,
                usd,
                tokens,
                run,
                whose,
                at,
                deadline,
                booked,
            });
        }
        needs(asked).ok_or(Code::InvalidInput)?;
        let output = if fits(asked) {
            call.output
        } else {
            // The most that fits: what fits is all below a bound.
            let (mut least, mut most) = (0, asked);
            while least < most {
                let middle = least + (most - least).div_ceil(2);
                if fits(middle) { least = middle } else { most = middle - 1 }
            }
            if call.output.is_none() || least == 0 || least < model.floor.min(asked) {
                return Err(Code::OverBudget);
            }
            Some(least)
        };
        let (usd, tokens) = needs(output.unwrap_or(0)).unwrap();
        let lowered = output != call.output;
        Ok(Cleared { call, output, lowered, usd, tokens, run, whose, at, deadline, booked })
    }

    fn fits(&self, workspace: usize, whose: &[Whose], usd: u128, tokens: u128) -> bool {
        let caps = Caps::of(self.config, workspace);
        whose.iter().all(|whose| {
            caps.at(whose.level()).iter().all(|cap| {
                let sum = self.sum(*whose, cap.per);
                let left = |most: u64, taken: u128| u128::from(most).saturating_sub(taken);
                cap.usd.is_none_or(|most| usd <= left(most, sum.usd + sum.reserved_usd))
                    && cap.tokens.is_none_or(|most| tokens <= left(most, sum.tokens + sum.reserved_tokens))
            })
        })
    }

    /// What somebody has spent within the window that it is now.
    pub fn sum(&self, whose: Whose, per: Per) -> Sum {
        let mut sum = Sum::default();
        for call in &self.calls {
            if !call.whose.contains(&whose) || window(per, call.at) != window(per, self.now) {
                continue;
            }
            match call.booked {
                None => {
                    sum.reserved_usd += call.usd;
                    sum.reserved_tokens += call.tokens;
                }
                Some((usd, tokens)) => {
                    sum.usd += usd;
                    sum.tokens += tokens;
                    sum.calls += 1;
                }
            }
        }
        let most = u128::from(u64::MAX);
        Sum { usd: sum.usd.min(most), tokens: sum.tokens.min(most), ..sum }
    }

    /// Everybody who has spent anything, and whether they may be forgotten.
    pub fn everybody(&self) -> Vec<(Whose, bool)> {
        let mut all: Vec<Whose> = self.calls.iter().flat_map(|call| call.whose.iter().copied()).collect();
        all.sort();
        all.dedup();
        let over =
            |whose: &Whose| matches!(whose, Whose::Run(run) if self.now > self.runs[*run].expires + KEPT);
        all.into_iter().map(|whose| (whose, over(&whose))).collect()
    }

    /// A call ends. Says whether that cuts off its run.
    pub fn settle(&mut self, index: usize, told: &Told) -> bool {
        let call = &self.calls[index];
        let (usd, tokens) = charge(call, told);
        let (over, run) = (usd > call.usd || tokens > call.tokens, call.run);
        let booked = match self.calls[index].booked {
            None => (usd, tokens),
            // Given up before, and booked at what was set aside: what was used beyond that is booked now, what was
            // not used stays booked.
            Some((before_usd, before_tokens)) => (before_usd.max(usd), before_tokens.max(tokens)),
        };
        self.calls[index].booked = Some(booked);
        if over {
            self.cuts.push(Cut::Run(run));
        }
        over
    }

    /// Nobody knows what came of it: at what was set aside.
    pub fn give_up(&mut self, lost: impl Fn(&Cleared) -> bool) {
        for call in self.calls.iter_mut().filter(|call| call.booked.is_none()) {
            if lost(call) {
                call.booked = Some((call.usd, call.tokens));
            }
        }
    }

    pub fn tend(&mut self) {
        let now = self.now;
        self.give_up(|call| now > call.deadline + OVERDUE);
    }

    /// What caps it breaks that this call was cleared.
    pub fn broken(&self, index: usize) -> Vec<String> {
        let call = &self.calls[index];
        let caps = Caps::of(self.config, self.workspace(call.run));
        let mut broken = Vec::new();
        for whose in &call.whose {
            for cap in caps.at(whose.level()) {
                let sum = self.sum(*whose, cap.per);
                let usd = sum.usd + sum.reserved_usd;
                let tokens = sum.tokens + sum.reserved_tokens;
                let is_over =
                    |most: Option<u64>, taken: u128| most.is_some_and(|most| taken > u128::from(most));
                if (is_over(cap.usd, usd) && call.usd > 0) || (is_over(cap.tokens, tokens) && call.tokens > 0)
                {
                    broken.push(format!("{whose:?} {cap:?}: {sum:?}"));
                }
            }
        }
        broken
    }
}

/// A call that was cleared, as far as its charge goes.
pub fn alone(call: Call, output: Option<u64>, usd: u128) -> Cleared {
    let (lowered, tokens, run, whose) = (output != call.output, u128::MAX, 0, Vec::new());
    Cleared { call, output, lowered, usd, tokens, run, whose, at: 0, deadline: 0, booked: None }
}

/// What a call comes to, in money and tokens.
pub fn charge(call: &Cleared, told: &Told) -> (u128, u128) {
    let model = &MODELS[call.call.model];
    let Some(sent) = told.sent.filter(|_| told.end != End::NotSent && !call.call.kept) else { return (0, 0) };
    if told.turned_down && told.written == 0 {
        return (0, 0);
    }
    let is_last = matches!(told.reported, Some((_, true)));
    if told.blind == Some(false) && !told.turned_down && !is_last {
        return (call.usd, call.tokens);
    }
    let counted = told.written + told.written / 20 + 256;
    let asked = (call.output.unwrap_or(0) + call.call.extra) * call.call.answers;
    // No more than it was told to write, unless it was seen to write more.
    let counted = counted.min(asked.max(told.written));
    let used: Tokens = match told.reported {
        // What contradicts itself is not believed below what was seen.
        Some((used, true)) if told.doubtful => {
            let said = used[4].saturating_add(used[5]);
            [used[0], used[1], used[2], used[3], told.written.max(said) - used[5], used[5]]
        }
        Some((used, true)) => used,
        Some((used, false)) => {
            let said = used[4].saturating_add(used[5]);
            [used[0], used[1], used[2], used[3], counted.max(said) - used[5], used[5]]
        }
        None => [sent.min(call.call.input), 0, 0, 0, counted, 0],
    };
    // Speed that was asked for is paid whatever tier served it.
    let tier = if call.call.tier == Some("fast") { call.call.tier } else { told.tier.or(call.call.tier) };
    let usd = price::cost(model, &used, tier, told.searches.unwrap_or(0))
        .unwrap_or_else(|| price::dearest(model, &used).max(call.usd));
    let most = u128::from(u64::MAX);
    (usd.min(most), price::all(&used).min(most))
}

/// The number of the window that a moment is in.
fn window(per: Per, at: u64) -> u64 {
    let hours = at / HOUR + BEGINS.0;
    let mut days = hours * HOUR / DAY + BEGINS.1;
    match per {
        Per::Life => 0,
        Per::Hour => hours,
        Per::Day => days,
        Per::Month => {
            let mut month = 0;
            while days >= MONTHS[month] {
                days -= MONTHS[month];
                month += 1;
            }
            month as u64
        }
    }
}

impl Whose {
    pub fn level(self) -> Level {
        match self {
            Self::Run(_) => Level::Run,
            Self::Conversation(..) => Level::Conversation,
            Self::Agent(_) => Level::Agent,
            Self::User(..) => Level::User,
            Self::Workspace(_) => Level::Workspace,
        }
    }
}
