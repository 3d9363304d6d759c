//! Closed loops: every client waits for its answer before its next call.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Ask, Client};
use super::ways::Way;
use crate::failure::Failure;
use crate::histogram::Times;
use crate::load::next_number;

/// The limit of every answer: the provider writes 20.
const MAX_TOKENS: u32 = 64;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Clients at once.
    pub clients: usize,
    /// Whether answers are streamed.
    pub stream: bool,
    /// What the provider is told.
    pub directives: &'static str,
}

/// What a load did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// From the start of each call to the first piece of text.
    pub first: Times,
    /// From the start of each call to the end of its answer.
    pub whole: Times,
    /// How long the load lasted.
    pub took: Duration,
}

/// Clients of one load, connected and warm. New ones for each: some gateways hang up on clients that are idle for seconds.
pub struct Clients(Vec<Client>);

// === impl Shape ===

impl Shape {
    /// What each call asks for.
    pub fn ask(&self) -> Ask<'static> {
        Ask { directives: self.directives, stream: self.stream, max_tokens: MAX_TOKENS }
    }
}

// === impl Done ===

impl Done {
    /// Counts another load of the same kind.
    pub fn add(&mut self, other: &Self) {
        self.first.add(&other.first);
        self.whole.add(&other.whole);
        self.took += other.took;
    }

    /// Calls.
    pub fn calls(&self) -> u64 {
        self.whole.count()
    }

    /// Calls a second.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn rate(&self) -> f64 {
        self.calls() as f64 / self.took.as_secs_f64()
    }
}

// === impl Clients ===

impl Clients {
    /// Connects so many as the load wants, and lets each make a call: the first finds nothing warm.
    pub async fn connect(way: &Way, shape: Shape) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        for _ in 0..shape.clients {
            let mut client = Client::open(way).await?;
            tasks.spawn(async move { client.call(next_number(), shape.ask()).await.map(|_| client) });
        }
        let mut clients = Vec::new();
        while let Some(client) = tasks.join_next().await {
            clients.push(client??);
        }
        Ok(Self(clients))
    }

    /// A closed loop for so long.
    pub async fn load(self, shape: Shape, long: Duration) -> Result<Done, Failure> {
        let started = Instant::now();
        let until = started + long;
        let mut tasks = JoinSet::new();
        for mut client in self.0 {
            tasks.spawn(async move {
                let mut done = Done::default();
                // At least one each: the slowest peers take longer than a short load.
                loop {
                    let (first, whole) = client.call(next_number(), shape.ask()).await?;
                    done.first.record(first);
                    done.whole.record(whole);
                    if Instant::now() >= until {
                        return Ok::<_, Failure>(done);
                    }
                }
            });
        }
        let mut all = Done::default();
        while let Some(one) = tasks.join_next().await {
            all.add(&one??);
        }
        all.took = started.elapsed();
        Ok(all)
    }
}
