//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Children one spawner keeps at a time.
pub const CHILDREN_MAX: usize = 1_280;

/// Arguments of one command, the program not counted.
pub const ARGUMENTS_MAX: usize = 1_024;

/// Environment variables of one command, the base included.
pub const VARIABLES_MAX: usize = 256;

/// Paths hidden from one child.
pub const HIDDEN_PATHS_MAX: usize = 64;

/// Entries of one root.
pub const ROOT_ENTRIES_MAX: usize = 64;

/// Bytes of one file that is given as content: all of an order must fit in one message.
pub const ROOT_FILE_BYTES_MAX: usize = 64 * 1_024;

/// Folders above a target in a root, itself included.
pub const TARGET_COMPONENTS_MAX: usize = 32;

/// Bytes of `/tmp` in a root, unless it is given as a scratch folder.
pub const TEMPORARY_BYTES_DEFAULT: u64 = 256 * 1_024 * 1_024;

/// Bytes of the root itself: folders to mount on, small files.
pub const ROOT_BYTES: u64 = 8 * 1_024 * 1_024;

/// Volumes of one child; each is a descriptor that the node holds.
pub const VOLUMES_MAX: usize = 8;

/// Files and folders of one volume: as many as it has pages, within these.
pub const VOLUME_FILES: std::ops::RangeInclusive<u64> = 1_024..=65_536;

/// Processes and threads of a child with a root of its own, unless ordered.
pub const PROCESSES_DEFAULT: u64 = 1_024;

/// Open files of a process of a child with a root of its own, unless ordered. It is also how many descriptors may be on
/// their way over sockets, which the kernel counts over all of the node's user: the spawner needs room beyond it.
pub const OPEN_FILES_DEFAULT: u64 = 4_096;

/// Inotify instances of all of a child with a root of its own. The machine gives a user 128 as a rule, and the boxes of a
/// node are one user's; a program uses one for each of its event loops that watch files.
pub const INOTIFY_INSTANCES: u32 = 8;

/// What those may watch.
pub const INOTIFY_WATCHES: u32 = 8_192;

/// Signals that wait to be taken, and timers, of all of a child with a root of its own; counted over a user as well.
pub const SIGNALS_PENDING: u64 = 1_024;

/// Bytes of the largest file that a child with a root of its own may write, unless ordered.
pub const FILE_BYTES_DEFAULT: u64 = 4 * 1_024 * 1_024 * 1_024;

/// Bytes that a process of a child with a root of its own may lock in memory.
pub const LOCKED_BYTES: u64 = 8 * 1_024 * 1_024;

/// TCP ports at which [`crate::Sockets`] listen: HTTP, HTTPS, DNS, and the explicit proxy.
pub const TCP_PORTS: [u16; 4] = [80, 443, 53, 3_128];

/// UDP ports at which [`crate::Sockets`] listen: DNS.
pub const UDP_PORTS: [u16; 1] = [53];

/// The port at which the socket listens that all other TCP is caught by: one that no program inside may take.
pub const CATCH_PORT: u16 = 1;

/// The kernel's log of packets that [`crate::Sockets::unseen`] hears, in each network of its own.
pub const UNSEEN_GROUP: u16 = 1;

/// Bytes of one such packet that are told: the heads, those of IPv6 that lie between included.
pub const UNSEEN_BYTES: u32 = 128;

/// Packets a second that are told, and at once; more are refused all the same.
pub const UNSEEN_PER_SECOND: u32 = 100;

/// Bytes of one message about them: a packet and what the kernel says of it.
pub const UNSEEN_MESSAGE_BYTES: u32 = 512;

/// Connections that wait to be accepted at one of [`crate::Sockets`].
pub const BACKLOG: i32 = 1_024;

/// Bytes of one message between node and spawner: a command with its arguments and environment must fit.
/// Below the kernel's default socket buffer (208 KiB), so that one message always does.
pub const MESSAGE_BYTES_MAX: usize = 160 * 1_024;

/// Bytes of one report from inside a sandbox to the spawner.
pub const REPORT_BYTES_MAX: usize = 32 * 1_024;

/// Bytes of one error or layer text that crosses a process border; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 512;

/// The last bytes of a child's standard error that are kept.
pub const STDERR_BYTES_MAX: usize = 64 * 1_024;

/// From asking for a child to its program running.
pub const SPAWN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a sandbox waits for [`crate::Created::exec`] before it ends by itself, at most.
pub const HOLD_TIMEOUT: Duration = Duration::from_mins(1);

