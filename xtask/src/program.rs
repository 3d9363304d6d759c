//! Running programs.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::error::Error;

/// Cargo, the one that runs this.
pub fn cargo(folder: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// Whether a program is there and answers to its version.
pub fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// What a program prints, if it succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program to its end; it speaks for itself.
///
/// # Errors
/// When it does not start or does not succeed.
pub fn run(command: &mut Command) -> Result<(), Error> {
    let words = words(command);
    eprintln!("$ {words}");
    let status = command.status().map_err(|source| start_failed(command, source))?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: words, status: status.to_string() }) }
}

/// Runs a program to its end, passing on every line it prints after `look` has seen it. Returns whether it succeeded.
///
/// # Errors
/// When it does not start.
pub fn watch(command: &mut Command, look: impl Fn(&str) + Sync) -> Result<bool, Error> {
    eprintln!("$ {}", words(command));
    let mut child = command
        // Lines with colours in them could not be read.
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| start_failed(command, source))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| each_line(stdout, |line| (look(line), println!("{line}")).1));
        scope.spawn(|| each_line(stderr, |line| (look(line), eprintln!("{line}")).1));
    });
    child.wait().map(|status| status.success()).map_err(|source| start_failed(command, source))
}

fn each_line(output: Option<impl Read>, mut act: impl FnMut(&str)) {
    let Some(output) = output else { return };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        act(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

fn start_failed(command: &Command, source: std::io::Error) -> Error {
    Error::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// The command as a person would type it.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
