//! From files to a configuration and the texts of its policies.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ringfence_document::{Diagnostic, Place, Severity, render};
use ringfence_policy::Source;
use ringfence_types::{Digest, Timestamp, WorkspaceName};

use super::Config;
use super::read::{Origin, read};
use crate::limits::FILE_BYTES_MAX;

/// A configuration and the policies it names, read and checked for themselves.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is configured.
    pub config: Config,
    /// The policies of each workspace, in the order written.
    pub policies: HashMap<WorkspaceName, Vec<Source>>,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
    /// The texts it came from, to show lines of.
    pub sources: Vec<SourceText>,
    /// Of all the texts: two configurations with one digest say the same.
    pub digest: Digest,
}

/// A text that diagnostics are about.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Its name in diagnostics.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// A configuration that cannot be used, with everything that is wrong.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// At least one error; warnings among them.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts they are about.
    pub sources: Vec<SourceText>,
}

/// Reads the file at `path`, and the files with prices, authorities and policies that it names.
///
/// # Errors
/// When a file cannot be read, or with everything that is wrong in the configuration.
pub fn load(path: &Path) -> Result<Loaded, Rejected> {
    let name = path.display().to_string();
    match read_text(path) {
        Ok(text) => load_text(&name, path, text),
        Err(error) => {
            let message = format!("cannot read the configuration: {error}");
            let diagnostic = Diagnostic::error(name, Place::WHOLE, message)
                .with_hint("`ringfence init` writes one here; -c FILE names another");
            Err(Rejected { diagnostics: vec![diagnostic], sources: Vec::new() })
        }
    }
}

/// As [`load`], the text of the configuration file being given: `path` says from where relative paths start.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, path: &Path, text: String) -> Result<Loaded, Rejected> {
    // Children start elsewhere: what they are told must not depend on where this program was called.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let today = today();
    let reading = read(&text, Origin { folder, source: name, today: &today, prices: &[] });
    let main = SourceText { name: name.to_owned(), path: path.to_path_buf(), text };
    let sources = [vec![main], reading.texts].concat();
    match reading.config {
        Some(config) => with_policies(config, reading.diagnostics, path, sources),
        None => Err(Rejected { diagnostics: reading.diagnostics, sources }),
    }
}

/// The day, as `2026-11-21`.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX)).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

fn with_policies(
    config: Config,
    mut diagnostics: Vec<Diagnostic>,
    path: &Path,
    mut sources: Vec<SourceText>,
) -> Result<Loaded, Rejected> {
    let name = sources.first().map(|main| main.name.clone()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut policies = HashMap::new();
    for workspace in &config.workspaces {
        let mut texts = Vec::new();
        for file in &workspace.policy {
            match read_text(&file.path) {
                Ok(text) => {
                    // As it would be written from where this program was called.
                    let shown = folder.join(file.shown.as_str()).display().to_string();
                    texts.push(Source { name: shown.clone(), text: text.clone(), language: file.language });
                    if !sources.iter().any(|source| source.name == shown) {
                        sources.push(SourceText { name: shown, path: file.path.clone(), text });
                    }
                }
                Err(error) => {
                    let shown = crate::shown::line(&file.shown);
                    let message = format!("cannot read the policy `{shown}`: {error}");
                    diagnostics.push(Diagnostic::error(name.clone(), file.place, message));
                }
            }
        }
        policies.insert(workspace.name.clone(), texts);
    }
    diagnostics.extend(super::mounts::check(&config, &sources, &name));
    diagnostics.extend(super::openings::remarks(&config, &name));
    diagnostics.extend(super::outside::remarks(&config, &name));
    if diagnostics.iter().any(Diagnostic::is_error) {
        // What the configuration itself says first, then the files it names.
        diagnostics.sort_by_key(|diagnostic| (diagnostic.source.as_str() != name, diagnostic.place));
        return Err(Rejected { diagnostics, sources });
    }
    let digest = digest_of(&sources);
    Ok(Loaded { config, policies, warnings: diagnostics, sources, digest })
}

/// Over the length and the bytes of each name and text, so that no text can run into the next.
fn digest_of(sources: &[SourceText]) -> Digest {
    let mut bytes = Vec::new();
    for part in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::of(&bytes)
}

/// Reads a text file of bounded length.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    let bytes = read_bytes(path, FILE_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is no text in UTF-8"))
}

/// Reads a file of at most so many bytes.
pub(super) fn read_bytes(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::Error::other("it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

// === impl Rejected ===

impl Rejected {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Everything that is wrong, as people read it.
    pub fn render(&self) -> String {
        render_all(&self.diagnostics, &self.sources)
    }
}

impl fmt::Display for Rejected {
    /// One line: the first error, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.diagnostics.iter().find(|diagnostic| diagnostic.is_error());
        if let Some(first) = first {
            write!(f, "{first}")?;
        }
        match self.errors() {
            0 | 1 => Ok(()),
            many => write!(f, "; and {} more", many - 1),
        }
    }
}

impl std::error::Error for Rejected {}

/// Diagnostics with the lines they are about, an empty line between them.
pub(crate) fn render_all(diagnostics: &[Diagnostic], sources: &[SourceText]) -> String {
    let render = |diagnostic: &Diagnostic| {
        let text = sources.iter().find(|source| source.name == diagnostic.source.as_str());
        render(diagnostic, text.map_or("", |source| &source.text))
    };
    diagnostics.iter().map(render).collect::<Vec<_>>().join("\n")
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceText({:?}, {} bytes)", self.name, self.text.len())
    }
}