/// From starting the spawner to its first answer.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two attempts to tell the other side something where the system is short of memory.
pub const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// What a spawner gets to end its children and itself before it is killed.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a child's private home, where it is a file system of its own.
pub const HOME_BYTES_DEFAULT: u64 = 256 * 1_024 * 1_024;

/// Bytes of a child's `/dev/shm`, where it is a file system of its own.
pub const SHARED_MEMORY_BYTES: u64 = 64 * 1_024 * 1_024;

/// Terminals that are open at a time in a child's `/dev/pts`.
pub const TERMINALS: u32 = 64;

/// Bytes of a core file, soft and hard. Not 0: where the machine hands cores to a program (`core_pattern` begins with `|`, as
/// systemd-coredump and apport have it), the kernel heeds no limit but 1, which has it hand over none. In files, less than
/// a page is none as well.
pub const CORE_BYTES: u64 = 1;

/// Links that are followed to the authorities of a root.
pub const TRUST_LINKS_MAX: usize = 16;

/// Landlock rules for one child: entries beside the hidden paths, where they cannot be hidden by a mount.
pub const LANDLOCK_RULES_MAX: usize = 4_096;

/// How long the descendants of a child are looked up and killed, where it has no process namespace.
pub const KILL_MOST: Duration = Duration::from_secs(5);

/// Between two looks for them.
pub const KILL_PAUSE: Duration = Duration::from_millis(1);

/// How long the spawner, which others wait for, ends what a first process that was killed has left.
pub const REST_MOST: Duration = Duration::from_secs(1);

/// Signals that stop or let go on and wait until that is over.
pub const SIGNALS_DEFERRED: usize = 16;

/// Rounds in which everything below a first process is stopped, until nobody is new.
pub const STILL_ROUNDS: usize = 16;

/// How long that waits for those who are in the middle of something.
pub const STILL_MOST: Duration = Duration::from_millis(200);

/// Entries of a folder that is shown as a root, and of its `/etc`.
pub const FOLDER_ENTRIES_MAX: usize = 1_024;

/// Bytes of one small file of `/etc` that is copied into a root.
pub const COPIED_BYTES_MAX: u64 = 128 * 1_024;

/// How long after its start a container's program is looked at, until it runs behind what the runtime was ordered.
pub const MEASURE_PATIENCE: Duration = Duration::from_secs(5);

/// The last bytes of what an OCI runtime says that are read when it refuses.
pub const RUNTIME_LOG_BYTES_MAX: usize = 4_096;

/// Bytes of what an OCI runtime keeps of its container, in memory.
pub const RUNTIME_STATE_BYTES: u64 = 32 * 1_024 * 1_024;

/// How often a home is looked at that is a folder on the disk.
pub const HOME_LOOK: Duration = Duration::from_secs(1);

/// How often the free room of that disk is looked at, which takes no time.
pub const HOME_GLANCE: Duration = Duration::from_millis(100);

/// Bytes of that disk that no home takes: below, its program ends, whoever took the others.
pub const HOME_LEFT_BYTES: u64 = 64 * 1_024 * 1_024;

/// How long the spawner, which others wait for, removes one home.
pub const HOME_REMOVAL: Duration = Duration::from_secs(1);

/// How long the first process of a program does that, which nobody else waits for.
pub const HOME_OWN_REMOVAL: Duration = Duration::from_mins(10);

/// Folders in folders of such a home.
pub const HOME_FOLDERS_DEEP: usize = 128;

/// Descriptors of all threads below a home's program that are looked at; more are as good as hidden.
pub const HOME_DESCRIPTORS_MAX: usize = 200_000;

/// Threads of one process that are about to end when they are looked at, where none of it lives.
pub const HOME_ENDING_MAX: usize = 64;

/// Bytes of what the kernel says of those processes that are read in one look: a million mappings.
pub const HOME_TEXT_MAX: u64 = 128 * 1_024 * 1_024;

/// Processes that are looked at.
pub const HOME_PROCESSES_MAX: usize = (MESSAGE_BYTES_MAX - 1) / 4;

/// Glances in which a look is to be over, else it has not seen all: 10 seconds.
pub const HOME_LOOK_GLANCES: u32 = 100;

/// Of the time a program stands still, to be looked at, it runs this many times as much.
pub const HOME_LOOK_SHARE: u32 = 8;

/// Looks in a row after which what processes hold unseen ends them.
pub const HOME_UNSEEN: u32 = 3;

/// Files and folders in such a home.
pub const HOME_FILES_MAX: u64 = 100_000;

/// Rounds in which everything in a sandbox is told to stop, where it has no freezer.
pub const SIGNAL_ROUNDS: usize = 3;
