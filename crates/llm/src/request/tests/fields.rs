//! Every field that the SDKs have is in the tables: PyPI's openai 3.54.0 and anthropic 2.12.0 with what its `beta`
//! has. Left out are the parameters that these SDKs send as headers: `betas`, `user_profile_id`, `workspace_id`.

use super::super::table::{Field, Rule, Types, fields};
use crate::Api;

const REQUESTS: [(Api, &str); 5] = [
    (
        Api::Chat,
        "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens \
     max_tokens messages metadata modalities model moderation n parallel_tool_calls prediction \
     presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention \
     reasoning_effort response_format safety_identifier seed service_tier stop store stream \
     stream_options temperature tool_choice tools top_logprobs top_p user verbosity \
     web_search_options",
    ),
    (
        Api::Responses,
        "access_programs background background_options context_management conversation image include \
     input instructions max_output_tokens max_tool_calls metadata model moderation \
     parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options \
     prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options \
     temperature text tool_choice tools top_logprobs top_p truncation user",
    ),
    (Api::Embeddings, "dimensions encoding_format input model user"),
    (
        Api::Messages,
        "billing_policy cache_control compaction container context_management diagnostics \
     fallback_credit_token fallbacks inference_geo max_tokens mcp_servers messages metadata model \
     output_config service_tier speed stop_sequences stream system thinking thread tool_choice \
     tools",
    ),
    (
        Api::CountTokens,
        "billing_policy cache_control compaction context_management mcp_servers messages model \
     output_config speed system thinking tool_choice tools",
    ),
];

