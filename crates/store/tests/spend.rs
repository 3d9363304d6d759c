//! What model calls came to: sums from the index are what the entries say, to the nano-dollar.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;

use common::{Log, action, moment, run};
use proptest::prelude::*;
use ringfence_json::{Object, Value};
use ringfence_ledger::Ledger;
use ringfence_store::{By, Index, Spend, SpendQuery, SpendSum};
use ringfence_types::{EntryKind, Money, Usage};
use tempfile::TempDir;

/// One call: of whom, and what became of it.
#[derive(Debug, Clone)]
struct Call {
    whose: usize,
    reserved: (u64, u64),
    charge: Option<(u64, Usage, usize, bool)>,
    saved: u64,
}

const BASES: [&str; 5] = ["reported", "counted", "reserved", "nothing", "cached"];

fn subject(whose: usize) -> Object {
    let user = (!whose.is_multiple_of(3)).then(|| format!("user-{}", whose % 3));
    Object::new()
        .with("workspace", if whose.is_multiple_of(2) { "research" } else { "support" })
        .with("agent", if whose.is_multiple_of(5) { "assistant" } else { "mailer" })
        .with("run", run(whose as u64).to_string())
        .with_some("user", user)
        .with_some("conversation", whose.is_multiple_of(4).then_some("conversation-1"))
        .with("model", if whose.is_multiple_of(7) { "smart" } else { "fast" })
        .with("operation", "chat")
}

fn cleared(number: u64, call: &Call) -> Object {
    let (usd, tokens) = call.reserved;
    let reserved = Object::new().with("usd_nanos", usd).with("tokens", tokens);
    let body = subject(call.whose).with("action", action(number).to_string());
    body.with("decision", "ALLOW").with("reserved", reserved)
}

fn settled(number: u64, call: &Call) -> Option<Object> {
    let (usd, usage, basis, doubtful) = call.charge?;
    let charge = Object::new()
        .with("usd_nanos", usd)
        .with("basis", BASES[basis])
        .with("usage", usage.to_object())
        .with_some("doubtful", doubtful.then_some(true))
        .with_some("saved_nanos", (call.saved > 0).then_some(call.saved));
    let body = subject(call.whose).with("action", action(number).to_string());
    Some(body.with("status", "completed").with("charge", charge))
}

/// Cleared in turn, `wide` calls under way at once; settled in the order in which they were cleared.
fn write(log: &mut Log, calls: &[Call], wide: usize) {
    for number in 0..calls.len() + wide {
        if let Some(call) = calls.get(number) {
            log.put(EntryKind::Intent, cleared(number as u64, call));
        }
        let ended = number.checked_sub(wide).and_then(|ended| Some((ended, calls.get(ended)?)));
        if let Some(body) = ended.and_then(|(ended, call)| settled(ended as u64, call)) {
            log.put(EntryKind::Outcome, body);
        }
    }
    log.settle();
}

fn indexed(calls: &[Call], wide: usize) -> (TempDir, Log, Index) {
    let folder = TempDir::new().unwrap();
    let mut log = Log::open(&folder.path().join("ledger"));
    write(&mut log, calls, wide);
    let index = Index::open(&folder.path().join("index.sqlite")).unwrap();
    index.catch_up(&log.ledger).unwrap();
    (folder, log, index)
}

/// What entries come to, from nothing but their texts: by the members that are asked for and the first letters of the
/// time of clearance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Naive {
    calls: u64,
    usd: u128,
    tokens: u128,
    doubtful: u64,
    saved: u128,
    open: u64,
    reserved: u128,
    bases: BTreeMap<String, (u64, u128)>,
}

