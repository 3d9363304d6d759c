//! The end of the demo: the log is verified, and a copy that somebody tampered with is found out.

use std::fs;
use std::io;
use std::path::Path;

use ringfence_ledger::{VerifyError, VerifyOptions, verify};

use super::failed;
use crate::failure::Failure;
use crate::output::Output;

/// Columns of a finding.
const WIDTH: usize = 94;

/// Text in lines of so many columns, broken between words.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Verifies the log and a tampered copy of it.
pub fn show(output: Output, log: &Path, folder: &Path) -> Result<(), Failure> {
    let options = VerifyOptions::default();
    let report = verify(log, &options).map_err(|error| failed("verify the log", &error))?;
    output.line(&format!(
        "\n  The log is verified offline: {} entries, {} actions with their outcome, one signed tree over all.",
        report.entries, report.settled
    ))?;
    let copy = folder.join("tampered");
    copy_folder(log, &copy).map_err(|error| failed("copy the log", &error))?;
    let word = tamper(&copy).map_err(|error| failed("tamper with the copy", &error))?;
    match verify(&copy, &options) {
        Err(VerifyError::Broken(broken)) => {
            output.line(&format!(
                "  In a copy, one word is changed ({word}). Verified again, that copy is broken:"
            ))?;
            let entry = broken.entry.map(|entry| format!("entry {entry}: ")).unwrap_or_default();
            wrapped(&crate::safe(&format!("{entry}{}", broken.what)), WIDTH)
                .into_iter()
                .try_for_each(|line| output.line(&format!("    {line}")))
        }
        Err(other) => Err(failed("verify the copy", &other)),
        Ok(_) => Err(Failure::no("a log that was tampered with was taken for whole")),
    }
}

/// Makes a refusal look like something that was allowed, wherever the copy keeps it.
fn tamper(log: &Path) -> io::Result<&'static str> {
    let (was, is) = (b"denied_by_policy", b"allowed_by_boss_");
    let mut changed = false;
    for path in files(log)? {
        let mut bytes = fs::read(&path)?;
        let places: Vec<usize> = bytes
            .windows(was.len())
            .enumerate()
            .filter(|(_, window)| window == was)
            .map(|(at, _)| at)
            .collect();
        for at in &places {
            bytes[*at..*at + is.len()].copy_from_slice(is);
        }
        if !places.is_empty() {
            fs::write(&path, bytes)?;
            changed = true;
        }
    }
    if changed { Ok("denied → allowed") } else { Err(io::Error::other("there was no refusal to rewrite")) }
}

fn files(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
