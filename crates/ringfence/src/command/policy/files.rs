//! Policy files named on the command line.

use std::path::PathBuf;

use ringfence_control::config::load;
use ringfence_control::{Compiled, compile};
use ringfence_document::{Diagnostic, render};
use ringfence_policy::{Compiled as CompiledPolicy, Language, PolicySet, Source, Vocabulary};

use crate::command::check::{eprint_text, report};
use crate::failure::{Exit, Failure};
use crate::input::read_text;

/// The policy file, unless others are named.
pub const POLICY: &str = "safety-policy.yaml";

/// Reads policy files; what they are written in is told by the ends of their names.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let read_one = |path: &PathBuf| {
        let name = path.display().to_string();
        let language = Language::of_file_name(&name).ok_or_else(|| {
            Failure::usage(format!("`{}` is no policy file", crate::safe(&name)))
                .hint("one of *.yaml, *.cedar")
        })?;
        let text = read_text(&name, "the policy")?;
        Ok(Source { name, text, language })
    };
    paths.iter().map(read_one).collect()
}

/// Compiles files by themselves, nothing else being known.
pub fn compiled(sources: &[Source]) -> Result<CompiledPolicy, Vec<Diagnostic>> {
    PolicySet::compile(sources, &Vocabulary::default())
}

/// Reads and compiles files; what is wrong with them is printed.
pub fn compiled_or_said(paths: &[PathBuf]) -> Result<CompiledPolicy, Failure> {
    let sources = read(paths)?;
    compiled(&sources).map_err(|diagnostics| {
        eprint_text(&rendered(&diagnostics, &sources));
        Failure::said(Exit::Usage)
    })
}

/// A configuration with its policies; what is wrong with them is printed.
pub fn configuration_or_said(path: &std::path::Path) -> Result<Compiled, Failure> {
    load(path).and_then(|loaded| compile(loaded, &[])).map_err(|rejected| {
        eprint_text(&report(&rejected));
        Failure::said(Exit::Usage)
    })
}

/// Diagnostics with the lines they are about.
pub fn rendered(diagnostics: &[Diagnostic], sources: &[Source]) -> String {
    let text_of =
        |name: &str| sources.iter().find(|source| source.name == name).map_or("", |source| &source.text);
    let rendered = diagnostics.iter().map(|diagnostic| render(diagnostic, text_of(&diagnostic.source)));
    rendered.collect::<Vec<_>>().join("\n")
}
