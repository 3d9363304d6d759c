//! The load: closed loops, in which every client waits for its answer, and open ones, in which calls come when they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::histogram::Times;
use crate::wire::Target;

/// The number of the next call of this process: no two calls are the same.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a load did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// From the start of each call to the end of its answer; in open loops from its intended start.
    pub times: Times,
    /// How long the load lasted.
    pub took: Duration,
}

/// Clients that stay connected.
pub struct Fleet {
    target: Target,
    // INVARIANT: between loads all of them are here.
    connections: Vec<Connection>,
}

/// A number for a call that no other call has.
pub fn next_number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

// === impl Done ===

impl Done {
    /// Counts another load of the same kind.
    pub fn add(&mut self, other: &Self) {
        self.times.add(&other.times);
        self.took += other.took;
    }

    /// Calls.
    pub fn calls(&self) -> u64 {
        self.times.count()
    }

    /// Calls a second.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn rate(&self) -> f64 {
        self.calls() as f64 / self.took.as_secs_f64()
    }
}

// === impl Fleet ===

impl Fleet {
    /// Clients of a target, not yet connected.
    pub fn new(target: Target) -> Self {
        Self { target, connections: Vec::new() }
    }

    /// A closed loop of so many clients, until `enough` says so; it is asked with the number of calls done.
    pub async fn closed(
        &mut self,
        clients: usize,
        enough: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> Result<Done, Failure> {
        self.connect(clients).await?;
        let (enough, done) = (Arc::new(enough), Arc::new(AtomicU64::new(0)));
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for mut connection in self.connections.drain(..clients) {
            let (enough, done) = (Arc::clone(&enough), Arc::clone(&done));
            tasks.spawn(async move {
                let mut times = Times::default();
                while !enough(done.fetch_add(1, Ordering::Relaxed)) {
                    times.record(connection.call(next_number()).await?);
                }
                Ok((connection, times))
            });
        }
        let times = self.come_home(tasks).await?;
        Ok(Done { times, took: started.elapsed() })
    }

    /// A closed loop for so long.
    pub async fn closed_for(&mut self, clients: usize, long: Duration) -> Result<Done, Failure> {
        let until = Instant::now() + long;
        self.closed(clients, move |_| Instant::now() >= until).await
    }

    /// An open loop: a call every so often, for so long, on as many connections as it takes up to `clients`.
    pub async fn open(&mut self, clients: usize, per_second: u32, long: Duration) -> Result<Done, Failure> {
        self.connect(clients).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let started = Instant::now();
        let pacemaker = std::thread::spawn(move || pace(&sender, started, per_second, long));
        let mut tasks = JoinSet::new();
        for mut connection in self.connections.drain(..clients) {
            let receiver = Arc::clone(&receiver);
            tasks.spawn(async move {
                let mut times = Times::default();
                loop {
                    let intended: Option<Instant> = receiver.lock().await.recv().await;
                    let Some(intended) = intended else { return Ok((connection, times)) };
                    connection.call(next_number()).await?;
                    times.record(intended.elapsed());
                }
            });
        }
        let times = self.come_home(tasks).await?;
        let _ = pacemaker.join();
        Ok(Done { times, took: started.elapsed() })
    }

    async fn connect(&mut self, clients: usize) -> Result<(), Failure> {
        while self.connections.len() < clients {
            let mut connection = Connection::open(&self.target).await?;
            // The first call finds nothing warm.
            connection.call(next_number()).await?;
            self.connections.push(connection);
        }
        Ok(())
    }

    async fn come_home(
        &mut self,
        mut tasks: JoinSet<Result<(Connection, Times), Failure>>,
    ) -> Result<Times, Failure> {
        let mut all = Times::default();
        while let Some(done) = tasks.join_next().await {
            let (connection, times) = done??;
            self.connections.push(connection);
            all.add(&times);
        }
        Ok(all)
    }
}

/// Says when calls are to start. A thread of its own: timers of the runtime are no finer than a millisecond.
fn pace(sender: &mpsc::UnboundedSender<Instant>, started: Instant, per_second: u32, long: Duration) {
    let every = Duration::from_secs(1) / per_second;
    let mut intended = started;
    while intended - started < long {
        std::thread::sleep(intended.saturating_duration_since(Instant::now()));
        if sender.send(intended).is_err() {
            return;
        }
        intended += every;
    }
}
