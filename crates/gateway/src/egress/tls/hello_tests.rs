use std::sync::Arc;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;

/// What a real client says first.
fn real(name: &'static str, alpn: &[&[u8]]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same message in records of so many bytes.
fn in_records(bytes: &[u8], sizes: &[usize]) -> Vec<u8> {
    let message = &bytes[RECORD_HEADER_BYTES..];
    let (mut out, mut rest, mut sizes) = (Vec::new(), message, sizes.iter().cycle());
    while !rest.is_empty() {
        let (record, after) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        out.extend([22, 3, 1]);
        out.extend(u16::try_from(record.len()).unwrap().to_be_bytes());
        out.extend_from_slice(record);
        rest = after;
    }
    out
}

#[test]
fn a_real_client_says_where_it_wants_to_go() {
    let hello = Hello::parse(&real("API.example.com", &[b"h2", b"http/1.1"])).unwrap();
    assert_eq!(hello.server_name, Some(HostName::new("api.example.com").unwrap()));
    assert!(hello.offers_h2 && !hello.encrypted);
    let hello = Hello::parse(&real("10.0.0.1", &[b"http/1.1"])).unwrap();
    assert_eq!(hello, Hello::default(), "addresses are not named, and nothing of HTTP/2 is said");
}

#[test]
fn what_is_not_tls_is_told_at_its_first_bytes() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x02",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
    ] {
        assert!(matches!(Hello::parse(bytes), Err(HelloError::Malformed(_))), "{bytes:02x?}");
    }
    assert_eq!(Hello::parse(b""), Err(HelloError::Incomplete));
}

#[test]
fn two_names_or_a_name_twice_are_refused() {
    let mut body = vec![3, 3];
    body.extend([0; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    let entry = |name: &[u8]| [&[0, 0, u8::try_from(name.len()).unwrap()][..], name].concat();
    let extension = |entries: &[u8]| {
        let length = u8::try_from(entries.len()).unwrap();
        [&[0, 0, 0, length + 2, 0, length][..], entries].concat()
    };
    let hello = |extensions: Vec<u8>| {
        let mut body = body.clone();
        body.extend([0, u8::try_from(extensions.len()).unwrap()]);
        body.extend(extensions);
        let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
        message.extend(body);
        [&[22, 3, 1, 0, u8::try_from(message.len()).unwrap()][..], &message].concat()
    };
    let name = entry(b"a.example");
    assert!(Hello::parse(&hello(extension(&name))).unwrap().server_name.is_some());
    let two = [name.clone(), entry(b"b.example")].concat();
    let twice = [extension(&name), extension(&name)].concat();
    for bad in
        [extension(&two), twice, extension(&entry(b"a b")), extension(&[1, 0, 1, b'a']), extension(b"")]
    {
        assert!(matches!(Hello::parse(&hello(bad.clone())), Err(HelloError::Malformed(_))), "{bad:02x?}");
    }
    let ech = [extension(&name), vec![0xfe, 0x0d, 0, 1, 0]].concat();
    assert!(Hello::parse(&hello(ech)).unwrap().encrypted);
}

proptest! {
    #[test]
    fn however_it_is_cut_it_says_the_same(sizes in proptest::collection::vec(1_usize..400, 1..8), cut in 0.0..1.0_f64) {
        let whole = real("api.example.com", &[b"h2"]);
        let split = in_records(&whole, &sizes);
        prop_assert_eq!(Hello::parse(&split), Hello::parse(&whole));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short message")]
        let cut = (split.len() as f64 * cut) as usize;
        prop_assert_eq!(Hello::parse(&split[..cut]), Err(HelloError::Incomplete));
    }

    #[test]
    fn any_bytes_are_read_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), disguised: bool) {
        if disguised && bytes.len() > 9 {
            let rest = u8::try_from((bytes.len() - 5) & 0xff).unwrap();
            bytes[..6].copy_from_slice(&[22, 3, 1, 0, rest, 1]);
        }
        let _ = Hello::parse(&bytes);
    }

    #[test]
    fn a_hello_with_a_byte_changed_is_read_without_harm(at: usize, value: u8) {
        let mut bytes = real("api.example.com", &[b"h2"]);
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = Hello::parse(&bytes);
    }
}
