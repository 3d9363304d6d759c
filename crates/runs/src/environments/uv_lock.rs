//! `uv.lock`, as far as it is looked at before `uv` is given it: every package comes from an index and has digests, and none
//! is one that `uv` would build.

use toml::{Table, Value};

use super::digests::{FROM_AN_INDEX, is_hexadecimal, shown};
use super::named::{normal, unknown};
use super::recipe::RecipeError;

const AGAIN: &str = "write it anew with `uv lock`";

/// Looks whether each package has digests; `project` is the `pyproject.toml` beside the lock.
pub(super) fn check(lock: &[u8], project: &[u8]) -> Result<(), RecipeError> {
    let (lock, project) = (table(lock, "uv.lock")?, table(project, "pyproject.toml")?);
    // An older word for `package`, under which `uv` still takes them.
    if lock.contains_key("distribution") {
        return Err(RecipeError::new("uv.lock has `distribution`, which is of an old form", AGAIN));
    }
    if lock.get("version").and_then(Value::as_integer) != Some(1) {
        return Err(RecipeError::new("the `version` of uv.lock is not 1", AGAIN));
    }
    let own = project.get("project").and_then(|project| project.get("name")).and_then(Value::as_str);
    let own = own.map(normal);
    for package in packages(&lock)? {
        let name = package.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| RecipeError::new("a `package` of uv.lock has no `name`", AGAIN))?;
        if let Err((what, way_out)) =
            check_package(package, own.as_ref().is_some_and(|own| *own == normal(name)))
        {
            return Err(RecipeError::new(format!("`{}` of uv.lock {what}", shown(name)), way_out));
        }
    }
    Ok(())
}

/// Looks whether there is a source distribution with a digest of each of these, which are built.
pub(super) fn check_named(lock: &[u8], names: &[String]) -> Result<(), RecipeError> {
    let lock = table(lock, "uv.lock")?;
    let packages = packages(&lock)?;
    let name_of = |package: &Value| package.get("name").and_then(Value::as_str).map(normal);
    for name in names {
        let mut found = packages.iter().filter(|package| name_of(package).as_ref() == Some(name)).peekable();
        if found.peek().is_none() {
            let sources = packages.iter().filter(|package| package.get("sdist").is_some());
            return Err(unknown(name, "uv.lock", sources.filter_map(name_of).collect()));
        }
        if let Some((what, way_out)) = found.find_map(|package| check_source(package).err()) {
            return Err(RecipeError::new(format!("`{name}` of uv.lock {what}"), way_out));
        }
    }
    Ok(())
}

fn check_source(package: &Value) -> Result<(), Wrong> {
    if !matches!(origin(package), Some(Origin::File)) {
        return Err(("is the project itself, which is not installed", "leave its name out"));
    }
    let hash = package.get("sdist").and_then(|file| file.get("hash")).and_then(Value::as_str);
    if !hash.is_some_and(is_hexadecimal) {
        return Err((
            "has no source distribution with a `hash` by SHA-2",
            "leave its name out: only packages that are built from their source are named",
        ));
    }
    Ok(())
}

fn packages(lock: &Table) -> Result<&[Value], RecipeError> {
    let packages = lock.get("package").map_or(Some(&[][..]), |all| all.as_array().map(Vec::as_slice));
    packages.ok_or_else(|| RecipeError::new("`package` of uv.lock is no list", AGAIN))
}

fn table(text: &[u8], name: &str) -> Result<Table, RecipeError> {
    let text = std::str::from_utf8(text).ok();
    let table = text.and_then(|text| toml::from_str::<Table>(text).ok());
    table.ok_or_else(|| RecipeError::new(format!("{name} is no TOML"), AGAIN))
}

type Wrong = (&'static str, &'static str);

fn check_package(package: &Value, is_own: bool) -> Result<(), Wrong> {
    match origin(package) {
        Some(Origin::File) => check_files(package),
        // The project itself, which is not installed: under any other name it would be built.
        Some(Origin::Project) if is_own => Ok(()),
        Some(Origin::Project) | None => Err(("comes from neither an index nor an address", FROM_AN_INDEX)),
    }
}

enum Origin {
    /// From an index or an address.
    File,
    /// The folder that the lock is in.
    Project,
}

/// Where it comes from; `None` for whatever is neither.
fn origin(package: &Value) -> Option<Origin> {
    let source = package.get("source")?.as_table()?;
    let is_address = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let of = |name: &str| source.get(name).and_then(Value::as_str);
    let keys: Vec<&str> = source.keys().map(String::as_str).collect();
    match keys[..] {
        ["registry"] if of("registry").is_some_and(is_address) => Some(Origin::File),
        ["url"] if of("url").is_some_and(is_address) => Some(Origin::File),
        [kind @ ("virtual" | "editable" | "directory")] if of(kind) == Some(".") => Some(Origin::Project),
        _ => None,
    }
}

