//! What a folder that can be changed from inside a sandbox must not hold.

use std::path::{Path, PathBuf};

use ringfence_document::Diagnostic;

use super::{Config, MountConfig, ProviderConfig, RunConfig, SourceText};

/// Refuses folders that agents can change and that hold what says how agents run: the configuration and its policies, this program,
/// and the files of other mounts, which an agent could lead elsewhere by a symbolic link.
pub(super) fn check(config: &Config, texts: &[SourceText], name: &str) -> Vec<Diagnostic> {
    let runs: Vec<&RunConfig> = config
        .workspaces
        .iter()
        .flat_map(|workspace| &workspace.agents)
        .filter_map(|agent| agent.run.as_ref())
        .collect();
    let writable = runs.iter().flat_map(|run| &run.mounts).filter(|mount| mount.writable);
    let ruling = ruling(config, texts);
    let mut found = Vec::new();
    for mount in writable {
        let inside = |path: &&PathBuf| path.starts_with(&mount.source);
        let others = runs
            .iter()
            .flat_map(|run| shown(run))
            .filter(|(_, other)| other.is_none_or(|other| !std::ptr::eq(other, mount)));
        let mut others = others.map(|(path, _)| path).filter(|path| path.starts_with(&mount.source));
        let why = match (ruling.iter().find(inside), others.next()) {
            (Some(path), _) => format!("{}, which decides what agents may do", path.display()),
            (None, Some(path)) => format!("{}, which is shown to an agent by itself", path.display()),
            (None, None) => continue,
        };
        let message =
            format!("{} can be changed from inside a sandbox, and holds {why}", mount.source.display());
        found.push(
            Diagnostic::error(name, mount.place, message)
                .with_hint("give the agent a folder of its own, or leave out `writable: true`"),
        );
    }
    found
}

/// What a run is shown of the machine; with the mount, if it is one.
fn shown(run: &RunConfig) -> impl Iterator<Item = (&Path, Option<&MountConfig>)> {
    let files = run.files.iter().map(|path| (path.as_path(), None));
    files.chain(run.mounts.iter().map(|mount| (mount.source.as_path(), Some(mount))))
}

/// The files that say how agents run, through links.
fn ruling(config: &Config, texts: &[SourceText]) -> Vec<PathBuf> {
    let scripts = config.workspaces.iter().flat_map(|workspace| &workspace.models).filter_map(|model| {
        match &model.served.as_ref()?.provider {
            ProviderConfig::Scripted { script, .. } => Some(script.as_path()),
            ProviderConfig::Replay { recording, .. } => Some(recording.as_path()),
            _ => None,
        }
    });
    let files = texts.iter().map(|text| text.path.as_path()).chain(scripts);
    let through_links = files.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    through_links.chain(std::env::current_exe()).collect()
}
