//! Step 5: the limits of a run, of a rule, of an upstream.

use ringfence_types::{Code, Level, Timestamp};

use crate::ModelCall;
use crate::admit::Attempt;
use crate::ask::What;
use crate::fold::{Account, RunState};
use crate::model::Loops;
use crate::objection::Objection;
use crate::setup::AgentSetup;
use crate::spawn::room;
use crate::state::State;
use crate::view::View;
use crate::weigh::Weighed;

/// Whether every limit has room for this call. Takes nothing.
pub(crate) fn limits(
    state: &State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    weighed: &Weighed,
    now: Timestamp,
) -> Result<(), Objection> {
    concurrency(state, attempt, view)?;
    actions(state, attempt, view)?;
    rates(state, attempt, weighed, now)?;
    breaker(state, attempt, view, now)?;
    match &attempt.ask.what {
        What::Server { .. } => repetition(state, attempt, view),
        // To ask a host for the same again is how programs wait for something.
        What::Egress(_) => Ok(()),
        What::Spawn(_) => {
            room(state, &attempt.ask.run, now)?;
            repetition(state, attempt, view)
        }
        What::Model(call) => {
            model_calls(state, attempt, view)?;
            conversations(state, attempt)?;
            loops(state, attempt, view, call, now)
        }
    }
}

fn concurrency(state: &State, attempt: &Attempt<'_>, view: View<'_>) -> Result<(), Objection> {
    if !attempt.ask.target().takes_turn() {
        return Ok(());
    }
    each_of_line(state, attempt, view, |known, agent, who| match agent.limits.concurrent {
        Some(most) if state.in_flight(known.run.id) >= most => {
            let reason =
                format!("{who} has {most} actions under way, as many as it may. Wait for one to end.");
            Err(Objection::new(Code::RateLimited, reason).retry_after(std::time::Duration::from_millis(200)))
        }
        _ => Ok(()),
    })
}

fn actions(state: &State, attempt: &Attempt<'_>, view: View<'_>) -> Result<(), Objection> {
    each_of_line(state, attempt, view, |known, agent, who| {
        let most = agent.limits.actions.into_iter().chain(known.run.bounds.actions).min();
        match most {
            Some(most) if known.actions + known.actions_below >= most => {
                let reason = format!("{who} has used its {most} actions. Finish with what you have.");
                Err(Objection::new(Code::OverBudget, reason))
            }
            _ => Ok(()),
        }
    })
}

/// Looks at the run, and at everybody above it: what a run does counts for those too. `look` is given who it is, in words.
fn each_of_line(
    state: &State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    look: impl Fn(&RunState, &AgentSetup, &'static str) -> Result<(), Objection>,
) -> Result<(), Objection> {
    let run = &attempt.ask.run;
    if let Some(known) = state.fold.runs.get(run.id) {
        look(known, view.agent, "This run")?;
    }
    run.above.iter().try_for_each(|ancestor| {
        let known = state.fold.runs.get(ancestor.run);
        let agent = view.workspace.agents.get(&ancestor.agent);
        match known.zip(agent) {
            Some((known, agent)) => {
                look(known, agent, "The run that started this one, with all that it started,")
            }
            // `standing` and `View::of` have refused it.
            None => Err(Objection::new(Code::Suspended, "The run that started this one has ended.")),
        }
    })
}

fn rates(state: &State, attempt: &Attempt<'_>, weighed: &Weighed, now: Timestamp) -> Result<(), Objection> {
    for limit in &weighed.verdict.obligations.rates {
        let key = (attempt.ask.run.workspace.clone(), limit.rule.clone());
        let meter = state.meters.get(&key).copied().unwrap_or_default();
        meter.check(limit.rate, now).map_err(|wait| {
            let reason =
                format!("The rule {} lets {} such calls through. Try again later.", limit.rule, limit.rate);
            Objection::new(Code::RateLimited, reason).rule(Some(limit.rule.clone())).retry_after(wait)
        })?;
    }
    Ok(())
}

fn breaker(state: &State, attempt: &Attempt<'_>, view: View<'_>, now: Timestamp) -> Result<(), Objection> {
    if is_cached(attempt) {
        return Ok(());
    }
    let Some(upstream) = attempt.ask.target().upstream() else { return Ok(()) };
    let key = (attempt.ask.run.workspace.clone(), upstream);
    let Some(breaker) = state.breakers.get(&key) else { return Ok(()) };
    breaker.check(view.breaker(), now).map_err(|wait| {
        let name = key.1.name();
        let reason =
            format!("{name} failed too often in a row and is left alone for a while. Use something else.");
        Objection::new(Code::BreakerOpen, reason).retry_after(wait)
    })
}

/// Whether nothing goes out, because an answer was kept.
pub(crate) fn is_cached(attempt: &Attempt<'_>) -> bool {
    attempt.ask.model().is_some_and(|call| call.cached)
}

fn model_calls(state: &State, attempt: &Attempt<'_>, view: View<'_>) -> Result<(), Objection> {
    each_of_line(state, attempt, view, |known, agent, who| match agent.models.calls {
        Some(most) if known.model_calls + known.model_calls_below >= most => {
            let reason = format!("{who} has used its {most} model calls. Finish with what you have.");
            Err(Objection::new(Code::OverBudget, reason))
        }
        _ => Ok(()),
    })
}

/// The names of conversations are the agent's to invent: how many there are is bounded.
fn conversations(state: &State, attempt: &Attempt<'_>) -> Result<(), Objection> {
    let accounts = &state.fold.accounts;
    if accounts.conversations().has_room(&attempt.ask.run.workspace, attempt.setup.workspaces.len()) {
        return Ok(());
    }
    let all = Account::all_of(&attempt.subject());
    let is_new =
        |account: &Account| account.level() == Level::Conversation && accounts.get(account).is_none();
    if all.iter().any(is_new) {
        let reason = "This workspace has as many conversations as are added up for it. Go on with one of them; those that count against no budget make room when they are silent.";
        return Err(Objection::new(Code::Overloaded, reason));
    }
    Ok(())
}

fn loops(
    state: &State,
    attempt: &Attempt<'_>,
    view: View<'_>,
    call: &ModelCall,
    now: Timestamp,
) -> Result<(), Objection> {
    let fresh = Loops::default();
    let loops = state.runs.get(&attempt.ask.run.id).map_or(&fresh, |guard| &guard.loops);
    loops.check(call.trail.as_ref(), view.agent.models.loops, view.agent.limits.repetition, now)
}

fn repetition(state: &State, attempt: &Attempt<'_>, view: View<'_>) -> Result<(), Objection> {
    let Some(bound) = view.agent.limits.repetition else { return Ok(()) };
    let guard = state.runs.get(&attempt.ask.run.id);
    let cycle = guard.and_then(|guard| guard.repetition.continues(attempt.call_digest(), bound));
    cycle.map_or(Ok(()), |length| {
        let what = if length == 1 { "This call".to_owned() } else { format!("This cycle of {length} calls") };
        let reason =
            format!("{what} was made {bound} times with the same result. Stop, or do something else.");
        Err(Objection::new(Code::Repetition, reason))
    })
}
