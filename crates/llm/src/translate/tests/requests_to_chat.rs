use super::{canonical, object};
use crate::translate::messages_to_chat;

/// Members of a messages request, members of the chat request it comes to, and what is left out.
const PAIRS: &[(&str, &str, &[&str])] = &[
    (
        r#""system":"Be brief.","messages":[{"role":"user","content":"Hi"}]"#,
        r#""messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]"#,
        &[],
    ),
    // As the Claude Agent SDK sends it: blocks of system, system within the conversation, marks of the cache, thoughts.
    (
        r#""system":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}],
            "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
            "messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"system","content":"s"},
            {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"Yes?"}]},
            {"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}]"#,
        r#""messages":[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"user","content":"Hi"},{"role":"system","content":"s"},{"role":"assistant","content":"Yes?"},
            {"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}]"#,
        &["context_management", "messages.2.content.0", "system.1.cache_control"],
    ),
    // Results before everything else of their turn, whose messages are one.
    (
        r#""messages":[{"role":"user","content":"Weather?"},
            {"role":"assistant","content":[{"type":"text","text":"Wait."},
                {"type":"tool_use","id":"toolu_1","name":"get","input":{"at":1.50},"caller":{"type":"direct"}},
                {"type":"tool_use","id":"toolu_2","name":"now","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":"no clock"}]},
            {"role":"user","content":[{"type":"text","text":"Well?"},{"type":"tool_result","tool_use_id":"toolu_1"}]}]"#,
        r#""messages":[{"role":"user","content":"Weather?"},
            {"role":"assistant","content":"Wait.","tool_calls":[
                {"id":"toolu_1","type":"function","function":{"name":"get","arguments":"{\"at\":1.50}"}},
                {"id":"toolu_2","type":"function","function":{"name":"now","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"toolu_2","content":"[error] no clock"},
            {"role":"tool","tool_call_id":"toolu_1","content":""},
            {"role":"user","content":"Well?"}]"#,
        &[],
    ),
    // A tool message holds no images: they follow, saying whose they are.
    (
        r#""messages":[{"role":"user","content":"Look"},
            {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"see","input":{}},{"type":"tool_use","id":"t2","name":"see","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"two"},
                    {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0="}}]},
                {"type":"tool_result","tool_use_id":"t2","is_error":true,"content":[
                    {"type":"image","source":{"type":"url","url":"https://e.test/a.png"}}]}]}]"#,
        r#""messages":[{"role":"user","content":"Look"},
            {"role":"assistant","content":null,"tool_calls":[
                {"id":"t1","type":"function","function":{"name":"see","arguments":"{}"}},
                {"id":"t2","type":"function","function":{"name":"see","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"t1","content":"two"},
            {"role":"tool","tool_call_id":"t2","content":"[error] [see the next user message]"},
            {"role":"user","content":[{"type":"text","text":"[from the result of tool call t1]"},
                {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0="}},
                {"type":"text","text":"[from the result of tool call t2]"},
                {"type":"image_url","image_url":{"url":"https://e.test/a.png"}}]}]"#,
        &[],
    ),
    (
        r#""messages":[{"role":"user","content":[
            {"type":"document","title":"T","context":"C","source":{"type":"text","media_type":"text/plain","data":"D"}},
            {"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"T"},{"type":"text","text":"C"},{"type":"text","text":"D"},
            {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]"#,
        &[],
    ),
];

const HI: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;
const TOOL: &str = r#""tools":[{"name":"f","input_schema":{"type":"object"}}]"#;
const TOOL_THERE: &str =
    r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#;

/// As above, beside [`HI`], which is the same on both sides.
const OPTIONS: &[(&str, &str, &[&str])] = &[
    (r#""temperature":0.70,"top_p":1"#, r#""temperature":0.70,"top_p":1"#, &[]),
    (r#""stop_sequences":["a","b"]"#, r#""stop":["a","b"]"#, &[]),
    (r#""stop_sequences":[]"#, "", &[]),
    (r#""stream":true"#, r#""stream":true,"stream_options":{"include_usage":true}"#, &[]),
    (r#""stream":false"#, r#""stream":false"#, &[]),
    (r#""metadata":{"user_id":"u1"}"#, r#""user":"u1""#, &[]),
    (r#""service_tier":"standard_only""#, r#""service_tier":"default""#, &[]),
    (r#""service_tier":"auto","speed":"standard","mcp_servers":[]"#, "", &[]),
    (r#""cache_control":{"type":"ephemeral"}"#, "", &["cache_control"]),
    (r#""thinking":{"type":"disabled"},"output_config":{"effort":"low"}"#, "", &["thinking"]),
    (r#""thinking":{"type":"enabled","budget_tokens":1024}"#, r#""reasoning_effort":"low""#, &[]),
    (r#""thinking":{"type":"enabled","budget_tokens":4096}"#, r#""reasoning_effort":"medium""#, &[]),
    (r#""thinking":{"type":"enabled","budget_tokens":31999}"#, r#""reasoning_effort":"high""#, &[]),
    (r#""thinking":{"type":"adaptive","display":"omitted"}"#, "", &[]),
    (
        r#""thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}"#,
        r#""reasoning_effort":"xhigh""#,
        &[],
    ),
    (
        r#""output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object"}}}"#,
        &[],
    ),
    (
        r#""output_format":{"type":"json_schema","schema":{}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{}}}"#,
        &[],
    ),
    (
        r#""tools":[{"type":"custom","name":"f","description":"d","strict":true,"input_schema":{"type":"object","minimum":1e2},
            "cache_control":{"type":"ephemeral"},"allowed_callers":["direct"],"defer_loading":false}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":{"type":"object","minimum":1e2}}}]"#,
        &["tools.0.cache_control"],
    ),
    (r#""tools":[],"tool_choice":{"type":"auto"}"#, "", &[]),
];

/// A choice of tools there and here, beside [`HI`] and [`TOOL`].
const CHOICES: &[(&str, &str)] = &[
    (r#""tool_choice":{"type":"auto"}"#, r#""tool_choice":"auto""#),
    (r#""tool_choice":{"type":"none"}"#, r#""tool_choice":"none""#),
    (r#""tool_choice":{"type":"any"}"#, r#""tool_choice":"required""#),
    (
        r#""tool_choice":{"type":"tool","name":"f"}"#,
        r#""tool_choice":{"type":"function","function":{"name":"f"}}"#,
    ),
    (
        r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#,
        r#""tool_choice":"auto","parallel_tool_calls":false"#,
    ),
];

fn check(messages: &str, chat: &str, dropped: &[&str]) {
    let request = object(&format!(r#"{{"model":"m","max_tokens":100,{messages}}}"#));
    let translated = messages_to_chat(&request).unwrap_or_else(|error| panic!("{error}: {messages}"));
    let expected = object(&format!(r#"{{"model":"m","max_completion_tokens":100,{chat}}}"#));
    assert_eq!(canonical(&translated.body), canonical(&expected), "{messages}");
    let mut listed = translated.dropped;
    listed.sort();
    assert_eq!(listed, dropped, "{messages}");
}

#[test]
fn a_messages_conversation_is_said_as_chat() {
    for (messages, chat, dropped) in PAIRS {
        check(messages, chat, dropped);
    }
}

#[test]
fn options_of_messages_are_said_as_those_of_chat() {
    for (messages, chat, dropped) in OPTIONS {
        let chat = if chat.is_empty() { HI.into() } else { format!("{chat},{HI}") };
        check(&format!("{messages},{HI}"), &chat, dropped);
    }
}

#[test]
fn a_choice_of_tools_is_said_as_chat_has_it() {
    for (messages, chat) in CHOICES {
        check(&format!("{messages},{HI},{TOOL}"), &format!("{chat},{HI},{TOOL_THERE}"), &[]);
    }
}

#[test]
fn a_name_of_a_user_that_is_too_long_is_left_out_and_listed() {
    let long = "u".repeat(65);
    check(&format!(r#""metadata":{{"user_id":"{long}"}},{HI}"#), HI, &["metadata.user_id"]);
}
