//! Our own list of system calls as a profile of the runtime specification.

use ringfence_json::{Object, Value};

use super::cubes::{Conjunction, allowed};
use crate::inside::{Rule, Told, told};

/// The profile, written once for all containers of a spawner.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) value: Value,
    /// How many calls are allowed.
    pub(crate) calls: usize,
}

/// What is not named is unknown, as in our own filter: libraries fall back then, and say nothing of rights.
pub(crate) fn profile() -> Profile {
    let calls = told();
    let count = calls.iter().filter(|call| !matches!(call.rule, Rule::Refuse(_))).count();
    let plain: Vec<&str> =
        calls.iter().filter(|call| call.rule == Rule::Allow).map(|call| call.name).collect();
    let mut syscalls: Vec<Value> =
        vec![Object::new().with("names", plain).with("action", "SCMP_ACT_ALLOW").into()];
    for Told { name, rule, .. } in &calls {
        match rule {
            Rule::Allow => {}
            Rule::Refuse(error) => syscalls.push(refuse(name, *error)),
            Rule::Ask(steps) => {
                syscalls.extend(allowed(steps).iter().map(|arguments| allow(name, arguments)));
            }
        }
    }
    let profile = Object::new()
        .with("defaultAction", "SCMP_ACT_ERRNO")
        .with("defaultErrnoRet", number(libc::ENOSYS))
        .with("architectures", vec![architecture()])
        .with("syscalls", syscalls);
    Profile { value: profile.into(), calls: count }
}

fn refuse(name: &str, error: i32) -> Value {
    Object::new()
        .with("names", vec![name])
        .with("action", "SCMP_ACT_ERRNO")
        .with("errnoRet", number(error))
        .into()
}

fn allow(name: &str, arguments: &Conjunction) -> Value {
    let compared = arguments.iter().map(|(argument, cube)| {
        Object::new()
            .with("index", *argument)
            .with("value", cube.mask)
            .with("valueTwo", cube.value)
            .with("op", "SCMP_CMP_MASKED_EQ")
    });
    let compared: Vec<Object> = compared.collect();
    Object::new().with("names", vec![name]).with("action", "SCMP_ACT_ALLOW").with("args", compared).into()
}

fn number(error: i32) -> u32 {
    error.unsigned_abs()
}

const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "SCMP_ARCH_AARCH64" } else { "SCMP_ARCH_X86_64" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::ask_filter;

    /// Values in which the rules of the list are interested, and others beside them.
    fn numbers() -> impl Iterator<Item = u32> {
        let bits = (0..32).map(|bit| 1_u32 << bit);
        let named = [0, 1, 2, 3, 6, 10, 16, 17, 0x5412, 0x5413, 0x541c, 0x5423, 0o104_755, 0o6000, 0o644];
        let more = [0x0002_0000, 0x0004_0000, 0xffff_ffff, 0o60_644, 0o20_644, 0o100_644, 0x7fff_ffff];
        bits.chain(named).chain(more)
    }

    fn says(rules: &[Conjunction], arguments: [u32; 6]) -> bool {
        rules.iter().any(|rule| {
            rule.iter().all(|(argument, cube)| arguments[*argument as usize] & cube.mask == cube.value)
        })
    }

    #[test]
    fn a_profile_allows_what_our_own_filter_allows_and_nothing_else() {
        let mut asked = 0;
        for Told { name, number, rule } in told() {
            let Rule::Ask(steps) = rule else { continue };
            let rules = allowed(&steps);
            for first in numbers() {
                for second in numbers() {
                    for third in [0, 1, 6, 17, 0o644, 0o4755, 0o60_644, 58] {
                        let arguments = [first, second, third, second ^ third, 0, 0];
                        let ours = ask_filter(number, arguments);
                        assert_eq!(says(&rules, arguments), ours, "{name} {arguments:?}");
                        asked += usize::from(ours);
                    }
                }
            }
        }
        assert!(asked > 1_000, "the rules let nothing through");
    }

    #[test]
    fn the_profile_is_small_enough_to_be_read_at_every_start() {
        let shown = profile().value.to_bytes();
        assert!(shown.len() < 256 * 1_024, "{} bytes", shown.len());
    }
}
