//! Guards against runs that go on without getting anywhere.
//!
//! A request carries its whole conversation, so most of what a loop is can be seen in it ([`Trail`]); what cannot is
//! remembered for the last conversations of a run.

use std::collections::VecDeque;
use std::time::Duration;

use ringfence_types::{Code, Digest, Timestamp};

use super::{Trail, TrailStep};
use crate::guard::{Breaker, Health, Repetition, Step};
use crate::objection::Objection;
use crate::setup::BreakerSetup;

/// Conversations of a run that are told apart; of more, those that came last.
const THREADS_MAX: usize = 32;

/// How long a run is held back after too many errors in a row, until one more call may try.
const ERRORS_PAUSE: Duration = Duration::from_secs(30);

/// When a run counts as looping; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopLimits {
    /// So many calls in a row whose conversation grows without a new result of a tool or message of the user.
    pub stale: Option<u32>,
    /// So many times in a row the same call of a tool has failed in the same way.
    pub failing: Option<u32>,
    /// So many errors of providers in a row.
    pub errors: Option<u32>,
}

/// What is remembered of a run. Gone after a restart.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    threads: VecDeque<Thread>,
    errors: Breaker,
}

/// One conversation.
#[derive(Debug)]
struct Thread {
    root: Digest,
    results: u64,
    users: u64,
    messages: u64,
    /// Calls in a row that grew without anything new.
    stale: u32,
}

// === impl Loops ===

impl Loops {
    /// Whether the call that carries this would go on with a loop. `repetition` bounds cycles of any kind.
    pub(crate) fn check(
        &self,
        trail: Option<&Trail>,
        limits: LoopLimits,
        repetition: Option<u32>,
        now: Timestamp,
    ) -> Result<(), Objection> {
        if let Some(setup) = errors(limits)
            && let Err(wait) = self.errors.check(setup, now)
        {
            let reason =
                "The models that this run called failed too often in a row. Stop, and tell the user.";
            return Err(Objection::new(Code::BreakerOpen, reason).retry_after(wait));
        }
        let Some(trail) = trail else { return Ok(()) };
        failing(trail, limits)?;
        cycling(trail, repetition)?;
        self.stale(trail, limits)
    }

    fn stale(&self, trail: &Trail, limits: LoopLimits) -> Result<(), Objection> {
        let (Some(bound), Some(thread)) = (limits.stale, self.thread(trail)) else { return Ok(()) };
        if thread.grows(trail) && thread.stale >= bound {
            let reason = format!(
                "This conversation has grown {bound} times without a new result of a tool or a word of the user. \
                 Stop, and tell the user what you have."
            );
            return Err(Objection::new(Code::Repetition, reason));
        }
        Ok(())
    }

    fn thread(&self, trail: &Trail) -> Option<&Thread> {
        self.threads.iter().find(|thread| thread.root == trail.root)
    }

    /// The call was cleared.
    pub(crate) fn cleared(&mut self, trail: Option<&Trail>, limits: LoopLimits) -> bool {
        if let Some(trail) = trail {
            let at = self.threads.iter().position(|thread| thread.root == trail.root);
            let known = at.and_then(|at| self.threads.remove(at));
            let stale = known.map_or(0, |known| match known.grows(trail) {
                true => known.stale.saturating_add(1),
                false if known.is_same(trail) => known.stale,
                false => 0,
            });
            self.threads.push_back(Thread::of(trail, stale));
            if self.threads.len() > THREADS_MAX {
                self.threads.pop_front();
            }
        }
        errors(limits).is_some() && self.errors.take()
    }

    /// The call was settled. `probe`: as [`Loops::cleared`] said.
    pub(crate) fn ended(&mut self, health: Health, probe: bool, limits: LoopLimits, now: Timestamp) {
        if let Some(setup) = errors(limits) {
            self.errors.ended(health, probe, setup, now);
        }
    }
}

fn errors(limits: LoopLimits) -> Option<BreakerSetup> {
    limits.errors.map(|failures| BreakerSetup { failures, open_for: ERRORS_PAUSE })
}

/// The same call of a tool, failed in the same way again and again.
fn failing(trail: &Trail, limits: LoopLimits) -> Result<(), Objection> {
    let Some(bound) = limits.failing else { return Ok(()) };
    let Some(last) = trail.steps.last().filter(|step| step.failed) else { return Ok(()) };
    let same = trail.steps.iter().rev().take_while(|step| *step == last).count();
    if same < bound as usize {
        return Ok(());
    }
    let reason =
        format!("The same tool call has failed {same} times in the same way. Stop, or do something else.");
    Err(Objection::new(Code::Repetition, reason))
}

/// Model and tool play the same few steps to each other.
fn cycling(trail: &Trail, bound: Option<u32>) -> Result<(), Objection> {
    let Some(bound) = bound else { return Ok(()) };
    let mut repetition = Repetition::default();
    for TrailStep { call, result, .. } in &trail.steps {
        repetition.settled(Step { call: *call, result: *result }, bound);
    }
    repetition.cycle(bound).map_or(Ok(()), |length| {
        let what = if length == 1 {
            "The same tool call".to_owned()
        } else {
            format!("The same cycle of {length} tool calls")
        };
        let reason =
            format!("{what} was made {bound} times with the same result. Stop, or do something else.");
        Err(Objection::new(Code::Repetition, reason))
    })
}

