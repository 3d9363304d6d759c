//! What has to hold of a request, as a script says it.

use ringfence_document::{Fields, Node, Report};
use ringfence_gateway::Api;
use ringfence_gateway::targets::{ResultWhen, ScriptWhen};
use ringfence_policy::Glob;

use super::{TEXTS_MAX, WORD_BYTES_MAX, all_or_none};

pub(super) fn read(node: &Node, report: &mut Report) -> Option<ScriptWhen> {
    let mut fields = Fields::of(node, "`when`", report)?;
    let contains = fields.get("contains").map_or(Some(Vec::new()), |node| texts(node, "`contains`", report));
    let matches = fields.get("matches").map(|node| glob(node, "`matches`", usize::MAX, report));
    let system = fields.get("system").map(|node| node.text("`system`", report).map(ToString::to_string));
    let turn = fields.get("turn").map(|node| node.whole("`turn`", 1..=1_000_000, report));
    let result = fields.get("result").map(|node| result(node, report));
    let tool = fields.get("tool").map(|node| glob(node, "`tool`", WORD_BYTES_MAX, report));
    let model = fields.get("model").map(|node| glob(node, "`model`", WORD_BYTES_MAX, report));
    let api = fields.get("api").map_or(Some(Vec::new()), |node| apis(node, report));
    let stream = fields.get("stream").map(|node| node.boolean("`stream`", report));
    fields.finish(report);
    Some(ScriptWhen {
        contains: contains?,
        matches: all_or_none(matches)?,
        system: all_or_none(system)?,
        turn: all_or_none(turn)?,
        result: all_or_none(result)?,
        tool: all_or_none(tool)?,
        model: all_or_none(model)?,
        api: api?,
        stream: all_or_none(stream)?,
    })
}

/// `true`, `false`, or what of which tool.
fn result(node: &Node, report: &mut Report) -> Option<ResultWhen> {
    if let Some(any) = node.as_scalar().and_then(ringfence_document::Scalar::as_bool) {
        return Some(ResultWhen::Is(any));
    }
    if node.as_mapping().is_none() {
        report.error_with_hint(
            node.place,
            "`result` must be true, false or a mapping",
            "as `{ tool: search, contains: not found }`",
        );
        return None;
    }
    let mut fields = Fields::of(node, "`result`", report)?;
    let tool = fields.get("tool").map(|node| glob(node, "`tool`", WORD_BYTES_MAX, report));
    let contains = fields.get("contains").map_or(Some(Vec::new()), |node| texts(node, "`contains`", report));
    fields.finish(report);
    Some(ResultWhen::Of { tool: all_or_none(tool)?, contains: contains? })
}

pub(super) fn texts(node: &Node, what: &str, report: &mut Report) -> Option<Vec<String>> {
    let nodes = node.one_or_many();
    if nodes.is_empty() || nodes.len() > TEXTS_MAX {
        report.error(node.place, format!("{what} must be a text or from 1 to {TEXTS_MAX} of them"));
        return None;
    }
    let all: Vec<_> = nodes.iter().map(|node| node.text(what, report).map(ToString::to_string)).collect();
    all.into_iter().collect()
}

pub(super) fn glob(node: &Node, what: &str, bytes_max: usize, report: &mut Report) -> Option<Glob> {
    let text = node.text(what, report)?;
    if text.len() > bytes_max {
        report.error(node.place, format!("{what} can have at most {bytes_max} bytes"));
        return None;
    }
    Some(Glob::new(text))
}

fn apis(node: &Node, report: &mut Report) -> Option<Vec<Api>> {
    let words = Api::ALL.map(Api::word);
    let read = |node: &Node, report: &mut Report| {
        let word = node.text("`api`", report)?;
        let found = Api::ALL.into_iter().find(|api| api.word() == word);
        if found.is_none() {
            report.unknown(node.place, format!("`api` cannot be `{word}`"), word, &words);
        }
        found
    };
    let all: Vec<_> = node.one_or_many().iter().map(|node| read(node, report)).collect();
    if all.is_empty() {
        report.error(node.place, "`api` has to name one");
        return None;
    }
    all.into_iter().collect()
}
