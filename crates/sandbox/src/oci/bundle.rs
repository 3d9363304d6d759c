//! `config.json` of a bundle, from the order of a child.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ringfence_json::{Object, Value};

use super::{Kind, ROOTFS, profile};
use crate::limits::SHARED_MEMORY_BYTES;
use crate::wire::Order;

/// What of the machine an unprivileged reader whose number is that of root could still read.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/pagetypeinfo",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/vmallocinfo",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a container is made of.
pub(crate) struct Bundle<'a> {
    pub(crate) kind: Kind,
    pub(crate) order: &'a Order,
    /// What is mounted in its root, in order, and whether it may be changed.
    pub(crate) mounted: &'a [(PathBuf, bool)],
    /// Resource limits of the program: name, soft, hard.
    pub(crate) limits: &'a [(&'static str, u64, u64)],
}

/// The configuration, as it is written, and how many system calls its profile allows, if it has one.
///
/// # Errors
/// When the order holds what JSON cannot: names that are not UTF-8.
pub(crate) fn bundle(bundle: &Bundle<'_>) -> Result<(Vec<u8>, Option<usize>), String> {
    let profile = (!bundle.kind.is_kernel()).then(profile);
    let calls = profile.as_ref().map(|profile| profile.calls);
    let linux = Object::new()
        .with("namespaces", vec![Object::new().with("type", "mount")])
        .with("maskedPaths", MASKED.to_vec())
        .with("readonlyPaths", READ_ONLY.to_vec())
        .with_some("seccomp", profile.map(|profile| profile.value));
    let config = Object::new()
        .with("ociVersion", "1.0.2")
        .with("root", Object::new().with("path", ROOTFS).with("readonly", true))
        .with("process", process(bundle)?)
        .with("mounts", mounts(bundle)?)
        .with("linux", linux);
    Ok((Value::from(config).to_bytes(), calls))
}

fn process(bundle: &Bundle<'_>) -> Result<Object, String> {
    let order = bundle.order;
    let none = || Value::Array(Vec::new());
    let capabilities = ["bounding", "effective", "inheritable", "permitted", "ambient"];
    let capabilities = capabilities.into_iter().fold(Object::new(), |all, set| all.with(set, none()));
    let limits = bundle
        .limits
        .iter()
        .map(|(name, soft, hard)| Object::new().with("type", *name).with("soft", *soft).with("hard", *hard));
    let mut arguments = vec![text(&order.program)?];
    for argument in &order.arguments {
        arguments.push(text(argument)?);
    }
    Ok(Object::new()
        .with("terminal", false)
        .with("user", Object::new().with("uid", 0_u32).with("gid", 0_u32))
        .with("args", arguments)
        .with("env", environment(order)?)
        .with("cwd", text(directory(order).as_os_str())?)
        .with("capabilities", capabilities)
        .with("rlimits", limits.collect::<Vec<_>>())
        .with("noNewPrivileges", true))
}

fn home(order: &Order) -> &Path {
    order.root.as_ref().map_or(Path::new("/"), |root| &root.home)
}

fn directory(order: &Order) -> &Path {
    order.directory.as_deref().unwrap_or_else(|| home(order))
}

/// The last of one name counts, as everywhere; a runtime takes the first.
fn environment(order: &Order) -> Result<Vec<String>, String> {
    let mut all: Vec<(String, String)> =
        vec![("HOME".into(), text(home(order).as_os_str())?), ("TMPDIR".into(), "/tmp".into())];
    for (name, value) in &order.environment {
        let (name, value) = (text(name)?, text(value)?);
        all.retain(|(other, _)| *other != name);
        all.push((name, value));
    }
    Ok(all.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn mounts(bundle: &Bundle<'_>) -> Result<Vec<Object>, String> {
    let own = |target: &str, kind: &str, options: &[&str]| {
        Object::new()
            .with("destination", target)
            .with("type", kind)
            .with("source", kind)
            .with("options", options.to_vec())
    };
    let shared = format!("size={SHARED_MEMORY_BYTES}");
    let mut all = vec![
        own("/proc", "proc", &["nosuid", "noexec", "nodev", "hidepid=2"]),
        own("/dev", "tmpfs", &["nosuid", "noexec", "mode=755", "size=64k", "nr_inodes=64"]),
        own("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        own("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &shared]),
    ];
    // The others take the root with all that is mounted in it.
    if bundle.kind.is_kernel() {
        for (target, write) in bundle.mounted {
            let source = format!("{ROOTFS}{}", text(target.as_os_str())?);
            let options = vec!["rbind", "nosuid", "nodev", if *write { "rw" } else { "ro" }];
            let mount = Object::new().with("destination", text(target.as_os_str())?).with("type", "bind");
            all.push(mount.with("source", source).with("options", options));
        }
    }
    Ok(all)
}

fn text(value: &OsStr) -> Result<String, String> {
    let refused = || format!("{} is not UTF-8, which an OCI runtime takes alone", value.display());
    value.to_str().map(str::to_owned).ok_or_else(refused)
}
