//! What is said of a build that failed: the last of what the builder said, and the way out.

use ringfence_types::Builder;

use super::recipe::Recipe;

/// Lines of what a builder said last that are told.
const LINES_MAX: usize = 8;

/// Characters of these together.
const CHARACTERS_MAX: usize = 600;

/// What went wrong, in the builder's own words as far as they go.
pub(super) fn failed(recipe: &Recipe, status: &str, said: &str) -> String {
    let builder = match recipe.builder() {
        Builder::Python => "uv",
        Builder::Node => "npm",
    };
    let last = last_words(said);
    let way_out = way_out(recipe, said);
    if last.is_empty() {
        return format!("{builder} {status} and said nothing; {way_out}");
    }
    format!("{builder} {status}: {last}; {way_out}")
}

/// The end of a stranger's text on one line, so that it cannot steer a terminal or pass for a line of a log.
fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    let joined = lines[from..].join(" | ");
    let start = joined.char_indices().rev().nth(CHARACTERS_MAX - 1).map_or(0, |(at, _)| at);
    joined[start..].chars().flat_map(escaped).collect()
}

fn escaped(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

fn way_out(recipe: &Recipe, said: &str) -> &'static str {
    let has = |word: &str| said.contains(word);
    match recipe.builder() {
        Builder::Python if has("ash mismatch") || has("Hash mismatch") => {
            "a package is not what its hash says: find out why before you write another hash"
        }
        Builder::Python
            if has("no usable wheels")
                || has("no wheels")
                || has("binary distribution")
                || has("--no-build")
                || has("no-binary")
                || has("source distribution") =>
        {
            "only wheels are installed, because nothing of a package is run while an environment is built: pin a version that \
             has a wheel for this machine"
        }
        Builder::Node if has("EINTEGRITY") => {
            "a package is not what its `integrity` says: find out why before you write another"
        }
        Builder::Node if has("npm ci` can only install") || has("are in sync") => {
            "package.json and package-lock.json differ: `npm install --package-lock-only` and look at the changes"
        }
        _ if has("403") || has("not_granted") || has("denied_by_policy") || has("tunnel error") => {
            "a build reaches the hosts of `environments` in ringfence.yaml and no other, and none that a rule denies; the log has \
             what was refused"
        }
        _ => "the log has what it reached and what was refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_bounded_and_command_no_terminal() {
        let recipe = Recipe::Requirements("requirements.txt".into());
        let said = format!("{}\nthe end\u{1b}[31m\n", "x".repeat(5_000));
        let told = failed(&recipe, "exited with code 2", &said);
        assert!(told.len() < 1_000 && told.contains("the end\\u{1b}[31m"), "{told}");
        assert!(failed(&recipe, "ended by signal 9", "").contains("said nothing"));
    }

    #[test]
    fn the_way_out_fits_what_went_wrong() {
        let python = Recipe::Requirements("requirements.txt".into());
        let told = failed(&python, "exited with code 1", "error: Hash mismatch for `one==1.0`");
        assert!(told.contains("find out why"), "{told}");
        let told = failed(&python, "exited with code 1", "one has no usable wheels");
        assert!(told.contains("only wheels"), "{told}");
        let node = Recipe::PackageLock("package-lock.json".into());
        assert!(failed(&node, "exited with code 1", "npm error code EINTEGRITY").contains("integrity"));
    }
}