// === impl Thread ===

impl Thread {
    fn of(trail: &Trail, stale: u32) -> Self {
        let Trail { root, results, users, messages, .. } = *trail;
        Self { root, results, users, messages, stale }
    }

    /// Whether the conversation has grown since, and nothing new is in it.
    fn grows(&self, trail: &Trail) -> bool {
        trail.messages > self.messages && trail.results <= self.results && trail.users <= self.users
    }

    fn is_same(&self, trail: &Trail) -> bool {
        trail.messages == self.messages && trail.results == self.results && trail.users == self.users
    }
}

// === impl LoopLimits ===

impl Default for LoopLimits {
    fn default() -> Self {
        Self { stale: Some(8), failing: Some(5), errors: Some(5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LoopLimits = LoopLimits { stale: Some(3), failing: Some(3), errors: Some(2) };
    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn step(call: &str, result: &str, failed: bool) -> TrailStep {
        TrailStep { call: digest(call), result: digest(result), failed }
    }

    fn trail(steps: &[TrailStep], messages: u64) -> Trail {
        Trail { root: digest("root"), steps: steps.to_vec(), results: steps.len() as u64, users: 1, messages }
    }

    fn code(checked: Result<(), Objection>) -> Option<Code> {
        checked.err().map(|objection| objection.code)
    }

    fn fresh(trail: &Trail) -> Option<Code> {
        code(Loops::default().check(Some(trail), LIMITS, Some(5), NOW))
    }

    #[test]
    fn a_call_that_fails_in_the_same_way_again_and_again_is_a_loop() {
        let failed = step("a", "no", true);
        assert_eq!(fresh(&trail(&[failed; 2], 5)), None);
        assert_eq!(fresh(&trail(&[failed; 3], 5)), Some(Code::Repetition));
        assert_eq!(fresh(&trail(&[failed, failed, step("a", "other", true)], 5)), None);
        assert_eq!(fresh(&trail(&[step("a", "yes", false); 3], 5)), None, "only the bound on cycles counts");
    }

    #[test]
    fn ping_pong_between_model_and_tools_is_a_loop() {
        let (a, b) = (step("a", "1", false), step("b", "2", false));
        assert_eq!(fresh(&trail(&[a, b, a, b, a, b, a, b], 20)), None);
        assert_eq!(fresh(&trail(&[a, b, a, b, a, b, a, b, a, b], 20)), Some(Code::Repetition));
        assert_eq!(fresh(&trail(&[a; 5], 20)), Some(Code::Repetition));
    }

    #[test]
    fn a_conversation_that_only_grows_is_a_loop() {
        let mut loops = Loops::default();
        let call = |loops: &mut Loops, trail: &Trail| {
            let checked = code(loops.check(Some(trail), LIMITS, Some(5), NOW));
            if checked.is_none() {
                loops.cleared(Some(trail), LIMITS);
            }
            checked
        };
        for messages in 2..=5 {
            assert_eq!(call(&mut loops, &trail(&[], messages)), None, "{messages}");
            assert_eq!(call(&mut loops, &trail(&[], messages)), None, "asking the same again is no growth");
        }
        assert_eq!(call(&mut loops, &trail(&[], 6)), Some(Code::Repetition));
        let news = trail(&[step("a", "1", false)], 7);
        assert_eq!(call(&mut loops, &news), None, "a result of a tool is something new");
        assert_eq!(call(&mut loops, &trail(&[step("a", "1", false)], 8)), None);
        let other = Trail { root: digest("other"), ..trail(&[], 9) };
        assert_eq!(call(&mut loops, &other), None, "another conversation stands for itself");
    }

    #[test]
    fn errors_in_a_row_hold_a_run_back_for_a_while() {
        let mut loops = Loops::default();
        for health in [Health::Failed, Health::Answered, Health::Failed, Health::Failed] {
            assert_eq!(code(loops.check(None, LIMITS, None, NOW)), None);
            let probe = loops.cleared(None, LIMITS);
            loops.ended(health, probe, LIMITS, NOW);
        }
        assert_eq!(code(loops.check(None, LIMITS, None, NOW)), Some(Code::BreakerOpen));
        assert_eq!(code(loops.check(None, LIMITS, None, NOW.after(ERRORS_PAUSE))), None);
        let off = LoopLimits { errors: None, ..LIMITS };
        assert_eq!(code(loops.check(None, off, None, NOW)), None);
    }

    #[test]
    fn what_is_remembered_of_a_run_is_bounded() {
        let mut loops = Loops::default();
        for number in 0..1_000 {
            loops.cleared(Some(&Trail { root: digest(&number.to_string()), ..trail(&[], 1) }), LIMITS);
        }
        assert_eq!(loops.threads.len(), THREADS_MAX);
    }
}
