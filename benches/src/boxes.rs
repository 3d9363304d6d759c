//! Other ways to put a program in a box, as their users call them: bare namespaces, bubblewrap, and the runtimes of containers.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Failure, failure};

/// How long any of them may take to its first word.
const PATIENCE: Duration = Duration::from_secs(20);

/// What of the machine is shown inside; on many machines some of these are links into /usr.
const SHOWN: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];

/// The namespaces of a sandbox of ours, as the options of unshare(1).
const NAMESPACES: [&str; 11] = [
    "--user",
    "--map-current-user",
    "--mount",
    "--net",
    "--ipc",
    "--uts",
    "--cgroup",
    "--time",
    "--pid",
    "--fork",
    "--kill-child",
];

/// One way.
pub struct Way {
    /// Its name.
    pub name: &'static str,
    program: &'static str,
    install: &'static str,
    /// What it makes, where that is not all that ours does.
    pub makes: &'static str,
    /// Ways to call it; the first that works here is taken.
    variants: &'static [&'static [&'static str]],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Namespaces,
    Bubblewrap,
    /// Takes a bundle as the Open Container Initiative has it.
    Bundle,
    Podman,
}

/// All of them.
pub const WAYS: [Way; 6] = [
    Way {
        name: "unshare",
        program: "unshare",
        install: "apt-get install util-linux",
        makes: "the same namespaces, nothing in them",
        variants: &[&[]],
        kind: Kind::Namespaces,
    },
    Way {
        name: "bwrap",
        program: "bwrap",
        install: "apt-get install bubblewrap",
        makes: "namespaces, a root; no system calls filtered, no limits, no way out",
        variants: &[&[]],
        kind: Kind::Bubblewrap,
    },
    Way {
        name: "crun",
        program: "crun",
        install: "apt-get install crun",
        makes: "namespaces, a root, capabilities; no system calls filtered, no limits, no way out",
        variants: &[&[], &["--cgroup-manager=disabled"]],
        kind: Kind::Bundle,
    },
    Way {
        name: "runc",
        program: "runc",
        install: "apt-get install runc",
        makes: "namespaces, a root, capabilities, a cgroup; no system calls filtered, no limits, no way out",
        variants: &[&[]],
        kind: Kind::Bundle,
    },
    Way {
        name: "runsc",
        program: "runsc",
        install: "apt-get install runsc",
        makes: "a kernel of its own (gVisor); no way out",
        variants: &[&["--network=none"], &["--network=none", "--ignore-cgroups"]],
        kind: Kind::Bundle,
    },
    Way {
        name: "podman",
        program: "podman",
        install: "apt-get install podman",
        makes: "a container with its usual seccomp filter and cgroup; no way out",
        variants: &[
            &[],
            &["--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000"],
            &["--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000", "--runtime=runc"],
        ],
        kind: Kind::Podman,
    },
];

/// A folder with what the ways need: an empty root, what the runtimes keep, and bundles.
pub struct Ground {
    folder: PathBuf,
    next: u64,
}

/// A way that works here.
pub struct Working<'w> {
    way: &'w Way,
    variant: &'w [&'w str],
}

/// A box in which a program has said its first word.
pub struct Boxed {
    child: Child,
    /// To its first word.
    pub word: Duration,
    began: Instant,
    stop: Option<Command>,
}

// === impl Ground ===

impl Ground {
    /// In an empty folder.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let root = folder.join("root");
        for inside in ["proc", "dev", "tmp", "etc", "sys"] {
            std::fs::create_dir_all(root.join(inside))?;
        }
        for shown in SHOWN {
            let inside = root.join(shown.trim_start_matches('/'));
            match std::fs::read_link(shown) {
                Ok(target) => symlink(target, inside)?,
                Err(_) => std::fs::create_dir(inside)?,
            }
        }
        Ok(Self { folder: folder.to_owned(), next: 0 })
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("bench-{}-{}", std::process::id(), self.next)
    }

    /// A bundle whose program this is; one for each program.
    fn bundle(&self, program: &[&str]) -> Result<PathBuf, Failure> {
        let name = if program.len() == 2 { "bundle-short" } else { "bundle-long" };
        let bundle = self.folder.join(name);
        if !bundle.exists() {
            std::fs::create_dir(&bundle)?;
            std::fs::write(bundle.join("config.json"), specification(&self.root(), program).to_string())?;
        }
        Ok(bundle)
    }
}

