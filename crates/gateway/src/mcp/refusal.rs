//! What agents are told when the answer is no: one place for every way it is said.
//!
//! A refused tool call is an ordinary result with `isError`, because that is what reaches a model through every
//! client; a protocol error aborts many of them. Requests that have no such result get a JSON-RPC error with the same
//! object as `data`. What was sent to a server is never called "not executed".

use ringfence_json::{Object, Value};
use ringfence_policy::Narrowing;
use ringfence_types::{ActionId, Code, Decision, Refusal};

use super::era::Era;
use super::fault::{Fault, REFUSED};
use crate::mcp::method::Kind;

/// The member of `_meta` that says what was decided.
pub const DECISION: &str = "dev.ringfence/decision";

/// What is known of a call that gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It never went out: it was refused.
    Refused,
    /// It was allowed, and did not go out.
    NotSent(Decision),
    /// It was allowed and went out; nobody knows what the server did.
    Unknown(Decision),
    /// It was allowed, and the server did it; the agent is not given the result.
    Executed(Decision),
}

/// What a refused tool call gives back.
pub fn tool_result(era: Era, refusal: &Refusal, effect: Effect) -> Object {
    let block = Object::new().with("type", "text").with("text", text(refusal, effect));
    let result = match era {
        Era::Modern => Object::new().with("resultType", "complete"),
        Era::Legacy => Object::new(),
    };
    result
        .with("content", vec![Value::from(block)])
        .with("isError", true)
        .with("_meta", Object::new().with(DECISION, object(refusal, effect)))
}

/// The object for programs, with what was decided in truth: a call that the rules allowed was not denied because it
/// failed.
fn object(refusal: &Refusal, effect: Effect) -> Object {
    let mut object = refusal.to_object();
    if let Effect::NotSent(decision) | Effect::Unknown(decision) | Effect::Executed(decision) = effect {
        object.insert("decision", decision.as_str());
    }
    object
}

/// What another refused request gives back.
pub fn fault(refusal: &Refusal, effect: Effect) -> Fault {
    Fault { data: Some(object(refusal, effect)), ..Fault::answer(REFUSED, text(refusal, effect)) }
}

/// The result or error of a refused request.
pub(crate) fn outcome(era: Era, kind: Kind, refusal: &Refusal, effect: Effect) -> Result<Object, Object> {
    match kind {
        Kind::Tool => Ok(tool_result(era, refusal, effect)),
        _ => Err(fault(refusal, effect).to_object()),
    }
}

/// What the model reads: whether it happened, why there is no result, and what it may do instead.
pub fn text(refusal: &Refusal, effect: Effect) -> String {
    let mut text = format!("{} {}", opening(refusal.code, effect), refusal.reason);
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
    let advice = advice(refusal.code, effect);
    if !advice.is_empty() {
        text.push(' ');
        text.push_str(advice);
    }
    text
}

fn opening(code: Code, effect: Effect) -> &'static str {
    match (effect, code) {
        (Effect::Unknown(_), _) | (Effect::Refused, Code::OutcomeUnknown) => {
            "It is not known whether this took effect: it may have taken effect, so check before you try again."
        }
        (Effect::Executed(_), _) => "The call was executed, but its result is withheld.",
        (Effect::NotSent(_), Code::UpstreamFailed) => {
            "Not executed: the tool server could not be used. Nothing was sent."
        }
        (_, Code::ApprovalRequired) => "Not executed yet: a person has to agree first.",
        _ => "Not executed: Ringfence refused it.",
    }
}

/// What the reason alone does not say.
fn advice(code: Code, effect: Effect) -> &'static str {
    match code {
        // What was done is not asked for again, whatever became of its result.
        _ if matches!(effect, Effect::Executed(_)) => "",

        Code::DeniedByPolicy | Code::NotGranted | Code::ApprovalDenied | Code::DefinitionChanged => {
            "The same call again will not help; go on without it, or tell the user what you would need."
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
            shortfall: None,
        }
    }

    #[test]
    fn a_refused_tool_call_reads_like_this() {
        let result = Value::from(tool_result(Era::Modern, &refusal(Code::DeniedByPolicy), Effect::Refused));
        insta::assert_snapshot!(result.to_string(), @r#"{"resultType":"complete","content":[{"type":"text","text":"Not executed: Ringfence refused it. Deleting records is not allowed here. Try again in 2 s at the earliest. The same call again will not help; go on without it, or tell the user what you would need."}],"isError":true,"_meta":{"dev.ringfence/decision":{"decision":"DENY","code":"denied_by_policy","rule":"no-deletes","reason":"Deleting records is not allowed here.","action":"act_00000000000000000000000000","retry_after_ms":1500}}}"#);
        assert!(!tool_result(Era::Legacy, &refusal(Code::Suspended), Effect::Refused).contains("resultType"));
    }

    #[test]
    fn every_other_refusal_carries_the_same_object() {
        for code in Code::ALL {
            let refusal = refusal(*code);
            let fault = fault(&refusal, Effect::Refused);
            assert_eq!((fault.code, fault.data), (REFUSED, Some(refusal.to_object())));
            assert!(outcome(Era::Legacy, Kind::Resource, &refusal, Effect::Refused).is_err());
        }
    }

    #[test]
    fn no_text_says_that_a_call_was_executed_and_that_it_was_not() {
        let allow = Decision::Allow;
        for code in Code::ALL {
            for (effect, sent) in [
                (Effect::Refused, *code == Code::OutcomeUnknown),
                (Effect::NotSent(allow), false),
                (Effect::Unknown(allow), true),
                (Effect::Executed(allow), true),
            ] {
                let text = text(&refusal(*code), effect);
                let says_not = text.contains("Not executed") || text.contains("Nothing was sent");
                let says_maybe = text.contains("took effect") || text.contains("was executed");
                assert_eq!((says_not, says_maybe), (!sent, sent), "{code} {effect:?}: {text}");
                let told = tool_result(Era::Modern, &refusal(*code), effect);
                let decided = Value::from(told).pointer("/_meta/dev.ringfence~1decision/decision").cloned();
                let truth = if effect == Effect::Refused { code.decision() } else { allow };
                assert_eq!(decided, Some(truth.as_str().into()), "{code} {effect:?}");
            }
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
