//! Guards against runs that go on without getting anywhere.
//!
//! A request carries its whole conversation, so most of what a loop is can be seen in it ([`Trail`]); what cannot is
//! remembered for the last conversations of a run.

mod thread;

use std::collections::VecDeque;
use std::time::Duration;

use ringfence_types::{Code, Timestamp};

use self::thread::{Thread, streak};
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
    /// So many calls in a row that show the model the same failing result of a tool.
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

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// What it says of the models that the run calls.
    pub health: Health,
    /// As [`Loops::cleared`] said.
    pub probe: bool,
    /// Whether the model has answered, or begun to.
    pub answered: bool,
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
        let thread = self.threads.iter().find(|thread| thread.is_of(trail));
        failing(trail, thread, limits)?;
        cycling(trail, thread, repetition)?;
        stale(trail, thread, limits)
    }

    /// The call was cleared. Whether it is the one that finds out if models are well again.
    pub(crate) fn cleared(&mut self, trail: Option<&Trail>, limits: LoopLimits) -> bool {
        if let Some(trail) = trail {
            let at = self.threads.iter().position(|thread| thread.is_of(trail));
            let known = at.and_then(|at| self.threads.remove(at));
            self.threads.push_back(Thread::after(known.as_ref(), trail));
            if self.threads.len() > THREADS_MAX {
                self.threads.pop_front();
            }
        }
        errors(limits).is_some() && self.errors.take()
    }

    /// The call that carried this was settled.
    pub(crate) fn ended(&mut self, trail: Option<&Trail>, ended: Ended, limits: LoopLimits, now: Timestamp) {
        if let Some(setup) = errors(limits) {
            self.errors.ended(ended.health, ended.probe, setup, now);
        }
        // Clients send the same again when there was no answer, and so they should: that is no loop.
        if let Some(trail) = trail.filter(|_| !ended.answered)
            && let Some(thread) = self.threads.iter_mut().find(|thread| thread.is_of(trail))
        {
            thread.unanswered(trail);
        }
    }
}

fn errors(limits: LoopLimits) -> Option<BreakerSetup> {
    limits.errors.map(|failures| BreakerSetup { failures, open_for: ERRORS_PAUSE })
}

/// The same call of a tool, failed in the same way again and again: within this request, or shown by one request after
/// the other.
fn failing(trail: &Trail, thread: Option<&Thread>, limits: LoopLimits) -> Result<(), Objection> {
    let (Some(bound), Some(streak)) = (limits.failing, streak(trail)) else { return Ok(()) };
    let shown = thread.map_or(0, |thread| thread.shown(&streak, trail)).saturating_add(1);
    let reason = if streak.length >= bound {
        let times = streak.length;
        format!("The same tool call has failed {times} times in the same way. Stop, or do something else.")
    } else if shown >= bound {
        format!(
            "This is the call number {shown} in a row that shows the model the same failing result of a tool. \
             Stop, or do something else."
        )
    } else {
        return Ok(());
    };
    Err(Objection::new(Code::Repetition, reason))
}

/// Model and tool play the same few steps to each other.
fn cycling(trail: &Trail, thread: Option<&Thread>, bound: Option<u32>) -> Result<(), Objection> {
    let Some(bound) = bound else { return Ok(()) };
    let mut repetition = Repetition::default();
    for TrailStep { call, result, .. } in &trail.steps {
        repetition.settled(Step { call: *call, result: *result }, bound);
    }
    let seen = repetition.cycle(bound).or_else(|| thread::long_cycle(thread, trail, bound));
    seen.map_or(Ok(()), |length| {
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

/// The conversation grows, and nothing new comes into it.
fn stale(trail: &Trail, thread: Option<&Thread>, limits: LoopLimits) -> Result<(), Objection> {
    let (Some(bound), Some(thread)) = (limits.stale, thread) else { return Ok(()) };
    if !thread.is_stale(trail, bound) {
        return Ok(());
    }
    let reason = format!(
        "This conversation has grown {bound} times without a new result of a tool or a word of the user. \
         Stop, and tell the user what you have."
    );
    Err(Objection::new(Code::Repetition, reason))
}

// === impl LoopLimits ===

impl Default for LoopLimits {
    fn default() -> Self {
        Self { stale: Some(8), failing: Some(5), errors: Some(5) }
    }
}

#[cfg(test)]
mod tests;
