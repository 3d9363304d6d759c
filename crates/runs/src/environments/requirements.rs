//! `requirements.txt`, as far as it is looked at before `uv` is: every package has a hash, and nothing in it leads elsewhere.

use super::recipe::RecipeError;

/// Looks whether each requirement has a hash, and that there is nothing but requirements.
pub(super) fn check(text: &str) -> Result<(), RecipeError> {
    for (number, line) in logical_lines(text) {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if first.starts_with('-') {
            let what = format!("line {number} is the option `{}`", shown(first));
            let way_out = "a file of an environment lists packages with their hashes and nothing else; where they come from \
                           stands in `environments` of ringfence.yaml";
            return Err(RecipeError::new(what, way_out));
        }
        if !line.split_ascii_whitespace().any(|word| word.starts_with("--hash=")) {
            let what = format!("line {number}, `{}`, has no hash", shown(first));
            let way_out =
                "write them with `uv pip compile --generate-hashes requirements.in -o requirements.txt`";
            return Err(RecipeError::new(what, way_out));
        }
    }
    Ok(())
}

/// The lines as pip takes them: put together where one ends with a backslash, without comments; each with the number it
/// begins at. Empty ones are left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let (number, mut whole) = open.take().unwrap_or_else(|| (at + 1, String::new()));
        if let Some(start) = line.strip_suffix('\\') {
            whole.push_str(start);
            whole.push(' ');
            open = Some((number, whole));
            continue;
        }
        whole.push_str(line);
        lines.push((number, whole));
    }
    lines.extend(open);
    let without_comment = |(number, line): (usize, String)| {
        let comment = if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") };
        let line = comment.map_or(line.as_str(), |at| &line[..at]).trim();
        (!line.is_empty()).then(|| (number, line.to_owned()))
    };
    lines.into_iter().filter_map(without_comment).collect()
}

/// The start of a stranger's word, fit to be printed.
fn shown(word: &str) -> String {
    word.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_needs_a_hash() {
        let fine = "# by uv\none==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n    # via two\n\n\
                    two==2.0 ; python_version < '4' --hash=sha256:22  # why\n";
        assert_eq!(check(fine), Ok(()));
        assert_eq!(check(""), Ok(()));
        for (bad, said) in [
            ("one==1.0\n", "line 1, `one==1.0`, has no hash"),
            ("one==1 --hash=sha256:00\n\ntwo # --hash=sha256:00\n", "line 3, `two`, has no hash"),
            ("one==1 \\\n # --hash=sha256:00\n", "line 1, `one==1`, has no hash"),
            ("-r other.txt\n", "the option `-r`"),
            ("--index-url https://elsewhere.example\n", "the option `--index-url`"),
            ("-e .\n", "the option `-e`"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
