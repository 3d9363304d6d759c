//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Runs of one workspace that wait for a place.
pub const QUEUE_MAX: usize = 256;

/// Runs at each depth that run at once beside those that the node is told to run.
pub(crate) const AT_ONCE_PER_DEPTH: usize = 8;

/// Bytes of one line of output; longer ones are cut into several.
pub const LINE_BYTES_MAX: usize = 16 * 1_024;

/// Between asking a program to end and ending it.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);

/// The same for one that is killed.
pub(crate) const KILL_GRACE: Duration = Duration::from_millis(100);

/// How long what a program wrote before it ended is still read.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// Bytes of a program's output that are taken at once.
pub(crate) const READ_BYTES: usize = 64 * 1_024;

/// How often it is looked whether a run idles, or may act again after a suspension.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// Bytes of one answer with output.
pub(crate) const READ_BYTES_MAX: u64 = 1 << 20;

/// Folders in folders that are walked into.
pub(crate) const DEPTH_MAX: usize = 64;

/// Bytes of a path of a folder that is walked into.
pub(crate) const PATH_BYTES_MAX: usize = 4_096;

/// Names that are looked at in one folder and all that is in it; a volume holds at most as many.
pub(crate) const NAMES_MAX: u64 = 70_000;

/// Bytes of a file that are read or written at once.
pub(crate) const COPY_BYTES: usize = 256 * 1_024;

/// Files that are kept of one run.
pub const ARTIFACTS_MAX: usize = 10_000;

/// Bytes of a disk that go together: what a file takes of it is a multiple of that.
pub(crate) const BLOCK_BYTES: u64 = 4_096;

/// Bytes that count for each file that is kept beside what it holds: its inode and its names.
pub(crate) const FILE_BYTES: u64 = 4_096;

/// Bytes of the names of these together.
pub(crate) const ARTIFACT_NAMES_BYTES_MAX: usize = 1 << 20;

/// Files that were left out and are named.
pub(crate) const LEFT_OUT_MAX: usize = 100;

/// Bytes that are shown of the name of one that was left out.
pub(crate) const LEFT_OUT_NAME_BYTES: usize = 512;

/// From so many files on, the whole disk is synced once instead of each file.
pub(crate) const SYNC_EACH_MAX: usize = 32;

/// Versions of what an agent keeps between runs; the oldest goes when there is one more.
pub const STATE_VERSIONS_MAX: usize = 8;

/// Bytes of paths that are remembered of files with several names.
pub(crate) const LINK_PATHS_BYTES_MAX: usize = 16 << 20;

/// Bytes of the disk that what runs leave and agents keep does not take.
pub(crate) const DISK_SPARED_BYTES: u64 = 16 << 20;

/// Files that there is still room for where what runs leave and agents keep is, if the disk says how many.
pub(crate) const DISK_SPARED_FILES: u64 = 1_024;

/// After so many bytes it is looked again how much room there is.
pub(crate) const LOOK_AT_DISK_BYTES: u64 = 1 << 20;

/// Bytes of holes that are written out when what an agent keeps is exported.
pub(crate) const HOLES_BYTES_MAX: u64 = 16 << 30;

/// Bytes of what runs wrote and left that are kept on a node; of the disk, at most [`RUNS_DISK_PERCENT`].
pub(crate) const RUNS_BYTES_MAX: u64 = 10 << 30;

/// See [`RUNS_BYTES_MAX`].
pub(crate) const RUNS_DISK_PERCENT: u64 = 10;

/// How much of that is left when room is made.
pub(crate) const RUNS_LEFT_PERCENT: u64 = 90;

/// Bytes of a file that an environment is made of.
pub(crate) const LOCK_BYTES_MAX: u64 = 32 << 20;

/// Packages of one environment whose code runs while it is built.
pub(crate) const NAMED_MAX: usize = 64;

/// Places where packages of these names are: words of a command.
pub(crate) const PLACES_MAX: usize = 256;

/// How long removing what a build left may take, before it is left to the next start.
pub(crate) const REMOVAL: Duration = Duration::from_mins(2);

/// Files, folders and links of one environment.
pub(crate) const ENVIRONMENT_FILES_MAX: u64 = 400_000;

/// Bytes of the paths of all of these together: those that are still to be looked at are held in memory.
pub(crate) const ENVIRONMENT_PATHS_BYTES_MAX: usize = 64 << 20;

/// Environments that are built at once.
pub(crate) const BUILDS_AT_ONCE: usize = 2;

/// Environments that are read at once, before their first use since the node began.
pub(crate) const READ_AT_ONCE: usize = 2;

/// Bytes of memory that building one may take.
pub(crate) const BUILD_MEMORY_BYTES: u64 = 2 << 30;

/// Hundredths of a processor that one may take where a bound on that is required.
pub(crate) const BUILD_CPU_PERCENT: u32 = 100;

/// Processes and threads of one build.
pub(crate) const BUILD_PROCESSES: u64 = 512;

/// How long it may take until nothing of a build that was ended is left.
pub(crate) const BUILD_GONE: Duration = Duration::from_secs(10);

/// How often it is looked how much of the disk a build takes.
pub(crate) const LOOK_AT_BUILD: Duration = Duration::from_secs(1);

/// How often it is looked whether a build fills the disk.
pub(crate) const GLANCE_AT_BUILD: Duration = Duration::from_millis(100);

/// Bytes of the disk that builds and images leave free.
pub(crate) const DISK_LEFT_BYTES: u64 = 512 << 20;

/// Files that there is still room for on such a disk, where it says how many: pulls do not take the last.
pub(crate) const DISK_LEFT_FILES: u64 = 16_384;

/// Bytes of an image, unpacked.
pub(crate) const IMAGE_BYTES_MAX: u64 = 16 << 30;

/// Bytes of an image's layers, as they are pulled.
pub(crate) const IMAGE_PULLED_BYTES_MAX: u64 = 8 << 30;

/// Files, folders and links in all layers of an image, and folders that are made for them.
pub(crate) const IMAGE_FILES_MAX: u64 = 1_000_000;

/// Layers of an image.
pub(crate) const IMAGE_LAYERS_MAX: usize = 256;

/// Bytes of a manifest or a configuration of an image.
pub(crate) const IMAGE_DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// Bytes of a path in an image.
pub(crate) const IMAGE_PATH_BYTES_MAX: usize = 4_096;

/// Folders inside one another in an image.
pub(crate) const IMAGE_DEPTH_MAX: usize = 128;

/// Bytes that are counted for each of these on the disk, and in an archive for its headers.
pub(crate) const IMAGE_ENTRY_BYTES: u64 = 4_096;

/// Bytes of the headers of one file in a layer: its names and its attributes, which are held in memory.
pub(crate) const IMAGE_HEADERS_BYTES_MAX: u64 = 1 << 20;

/// Bytes of what a registry gives to be let in with.
pub(crate) const IMAGE_TOKEN_BYTES_MAX: usize = 64 << 10;

/// Bytes of what a registry says of why it gives nothing.
pub(crate) const IMAGE_REFUSAL_BYTES_MAX: usize = 16 << 10;

/// Without a word for so long, a registry is given up.
pub(crate) const IMAGE_SILENCE: Duration = Duration::from_secs(30);

/// How long pulling an image may take, all in all.
pub(crate) const IMAGE_PULL_TIME_MAX: Duration = Duration::from_hours(1);

/// Images that are pulled at once; the others wait.
pub(crate) const IMAGE_PULLS_AT_ONCE: usize = 8;

/// How long one part of an answer of a registry may take.
pub(crate) const IMAGE_PULL_TIMEOUT: Duration = Duration::from_mins(2);
