//! Which system calls make a new process, and so are asked about first.

use libc::c_long;
use seccompiler::BpfProgram;

use super::allowed::number;
use super::program::{
    ARCHITECTURE, ARGUMENTS, JUMP_ANY, JUMP_EQUAL, LOAD, NUMBER, OURS, RETURN, jump, statement,
};

/// Those that make nothing but processes, or do not say what.
const MAKING: &[c_long] = &[
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// The filter. All other calls, those of other interfaces among them, are for the filter beside it to judge, and what that
/// one refuses is refused and never asked about.
pub(super) fn program() -> Result<BpfProgram, String> {
    let ours = OURS.ok_or("no list of system calls for this architecture")?;
    let ask = || statement(RETURN, libc::SECCOMP_RET_USER_NOTIF);
    let allow = || statement(RETURN, libc::SECCOMP_RET_ALLOW);
    let mut program = vec![statement(LOAD, ARCHITECTURE), jump(JUMP_EQUAL, ours, 1, 0), allow()];
    program.push(statement(LOAD, NUMBER));
    for call in MAKING {
        program.extend([jump(JUMP_EQUAL, number(*call), 0, 1), ask()]);
    }
    let thread = libc::CLONE_THREAD.cast_unsigned();
    program.extend([
        jump(JUMP_EQUAL, number(libc::SYS_clone), 0, 3),
        statement(LOAD, ARGUMENTS),
        // A thread is no process.
        jump(JUMP_ANY, thread, 1, 0),
        ask(),
        allow(),
    ]);
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::super::program::tests::run;
    use super::*;

    #[test]
    fn who_makes_a_process_asks_and_nobody_else() {
        let program = program().unwrap();
        let asked = |architecture, call: c_long, flags| {
            run(&program, architecture, number(call), [flags, 0, 0, 0, 0, 0]) == libc::SECCOMP_RET_USER_NOTIF
        };
        let ours = OURS.unwrap();
        for call in MAKING {
            assert!(asked(ours, *call, 0), "{call}");
        }
        let [thread, memory] = [libc::CLONE_THREAD, libc::CLONE_VM].map(i32::cast_unsigned);
        assert!(asked(ours, libc::SYS_clone, 17) && asked(ours, libc::SYS_clone, memory));
        assert!(!asked(ours, libc::SYS_clone, thread | memory));
        for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_seccomp] {
            assert!(!asked(ours, call, 0), "{call}");
        }
        assert!(!asked(0x4000_0003, libc::SYS_clone, 17), "of another interface");
    }
}
