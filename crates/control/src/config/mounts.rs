//! What is shown in a sandbox must not hold: a secret of the configuration; and, where it can be changed from inside, what decides over
//! sandboxes.

use std::path::{Path, PathBuf};

use ringfence_document::{Diagnostic, Place};
use ringfence_runs::{Recipe, Rootfs};

use super::{
    Config, MountConfig, ProviderConfig, ServerConfig, SourceText, Transport, WorkspaceConfig, secret_files,
};

/// What one sandbox shows of the machine.
struct Shown<'c> {
    /// The agent's own files, and the folder that its root is made of, each with where it is named: nobody changes anything in these.
    own: Vec<(&'c Path, Place)>,
    mounts: &'c [MountConfig],
}

/// Refuses folders that agents and tool servers can change and that hold what says how agents run: the configuration and its
/// policies, this program, the files and roots of agents, and the files of other mounts, which could be led elsewhere by a
/// symbolic link; and those that are a part of such files and roots.
pub(super) fn check(config: &Config, texts: &[SourceText], name: &str) -> Vec<Diagnostic> {
    let all: Vec<Shown<'_>> = config.workspaces.iter().flat_map(shown).collect();
    let writable = all.iter().flat_map(|shown| shown.mounts).filter(|mount| mount.writable);
    let ruling = ruling(config, texts);
    let mut found = secrets(config, &all, name);
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

/// Refuses to show a file in which a secret is kept: who reads it needs no gateway any more.
fn secrets(config: &Config, all: &[Shown<'_>], name: &str) -> Vec<Diagnostic> {
    let secrets: Vec<PathBuf> = secret_files(config).iter().map(|path| through_links(path)).collect();
    let holds = |source: &Path| secrets.iter().find(|secret| secret.starts_with(through_links(source)));
    let sources = all.iter().flat_map(Shown::sources);
    let found = sources.filter_map(|(source, place)| {
        let secret = holds(source)?;
        let message =
            format!("{} is shown in a sandbox, and holds the secret {}", source.display(), secret.display());
        let hint =
            "keep secrets in a folder that no sandbox shows, or name a variable of the node with `env:`";
        Some(Diagnostic::error(name, place, message).with_hint(hint))
    });
    found.collect()
}

/// What the sandboxes of a workspace show: those of agents, and those of tool servers.
fn shown(workspace: &WorkspaceConfig) -> impl Iterator<Item = Shown<'_>> {
    let runs = workspace.agents.iter().filter_map(|agent| agent.run.as_ref());
    let runs = runs.map(|run| {
        let root = match &run.rootfs {
            Rootfs::Folder(folder) => Some(folder.as_path()),
            Rootfs::Machine | Rootfs::Image(_) => None,
        };
        let own = run.files.as_deref().into_iter().chain(root).map(|path| (path, run.place));
        Shown { own: own.collect(), mounts: &run.mounts }
    });
    let servers = workspace.servers.iter().filter_map(ServerConfig::sandbox);
    runs.chain(servers.map(|sandbox| Shown { own: Vec::new(), mounts: &sandbox.mounts }))
}

// === impl Shown ===

impl<'c> Shown<'c> {
    /// All of it, and where each part is named.
    fn sources(&self) -> impl Iterator<Item = (&'c Path, Place)> {
        self.own.iter().copied().chain(self.mounts.iter().map(|mount| (mount.source.as_path(), mount.place)))
    }

    /// What of this is another thing once somebody has changed that mount. A folder that several share can be changed in it
    /// and not be put elsewhere; but nobody changes an agent's own files or root, or a part of them.
    fn endangered_by(&self, mount: &MountConfig) -> Option<&'c Path> {
        let meets = |own: &Path| own.starts_with(&mount.source) || mount.source.starts_with(own);
        let own = self.own.iter().map(|(own, _)| *own).find(|own| meets(own));
        let mut others = self.mounts.iter().map(|other| other.source.as_path());
        own.or_else(|| others.find(|other| other.starts_with(&mount.source) && *other != mount.source))
    }
}

/// The files that say how agents run, and those that run outside of any sandbox; through links.
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
    let servers = config.workspaces.iter().flat_map(|workspace| &workspace.servers);
    let all = files.map(Path::to_owned).chain(servers.flat_map(programs)).chain(std::env::current_exe());
    all.map(|path| through_links(&path)).collect()
}

/// The files that a tool server without a sandbox is started from, as far as its command names them.
fn programs(server: &ServerConfig) -> Vec<PathBuf> {
    match &server.transport {
        Transport::Stdio { command, directory, sandbox: None, .. } => {
            let directory = directory.as_deref().unwrap_or(Path::new(""));
            let paths = command.iter().map(|word| directory.join(word));
            paths.filter(|path| path.is_absolute() && path.is_file()).collect()
        }
        _ => Vec::new(),
    }
}

fn through_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
