//! What is left of a child whose first process has gone, where no namespace ends it: the spawner ends that, before it says
//! that the child has ended.
//!
//! The first process ends what is below it by itself. When it was killed, by hand or for want of memory, its descendants come
//! to the spawner, and their cgroup knows them as well. None of them makes a new process: the gate went with the first one.

use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use crate::cgroup::Cgroup;
use crate::inside::strays;
use crate::limits::{KILL_PAUSE, REST_MOST};

/// Ends all below this process that is not below one of these, and all in a cgroup; how many are left after a while.
pub(super) fn end(known: &[Pid], cgroup: &Cgroup) -> usize {
    let until = Instant::now() + REST_MOST;
    loop {
        let below = strays(getpid(), known);
        let strays = below.found;
        for stray in &strays {
            let _ = kill_process(stray.pid, Signal::KILL);
        }
        let left = cgroup.kill().max(strays.len()).max(usize::from(!below.whole));
        for stray in &strays {
            // An error says that it is below another one still.
            let _ = waitpid(Some(stray.pid), WaitOptions::NOHANG);
        }
        if left == 0 || Instant::now() > until {
            return left;
        }
        std::thread::sleep(KILL_PAUSE);
    }
}
