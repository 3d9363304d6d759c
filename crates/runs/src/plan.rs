//! What a run of an agent is made of, as the configuration has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfence_kernel::Run;
use ringfence_sandbox::{Command, DriverName, LayerName, Limits, Network, Root, Trust};
use ringfence_types::Builder;

use crate::environments::{BuildSettings, Ready, Recipe};
use crate::images::{Image, ImageName};

/// Where the agent's files are inside.
const FILES: &str = "/agent/files";

/// Where it leaves what is kept of it.
pub(crate) const OUT: &str = "/agent/out";

/// Where it finds and leaves what its agent keeps between runs.
pub(crate) const STATE: &str = "/agent/state";

/// Where environments of packages are inside: those of Python at the place that they were built for, those of Node above the
/// agent's files, where modules of either kind are looked for.
const fn place_of(builder: Builder) -> &'static str {
    match builder {
        Builder::Python => "/agent/python",
        Builder::Node => "/agent/node_modules",
    }
}

/// Where programs are beside those of environments.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is said where a program wants a key: the gateway adds the real one outside.
const KEY: &str = "unused";

/// What a run of an agent is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program and its arguments; without a slash it is looked up in `PATH`, with `./` it is one of the files.
    pub command: Vec<String>,
    /// The folder with the agent's files, shown read-only.
    pub files: Option<PathBuf>,
    /// More of the machine's files.
    pub mounts: Vec<Mount>,
    /// The environments of packages that it finds.
    pub recipes: Vec<Recipe>,
    /// How these are built.
    pub builds: BuildSettings,
    /// Variables beside those that every run has.
    pub environment: Vec<(String, String)>,
    /// The tool servers that the agent holds anything of.
    pub servers: Vec<String>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Hundredths of a processor.
    pub cpu_percent: Option<u32>,
    /// Bytes of its work folder.
    pub work_bytes: u64,
    /// Bytes of what it may leave to be kept; `None` where there is no folder for it.
    pub out_bytes: Option<u64>,
    /// Bytes of what its agent keeps between runs; `None` where it keeps nothing.
    pub state_bytes: Option<u64>,
    /// Bytes that are kept of what it writes to standard output and standard error together.
    pub output_bytes: u64,
    /// It is ended when it neither writes nor acts for so long.
    pub idle: Option<Duration>,
    /// Whether it reads what it is given on standard input.
    pub takes_input: bool,
    /// Whether it may start runs of other agents.
    pub spawns: bool,
    /// Layers without which it is refused.
    pub require: Vec<LayerName>,
    /// What keeps it apart from the machine.
    pub driver: DriverName,
    /// What its root is made of.
    pub rootfs: Rootfs,
}

/// What the root of a run is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rootfs {
    /// The machine's programs and libraries.
    #[default]
    Machine,
    /// A folder of the machine.
    Folder(PathBuf),
    /// An image.
    Image(ImageName),
}

/// A file or folder of the machine that is shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// On the machine, absolute.
    pub source: PathBuf,
    /// Inside, absolute.
    pub target: PathBuf,
    /// Whether it can be changed from inside.
    pub writable: bool,
}

// === impl Plan ===

