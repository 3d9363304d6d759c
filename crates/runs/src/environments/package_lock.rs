//! `package-lock.json`, as far as it is looked at before `npm` is given it: every package that is fetched has a digest.

use std::collections::HashSet;

use ringfence_json::{Limits, Object, Value, parse};

use super::digests::{FROM_AN_INDEX, is_integrity, shown};
use super::named::{is_plain, unknown};
use super::npm_keys::known;
use super::recipe::RecipeError;
use crate::limits::{LOCK_BYTES_MAX, PLACES_MAX};

/// Values in one file, of every kind.
const VALUES_MAX: usize = 2_000_000;

/// Where packages are, and what separates one from those in it.
const FOLDER: &str = "node_modules/";

const AGAIN: &str = "write it anew with `npm install --package-lock-only` (npm 7 or newer)";

const OWN_LOCK: &str = "give the agent a package.json and a lock of its own, with packages from an index alone; what else it \
                        takes from the project goes among its `files`";

/// The digest of no file that anybody knows.
const OF_NOTHING: &str =
    "sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Looks whether each package that is fetched has a digest; the lock as `npm` is given it: written anew, of what was looked at
/// and nothing else.
/// With it the places of the packages of these names, whose scripts run.
///
/// What is said to come in another package is not fetched. If that one turns out not to have it, `npm` would fetch it after
/// all, whatever it is: so it is given a digest that nothing has.
pub(super) fn checked(text: &[u8], named: &[String]) -> Result<(Vec<u8>, Vec<String>), RecipeError> {
    let mut lock = object(text)?;
    let version = lock.get("lockfileVersion").and_then(Value::as_u64);
    let packages = lock.remove("packages").and_then(Value::into_object);
    let mut packages = packages.ok_or_else(|| RecipeError::new("it has no `packages`", AGAIN))?;
    let Some(version @ (2 | 3)) = version else {
        return Err(RecipeError::new("its `lockfileVersion` is neither 2 nor 3", AGAIN));
    };
    leave_what_is_known(&mut packages)?;
    let bundled = bundled(&packages)?;
    let places = places_of(&packages, named)?;
    for (place, package) in packages.iter_mut() {
        let Some(package) = package.as_object_mut() else { continue };
        if bundled.contains(&place.to_string()) {
            package.insert("integrity", OF_NOTHING);
        }
        if places.iter().any(|named| named.as_str() == place.as_str()) {
            // Without this, `npm` does not look whether there is a script.
            package.insert("hasInstallScript", true);
        }
    }
    let lock =
        Object::new().with("lockfileVersion", version).with("requires", true).with("packages", packages);
    Ok((Value::Object(lock).to_bytes(), places))
}

/// Leaves of each package what is known of it.
fn leave_what_is_known(packages: &mut Object) -> Result<(), RecipeError> {
    for (place, package) in packages.iter_mut() {
        let Value::Object(all) = std::mem::replace(package, Value::Null) else {
            return Err(RecipeError::new(format!("`{}` is no object", shown(place)), AGAIN));
        };
        *package = Value::Object(known(place, all)?);
    }
    Ok(())
}

/// Where the packages of these names are: each of them is somewhere.
fn places_of(packages: &Object, names: &[String]) -> Result<Vec<String>, RecipeError> {
    let mut places = Vec::new();
    for name in names {
        let before = places.len();
        let found = installed(packages).filter(|(place, package)| name_of(place, package) == name);
        places.extend(found.map(|(place, _)| place.to_owned()));
        if places.len() == before {
            let scripts = installed(packages).filter(|(_, package)| is(package, "hasInstallScript"));
            let known = scripts.map(|(place, package)| name_of(place, package).to_owned()).collect();
            return Err(unknown(
                name,
                "package-lock.json, of those that are installed by themselves,",
                known,
            ));
        }
    }
    if places.len() > PLACES_MAX {
        let what = format!("what is named is installed {} times; at most {PLACES_MAX}", places.len());
        return Err(RecipeError::new(what, "`npm dedupe`, or name fewer packages"));
    }
    let is_odd = |place: &&String| !place.split('/').all(|part| is_plain(part.trim_start_matches('@')));
    match places.iter().find(is_odd) {
        Some(place) => {
            let what = format!("the scripts of `{}` cannot be run where it is", shown(place));
            Err(RecipeError::new(
                what,
                "give it a plain name in package.json: letters, digits, `-`, `_`, `.`",
            ))
        }
        None => Ok(places),
    }
}

