use proptest::prelude::*;

use super::*;

fn query(name: &str, kind: u16, edns: bool) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    message.extend(labels(name));
    put(&mut message, kind);
    put(&mut message, CLASS_IN);
    if edns {
        message.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 4, 0, 10, 0, 0]);
    }
    message
}

#[test]
fn a_question_is_read_and_answered_with_the_case_it_was_asked_in() {
    let query = Query::parse(&query("Api.EXAMPLE.com", 1, false)).unwrap();
    assert_eq!(query.name.as_deref(), Some("api.example.com"));
    assert_eq!((query.kind, query.label_bytes), (Kind::A, 7));
    let answer = query.answer(Rcode::NoError, &[Data::A(Ipv4Addr::new(100, 64, 1, 0))], None);
    let mut expected = vec![0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    expected.extend(labels("Api.EXAMPLE.com"));
    expected.extend([0, 1, 0, 1, 0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 100, 64, 1, 0]);
    assert_eq!(answer, expected);
}

#[test]
fn whoever_speaks_edns_is_told_why() {
    let query = Query::parse(&query("secret.example.com", 28, true)).unwrap();
    let answer = query.answer(Rcode::NxDomain, &[], Some("not granted"));
    assert_eq!(answer[3] & 0x0f, 3);
    assert!(answer.windows(11).any(|window| window == b"not granted"));
    let long = "x".repeat(2_000);
    assert!(query.answer(Rcode::NxDomain, &[], Some(&long)).len() <= UDP_BYTES_MAX);
}

#[test]
fn what_is_no_plain_question_is_an_error_or_nothing() {
    let good = query("a.example", 1, true);
    let with = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        message
    };
    let mut pointer = query("", 1, false);
    pointer.truncate(12);
    pointer.extend([0xc0, 0x0c, 0, 1, 0, 1]);
    let mut trailing = good.clone();
    trailing.push(0);
    for (message, expected) in [
        (vec![], Unanswerable::Silence),
        (vec![1, 2, 3], Unanswerable::Silence),
        (with(2, 0x81), Unanswerable::Silence),
        (with(2, 0x28), Unanswerable::Error(0xabcd, Rcode::NotImp)),
        (with(5, 2), Unanswerable::Error(0xabcd, Rcode::FormErr)),
        (with(7, 1), Unanswerable::Error(0xabcd, Rcode::FormErr)),
        (with(11, 2), Unanswerable::Error(0xabcd, Rcode::FormErr)),
        (pointer, Unanswerable::Error(0xabcd, Rcode::FormErr)),
        (trailing, Unanswerable::Error(0xabcd, Rcode::FormErr)),
    ] {
        assert_eq!(Query::parse(&message), Err(expected), "{message:02x?}");
    }
    let spaced = Query::parse(&query("Sp ace.\u{e9}.example", 1, false)).unwrap();
    assert_eq!((spaced.name, spaced.shown.as_str()), (None, "sp_ace.__.example"));
    assert_eq!(Query::parse(&query("x.example", 255, false)).unwrap().kind, Kind::Any);
    assert_eq!(Query::parse(&query("x.example", 65, false)).unwrap().kind, Kind::Other);
    assert_eq!(Query::parse(&query("x.example", 252, false)).unwrap().kind, Kind::Meta);
}

#[test]
fn a_question_that_ends_early_is_never_taken_for_a_whole_one() {
    for edns in [false, true] {
        let whole = query("api.example.com", 1, edns);
        for length in 0..whole.len() {
            assert!(Query::parse(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(query) = Query::parse(&bytes) {
            prop_assert!(query.answer(Rcode::Refused, &[], Some("no")).len() <= UDP_BYTES_MAX);
        }
    }

    #[test]
    fn a_question_with_a_byte_changed_is_read_without_harm(at in 0_usize..40, value: u8, edns: bool) {
        let mut message = query("api.example.com", 28, edns);
        let at = at % message.len();
        message[at] = value;
        if let Ok(query) = Query::parse(&message) {
            let answer = query.answer(Rcode::NoError, &[Data::Aaaa(Ipv6Addr::LOCALHOST)], None);
            prop_assert!(answer.len() <= UDP_BYTES_MAX);
        }
    }
}
