//! `requirements.txt`, as far as it is looked at before `uv` is: every package has a hash, and nothing in it leads elsewhere.

use super::digests::{is_hexadecimal, shown};
use super::named::{normal, unknown};
use super::recipe::RecipeError;

const WITH_HASHES: &str =
    "write them with `uv pip compile --generate-hashes requirements.in -o requirements.txt`";

const ALONE: &str = "a file of an environment lists packages with their hashes and nothing else; where they come from stands in \
                     `environments` of ringfence.yaml";

/// Looks whether each requirement has a hash, and that there is nothing but requirements.
pub(super) fn check(text: &[u8]) -> Result<(), RecipeError> {
    for (number, line) in logical_lines(readable(text)?)? {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if first.starts_with('-') {
            return Err(RecipeError::new(format!("line {number} is the option `{}`", shown(first)), ALONE));
        }
        if !first.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            let what = format!("line {number}, `{}`, is no name of a package", shown(first));
            return Err(RecipeError::new(what, ALONE));
        }
        let mut hashes = 0_usize;
        for option in words.filter(|word| word.starts_with('-')) {
            match option.strip_prefix("--hash=") {
                Some(hash) if is_hexadecimal(hash) => hashes += 1,
                Some(_) => {
                    let what = format!("line {number}, `{}`, has a hash that is none by SHA-2", shown(first));
                    return Err(RecipeError::new(what, WITH_HASHES));
                }
                None => {
                    let what =
                        format!("line {number}, `{}`, has the option `{}`", shown(first), shown(option));
                    return Err(RecipeError::new(what, ALONE));
                }
            }
        }
        if hashes == 0 {
            let what = format!("line {number}, `{}`, has no hash", shown(first));
            return Err(RecipeError::new(what, WITH_HASHES));
        }
    }
    Ok(())
}

/// The same without the packages of these names, line by line: what is installed while nothing of a package runs.
pub(super) fn without(text: &[u8], names: &[String]) -> Result<Vec<u8>, RecipeError> {
    let lines = logical_lines(readable(text)?)?;
    let (named, others): (Vec<_>, Vec<_>) =
        lines.into_iter().map(|(_, line)| (name_of(&line), line)).partition(|(name, _)| names.contains(name));
    if let Some(name) = names.iter().find(|name| named.iter().all(|(found, _)| found != *name)) {
        return Err(unknown(name, "the file", others.into_iter().map(|(name, _)| name).collect()));
    }
    let text: String = others.into_iter().flat_map(|(_, line)| [line, "\n".to_owned()]).collect();
    Ok(text.into_bytes())
}

/// Whose requirement a line is.
fn name_of(line: &str) -> String {
    let is_of_name = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '_');
    normal(line.split(|one| !is_of_name(one)).next().unwrap_or_default())
}

/// The text, if everybody sees the same lines in it: `uv` also takes other encodings, and ends lines at more than this does.
fn readable(text: &[u8]) -> Result<&str, RecipeError> {
    let plain = std::str::from_utf8(text).ok().filter(|text| {
        let rest = text.replace("\r\n", "\n");
        !rest.chars().any(|one| one == '\u{feff}' || (one.is_control() && !matches!(one, '\n' | '\t')))
    });
    let what = "it has bytes or control characters that are no plain text in UTF-8";
    plain.ok_or_else(|| RecipeError::new(what, WITH_HASHES))
}

/// The lines as pip takes them: put together where one ends with a backslash, without comments; each with the number it
/// begins at. Empty ones are left out.
fn logical_lines(text: &str) -> Result<Vec<(usize, String)>, RecipeError> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.replace('\t', " ");
        let (number, mut whole) = open.take().unwrap_or_else(|| (at + 1, String::new()));
        if let Some(start) = line.strip_suffix('\\') {
            // Some end the comment with its line, and some do not.
            if comment(start).is_some() {
                let what = format!("line {} is a comment that ends with a backslash", at + 1);
                return Err(RecipeError::new(what, "take the backslash away"));
            }
            whole.push_str(start);
            whole.push(' ');
            open = Some((number, whole));
            continue;
        }
        whole.push_str(&line);
        lines.push((number, whole));
    }
    lines.extend(open);
    let without_comment = |(number, line): (usize, String)| {
        let line = comment(&line).map_or(line.as_str(), |at| &line[..at]).trim();
        (!line.is_empty()).then(|| (number, line.to_owned()))
    };
    Ok(lines.into_iter().filter_map(without_comment).collect())
}

/// Where a comment begins.
fn comment(line: &str) -> Option<usize> {
    if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_needs_a_hash() {
        let fine = "# by uv\none==1.0 \\\n    HASH \\\n    HASH\n    # via two\n\n\
                    two==2.0 ; python_version < '4' HASH  # why\r\n";
        let hash = format!("--hash=sha256:{}", "0".repeat(64));
        let check = |text: &str| check(text.replace("HASH", &hash).as_bytes());
        assert_eq!(check(fine), Ok(()));
        assert_eq!(check(""), Ok(()));
        for (bad, said) in [
            ("one==1.0\n", "line 1, `one==1.0`, has no hash"),
            ("one==1 HASH\n\ntwo # HASH\n", "line 3, `two`, has no hash"),
            ("one==1\t# HASH\n", "line 1, `one==1`, has no hash"),
            ("one==1 \\\n # HASH\n", "line 1, `one==1`, has no hash"),
            ("one==1 --hash=sha256:00\n", "none by SHA-2"),
            ("one==1 HASH --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n", "none by SHA-2"),
            ("one==1 HASH --no-binary :all:\n", "has the option `--no-binary`"),
            ("-r other.txt\n", "the option `-r`"),
            ("--index-url https://elsewhere.example\n", "the option `--index-url`"),
            ("-e .\n", "the option `-e`"),
            ("./here HASH\n", "is no name of a package"),
            ("# why \\\n-e .\n", "line 1 is a comment that ends"),
            ("one==1 HASH # why \\\n-e .\n", "line 1 is a comment that ends"),
            ("one==1 HASH\r-e .\n", "control characters"),
            ("\u{feff}one==1 HASH\n", "control characters"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
        assert!(super::check(b"\xff\xfeo\0n\0e\0").is_err());
    }

    #[test]
    fn what_is_named_is_left_for_later_whatever_its_spelling() {
        let text = b"one==1 \\\n  --hash=a # why\nTwo.X[y]==2 ; python_version < '4' --hash=b\ntwo_x==3\n\nthree>=1\n";
        let rest_of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            without(text, &names).map(|text| String::from_utf8(text).unwrap())
        };
        let rest = rest_of(&["two-x"]).unwrap();
        assert_eq!(rest.split_whitespace().collect::<Vec<_>>(), ["one==1", "--hash=a", "three>=1"]);
        assert_eq!(rest.lines().count(), 2);
        assert_eq!(rest_of(&["one", "three", "two-x"]).unwrap(), "");
        let told = rest_of(&["one", "thre"]).unwrap_err().to_string();
        assert!(told.contains("no package `thre`") && told.contains("two-x, three"), "{told}");
    }
}
