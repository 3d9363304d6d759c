//! A hundred runs at once on a real node: what each weighs beside its program, and how soon one that is killed is gone.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::bench::Plan;
use crate::control::Operator;
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::{Times, ms};
use crate::machine::available_bytes;
use crate::node::Node;
use crate::process::{self, Process};
use crate::runs;
use crate::table::{Bound, Cell, Table};

/// One that ends when it is asked to, and one that has to be killed, with a child.
const AGENTS: [runs::Agent; 3] = [
    ("still", "[sleep, '1000000']"),
    ("stubborn", "[sh, -c, 'trap \"\" TERM; sleep 1000000 & while :; do sleep 1000; done']"),
    ("flood", "[yes, a line as programs write them when they tell what they do]"),
];

/// So many write without end, until they have written this; what a run may write is bounded.
const FLOODS: u32 = 16;

/// How long a killed run may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long everything may take to come to rest before it is weighed.
const REST: Duration = Duration::from_secs(2);

const SYNCS: u32 = 5;

/// Memory of everything that belongs to a node, in bytes.
#[derive(Clone, Copy, Default)]
struct Weight {
    /// What the machine has less for others.
    machine: u64,
    node: u64,
    spawner: u64,
    /// First processes of sandboxes.
    first: u64,
    programs: u64,
    /// What the cgroups of sandboxes are charged with: all inside, and what the kernel keeps for it.
    charged: u64,
}

pub async fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let folder = plan.fresh()?;
    runs::write(folder.path(), None, &AGENTS)?;
    let node = Node::start_again(folder.path()).await?;
    let mut operator = Operator::connect(&node.socket()).await?;
    let count = plan.choose(100, 20);
    // Whatever is made once, for the first of all, is there before.
    let first = begin(&mut operator, "still", 1).await?;
    end(&mut operator, first).await?;
    tokio::time::sleep(REST).await;
    let free = available_bytes();
    let before = Weight::of(&node, free)?;
    let mut all = begin(&mut operator, "still", count).await?;
    tokio::time::sleep(REST).await;
    let after = Weight::of(&node, free)?;
    let weights = weights(&before, &after, count);
    // So many are there all the time; half of them are of the other kind.
    let half = all.split_off(count as usize / 2);
    end(&mut operator, half).await?;
    all.extend(begin(&mut operator, "stubborn", count / 2).await?);
    let mut probe = Probe::new(folder.path())?;
    let kills = kills(&mut operator, &all, plan.choose(100, 10), &mut probe).await?;
    let others = operator.runs(|state| state != "ended").await?;
    end(&mut operator, others).await?;
    let floods = floods(&mut operator, plan.choose(60, 10), &mut probe).await?;
    node.stop()?;
    Ok(vec![weights, kills, floods])
}

/// Starts so many, and waits until their programs run.
async fn begin(operator: &mut Operator, agent: &str, count: u32) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(operator.start(agent).await?);
    }
    for run in &all {
        operator.until_begun(run).await?;
    }
    Ok(all)
}

async fn end(operator: &mut Operator, runs: Vec<String>) -> Result<(), Failure> {
    for run in &runs {
        operator.kill(run).await?;
    }
    for run in &runs {
        operator.until(run, "ended").await?;
    }
    Ok(())
}

/// Kills them one by one, and starts another in place of each.
async fn kills(
    operator: &mut Operator,
    all: &[String],
    count: usize,
    probe: &mut Probe,
) -> Result<Table, Failure> {
    let (mut asked, mut stubborn, mut every) = (Times::default(), Times::default(), Times::default());
    // Of both kinds in turns.
    let (first, second) = all.split_at(all.len() / 2);
    for run in first.iter().zip(second).flat_map(|(one, other)| [one, other]).take(count) {
        let of_one = processes_of(run)?;
        let is_stubborn = of_one.len() > 2;
        let begun = Instant::now();
        operator.kill(run).await?;
        let took = begun.elapsed().max(gone(&of_one, begun)?);
        every.record(took);
        if is_stubborn {
            stubborn.record(took);
        } else {
            asked.record(took);
        }
        probe.sample(SYNCS)?;
        let agent = if is_stubborn { "stubborn" } else { "still" };
        begin(operator, agent, 1).await?;
    }
    let title = format!("From `kill` sent to the last process gone, with {} runs there", all.len());
    let mut table = Table::new("crowd", title, &["programs that", "kills", "p50 ms", "p99 ms", "longest ms"]);
    let rows = [("end when they are asked", &asked), ("ignore SIGTERM and have a child", &stubborn)];
    for (what, times) in rows {
        table.row(row(what, times));
    }
    table.fsync(probe.syncs());
    table.note(
        "a program that is killed has a tenth of a second to end by itself, from when the order is durable",
    );
    table.goal("p99 of all", ms(every.p99()), Bound::Most(200.0), "ms");
    Ok(table)
}

/// How long it took, in a row.
fn row(what: &str, times: &Times) -> Vec<Cell> {
    vec![
        Cell::from_text(what),
        Cell::Count(times.count()),
        Cell::Figure(ms(times.p50()), 2),
        Cell::Figure(ms(times.p99()), 2),
        Cell::Figure(ms(times.longest()), 2),
    ]
}

