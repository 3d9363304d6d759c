use super::{canonical, object};
use crate::translate::chat_to_messages;

/// A request without the members every one needs, which are added to both sides.
fn whole(members: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":100,{members}}}"#)
}

/// Members of a chat request, members of the messages request it comes to, and what is left out.
const PAIRS: &[(&str, &str, &[&str])] = &[
    (
        r#""messages":[{"role":"system","content":"Be brief."},{"role":"developer","content":[{"type":"text","text":"And kind."}]},
            {"role":"user","content":"Hi"}]"#,
        r#""system":[{"type":"text","text":"Be brief."},{"type":"text","text":"And kind."}],
            "messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]"#,
        &[],
    ),
    // A system message within the conversation moves to the front; names are listed.
    (
        r#""messages":[{"role":"user","content":"a","name":"ann"},{"role":"system","content":"s"},{"role":"user","content":"b"}]"#,
        r#""system":[{"type":"text","text":"s"}],
            "messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#,
        &["messages[0].name", "messages[1]"],
    ),
    // Two calls, two results, one message of results; numbers keep their text.
    (
        r#""messages":[{"role":"user","content":"Weather?"},
            {"role":"assistant","content":null,"refusal":null,"tool_calls":[
                {"id":"call_1","type":"function","function":{"name":"get","arguments":"{\"at\": 1.50, \"far\":12345678901234567890123}"}},
                {"id":"call:2","type":"function","function":{"name":"now","arguments":""}}]},
            {"role":"tool","tool_call_id":"call:2","content":"noon"},
            {"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"21"}]},
            {"role":"user","content":"Thanks"}]"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"Weather?"}]},
            {"role":"assistant","content":[
                {"type":"tool_use","id":"call_1","name":"get","input":{"at":1.50,"far":12345678901234567890123}},
                {"type":"tool_use","id":"rf_4b9ed0eaf73c64bf6f16f653230b98b1","name":"now","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"rf_4b9ed0eaf73c64bf6f16f653230b98b1","content":[{"type":"text","text":"noon"}]},
                {"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"21"}]},
                {"type":"text","text":"Thanks"}]}]"#,
        &[],
    ),
    // An empty result is a result; an empty answer is none.
    (
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},{"role":"user","content":"b"},
            {"role":"assistant","content":"c","reasoning_content":"hm","parsed":{"a":1},
             "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}","parsed_arguments":{}}}]},
            {"role":"tool","tool_call_id":"1","content":""}]"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":[{"type":"text","text":"c"},{"type":"tool_use","id":"1","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"1"}]}]"#,
        &[
            "messages[1].content",
            "messages[3].parsed",
            "messages[3].reasoning_content",
            "messages[4].content",
        ],
    ),
    (
        r#""messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0=","detail":"low"}},
            {"type":"image_url","image_url":{"url":"https://e.test/a.png"}},
            {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0="}},
            {"type":"image","source":{"type":"url","url":"https://e.test/a.png"}},
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"a.pdf"}]}]"#,
        &["messages[0].content[1].image_url.detail"],
    ),
    // An assistant's refusal is what it said.
    (
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"refusal","refusal":"No."}]},
            {"role":"user","content":"b"},{"role":"assistant","content":null,"refusal":"Never."},{"role":"user","content":"c"}]"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"text","text":"No."}]},
            {"role":"user","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":[{"type":"text","text":"Never."}]},
            {"role":"user","content":[{"type":"text","text":"c"}]}]"#,
        &[],
    ),
];

const HI: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;
const HI_THERE: &str = r#""messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]"#;
const TOOL: &str = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
const TOOL_THERE: &str = r#""tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}]"#;

