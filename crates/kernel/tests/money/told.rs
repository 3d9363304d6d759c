//! What somebody who executes a call learns of what it used, in the order in which it is told.

use crate::common::random::Random;
use crate::steps::How;
use crate::world::Call;

/// Tokens in the order of [`crate::world::Rates`].
pub type Tokens = [u64; 6];

/// How the outcome is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Completed,
    Failed,
    Cancelled,
    NotSent,
    Dropped,
}

#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Sent once before, with so much written, and turned down.
    pub before: Option<u64>,
    /// The input that was sent, as it was estimated.
    pub sent: Option<u64>,
    pub written: u64,
    pub turned_down: bool,
    /// What is written cannot be seen, and whether it could at the end.
    pub blind: Option<bool>,
    /// What the provider reported, and whether that was all.
    pub reported: Option<(Tokens, bool)>,
    pub tier: Option<&'static str>,
    pub searches: Option<u64>,
    pub doubtful: bool,
    pub end: End,
}

impl Told {
    /// Of a call that was cleared with so many tokens to write.
    pub fn of(how: How, call: Call, output: Option<u64>, numbers: u64) -> Self {
        let mut random = Random::new(numbers);
        let most = output.unwrap_or(0).saturating_mul(call.answers);
        let written = if most == 0 { 0 } else { random.next() % (most + 1) };
        let told = Self {
            before: None,
            sent: Some(call.input - random.next() % call.input.min(300)),
            written,
            turned_down: false,
            blind: None,
            reported: None,
            tier: None,
            searches: None,
            doubtful: false,
            end: End::Completed,
        };
        let reported = |random: &mut Random, last| Some((within(random, call, most), last));
        match how {
            How::Reported => Self {
                reported: reported(&mut random, true),
                tier: if random.once_in(4) { call.tier.or(Some("default")) } else { None },
                searches: (call.searches > 0).then(|| random.next() % (call.searches + 1)),
                ..told
            },
            How::Partly => Self { reported: reported(&mut random, false), end: End::Cancelled, ..told },
            How::Counted => Self { end: random.pick(&[End::Completed, End::Failed, End::Cancelled]), ..told },
            How::Blind => {
                let reported =
                    if random.once_in(4) { reported(&mut random, random_bit(numbers)) } else { None };
                Self { blind: Some(random_bit(numbers >> 1)), reported, end: End::Cancelled, ..told }
            }
            How::TurnedDown => {
                let written = if random.once_in(3) { written } else { 0 };
                Self { turned_down: true, written, end: End::Failed, ..told }
            }
            How::Again => Self { before: Some(written), reported: reported(&mut random, true), ..told },
            How::Doubtful => Self { reported: reported(&mut random, true), doubtful: true, ..told },
            How::Over => Self {
                reported: Some((over(&mut random, call, most), random.once_in(2))),
                tier: random.pick(&[None, Some("priority"), Some("unheard-of")]),
                searches: random.once_in(3).then_some(call.searches + 1),
                ..told
            },
            How::Lies => Self { reported: Some(([u64::MAX, 1, 2, 3, u64::MAX, 7], true)), ..told },
            How::NotSent => Self { end: End::NotSent, ..told },
            How::Dropped => {
                let sent = if random.once_in(2) { None } else { told.sent };
                Self { sent, written: if sent.is_some() { written } else { 0 }, end: End::Dropped, ..told }
            }
        }
    }
}

fn random_bit(numbers: u64) -> bool {
    numbers & 1 == 1
}

/// What such a call may come to: no more is read than was expected, and of no dearer kind.
fn within(random: &mut Random, call: Call, most: u64) -> Tokens {
    let mut left = call.input;
    let mut take = |wanted: bool, random: &mut Random| {
        let some = if wanted { random.next() % (left + 1) } else { 0 };
        left -= some;
        some
    };
    let cached = take(true, random);
    let (short, hour) = (take(call.cache >= 1, random), take(call.cache == 2, random));
    let written = if random.once_in(4) { most } else { random.next() % (most + 1) };
    let thought = if random.once_in(3) { random.next() % (written + 1) } else { 0 };
    [left, cached, short, hour, written - thought, thought]
}

fn over(random: &mut Random, call: Call, most: u64) -> Tokens {
    let more = |random: &mut Random| random.next() % 3_000;
    [call.input + more(random), more(random), more(random), 0, most + more(random), more(random)]
}