/// Kills runs while others write as fast as they can: nobody's output holds up the people who end it.
async fn floods(operator: &mut Operator, count: u64, probe: &mut Probe) -> Result<Table, Failure> {
    let (mut answered, mut to_gone) = (Times::default(), Times::default());
    let mut flooding: Vec<String> = Vec::new();
    while answered.count() < count {
        // Those that have written all they may are replaced.
        for run in std::mem::take(&mut flooding) {
            if operator.state(&run).await? != "ended" {
                flooding.push(run);
            }
        }
        let missing = FLOODS - u32::try_from(flooding.len())?;
        flooding.extend(begin(operator, "flood", missing).await?);
        let run = begin(operator, "still", 1).await?.remove(0);
        let processes = processes_of(&run)?;
        let begun = Instant::now();
        operator.kill(&run).await?;
        answered.record(begun.elapsed());
        to_gone.record(begun.elapsed().max(gone(&processes, begun)?));
        probe.sample(SYNCS)?;
    }
    let title = format!("A kill, while {FLOODS} others write without end");
    let mut table =
        Table::new("crowd", title, &["from `kill` to", "kills", "p50 ms", "p99 ms", "longest ms"]);
    for (what, times) in [("its answer, durable", &answered), ("the last process gone", &to_gone)] {
        table.row(row(what, times));
    }
    table.fsync(probe.syncs());
    Ok(table)
}

/// All processes of a run's sandbox.
fn processes_of(run: &str) -> Result<Vec<OwnedFd>, Failure> {
    let wanted = format!("RINGFENCE_RUN={run}");
    let all = process::all();
    let is_of_run = |process: &&Process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let inside: Vec<&Process> = all.iter().filter(is_of_run).collect();
    let pids: Vec<u32> = inside.iter().map(|process| process.pid).collect();
    // The first process has the spawner's environment.
    let first = inside.iter().map(|process| process.parent).find(|parent| !pids.contains(parent));
    let first = first.ok_or_else(|| failure(format!("{run} has no processes, or they cannot be seen")))?;
    let pids = pids.into_iter().chain([first]).filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    Ok(pids.map(|pid| pidfd_open(pid, PidfdFlags::empty())).collect::<Result<_, _>>()?)
}

/// Waits until all of these have gone. Returns how long that took since `begun`.
fn gone(processes: &[OwnedFd], begun: Instant) -> Result<Duration, Failure> {
    for process in processes {
        let patience = Timespec { tv_sec: PATIENCE.as_secs().try_into()?, tv_nsec: 0 };
        if poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience))? == 0 {
            return Err(failure("a run was killed, and a process of it goes on"));
        }
    }
    Ok(begun.elapsed())
}

fn weights(before: &Weight, after: &Weight, count: u32) -> Table {
    let title = format!("What each of {count} idle runs takes of memory");
    let mut table = Table::new("crowd", title, &["part", "kB each"]);
    let each = |of: fn(&Weight) -> u64| of(after).saturating_sub(of(before)) / u64::from(count);
    let (machine, program) = (each(|weight| weight.machine), each(|weight| weight.programs));
    let known = [each(|weight| weight.node), each(|weight| weight.spawner), each(|weight| weight.first)];
    let rest = machine.saturating_sub(program + known.iter().sum::<u64>());
    for (part, bytes) in [
        ("the machine's memory, all in all", machine),
        ("charged to its cgroup", each(|weight| weight.charged)),
        ("its program, `sleep`", program),
        ("the node", known[0]),
        ("the spawner", known[1]),
        ("the first process of the sandbox", known[2]),
        ("the kernel: namespaces, cgroups, mounts, sockets, tables of pages", rest),
    ] {
        table.row(vec![Cell::from_text(part), Cell::Count(bytes / 1_024)]);
    }
    table.note("processes by their share of shared pages; the machine by what programs could still get");
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let beyond = machine.saturating_sub(program) as f64 / f64::from(1 << 20);
    table.goal("beyond the program's own", beyond, Bound::Most(2.0), "MB");
    table
}

// === impl Weight ===

impl Weight {
    /// What there is now, where `free` could be had by programs before.
    fn of(node: &Node, free: u64) -> Result<Self, Failure> {
        let all = process::all();
        let mut weight = Self { machine: free.saturating_sub(available_bytes()), ..Self::default() };
        weight.node = share(node.pid())?;
        let below = |parent: u32| all.iter().filter(move |process| process.parent == parent);
        for spawner in below(node.pid()) {
            weight.spawner += share(spawner.pid)?;
            for first in below(spawner.pid) {
                weight.first += share(first.pid)?;
                weight.charged += charged(first.pid).unwrap_or_default();
                weight.programs +=
                    below(first.pid).filter_map(|process| share(process.pid).ok()).sum::<u64>();
            }
        }
        Ok(weight)
    }
}

/// Bytes that the cgroup of a process is charged with, where the machine counts that.
fn charged(pid: u32) -> Option<u64> {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = |controller: &str| {
        let mut lines = cgroups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        lines.find(|(controllers, _)| controllers.split(',').any(|one| one == controller))
    };
    let old = path("memory").map(|(_, path)| format!("/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"));
    let new = path("").map(|(_, path)| format!("/sys/fs/cgroup{path}/memory.current"));
    [old, new].into_iter().flatten().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
}

/// Bytes of a process, with shared pages by their share where the machine tells.
fn share(pid: u32) -> Result<u64, Failure> {
    let memory = process::memory(pid)?;
    Ok(memory.proportional.unwrap_or(memory.resident))
}
