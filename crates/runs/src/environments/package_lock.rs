//! `package-lock.json`, as far as it is looked at before `npm` is: every package that is fetched has a digest.

use ringfence_json::{Limits, Object, Value, parse};

use super::recipe::RecipeError;
use crate::limits::LOCK_BYTES_MAX;

/// Values in one file, of every kind.
const VALUES_MAX: usize = 2_000_000;

/// Digests that nobody can make another file for.
const STRONG: [&str; 3] = ["sha512-", "sha384-", "sha256-"];

/// Looks whether each package that is fetched has a digest.
pub(super) fn check(text: &[u8]) -> Result<(), RecipeError> {
    let again = "write it anew with `npm install --package-lock-only` (npm 7 or newer)";
    let bytes = usize::try_from(LOCK_BYTES_MAX).unwrap_or(usize::MAX);
    let limits = Limits { bytes, values: VALUES_MAX, ..Limits::default() };
    let lock = parse(text, &limits).map_err(|error| RecipeError::new(error.to_string(), again))?;
    let packages = lock.as_object().and_then(|lock| lock.get("packages")).and_then(Value::as_object);
    let packages = packages.ok_or_else(|| RecipeError::new("it has no `packages`", again))?;
    for (place, package) in packages.iter() {
        let Some(package) = package.as_object() else {
            return Err(RecipeError::new(format!("`{}` is no object", shown(place)), again));
        };
        // The project itself, which is not installed, has the empty name.
        if !place.is_empty() && is_fetched(place, package) && !has_digest(package) {
            let what = format!("`{}` has no `integrity` by SHA-2", shown(place));
            let way_out = "packages from git, folders or addresses cannot be part of an environment: take them from an index, \
                           or put them among the agent's `files`";
            return Err(RecipeError::new(what, way_out));
        }
    }
    Ok(())
}

/// Links lead into the project, where nothing is; what is bundled comes in a package that has a digest.
fn is_fetched(place: &str, package: &Object) -> bool {
    let is = |name: &str| package.get(name).and_then(Value::as_bool) == Some(true);
    let is_package = place.split('/').any(|part| part == "node_modules");
    is_package && !is("link") && !is("inBundle")
}

fn has_digest(package: &Object) -> bool {
    package.text("integrity").is_some_and(|digests| {
        digests.split_ascii_whitespace().any(|one| STRONG.iter().any(|s| one.starts_with(s)))
    })
}

/// The start of a stranger's name, fit to be printed.
fn shown(name: &str) -> String {
    name.chars().take(120).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &str) -> Result<(), RecipeError> {
        check(format!(r#"{{"lockfileVersion":3,"packages":{{{packages}}}}}"#).as_bytes())
    }

    #[test]
    fn every_package_that_is_fetched_needs_a_digest() {
        let fine = r#""":{"name":"agent"},"node_modules/a":{"integrity":"sha512-x"},
            "node_modules/a/node_modules/b":{"inBundle":true},"node_modules/c":{"link":true,"resolved":"c"},"c":{}"#;
        assert_eq!(lock(fine), Ok(()));
        for bad in [
            r#""node_modules/a":{"resolved":"git+ssh://git@example.com/a.git#1"}"#,
            r#""node_modules/a":{"integrity":"sha1-x"}"#,
            r#""node_modules/a/node_modules/b":{"version":"1.0.0"}"#,
            r#""node_modules/a":1"#,
        ] {
            assert!(lock(bad).unwrap_err().to_string().contains("node_modules/a"), "{bad}");
        }
        assert!(check(br#"{"dependencies":{}}"#).unwrap_err().to_string().contains("no `packages`"));
        assert!(check(b"{").is_err());
    }
}