/// Those that are fetched and installed: no development dependencies, and nothing that comes in another package, which `npm`
/// leaves to that one.
fn installed(packages: &Object) -> impl Iterator<Item = (&str, &Object)> {
    let all = packages.iter().filter_map(|(place, package)| Some((place.as_str(), package.as_object()?)));
    all.filter(|(place, package)| !place.is_empty() && !is(package, "dev") && !is(package, "inBundle"))
}

/// What a package is called, which may be installed under another name.
fn name_of<'l>(place: &'l str, package: &'l Object) -> &'l str {
    let folder = place.rsplit_once(FOLDER).map_or(place, |(_, name)| name);
    package.text("name").unwrap_or(folder)
}

/// Looks at `package.json`: it is the agent's alone.
pub(super) fn check_project(text: &[u8]) -> Result<(), RecipeError> {
    if object(text)?.contains("workspaces") {
        return Err(RecipeError::new(
            "its package.json has `workspaces`, which are not there in a build",
            OWN_LOCK,
        ));
    }
    Ok(())
}

fn object(text: &[u8]) -> Result<Object, RecipeError> {
    let bytes = usize::try_from(LOCK_BYTES_MAX).unwrap_or(usize::MAX);
    let limits = Limits { bytes, values: VALUES_MAX, ..Limits::default() };
    let value = parse(text, &limits).map_err(|error| RecipeError::new(error.to_string(), AGAIN))?;
    value.into_object().ok_or_else(|| RecipeError::new("it is no object", AGAIN))
}

/// The places of those that come in another package. All others have a digest, or this is an error.
fn bundled(packages: &Object) -> Result<HashSet<String>, RecipeError> {
    let mut bundled = HashSet::new();
    for (place, package) in packages.iter() {
        let Some(package) = package.as_object() else { continue };
        // The project itself, which is not installed, has the empty name.
        if place.is_empty() {
            continue;
        }
        let refused =
            |what: &str, way_out: &str| Err(RecipeError::new(format!("`{}` {what}", shown(place)), way_out));
        if !is_place(place) {
            return refused("is no package in `node_modules`", OWN_LOCK);
        }
        if is(package, "link") {
            return refused("is a link into the project, which is not there in a build", OWN_LOCK);
        }
        if !has_digest(package) {
            if !is_bundled(place, package, packages) {
                return refused("has no `integrity` by SHA-2", FROM_AN_INDEX);
            }
            bundled.insert(place.to_string());
        }
        if !is_from_an_index(package) {
            return refused("does not come from an index over http or https", FROM_AN_INDEX);
        }
        if is(package, "hasShrinkwrap") {
            let way_out = "pin a version of it without one: what it names would be fetched without being looked at here";
            return refused("comes with a lock of its own (`hasShrinkwrap`)", way_out);
        }
    }
    Ok(bundled)
}

fn is(package: &Object, name: &str) -> bool {
    package.get(name).and_then(Value::as_bool) == Some(true)
}

fn has_digest(package: &Object) -> bool {
    package.text("integrity").is_some_and(|digests| digests.split_ascii_whitespace().any(is_integrity))
}

/// Whether it comes in one that has a digest and says that it brings packages.
fn is_bundled(place: &str, package: &Object, packages: &Object) -> bool {
    let brings = |place: &str| {
        packages.get(place).and_then(Value::as_object).is_some_and(|package| {
            let list = package.get("bundleDependencies").and_then(Value::as_array);
            has_digest(package) && list.is_some_and(|list| !list.is_empty())
        })
    };
    let mut above = std::iter::successors(parent(place), |place| parent(place));
    is(package, "inBundle") && above.any(brings)
}

/// The place of the package that one is in.
fn parent(place: &str) -> Option<&str> {
    place.rsplit_once("/node_modules/").map(|(parent, _)| parent)
}

