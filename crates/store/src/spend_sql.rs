//! SQL of model calls: the table, what is written, what is added up.
//!
//! Amounts are unsigned 64-bit numbers; the table has their bits, because SQLite's integers are signed. They are added
//! up in two halves, so that no sum of up to 2³¹ calls can overflow or become a floating-point number.

use ringfence_types::Timestamp;
use rusqlite::types::Value;

use crate::call::BASES;
use crate::spend::{By, SpendQuery};
use crate::sql::{Asked, WORD};

/// One row for each model call that was cleared; from `settled` on, the columns are NULL until it is settled.
pub(crate) const CALLS: &str = "
CREATE TABLE calls (
    action TEXT PRIMARY KEY, cleared INTEGER NOT NULL, workspace INTEGER, agent INTEGER, user INTEGER,
    conversation INTEGER, run INTEGER, model INTEGER, operation INTEGER,
    reserved_usd INTEGER NOT NULL, reserved_tokens INTEGER NOT NULL,
    settled INTEGER, usd INTEGER, input INTEGER, cached_input INTEGER, cache_write INTEGER, cache_write_1h INTEGER,
    output INTEGER, reasoning INTEGER, basis TEXT, doubtful INTEGER, saved INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_cleared ON calls (cleared);
CREATE INDEX calls_run ON calls (run) WHERE run IS NOT NULL;
";

/// A second intent of an action changes nothing.
pub(crate) const INSERT_CALL: &str = "INSERT INTO calls (action, cleared, workspace, agent, user, conversation, run, \
     model, operation, reserved_usd, reserved_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
     ON CONFLICT (action) DO NOTHING";

/// The first outcome of an action counts, and no other.
pub(crate) const SETTLE_CALL: &str = "UPDATE calls SET settled = ?2, usd = ?3, input = ?4, cached_input = ?5, \
     cache_write = ?6, cache_write_1h = ?7, output = ?8, reasoning = ?9, basis = ?10, doubtful = ?11, saved = ?12 \
     WHERE action = ?1 AND settled IS NULL";

/// What a call came to, in place of what its outcome said. The same parameters as of [`SETTLE_CALL`]; it was settled
/// when it was.
pub(crate) const CORRECT_CALL: &str = "UPDATE calls SET settled = MIN(settled, ?2), usd = ?3, input = ?4, \
     cached_input = ?5, cache_write = ?6, cache_write_1h = ?7, output = ?8, reasoning = ?9, basis = ?10, \
     doubtful = ?11, saved = ?12 WHERE action = ?1 AND settled IS NOT NULL";

/// Which calls, added up by what: at most so many rows. Its columns are the keys, then what `Columns::sum` reads.
pub(crate) fn sums(query: &SpendQuery, by: &[By], rows_max: u64) -> Asked {
    let keys: Vec<String> = by.iter().map(|by| key(*by)).collect();
    let columns: Vec<String> = keys.iter().cloned().chain(sum_columns()).collect();
    let mut asked = Asked {
        sql: format!("SELECT {} FROM calls c WHERE TRUE", columns.join(", ")),
        parameters: Vec::new(),
    };
    conditions(query, &mut asked);
    if !by.is_empty() {
        let groups: Vec<String> = by.iter().map(|by| group(*by)).collect();
        let times = by.iter().zip(&keys).filter(|(by, _)| by.is_time()).map(|(_, key)| key.clone());
        // To put rows in order, a rounded sum is good enough.
        let most = "4294967296.0 * COALESCE(SUM((c.usd >> 32) & 4294967295), 0) \
                    + COALESCE(SUM(c.usd & 4294967295), 0) DESC";
        let order: Vec<String> = times.chain([most.to_owned()]).chain(keys.iter().cloned()).collect();
        for (words, parts) in [(" GROUP BY ", groups), (" ORDER BY ", order)] {
            asked.sql.push_str(words);
            asked.sql.push_str(&parts.join(", "));
        }
    }
    asked.sql.push_str(" LIMIT ?");
    asked.parameters.push(i64::try_from(rows_max).unwrap_or(i64::MAX).into());
    asked
}

/// What calls are grouped by.
fn group(by: By) -> String {
    match time_format(by) {
        Some(format) => time(format),
        None => format!("c.{}", by.as_str()),
    }
}

/// The text of what they are grouped by.
fn key(by: By) -> String {
    match time_format(by) {
        Some(format) => time(format),
        None => format!("(SELECT text FROM words WHERE id = c.{})", by.as_str()),
    }
}

fn time_format(by: By) -> Option<&'static str> {
    match by {
        By::Month => Some("%Y-%m"),
        By::Day => Some("%Y-%m-%d"),
        By::Hour => Some("%Y-%m-%dT%H:00:00Z"),
        _ => None,
    }
}

fn time(format: &str) -> String {
    format!("strftime('{format}', c.cleared / 1000000, 'unixepoch')")
}

fn sum_columns() -> impl Iterator<Item = String> {
    let settled = ["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning"];
    let tokens = settled.into_iter().flat_map(|column| halves(column, ""));
    let bases = BASES.into_iter().flat_map(|basis| {
        let filter = format!(" FILTER (WHERE c.basis = '{basis}')");
        std::iter::once(format!("COUNT(c.usd){filter}")).chain(halves("usd", &filter))
    });
    let open = " FILTER (WHERE c.settled IS NULL)";
    std::iter::once("COUNT(c.usd)".to_owned())
        .chain(halves("usd", ""))
        .chain(tokens)
        .chain(bases)
        .chain(["COUNT(*) FILTER (WHERE c.doubtful)".to_owned()])
        .chain(halves("saved", ""))
        .chain([format!("COUNT(*){open}")])
        .chain(halves("reserved_usd", open))
        .chain(halves("reserved_tokens", open))
}

/// The sums of both halves of a number.
fn halves(column: &str, filter: &str) -> [String; 2] {
    let sum = |half: &str| format!("COALESCE(SUM({half}){filter}, 0)");
    [sum(&format!("(c.{column} >> 32) & 4294967295")), sum(&format!("c.{column} & 4294967295"))]
}

fn conditions(query: &SpendQuery, asked: &mut Asked) {
    let words: [(&str, Option<String>); 6] = [
        ("workspace", query.workspace.as_ref().map(ToString::to_string)),
        ("agent", query.agent.as_ref().map(ToString::to_string)),
        ("user", query.user.as_ref().map(ToString::to_string)),
        ("conversation", query.conversation.as_ref().map(ToString::to_string)),
        ("run", query.run.map(|run| run.to_string())),
        ("model", query.model.as_ref().map(ToString::to_string)),
    ];
    for (column, word) in words {
        if let Some(word) = word {
            asked.and(&format!("c.{column} = {WORD}"), [word]);
        }
    }
    for (condition, at) in [("c.cleared >= ?", query.since), ("c.cleared < ?", query.until)] {
        if let Some(at) = at {
            asked.sql.push_str(" AND ");
            asked.sql.push_str(condition);
            asked.parameters.push(micros(at));
        }
    }
}

fn micros(at: Timestamp) -> Value {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX).into()
}
