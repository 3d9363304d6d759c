//! What is said of a build that failed: the last of what the builder said, and the way out.

use ringfence_types::Builder;

use super::recipe::Recipe;

/// Lines of what a builder said last that are told.
const LINES_MAX: usize = 40;

/// Packages that are told of where their code ran: all of them stand in the environment's manifest.
const NAMES_MAX: usize = 16;

/// Characters of these that stand where a run's end is told: all of them are in its output.
const CHARACTERS_MAX: usize = 160;

/// A build that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What went wrong, and the way out.
    pub told: String,
    /// The last lines of what the builder said.
    pub said: Vec<String>,
}

/// Whose code ran, as the end of a sentence.
pub(super) fn ran(named: &[String]) -> String {
    let shown: Vec<&str> = named.iter().take(NAMES_MAX).map(String::as_str).collect();
    match named.len().saturating_sub(NAMES_MAX) {
        _ if named.is_empty() => String::new(),
        0 => format!(", and code ran of {}", shown.join(", ")),
        more => format!(", and code ran of {} and {more} more", shown.join(", ")),
    }
}

/// What went wrong: in the builder's own words, as far as they go, after the way out.
pub(super) fn failed(recipe: &Recipe, status: &str, said: &str) -> Failure {
    let builder = match recipe.builder() {
        Builder::Python => "uv",
        Builder::Node => "npm",
    };
    let lines = last_lines(said);
    let way_out = way_out(recipe, said);
    let start: String = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" | ");
    let start: String = start.chars().take(CHARACTERS_MAX).collect();
    let start = if start.is_empty() { "it said nothing".to_owned() } else { start };
    Failure { told: format!("{builder} {status}; {way_out}. It said: {start}"), said: lines }
}

/// The end of a stranger's text, escaped, so that it cannot steer a terminal or pass for a line of a log.
fn last_lines(said: &str) -> Vec<String> {
    let is_telling = |line: &&str| !line.trim().is_empty() && !line.contains("A complete log of this run");
    let lines: Vec<&str> = said.lines().filter(is_telling).collect();
    let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
    last.iter().map(|line| line.chars().flat_map(escaped).collect()).collect()
}

// === impl Failure ===

impl Failure {
    pub(super) fn new(told: impl Into<String>) -> Self {
        Self { told: told.into(), said: Vec::new() }
    }
}

fn escaped(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

fn way_out(recipe: &Recipe, said: &str) -> &'static str {
    let has = |word: &str| said.contains(word);
    match recipe.builder() {
        _ if has("File size limit exceeded") || has("File too large") || has("EFBIG") => {
            "a file takes more than a build may; write a larger `environments: { size: … }`"
        }
        Builder::Python if has("ash mismatch") || has("Hash mismatch") => {
            "a package is not what its hash says: find out why before you write another hash"
        }
        Builder::Python if has("ModuleNotFoundError") || has("No module named") => {
            "what builds a package has to be in the same file, with its version and hashes (such as `setuptools==… --hash=…`): \
             nothing else is fetched for it"
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
             has a wheel for this machine, or let its code run by name, `python: { lock: …, build: [NAME] }`"
        }
        Builder::Node if has("gyp ERR!") && has("nodejs.org") => {
            "what compiles against Node needs its headers, which are not fetched: install them with Node, as \
             include/node beside its bin"
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

    fn recipe(builder: Builder, name: &str) -> Recipe {
        Recipe::of(builder, name.into()).unwrap()
    }

    #[test]
    fn the_last_words_are_bounded_and_command_no_terminal() {
        let recipe = recipe(Builder::Python, "requirements.txt");
        let said = format!("{}\nthe end\u{1b}[31m\n\n", "x\n".repeat(5_000));
        let failure = failed(&recipe, "exited with code 2", &said);
        assert!(failure.told.chars().count() < 400, "{}", failure.told);
        assert_eq!((failure.said.len(), failure.said.last().unwrap().as_str()), (40, "the end\\u{1b}[31m"));
        assert!(failed(&recipe, "ended by signal 9", "").told.contains("said nothing"));
    }

    #[test]
    fn whose_code_ran_is_told_and_bounded() {
        let names = |count: usize| (0..count).map(|at| format!("a{at}")).collect::<Vec<_>>();
        assert_eq!((ran(&[]).as_str(), ran(&names(2)).as_str()), ("", ", and code ran of a0, a1"));
        assert!(ran(&names(64)).ends_with("a15 and 48 more"));
    }

    #[test]
    fn the_way_out_fits_what_went_wrong() {
        let python = recipe(Builder::Python, "requirements.txt");
        let told = |recipe: &Recipe, said: &str| failed(recipe, "exited with code 1", said).told;
        assert!(told(&python, "error: Hash mismatch for `one==1.0`").contains("find out why"));
        assert!(told(&python, "one has no usable wheels").contains("only wheels"));
        assert!(told(&python, "ModuleNotFoundError: No module named 'x'").contains("in the same file"));
        let node = recipe(Builder::Node, "package-lock.json");
        assert!(told(&node, "npm error code EINTEGRITY").contains("`integrity`"));
        assert!(told(&node, "gyp ERR! stack from https://nodejs.org/x").contains("include/node"));
    }
}
