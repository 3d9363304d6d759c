//! Every bound of what leaves a sandbox, with its unit.

use std::time::Duration;

/// What a run's way out holds to. [`EgressLimits::default`] is what a node runs with; tests make them small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressLimits {
    /// Names that one run may look up.
    pub names_per_run: usize,
    /// Bytes of one label of a name that is looked up and not granted letter by letter: longer ones carry something.
    pub label_bytes: usize,
    /// Names that one run may look up in a second, over time; and at once.
    pub queries_per_second: u32,
    /// See there.
    pub queries_burst: u32,

    /// Connections of one run open at once.
    pub connections_per_run: usize,
    /// Connections of all runs open at once.
    pub connections: usize,
    /// Bytes that a connection may send before it is known what it wants.
    pub first_bytes: usize,
    /// How long it may take for them.
    pub first_time: Duration,
    /// How long a client is waited for, on ports other than those of the web, before it is taken for one that listens first.
    pub silence: Duration,
    /// How long TLS may take to agree, on either side.
    pub handshake_time: Duration,

    /// Names of one run that are resolved outside at once.
    pub lookups_per_run: usize,
    /// Names of all runs that are resolved outside at once.
    pub lookups: usize,
    /// How long that may take.
    pub lookup_time: Duration,
    /// For how long a name keeps the addresses that were found.
    pub pin_time: Duration,
    /// Names that keep them; more push out the oldest.
    pub pins: usize,
    /// How long a connection to a host may take, over all its addresses.
    pub connect_time: Duration,
    /// How long one address is waited for before the next is tried beside it.
    pub next_address: Duration,

    /// Bytes passed on at once in each direction of a connection that is passed through; kept only while the other side
    /// does not take them.
    pub buffer_bytes: usize,
    /// For how long nothing may go either way.
    pub idle: Duration,
    /// Bytes of the head of one request, and of its answer.
    pub head_bytes: usize,
    /// From the end of the answer before to the end of the next head.
    pub head_time: Duration,
    /// From the end of a request to the head of its answer.
    pub answer_time: Duration,
    /// Requests under way at once on one connection of HTTP/2.
    pub streams: u32,
    /// Hosts of one run that have a certificate; more push out all.
    pub certificates: usize,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            names_per_run: 4_096,
            label_bytes: 52,
            queries_per_second: 100,
            queries_burst: 400,
            connections_per_run: 256,
            connections: 8_192,
            first_bytes: 32 << 10,
            first_time: Duration::from_secs(10),
            silence: Duration::from_millis(250),
            handshake_time: Duration::from_secs(10),
            lookups_per_run: 8,
            lookups: 64,
            lookup_time: Duration::from_secs(10),
            pin_time: Duration::from_mins(1),
            pins: 8_192,
            connect_time: Duration::from_secs(10),
            next_address: Duration::from_millis(250),
            buffer_bytes: 256 << 10,
            idle: Duration::from_mins(10),
            head_bytes: 64 << 10,
            head_time: Duration::from_mins(1),
            answer_time: Duration::from_mins(10),
            streams: 64,
            certificates: 256,
        }
    }
}
