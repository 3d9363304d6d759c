//! What is remembered of one conversation, because a request does not show it.

use ringfence_types::Digest;

use crate::guard::{Repetition, Step};
use crate::model::{Trail, TrailStep};

/// One conversation.
#[derive(Debug)]
pub(super) struct Thread {
    root: Digest,
    results: u64,
    users: u64,
    messages: u64,
    last_user: Digest,
    /// Calls in a row that grew without anything new.
    stale: u32,
    /// The failing result that the model was shown last.
    shown: Option<Shown>,
    cycle: Option<Cycle>,
}

/// The failing steps at the end of a request that are all the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streak {
    step: TrailStep,
    /// What was done before them, if the request still has it.
    before: Option<TrailStep>,
    /// How many.
    pub length: u32,
}

/// A failing result, and how many calls in a row have shown it to the model.
#[derive(Debug)]
struct Shown {
    step: TrailStep,
    before: Option<TrailStep>,
    times: u32,
}

/// All steps of a request are rounds of one cycle.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    /// Its length, in steps.
    length: usize,
    /// How many results there were before it began.
    since: u64,
}

/// The failing steps at the end of a request.
pub(super) fn streak(trail: &Trail) -> Option<Streak> {
    let step = *trail.steps.last().filter(|step| step.failed)?;
    let length = trail.steps.iter().rev().take_while(|other| **other == step).count();
    let before = trail.steps.len().checked_sub(length + 1).and_then(|at| trail.steps.get(at));
    Some(Streak { step, before: before.copied(), length: u32::try_from(length).unwrap_or(u32::MAX) })
}

/// The length of a cycle that has gone on for longer than the steps in a request can show.
pub(super) fn long_cycle(thread: Option<&Thread>, trail: &Trail, bound: u32) -> Option<usize> {
    let cycle = Cycle::of(thread.and_then(|thread| thread.cycle), trail)?;
    let steps = trail.results.saturating_sub(cycle.since);
    (steps >= (cycle.length as u64).saturating_mul(bound.into())).then_some(cycle.length)
}

// === impl Thread ===

impl Thread {
    pub(super) fn is_of(&self, trail: &Trail) -> bool {
        self.root == trail.root
    }

    /// What is known once a call with this has been cleared.
    pub(super) fn after(known: Option<&Self>, trail: &Trail) -> Self {
        let Trail { root, results, users, messages, last_user, .. } = *trail;
        let stale = known.map_or(0, |known| match known.grows(trail) {
            true => known.stale.saturating_add(1),
            false if known.is_same(trail) => known.stale,
            false => 0,
        });
        let shown = streak(trail).map(|streak| {
            let times = known.map_or(0, |known| known.shown(&streak, trail)).saturating_add(1);
            let earlier = known.and_then(|known| known.shown.as_ref()).and_then(|shown| shown.before);
            let Streak { step, before, length } = streak;
            Shown { step, before: before.or(earlier), times: times.max(length) }
        });
        let cycle = Cycle::of(known.and_then(|known| known.cycle), trail);
        Self { root, results, users, messages, last_user, stale, shown, cycle }
    }

    /// How many calls in a row have shown the model this, since anything else happened.
    pub(super) fn shown(&self, streak: &Streak, trail: &Trail) -> u32 {
        let Some(shown) = self.shown.as_ref().filter(|shown| shown.step == streak.step) else { return 0 };
        // A word of the user is a reason to ask again, and so is another step in between. What a client has cut off at
        // the beginning is neither.
        let is_asked = trail.users > self.users || trail.last_user != self.last_user;
        let is_other = streak.before.is_some() && streak.before != shown.before;
        if is_asked || is_other { 0 } else { shown.times }
    }

    /// A call with this was cleared and not answered.
    pub(super) fn unanswered(&mut self, trail: &Trail) {
        let last = trail.steps.last();
        if let Some(shown) = self.shown.as_mut().filter(|shown| Some(&shown.step) == last) {
            shown.times = shown.times.saturating_sub(1);
        }
    }

    /// Whether a call with this would be one more than `bound` that grow without anything new.
    pub(super) fn is_stale(&self, trail: &Trail, bound: u32) -> bool {
        self.grows(trail) && self.stale >= bound
    }

    /// Whether the conversation has grown since, and nothing new is in it.
    fn grows(&self, trail: &Trail) -> bool {
        trail.messages > self.messages && trail.results <= self.results && trail.users <= self.users
    }

    fn is_same(&self, trail: &Trail) -> bool {
        trail.messages == self.messages && trail.results == self.results && trail.users == self.users
    }
}

// === impl Cycle ===

impl Cycle {
    /// The cycle that all steps of a request are rounds of, which may be one that is known already.
    fn of(known: Option<Self>, trail: &Trail) -> Option<Self> {
        let steps = trail.steps.iter().map(|step| Step { call: step.call, result: step.result });
        let length = Repetition::of(steps).whole()?;
        let since = trail.results.saturating_sub(trail.steps.len() as u64);
        let known = known.filter(|known| known.length == length && known.since <= since);
        Some(known.unwrap_or(Self { length, since }))
    }
}