/// What is told apart by its `type`, under a path of members: each type with its members.
const TYPED: [(Api, &str, &[&str]); 8] = [
    (
        Api::Chat,
        "messages content",
        &[
            "file: file prompt_cache_breakpoint",
            "image_url: image_url prompt_cache_breakpoint",
            "input_audio: input_audio prompt_cache_breakpoint",
            "refusal: refusal",
            "text: prompt_cache_breakpoint text",
        ],
    ),
    (Api::Chat, "tools", &["custom: custom", "function: function"]),
    (Api::Chat, "messages tool_calls", &["custom: custom id", "function: function id"]),
    (
        Api::Responses,
        "input",
        &[
            "additional_tools: id role tools",
            "apply_patch_call: call_id caller id operation status",
            "apply_patch_call_output: call_id caller id output status",
            "code_interpreter_call: code container_id id outputs status",
            "compaction: encrypted_content id",
            "compaction_trigger: id",
            "computer_call: action actions call_id id pending_safety_checks status",
            "computer_call_output: acknowledged_safety_checks call_id id output status",
            "configuration_update: id reasoning text",
            "custom_tool_call: async call_id caller id input name namespace",
            "custom_tool_call_output: call_id caller id output",
            "file_search_call: id queries results status",
            "function_call: arguments async call_id caller id name namespace status",
            "function_call_output: call_id caller id name namespace output status",
            "image_generation_call: action background error id output_format quality result \
     revised_prompt size status svg_usage",
            "item_reference: id",
            "local_shell_call: action call_id id status",
            "local_shell_call_output: id output status",
            "mcp_approval_request: arguments id name server_label",
            "mcp_approval_response: approval_request_id approve id reason",
            "mcp_call: approval_request_id arguments error id name output server_label status",
            "mcp_list_tools: error id server_label tools",
            "message: content id phase role status",
            "program: call_id code fingerprint id",
            "program_output: call_id id result status",
            "reasoning: content encrypted_content id status summary",
            "shell_call: action call_id caller environment id status",
            "shell_call_output: call_id caller id max_output_length output status",
            "tool_search_call: arguments call_id execution id status",
            "tool_search_output: call_id execution id status tools",
            "web_search_call: action id status",
        ],
    ),
    (
        Api::Responses,
        "tools",
        &[
            "apply_patch: allowed_callers",
            "code_interpreter: allowed_callers container",
            "computer:",
            "computer_use_preview: display_height display_width environment",
            "custom: allowed_callers async defer_loading description format name",
            "file_search: filters max_num_results ranking_options vector_store_ids",
            "function: allowed_callers async defer_loading description name output_schema parameters \
     strict",
            "image_generation: action background complexity frame_count frame_duration_ms input_fidelity \
     input_image_mask model moderation output_compression output_format partial_images quality \
     size svg",
            "local_shell:",
            "mcp: allowed_callers allowed_tools authorization connector_id defer_loading headers \
     require_approval server_description server_label server_url tunnel_id",
            "namespace: description name tools",
            "programmatic_tool_calling:",
            "shell: allowed_callers environment",
            "tool_search: description execution parameters",
            "web_search: external_web_access filters search_context_size user_location",
            "web_search_2025_08_26: external_web_access filters search_context_size user_location",
            "web_search_preview: search_content_types search_context_size user_location",
            "web_search_preview_2025_03_11: search_content_types search_context_size user_location",
        ],
    ),
    (
        Api::Responses,
        "input content",
        &[
            "input_audio: input_audio",
            "input_file: detail file_data file_id file_url filename prompt_cache_breakpoint",
            "input_image: detail file_id image_url prompt_cache_breakpoint",
            "input_text: prompt_cache_breakpoint text",
            "output_text: annotations logprobs text",
            "refusal: refusal",
        ],
    ),
    (
        Api::Messages,
        "messages content",
        &[
            "advisor_tool_result: cache_control content tool_use_id",
            "bash_code_execution_tool_result: cache_control content tool_use_id",
            "code_execution_tool_result: cache_control content tool_use_id",
            "compaction: cache_control content encrypted_content signature tool_changes",
            "container_upload: cache_control file_id",
            "document: cache_control citations context source title",
            "fallback: from to trigger",
            "image: cache_control source transformations",
            "mcp_tool_listing: mcp_server_name tools",
            "mcp_tool_result: cache_control content is_error tool_use_id",
            "mcp_tool_use: cache_control id input name server_name",
            "redacted_thinking: data",
            "search_result: cache_control citations content source title",
            "server_tool_use: cache_control caller id input name",
            "text: cache_control citations text",
            "text_editor_code_execution_tool_result: cache_control content tool_use_id",
            "thinking: signature thinking",
            "tool_addition: cache_control tool",
            "tool_removal: cache_control tool",
            "tool_result: cache_control content is_error tool_use_id toolset_name",
            "tool_search_tool_result: cache_control content tool_use_id",
            "tool_use: cache_control caller id input name toolset_name",
            "web_fetch_tool_result: cache_control caller content tool_use_id",
            "web_search_tool_result: cache_control caller content tool_use_id",
        ],
    ),
    (
        Api::Messages,
        "tools",
        &[
            "advisor_20260301: allowed_callers cache_control caching defer_loading max_tokens max_uses \
     model name strict",
            "bash_20241022: allowed_callers cache_control defer_loading input_examples name strict",
            "bash_20250124: allowed_callers cache_control defer_loading input_examples name strict",
            "browser_toolset_20260801: cache_control configs",
            "code_execution_20250522: allowed_callers cache_control defer_loading name strict",
            "code_execution_20250825: allowed_callers cache_control defer_loading name strict",
            "code_execution_20260120: allowed_callers cache_control defer_loading name strict",
            "code_execution_20260521: allowed_callers cache_control defer_loading name strict",
            "computer_20241022: allowed_callers cache_control defer_loading display_height_px \
     display_number display_width_px input_examples name strict",
            "computer_20250124: allowed_callers cache_control defer_loading display_height_px \
     display_number display_width_px input_examples name strict",
            "computer_20251124: allowed_callers cache_control defer_loading display_height_px \
     display_number display_width_px enable_zoom input_examples name strict",
            "computer_toolset_20260801: cache_control configs",
            "custom: allowed_callers cache_control defer_loading description eager_input_streaming \
     input_examples input_schema name strict",
            "mcp_toolset: cache_control configs default_config mcp_server_name tools",
            "memory_20250818: allowed_callers cache_control defer_loading input_examples name strict",
            "text_editor_20241022: allowed_callers cache_control defer_loading input_examples name strict",
            "text_editor_20250124: allowed_callers cache_control defer_loading input_examples name strict",
            "text_editor_20250429: allowed_callers cache_control defer_loading input_examples name strict",
            "text_editor_20250728: allowed_callers cache_control defer_loading input_examples \
     max_characters name strict",
            "tool_search_tool_bm25: allowed_callers cache_control defer_loading name strict",
            "tool_search_tool_bm25_20251119: allowed_callers cache_control defer_loading name strict",
            "tool_search_tool_regex: allowed_callers cache_control defer_loading name strict",
            "tool_search_tool_regex_20251119: allowed_callers cache_control defer_loading name strict",
            "web_fetch_20250910: allowed_callers allowed_domains blocked_domains cache_control citations \
     defer_loading max_content_tokens max_uses name strict url_sources",
            "web_fetch_20260209: allowed_callers allowed_domains blocked_domains cache_control citations \
     defer_loading max_content_tokens max_uses name strict url_sources",
            "web_fetch_20260309: allowed_callers allowed_domains blocked_domains cache_control citations \
     defer_loading max_content_tokens max_uses name strict url_sources use_cache",
            "web_fetch_20260318: allowed_callers allowed_domains blocked_domains cache_control citations \
     defer_loading max_content_tokens max_uses name response_inclusion strict url_sources \
     use_cache",
            "web_search_20250305: allowed_callers allowed_domains blocked_domains cache_control \
     defer_loading max_uses name strict user_location",
            "web_search_20260209: allowed_callers allowed_domains blocked_domains cache_control \
     defer_loading max_uses name strict user_location",
            "web_search_20260318: allowed_callers allowed_domains blocked_domains cache_control \
     defer_loading max_uses name response_inclusion strict user_location",
        ],
    ),
];