/// What the runtimes of containers are told: the machine's programs read-only, no capabilities, no network.
fn specification(root: &Path, program: &[&str]) -> Value {
    let shown = SHOWN.iter().filter(|path| std::fs::read_link(path).is_err());
    let shown = shown.map(
        |path| json!({ "destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"] }),
    );
    let made = [("/proc", "proc"), ("/dev", "tmpfs"), ("/tmp", "tmpfs")]
        .map(|(path, kind)| json!({ "destination": path, "type": kind, "source": kind }));
    let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": { "uid": 0, "gid": 0 }, "args": program, "cwd": "/",
            "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": true,
            "capabilities": { "bounding": [], "effective": [], "permitted": [] },
        },
        "root": { "path": root, "readonly": true },
        "hostname": "box",
        "mounts": made.into_iter().chain(shown).collect::<Vec<_>>(),
        "linux": { "namespaces": namespaces },
    })
}

// === impl Way ===

impl Way {
    /// The way as it works here, or why not and what to do.
    pub fn find<'w>(&'w self, ground: &mut Ground) -> Result<Working<'w>, String> {
        let found = std::env::var_os("PATH").is_some_and(|paths| {
            std::env::split_paths(&paths).any(|folder| folder.join(self.program).is_file())
        });
        if !found {
            return Err(format!("not installed: {}", self.install));
        }
        let mut why = String::new();
        for variant in self.variants {
            let working = Working { way: self, variant };
            let once = working.start(ground, &["/bin/echo", "x"]).and_then(Boxed::end);
            match once {
                Ok(_) => return Ok(working),
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("refused here: {}", why.trim()))
    }
}

// === impl Working ===

impl Working<'_> {
    /// How it is called, where that is not plain.
    pub fn called(&self) -> String {
        self.variant.join(" ")
    }

    /// Starts a program and waits for its first word.
    pub fn start(&self, ground: &mut Ground, program: &[&str]) -> Result<Boxed, Failure> {
        let name = ground.fresh();
        let mut command = Command::new(self.way.program);
        let mut stop = None;
        match self.way.kind {
            Kind::Namespaces => {
                command.args(NAMESPACES).args(program);
            }
            Kind::Bubblewrap => {
                command.args([
                    "--unshare-all",
                    "--die-with-parent",
                    "--proc",
                    "/proc",
                    "--dev",
                    "/dev",
                    "--tmpfs",
                    "/tmp",
                ]);
                for shown in SHOWN {
                    match std::fs::read_link(shown) {
                        Ok(target) => command.arg("--symlink").arg(target).arg(shown),
                        Err(_) => command.args(["--ro-bind", shown, shown]),
                    };
                }
                command.args(program);
            }
            Kind::Bundle => {
                let state = ground.folder.join(self.way.name);
                let call = |words: &[&str]| {
                    let mut command = Command::new(self.way.program);
                    command.args(self.variant).arg("--root").arg(&state).args(words);
                    command
                };
                stop = Some(call(&["kill", &name, "KILL"]));
                command = call(&["run", "--bundle"]);
                command.arg(ground.bundle(program)?).arg(&name);
            }
            Kind::Podman => {
                command.args(["run", "--rm", "--network=none", "--name", &name]).args(self.variant);
                for shown in SHOWN.iter().filter(|path| std::fs::read_link(path).is_err()) {
                    command.arg(format!("--volume={shown}:{shown}:ro"));
                }
                command.arg("--rootfs").arg(ground.root()).args(program);
                let mut kill = Command::new(self.way.program);
                kill.args(["kill", &name]);
                stop = Some(kill);
            }
        }
        Boxed::start(command, stop)
    }
}

// === impl Boxed ===

impl Boxed {
    fn start(mut command: Command, stop: Option<Command>) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let (sender, word) = std::sync::mpsc::channel();
        // A thread that waits for a word which does not come ends with the program.
        std::thread::spawn(move || {
            let mut stdout = stdout;
            if stdout.read_exact(&mut [0]).is_ok() {
                let _ = sender.send(Instant::now());
            }
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        });
        let Ok(at) = word.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let mut said = String::new();
            let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            let _ = child.wait();
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            return Err(failure(last.unwrap_or("it says nothing").to_owned()));
        };
        Ok(Self { child, word: at - began, began, stop })
    }

    /// Waits until it has ended by itself. Returns how long that took from its start.
    pub fn end(mut self) -> Result<Duration, Failure> {
        let status = self.child.wait()?;
        let took = self.began.elapsed();
        if status.success() { Ok(took) } else { Err(failure(format!("it ended with {status}"))) }
    }

    /// Ends it.
    pub fn stop(mut self) -> Result<(), Failure> {
        match &mut self.stop {
            Some(stop) => drop(stop.stdout(Stdio::null()).stderr(Stdio::null()).status()?),
            None => self.child.kill()?,
        }
        self.child.wait()?;
        Ok(())
    }
}
