//! What goes on only with a switch.

use super::super::{Hosted, ObjectionKind, Switches, read};
use super::object;
use crate::Api;

use ObjectionKind::{Hosted as Host, Remote, Stored, Unbounded, Unknown};

/// The switch for one kind of objection.
fn on(kind: ObjectionKind) -> Switches {
    let off = Switches::default();
    let hosted = [
        "web_search",
        "web_fetch",
        "code_execution",
        "code_interpreter",
        "file_search",
        "mcp",
        "image_generation",
        "computer_use",
        "tool_search",
        "programmatic_tool_calling",
        "laser_2027",
    ];
    match kind {
        Stored => Switches { stored: true, ..off },
        Remote => Switches { remote: true, ..off },
        Host => Switches { hosted: hosted.map(Into::into).to_vec(), ..off },
        _ => Switches { pass_unknown: true, ..off },
    }
}

/// Every switch but this.
fn but(only: &Switches) -> Switches {
    Switches {
        pass_unknown: !only.pass_unknown,
        stored: !only.stored,
        remote: !only.remote,
        hosted: if only.hosted.is_empty() { on(Host).hosted } else { Vec::new() },
    }
}

/// Refused with every other switch on, for this reason and at this place; goes on with the switch for it. Tells
/// whether the model may then read more than the bytes of the request.
fn needs(kind: ObjectionKind, api: Api, text: &str, param: &str) -> bool {
    let (request, only) = (object(text), on(kind));
    let objection = read(api, &request, &but(&only)).expect_err(text);
    assert_eq!((objection.kind, objection.param.as_str()), (kind, param), "{text}: {objection}");
    let asked = read(api, &request, &only).unwrap_or_else(|objection| panic!("{text}: {objection}"));
    assert_eq!(asked.unknown.iter().any(|at| at == param), only.pass_unknown, "{text}: {:?}", asked.unknown);
    asked.hidden_input
}

fn part(api: Api, part: &str) -> String {
    match api {
        Api::Responses => {
            format!(r#"{{"model":"m","store":false,"input":[{{"role":"user","content":[{part}]}}]}}"#)
        }
        _ => format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#),
    }
}

fn member(api: Api, member: &str) -> String {
    match api {
        Api::Responses => format!(r#"{{"model":"m","input":"hi",{member}}}"#),
        _ => format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{member}}}"#),
    }
}

