//! All SQL: the tables of the index, what is written, what is asked.
//!
//! Names repeat in nearly every entry, so `entries` holds their numbers and `words` the texts. The rules of an entry are
//! a set, of which there are as many as there are combinations that match together: `rule_sets`. Only what finds a few
//! entries among many has an index of its own; other filters scan, and time is a range of ids. What model calls cost
//! stands in `calls`: see `spend_sql`.

use rusqlite::types::Value;

use crate::query::{Query, split_tool};

/// The format of the tables; another one is built again. Grows with every change here.
pub(crate) const VERSION: i64 = 4;

pub(crate) const SCHEMA: &str = "
CREATE TABLE words (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE rule_sets (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE rule_members (rule INTEGER NOT NULL, rule_set INTEGER NOT NULL, PRIMARY KEY (rule, rule_set))
    STRICT, WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, workspace INTEGER, agent INTEGER, run INTEGER,
    server INTEGER, tool INTEGER, decision INTEGER, code INTEGER, status INTEGER, rule INTEGER, rule_set INTEGER,
    approver INTEGER, count INTEGER NOT NULL, action TEXT, approval TEXT, user INTEGER, conversation INTEGER,
    model INTEGER, named INTEGER
) STRICT;
CREATE INDEX entries_run ON entries (run) WHERE run IS NOT NULL;
CREATE INDEX entries_action ON entries (action) WHERE action IS NOT NULL;
CREATE INDEX entries_approval ON entries (approval) WHERE approval IS NOT NULL;
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT NOT NULL, size INTEGER NOT NULL, last_hash BLOB NOT NULL,
    root_size INTEGER NOT NULL, root BLOB NOT NULL
) STRICT;
INSERT INTO log VALUES (1, '', 0, x'', 0, x'');
";

pub(crate) const INSERT_ENTRY: &str = "INSERT INTO entries (id, at, kind, workspace, agent, run, server, tool, \
     decision, code, status, rule, rule_set, approver, count, action, approval, user, conversation, model, named) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

pub(crate) const FIND_WORD: &str = "SELECT id FROM words WHERE text = ?1";
pub(crate) const INSERT_WORD: &str = "INSERT INTO words (text) VALUES (?1)";
pub(crate) const FIND_RULE_SET: &str = "SELECT id FROM rule_sets WHERE names = ?1";
pub(crate) const INSERT_RULE_SET: &str = "INSERT INTO rule_sets (names) VALUES (?1)";
pub(crate) const INSERT_RULE_MEMBER: &str = "INSERT INTO rule_members (rule, rule_set) VALUES (?1, ?2)";

pub(crate) const READ_LOG: &str = "SELECT key, size, last_hash, root_size, root FROM log";
pub(crate) const WRITE_LOG: &str =
    "UPDATE log SET key = ?1, size = ?2, last_hash = ?3, root_size = ?4, root = ?5";

pub(crate) const AT_OF: &str = "SELECT at FROM entries WHERE id = ?1";

pub(crate) const WORD: &str = "(SELECT id FROM words WHERE text = ?)";

/// The columns of a row, in the order in which `rows` reads them.
const COLUMNS: &str = "e.id, e.at, \
    (SELECT text FROM words WHERE id = e.kind), (SELECT text FROM words WHERE id = e.workspace), \
    (SELECT text FROM words WHERE id = e.agent), (SELECT text FROM words WHERE id = e.run), \
    (SELECT text FROM words WHERE id = e.server), (SELECT text FROM words WHERE id = e.tool), \
    (SELECT text FROM words WHERE id = e.decision), (SELECT text FROM words WHERE id = e.code), \
    (SELECT text FROM words WHERE id = e.status), (SELECT text FROM words WHERE id = e.rule), \
    (SELECT names FROM rule_sets WHERE id = e.rule_set), (SELECT text FROM words WHERE id = e.approver), \
    e.count, e.action, e.approval, (SELECT text FROM words WHERE id = e.user), \
    (SELECT text FROM words WHERE id = e.conversation), (SELECT text FROM words WHERE id = e.model), \
    (SELECT text FROM words WHERE id = e.named)";

/// A statement and its parameters.
pub(crate) struct Asked {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Value>,
}

/// One page of what a query asks for: its first parameter is the first id, the second the id behind the last, the last
/// how many rows.
pub(crate) fn page(query: &Query, from: i64, to: i64, rows: i64) -> Asked {
    let mut asked = Asked {
        sql: format!("SELECT {COLUMNS} FROM entries e WHERE e.id >= ? AND e.id < ?"),
        parameters: vec![from.into(), to.into()],
    };
    let words: [(&str, Option<String>); 9] = [
        ("kind", query.kind.map(|kind| kind.to_string())),
        ("workspace", query.workspace.as_ref().map(ToString::to_string)),
        ("agent", query.agent.as_ref().map(ToString::to_string)),
        ("run", query.run.map(|run| run.to_string())),
        ("user", query.user.as_ref().map(ToString::to_string)),
        ("conversation", query.conversation.as_ref().map(ToString::to_string)),
        ("server", query.server.as_ref().map(ToString::to_string)),
        ("decision", query.decision.map(|decision| decision.to_string())),
        ("approver", query.approver.as_ref().map(ToString::to_string)),
    ];
    for (column, word) in words {
        if let Some(word) = word {
            asked.and(&format!("e.{column} = {WORD}"), [word]);
        }
    }
    if let Some(model) = &query.model {
        let either = format!("(e.model = {WORD} OR e.named = {WORD})");
        asked.and(&either, [model.to_string(), model.to_string()]);
    }
    if let Some(rule) = &query.rule {
        let sets = format!("e.rule_set IN (SELECT rule_set FROM rule_members WHERE rule = {WORD})");
        asked.and(&sets, [rule.to_string()]);
    }
    if let Some(wanted) = &query.tool {
        match split_tool(wanted) {
            None => asked.and(&format!("e.tool = {WORD}"), [wanted.clone()]),
            Some((server, tool)) => asked.and(
                &format!("(e.tool = {WORD} OR (e.server = {WORD} AND e.tool = {WORD}))"),
                [wanted.clone(), server.to_owned(), tool.to_owned()],
            ),
        }
    }
    asked.sql.push_str(" ORDER BY e.id LIMIT ?");
    asked.parameters.push(rows.into());
    asked
}

/// Every entry of an action, and of the requests for approval that it asked for or spent.
pub(crate) fn of_action() -> String {
    format!(
        "SELECT {COLUMNS} FROM entries e WHERE e.id IN (SELECT id FROM entries WHERE action = ?1 UNION \
         SELECT id FROM entries WHERE approval IN (SELECT approval FROM entries WHERE action = ?1)) \
         ORDER BY e.id LIMIT ?2"
    )
}

/// Every entry of a request for approval.
pub(crate) fn of_approval() -> String {
    format!("SELECT {COLUMNS} FROM entries e WHERE e.approval = ?1 ORDER BY e.id LIMIT ?2")
}

/// How many entries there are of each kind and decision in a range of ids, and how many alike they stand for.
pub(crate) const COUNTS: &str = "SELECT (SELECT text FROM words WHERE id = kind), \
     (SELECT text FROM words WHERE id = decision), entries, alike FROM \
     (SELECT kind, decision, COUNT(*) AS entries, SUM(count) AS alike FROM entries \
     WHERE id >= ?1 AND id < ?2 GROUP BY kind, decision)";

// === impl Asked ===

impl Asked {
    pub(crate) fn and<const N: usize>(&mut self, condition: &str, parameters: [String; N]) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.parameters.extend(parameters.map(Value::from));
    }
}
