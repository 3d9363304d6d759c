//! What holds of every entry and every segment of the log that is taken.
//!
//! An input that starts with `{` is entries, one a line, and a free line ends a batch. Any other is the bytes of a segment;
//! its checksums are mended first, or no change would come past them.

use ringfence_json::{Limits, Value};
use ringfence_ledger::{SegmentError, check_entry, check_segment, payload_refs};

use crate::segment;

/// Reads the bytes as entries or as a segment; returns whether they are sound.
pub fn check(data: &[u8]) -> bool {
    if data.first() == Some(&b'{') { entries(data) } else { raw(data) }
}

/// Entries in a segment that is sound: all of them are found, or the first that is none is named.
fn entries(data: &[u8]) -> bool {
    let batches: Vec<Vec<&[u8]>> = batches(data);
    let all: Vec<&[u8]> = batches.iter().flatten().copied().collect();
    let bad = all.iter().position(|text| !entry(text));
    let (first_id, mut bytes) = (7, segment::header(1, 7));
    let mut next_id = first_id;
    for batch in &batches {
        bytes.extend(segment::batch(next_id, batch));
        next_id += batch.len() as u64;
    }
    match (check_segment(&bytes), bad) {
        (Ok(summary), None) => {
            assert_eq!((summary.first_id, summary.entries), (first_id, all.len() as u64));
            assert_eq!((summary.end, summary.torn), (bytes.len(), false));
            any_damage_is_seen(&bytes, data);
        }
        (Err(SegmentError::Entry { id, .. }), Some(bad)) => assert_eq!(id, first_id + bad as u64),
        (result, bad) => panic!("{bad:?} is the first that is no entry, and the segment is {result:?}"),
    }
    bad.is_none()
}

fn batches(data: &[u8]) -> Vec<Vec<&[u8]>> {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let batches = lines.split(|line| line.is_empty()).filter(|batch| !batch.is_empty());
    // What is longer than its length can say cannot be framed.
    batches
        .map(|batch| {
            batch.iter().copied().filter(|line| u16::try_from(line.len()).is_ok()).collect::<Vec<_>>()
        })
        .filter(|batch| !batch.is_empty())
        .collect()
}

/// An entry that is taken is the one text for what it says, and has what every entry has.
fn entry(text: &[u8]) -> bool {
    let Ok(view) = check_entry(text) else { return false };
    let value = ringfence_json::parse(text, &Limits::default()).expect("an entry is JSON");
    assert_eq!(value.to_canonical(), text, "taken, and not canonical");
    assert_eq!(value.get("id").and_then(Value::as_u64), Some(view.id));
    for (name, read) in [("at", view.at), ("kind", view.kind.as_str())] {
        assert_eq!(value.get(name).and_then(Value::as_str), Some(read), "{name}");
    }
    if let Some(payloads) = view.payloads.and_then(|text| payload_refs(text).ok()) {
        let listed = value.get("payloads").and_then(Value::as_array).expect("payloads are a list");
        let names = listed.iter().map(|one| one.get("name").and_then(Value::as_str));
        assert!(names.eq(payloads.iter().map(|one| Some(one.name))), "another payload than the entry names");
    }
    true
}

/// The bytes of a segment: what was sound stays sound without what follows it, and says the same when it is written anew.
fn raw(data: &[u8]) -> bool {
    let mended = segment::mend(data);
    let _ = check_segment(data);
    let Ok(summary) = check_segment(&mended) else { return false };
    assert!(summary.end <= mended.len(), "it ends after its end");
    let sound = &mended[..summary.end];
    let cut = check_segment(sound).expect("it was sound");
    assert_eq!((cut.entries, cut.end, cut.torn), (summary.entries, summary.end, false));

    let found = segment::entries(sound);
    assert_eq!(found.len() as u64, summary.entries, "two readers count differently");
    let mut anew = segment::header(summary.number, summary.first_id);
    if !found.is_empty() {
        anew.extend(segment::batch(summary.first_id, &found));
    }
    let again = check_segment(&anew).expect("what was written anew is sound");
    assert_eq!(
        (again.number, again.first_id, again.entries),
        (summary.number, summary.first_id, summary.entries)
    );
    if summary.entries > 0 {
        any_damage_is_seen(sound, data);
    }
    true
}

/// One byte other than it was: it is no segment, or it has fewer entries, or an entry is none. Which byte follows from the
/// input.
fn any_damage_is_seen(sound: &[u8], data: &[u8]) {
    let Some(entries) = check_segment(sound).ok().map(|summary| summary.entries) else { return };
    let seed =
        data.iter().fold(data.len(), |seed, byte| seed.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut damaged = sound.to_vec();
    damaged[seed % sound.len()] ^= 1 << (seed / sound.len() % 8);
    if let Ok(summary) = check_segment(&damaged) {
        assert!(summary.entries < entries && summary.torn, "a changed byte was not seen");
    }
}
