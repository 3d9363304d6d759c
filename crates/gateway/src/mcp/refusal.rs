//! What agents are told when the answer is no: one place for every way it is said.
//!
//! A refused tool call is an ordinary result with `isError`, because that is what reaches a model through every
//! client; a protocol error aborts many of them. Requests that have no such result get a JSON-RPC error with the same
//! object as `data`.

use ringfence_json::{Object, Value};
use ringfence_policy::Narrowing;
use ringfence_types::{ActionId, Code, Decision, Refusal};

use super::era::Era;
use super::fault::{Fault, REFUSED};
use crate::mcp::method::Kind;

/// The member of `_meta` that says what was decided.
pub const DECISION: &str = "dev.ringfence/decision";

/// What a refused tool call gives back.
pub fn tool_result(era: Era, refusal: &Refusal) -> Object {
    let block = Object::new().with("type", "text").with("text", text(refusal));
    let result = match era {
        Era::Modern => Object::new().with("resultType", "complete"),
        Era::Legacy => Object::new(),
    };
    result
        .with("content", vec![Value::from(block)])
        .with("isError", true)
        .with("_meta", Object::new().with(DECISION, refusal.to_object()))
}

/// What another refused request gives back.
pub fn fault(refusal: &Refusal) -> Fault {
    Fault { data: Some(refusal.to_object()), ..Fault::answer(REFUSED, text(refusal)) }
}

/// The result or error of a refused request.
pub(crate) fn outcome(era: Era, kind: Kind, refusal: &Refusal) -> Result<Object, Object> {
    match kind {
        Kind::Tool => Ok(tool_result(era, refusal)),
        _ => Err(fault(refusal).to_object()),
    }
}

/// What the model reads: that it did not happen, why, and what it may do instead.
pub fn text(refusal: &Refusal) -> String {
    let mut text = format!("{} {}", opening(refusal.code), refusal.reason);
    if let Some(approval) = refusal.approval {
        text.push_str(" (approval ");
        text.push_str(&approval.to_string());
        text.push(')');
    }
    if let Some(wait) = refusal.retry_after {
        let seconds = wait.as_millis().div_ceil(1000).to_string();
        text.push_str(" Try again in ");
        text.push_str(&seconds);
        text.push_str(" s at the earliest.");
    }
    let advice = advice(refusal.code);
    if !advice.is_empty() {
        text.push(' ');
        text.push_str(advice);
    }
    text
}

fn opening(code: Code) -> &'static str {
    match code {
        Code::OutcomeUnknown => "It is not known whether this took effect.",
        Code::UpstreamFailed => "The tool gave no usable result.",
        Code::ApprovalRequired => "Not executed yet: a person has to agree first.",
        _ => "Not executed: Ringfence refused it.",
    }
}

/// What the reason alone does not say.
fn advice(code: Code) -> &'static str {
    match code {
        Code::DeniedByPolicy | Code::NotGranted | Code::ApprovalDenied | Code::DefinitionChanged => {
            "Calling it again will not help; go on without it, or tell the user what you would need."
        }
        Code::Suspended | Code::OverBudget | Code::Deadline => "Stop, and tell the user.",
        Code::Repetition => "Do something else.",
        _ => "",
    }
}

/// Tells the agent that its call was narrowed: in the metadata for programs, and in one more block of text, because
/// that is what the model reads.
pub fn tell_narrowed(result: &mut Object, action: ActionId, narrowed: &[Narrowing]) {
    if narrowed.is_empty() {
        return;
    }
    let changes: Vec<Value> = narrowed.iter().map(|narrowing| Value::from(change(narrowing))).collect();
    let decision = Object::new()
        .with("decision", Decision::AllowWithConstraints.as_str())
        .with_some("rule", narrowed.first().map(|narrowing| &narrowing.rule))
        .with("action", action.to_string())
        .with("narrowed", changes);
    match result.get_mut("_meta").and_then(Value::as_object_mut) {
        Some(meta) => drop(meta.insert(DECISION, decision)),
        None => drop(result.insert("_meta", Object::new().with(DECISION, decision))),
    }
    let said: Vec<String> = narrowed.iter().map(sentence).collect();
    let text = format!("Ringfence limited this call before it was executed: {}.", said.join("; "));
    let block = Value::from(Object::new().with("type", "text").with("text", text));
    if let Some(Value::Array(content)) = result.get_mut("content") {
        content.push(block);
    }
}

fn change(narrowing: &Narrowing) -> Object {
    Object::new()
        .with("argument", narrowing.pointer.as_str())
        .with("from", narrowing.from.clone())
        .with("to", narrowing.to.clone())
        .with("rule", &narrowing.rule)
}

fn sentence(narrowing: &Narrowing) -> String {
    let name = narrowing.pointer.trim_start_matches('/').replace('/', ".");
    format!("{name} from {} to {} (rule {})", narrowing.from, narrowing.to, narrowing.rule)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringfence_types::{RuleName, Timestamp};

    use super::*;

    fn refusal(code: Code) -> Refusal {
        Refusal {
            code,
            action: ActionId::new(Timestamp::from_micros(0), [0; 10]),
            rule: Some(RuleName::new("no-deletes").unwrap()),
            reason: "Deleting records is not allowed here.".to_owned(),
            approval: None,
            retry_after: Some(Duration::from_millis(1_500)),
        }
    }

    #[test]
    fn a_refused_tool_call_reads_like_this() {
        let result = Value::from(tool_result(Era::Modern, &refusal(Code::DeniedByPolicy)));
        insta::assert_snapshot!(result.to_string(), @r#"{"resultType":"complete","content":[{"type":"text","text":"Not executed: Ringfence refused it. Deleting records is not allowed here. Try again in 2 s at the earliest. Calling it again will not help; go on without it, or tell the user what you would need."}],"isError":true,"_meta":{"dev.ringfence/decision":{"decision":"DENY","code":"denied_by_policy","rule":"no-deletes","reason":"Deleting records is not allowed here.","action":"act_00000000000000000000000000","retry_after_ms":1500}}}"#);
        assert!(!tool_result(Era::Legacy, &refusal(Code::Suspended)).contains("resultType"));
    }

    #[test]
    fn every_other_refusal_carries_the_same_object() {
        for code in Code::ALL {
            let refusal = refusal(*code);
            let fault = fault(&refusal);
            assert_eq!((fault.code, fault.data), (REFUSED, Some(refusal.to_object())));
            assert!(outcome(Era::Legacy, Kind::Resource, &refusal).is_err());
        }
    }

    #[test]
    fn a_narrowed_call_says_what_was_changed() {
        let mut result = Object::new()
            .with("content", Vec::<Value>::new())
            .with("_meta", Object::new().with("own", 1_u64));
        let narrowing = Narrowing {
            pointer: "/spec/replicas".to_owned(),
            from: 50_u64.into(),
            to: 10_u64.into(),
            rule: RuleName::new("at-most-ten").unwrap(),
        };
        tell_narrowed(&mut result, ActionId::new(Timestamp::from_micros(0), [0; 10]), &[narrowing]);
        insta::assert_snapshot!(Value::from(result).to_string(), @r#"{"content":[{"type":"text","text":"Ringfence limited this call before it was executed: spec.replicas from 50 to 10 (rule at-most-ten)."}],"_meta":{"own":1,"dev.ringfence/decision":{"decision":"ALLOW_WITH_CONSTRAINTS","rule":"at-most-ten","action":"act_00000000000000000000000000","narrowed":[{"argument":"/spec/replicas","from":50,"to":10,"rule":"at-most-ten"}]}}}"#);
    }
}
