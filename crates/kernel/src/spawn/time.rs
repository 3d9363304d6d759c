//! How long a run still has: itself, and whoever stands above it.

use std::time::Duration;

use ringfence_types::{Code, RunId, Timestamp};

use crate::fold::Phase;
use crate::objection::Objection;
use crate::state::State;
use crate::{Run, Setup};

/// When a run's time is up, if it has begun and is bounded: by its agent's configuration, or by what it was given.
pub(crate) fn wall_end(state: &State, setup: &Setup, run: &Run) -> Option<Timestamp> {
    let known = state.fold.runs.get(run.id)?;
    let started = known.first_used?;
    wall(setup, run).map(|wall| started.after(wall))
}

fn wall(setup: &Setup, run: &Run) -> Option<Duration> {
    let configured = setup.holder(run).and_then(|(_, agent)| agent.limits.wall);
    configured.into_iter().chain(run.bounds.wall).min()
}

/// What is left of a run and of those above it.
pub(crate) fn time_left(state: &State, setup: &Setup, run: &Run, now: Timestamp) -> Duration {
    let of = |run: &Run| {
        let started = state.fold.runs.get(run.id).and_then(|known| known.first_used).unwrap_or(now);
        let left = wall(setup, run).map(|wall| started.after(wall).since(now));
        left.into_iter().chain([run.expires_at.since(now)]).min().unwrap_or_default()
    };
    let above = run.above.iter().map(|ancestor| {
        let known = state.fold.runs.get(ancestor.run);
        known.map_or(Duration::ZERO, |known| of(&known.run))
    });
    above.fold(of(run), Duration::min)
}

/// Whether a run above another is still to act: what stands under one that is not does nothing any more.
pub(crate) fn standing_above(
    state: &State,
    setup: &Setup,
    ancestor: RunId,
    now: Timestamp,
) -> Result<(), Objection> {
    let known = state.fold.runs.get(ancestor);
    let Some(known) = known.filter(|it| it.ended.is_none() && it.phase() != Some(Phase::Stopping)) else {
        return Err(Objection::new(Code::Suspended, "The run that started this one has ended."));
    };
    let is_over = wall_end(state, setup, &known.run).is_some_and(|end| now >= end);
    if is_over || now >= known.run.expires_at {
        let reason = "The time of the run that started this one is up. Finish with what you have.";
        return Err(Objection::new(Code::Deadline, reason));
    }
    Ok(())
}
