//! Every bound of this crate, with its unit.

use std::time::Duration;

use ringfence_json::Limits as JsonLimits;

use crate::egress::limits::EgressLimits;

/// What the agents' listener and the way to the upstreams hold to. [`Limits::default`] is what a node runs with;
/// tests make them small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Agents' connections open at once; more are told to come back later. Fewer where the process may not open two files
    /// for each, one to the agent and one on to whom it calls.
    pub connections: usize,
    /// Of them, those on which no run token was shown yet.
    pub connections_unproven: usize,
    /// Of them, those of one run.
    pub connections_per_run: usize,
    /// Bytes of the bodies of one run's requests that are being read and answered at once.
    pub bodies_bytes_per_run: usize,
    /// Bytes of the bodies of all requests that are being read and answered at once.
    pub bodies_bytes: usize,
    /// Bytes of the head of one request (request line and headers; 100 headers are hyper's own bound).
    pub head_bytes: usize,
    /// From the first byte of a connection, or the end of the answer before, to the end of the next head.
    pub head_time: Duration,
    /// Bytes of the body of one request.
    pub body_bytes: usize,
    /// From the end of the head to the end of the body.
    pub body_time: Duration,
    /// For how long a client may take less than 4 KiB of an answer that is ready for it.
    pub write_stall: Duration,
    /// The kernel's send buffer of an agent's connection, in bytes: what a suspension can no longer call back.
    pub send_buffer_bytes: u32,
    /// Bytes handed to a connection at a time, each piece after one more look at the suspensions.
    pub piece_bytes: usize,
    /// Objects and arrays inside one another in a message.
    pub depth: usize,
    /// Values in one message.
    pub values: usize,
    /// Bytes of one number.
    pub number_bytes: usize,

    /// Bytes of what a client says of itself: of its `initialize`, and of the metadata of a request.
    pub client_bytes: usize,
    /// Bytes of a progress token that is a string.
    pub progress_token_bytes: usize,
    /// Bytes of a client's answer to a question of a server.
    pub answer_bytes: usize,

    /// Bytes of the body of a request to a model: images stand in it.
    pub model_body_bytes: usize,
    /// Values in one request to a model.
    pub model_values: usize,
    /// Bytes of one event of a model's stream.
    pub model_event_bytes: usize,
    /// Bytes of a stream that are kept for the record; of a longer one, its beginning.
    pub model_kept_bytes: usize,
    /// Bytes of a model's stream that wait for a client which does not take them.
    pub model_backlog_bytes: usize,
    /// How long a call waits for its turn where a model has as many under way as it may have.
    pub model_turn_wait: Duration,
    /// The wait before a model is called again that turned a call down, doubled each time; a random part of it is added.
    pub model_retry_wait: Duration,
    /// The longest such wait, also where the provider asks for a longer one.
    pub model_retry_wait_max: Duration,
    /// Answers on the disk that are kept for calls that ask the same. Their bytes are the configuration's to bound.
    pub model_cache_files: usize,
    /// Bytes that must stay free on the disk where answers are kept, so that the log has room.
    pub model_cache_free_bytes: u64,
    /// Answers that wait to be written to the disk; more are kept in memory only.
    pub model_cache_waiting: usize,
    /// Bytes of such answers.
    pub model_cache_waiting_bytes: u64,
    /// Answers that are read from the disk at once; other calls wait for their turn.
    pub model_cache_reads: usize,
    /// For how long no answer is written to a disk that has just failed.
    pub model_cache_pause: Duration,
    /// Labels of one call.
    pub labels: usize,

    /// Sessions of one agent open at once; the one of the same run that was idle for longest makes room.
    pub sessions_per_agent: usize,
    /// Sessions of one run open at once; the one idle for longest makes room.
    pub sessions_per_run: usize,
    /// How long a session may be idle.
    pub session_idle: Duration,
    /// Requests under way at once in one session.
    pub session_requests: usize,
    /// Questions of servers (elicitation, sampling, roots) waiting for their answer in one session.
    pub session_questions: usize,

    /// Questions of servers in their results (`input_required`) that one run may still answer; more push out the oldest.
    pub rounds_per_run: usize,
    /// For how long such a question can be answered.
    pub round_time: Duration,

    /// Bytes of one message of an upstream: a JSON body, an event, a line.
    pub message_bytes: usize,
    /// Bytes of the head of an upstream's answer.
    pub upstream_head_bytes: usize,
    /// Notifications and questions of an upstream during one call.
    pub messages_per_call: usize,
    /// Messages of an upstream waiting for a client to take them.
    pub stream_backlog: usize,
    /// Bytes of such messages; one that is larger waits until it is alone.
    pub stream_backlog_bytes: usize,
    /// How long a connection to an upstream may take.
    pub connect_time: Duration,
    /// How long the node's own requests to an upstream may take (lists, handshakes, probes).
    pub errand_time: Duration,
    /// Idle connections kept to one upstream.
    pub idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_connection_time: Duration,
    /// How often a stream that an upstream closed early is taken up again (MCP 2025-11-25, resumability).
    pub resumptions: u32,
    /// The longest wait between two of them, whatever the upstream asks for.
    pub resumption_wait: Duration,

    /// How long a run waits at a time for the end of one that it has started: less than clients' own patience with a call.
    pub spawn_wait: Duration,
    /// Bytes of what a run wrote that the one which started it is given at a time.
    pub spawn_output_bytes: u64,

    /// Pages of one list.
    pub list_pages: usize,
    /// Elements of one list.
    pub list_elements: usize,
    /// From a server's word that its tools changed to the look at them.
    pub refresh_wait: Duration,
    /// The longest such wait, doubled each time that the server says so again; and how long it has to be quiet to be
    /// looked at soon again.
    pub refresh_wait_max: Duration,
    /// Between two signs of life on a stream that has nothing to say.
    pub keep_alive: Duration,

    /// The wait before a child that ended is started again, doubled with every failure in a row.
    pub restart_wait: Duration,
    /// The longest such wait.
    pub restart_wait_max: Duration,
    /// How long a child may take to say that it speaks a modern revision; silence means that it does not.
    pub probe_time: Duration,
    /// How long a child without a call is kept.
    pub child_idle: Duration,
    /// How long a child may take to read a line, and to end after its input was closed.
    pub child_patience: Duration,
    /// How often sessions, children and connections are looked through.
    pub sweep: Duration,

    /// Of what leaves a sandbox.
    pub egress: EgressLimits,
}

