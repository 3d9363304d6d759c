//! From a table of system calls to a filter: a tree of comparisons, so that a call costs a handful of them and the
//! kernel, which looks at every call once when a filter is installed, has little to do.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, sock_filter};

/// What a filter says of each system call, by number; what is not named is unknown (ENOSYS).
pub(super) type Table = BTreeMap<u32, Rule>;

/// What a filter says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Allow,
    /// Fails with this error.
    Refuse(i32),
    /// It depends on the arguments: the steps are taken in order, and the last one is an end.
    Ask(Vec<Step>),
}

/// A step of a rule that looks at arguments. Only the lower half of each is seen, and the calls that are asked about
/// use no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Looks at this argument, from 0.
    Look(u32),
    /// Of what is looked at, only these bits.
    Only(u32),
    /// If it is this, take these steps instead of the following.
    Is(u32, Vec<Step>),
    /// If it has any of these bits.
    HasAny(u32, Vec<Step>),
    Allow,
    Refuse(i32),
}

pub(super) const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
const JUMP_FROM: u16 = 0x35;
pub(super) const JUMP_ANY: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06;

const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERROR: u32 = 0x0005_0000;
const RETURN_KILL: u32 = 0x8000_0000;

/// Where the kernel puts the number, the architecture and the arguments: struct seccomp_data.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;
pub(super) const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
pub(super) const OURS: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
pub(super) const OURS: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const OURS: Option<u32> = None;

/// The filter of a table. Calls of another architecture (32 bits on a machine of 64) end the process; those of the
/// x32 interface have numbers that no table names.
pub(super) fn compile(table: &Table) -> Result<BpfProgram, String> {
    let ours = OURS.ok_or("no list of system calls for this architecture")?;
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        jump(JUMP_EQUAL, ours, 1, 0),
        statement(RETURN, RETURN_KILL),
        statement(LOAD, NUMBER),
    ];
    let mut leaves = Vec::new();
    for (first, rule) in ranges(table) {
        leaves.push((first, leaf(&rule)?));
    }
    program.extend(tree(&leaves)?);
    // BPF_MAXINSNS
    if program.len() > 4_096 { Err("the filter is too long".to_owned()) } else { Ok(program) }
}

/// The first number of each run of calls with the same rule, from 0 on.
fn ranges(table: &Table) -> Vec<(u32, Rule)> {
    let unknown = Rule::Refuse(libc::ENOSYS);
    let mut ranges = vec![(0, unknown.clone())];
    let mut next = 0;
    for (number, rule) in table {
        if *number > next {
            ranges.push((next, unknown.clone()));
        }
        ranges.push((*number, rule.clone()));
        next = number + 1;
    }
    ranges.push((next, unknown));
    // Of two with the same first number the later counts; of neighbours with the same rule, the earlier.
    let mut runs: Vec<(u32, Rule)> = Vec::new();
    for (first, rule) in ranges {
        if runs.last().is_some_and(|(start, _)| *start == first) {
            runs.pop();
        }
        if runs.last().is_none_or(|(_, before)| *before != rule) {
            runs.push((first, rule));
        }
    }
    runs
}

fn tree(leaves: &[(u32, BpfProgram)]) -> Result<BpfProgram, String> {
    match leaves {
        [] => Err("a filter of nothing".to_owned()),
        [(_, leaf)] => Ok(leaf.clone()),
        _ => {
            let (low, high) = leaves.split_at(leaves.len() / 2);
            let (low, middle) = (tree(low)?, high.first().map_or(0, |(first, _)| *first));
            let over = u32::try_from(low.len()).map_err(|_| "the filter is too long")?;
            let mut program = vec![jump(JUMP_FROM, middle, 0, 1), statement(JUMP, over)];
            program.extend(low);
            program.extend(tree(high)?);
            Ok(program)
        }
    }
}

fn leaf(rule: &Rule) -> Result<BpfProgram, String> {
    match rule {
        Rule::Allow => Ok(vec![statement(RETURN, RETURN_ALLOW)]),
        Rule::Refuse(error) => Ok(vec![refuse(*error)]),
        Rule::Ask(steps) => steps_of(steps),
    }
}

