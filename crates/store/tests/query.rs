//! Every filter, on a small log whose answers can be seen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Log, action, approval, cleared, moment, refused, run, subject};
use ringfence_json::Object;
use ringfence_store::{Count, Fetcher, Index, IndexReader, Query, Row, StoreError, scan};
use ringfence_types::{Decision, EntryKind, PersonName, RuleName, WorkspaceName};
use tempfile::TempDir;

fn story() -> (TempDir, Log, Index) {
    let folder = TempDir::new().unwrap();
    let mut log = Log::open(&folder.path().join("ledger"));
    let with = |object: Object, number| object.with("action", action(number).to_string());
    let asked = approval(1).to_string();
    let requirement = |rule: &str| Object::new().with("rule", rule).with("quorum", 1_u64);
    // 0: the node starts; 1 and 2: an allowed call; 3: a refusal that stands for 40.
    log.put(EntryKind::Run, Object::new().with("event", "started").with("by", "owner"));
    log.put(EntryKind::Intent, cleared(with(subject(0, "query"), 1), &["reads", "all"]));
    log.put(EntryKind::Outcome, with(subject(0, "query"), 1).with("status", "completed"));
    log.put(EntryKind::Refusal, refused(with(subject(1, "rm/rf"), 2), 40));
    // 4 to 7: a call that asks, an answer, and the call again with what was given.
    let pending =
        with(subject(0, "deploy"), 3).with("approval", asked.clone()).with("decision", "REQUIRE_APPROVAL");
    let requirements = vec![requirement("prod"), requirement("late")];
    log.put(EntryKind::Pending, pending.with("rule", "prod").with("requirements", requirements));
    let answer = subject(0, "deploy").with("approval", asked.clone()).with("answer", "approved");
    log.put(EntryKind::Approval, answer.with("approver", "dana").with("answers", common::texts(&["late"])));
    let spent =
        with(subject(0, "deploy"), 4).with("approval", asked).with("decision", "ALLOW_WITH_CONSTRAINTS");
    log.put(
        EntryKind::Intent,
        spent.with("rule", "narrow").with("rules", common::texts(&["prod", "narrow"])),
    );
    log.put(
        EntryKind::Outcome,
        with(subject(0, "deploy"), 4).with("status", "failed").with("code", "upstream_failed"),
    );
    // 8: a suspension of a server.
    let scope = Object::new().with("workspace", "research").with("server", "search").with("active", true);
    log.put(EntryKind::Suspension, scope.with("by", "dana"));
    log.settle();
    let index = Index::open(&folder.path().join("index.sqlite")).unwrap();
    assert_eq!(index.catch_up(&log.ledger).unwrap().indexed, 9);
    (folder, log, index)
}

fn ids(rows: impl IntoIterator<Item = Row>) -> Vec<u64> {
    rows.into_iter().map(|row| row.id).collect()
}

