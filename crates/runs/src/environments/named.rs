//! Packages that are named, because their code runs while an environment is built.

use super::digests::shown;
use super::recipe::RecipeError;
use crate::limits::NAMED_MAX;

/// Characters of a name; npm's have at most as many.
const CHARACTERS_MAX: usize = 214;

/// Packages that are told of when one is not there.
const KNOWN_MAX: usize = 8;

/// What a name of a package for Node may not end with: `npm` would take it for that of a file.
const ARCHIVES: [&str; 3] = [".tgz", ".tar", ".tar.gz"];

/// A name of a package for Python as all of its spellings have it (PEP 503).
pub(super) fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Names of packages for Python, each once; they are words of a command afterwards.
pub(super) fn for_python(names: &[String]) -> Result<Vec<String>, RecipeError> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'.' | b'-' | b'_'))
    };
    let names: Vec<String> = checked(names, is_name)?.iter().map(|name| normal(name)).collect();
    Ok(each_once(names))
}

/// Names of packages for Node, each once.
pub(super) fn for_node(names: &[String]) -> Result<Vec<String>, RecipeError> {
    let is_name = |name: &str| {
        let (scope, last) = match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').unwrap_or_default(),
            None => ("scope", name),
        };
        is_plain(scope) && is_plain(last)
    };
    checked(names, is_name).map(|names| each_once(names.to_vec()))
}

/// Whether a part of a place can be a word of a command, and nothing else than it is meant as.
pub(super) fn is_plain(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && part.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'.' | b'-' | b'_' | b'~'))
        && !ARCHIVES.iter().any(|end| part.to_ascii_lowercase().ends_with(end))
}

/// A package that is named and not in the file.
pub(super) fn unknown(name: &str, file: &str, known: Vec<String>) -> RecipeError {
    let known: Vec<String> = known.into_iter().take(KNOWN_MAX).map(|name| shown(&name)).collect();
    let way_out = if known.is_empty() {
        "leave the name out: nothing in the file has code that would run while it is built".to_owned()
    } else {
        format!("leave the name out, or write one that is there, such as {}", known.join(", "))
    };
    RecipeError::new(format!("there is no package `{}` in {file}", shown(name)), way_out)
}

fn checked(names: &[String], is_name: impl Fn(&str) -> bool) -> Result<&[String], RecipeError> {
    if names.len() > NAMED_MAX {
        let what = format!("it names {} packages whose code runs; at most {NAMED_MAX}", names.len());
        return Err(RecipeError::new(what, "name those that cannot be installed otherwise"));
    }
    match names.iter().find(|name| name.len() > CHARACTERS_MAX || !is_name(name)) {
        Some(name) => {
            let what = format!("`{}` is no name of a package", shown(name));
            Err(RecipeError::new(what, "write its name alone, without a version"))
        }
        None => Ok(names),
    }
}

fn each_once(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_one_of_a_package_and_never_an_option_or_a_path() {
        assert_eq!(for_python(&names(&["B_.c", "a", "b-C"])), Ok(names(&["a", "b-c"])));
        assert_eq!(for_node(&names(&["esbuild", "@a/b.c", "esbuild"])), Ok(names(&["@a/b.c", "esbuild"])));
        for bad in ["", "-x", "--all", "a b", "a==1", "a@1", "../a", "a/b", ":all:", "a\n", "a;b", "é", "*"]
        {
            assert!(for_python(&names(&[bad])).is_err(), "{bad}");
            assert!(for_node(&names(&[bad])).is_err(), "{bad}");
        }
        for bad in ["@a", "@/a", "@a/", "@a/b/c", ".a", "a.tgz", "a.TAR.GZ", "a%2fb"] {
            assert!(for_node(&names(&[bad])).is_err(), "{bad}");
        }
        assert!(for_python(&["a".repeat(214)]).is_ok() && for_python(&["a".repeat(215)]).is_err());
        let many: Vec<String> = (0..=NAMED_MAX).map(|number| format!("a{number}")).collect();
        assert!(for_python(&many).is_err() && for_python(&many[1..]).is_ok());
    }

    #[test]
    fn who_names_what_is_not_there_is_told_what_is() {
        let told = |known: &[&str]| unknown("x\u{1b}", "uv.lock", names(known)).to_string();
        assert!(told(&["one", "two"]).contains("such as one, two") && !told(&[]).contains('\u{1b}'));
        assert!(told(&[]).contains("leave the name out"));
    }
}
