//! What can happen, and random sequences of it. A step names what it is about by a number that is taken modulo what
//! there is, so a sequence from which steps were removed is still one.

use crate::common::random::Random;

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Mint {
        agent: usize,
        user: usize,
    },
    /// `patient`: the agent waits for a person; otherwise it is gone when it would have to.
    Call {
        run: usize,
        call: usize,
        patient: bool,
    },
    Settle {
        held: usize,
        how: How,
    },
    Approve {
        request: usize,
        person: usize,
        narrowing: usize,
    },
    Deny {
        request: usize,
        person: usize,
    },
    Advance {
        seconds: u64,
    },
    Tend,
    Suspend {
        scope: usize,
        run: usize,
        seconds: Option<u64>,
    },
    Resume {
        suspension: usize,
    },
    Kill {
        run: usize,
    },
    Configure {
        config: usize,
    },
    /// A server lists its tools: one of them possibly changed, one possibly missing.
    List {
        server: usize,
        changed: Option<usize>,
        missing: Option<usize>,
    },
    Pin {
        server: usize,
    },
    Restart {
        how: Down,
    },
}

/// How an executor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Completed {
        result: u8,
    },
    /// The upstream is at fault.
    Failed,
    /// A JSON-RPC error: the upstream is well.
    Said,
    Cancelled,
    NotSent,
    /// There was no way to the upstream.
    Unreachable,
    Dropped,
    /// Neither settled nor dropped.
    Forgotten,
}

/// How a node goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// In good order, with a snapshot.
    Stopped,
    /// Without one.
    Closed,
    /// The power fails.
    Crashed,
}

/// A sequence of 20 to 60 steps, which starts with two runs.
pub fn sequence(random: &mut Random) -> Vec<Step> {
    // Most sequences dwell on a few calls: that is where approvals, breakers and repetition meet.
    let favourites: Vec<usize> = (0..3).map(|_| random.below(1000)).collect();
    let length = 20 + random.below(41);
    let mut steps: Vec<Step> = (0..2).map(|_| mint(random)).collect();
    // In some, the upstreams are ill most of the time.
    let ill = random.once_in(4);
    steps.extend((0..length).map(|_| step(random, &favourites, ill)));
    steps
}

fn mint(random: &mut Random) -> Step {
    Step::Mint { agent: random.below(3), user: random.below(3) }
}

fn step(random: &mut Random, favourites: &[usize], ill: bool) -> Step {
    let some = random.below(1000);
    match random.below(100) {
        0..=43 => Step::Call {
            run: random.below(4),
            call: if random.once_in(3) { some } else { random.pick(favourites) },
            patient: !random.once_in(4),
        },
        44..=58 => Step::Settle {
            held: some,
            how: if ill && !random.once_in(5) { How::Failed } else { how(random) },
        },
        59..=69 => Step::Approve {
            request: some,
            person: random.below(5),
            narrowing: if random.once_in(4) { 1 + random.below(3) } else { 0 },
        },
        70..=71 => Step::Deny { request: some, person: random.below(5) },
        72..=77 => Step::Advance { seconds: random.pick(&[1, 20, 31, 61, 125, 301, 601, 1201, 3700]) },
        78..=81 => Step::Tend,
        82..=85 => Step::Suspend {
            scope: random.below(12),
            run: some,
            seconds: if random.once_in(2) { Some(random.pick(&[30, 600])) } else { None },
        },
        86..=89 => Step::Resume { suspension: some },
        90 => Step::Kill { run: some },
        91 => mint(random),
        92..=94 => Step::Configure { config: random.below(5) },
        95 => Step::List {
            server: random.below(4),
            changed: if random.once_in(2) { Some(random.below(3)) } else { None },
            missing: if random.once_in(4) { Some(random.below(3)) } else { None },
        },
        96 => Step::Pin { server: random.below(4) },
        _ => Step::Restart { how: random.pick(&[Down::Stopped, Down::Closed, Down::Crashed]) },
    }
}

fn how(random: &mut Random) -> How {
    match random.below(20) {
        0..=8 => How::Completed { result: u8::from(random.once_in(6)) },
        9..=12 => How::Failed,
        13 => How::Unreachable,
        14 => How::Said,
        15 => How::Cancelled,
        16 => How::NotSent,
        17 | 18 => How::Dropped,
        _ => How::Forgotten,
    }
}