#[test]
fn every_filter_finds_what_it_says() {
    let (_folder, log, index) = story();
    let all = Query::default();
    let tool = |tool: &str| Query { tool: Some(tool.to_owned()), ..Query::default() };
    let rule = |rule: &str| Query { rule: Some(RuleName::new(rule).unwrap()), ..Query::default() };
    let cases: Vec<(&str, Query, &[u64])> = vec![
        ("all", all.clone(), &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("kind", Query { kind: Some(EntryKind::Intent), ..all.clone() }, &[1, 6]),
        ("a kind there is none of", Query { kind: Some(EntryKind::Budget), ..all.clone() }, &[]),
        ("workspace", Query { workspace: Some("support".parse().unwrap()), ..all.clone() }, &[3]),
        ("agent", Query { agent: Some("mailer".parse().unwrap()), ..all.clone() }, &[3]),
        ("run", Query { run: Some(run(0)), ..all.clone() }, &[1, 2, 4, 5, 6, 7]),
        ("an unknown run", Query { run: Some(run(9)), ..all.clone() }, &[]),
        ("server", Query { server: Some("files".parse().unwrap()), ..all.clone() }, &[3]),
        ("tool", tool("query"), &[1, 2]),
        ("server and tool", tool("search/deploy"), &[4, 5, 6, 7]),
        ("another server's tool", tool("files/deploy"), &[]),
        ("a tool with a slash", tool("rm/rf"), &[3]),
        ("its server and it", tool("files/rm/rf"), &[3]),
        ("decision", Query { decision: Some(Decision::Deny), ..all.clone() }, &[3]),
        ("the rule that decided", rule("narrow"), &[6]),
        ("a rule that matched", rule("all"), &[1, 3]),
        ("a rule that asks", rule("prod"), &[4, 6]),
        ("a rule that is answered", rule("late"), &[4, 5]),
        ("approver", Query { approver: Some("dana".parse().unwrap()), ..all.clone() }, &[5]),
        ("since", Query { since: Some(moment(7)), ..all.clone() }, &[7, 8]),
        ("until", Query { until: Some(moment(2)), ..all.clone() }, &[0, 1]),
        ("between", Query { since: Some(moment(2)), until: Some(moment(3)), ..all.clone() }, &[2]),
        ("before everything", Query { until: Some(moment(0)), ..all.clone() }, &[]),
        ("limit", Query { limit: Some(2), ..all.clone() }, &[0, 1]),
        ("no more than none", Query { limit: Some(0), ..all.clone() }, &[]),
        ("after", Query { after: Some(6), ..all.clone() }, &[7, 8]),
        ("before", Query { before: Some(2), ..all.clone() }, &[0, 1]),
        ("between two", Query { after: Some(2), before: Some(5), ..all.clone() }, &[3, 4]),
        ("before the beginning", Query { before: Some(0), ..all.clone() }, &[]),
        ("before what is far off", Query { before: Some(u64::MAX), after: Some(6), ..all.clone() }, &[7, 8]),
        ("after the end", Query { after: Some(u64::MAX), ..all.clone() }, &[]),
        (
            "together",
            Query {
                run: Some(run(0)),
                kind: Some(EntryKind::Outcome),
                limit: Some(1),
                after: Some(2),
                ..all.clone()
            },
            &[7],
        ),
    ];
    for (what, query, expected) in cases {
        assert_eq!(ids(index.query(&query).unwrap().map(Result::unwrap)), expected, "{what}");
        let scanned = scan(log.ledger.read(0).unwrap(), &query);
        assert_eq!(ids(scanned.map(|found| found.unwrap().row)), expected, "{what}, without the index");
    }
}

#[test]
fn model_calls_are_found_by_model_user_and_conversation() {
    let folder = TempDir::new().unwrap();
    let mut log = Log::open(&folder.path().join("ledger"));
    let call = |model: &str| Object::new().with("workspace", "research").with("model", model);
    log.put(EntryKind::Refusal, refused(call("smart").with("user", "erin"), 1));
    log.put(EntryKind::Refusal, refused(call("fast").with("user", "erin").with("conversation", "c1"), 1));
    log.put(EntryKind::Refusal, refused(subject(0, "smart"), 1));
    // A call of `auto` that was led on, and a tool whose facts have a member of that name.
    let facts = || Object::new().with("input_bytes", 9_u64).with("named", "auto").with("why", "it was small");
    log.put(EntryKind::Refusal, refused(call("fast").with("facts", facts()), 1));
    log.put(EntryKind::Refusal, refused(call("auto").with("facts", Object::new()), 1));
    log.put(EntryKind::Refusal, refused(subject(0, "auto").with("facts", facts()), 1));
    log.settle();
    let index = Index::open(&folder.path().join("index.sqlite")).unwrap();
    index.catch_up(&log.ledger).unwrap();
    let all = Query::default();
    for (query, expected) in [
        (Query { model: Some("smart".parse().unwrap()), ..all.clone() }, &[0][..]),
        (Query { model: Some("fast".parse().unwrap()), ..all.clone() }, &[1, 3]),
        (Query { model: Some("auto".parse().unwrap()), ..all.clone() }, &[3, 4]),
        (Query { user: Some("erin".parse().unwrap()), ..all.clone() }, &[0, 1]),
        (Query { conversation: Some("c1".parse().unwrap()), ..all.clone() }, &[1]),
        (Query { user: Some("kim".parse().unwrap()), ..all }, &[]),
    ] {
        assert_eq!(ids(index.query(&query).unwrap().map(Result::unwrap)), expected, "{query:?}");
        let scanned = scan(log.ledger.read(0).unwrap(), &query);
        assert_eq!(ids(scanned.map(|found| found.unwrap().row)), expected, "{query:?}, without the index");
    }
}

#[test]
fn a_row_has_what_its_entry_says() {
    let (_folder, log, index) = story();
    let mut fetcher = Fetcher::new(&log.ledger);
    for row in index.query(&Query::default()).unwrap() {
        let row = row.unwrap();
        assert_eq!(row, Row::read(&fetcher.fetch(row.id).unwrap()).unwrap());
    }
    let refusal =
        index.query(&Query { after: Some(2), ..Query::default() }).unwrap().next().unwrap().unwrap();
    assert_eq!((refusal.at, refusal.count), (moment(3), 40));
    assert_eq!(refusal.code.as_deref(), Some("denied_by_policy"));
    assert_eq!(refusal.rules, ["no-deletes", "all"]);
    assert_eq!((refusal.server.as_deref(), refusal.tool.as_deref()), (Some("files"), Some("rm/rf")));
}

#[test]
fn the_story_of_an_action_has_its_approval() {
    let (_folder, _log, index) = story();
    assert_eq!(ids(index.entries_of(action(1)).unwrap()), [1, 2]);
    assert_eq!(ids(index.entries_of(action(3)).unwrap()), [4, 5, 6]);
    assert_eq!(ids(index.entries_of(action(4)).unwrap()), [4, 5, 6, 7]);
    assert_eq!(ids(index.entries_of(action(9)).unwrap()), [0; 0]);
    assert_eq!(ids(index.entries_of_approval(approval(1)).unwrap()), [4, 5, 6]);
}

#[test]
fn entries_are_counted_by_kind_and_decision() {
    let (_folder, _log, index) = story();
    let count = |kind, decision, entries, alike| Count { kind, decision, entries, alike };
    assert_eq!(
        index.counts(Some(moment(2)), Some(moment(8))).unwrap(),
        [
            count(EntryKind::Intent, Some(Decision::AllowWithConstraints), 1, 1),
            count(EntryKind::Outcome, None, 2, 2),
            count(EntryKind::Refusal, Some(Decision::Deny), 1, 40),
            count(EntryKind::Pending, Some(Decision::RequireApproval), 1, 1),
            count(EntryKind::Approval, None, 1, 1),
        ]
    );
    assert_eq!(index.counts(None, None).unwrap().iter().map(|count| count.entries).sum::<u64>(), 9);
}

#[test]
fn answers_longer_than_a_page_are_whole_and_the_same_without_the_index() {
    let folder = TempDir::new().unwrap();
    let mut log = Log::open(&folder.path().join("ledger"));
    log.fill(3_000);
    let index = Index::open(&folder.path().join("index.sqlite")).unwrap();
    index.catch_up(&log.ledger).unwrap();
    let queries = [
        Query::default(),
        Query { limit: Some(600), ..Query::default() },
        Query { run: Some(run(3)), ..Query::default() },
        Query { workspace: Some(WorkspaceName::new("research").unwrap()), ..Query::default() },
        Query { rule: Some(RuleName::new("all").unwrap()), since: Some(moment(1_000)), ..Query::default() },
        Query { tool: Some("search/fetch".to_owned()), until: Some(moment(2_500)), ..Query::default() },
        Query { approver: Some(PersonName::new("dana").unwrap()), ..Query::default() },
    ];
    for query in queries {
        let indexed: Vec<_> = index.query(&query).unwrap().map(Result::unwrap).collect();
        let scanned: Vec<_> =
            scan(log.ledger.read(0).unwrap(), &query).map(|found| found.unwrap().row).collect();
        assert_eq!(indexed, scanned, "{query:?}");
        assert_eq!(indexed.is_empty(), query.approver.is_some(), "{query:?}");
    }
}

#[test]
fn another_process_reads_while_the_node_writes() {
    let (folder, mut log, index) = story();
    let path = folder.path().join("index.sqlite");
    assert!(matches!(IndexReader::open(&folder.path().join("none")), Err(StoreError::Missing { .. })));
    let other = IndexReader::open(&path).unwrap();
    let mut rows = other.query(&Query::default()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().id, 0);
    log.fill(100);
    assert_eq!(index.catch_up(&log.ledger).unwrap().indexed, 100);
    assert_eq!(rows.count(), 8, "an answer ends where the index was");
    assert_eq!(other.query(&Query::default()).unwrap().count(), 109);
    assert_eq!(other.size().unwrap(), 109);
}
