//! The sandbox's tests on a machine of another kind: Debian's own kernel, and cgroup v2 alone.
//!
//! The machine is QEMU's, without the processor's help, which not every host can give. It sees the host's files,
//! read-only, under a layer in memory: the libraries, Python and the container runtimes of the tests are the host's.

mod kernel;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use self::kernel::Kernel;
use crate::error::{Error, at};
use crate::place::Place;
use crate::program::{answers, cargo, run, watch};

const QEMU: &str = "qemu-system-x86_64";

/// Where all tests run: as a service of root's.
const EVERYTHING: &str = "service";

/// What runs elsewhere too: under a user with `Delegate=yes`, and in a cgroup of root's that somebody else is in as well.
const ELSEWHERE: [(&str, &[&str]); 2] =
    [("delegated", &["ahead", "bounds", "lifetime"]), ("session", &["ahead", "lifetime"])];

/// Runs the test files of crates/sandbox/tests, or some of them, in a machine.
///
/// # Errors
/// When something is missing, does not build, or a test fails.
pub fn run_tests(place: &Place, package: Option<&Path>, only: &[String]) -> Result<(), Error> {
    for program in [Command::new(QEMU).arg("--version"), Command::new("busybox").arg("--list")] {
        if !answers(program) {
            return Err(Error::Missing {
                program: "QEMU, or busybox",
                install: "apt-get install --no-install-recommends qemu-system-x86 busybox-static",
            });
        }
    }
    let folder = place.target().join("vm");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let folder = folder.canonicalize().map_err(at(&folder))?;
    let jobs = jobs(&build(place, &folder, only)?);
    write(&folder.join("jobs"), &jobs.join("\n"))?;
    write(&folder.join("machine.sh"), include_str!("machine.sh"))?;
    let kernel = Kernel::unpack(package, &folder)?;
    let initramfs = kernel.initramfs(include_str!("first.sh"), &folder)?;
    boot(&kernel, &initramfs, &folder, jobs.len())
}

/// Where each test file runs.
fn jobs(names: &[String]) -> Vec<String> {
    let elsewhere = |name: &str| {
        let places = ELSEWHERE.into_iter().filter(move |(_, tests)| tests.contains(&name));
        places.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let places = |name: &str| std::iter::once(EVERYTHING).chain(elsewhere(name));
    names.iter().flat_map(|name| places(name).map(move |place| format!("{place} {name}"))).collect()
}

/// Builds the tests and puts them, without what only a debugger reads, where the machine finds them; names of those that
/// are wanted.
fn build(place: &Place, folder: &Path, only: &[String]) -> Result<Vec<String>, Error> {
    let into = folder.join("tests");
    if into.exists() {
        fs::remove_dir_all(&into).map_err(at(&into))?;
    }
    fs::create_dir_all(&into).map_err(at(&into))?;
    let mut build = cargo(&place.repository);
    build.args(["test", "--no-run", "-p", "ringfence-sandbox", "--test", "*"]);
    let built = Mutex::new(Vec::new());
    let done = watch(&mut build, |line| {
        if let (Some(test), Ok(mut built)) = (executable(line), built.lock()) {
            built.push((test.0.to_owned(), place.repository.join(test.1)));
        }
    })?;
    let built = built.into_inner().unwrap_or_default();
    if !done || built.is_empty() {
        return Err(Error::Phases("building the sandbox's tests".to_owned()));
    }
    for (name, path) in &built {
        run(Command::new("strip").arg("-o").arg(into.join(name)).arg(path))?;
    }
    let names: Vec<String> = built.into_iter().map(|(name, _)| name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        return Err(Error::Phases(format!("there is no test file {unknown}")));
    }
    Ok(if only.is_empty() { names } else { only.to_vec() })
}

/// The name of a test file and where Cargo says that it put it.
fn executable(line: &str) -> Option<(&str, &str)> {
    let (source, path) = line.trim().strip_prefix("Executable ")?.rsplit_once(" (")?;
    Some((Path::new(source).file_stem()?.to_str()?, path.strip_suffix(')')?))
}

/// Runs the machine to its end.
fn boot(kernel: &Kernel, initramfs: &Path, folder: &Path, jobs: usize) -> Result<(), Error> {
    let mut machine = Command::new(QEMU);
    machine.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4G"]);
    machine.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
    machine.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    machine.arg("-append").arg(format!("console=ttyS0 quiet panic=-1 ringfence.folder={}", folder.display()));
    machine.args(["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"]);
    machine.args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]);
    let said = Mutex::new(Vec::new());
    watch(&mut machine, |line| {
        if let (Some(line), Ok(mut said)) = (line.trim().strip_prefix("vm: "), said.lock()) {
            said.push(line.to_owned());
        }
    })?;
    let said = said.into_inner().unwrap_or_default();
    println!("\n{}", said.join("\n"));
    verdict(&said, jobs)
}

/// What came of it. A machine that went down under a test has not passed.
fn verdict(said: &[String], jobs: usize) -> Result<(), Error> {
    let passed = said.iter().filter(|line| line.ends_with(": passed")).count();
    let failed = said.iter().filter_map(|line| line.strip_suffix(": FAILED"));
    let mut failed: Vec<&str> = failed.collect();
    if said.last().is_none_or(|line| line != "end") {
        failed.push("the machine did not come to its end");
    }
    if failed.is_empty() && passed == jobs { Ok(()) } else { Err(Error::Phases(failed.join("; "))) }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, format!("{}\n", text.trim_end())).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::{executable, jobs, verdict};

    #[test]
    fn what_cargo_built_is_found() {
        let line = "  Executable tests/bounds.rs (target/debug/deps/bounds-24ce94e290cbd48e)";
        assert_eq!(executable(line), Some(("bounds", "target/debug/deps/bounds-24ce94e290cbd48e")));
        assert_eq!(executable("   Compiling ringfence-sandbox v0.1.0 (/work)"), None);
    }

    #[test]
    fn tests_of_cgroups_run_in_other_places_too() {
        let names = ["bounds", "escape"].map(str::to_owned);
        assert_eq!(jobs(&names), ["service bounds", "delegated bounds", "service escape"]);
    }

    #[test]
    fn only_a_machine_that_came_to_its_end_with_every_test_passed_has_passed() {
        let said = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        assert!(verdict(&said(&["service a: passed", "end"]), 1).is_ok());
        for lines in [
            &["service a: passed", "end"][..],
            &["service a: passed", "service b: passed"],
            &["service a: passed", "service b: FAILED", "end"],
            &[],
        ] {
            assert!(verdict(&said(lines), 2).is_err(), "{lines:?}");
        }
    }
}
