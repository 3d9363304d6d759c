//! Which models may answer a call: where the routes lead from the one that was named, and what stands in when it fails.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_llm::request::{self, Asked};
use ringfence_types::ModelName;
use smol_str::{SmolStr, format_smolstr};

use super::call::Call;
use super::plan::{Unfit, switches};
use crate::targets::{ModelTarget, RouteWhen};

/// A model that may answer.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) model: ModelName,
    pub(crate) target: Arc<ModelTarget>,
    /// The name by which the agent asked, where this is another.
    pub(crate) named: Option<ModelName>,
    /// Why it is another.
    pub(crate) why: Option<SmolStr>,
}

/// More steps than a configuration without circles can have.
const STEPS_MAX: usize = 64;

/// The models that may answer, in the order in which they are asked; at least one.
///
/// # Errors
/// When there is no such model, or no rule of its route fits.
pub(crate) fn candidates(call: &Call, name: &str, object: &Object) -> Result<Vec<Candidate>, Unfit> {
    let missing = || Unfit::missing(name);
    let named = ModelName::new(name).map_err(|_| missing())?;
    // What an agent does not hold does not exist for it, whatever else would be wrong with the request.
    if !is_held(call, &named) {
        return Err(missing());
    }
    let find = |model: &ModelName| call.gate.targets.model(&call.run.workspace, model);
    let mut target = find(&named).ok_or_else(missing)?;
    let (mut model, mut why) = (named.clone(), None);
    let mut asked = None;
    for _ in 0..STEPS_MAX {
        if target.route.is_empty() {
            break;
        }
        let asked = match &mut asked {
            Some(asked) => asked,
            none => none.insert(request::read(call.api, object, &switches(call, true))?),
        };
        let rule = target.route.iter().find(|rule| fits(call, &rule.when, asked));
        let Some(rule) = rule else { break };
        why = Some(reason(&rule.when));
        model = rule.to.clone();
        target = find(&model).ok_or_else(missing)?;
    }
    let Some(served) = &target.served else {
        return Err(Unfit::invalid("model", "no rule of this route fits the call; name a model"));
    };
    let of = |model: ModelName, target: Arc<ModelTarget>, why: Option<SmolStr>| {
        let other = (model != named).then(|| named.clone());
        Candidate { why: why.filter(|_| other.is_some()), model, target, named: other }
    };
    let mut all = vec![of(model, Arc::clone(&target), why)];
    for other in &served.failover {
        if let Some(target) = find(other).filter(|target| target.served.is_some()) {
            all.push(of(other.clone(), target, Some("failover".into())));
        }
    }
    Ok(all)
}

fn is_held(call: &Call, model: &ModelName) -> bool {
    let setup = call.gate.kernel.setup();
    setup.holds(&call.run).is_some_and(|holds| holds.model(model, None))
}

fn fits(call: &Call, when: &RouteWhen, asked: &Asked) -> bool {
    // As much as the text comes to at a guess: a route is about size, not money.
    let input = asked.text_bytes.div_ceil(4);
    let budget =
        |percent: u8| call.gate.kernel.budget_left(&call.run, call.said.conversation.as_ref()) < percent;
    when.input_below.is_none_or(|bound| input < bound)
        && when.input_above.is_none_or(|bound| input > bound)
        && when.tools.is_none_or(|wanted| wanted == asked.features.tools)
        && when.images.is_none_or(|wanted| wanted == asked.features.images)
        && when.labels.iter().all(|label| call.said.labels.contains(label))
        && when.budget_below_percent.is_none_or(budget)
}

fn reason(when: &RouteWhen) -> SmolStr {
    let mut parts: Vec<SmolStr> = Vec::new();
    parts.extend(when.input_below.map(|bound| format_smolstr!("input below {bound}")));
    parts.extend(when.input_above.map(|bound| format_smolstr!("input above {bound}")));
    parts.extend(when.tools.map(|wanted| if wanted { "tools".into() } else { "no tools".into() }));
    parts.extend(when.images.map(|wanted| if wanted { "images".into() } else { "no images".into() }));
    parts.extend(when.labels.iter().map(|label| format_smolstr!("label {label}")));
    parts.extend(when.budget_below_percent.map(|percent| format_smolstr!("budget below {percent}%")));
    if parts.is_empty() {
        return "route".into();
    }
    format_smolstr!("route: {}", parts.join(", "))
}