/// As above, beside [`HI`].
const OPTIONS: &[(&str, &str, &[&str])] = &[
    (r#""temperature":0.70,"top_p":0.9"#, r#""temperature":0.70,"top_p":0.9"#, &[]),
    (r#""temperature":1.0,"top_p":1"#, "", &[]),
    (r#""stop":"END""#, r#""stop_sequences":["END"]"#, &[]),
    (r#""stop":["a","b"]"#, r#""stop_sequences":["a","b"]"#, &[]),
    (r#""stop":null"#, "", &[]),
    (r#""stream":true,"stream_options":{"include_usage":true}"#, r#""stream":true"#, &[]),
    (r#""user":"u1""#, r#""metadata":{"user_id":"u1"}"#, &[]),
    (r#""user":"u1","safety_identifier":"s1""#, r#""metadata":{"user_id":"s1"}"#, &[]),
    (r#""service_tier":"default""#, r#""service_tier":"standard_only""#, &[]),
    (r#""service_tier":"auto""#, "", &[]),
    (
        r#""n":1,"logprobs":false,"logit_bias":{},"presence_penalty":0.0,"store":false,"modalities":["text"]"#,
        "",
        &[],
    ),
    (
        r#""seed":7,"metadata":{"a":"b"},"prompt_cache_key":"k""#,
        "",
        &["metadata", "prompt_cache_key", "seed"],
    ),
    (r#""reasoning_effort":"none""#, r#""thinking":{"type":"disabled"}"#, &[]),
    (
        r#""reasoning_effort":"high""#,
        r#""thinking":{"type":"adaptive"},"output_config":{"effort":"high"}"#,
        &[],
    ),
    (
        r#""reasoning_effort":"minimal""#,
        r#""thinking":{"type":"adaptive"},"output_config":{"effort":"low"}"#,
        &["reasoning_effort"],
    ),
    (r#""response_format":{"type":"text"}"#, "", &[]),
    (
        r#""response_format":{"type":"json_schema","json_schema":{"name":"a","description":"d","strict":true,"schema":{"type":"object"}}}"#,
        r#""output_config":{"format":{"type":"json_schema","schema":{"type":"object","description":"d"}}}"#,
        &[],
    ),
    (
        r#""tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,
            "parameters":{"type":"object","properties":{"x":{"type":"number","maximum":1e2}}}}},
            {"type":"function","function":{"name":"g","parameters":{},"strict":false}}]"#,
        r#""tools":[{"name":"f","description":"d","strict":true,
            "input_schema":{"type":"object","properties":{"x":{"type":"number","maximum":1e2}}}},
            {"name":"g","input_schema":{"type":"object"}}]"#,
        &[],
    ),
    (r#""tools":[],"tool_choice":"none","parallel_tool_calls":false"#, "", &[]),
];

/// A choice of tools there and here, beside [`HI`] and [`TOOL`].
const CHOICES: &[(&str, &str)] = &[
    (r#""tool_choice":"auto""#, r#""tool_choice":{"type":"auto"}"#),
    (r#""tool_choice":"none""#, r#""tool_choice":{"type":"none"}"#),
    (r#""tool_choice":"required""#, r#""tool_choice":{"type":"any"}"#),
    (
        r#""tool_choice":{"type":"function","function":{"name":"f"}}"#,
        r#""tool_choice":{"type":"tool","name":"f"}"#,
    ),
    (r#""parallel_tool_calls":true"#, ""),
    (r#""parallel_tool_calls":false"#, r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#),
    (r#""parallel_tool_calls":false,"tool_choice":"none""#, r#""tool_choice":{"type":"none"}"#),
    (
        r#""parallel_tool_calls":false,"tool_choice":"required""#,
        r#""tool_choice":{"type":"any","disable_parallel_tool_use":true}"#,
    ),
    // Anthropic does not think where a tool is forced.
    (
        r#""tool_choice":"required","reasoning_effort":"low""#,
        r#""tool_choice":{"type":"any"},"output_config":{"effort":"low"}"#,
    ),
];

fn check(chat: &str, messages: &str, dropped: &[&str]) {
    let translated =
        chat_to_messages(&object(&whole(chat))).unwrap_or_else(|error| panic!("{error}: {chat}"));
    assert_eq!(canonical(&translated.body), canonical(&object(&whole(messages))), "{chat}");
    let mut listed = translated.dropped;
    listed.sort();
    assert_eq!(listed, dropped, "{chat}");
}

#[test]
fn a_chat_conversation_is_said_as_messages() {
    for (chat, messages, dropped) in PAIRS {
        check(chat, messages, dropped);
    }
}

#[test]
fn options_of_chat_are_said_as_those_of_messages() {
    for (chat, messages, dropped) in OPTIONS {
        let messages = if messages.is_empty() { HI_THERE.into() } else { format!("{messages},{HI_THERE}") };
        check(&format!("{chat},{HI}"), &messages, dropped);
    }
}

#[test]
fn a_choice_of_tools_is_said_as_messages_have_it() {
    for (chat, messages) in CHOICES {
        let comma = if messages.is_empty() { "" } else { "," };
        let messages = format!("{messages}{comma}{HI_THERE},{TOOL_THERE}");
        check(&format!("{chat},{HI},{TOOL}"), &messages, &[]);
    }
}

#[test]
fn the_newer_name_of_the_limit_counts() {
    let both = r#"{"model":"m","max_tokens":5,"max_completion_tokens":7,"messages":[{"role":"user","content":"a"}]}"#;
    let body = chat_to_messages(&object(both)).unwrap().body;
    assert_eq!(body.get("max_tokens").unwrap().as_u64(), Some(7));
    assert!(!body.contains("max_completion_tokens"));
}