/// Any file of a package may be taken for any other whose digest stands there, so all of them count.
fn check_files(package: &Value) -> Result<(), Wrong> {
    let wheels = match package.get("wheels") {
        None => &[],
        Some(wheels) => {
            wheels.as_array().map(Vec::as_slice).ok_or(("has `wheels` that are no list", AGAIN))?
        }
    };
    let has_digest = |file: &Value| file.get("hash").and_then(Value::as_str).is_some_and(is_hexadecimal);
    if !wheels.iter().all(has_digest) {
        return Err((
            "has a wheel without a `hash` by SHA-2",
            "take it from an index that tells digests, and write the lock anew with `uv lock`",
        ));
    }
    let source = package.get("sdist");
    if source.is_some_and(|file| file.get("hash").is_some() && !has_digest(file)) {
        return Err(("has a source distribution with a `hash` that is not by SHA-2", AGAIN));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "[project]\nname = \"The.Agent\"\n";

    fn lock(package: &str) -> Result<(), RecipeError> {
        let digest = format!("sha256:{}", "0".repeat(64));
        let package = package.replace("DIGEST", &format!("hash = \"{digest}\""));
        check(format!("version = 1\n[[package]]\n{package}\n").as_bytes(), PROJECT.as_bytes())
    }

    #[test]
    fn every_wheel_needs_a_digest_and_every_package_an_index() {
        for fine in [
            "name = 'a'\nsource = { registry = 'https://x/simple' }\nwheels = [{ url = 'https://x/a.whl', DIGEST }]",
            "name = 'a'\nsource = { url = 'https://x/a.whl' }\nwheels = [{ url = 'https://x/a.whl', DIGEST }]",
            "name = 'a'\nsource = { registry = 'https://x/simple' }\nsdist = { url = 'https://x/a.tar.gz', DIGEST }",
            "name = 'the-agent'\nsource = { virtual = '.' }",
            "name = 'the_agent'\nsource = { editable = '.' }",
        ] {
            assert_eq!(lock(fine), Ok(()), "{fine}");
        }
        for (bad, said) in [
            (
                "source = { registry = 'https://x' }\nwheels = [{ url = 'https://x/a.whl' }]",
                "a wheel without",
            ),
            (
                "source = { registry = 'https://x' }\nwheels = [{ DIGEST }, { hash = 'md5:00' }]",
                "a wheel without",
            ),
            ("source = { registry = 'https://x' }\nwheels = [{ hash = 'sha256:00' }]", "a wheel without"),
            ("source = { registry = 'https://x' }\nwheels = { DIGEST }", "no list"),
            ("source = { registry = 'https://x' }\nsdist = { hash = 'md5:00' }", "not by SHA-2"),
            ("source = { registry = '../links' }\nwheels = [{ DIGEST }]", "neither an index"),
            ("source = { git = 'https://x/a?rev=1#1' }", "neither an index"),
            ("source = { registry = 'https://x', git = 'https://x/a' }", "neither an index"),
            ("source = { path = 'a.whl' }\nwheels = [{ DIGEST }]", "neither an index"),
            ("source = { editable = '.' }", "neither an index"),
            ("source = { directory = 'member' }", "neither an index"),
            ("", "neither an index"),
        ] {
            let told = lock(&format!("name = 'other'\n{bad}")).unwrap_err().to_string();
            assert!(told.contains(said) && told.contains("`other`"), "{bad}: {told}");
        }
    }

    #[test]
    fn what_is_no_lock_of_today_is_refused() {
        let check = |lock: &str| check(lock.as_bytes(), PROJECT.as_bytes());
        assert_eq!(check("version = 1\n"), Ok(()));
        for bad in [
            "",
            "version = 2\n",
            "version = 1\n[[distribution]]\nname = 'a'\n",
            "version = 1\npackage = 1\n",
            "version = 1\n[[package]]\nversion = '1'\n",
            "version = \n",
        ] {
            assert!(check(bad).unwrap_err().to_string().contains("`uv lock`"), "{bad}");
        }
        assert!(super::check(b"version = 1\n", b"=").is_err());
    }

    #[test]
    fn what_is_built_has_a_source_with_a_digest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let named = |name: &str, package: &str| {
            let package = package.replace("DIGEST", &format!("hash = \"{digest}\""));
            let lock = format!("version = 1\n[[package]]\nname = 'The.One'\n{package}\n");
            check_named(lock.as_bytes(), &[name.to_owned()]).map_err(|error| error.to_string())
        };
        let index = "source = { registry = 'https://x' }";
        assert_eq!(named("the-one", &format!("{index}\nsdist = {{ DIGEST }}")), Ok(()));
        let told = named("the", &format!("{index}\nsdist = {{ DIGEST }}")).unwrap_err();
        assert!(told.contains("no package `the`") && told.contains("such as the-one"), "{told}");
        for source in ["sdist = { url = 'x' }", "sdist = { hash = 'md5:00' }", "wheels = [{ DIGEST }]"] {
            let told = named("the-one", &format!("{index}\n{source}")).unwrap_err();
            assert!(told.contains("no source distribution with a `hash`"), "{source}: {told}");
        }
        let told = named("the-one", "source = { virtual = '.' }\nsdist = { DIGEST }").unwrap_err();
        assert!(told.contains("the project itself"), "{told}");
    }
}
