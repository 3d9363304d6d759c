//! The reader against the standard, however a stream is cut.

use proptest::prelude::*;

use super::*;

const STREAM: &str = "\u{feff}: hello\nid: 7\ndata:\n\nevent: message\r\ndata: {\"ä\":1}\r\n\r\nretry: 250\rdata: x\r\
    data:  y\r\r: ping\n\n\nevent: endpoint\nevent\ndata: /o\n\nevent:  a\nnonsense\ndata\ndata: z\n\ndata: left";

type Read = Vec<(Option<String>, String)>;

fn read(pieces: &[&[u8]]) -> (Read, Vec<Bytes>, Option<Event>) {
    let mut reader = Reader::new(1_000);
    let (mut events, mut raws) = (Vec::new(), Vec::new());
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(event) = reader.next_event().unwrap() {
            if !event.is_empty() {
                let data = String::from_utf8(event.data.to_vec()).unwrap();
                events.push((event.name.map(Into::into), data));
            }
            raws.push(event.raw);
        }
    }
    (events, raws, reader.finish())
}

#[test]
fn every_kind_of_line_is_read_as_the_standard_says() {
    let (events, raws, left) = read(&[STREAM.as_bytes()]);
    let expected = [(Some("message"), "{\"ä\":1}"), (None, "x\n y"), (None, "/o"), (Some(" a"), "\nz")];
    let expected: Read = expected.map(|(name, data)| (name.map(str::to_owned), data.to_owned())).into();
    assert_eq!(events, expected);
    assert_eq!(
        raws.len(),
        7,
        "the comment, an event without data and the extra blank line have their own bytes"
    );
    assert_eq!(raws[1], "event: message\r\ndata: {\"ä\":1}\r\n\r\n".as_bytes());
    assert_eq!(left.unwrap().data, "left".as_bytes());
}

#[test]
fn where_the_stream_is_cut_does_not_matter_and_every_byte_is_kept() {
    let crlf = STREAM.replace('\r', "").replace('\n', "\r\n");
    for stream in [STREAM, &crlf] {
        let stream = stream.as_bytes();
        let (whole, ..) = read(&[stream]);
        let check = |pieces: &[&[u8]], what: &str| {
            let (events, raws, left) = read(pieces);
            assert_eq!(events, whole, "{what}");
            assert_eq!([raws.concat(), left.unwrap().raw.to_vec()].concat(), stream, "{what}");
        };
        for first in 0..=stream.len() {
            check(&[&stream[..first], &[], &stream[first..]], &format!("cut at {first}"));
        }
        check(&stream.chunks(1).collect::<Vec<_>>(), "byte by byte");
    }
}

#[test]
fn it_is_known_whether_the_stream_stands_between_events() {
    let mut reader = Reader::new(100);
    for (piece, events, between) in [
        ("", 0, true),
        ("data: 1\n", 0, false),
        ("\n", 1, true),
        ("data: 2\r\r", 1, true),
        ("\n", 0, true),
        ("d", 0, false),
        ("\r\n\r\ndata: 3\n\ndata", 2, false),
        (": 4\r\n\r\n", 1, true),
        ("\n", 1, true),
    ] {
        reader.push(Bytes::from(piece));
        let mut found = 0;
        while reader.next_event().unwrap().is_some() {
            found += 1;
        }
        assert_eq!((found, reader.is_between_events()), (events, between), "{piece:?}");
    }
}

#[test]
fn an_event_within_one_piece_is_not_copied() {
    let piece = Bytes::from_static(b"data: one\n\ndata: two\n\n");
    let mut reader = Reader::new(100);
    reader.push(piece.clone());
    let event = reader.next_event().unwrap().unwrap();
    assert_eq!(event.raw.as_ptr(), piece.as_ptr());
    assert_eq!(event.data.as_ptr(), piece[6..].as_ptr());
}

#[test]
fn an_event_over_the_bound_is_refused_however_it_comes() {
    for stream in [format!("data: {}\n\n", "a".repeat(50)), "data: aaaaaaaa\n".repeat(8), "a".repeat(50)] {
        for cut in [7, 1_000] {
            let mut reader = Reader::new(40);
            let result = stream.as_bytes().chunks(cut).try_for_each(|piece| {
                reader.push(Bytes::copy_from_slice(piece));
                reader.next_event().map(drop)
            });
            assert_eq!(result, Err(TooLarge { bytes_max: 40 }), "{stream}");
        }
    }
    let mut reader = Reader::new(40);
    reader.push("data: aaaaaaaaaa\n\n".repeat(100).into());
    let many = std::iter::from_fn(|| reader.next_event().unwrap()).count();
    assert_eq!(many, 100, "many small ones are fine");
}

#[test]
fn a_byte_order_mark_counts_only_at_the_start() {
    let (events, ..) = read(&[b"\xef\xbb", b"\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n"]);
    assert_eq!(events, [(None, "1".to_owned())]);
    let (_, raws, left) = read(&[b"\xef\xbb\xbf\n\n"]);
    assert_eq!((raws.len(), left), (2, None), "a mark alone leaves the line empty");
}

#[test]
fn what_shows_an_event_in_a_log_shows_only_sizes() {
    let (.., left) = read(&[b"data: secret"]);
    assert_eq!(format!("{left:?}"), "Some(Event(6 bytes of data, 12 bytes))");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        messages in proptest::collection::vec((proptest::option::of("[a-z.]{1,9}"), "[ -~\n]{1,40}"), 0..8), cut in 1_usize..30,
    ) {
        let stream: Vec<u8> =
            messages.iter().flat_map(|(name, data)| event(name.as_deref(), data.as_bytes())).collect();
        let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
        prop_assert_eq!(read(&pieces).0, messages);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_lose_any(pieces in proptest::collection::vec(
        proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(0xef), any::<u8>()], 0..20), 0..20)
    ) {
        let mut reader = Reader::new(10_000);
        let mut given = Vec::new();
        for piece in &pieces {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(event) = reader.next_event().unwrap() { given.extend_from_slice(&event.raw); }
        }
        given.extend(reader.finish().map(|event| event.raw.to_vec()).unwrap_or_default());
        prop_assert_eq!(given, pieces.concat());
    }
}
