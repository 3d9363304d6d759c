//! The layers of a run's sandbox as people read them.

use ringfence_json::Object;

use crate::show::{add, field};

/// How a layer begins that is in force, and one that is not.
const IN_FORCE: &str = "in force";
const MISSING: &str = "missing";

/// What it ran in, the layers that are missing with the reason, and those in force: one a line.
pub(super) fn shown(layers: &Object) -> String {
    let all: Vec<(&str, String)> =
        layers.iter().map(|(name, _)| (name.as_ref(), field(layers, name))).collect();
    let that_are = |word: &str| all.iter().filter(move |(_, state)| is(state, word)).collect::<Vec<_>>();
    let (missing, in_force) = (that_are(MISSING), that_are(IN_FORCE));
    let place = all.iter().filter(|(_, state)| !is(state, MISSING) && !is(state, IN_FORCE));
    let mut text = String::new();
    for (name, what) in place {
        add(&mut text, format_args!("{:<14}{what}\n", crate::safe(name)));
    }
    add(&mut text, format_args!("{:<14}{} in force, {} missing\n", "layers", in_force.len(), missing.len()));
    for (name, state) in missing.into_iter().chain(in_force) {
        add(&mut text, format_args!("  {:<20}{state}\n", crate::safe(name)));
    }
    text
}

/// Whether a state is this word, or begins with it and says more.
fn is(state: &str, word: &str) -> bool {
    state.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_layers_stand_first_each_on_a_line_with_its_reason_and_the_driver_is_named() {
        let layers = Object::new()
            .with("driver", "runc 1.2.5")
            .with("seccomp", "in force: 40 system calls")
            .with("landlock", "missing: the kernel was built without it")
            .with("private-root", "in force")
            .with("memory-limit", "missing: no cgroup can be made\u{202e}\n");
        let lines: Vec<String> = shown(&layers).lines().map(ToOwned::to_owned).collect();
        assert_eq!(
            lines,
            [
                "driver        runc 1.2.5",
                "layers        2 in force, 2 missing",
                "  landlock            missing: the kernel was built without it",
                "  memory-limit        missing: no cgroup can be made\\u{202e}\\n",
                "  seccomp             in force: 40 system calls",
                "  private-root        in force",
            ]
        );
    }

    #[test]
    fn all_layers_are_shown_however_many_there_are() {
        let name = |number: usize| format!("layer-{number}");
        let layers = (0..60)
            .fold(Object::new(), |all, number| all.with(name(number), "in force: at length ".repeat(9)));
        let text = shown(&layers);
        assert!((0..60).all(|number| text.contains(&name(number))), "{text}");
    }
}
