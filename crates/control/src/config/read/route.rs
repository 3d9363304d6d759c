//! Where calls go instead: `route:`, `failover:`, and that following them ends.

use std::collections::HashSet;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_types::ModelName;

use super::super::{ModelConfig, RouteConfig, RouteWhen};
use super::value::words;

/// Rules of one route, at most.
const RULES_MAX: usize = 64;

/// Models that are tried after one another, at most.
const FAILOVER_MAX: usize = 16;

/// The most tokens a rule can ask for.
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// What is written for a route, a rule of it, and when that holds.
const ROUTE_SHAPE: &str = "route: [{ when: { input_below: 4000 }, to: SMALL }, { to: LARGE }]";
const RULE_SHAPE: &str = "{ when: { input_below: 4000 }, to: SMALL }";
const WHEN_SHAPE: &str = "when: { input_below: 4000 }";

/// The models that a workspace's file names, also those that could not be read.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    /// All of them.
    pub all: &'a [&'a str],
    /// Those that somebody serves.
    pub served: &'a [&'a str],
    /// What stands there of each.
    pub members: &'a [(Key, Node)],
}

/// `route:`
pub(super) fn rules(node: &Node, names: Names<'_>, report: &mut Report) -> Vec<RouteConfig> {
    let Some(elements) = node.as_sequence() else {
        let message = format!("`route` must be a list, not {}", node.kind());
        report.error_with_hint(node.place, message, format!("write `{ROUTE_SHAPE}`"));
        return Vec::new();
    };
    if elements.len() > RULES_MAX {
        report.error(node.place, format!("`route` can have at most {RULES_MAX} rules"));
        return Vec::new();
    }
    let rules: Vec<RouteConfig> =
        elements.iter().filter_map(|element| rule(element, names, report)).collect();
    for pair in rules.windows(2) {
        if let [earlier, later] = pair
            && earlier.when.is_always()
        {
            let message = "this rule is never reached: the one before it has no `when`";
            report.error_with_hint(later.place, message, "a rule without `when` stands last");
        }
    }
    rules
}

fn rule(node: &Node, names: Names<'_>, report: &mut Report) -> Option<RouteConfig> {
    if let Some(scalar) = node.as_scalar().filter(|scalar| !scalar.text.is_empty()) {
        let shown = crate::shown::line(&scalar.text);
        let message = "a rule of `route` must be a mapping, not a text";
        report.error_with_hint(node.place, message, format!("write `{{ to: {shown} }}`"));
        return None;
    }
    let mut fields = Fields::shaped(node, "a rule of `route`", RULE_SHAPE, report)?;
    let to = fields.require("to", report).and_then(|node| name(node, names.all, report));
    let when = fields.get("when").map(|node| when(node, report));
    fields.finish(report);
    Some(RouteConfig { when: when.unwrap_or(Some(RouteWhen::default()))?, to: to?, place: node.place })
}

fn when(node: &Node, report: &mut Report) -> Option<RouteWhen> {
    let before = report.errors();
    let mut fields = Fields::shaped(node, "`when`", WHEN_SHAPE, report)?;
    let mut tokens = |fields: &mut Fields<'_>, key: &'static str| {
        let what = format!("`{key}`");
        fields.get(key).and_then(|node| node.whole(&what, 1..=TOKENS_MAX, report))
    };
    let (input_below, input_above) = (tokens(&mut fields, "input_below"), tokens(&mut fields, "input_above"));
    let tools = fields.get("tools").and_then(|node| node.boolean("`tools`", report));
    let images = fields.get("images").and_then(|node| node.boolean("`images`", report));
    let labels = fields.get("labels").map(|node| words(node, "a label", report)).unwrap_or_default();
    let budget = fields.get("budget_below").and_then(|node| percent(node, report));
    fields.finish(report);
    if input_below.zip(input_above).is_some_and(|(below, above)| above.saturating_add(1) >= below) {
        report.error(node.place, "no call reads more than `input_above` and fewer than `input_below` here");
    }
    let when = RouteWhen { input_below, input_above, tools, images, labels, budget_below_percent: budget };
    if when.is_always() {
        // What it says may be wrong, which has been told.
        if report.errors() > before {
            return None;
        }
        report.error_with_hint(
            node.place,
            "`when` says nothing",
            "leave it out where a rule is for every call",
        );
        return None;
    }
    Some(when)
}