impl Plan {
    /// The order for the sandbox. `trust`: whom programs inside are to trust, where that is not the machine's alone;
    /// `environments`: those of its recipes; `image`: its root, where that is one.
    pub(crate) fn order(
        &self,
        run: &Run,
        extra: &[String],
        trust: Option<&Trust>,
        environments: &[Ready],
        image: Option<&Image>,
    ) -> Command {
        let (program, arguments) = match self.command.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            // An empty program is refused by the sandbox with a reason.
            None => ("", &[][..]),
        };
        let files = self.files.as_deref().map(|files| self.shown_at(files, FILES));
        let program = match (program.strip_prefix("./"), &files) {
            (Some(file), Some(files)) => files.join(file).into_os_string(),
            _ => program.into(),
        };
        let mut command = Command::new(program)
            .arguments(arguments.iter().chain(extra))
            .root(self.root(trust, environments, image))
            .network(if self.driver.has_network() { Network::Gateway } else { Network::None })
            .errors_unread()
            .limits(Limits {
                processes: self.processes,
                memory_bytes: self.memory_bytes,
                cpu_percent: self.cpu_percent,
                home_bytes: self.work_bytes,
                // Where the home cannot be bounded, each file in it is.
                file_bytes: (!self.driver.has_mounts()).then_some(self.work_bytes),
                ..Limits::default()
            });
        if let Some(files) = files {
            command = command.directory(files);
        }
        for (target, bytes) in [(OUT, self.out_bytes), (STATE, self.state_bytes)] {
            if let Some(bytes) = bytes.filter(|_| self.driver.has_mounts()) {
                command = command.volume(target, bytes);
            }
        }
        let of_image = image.map(|image| image.environment.clone()).unwrap_or_default();
        for (name, value) in of_image.into_iter().chain(self.variables(run, trust.is_some())) {
            command = command.variable(name, value);
        }
        self.require.iter().fold(command, |command, layer| command.require(*layer))
    }

    /// Where something is seen: where nothing can be mounted, where it is.
    fn shown_at<'a>(&self, source: &'a Path, target: &'a str) -> &'a Path {
        if self.driver.has_mounts() { Path::new(target) } else { source }
    }

    fn root(&self, trust: Option<&Trust>, environments: &[Ready], image: Option<&Image>) -> Root {
        let mut root = match (&self.rootfs, image) {
            (_, Some(image)) => Root::folder(&image.rootfs),
            (Rootfs::Folder(folder), None) => Root::folder(folder),
            (Rootfs::Machine | Rootfs::Image(_), None) => Root::system(),
        };
        if let Some(files) = &self.files {
            root = root.read_only(files, self.shown_at(files, FILES));
        }
        for Mount { source, target, writable } in &self.mounts {
            root = if *writable { root.writable(source, target) } else { root.read_only(source, target) };
        }
        for ready in environments {
            root = root.read_only(ready.folder(), place_of(ready.builder));
        }
        match trust {
            Some(trust) if self.driver.has_network() => trust.show(root),
            _ => root,
        }
    }

    /// What has programs find the environments.
    fn of_environments(&self) -> Vec<(String, String)> {
        let mut folders = Vec::new();
        let mut all = Vec::new();
        for recipe in &self.recipes {
            let place = place_of(recipe.builder());
            match recipe.builder() {
                Builder::Python => {
                    folders.push(format!("{place}/bin"));
                    all.push(("VIRTUAL_ENV".to_owned(), place.to_owned()));
                }
                Builder::Node => folders.push(format!("{place}/.bin")),
            }
        }
        if !folders.is_empty() {
            folders.push(USUAL_PATH.to_owned());
            all.push(("PATH".to_owned(), folders.join(":")));
        }
        all
    }

    /// What has programs find the gateway.
    fn of_gateway(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = vec![
            pair("OPENAI_BASE_URL", "http://gateway/openai/v1"),
            pair("OPENAI_API_KEY", KEY),
            pair("ANTHROPIC_BASE_URL", "http://gateway/anthropic"),
            pair("ANTHROPIC_API_KEY", KEY),
            pair("RINGFENCE_MCP_URL", "http://gateway/mcp"),
        ];
        if self.spawns {
            all.push(pair("RINGFENCE_API_URL", "http://gateway/api/v1"));
        }
        for server in &self.servers {
            let name = server.to_ascii_uppercase().replace('-', "_");
            all.push((format!("RINGFENCE_MCP_{name}_URL"), format!("http://gateway/mcp/{server}")));
        }
        all
    }

    /// What every run finds in its environment, and what the configuration adds; the last of one name counts.
    fn variables(&self, run: &Run, has_trust: bool) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = vec![
            pair("RINGFENCE_WORKSPACE", run.workspace.as_str()),
            pair("RINGFENCE_AGENT", run.agent.as_str()),
            pair("RINGFENCE_RUN", &run.id.to_string()),
            // What is printed is seen at once.
            pair("PYTHONUNBUFFERED", "1"),
        ];
        if self.driver.has_network() {
            all.extend(self.of_gateway());
            if has_trust {
                all.extend(Trust::variables().map(|(name, path)| pair(name, path)));
            }
        }
        all.extend(self.of_environments());
        all.extend(self.environment.iter().cloned());
        all
    }
}
