//! What the fuzzer found, as a person needs it: what broke, the input, and the command to repeat it.

use std::fs;
use std::path::Path;

use super::Target;

/// How much of what the fuzzer said is shown, in lines from its end.
const LINES_MAX: usize = 30;

/// How much of an input is shown, in bytes.
const INPUT_BYTES_MAX: usize = 2_000;

/// Shows it on standard error.
pub fn show(target: Target, said: &str) {
    let lines: Vec<&str> = said.lines().filter(|line| !is_progress(line)).collect();
    for line in &lines[lines.len().saturating_sub(LINES_MAX)..] {
        eprintln!("{line}");
    }
    let Some(path) = artifact(said) else { return };
    if let Ok(input) = fs::read(path) {
        eprintln!("\nThe input ({} bytes):\n{}", input.len(), shown(&input));
    }
    eprintln!("\nTo repeat it: cargo xtask fuzz {} --input {}\n", target.name(), path.display());
}

/// From `artifact_prefix='…'; Test unit written to PATH`.
fn artifact(said: &str) -> Option<&Path> {
    said.lines()
        .find_map(|line| line.split_once("Test unit written to "))
        .map(|(_, path)| Path::new(path.trim()))
}

fn is_progress(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("INFO:") || line.starts_with("stat::")
}

/// Text as text, everything else escaped.
fn shown(input: &[u8]) -> String {
    let some = &input[..input.len().min(INPUT_BYTES_MAX)];
    let text: String = some
        .utf8_chunks()
        .flat_map(|chunk| {
            let valid = chunk.valid().chars().map(|c| {
                if c == '\n' || !c.is_control() { c.to_string() } else { c.escape_default().to_string() }
            });
            valid.chain(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"))).collect::<Vec<_>>()
        })
        .collect();
    let more = if some.len() < input.len() { "…" } else { "" };
    format!("{text}{more}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{artifact, is_progress, shown};

    #[test]
    fn the_input_is_found_and_shown_without_what_steers_a_terminal() {
        let said = "panicked\nartifact_prefix='/f/'; Test unit written to /f/crash-1a\nBase64: AA==\n";
        assert_eq!(artifact(said), Some(Path::new("/f/crash-1a")));
        assert_eq!(artifact("nothing"), None);
        assert_eq!(shown(b"a\n\x1b[2J\xff\x00"), "a\n\\u{1b}[2J\\xff\\u{0}");
        assert!(is_progress("#12 NEW") && !is_progress("thread panicked"));
    }
}
