//! What can happen, and random sequences of it. A step names what it is about by a number that is taken modulo what
//! there is, so a sequence from which steps were removed is still one.

use crate::common::random::Random;
use crate::world::{Call, MODELS};

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Mint {
        agent: usize,
        user: usize,
        conversation: usize,
    },
    Call {
        run: usize,
        call: Call,
    },
    /// The agent is gone before its call is cleared.
    Gone {
        run: usize,
        call: Call,
    },
    Settle {
        held: usize,
        how: How,
        numbers: u64,
    },
    Advance {
        seconds: u64,
    },
    Configure {
        config: u64,
    },
    Suspend {
        wide: usize,
        run: usize,
    },
    Resume {
        suspension: usize,
    },
    Tend,
    Restart {
        how: Down,
    },
    /// The log fails under a call that is about to be cleared, and under one that ends meanwhile; and is back.
    LogFails {
        run: usize,
        call: Call,
        held: usize,
        how: How,
        numbers: u64,
    },
}

/// How a call ends, as far as money is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The provider said what was used, to the end.
    Reported,
    /// It said so, and not to the end.
    Partly,
    /// It said nothing.
    Counted,
    /// What was written could not be seen, or only at its end.
    Blind,
    /// It turned the call down, before or after it had written something.
    TurnedDown,
    /// It turned the call down and took it when it was sent again.
    Again,
    /// What it said cannot be true.
    Doubtful,
    /// More was used than was set aside, at a price that is known or not.
    Over,
    /// It says the largest numbers there are.
    Lies,
    /// Nothing was sent.
    NotSent,
    /// Dropped, before anything was sent or after.
    Dropped,
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

/// A sequence of 30 to 80 steps, which starts with a configuration and three runs.
pub fn sequence(random: &mut Random) -> Vec<Step> {
    let length = 30 + random.below(51);
    // The log takes its time to fail and to be back.
    let fails = random.once_in(6);
    let mut steps = vec![Step::Configure { config: random.next() % 1_000_000 }];
    steps.extend((0..3).map(|_| mint(random)));
    steps.extend((0..length).map(|_| step(random, fails)));
    steps
}

fn mint(random: &mut Random) -> Step {
    Step::Mint { agent: random.below(3), user: random.below(3), conversation: random.below(6) / 4 }
}

fn step(random: &mut Random, fails: bool) -> Step {
    let some = random.below(1000);
    match random.below(100) {
        0..=45 => Step::Call { run: random.below(4), call: call(random) },
        46..=48 => Step::Gone { run: some, call: call(random) },
        49..=72 => Step::Settle { held: some, how: how(random), numbers: random.next() },
        73..=80 => Step::Advance { seconds: advance(random) },
        81..=85 => Step::Configure { config: if random.once_in(6) { 0 } else { random.next() % 1_000_000 } },
        86 | 87 => Step::Suspend { wide: random.below(3), run: some },
        88..=91 => Step::Resume { suspension: some },
        92 => mint(random),
        93 | 94 => Step::Tend,
        95 if fails => Step::LogFails {
            run: random.below(4),
            call: call(random),
            held: some,
            how: how(random),
            numbers: random.next(),
        },
        _ if random.once_in(2) => {
            Step::Restart { how: random.pick(&[Down::Stopped, Down::Closed, Down::Crashed]) }
        }
        _ => Step::Settle { held: some, how: How::Over, numbers: random.next() },
    }
}

fn advance(random: &mut Random) -> u64 {
    const HOUR: u64 = 3600;
    random.pick(&[
        1,
        59,
        61,
        125,
        HOUR - 1,
        HOUR,
        HOUR,
        15 * HOUR,
        24 * HOUR,
        24 * HOUR,
        9 * 24 * HOUR,
        21 * 24 * HOUR,
    ])
}

fn call(random: &mut Random) -> Call {
    Call {
        model: if random.once_in(3) { 0 } else { random.below(MODELS.len()) },
        input: random.pick(&[1, 40, 400, 999, 1_000, 1_001, 2_000, 2_501, 3_000, 9_001]),
        output: if random.once_in(12) {
            None
        } else {
            Some(random.pick(&[1, 10, 100, 500, 3_000, 8_192, 1_000_000]))
        },
        extra: if random.once_in(12) { 1 + random.next() % 700 } else { 0 },
        answers: if random.once_in(5) { 1 + random.next() % 5 } else { 1 },
        cache: if random.once_in(3) { 1 + u8::from(random.once_in(2)) } else { 0 },
        tier: if random.once_in(4) {
            Some(
                random
                    .pick(&["default", "standard", "auto", "flex", "priority", "priority", "fast", "batch"]),
            )
        } else {
            None
        },
        searches: if random.once_in(9) { 1 + random.next() % 9 } else { 0 },
        conversation: random.below(3),
        kept: random.once_in(25),
    }
}

fn how(random: &mut Random) -> How {
    match random.below(30) {
        0..=9 => How::Reported,
        10..=12 => How::Partly,
        13..=16 => How::Counted,
        17 | 18 => How::TurnedDown,
        19 | 20 => How::Again,
        21 => How::Doubtful,
        22 | 23 => How::Over,
        24 if random.once_in(8) => How::Lies,
        24 | 25 => How::NotSent,
        26 => How::Blind,
        _ => How::Dropped,
    }
}
