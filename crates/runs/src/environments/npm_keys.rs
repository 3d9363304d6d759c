//! What `npm` is told of a package: keys that are known, each with a value of its kind, and nothing else.
//!
//! `npm` takes every value for yes that JavaScript does, and looks under names that it never writes into a lock
//! (`_hasShrinkwrap`, `_resolved`, `_integrity`). So it is not given what somebody wrote, but what was read of it here.

use ringfence_json::{Object, Value};

use super::digests::shown;
use super::recipe::RecipeError;

/// What a value has to be.
#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Text,
    /// Words, or one.
    Words,
    /// Text by name.
    Texts,
    /// The same, or words, or one: as packages of long ago have it.
    TextsOrWords,
    /// By name, whether it is optional.
    Optional,
}

/// The keys that decide what is installed, where, and for which machine. What only tells of a package is left out.
const KNOWN: [(&str, Kind); 24] = [
    ("acceptDependencies", Kind::Texts),
    ("bin", Kind::TextsOrWords),
    ("bundleDependencies", Kind::Words),
    ("cpu", Kind::Words),
    ("dependencies", Kind::Texts),
    ("dev", Kind::Flag),
    ("devDependencies", Kind::Texts),
    ("devOptional", Kind::Flag),
    ("engines", Kind::TextsOrWords),
    ("hasInstallScript", Kind::Flag),
    ("hasShrinkwrap", Kind::Flag),
    ("inBundle", Kind::Flag),
    ("integrity", Kind::Text),
    ("libc", Kind::Words),
    ("link", Kind::Flag),
    ("name", Kind::Text),
    ("optional", Kind::Flag),
    ("optionalDependencies", Kind::Texts),
    ("os", Kind::Words),
    ("peer", Kind::Flag),
    ("peerDependencies", Kind::Texts),
    ("peerDependenciesMeta", Kind::Optional),
    ("resolved", Kind::Text),
    ("version", Kind::Text),
];

const AS_NPM: &str =
    "write package-lock.json anew with `npm install --package-lock-only`, and change nothing in it by hand";

/// What is known of the package at this place.
///
/// # Errors
/// When a known key has a value of another kind, or a key is one of those that `npm` reads and never writes.
pub(super) fn known(place: &str, package: Object) -> Result<Object, RecipeError> {
    let mut all = Object::new();
    for (key, value) in package {
        let refused = |what: String| Err(RecipeError::new(format!("`{}` has {what}", shown(place)), AS_NPM));
        if key.starts_with('_') {
            return refused(format!("`{}`, which is not written into a lock", shown(&key)));
        }
        let Some(kind) = kind_of(&key) else { continue };
        match kind.taken(value) {
            Some(value) => drop(all.insert(key, value)),
            None => return refused(format!("`{key}`, but not as {}", kind.in_words())),
        }
    }
    Ok(all)
}

fn kind_of(key: &str) -> Option<Kind> {
    KNOWN.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind)
}

// === impl Kind ===

impl Kind {
    /// A value as it is passed on, if it is of this kind.
    fn taken(self, value: Value) -> Option<Value> {
        let fits = match self {
            Self::Flag => value.as_bool().is_some(),
            Self::Text => value.as_str().is_some(),
            Self::Words => is_words(&value),
            Self::Texts => is_texts(&value),
            Self::TextsOrWords => is_texts(&value) || is_words(&value),
            Self::Optional => return optional(value),
        };
        fits.then_some(value)
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Flag => "`true` or `false`",
            Self::Text => "text",
            Self::Words => "a list of texts",
            Self::Texts => "an object of texts",
            Self::TextsOrWords => "an object or a list of texts",
            Self::Optional => "an object with `{ optional: true }` by name",
        }
    }
}

fn is_words(value: &Value) -> bool {
    value.as_str().is_some()
        || value.as_array().is_some_and(|words| words.iter().all(|word| word.as_str().is_some()))
}