#[test]
fn what_the_provider_keeps_takes_a_switch() {
    for (api, name) in [(Api::Responses, "store"), (Api::Responses, "background"), (Api::Chat, "store")] {
        assert!(!needs(Stored, api, &member(api, &format!(r#""{name}":true"#)), name));
    }
    for (name, value) in [
        ("previous_response_id", r#""resp_1""#),
        ("conversation", r#"{"id":"conv_1"}"#),
        ("prompt", r#"{"id":"pmpt_1"}"#),
    ] {
        assert!(needs(
            Stored,
            Api::Responses,
            &member(Api::Responses, &format!(r#""{name}":{value}"#)),
            name
        ));
    }
    assert!(needs(Stored, Api::Messages, &member(Api::Messages, r#""container":"c_1""#), "container"));
    assert!(needs(Stored, Api::Messages, &member(Api::Messages, r#""thread":{"type":"create"}"#), "thread"));
    let audio = r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#;
    assert!(needs(Stored, Api::Chat, audio, "messages[0].audio"));
    let file = r#"{"type":"input_image","file_id":"f_1"}"#;
    assert!(needs(Stored, Api::Responses, &part(Api::Responses, file), "input[0].content[0].file_id"));
    for item in [r#"{"type":"item_reference","id":"i"}"#, r#"{"id":"i"}"#] {
        assert!(needs(Stored, Api::Responses, &format!(r#"{{"model":"m","input":[{item}]}}"#), "input[0]"));
    }
    let upload = r#"{"type":"container_upload","file_id":"f"}"#;
    assert!(needs(Stored, Api::Messages, &part(Api::Messages, upload), "messages[0].content[0]"));
    let image = r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#;
    assert!(needs(Stored, Api::Messages, &part(Api::Messages, image), "messages[0].content[0].source"));
}

#[test]
fn what_the_provider_fetches_takes_a_switch() {
    for url in ["https://example.com/a.png", "HTTP://x", "gs://b/o", "dat", "é"] {
        let image = format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
        assert!(!needs(Remote, Api::Chat, &part(Api::Chat, &image), "messages[0].content[0].image_url.url"));
    }
    let image = r#"{"type":"input_image","image_url":"https://example.com/a.png"}"#;
    assert!(!needs(Remote, Api::Responses, &part(Api::Responses, image), "input[0].content[0].image_url"));
    let file = r#"{"type":"input_file","file_url":"https://example.com/a.pdf"}"#;
    assert!(needs(Remote, Api::Responses, &part(Api::Responses, file), "input[0].content[0].file_url"));
    for (block, hides) in [("image", false), ("document", true)] {
        let block = format!(r#"{{"type":"{block}","source":{{"type":"url","url":"https://example.com"}}}}"#);
        let hidden =
            needs(Remote, Api::Messages, &part(Api::Messages, &block), "messages[0].content[0].source");
        assert_eq!(hidden, hides);
    }
    let inside = r#"{"type":"tool_result","tool_use_id":"t",
        "content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}"#;
    assert!(!needs(
        Remote,
        Api::Messages,
        &part(Api::Messages, inside),
        "messages[0].content[0].content[0].source"
    ));
}

#[test]
fn what_the_provider_runs_takes_its_name() {
    for kind in [
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "file_search",
        "code_interpreter",
        "mcp",
        "image_generation",
        "computer",
        "computer_use_preview",
        "programmatic_tool_calling",
        "tool_search",
    ] {
        let tool = format!(r#""tools":[{{"type":"{kind}"}}]"#);
        assert!(needs(Host, Api::Responses, &member(Api::Responses, &tool), "tools[0]"));
    }
    let laser = r#""tools":[{"type":"laser_2027"}]"#;
    assert!(needs(Host, Api::Responses, &member(Api::Responses, laser), "tools[0].type"));
    assert!(needs(Host, Api::Messages, &member(Api::Messages, laser), "tools[0].type"));
    let shell = r#""tools":[{"type":"shell","environment":{"type":"container_auto"}}]"#;
    assert!(needs(Host, Api::Responses, &member(Api::Responses, shell), "tools[0].environment"));
    for item in ["additional_tools", "tool_search_output"] {
        let text = format!(r#"{{"model":"m","input":[{{"type":"{item}","tools":[{{"type":"mcp"}}]}}]}}"#);
        assert!(needs(Host, Api::Responses, &text, "input[0].tools[0]"));
    }
    assert!(needs(Host, Api::Chat, &member(Api::Chat, r#""web_search_options":{}"#), "web_search_options"));
    for kind in [
        "web_search_20260318",
        "web_fetch_20250910",
        "code_execution_20260521",
        "tool_search_tool_regex",
        "tool_search_tool_bm25_20251119",
        "mcp_toolset",
    ] {
        let tool = format!(r#""tools":[{{"type":"{kind}"}}]"#);
        assert!(needs(Host, Api::Messages, &member(Api::Messages, &tool), "tools[0]"));
    }
    let server = r#""mcp_servers":[{"type":"url","name":"n","url":"https://x"}]"#;
    assert!(needs(Host, Api::Messages, &member(Api::Messages, server), "mcp_servers"));
    let added = r#"{"type":"tool_addition","tool":{"type":"tool_definition",
        "definition":{"type":"web_search_20250305"}}}"#;
    assert!(needs(
        Host,
        Api::Messages,
        &part(Api::Messages, added),
        "messages[0].content[0].tool.definition"
    ));
}

#[test]
fn what_is_unknown_or_unbounded_takes_a_switch_and_is_listed() {
    for api in [Api::Chat, Api::Responses, Api::Messages] {
        assert!(needs(Unknown, api, &member(api, r#""laser":1"#), "laser"));
    }
    assert!(needs(
        Unknown,
        Api::Chat,
        &part(Api::Chat, r#"{"type":"hologram"}"#),
        "messages[0].content[0].type"
    ));
    assert!(needs(
        Unknown,
        Api::Chat,
        &part(Api::Chat, r#"{"type":"text","text":"","file_id":"f"}"#),
        "messages[0].content[0].file_id"
    ));
    assert!(needs(
        Unknown,
        Api::Messages,
        &part(Api::Messages, r#"{"type":"hologram"}"#),
        "messages[0].content[0].type"
    ));
    assert!(needs(
        Unknown,
        Api::Chat,
        r#"{"model":"m","messages":[{"role":"admin","content":"hi"}]}"#,
        "messages[0].role"
    ));
    assert!(needs(Unknown, Api::Responses, r#"{"model":"m","input":[{"type":"dream"}]}"#, "input[0].type"));
    assert!(needs(
        Unknown,
        Api::Responses,
        &member(Api::Responses, r#""reasoning":{"mode":"pro"}"#),
        "reasoning.mode"
    ));
    assert!(needs(Unknown, Api::Messages, &member(Api::Messages, r#""speed":"warp""#), "speed"));
    assert!(needs(
        Unknown,
        Api::Chat,
        &member(Api::Chat, r#""modalities":["text","audio"]"#),
        "modalities[1]"
    ));
    assert!(needs(Unbounded, Api::Chat, &member(Api::Chat, r#""audio":{"voice":"v"}"#), "audio"));
    assert!(needs(
        Unbounded,
        Api::Chat,
        &part(Api::Chat, r#"{"type":"input_audio","input_audio":{}}"#),
        "messages[0].content[0]"
    ));
    assert!(needs(
        Unbounded,
        Api::Chat,
        &part(Api::Chat, r#"{"type":"file","file":{"file_data":"d"}}"#),
        "messages[0].content[0]"
    ));
    assert!(needs(Unbounded, Api::Messages, &member(Api::Messages, r#""fallbacks":"default""#), "fallbacks"));
    let advisor = r#""tools":[{"type":"advisor_20260301","name":"advisor","model":"m"}]"#;
    assert!(needs(Unbounded, Api::Messages, &member(Api::Messages, advisor), "tools[0]"));
    let edit = r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#;
    assert!(needs(Unbounded, Api::Messages, &member(Api::Messages, edit), "context_management.edits[0]"));
}

#[test]
fn what_says_that_there_is_nothing_takes_no_switch() {
    for text in [
        member(
            Api::Responses,
            r#""store":false,"background":false,"previous_response_id":null,"context_management":[]"#,
        ),
        member(
            Api::Chat,
            r#""store":false,"audio":null,"web_search_options":null,"tools":[],"modalities":["text"]"#,
        ),
        member(Api::Messages, r#""mcp_servers":[],"container":null,"fallbacks":null,"thread":null"#),
    ] {
        let api = if text.contains("input") { Api::Responses } else { Api::Chat };
        let api = if text.contains("mcp_servers") { Api::Messages } else { api };
        let asked = read(api, &object(&text), &Switches::default()).unwrap();
        assert!(!asked.hidden_input && !asked.keep_out, "{text}");
    }
}

#[test]
fn hosted_tools_are_told_with_what_bounds_their_uses() {
    let read = |api, text: &str| {
        let hosted = vec!["web_search".into(), "mcp".into()];
        let asked = read(api, &object(text), &Switches { hosted, ..Switches::default() }).unwrap();
        assert!(asked.provider_tools > 0, "the provider describes them to the model");
        asked.hosted
    };
    let of = |name: &str, uses| Hosted { name: name.into(), uses };
    let tools = r#""tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3},
        {"type":"web_search_20260209","max_uses":2}]"#;
    assert_eq!(read(Api::Messages, &member(Api::Messages, tools)), [of("web_search", Some(5))]);
    let tools = tools.replace(r#","max_uses":2"#, "");
    assert_eq!(read(Api::Messages, &member(Api::Messages, &tools)), [of("web_search", None)]);
    let tools = r#""tools":[{"type":"web_search_20250305"},{"type":"web_search_20260209","max_uses":2}]"#;
    assert_eq!(read(Api::Messages, &member(Api::Messages, tools)), [of("web_search", None)]);
    let tools = r#""max_tool_calls":4,"tools":[{"type":"web_search"},{"type":"mcp","server_label":"l"}]"#;
    let both = [of("web_search", Some(4)), of("mcp", Some(4))];
    assert_eq!(read(Api::Responses, &member(Api::Responses, tools)), both);
    let search = r#""web_search_options":{"search_context_size":"low"}"#;
    assert_eq!(read(Api::Chat, &member(Api::Chat, search)), [of("web_search", None)]);
}

#[test]
fn what_is_known_to_be_kept_is_told_to_who_may_keep_it() {
    let stored = Switches { stored: true, ..Switches::default() };
    let asked = |text: &str| read(Api::Responses, &object(text), &stored).unwrap();
    let plain = asked(r#"{"model":"m","input":"hi"}"#);
    assert!(plain.stores && !plain.keep_out && !plain.hidden_input);
    let reasoning = |content: &str| {
        format!(r#"{{"model":"m","input":[{{"type":"reasoning","id":"rs_1","summary":[]{content}}}]}}"#)
    };
    assert!(asked(&reasoning("")).hidden_input, "it refers to what is kept");
    assert!(!asked(&reasoning(r#","encrypted_content":"e""#)).hidden_input);
}
