//! `cache:` of the whole file: how much of what models answer may be kept.

use ringfence_document::{Fields, Node, Report};
use ringfence_types::{QuantityError, format_size, parse_size};

use super::super::CacheConfig;

/// The most that can be written for the memory.
const MEMORY_BYTES_MAX: u64 = 16 << 30;

/// The most that can be written for the disk.
const DISK_BYTES_MAX: u64 = 1 << 40;

/// Reads them.
pub(super) fn read(node: &Node, report: &mut Report) -> CacheConfig {
    let default = CacheConfig::default();
    let Some(mut fields) = Fields::of(node, "`cache`", report) else { return default };
    let mut size = |key: &'static str, most: u64| {
        fields.get(key).and_then(|node| size(node, &format!("`{key}`"), most, report))
    };
    let (memory, disk) = (size("memory", MEMORY_BYTES_MAX), size("disk", DISK_BYTES_MAX));
    fields.finish(report);
    CacheConfig { memory: memory.unwrap_or(default.memory), disk: disk.unwrap_or(default.disk) }
}

fn size(node: &Node, what: &str, most: u64, report: &mut Report) -> Option<u64> {
    let bytes = node.parsed(what, size_or_none, report)?;
    if bytes > most {
        report.error(node.place, format!("{what} can be at most {}", format_size(most)));
        return None;
    }
    Some(bytes)
}

/// A size; `off` and `0` keep nothing there.
fn size_or_none(text: &str) -> Result<u64, QuantityError> {
    match text {
        "off" | "0" => Ok(0),
        size => parse_size(size),
    }
}
