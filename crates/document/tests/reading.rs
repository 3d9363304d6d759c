//! What is read, and what is refused with which words.

use proptest::prelude::*;
use ringfence_document::{Content, Diagnostic, Fields, Report, limits, parse, render};

fn errors_of(text: &str) -> Vec<Diagnostic> {
    parse("file.yaml", text).err().unwrap_or_default()
}

fn shown(diagnostics: &[Diagnostic], text: &str) -> String {
    diagnostics.iter().map(|diagnostic| render(diagnostic, text)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_value_knows_its_place() {
    let text = "rules:\n  - name: one\n    list: [a, \"b\"]\n";
    let root = parse("f", text).unwrap();
    let rule = &root.get("rules").unwrap().as_sequence().unwrap()[0];
    assert_eq!((rule.place.line, rule.place.column), (2, 5));
    let (key, name) = &rule.as_mapping().unwrap()[0];
    assert_eq!((key.place.line, key.place.column, key.place.width), (2, 5, 4));
    assert_eq!((name.place.line, name.place.column, name.place.width), (2, 11, 3));
    let list = rule.get("list").unwrap().as_sequence().unwrap();
    assert!(list[0].as_scalar().unwrap().plain && !list[1].as_scalar().unwrap().plain);
    assert_eq!((list[1].place.line, list[1].place.column), (3, 15));
}

#[test]
fn everything_that_is_not_taken_is_reported_at_once() {
    let text = "\
a: &anchor 1
b: *anchor
c: !tag 2
<<: {d: 3}
a: 4
e:
  f: 1
  f: 2
";
    insta::assert_snapshot!(shown(&errors_of(text), text));
}

#[test]
fn what_is_not_yaml_says_where() {
    for (text, line) in [("a: [1, 2", 1), ("a:\n\t- b", 2), ("a: 'x\n", 1), ("a: b: c", 1), ("? [x]\n: 1", 1)]
    {
        let found = errors_of(text);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].place.line >= line, "{text:?}: {found:?}");
    }
    assert!(errors_of("a: 1\n---\nb: 2")[0].message.contains("one document"));
}

#[test]
fn every_limit_holds_at_its_edge() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse("f", &nested(limits::DEPTH_MAX)).is_ok());
    assert!(errors_of(&nested(limits::DEPTH_MAX + 1))[0].message.contains("deeper"));
    let scalar = |length: usize| format!("\"{}\"", "x".repeat(length));
    assert!(parse("f", &scalar(limits::SCALAR_BYTES_MAX)).is_ok());
    assert!(errors_of(&scalar(limits::SCALAR_BYTES_MAX + 1))[0].message.contains("bytes"));
    let long = " ".repeat(limits::DOCUMENT_BYTES_MAX + 1);
    assert!(errors_of(&long)[0].message.contains("longer"));
}

#[test]
fn an_empty_text_is_nothing() {
    for text in ["", "\n", "# only a comment\n", "~", "null"] {
        assert!(parse("f", text).unwrap().is_null(), "{text:?}");
    }
    assert!(!parse("f", "\"null\"").unwrap().is_null());
}

#[test]
fn a_mapping_is_read_by_its_keys() {
    let text = "\
name: [one]
quroum: 2
mode: shado
count: \"3\"
sure: yes
vault: {}
unlike: 1
";
    let root = parse("file.yaml", text).unwrap();
    let mut report = Report::new("file.yaml");
    let mut fields = Fields::of(&root, "a thing", &mut report).unwrap();
    let name = fields.require("name", &mut report).and_then(|node| node.text("the name", &mut report));
    assert!(name.is_none() && fields.get("quorum").is_none());
    let mode = fields.get("mode").unwrap();
    assert!(mode.word::<bool>("the mode", &["enforce", "shadow"], &mut report).is_none());
    assert!(fields.get("count").unwrap().whole("the count", 1..=9, &mut report).is_none());
    assert!(fields.get("sure").unwrap().boolean("`sure`", &mut report).is_none());
    assert!(fields.require("decision", &mut report).is_none());
    fields.later("vault", &mut report);
    fields.finish(&mut report);
    insta::assert_snapshot!(shown(&report.into_diagnostics(), text));
}

#[test]
fn a_flood_of_errors_is_bounded_and_counted() {
    let text: String = (0..limits::DIAGNOSTICS_MAX + 50).map(|_| "a: 1\n").collect();
    let found = errors_of(&text);
    assert_eq!(found.len(), limits::DIAGNOSTICS_MAX + 1);
    assert_eq!(found.last().unwrap().message, "and 49 more errors");
}

#[test]
fn debug_shows_no_contents() {
    let root = parse("f", "key: hunter2\nother: [hunter2]").unwrap();
    assert!(!format!("{root:?} {:?} {:?}", root.content, root.as_mapping()).contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "[a-c:\\- \\n\\[\\]{},&*!<>|\"'#?~\\t\u{e9}\u{feff}]{0,60}") {
        if let Err(found) = parse("f", &text) {
            prop_assert!(!found.is_empty());
            for diagnostic in found {
                let _ = render(&diagnostic, &text);
            }
        }
    }

    #[test]
    fn quoted_texts_come_back_as_they_were(value in "[ -~\u{e9}]{0,40}") {
        let quoted = format!("k: '{}'", value.replace('\'', "''"));
        let root = parse("f", &quoted).unwrap();
        let Content::Scalar(scalar) = &root.get("k").unwrap().content else { panic!("not a scalar") };
        prop_assert_eq!(scalar.text.as_str(), value.as_str());
    }
}
