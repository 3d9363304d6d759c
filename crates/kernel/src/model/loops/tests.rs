use ringfence_types::Digest;

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
    Trail {
        root: digest("root"),
        steps: steps.to_vec(),
        results: steps.len() as u64,
        users: 1,
        messages,
        last_user: digest("do it"),
    }
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

/// Makes a call and settles it; what it was refused with, if it was.
fn call(loops: &mut Loops, trail: &Trail, answered: bool) -> Option<Code> {
    let checked = code(loops.check(Some(trail), LIMITS, Some(60), NOW));
    if checked.is_none() {
        let probe = loops.cleared(Some(trail), LIMITS);
        loops.ended(Some(trail), Ended { health: Health::Untold, probe, answered }, LIMITS, NOW);
    }
    checked
}

#[test]
fn the_same_failing_result_shown_again_and_again_is_a_loop() {
    let (failed, other) = (step("a", "no", true), step("b", "yes", false));
    for (what, shown) in [
        ("the same request", [trail(&[failed], 3), trail(&[failed], 3), trail(&[failed], 3)]),
        (
            "a window that slides",
            [trail(&[other, failed], 5), trail(&[failed, failed], 5), trail(&[failed, failed], 5)],
        ),
        (
            "a window that is shorter at times",
            [trail(&[other, failed], 5), trail(&[failed], 3), trail(&[other, failed], 5)],
        ),
        (
            "one that grows",
            [trail(&[other, failed], 5), trail(&[other, failed], 6), trail(&[other, failed], 7)],
        ),
    ] {
        let mut loops = Loops::default();
        assert_eq!(call(&mut loops, &shown[0], true), None, "{what}");
        assert_eq!(call(&mut loops, &shown[1], true), None, "{what}");
        assert_eq!(call(&mut loops, &shown[2], true), Some(Code::Repetition), "{what}");
        let news = trail(&[failed, other], 9);
        assert_eq!(call(&mut loops, &news, true), None, "{what}: something else was done");
        assert_eq!(call(&mut loops, &shown[2], true), None, "{what}: the count starts again");
        let elsewhere = Trail { root: digest("elsewhere"), ..shown[2].clone() };
        assert_eq!(call(&mut loops, &elsewhere, true), None, "{what}: another conversation");
    }
}

#[test]
fn a_failing_result_is_shown_again_for_good_reasons() {
    let failed = step("a", "no", true);
    let mut loops = Loops::default();
    for turn in 0..10 {
        let asked = Trail { users: 1 + turn, ..trail(&[failed], 3 + 2 * turn) };
        assert_eq!(call(&mut loops, &asked, true), None, "the user has a word about it, {turn}");
    }
    let mut loops = Loops::default();
    for turn in 0..10 {
        let asked = Trail { last_user: digest(&turn.to_string()), ..trail(&[failed], 10) };
        assert_eq!(
            call(&mut loops, &asked, true),
            None,
            "and the client keeps the last ten messages, {turn}"
        );
    }
    let mut loops = Loops::default();
    for turn in 0..10 {
        let done = step("b", &turn.to_string(), false);
        assert_eq!(
            call(&mut loops, &trail(&[done, failed], 10), true),
            None,
            "beside one that works, {turn}"
        );
    }
}

#[test]
fn what_is_sent_again_because_nobody_answered_is_neither_a_loop_nor_progress() {
    let shown = trail(&[step("a", "no", true)], 3);
    let mut loops = Loops::default();
    for _ in 0..10 {
        assert_eq!(call(&mut loops, &shown, false), None);
    }
    assert_eq!(call(&mut loops, &shown, true), None);
    for _ in 0..10 {
        assert_eq!(call(&mut loops, &shown, false), None);
    }
    assert_eq!(call(&mut loops, &shown, true), None);
    assert_eq!(call(&mut loops, &shown, false), Some(Code::Repetition));
    // Calls that are under way have been shown to the model until the contrary is known.
    let mut loops = Loops::default();
    for _ in 0..2 {
        loops.cleared(Some(&shown), LIMITS);
    }
    assert_eq!(call(&mut loops, &shown, true), Some(Code::Repetition));
}

#[test]
fn bounds_above_the_steps_that_a_request_shows_hold_too() {
    /// As many steps as a request shows.
    const SHOWN: usize = 40;
    let limits = LoopLimits { failing: Some(50), ..LIMITS };
    let cycle = ["a", "b", "c", "d"].map(|tool| step(tool, "same", true));
    for length in 1..=4 {
        let mut loops = Loops::default();
        let steps: Vec<_> = cycle[..length].iter().copied().cycle().take(300).collect();
        let refused = (1..300_usize).find(|count| {
            let shown =
                Trail { results: *count as u64, ..trail(&steps[count.saturating_sub(SHOWN)..*count], 9) };
            let repetition = Some(20).filter(|_| length > 1);
            let checked = loops.check(Some(&shown), limits, repetition, NOW);
            loops.cleared(Some(&shown), limits);
            checked.is_err()
        });
        let expected = if length == 1 { 50 } else { 20 * length };
        assert_eq!(refused, Some(expected), "a cycle of {length}");
    }
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
        loops.ended(None, Ended { health, probe, answered: true }, LIMITS, NOW);
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