#[test]
fn every_member_of_every_request_is_known() {
    for (api, names) in REQUESTS {
        for name in names.split_whitespace() {
            assert!(fields(api).iter().any(|field| field.name == name), "{api:?} {name}");
        }
    }
}

#[test]
fn every_type_and_each_of_its_members_is_known() {
    for (api, path, all) in TYPED {
        for line in all {
            let (name, members) = line.split_once(':').unwrap();
            let types = types(fields(api), path);
            let variant = types.find(name).unwrap_or_else(|| panic!("{api:?} {path}: {name}"));
            for member in members.split_whitespace() {
                let known = variant.fields.iter().any(|field| field.name == member);
                assert!(known, "{api:?} {path}: {name}.{member}");
            }
        }
    }
}

#[test]
fn no_table_names_anything_twice() {
    for api in Api::ALL {
        unique(fields(api).iter().map(|field| field.name));
    }
    for (api, path, _) in TYPED {
        let types = types(fields(api), path);
        unique(types.variants.iter().map(|variant| variant.name));
        types.variants.iter().for_each(|variant| unique(variant.fields.iter().map(|field| field.name)));
    }
}

fn unique(names: impl Iterator<Item = &'static str>) {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert!(names.is_sorted_by(|one, next| one != next), "{names:?}");
}

/// The types under a path of members.
fn types(fields: &'static [Field], path: &str) -> &'static Types {
    let (name, rest) = path.split_once(' ').unwrap_or((path, ""));
    let rule = fields.iter().find(|field| field.name == name).unwrap().rule;
    let mut rule = &rule;
    loop {
        match rule {
            Rule::List(inner) | Rule::TextOr(inner) => rule = inner,
            Rule::Object(fields) => return types(fields, rest),
            Rule::Typed(all) if rest.is_empty() => return all,
            // Items of a conversation: the members of a message.
            Rule::Typed(all) => return types(all.find("message").unwrap().fields, rest),
            _ => panic!("nothing has types under {path}"),
        }
    }
}
