//! `limits:` of an agent: the bounds of each of its runs.

use ringfence_document::{Fields, Node, Report};

use super::super::{LimitsConfig, LoopsConfig};
use super::value::{duration, or_off};

/// The most that can be written where a count is asked for.
const COUNT_MAX: u64 = 100_000;

/// Reads them.
pub(super) fn read(node: &Node, report: &mut Report) -> LimitsConfig {
    let default = LimitsConfig::default();
    let Some(mut fields) = Fields::of(node, "`limits`", report) else { return default };
    let wall = fields.get("wall");
    let wall = wall.and_then(|node| or_off(node, report, |node, report| duration(node, "`wall`", report)));
    let mut count = |fields: &mut Fields<'_>, key, least| count(fields, key, least, report);
    let concurrent = count(&mut fields, "concurrent", 1);
    // Less than two would refuse every second call.
    let repetition = count(&mut fields, "repetition", 2);
    let model_calls = count(&mut fields, "model_calls", 1);
    let loops = fields.get("loops").map(|node| loops(node, report)).unwrap_or_default();
    for later in ["memory", "cpu", "processes", "disk", "spawn"] {
        fields.later(later, report);
    }
    fields.finish(report);
    LimitsConfig {
        wall: wall.unwrap_or(default.wall),
        concurrent: concurrent.unwrap_or(default.concurrent),
        repetition: repetition.unwrap_or(default.repetition),
        actions: default.actions,
        model_calls: model_calls.unwrap_or(default.model_calls),
        loops,
    }
}

fn loops(node: &Node, report: &mut Report) -> LoopsConfig {
    let default = LoopsConfig::default();
    let Some(mut fields) = Fields::of(node, "`loops`", report) else { return default };
    // What happens once is no loop.
    let stale = count(&mut fields, "stale", 2, report);
    let failing = count(&mut fields, "failing", 2, report);
    let errors = count(&mut fields, "errors", 1, report);
    fields.finish(report);
    LoopsConfig {
        stale: stale.unwrap_or(default.stale),
        failing: failing.unwrap_or(default.failing),
        errors: errors.unwrap_or(default.errors),
    }
}

/// A count or `off`: the outer `None` is an error or nothing written, the inner one `off`.
#[expect(clippy::option_option, reason = "as `or_off`")]
fn count(fields: &mut Fields<'_>, key: &'static str, least: u64, report: &mut Report) -> Option<Option<u32>> {
    let node = fields.get(key)?;
    let what = format!("`{key}`");
    let read = |node: &Node, report: &mut Report| node.whole(&what, least..=COUNT_MAX, report);
    let count = or_off(node, report, read)?;
    Some(count.and_then(|count| u32::try_from(count).ok()))
}