fn is_texts(value: &Value) -> bool {
    value.as_object().is_some_and(|texts| texts.iter().all(|(_, text)| text.as_str().is_some()))
}

/// Whether each is optional, and nothing else of it.
fn optional(mut value: Value) -> Option<Value> {
    for (_, said) in value.as_object_mut()?.iter_mut() {
        let optional = match said.as_object_mut()?.remove("optional") {
            Some(optional) => Some(Kind::Flag.taken(optional)?),
            None => None,
        };
        *said = Value::Object(Object::new().with_some("optional", optional));
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use ringfence_json::{Limits, parse};

    use super::*;

    fn given(package: &str) -> Result<String, String> {
        let package = parse(package.as_bytes(), &Limits::default()).unwrap().into_object().unwrap();
        let known = known("node_modules/a", package).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(Value::Object(known).to_bytes()).unwrap())
    }

    #[test]
    fn what_npm_writes_is_passed_on_and_nothing_else() {
        for same in [
            r#"{"version":"1.0.0","resolved":"https://x.example/a.tgz","integrity":"sha512-x","dev":true,"optional":false}"#,
            r#"{"name":"b","bin":{"b":"cli.js"},"engines":{"node":">=4"},"os":["linux","!win32"],"cpu":["x64"],"libc":["glibc"]}"#,
            r#"{"engines":["node >=0.6.0"],"bin":"cli.js","bundleDependencies":["c"],"inBundle":true,"peer":true}"#,
            r#"{"dependencies":{"c":"^1"},"peerDependencies":{"d":"*"},"peerDependenciesMeta":{"d":{"optional":true},"e":{}}}"#,
        ] {
            assert_eq!(given(same).as_deref(), Ok(same));
        }
        let told = r#"{"license":{"type":1},"funding":{"url":"x"},"deprecated":"old","scripts":{"install":"x"},"version":"1.0.0"}"#;
        assert_eq!(given(told).as_deref(), Ok(r#"{"version":"1.0.0"}"#));
        let more = r#"{"peerDependenciesMeta":{"d":{"optional":true,"more":1}}}"#;
        assert_eq!(given(more).as_deref(), Ok(r#"{"peerDependenciesMeta":{"d":{"optional":true}}}"#));
    }

    #[test]
    fn what_has_another_kind_or_is_hidden_is_refused_with_its_key() {
        for (bad, said) in [
            (r#"{"hasShrinkwrap":1}"#, "`hasShrinkwrap`, but not as `true` or `false`"),
            (r#"{"hasShrinkwrap":"false"}"#, "`hasShrinkwrap`, but"),
            (r#"{"_hasShrinkwrap":true}"#, "`_hasShrinkwrap`, which is not written"),
            (r#"{"_resolved":"https://x.example/"}"#, "`_resolved`"),
            (r#"{"_integrity":""}"#, "`_integrity`"),
            (r#"{"__proto__":{"hasShrinkwrap":true}}"#, "`__proto__`"),
            (r#"{"link":{}}"#, "`link`, but"),
            (r#"{"inBundle":[]}"#, "`inBundle`, but"),
            (r#"{"dev":null}"#, "`dev`, but"),
            (r#"{"name":["a"]}"#, "`name`, but not as text"),
            (r#"{"dependencies":{"b":{"version":"1"}}}"#, "`dependencies`, but not as an object of texts"),
            (r#"{"bundleDependencies":true}"#, "`bundleDependencies`, but not as a list of texts"),
            (r#"{"peerDependenciesMeta":{"b":{"optional":1}}}"#, "`peerDependenciesMeta`, but"),
            (r#"{"peerDependenciesMeta":{"b":true}}"#, "`peerDependenciesMeta`, but"),
        ] {
            let told = given(bad).unwrap_err();
            assert!(told.contains(said) && told.contains("`node_modules/a`"), "{bad}: {told}");
        }
    }
}