fn naive(ledger: &Ledger, members: &[&str], letters: usize) -> BTreeMap<Vec<String>, Naive> {
    let entries: Vec<Object> = ledger
        .read(0)
        .unwrap()
        .map(|entry| {
            let bytes = entry.unwrap().bytes;
            ringfence_json::parse(&bytes, &ringfence_json::Limits::default()).unwrap().into_object().unwrap()
        })
        .collect();
    let number = |object: &Object, name: &str| object.get(name).and_then(Value::as_u64).unwrap();
    let mut sums: BTreeMap<Vec<String>, Naive> = BTreeMap::new();
    for intent in entries.iter().filter(|entry| entry.contains("reserved")) {
        let mut key: Vec<String> =
            members.iter().map(|member| intent.text(member).unwrap_or_default().to_owned()).collect();
        key.push(intent.text("at").unwrap()[..letters].to_owned());
        let sum = sums.entry(key).or_default();
        let mut charge = entries.iter().filter(|entry| entry.text("action") == intent.text("action"));
        let charge = charge.find_map(|entry| entry.get("charge").and_then(Value::as_object));
        let Some(charge) = charge else {
            let reserved = intent.get("reserved").and_then(Value::as_object).unwrap();
            sum.open += 1;
            sum.reserved += u128::from(number(reserved, "usd_nanos"));
            continue;
        };
        let usage = charge.get("usage").and_then(Value::as_object).unwrap();
        let usd = u128::from(number(charge, "usd_nanos"));
        sum.calls += 1;
        sum.usd += usd;
        sum.tokens += usage.iter().map(|(name, _)| u128::from(number(usage, name))).sum::<u128>();
        sum.doubtful += u64::from(charge.contains("doubtful"));
        sum.saved += charge.get("saved_nanos").and_then(Value::as_u64).map_or(0, u128::from);
        let basis = sum.bases.entry(charge.text("basis").unwrap().to_owned()).or_default();
        *basis = (basis.0 + 1, basis.1 + usd);
    }
    sums
}

fn as_naive(sum: &SpendSum) -> Naive {
    let bases = sum.bases.iter().filter(|basis| basis.calls > 0);
    Naive {
        calls: sum.calls,
        usd: sum.usd.nanos().into(),
        tokens: sum.usage.total().into(),
        doubtful: sum.doubtful,
        saved: sum.saved.nanos().into(),
        open: sum.open,
        reserved: sum.reserved_usd.nanos().into(),
        bases: bases.map(|basis| (basis.basis.to_owned(), (basis.calls, basis.usd.nanos().into()))).collect(),
    }
}

fn rows(spend: &Spend) -> BTreeMap<Vec<String>, Naive> {
    let row = |row: &ringfence_store::SpendRow| {
        let key = row.key.iter().map(|(_, text)| text.as_deref().unwrap_or_default().to_owned()).collect();
        (key, as_naive(&row.sum))
    };
    spend.rows.iter().map(row).collect()
}