fn steps_of(steps: &[Step]) -> Result<BpfProgram, String> {
    let mut program = Vec::new();
    for step in steps {
        match step {
            Step::Look(argument) => program.push(statement(LOAD, ARGUMENTS + argument * 8)),
            Step::Only(bits) => program.push(statement(AND, *bits)),
            Step::Is(value, inner) => branch(&mut program, JUMP_EQUAL, *value, inner)?,
            Step::HasAny(bits, inner) => branch(&mut program, JUMP_ANY, *bits, inner)?,
            Step::Allow => program.push(statement(RETURN, RETURN_ALLOW)),
            Step::Refuse(error) => program.push(refuse(*error)),
        }
    }
    match program.last() {
        Some(last) if last.code == RETURN => Ok(program),
        _ => Err("a rule without an end".to_owned()),
    }
}

fn branch(program: &mut BpfProgram, code: u16, value: u32, inner: &[Step]) -> Result<(), String> {
    let inner = steps_of(inner)?;
    let over = u8::try_from(inner.len()).map_err(|_| "a rule that is too long")?;
    program.push(jump(code, value, 0, over));
    program.extend(inner);
    Ok(())
}

fn refuse(error: i32) -> sock_filter {
    statement(RETURN, RETURN_ERROR | (error.unsigned_abs() & 0xffff))
}

pub(super) const fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

pub(super) const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the kernel does with a filter, for one call.
    pub(crate) fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut accumulator) = (0_usize, 0_u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                LOAD if k == NUMBER => accumulator = number,
                LOAD if k == ARCHITECTURE => accumulator = architecture,
                LOAD => accumulator = arguments[((k - ARGUMENTS) / 8) as usize],
                AND => accumulator &= k,
                JUMP => at += k as usize,
                JUMP_EQUAL => at += usize::from(if accumulator == k { jt } else { jf }),
                JUMP_FROM => at += usize::from(if accumulator >= k { jt } else { jf }),
                JUMP_ANY => at += usize::from(if accumulator & k != 0 { jt } else { jf }),
                RETURN => return k,
                other => panic!("an instruction that is never written: {other:#x}"),
            }
        }
    }

    const NOWHERE: u32 = RETURN_ERROR | libc::ENOSYS.unsigned_abs();

    #[test]
    fn every_number_gets_its_own_rule() {
        let numbers = [0_u32, 1, 2, 5, 9, 10, 11, 12, 90, 400, 401, 0x3fff_ffff];
        let table: Table = numbers
            .into_iter()
            .map(|number| (number, if number % 5 == 0 { Rule::Refuse(libc::EPERM) } else { Rule::Allow }))
            .collect();
        let program = compile(&table).unwrap();
        for number in (0..500).chain([0x3fff_fffe, 0x3fff_ffff, 0x4000_0000, 0x4000_0001, u32::MAX]) {
            let expected = match table.get(&number) {
                None => NOWHERE,
                Some(Rule::Allow) => RETURN_ALLOW,
                Some(_) => RETURN_ERROR | libc::EPERM.unsigned_abs(),
            };
            assert_eq!(run(&program, OURS.unwrap(), number, [0; 6]), expected, "{number}");
        }
        // i386: int 0x80.
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]), RETURN_KILL);
    }

    #[test]
    fn arguments_are_asked_in_order() {
        let steps = vec![
            Step::Look(1),
            Step::Only(0xf),
            Step::Is(3, vec![Step::Refuse(1)]),
            Step::HasAny(4, vec![Step::Look(2), Step::Is(7, vec![Step::Allow]), Step::Refuse(2)]),
            Step::Allow,
        ];
        let program = compile(&Table::from([(41, Rule::Ask(steps))])).unwrap();
        let asked = |one, two| run(&program, OURS.unwrap(), 41, [0, one, two, 0, 0, 0]);
        assert_eq!(asked(0xf3, 0), RETURN_ERROR | 1);
        assert_eq!(asked(0x14, 7), RETURN_ALLOW);
        assert_eq!(asked(0x14, 8), RETURN_ERROR | 2);
        assert_eq!(asked(0x10, 8), RETURN_ALLOW);
    }

    #[test]
    fn a_rule_without_an_end_is_refused() {
        assert!(compile(&Table::from([(1, Rule::Ask(vec![Step::Look(0)]))])).is_err());
        let nested = vec![Step::Look(0), Step::Is(1, vec![Step::Look(1)]), Step::Allow];
        assert!(compile(&Table::from([(1, Rule::Ask(nested))])).is_err());
    }
}