// === impl Limits ===

impl Limits {
    /// What a message of an agent may be.
    pub fn request_json(&self) -> JsonLimits {
        self.json(self.body_bytes)
    }

    /// What a message of an upstream may be.
    pub fn upstream_json(&self) -> JsonLimits {
        self.json(self.message_bytes)
    }

    /// What a request to a model may be.
    pub fn model_json(&self) -> JsonLimits {
        JsonLimits { values: self.model_values, ..self.json(self.model_body_bytes) }
    }

    fn json(&self, bytes: usize) -> JsonLimits {
        JsonLimits { bytes, depth: self.depth, values: self.values, number_bytes: self.number_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_500,
            connections_unproven: 512,
            connections_per_run: 512,
            bodies_bytes_per_run: 64 << 20,
            bodies_bytes: 512 << 20,
            head_bytes: 32 << 10,
            head_time: Duration::from_mins(1),
            body_bytes: 4 << 20,
            body_time: Duration::from_secs(10),
            write_stall: Duration::from_secs(20),
            send_buffer_bytes: 16 << 10,
            piece_bytes: 16 << 10,
            depth: 64,
            values: 250_000,
            number_bytes: 256,
            client_bytes: 16 << 10,
            progress_token_bytes: 256,
            answer_bytes: 1 << 20,
            model_body_bytes: 32 << 20,
            model_values: 1_000_000,
            model_event_bytes: 16 << 20,
            model_kept_bytes: 256 << 10,
            model_backlog_bytes: 64 << 10,
            model_turn_wait: Duration::from_secs(5),
            model_retry_wait: Duration::from_millis(250),
            model_retry_wait_max: Duration::from_secs(8),
            model_cache_files: 65_536,
            model_cache_free_bytes: 512 << 20,
            model_cache_waiting: 1_024,
            model_cache_waiting_bytes: 16 << 20,
            model_cache_reads: 8,
            model_cache_pause: Duration::from_secs(30),
            labels: 32,
            sessions_per_agent: 256,
            sessions_per_run: 64,
            session_idle: Duration::from_mins(30),
            session_requests: 64,
            session_questions: 16,
            rounds_per_run: 256,
            round_time: Duration::from_hours(1),
            message_bytes: 16 << 20,
            upstream_head_bytes: 32 << 10,
            messages_per_call: 10_000,
            stream_backlog: 16,
            stream_backlog_bytes: 4 << 20,
            connect_time: Duration::from_secs(5),
            errand_time: Duration::from_secs(15),
            idle_connections: 64,
            idle_connection_time: Duration::from_secs(4),
            resumptions: 16,
            resumption_wait: Duration::from_secs(5),
            spawn_wait: Duration::from_secs(55),
            spawn_output_bytes: 64 << 10,
            list_pages: 100,
            list_elements: 5_000,
            refresh_wait: Duration::from_millis(200),
            refresh_wait_max: Duration::from_mins(1),
            keep_alive: Duration::from_secs(15),
            restart_wait: Duration::from_millis(200),
            restart_wait_max: Duration::from_secs(30),
            probe_time: Duration::from_secs(3),
            child_idle: Duration::from_mins(10),
            child_patience: Duration::from_secs(5),
            sweep: Duration::from_secs(5),
            egress: EgressLimits::default(),
        }
    }
}
