//! `python` and `node` of a `run`: what environments of packages are made of, and whose code runs while they are built.

use ringfence_document::{Fields, Node, Report};
use ringfence_runs::{Recipe, RecipeError};
use ringfence_types::Builder;

use super::Origin;
use super::sandbox::there_or;

/// How all of it is written, and what is said of it.
struct Words {
    key: &'static str,
    /// The key of the packages whose code runs.
    names: &'static str,
    example: &'static str,
    /// What makes the file.
    way_out: &'static str,
    /// What of a package runs, before and behind its name.
    runs: (&'static str, &'static str),
}

/// Reads a file that an environment is made of: its name alone, or `lock` with the packages whose code runs.
pub(super) fn read(
    node: &Node,
    key: &'static str,
    builder: Builder,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<Recipe> {
    let words = words(builder);
    if node.as_mapping().is_none() {
        return of_file(node, node, key, &[], builder, origin, report);
    }
    let mut fields = Fields::shaped(node, words.key, words.example, report)?;
    let lock = fields.require("lock", report);
    let named = fields.get(words.names);
    fields.finish(report);
    let names = named.map(|node| names(node, words.names, report)).unwrap_or_default();
    let recipe = of_file(lock?, named.unwrap_or(node), key, &names, builder, origin, report)?;
    if let (Some(named), false) = (named, names.is_empty()) {
        let shown: Vec<String> = names.iter().map(|name| format!("`{}`", crate::shown::line(name))).collect();
        let message = format!(
            "{} of {} {} while the environment of `{key}` is built: that code can change all of it, whatever hashes other \
             packages have",
            words.runs.0,
            shown.join(", "),
            words.runs.1
        );
        let hint = "it runs in a sandbox that reaches the index alone; name only packages that you trust, pinned to versions that \
                    you know";
        report.warning_with_hint(named.place, message, hint);
    }
    Some(recipe)
}

/// The file, with what is wrong told where it is written: what is wrong with a name, where the names are.
fn of_file(
    node: &Node,
    named: &Node,
    key: &str,
    names: &[String],
    builder: Builder,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<Recipe> {
    let path = there_or(node, &format!("the file of `{key}`"), words(builder).way_out, origin, report)?;
    let mut refuse = |place, RecipeError { what, way_out }: RecipeError| {
        report.error_with_hint(place, format!("`{key}`: {what}"), way_out);
    };
    let plain = Recipe::of(builder, path).and_then(|recipe| recipe.check().map(|()| recipe));
    let plain = plain.map_err(|error| refuse(node.place, error)).ok()?;
    let recipe = plain.running(names.to_vec());
    if !names.is_empty() {
        recipe.check().map_err(|error| refuse(named.place, error)).ok()?;
    }
    Some(recipe)
}

fn names(node: &Node, what: &str, report: &mut Report) -> Vec<String> {
    let list = node.list(&format!("`{what}`"), report).unwrap_or_default();
    let texts = list.iter().filter_map(|node| node.text("the name of a package", report));
    texts.map(ToString::to_string).collect()
}

fn words(builder: Builder) -> Words {
    match builder {
        Builder::Python => Words {
            key: "`python`",
            names: "build",
            example: "python: { lock: uv.lock, build: [NAME] }",
            way_out: "`uv pip compile --generate-hashes requirements.in -o requirements.txt` makes one of a list of packages",
            runs: ("code", "runs, and of what builds it,"),
        },
        Builder::Node => Words {
            key: "`node`",
            names: "scripts",
            example: "node: { lock: package-lock.json, scripts: [NAME] }",
            way_out: "`npm install --package-lock-only` makes one beside a package.json",
            runs: ("install scripts", "run"),
        },
    }
}
