//! What is kept of the files of runs is on record and changes nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use common::{crash_copy, dana, open, open_at, workspace};
use ringfence_json::Object;
use ringfence_kernel::{Actor, FilesEvent, FilesOf};
use ringfence_ledger::Payload;
use ringfence_types::{AgentName, Digest};

fn artifacts(count: usize) -> FilesEvent {
    let file = |number: usize| {
        let name = format!("report-{number}.txt");
        Object::new()
            .with("sha256", Digest::of(name.as_bytes()).to_string())
            .with("name", name)
            .with("bytes", 7_u64)
    };
    let files: Vec<Object> = (0..count).map(file).collect();
    FilesEvent::Artifacts { count: count as u64, bytes: 7, files, left_out: Vec::new(), left_out_count: 0 }
}

#[tokio::test]
async fn files_are_on_record_in_the_entry_or_where_they_are_many_in_a_payload() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let of = FilesOf { workspace: Some(workspace()), agent: Some(run.agent.clone()), run: Some(run.id) };
    for count in [2, 2_000] {
        node.kernel.record_files(of.clone(), artifacts(count), &Actor::node()).await.unwrap();
    }
    let cleared = FilesEvent::StateCleared { versions: 3 };
    let agent = AgentName::new("assistant").unwrap();
    let of = FilesOf { workspace: Some(workspace()), agent: Some(agent), run: None };
    node.kernel.record_files(of, cleared, &dana()).await.unwrap();

    let entries: Vec<Object> = node.entries("run");
    let with =
        |event: &str| entries.iter().filter(|entry| entry.text("event") == Some(event)).collect::<Vec<_>>();
    let [few, many] = with("artifacts")[..] else { panic!("{entries:?}") };
    assert_eq!(few.get("artifacts").unwrap().as_array().unwrap().len(), 2);
    assert!(many.get("artifacts").is_none(), "they stand in the payload");
    let name: Digest = many.text("manifest").unwrap().parse().unwrap();
    let id = many.get("id").unwrap().as_u64().unwrap();
    let Ok(Some(Payload::Content(content))) = node.kernel.ledger().payload(id, &name) else {
        panic!("no payload")
    };
    assert!(String::from_utf8(content).unwrap().contains("report-1999.txt"));
    let cleared = with("state_cleared")[0];
    assert_eq!((cleared.text("by"), cleared.text("reason")), (Some("dana"), Some("3 versions were removed")));

    // A node that comes back reads on over them.
    let copy = crash_copy(folder.path(), &node);
    let setup = common::setup(common::POLICY, common::limits());
    let again = open_at(copy.path(), node.clock.clone(), setup).await;
    assert!(again.kernel.run(run.id).is_some());
}
