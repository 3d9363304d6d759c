use super::*;

const REQUEST: &str = r#"{"messages":[{"content":"Hi","role":"user"}]}"#;

fn object(text: &str) -> Object {
    parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
}

fn question(stream: bool) -> Question {
    Question { api: Api::Chat, model: "m".into(), stream, request: object(REQUEST) }
}

fn answer(pieces: &[&[u8]]) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    Answer { status: StatusCode::OK, headers, pieces, broken: false }
}

fn opened(text: &[u8]) -> Result<Recording, RecordingError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.jsonl");
    std::fs::write(&path, text).unwrap();
    Recording::open(&path)
}

#[test]
fn what_is_written_is_read_with_every_byte_and_every_piece() {
    let whole: &[&[u8]] = &[b"{\"a\":", b"1}"];
    // The pieces part a character; the last of them is none.
    let split: &[&[u8]] = &["Kö".as_bytes().split_at(2).0, "Kö".as_bytes().split_at(2).1, b"\0\n"];
    for pieces in [whole, split, &[b"\xff\xfe", b"\x80"], &[], &[b""]] {
        for broken in [false, true] {
            let answer = Answer { broken, ..answer(pieces) };
            let line = write(&question(true), &answer);
            assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "one line");
            let (asked, read) = read(&line[..line.len() - 1]).unwrap();
            assert_eq!(asked.key(), question(true).key());
            assert_eq!(
                (read.status, &read.headers, &read.pieces),
                (answer.status, &answer.headers, &answer.pieces)
            );
            assert_eq!(read.broken, broken);
        }
    }
}

#[test]
fn answers_come_in_the_recorded_order_and_then_the_last_one_again() {
    let mut text = Vec::new();
    for said in [b"1", b"2"] {
        text.extend(write(&question(false), &answer(&[said])));
    }
    text.extend(write(&question(true), &answer(&[b"streamed"])));
    text.extend_from_slice(b"{\"api\":\"chat\", torn");
    let recording = opened(&text).unwrap();
    let next =
        |stream| recording.found.get(&question(stream).key()).and_then(Take::next).unwrap().pieces.concat();
    assert_eq!([next(false), next(false), next(false)], [b"1".to_vec(), b"2".to_vec(), b"2".to_vec()]);
    assert_eq!(next(true), b"streamed", "a stream is not what answers a request for none");
}

#[test]
fn requests_are_the_same_whatever_no_answer_depends_on() {
    let key = |request: &str, model: &str| {
        let request = plain(Api::Chat, &object(request)).unwrap();
        Question { request, model: model.into(), ..question(false) }.key()
    };
    let one = key(REQUEST, "m");
    let other = r#"{"model": "x", "messages": [{"role": "user", "content": "Hi"}], "stream": false, "user": "u", "store": null}"#;
    assert_eq!(key(other, "m"), one);
    assert_ne!(key(other, "other"), one);
    assert_ne!(key(&REQUEST.replace("Hi", "Ho"), "m"), one);
    assert_ne!(key(&REQUEST.replace("\"messages\"", "\"temperature\":0,\"messages\""), "m"), one);
}

#[test]
fn a_line_that_is_no_exchange_is_refused_with_its_place() {
    let good = String::from_utf8(write(&question(false), &answer(&[b"a", b"b"]))).unwrap();
    for (from, to, what) in [
        ("{\"api\"", "\"api\"", "not JSON"),
        ("\"chat\"", "\"chats\"", "`api` is not known"),
        ("\"model\"", "\"modell\"", "`model` is missing"),
        ("false", "\"no\"", "`stream` has to be true or false"),
        ("200", "20", "`status` is none of HTTP's"),
        ("\"status\":200", "\"status\":\"200\"", "`status` is none of HTTP's"),
        ("[1,1]", "[1,2]", "`pieces`"),
        ("[1,1]", "[1]", "`pieces`"),
        ("\"body\":\"ab\"", "\"base64\":\"?\"", "`base64` is not base64"),
        ("content-type", "set-cookie", "`headers` has one that is not recorded"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let error = opened(format!("{good}\n{bad}").as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!("session.jsonl:3: {what}")) || error.contains(what), "{error}");
        assert!(error.contains("session.jsonl:3:"), "{error}");
    }
    let missing = Recording::open(Path::new("/nowhere/session.jsonl")).unwrap_err().to_string();
    assert!(missing.contains("`record: true`"), "{missing}");
}