fn by(by: &[By]) -> SpendQuery {
    SpendQuery { by: by.to_vec(), ..SpendQuery::default() }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let tokens = || 0..10_000_000_u64;
    let usage = (tokens(), tokens(), tokens(), tokens(), tokens(), tokens()).prop_map(
        |(input, cached_input, cache_write, cache_write_1h, output, reasoning)| Usage {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
        },
    );
    // A hundred of these stay below what an amount can be.
    let usd = 0..u64::MAX / 200;
    let charge = prop::option::weighted(0.9, (usd.clone(), usage, 0..BASES.len(), prop::bool::weighted(0.1)));
    let saved = prop_oneof![Just(0), usd.clone()];
    let call = (0..30_usize, (usd, tokens()), charge, saved);
    let call = call.prop_map(|(whose, reserved, charge, saved)| Call { whose, reserved, charge, saved });
    prop::collection::vec(call, 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_what_the_entries_say(calls in calls(), wide in 1..20_usize) {
        let (_folder, log, index) = indexed(&calls, wide);
        let cases: [(&[By], &[&str], usize); 6] = [
            (&[By::Workspace], &["workspace"], 0),
            (&[By::Agent], &["workspace", "agent"], 0),
            (&[By::Conversation], &["workspace", "user", "conversation"], 0),
            (&[By::Run], &["workspace", "agent", "run"], 0),
            (&[By::Model], &["workspace", "model"], 0),
            (&[By::User, By::Day], &["workspace", "user"], 10),
        ];
        for (asked, members, letters) in cases {
            let mut expected = naive(&log.ledger, members, letters);
            if letters == 0 {
                expected = expected.into_iter().map(|(mut key, sum)| { key.pop(); (key, sum) }).collect();
            }
            let spend = index.spend(&by(asked)).unwrap();
            prop_assert_eq!(rows(&spend), expected);
            prop_assert_eq!(spend.entries, log.ledger.durable());
        }
        let whole = naive(&log.ledger, &[], 0).into_values().next().unwrap();
        let none = index.spend(&by(&[])).unwrap();
        prop_assert_eq!(as_naive(&none.total), whole);
        prop_assert!(none.rows.is_empty());
    }
}

fn one(whose: usize, nanos: u64) -> Call {
    let usage = Usage { input: 10, output: 5, ..Usage::default() };
    Call { whose, reserved: (nanos, 15), charge: Some((nanos, usage, 0, false)), saved: 0 }
}

#[test]
fn every_filter_adds_up_what_it_says() {
    let calls: Vec<Call> = (0..30).map(|whose| one(whose, 1 << whose)).collect();
    let (_folder, _log, index) = indexed(&calls, 1);
    let of = |query: &SpendQuery| index.spend(query).unwrap().total.usd.nanos();
    let sum =
        |wanted: &dyn Fn(usize) -> bool| (0..30).filter(|whose| wanted(*whose)).map(|whose| 1 << whose).sum();
    let all = SpendQuery::default();
    let cases: Vec<(&str, SpendQuery, u64)> = vec![
        ("all", all.clone(), sum(&|_| true)),
        (
            "workspace",
            SpendQuery { workspace: Some("research".parse().unwrap()), ..all.clone() },
            sum(&|w| w % 2 == 0),
        ),
        ("nobody's", SpendQuery { workspace: Some("nobody".parse().unwrap()), ..all.clone() }, 0),
        (
            "agent",
            SpendQuery { agent: Some("assistant".parse().unwrap()), ..all.clone() },
            sum(&|w| w % 5 == 0),
        ),
        ("user", SpendQuery { user: Some("user-2".parse().unwrap()), ..all.clone() }, sum(&|w| w % 3 == 2)),
        (
            "conversation",
            SpendQuery { conversation: Some("conversation-1".parse().unwrap()), ..all.clone() },
            sum(&|w| w % 4 == 0),
        ),
        ("run", SpendQuery { run: Some(run(9)), ..all.clone() }, 1 << 9),
        ("model", SpendQuery { model: Some("smart".parse().unwrap()), ..all.clone() }, sum(&|w| w % 7 == 0)),
        // The first entry is an intent; then intents and outcomes take turns.
        ("since", SpendQuery { since: Some(moment(1)), ..all.clone() }, sum(&|w| w >= 1)),
        ("until", SpendQuery { until: Some(moment(1)), ..all.clone() }, 1),
        (
            "together",
            SpendQuery {
                workspace: Some("research".parse().unwrap()),
                model: Some("smart".parse().unwrap()),
                ..all.clone()
            },
            sum(&|w| w % 14 == 0),
        ),
    ];
    for (what, query, expected) in cases {
        assert_eq!(of(&query), expected, "{what}");
    }
}

#[test]
fn a_call_counts_when_it_was_cleared_and_not_when_it_was_settled() {
    let (_folder, _log, index) = indexed(&[one(0, 7)], 1);
    let until = |entry| SpendQuery { until: Some(moment(entry)), ..by(&[By::Hour, By::Month]) };
    let spend = index.spend(&until(1)).unwrap();
    assert_eq!((spend.total.calls, spend.total.usd, spend.total.open), (1, Money::from_nanos(7), 0));
    let key: Vec<_> = spend.rows[0].key.iter().map(|(by, text)| (*by, text.as_deref())).collect();
    assert_eq!(key, [(By::Hour, Some("2026-11-21T09:00:00Z")), (By::Month, Some("2026-11"))]);
    assert_eq!(index.spend(&until(0)).unwrap().total.calls, 0);
}

#[test]
fn who_spent_most_comes_first_and_what_does_not_fit_is_told() {
    let calls: Vec<Call> = (0..8).map(|whose| one(whose, 100 + whose as u64)).collect();
    let (_folder, _log, index) = indexed(&calls, 3);
    let spend = index.spend(&SpendQuery { limit: Some(2), ..by(&[By::Run]) }).unwrap();
    let runs: Vec<_> = spend.rows.iter().map(|row| row.key[2].1.clone().unwrap()).collect();
    assert_eq!(runs, [run(7).to_string(), run(6).to_string()]);
    assert!(spend.more);
    assert_eq!(spend.total.usd, Money::from_nanos(828), "the total has all of them");
    assert!(!index.spend(&SpendQuery { limit: Some(8), ..by(&[By::Run]) }).unwrap().more);
}

#[test]
fn amounts_as_large_as_they_can_be_are_added_up_and_stay_at_the_most() {
    let (_folder, _log, index) = indexed(&[one(0, u64::MAX), one(2, 1), one(1, i64::MAX as u64 + 5)], 1);
    let spend = index.spend(&by(&[By::Workspace])).unwrap();
    let usd: Vec<u64> = spend.rows.iter().map(|row| row.sum.usd.nanos()).collect();
    assert_eq!(usd, [u64::MAX, i64::MAX as u64 + 5]);
    assert_eq!(spend.total.usd, Money::MAX);
}

#[test]
fn a_second_outcome_and_one_without_an_intent_change_nothing() {
    let (_folder, mut log, index) = indexed(&[one(0, 7)], 1);
    log.put(EntryKind::Outcome, settled(0, &one(0, 50)).unwrap());
    log.put(EntryKind::Intent, cleared(0, &one(0, 60)));
    log.put(EntryKind::Outcome, settled(99, &one(0, 70)).unwrap());
    log.settle();
    let progress = index.catch_up(&log.ledger).unwrap();
    assert_eq!((progress.indexed, progress.rebuilt), (3, None));
    let total = index.spend(&by(&[])).unwrap().total;
    assert_eq!((total.usd, total.calls, total.open), (Money::from_nanos(7), 1, 0));
}

#[test]
fn what_is_settled_later_is_open_until_then() {
    let open = Call { charge: None, ..one(0, 40) };
    let (_folder, mut log, index) = indexed(std::slice::from_ref(&open), 1);
    let total = index.spend(&by(&[])).unwrap().total;
    assert_eq!((total.open, total.reserved_usd, total.reserved_tokens), (1, Money::from_nanos(40), 15));
    log.put(EntryKind::Outcome, settled(0, &one(0, 30)).unwrap());
    log.settle();
    index.catch_up(&log.ledger).unwrap();
    let total = index.spend(&by(&[])).unwrap().total;
    assert_eq!((total.open, total.reserved_usd, total.usd), (0, Money::ZERO, Money::from_nanos(30)));
}

#[test]
fn what_a_call_came_to_takes_the_place_of_what_was_booked_before_that_was_known() {
    let usage = Usage { input: 15, ..Usage::default() };
    let given_up = Call { charge: Some((40, usage, 2, false)), ..one(0, 40) };
    let (_folder, mut log, index) = indexed(&[given_up, one(1, 3)], 1);
    let correction =
        Call { charge: Some((90, Usage { output: 60, ..usage }, 0, true)), saved: 5, ..one(0, 40) };
    let of_no_call = settled(99, &correction).unwrap();
    for body in [settled(0, &correction).unwrap(), of_no_call] {
        log.put(EntryKind::Incident, body);
    }
    log.put(EntryKind::Incident, subject(0).with("event", "breaker_open"));
    log.settle();
    index.catch_up(&log.ledger).unwrap();
    let total = index.spend(&by(&[])).unwrap().total;
    assert_eq!((total.usd, total.calls, total.open), (Money::from_nanos(93), 2, 0));
    assert_eq!((total.usage.output, total.doubtful, total.saved), (65, 1, Money::from_nanos(5)));
    let bases: Vec<_> = total.bases.iter().map(|basis| (basis.calls, basis.usd.nanos())).collect();
    assert_eq!(bases, [(2, 93), (0, 0), (0, 0), (0, 0), (0, 0)]);
}
