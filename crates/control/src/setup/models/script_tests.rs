use ringfence_gateway::Api;
use ringfence_gateway::targets::ResultWhen;
use ringfence_policy::Glob;

use super::*;

fn script(text: &str) -> Result<Script, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.yaml");
    std::fs::write(&path, text).unwrap();
    read(&path).map_err(|rejected| lines(&rejected))
}

fn lines(rejected: &Rejected) -> String {
    let lines: Vec<String> = rejected.diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn everything_that_can_be_written_is_read() {
    let read = script(
        "
rules:
  - when: { contains: [weather, rain], turn: 1, tool: look_*, model: gpt*, api: [chat, messages], stream: false, system: Be brief }
    think: Where is that?
    say: I look it up.
    call:
      - { tool: look_up, arguments: { city: Köln, days: 1.50, exact: true, zip: '50667', near: null, at: [1, x] } }
      - tool: now
    stop: tools
    usage: { input: 1, cached_input: 2, cache_write: 3, cache_write_1h: 4, output: 5, reasoning: 6 }
    delay: 10ms
    first: 20ms
    pause: 1s
    chunks: 3
    cut_after: 2
    unlimited: true
  - { when: { result: { tool: look_up, contains: rain } }, say: It rains. }
  - { when: { result: true, matches: '*?' }, say: Well. }
  - { once: true, fail: { status: 429, retry_after: 2, message: Slower. }, delay: 5ms }
  - say: I do not know.
",
    )
    .unwrap();
    let arguments = r#"{"city":"Köln","days":1.50,"exact":true,"zip":"50667","near":null,"at":[1,"x"]}"#;
    let arguments = ringfence_json::parse(arguments.as_bytes(), &ringfence_json::Limits::default()).unwrap();
    let always = ScriptWhen::default();
    let say = |text: &str| {
        ScriptAnswer::Speech(Speech { parts: vec![Part::Text(text.into())], ..Speech::default() })
    };
    let first = Speech {
        parts: vec![
            Part::Think("Where is that?".into()),
            Part::Text("I look it up.".into()),
            Part::Call { tool: "look_up".into(), arguments: arguments.into_object().unwrap() },
            Part::Call { tool: "now".into(), arguments: Object::new() },
        ],
        stop: Some(Stop::Tools),
        usage: UsageSaid {
            input: Some(1),
            cached_input: 2,
            cache_write: 3,
            cache_write_1h: 4,
            output: Some(5),
            reasoning: Some(6),
        },
        unlimited: true,
        delay: Duration::from_millis(10),
        first: Duration::from_millis(20),
        pause: Duration::from_secs(1),
        chunks: Some(3),
        cut_after: Some(2),
    };
    let when = ScriptWhen {
        contains: vec!["weather".into(), "rain".into()],
        system: Some("Be brief".into()),
        turn: Some(1),
        tool: Some(Glob::new("look_*")),
        model: Some(Glob::new("gpt*")),
        api: vec![Api::Chat, Api::Messages],
        stream: Some(false),
        ..always.clone()
    };
    let of = ResultWhen::Of { tool: Some(Glob::new("look_up")), contains: vec!["rain".into()] };
    let is =
        ScriptWhen { result: Some(ResultWhen::Is(true)), matches: Some(Glob::new("*?")), ..always.clone() };
    let fail = FailureSaid {
        status: 429,
        retry_after: Some(2),
        message: Some("Slower.".into()),
        delay: Duration::from_millis(5),
    };
    let rule = |when, answer| ScriptRule { when, once: false, answer };
    let expected = Script::new(vec![
        rule(when, ScriptAnswer::Speech(first)),
        rule(ScriptWhen { result: Some(of), ..always.clone() }, say("It rains.")),
        rule(is, say("Well.")),
        ScriptRule { when: always.clone(), once: true, answer: ScriptAnswer::Failure(fail) },
        rule(always, say("I do not know.")),
    ]);
    assert!(read == expected, "{read:?}\n{expected:?}");
}

#[test]
fn the_example_is_a_script() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/scripted.yaml");
    read(Path::new(path)).unwrap();
}

#[test]
fn what_is_wrong_is_told_all_at_once_with_its_places() {
    let told = script(
        "
rules:
  - { when: { contain: x }, say: A }
  - { when: { turn: 0, api: chats, result: yes, tool: [a] }, say: B }
  - { say: C, fail: { status: 200, retry: 1 } }
  - { when: { turn: 1 }, delay: 2h }
  - { say: D }
  - { call: { tool: t, arguments: [1] }, stop: ends, usage: { input: -1, other: 2 }, chunks: 0 }
  - { call: [{ arguments: {} }], once: maybe, pause: soon }
more: 1
",
    )
    .unwrap_err();
    for (line, what) in [
        (3, "unknown key `contain`"),
        (4, "`turn` must be a whole number from 1"),
        (4, "`api` cannot be `chats`"),
        (4, "`result` must be true, false or a mapping"),
        (4, "`tool` must be a text, not a list"),
        (5, "`say` does not go with `fail`"),
        (5, "`status` must be a whole number from 400 to 599"),
        (5, "unknown key `retry`"),
        (6, "`delay` can be at most 1h"),
        (6, "a rule has to say what is answered"),
        (7, "none after it is ever looked at"),
        (8, "`arguments` must be a mapping, not a list"),
        (8, "`stop` cannot be `ends`"),
        (8, "`input` must be a whole number"),
        (8, "unknown key `other`"),
        (8, "`chunks` must be a whole number from 1"),
        (9, "a call needs `tool`"),
        (9, "`once` must be true or false"),
        (9, "`pause`"),
        (10, "unknown key `more`"),
    ] {
        let is_told = |told: &str| told.contains(&format!("script.yaml:{line}:")) && told.contains(what);
        assert!(told.lines().any(is_told), "line {line}: {what}, not in\n{told}");
    }
    assert_eq!(told.lines().count(), 20, "{told}");
    for text in ["", "rules: []", "- say: A", "rules: { say: A }", "rules: [", "rules: [&a 1]"] {
        assert!(script(text).is_err(), "{text}");
    }
    let missing = read(Path::new("/nowhere/script.yaml")).unwrap_err();
    assert!(lines(&missing).starts_with("/nowhere/script.yaml: error: cannot read the script"));
}
