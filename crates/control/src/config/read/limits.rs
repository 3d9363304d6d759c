//! `limits:` of an agent: the bounds of each of its runs.

use ringfence_document::{Fields, Node, Report};

use ringfence_types::{format_size, parse_size};

use super::super::{LimitsConfig, LoopsConfig, SandboxLimits};
use super::value::{duration, or_off};

/// The most that can be written where a count is asked for.
const COUNT_MAX: u64 = 100_000;

/// The least that can be written where a size is asked for, in bytes.
const SIZE_LEAST: u64 = 64 << 10;

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
    let sandbox = sandbox(&mut fields, report);
    fields.later("spawn", report);
    fields.finish(report);
    LimitsConfig {
        wall: wall.unwrap_or(default.wall),
        concurrent: concurrent.unwrap_or(default.concurrent),
        repetition: repetition.unwrap_or(default.repetition),
        actions: default.actions,
        model_calls: model_calls.unwrap_or(default.model_calls),
        loops,
        sandbox,
    }
}

/// What a tool server in a sandbox of its own may use of the machine.
pub(super) fn of_server(node: &Node, report: &mut Report) -> SandboxLimits {
    let Some(mut fields) = Fields::of(node, "`limits`", report) else { return SandboxLimits::default() };
    let limits = machine(&mut fields, report);
    fields.finish(report);
    limits
}

/// What a run that is started here may use of the machine.
fn sandbox(fields: &mut Fields<'_>, report: &mut Report) -> SandboxLimits {
    let machine = machine(fields, report);
    let output = fields.get("output").and_then(|node| size(node, "`output`", report));
    let idle = fields
        .get("idle")
        .and_then(|node| or_off(node, report, |node, report| duration(node, "`idle`", report)));
    let artifacts = fields
        .get("artifacts")
        .and_then(|node| or_off(node, report, |node, report| size(node, "`artifacts`", report)));
    SandboxLimits {
        output: output.unwrap_or(machine.output),
        idle: idle.unwrap_or(machine.idle),
        artifacts: artifacts.unwrap_or(machine.artifacts),
        ..machine
    }
}

/// Memory, processes, processor and disk.
fn machine(fields: &mut Fields<'_>, report: &mut Report) -> SandboxLimits {
    let default = SandboxLimits::default();
    let memory = fields
        .get("memory")
        .and_then(|node| or_off(node, report, |node, report| size(node, "`memory`", report)));
    let processes = count(fields, "processes", 1, report);
    let cpu = fields
        .get("cpu")
        .and_then(|node| or_off(node, report, |node, report| node.parsed("`cpu`", hundredths, report)));
    let disk = fields.get("disk").and_then(|node| size(node, "`disk`", report));
    SandboxLimits {
        memory: memory.unwrap_or(default.memory),
        processes: processes.map_or(default.processes, |most| most.map(u64::from)),
        cpu_percent: cpu.unwrap_or(default.cpu_percent),
        disk: disk.unwrap_or(default.disk),
        ..default
    }
}

/// A size of at least 64 KiB: with less, nothing starts.
pub(super) fn size(node: &Node, what: &str, report: &mut Report) -> Option<u64> {
    let bytes = node.parsed(what, parse_size, report)?;
    if bytes < SIZE_LEAST {
        report.error(node.place, format!("{what} must be at least {}", format_size(SIZE_LEAST)));
        return None;
    }
    Some(bytes)
}

/// Processors, such as 2 or 1.5, as hundredths of one.
fn hundredths(text: &str) -> Result<u32, &'static str> {
    let wrong = "processors are a number from 0.01 to 1024 with at most two places, such as 1.5";
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 4 || part.len() > 2 || !digits(whole) || !digits(part) {
        return Err(wrong);
    }
    let hundredths: u32 = format!("{whole}{part:0<2}").parse().map_err(|_| wrong)?;
    if (1..=102_400).contains(&hundredths) { Ok(hundredths) } else { Err(wrong) }
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
