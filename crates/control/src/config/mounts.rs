//! What a folder that can be changed from inside a sandbox must not hold.

use std::path::{Path, PathBuf};

use ringfence_document::Diagnostic;
use ringfence_runs::{Recipe, Rootfs};

use super::{Config, MountConfig, ProviderConfig, ServerConfig, SourceText, WorkspaceConfig};

/// What one sandbox shows of the machine.
struct Shown<'c> {
    /// The agent's own files, and the folder that its root is made of: nobody changes anything in these.
    own: [Option<&'c Path>; 2],
    mounts: &'c [MountConfig],
}

/// Refuses folders that agents and tool servers can change and that hold what says how agents run: the configuration and its
/// policies, this program, the files and roots of agents, and the files of other mounts, which could be led elsewhere by a
/// symbolic link; and those that are a part of such files and roots.
pub(super) fn check(config: &Config, texts: &[SourceText], name: &str) -> Vec<Diagnostic> {
    let all: Vec<Shown<'_>> = config.workspaces.iter().flat_map(shown).collect();
    let writable = all.iter().flat_map(|shown| shown.mounts).filter(|mount| mount.writable);
    let ruling = ruling(config, texts);
    let mut found = Vec::new();
    for mount in writable {
        let ruled = ruling.iter().find(|path| path.starts_with(&mount.source));
        let why = match (ruled, all.iter().find_map(|shown| shown.endangered_by(mount))) {
            (Some(path), _) => format!("holds {}, which decides what agents may do", path.display()),
            (None, Some(path)) => {
                let how = if path.starts_with(&mount.source) { "holds" } else { "is a part of" };
                format!("{how} {}, which is shown in a sandbox by itself", path.display())
            }
            (None, None) => continue,
        };
        let message = format!("{} can be changed from inside a sandbox, and {why}", mount.source.display());
        found.push(
            Diagnostic::error(name, mount.place, message)
                .with_hint("write a folder of its own there, or leave out `writable: true`"),
        );
    }
    found
}

/// What the sandboxes of a workspace show: those of agents, and those of tool servers.
fn shown(workspace: &WorkspaceConfig) -> impl Iterator<Item = Shown<'_>> {
    let runs = workspace.agents.iter().filter_map(|agent| agent.run.as_ref());
    let runs = runs.map(|run| {
        let root = match &run.rootfs {
            Rootfs::Folder(folder) => Some(folder.as_path()),
            Rootfs::Machine | Rootfs::Image(_) => None,
        };
        Shown { own: [run.files.as_deref(), root], mounts: &run.mounts }
    });
    let servers = workspace.servers.iter().filter_map(ServerConfig::sandbox);
    runs.chain(servers.map(|sandbox| Shown { own: [None; 2], mounts: &sandbox.mounts }))
}

// === impl Shown ===

impl<'c> Shown<'c> {
    /// What of this is another thing once somebody has changed that mount. A folder that several share can be changed in it
    /// and not be put elsewhere; but nobody changes an agent's own files or root, or a part of them.
    fn endangered_by(&self, mount: &MountConfig) -> Option<&'c Path> {
        let meets = |own: &Path| own.starts_with(&mount.source) || mount.source.starts_with(own);
        let own = self.own.into_iter().flatten().find(|own| meets(own));
        let mut others = self.mounts.iter().map(|other| other.source.as_path());
        own.or_else(|| others.find(|other| other.starts_with(&mount.source) && *other != mount.source))
    }
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
    let agents = config.workspaces.iter().flat_map(|workspace| &workspace.agents);
    let recipes = agents.filter_map(|agent| agent.run.as_ref()).flat_map(|run| &run.recipes);
    let files = texts.iter().map(|text| text.path.as_path()).chain(scripts).chain(recipes.map(Recipe::path));
    let through_links = files.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    through_links.chain(std::env::current_exe()).collect()
}