/// `20%`
fn percent(node: &Node, report: &mut Report) -> Option<u8> {
    let text = node.text("`budget_below`", report)?;
    let number = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number =
        number.and_then(|digits| digits.parse::<u8>().ok()).filter(|number| (1..=100).contains(number));
    if number.is_none() {
        let meant = meant(text).map(|percent| format!("write `{percent}%`"));
        report.error_with_hint(
            node.place,
            "`budget_below` must be a part of the budget, from 1% to 100%",
            meant.unwrap_or_else(|| "write `20%`".to_owned()),
        );
    }
    number
}

/// What a number without a percent sign means: 0.2 and 20 are both 20%.
fn meant(text: &str) -> Option<u8> {
    let hundredths = |places: &str| format!("{places:0<2}").get(..2).and_then(|two| two.parse().ok());
    let percent: Option<u8> = match text.split_once('.') {
        Some(("0" | "", places)) => hundredths(places),
        Some(_) => None,
        None => text.parse().ok(),
    };
    percent.filter(|percent| (1..=100).contains(percent))
}

/// `failover:`
pub(super) fn failover(node: &Node, names: Names<'_>, report: &mut Report) -> Vec<ModelName> {
    let elements = node.one_or_many();
    if elements.len() > FAILOVER_MAX {
        report.error(node.place, format!("`failover` can name at most {FAILOVER_MAX} models"));
        return Vec::new();
    }
    let mut models: Vec<ModelName> = Vec::new();
    for element in elements {
        let Some(model) = name(element, names.all, report) else { continue };
        if !names.served.contains(&model.as_str()) {
            report.error(
                element.place,
                format!("`{model}` is a route: `failover` names models with a `provider`"),
            );
        } else if models.contains(&model) {
            report.error(element.place, format!("`{model}` stands here twice"));
        } else {
            models.push(model);
        }
    }
    models
}

/// The name of a model that the workspace has.
pub(super) fn name(node: &Node, known: &[&str], report: &mut Report) -> Option<ModelName> {
    let text = node.text("a model", report)?;
    if known.contains(&text.as_str()) {
        // A model whose own name is wrong has been reported where it stands.
        return ModelName::new(text).ok();
    }
    let shown = crate::shown::line(text);
    if known.is_empty() {
        let message = format!("there is no model `{shown}`: this workspace has no `models`");
        report.error(node.place, message);
    } else {
        report.unknown(node.place, format!("there is no model `{shown}` in this workspace"), text, known);
    }
    None
}

/// Reports every way round in circles once, at the model where it begins.
pub(super) fn refuse_circles(models: &[ModelConfig], report: &mut Report) {
    circles(models, "`route` goes", |model| model.route.iter().map(|rule| &rule.to).collect(), report);
    circles(models, "`failover` goes", failover_of, report);
}

fn failover_of(model: &ModelConfig) -> Vec<&ModelName> {
    model.served.iter().flat_map(|served| &served.failover).collect()
}

fn circles(
    models: &[ModelConfig],
    what: &str,
    edges: impl Fn(&ModelConfig) -> Vec<&ModelName>,
    report: &mut Report,
) {
    let next =
        |name: &str| models.iter().find(|model| model.name.as_str() == name).map(&edges).unwrap_or_default();
    // What was walked through to its end begins no circle that is not known.
    let mut done: HashSet<&str> = HashSet::new();
    for model in models {
        let mut way: Vec<(&str, Vec<&ModelName>)> = Vec::new();
        if !done.contains(model.name.as_str()) {
            way.push((model.name.as_str(), next(model.name.as_str())));
        }
        while let Some((_, rest)) = way.last_mut() {
            let Some(to) = rest.pop() else {
                done.extend(way.pop().map(|(name, _)| name));
                continue;
            };
            if let Some(from) = way.iter().position(|(name, _)| *name == to.as_str()) {
                let names: Vec<&str> =
                    way[from..].iter().map(|(name, _)| *name).chain([to.as_str()]).collect();
                let at = models.iter().find(|model| model.name == *to).unwrap_or(model);
                report.error(at.place, format!("{what} round in a circle: {}", names.join(" → ")));
            } else if !done.contains(to.as_str()) {
                way.push((to.as_str(), next(to.as_str())));
            }
        }
    }
}