/// Whether a place is `node_modules/NAME`, as often as it may be: nothing that leads elsewhere.
fn is_place(place: &str) -> bool {
    let Some(rest) = place.strip_prefix(FOLDER) else { return false };
    rest.split("/node_modules/").all(|name| {
        let name = match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').filter(|(scope, _)| is_name(scope)).map(|(_, name)| name),
            None => Some(name),
        };
        name.is_some_and(is_name)
    })
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "node_modules") && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// Whether it is fetched as a file: by its address, or by its version from the index.
fn is_from_an_index(package: &Object) -> bool {
    let is_address = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let is_version = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_digit())
            && text.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'.' | b'-' | b'+'))
    };
    let fits = |name: &str, fits: &dyn Fn(&str) -> bool| {
        package.get(name).is_none_or(|value| value.as_str().is_some_and(fits))
    };
    fits("resolved", &is_address) && fits("version", &is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str =
        "sha512-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB==";

    fn lock(packages: &str) -> Result<String, RecipeError> {
        let packages = packages.replace("DIGEST", &format!(r#""integrity":"{DIGEST}""#));
        let text = format!(r#"{{"lockfileVersion":3,"packages":{{{packages}}},"dependencies":{{}}}}"#);
        checked(text.as_bytes(), &[]).map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    fn places(names: &[&str], packages: &str) -> Result<(Vec<String>, String), String> {
        let packages = packages.replace("DIGEST", &format!(r#""version":"1.0.0","integrity":"{DIGEST}""#));
        let text = format!(r#"{{"lockfileVersion":3,"packages":{{{packages}}}}}"#);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let found = checked(text.as_bytes(), &names).map_err(|error| error.to_string());
        found.map(|(bytes, places)| (places, String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn every_package_that_is_fetched_needs_a_digest() {
        let fine = r#""":{"name":"agent"},"node_modules/a":{"version":"1.0.0",DIGEST},
            "node_modules/@b/c/node_modules/d":{"version":"1.0.0-x+1","resolved":"https://x.example/d.tgz",DIGEST}"#;
        assert!(lock(fine).unwrap().contains(DIGEST));
        for (bad, said) in [
            (r#""node_modules/a":{"resolved":"git+ssh://git@example.com/a.git#1"}"#, "has no `integrity`"),
            (r#""node_modules/a":{"integrity":"sha1-x"}"#, "has no `integrity`"),
            (r#""node_modules/a":{"integrity":"sha512-"}"#, "has no `integrity`"),
            (r#""node_modules/a":{"integrity":"sha512-?x"}"#, "has no `integrity`"),
            (r#""node_modules/a":{"inBundle":true}"#, "has no `integrity`"),
            (r#""node_modules/a/node_modules/b":{"version":"1.0.0"}"#, "has no `integrity`"),
            (r#""node_modules/a":1"#, "is no object"),
            (r#""node_modules/a":{"resolved":"git+https://x.example/a.git",DIGEST}"#, "from an index"),
            (r#""node_modules/a":{"version":"git+https://x.example/a.git",DIGEST}"#, "from an index"),
            (r#""node_modules/a":{"resolved":"file:node_modules/a.tgz",DIGEST}"#, "from an index"),
            (r#""node_modules/a":{"link":true,"resolved":"a"}"#, "is a link"),
            (r#""node_modules/a":{"hasShrinkwrap":true,DIGEST}"#, "hasShrinkwrap"),
            (
                r#""node_modules/a":{"hasShrinkwrap":1,DIGEST}"#,
                "`hasShrinkwrap`, but not as `true` or `false`",
            ),
            (r#""node_modules/a":{"_hasShrinkwrap":true,DIGEST}"#, "`_hasShrinkwrap`, which is not written"),
            (r#""node_modules/a":{"_resolved":"git+https://x.example/a.git",DIGEST}"#, "`_resolved`"),
            (r#""node_modules/a":{"link":"a",DIGEST}"#, "`link`, but not as"),
            (r#""a":{"version":"1.0.0"}"#, "is no package in"),
            (r#""node_modules/a/../../../python":{DIGEST}"#, "is no package in"),
            (r#""node_modules/.bin":{DIGEST}"#, "is no package in"),
            (r#""node_modules/@a/node_modules/b":{DIGEST}"#, "is no package in"),
        ] {
            let told = lock(bad).unwrap_err().to_string();
            assert!(
                told.contains(said) && (told.contains("`node_modules/") || told.contains("`a`")),
                "{bad}: {told}"
            );
        }
        assert!(checked(br#"{"dependencies":{}}"#, &[]).unwrap_err().to_string().contains("no `packages`"));
        assert!(checked(br#"{"lockfileVersion":1,"packages":{}}"#, &[]).is_err());
        assert!(checked(b"{", &[]).is_err());
    }

    #[test]
    fn npm_is_given_what_was_read_and_nothing_else() {
        let fine = r#""":{"name":"agent","dependencies":{"a":"1"},"workspaces":["b"]},
            "node_modules/a":{"version":"1.0.0",DIGEST,"license":"MIT","other":{"deep":1},"bin":{"a":"a.js"}}"#;
        let read = r#""":{"name":"agent","dependencies":{"a":"1"}},"node_modules/a":{"version":"1.0.0",DIGEST,"bin":{"a":"a.js"}}"#;
        let read = read.replace("DIGEST", &format!(r#""integrity":"{DIGEST}""#));
        let given = format!(r#"{{"lockfileVersion":3,"requires":true,"packages":{{{read}}}}}"#);
        assert_eq!(lock(fine), Ok(given));
    }

    #[test]
    fn what_comes_in_another_package_is_never_fetched_instead() {
        let inside = r#""node_modules/a/node_modules/b":{"inBundle":true,"version":"1.0.0"},
            "node_modules/a/node_modules/b/node_modules/c":{"inBundle":true}"#;
        let given =
            lock(&format!(r#""node_modules/a":{{"bundleDependencies":["b"],DIGEST}},{inside}"#)).unwrap();
        assert_eq!((given.matches(DIGEST).count(), given.matches(OF_NOTHING).count()), (1, 2), "{given}");
        assert!(is_integrity(OF_NOTHING) && !given.contains("dependencies\":{}"));
        for alone in [r#""node_modules/a":{DIGEST}"#, r#""node_modules/a":{"bundleDependencies":[],DIGEST}"#]
        {
            let told = lock(&format!("{alone},{inside}")).unwrap_err().to_string();
            assert!(told.contains("`node_modules/a/node_modules/b` has no `integrity`"), "{told}");
        }
        assert!(
            lock(&format!(r#""node_modules/a":{{"inBundle":true,"bundleDependencies":["b"]}},{inside}"#))
                .is_err()
        );
    }

    #[test]
    fn scripts_run_wherever_a_package_of_that_name_is_and_nowhere_else() {
        let all = r#""":{"name":"b"},"node_modules/a":{DIGEST},"node_modules/b":{DIGEST,"hasInstallScript":true},
            "node_modules/a/node_modules/b":{DIGEST},"node_modules/other":{"name":"b",DIGEST},
            "node_modules/c/node_modules/b":{DIGEST,"dev":true},"node_modules/@s/b":{DIGEST},
            "node_modules/d":{"bundleDependencies":["b"],DIGEST},"node_modules/d/node_modules/b":{"inBundle":true},
            "node_modules/e":{"name":"f",DIGEST},"node_modules/x y":{"name":"g",DIGEST}"#;
        let (found, lock) = places(&["b"], all).unwrap();
        let of_b = ["node_modules/b", "node_modules/a/node_modules/b", "node_modules/other"];
        assert_eq!(found, of_b);
        assert_eq!(lock.matches("hasInstallScript").count(), 3, "{lock}");
        assert_eq!(places(&["@s/b", "f"], all).unwrap().0, ["node_modules/@s/b", "node_modules/e"]);
        assert_eq!(places(&[], all).unwrap().0, Vec::<String>::new());
        for absent in ["e", "other", "h"] {
            let told = places(&[absent], all).unwrap_err();
            assert!(told.contains(&format!("no package `{absent}`")) && told.contains("such as b"), "{told}");
        }
        assert!(places(&["g"], all).unwrap_err().contains("cannot be run where it is"));
        let many = (0..=PLACES_MAX).map(|at| format!(r#""node_modules/m{at}/node_modules/a":{{DIGEST}}"#));
        let told = places(&["a"], &many.collect::<Vec<_>>().join(",")).unwrap_err();
        assert!(told.contains("at most"), "{told}");
    }

    #[test]
    fn a_project_of_several_is_refused() {
        assert_eq!(check_project(br#"{"name":"agent","overrides":{}}"#), Ok(()));
        let told = check_project(br#"{"workspaces":["a"]}"#).unwrap_err().to_string();
        assert!(told.contains("`workspaces`") && told.contains("a lock of its own"), "{told}");
        assert!(check_project(b"[]").is_err());
    }
}
