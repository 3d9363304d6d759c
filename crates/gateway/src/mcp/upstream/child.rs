//! A tool server that is a child of the node, and one exchange with it (MCP 2026-07-28, "stdio").
//!
//! Many calls share its two pipes. So each gets an identifier, and a progress token, of the node's own, which are
//! put back in what comes for it; what the agents chose never meets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringfence_json::{Object, Value};
use ringfence_kernel::EndedBy;
use ringfence_sandbox::{BoundedStderr, ExitStatus, Process};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::UpstreamError;
use super::pipes::{LINES_WAITING_MAX, Line, read_lines, write_lines};
use super::queue::{Queued, queue};
use super::residence::Residence;
use super::routes::{Route, Routes};
use crate::Limits;
use crate::mcp::message::{Id, Message, Notification, Request, Response};
use crate::mcp::passage::Passage;

/// A tool server that runs. Dropped, its input is closed; what does not end then is killed.
#[derive(Debug)]
pub(crate) struct Child {
    lines: mpsc::Sender<Line>,
    routes: Arc<Mutex<Routes>>,
    next: AtomicU64,
    /// What it said in the legacy handshake.
    handshake: Mutex<Option<Object>>,
    /// How it ended.
    ended: watch::Receiver<Option<String>>,
    used: Mutex<Instant>,
    started: Instant,
    stderr: BoundedStderr,
    pid: u32,
    missing_layers: Vec<String>,
    limits: Limits,
    stop: CancellationToken,
    _stop: DropGuard,
}

/// A process that was just started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) child: ringfence_sandbox::Child,
    /// Its run, if it is in a sandbox of its own.
    pub(crate) residence: Option<Residence>,
}

/// The last of what a child wrote to its standard error, as far as it is told of, in characters.
const LAST_WORDS_CHARACTERS_MAX: usize = 512;

/// How long the end of a child that failed is waited for, to tell what it said last.
const LAST_WORDS_WAIT: Duration = Duration::from_millis(200);

/// What comes back from a child for one request. Dropped before its answer came, the child is told.
#[derive(Debug)]
pub(crate) struct ChildExchange {
    child: Arc<Child>,
    id: u64,
    messages: mpsc::Receiver<Queued>,
    /// `None` once the answer came.
    answer: Option<oneshot::Receiver<Response>>,
    /// Whether a request that nobody waits for any more is called off; the handshake must not be.
    cancels: bool,
}

// === impl Child ===

impl Child {
    /// Takes charge of a process that was just started. `questions` says whether it may ask clients anything.
    pub(crate) fn new(started: Started, questions: bool, limits: &Limits) -> Arc<Self> {
        let Started { child, residence } = started;
        let ringfence_sandbox::Child { process, stdin, stdout, stderr } = child;
        let stop = CancellationToken::new();
        let routes = Arc::new(Mutex::new(Routes::new(questions, stop.clone())));
        let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
        let (ending, ended) = watch::channel(None);
        let this = Arc::new(Self {
            lines,
            routes: Arc::clone(&routes),
            next: AtomicU64::new(1),
            handshake: Mutex::new(None),
            ended,
            used: Mutex::new(Instant::now()),
            started: Instant::now(),
            stderr: stderr.clone(),
            pid: process.pid(),
            missing_layers: process.layers().missing().map(ToString::to_string).collect(),
            limits: limits.clone(),
            stop: stop.clone(),
            _stop: stop.clone().drop_guard(),
        });
        let (unroutable, refusals) = mpsc::channel(limits.stream_backlog);
        let writing = write_lines(stdin, waiting, Arc::clone(&routes), stop.clone(), limits.child_patience);
        tokio::spawn(writing);
        let supervised = Supervised { process, residence, stderr, ending, stop, limits: limits.clone() };
        tokio::spawn(supervised.run(stdout, routes, unroutable));
        tokio::spawn(refuse(Arc::downgrade(&this), refusals));
        this
    }

    /// Sends a request; what comes for it comes with the identifier and progress token that it has here.
    pub(crate) async fn request(
        self: &Arc<Self>,
        passage: Passage<'_>,
        mut request: Request,
        argument: Option<(&str, &Object)>,
        cancels: bool,
    ) -> Result<ChildExchange, UpstreamError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, messages) = queue(&self.limits);
        let (done, answer) = oneshot::channel();
        let outer = std::mem::replace(&mut request.id, Id::from(id));
        let token = request.params.as_mut().and_then(|params| replace_token(params, id));
        self.routes.lock().add(id, Route { id: outer, token, messages: sender, answer: done });
        // From here on, whatever goes wrong, dropping the exchange takes the route away.
        let exchange = ChildExchange { child: Arc::clone(self), id, messages, answer: Some(answer), cancels };
        let (name, value) = argument.unwrap_or(("", const { &Object::new() }));
        passage.hold(&self.limits, self.write(request.to_bytes_with(name, value))).await?;
        Ok(exchange)
    }

    /// Sends a notification, or the answer to a question.
    pub(crate) async fn send(&self, passage: Passage<'_>, message: &Message) -> Result<(), UpstreamError> {
        passage.hold(&self.limits, self.write(message.to_bytes())).await
    }

    async fn write(&self, mut line: Vec<u8>) -> Result<(), UpstreamError> {
        *self.used.lock() = Instant::now();
        if let Some(end) = self.end() {
            return Err(UpstreamError::Ended(end));
        }
        line.push(b'\n');
        let (written, done) = oneshot::channel();
        let line = Line { bytes: line, written };
        // Whoever stops waiting here leaves no half a line: it is not begun, or another task writes it to its end.
        match tokio::time::timeout(self.limits.child_patience, self.lines.send(line)).await {
            Ok(Ok(())) => done.await.unwrap_or(Err(UpstreamError::Broken)),
            Ok(Err(_)) => Err(UpstreamError::Broken),
            Err(_) => Err(UpstreamError::Timeout),
        }
    }

    /// What comes unasked: changes of lists, log messages, questions outside of any call.
    pub(crate) fn listen(&self) -> mpsc::Receiver<Queued> {
        let (sender, receiver) = queue(&self.limits);
        self.routes.lock().listen(sender);
        receiver
    }

    /// What it said in the legacy handshake.
    pub(crate) fn handshake(&self) -> Option<Object> {
        self.handshake.lock().clone()
    }

    pub(crate) fn set_handshake(&self, result: Object) {
        *self.handshake.lock() = Some(result);
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Whether it can take calls.
    pub(crate) fn is_usable(&self) -> bool {
        self.end().is_none() && !self.routes.lock().is_closed()
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends it now, and waits until nothing of it is left, for a bounded time.
    pub(crate) async fn stop(&self) {
        self.routes.lock().close();
        self.stop.cancel();
        let mut ended = self.ended.clone();
        let wait = self.limits.child_patience + LAST_WORDS_WAIT;
        let _ = tokio::time::timeout(wait, ended.wait_for(Option::is_some)).await;
    }

    /// Ends it once no call is under way with it; whoever holds on to it without one does not keep it.
    pub(crate) fn retire(&self) {
        self.routes.lock().retire();
    }

    /// The last of what it wrote to its standard error, escaped and bounded; waits a little for its end.
    pub(crate) async fn last_words(&self) -> String {
        let mut ended = self.ended.clone();
        let _ = tokio::time::timeout(LAST_WORDS_WAIT, ended.wait_for(Option::is_some)).await;
        last_words(&self.stderr)
    }

    /// For how long nobody has used it; none while somebody does.
    pub(crate) fn idle(&self) -> Duration {
        if self.routes.lock().is_busy() { Duration::ZERO } else { self.used.lock().elapsed() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn missing_layers(&self) -> &[String] {
        &self.missing_layers
    }

    pub(crate) fn stderr(&self) -> &BoundedStderr {
        &self.stderr
    }
}

/// Puts the node's own progress token in place of the agent's; gives that back.
fn replace_token(params: &mut Object, token: u64) -> Option<Value> {
    let meta = params.get_mut("_meta")?.as_object_mut()?;
    meta.get_mut("progressToken").map(|agent| std::mem::replace(agent, token.into()))
}

/// The end of a stranger's text, so that it cannot steer a terminal or pass for a line of a log.
fn last_words(stderr: &BoundedStderr) -> String {
    let tail = stderr.tail();
    let from = tail.char_indices().rev().nth(LAST_WORDS_CHARACTERS_MAX - 1).map_or(0, |(at, _)| at);
    tail[from..].trim().escape_debug().to_string()
}

/// A process under the eyes of the task that reads what it writes.
struct Supervised {
    process: Process,
    residence: Option<Residence>,
    stderr: BoundedStderr,
    ending: watch::Sender<Option<String>>,
    stop: CancellationToken,
    limits: Limits,
}

/// Why nobody reads any more what a process writes.
enum End {
    /// It closed its output, or wrote what cannot be read.
    Own(Result<(), UpstreamError>),
    /// Nobody wants it any more.
    Unwanted,
    /// Its run is over.
    Over(EndedBy, String),
}

impl Supervised {
    /// Reads until the child ends, or until nobody wants it any more.
    async fn run(mut self, stdout: pipe::Receiver, routes: Arc<Mutex<Routes>>, unroutable: mpsc::Sender<Id>) {
        let end = tokio::select! {
            end = read_lines(stdout, &routes, &unroutable, &self.limits) => End::Own(end),
            () = self.stop.cancelled() => End::Unwanted,
            (why, reason) = over(self.residence.as_ref()) => End::Over(why, reason),
        };
        let by_itself = matches!(end, End::Own(_));
        if !by_itself {
            routes.lock().close();
        }
        let (reason, status) = match &end {
            // Its input is closed, or it closed its output: either way it is asked to end, and then made to.
            End::Own(Ok(())) | End::Unwanted | End::Over(..) => self.ask_to_end().await,
            End::Own(Err(error)) => (error.to_string(), None),
        };
        let stats = self.process.used();
        drop(self.process);
        if by_itself {
            let said = last_words(&self.stderr);
            tracing::warn!(%reason, stderr = %said, "a tool server ended by itself");
        } else {
            tracing::debug!(%reason, "a tool server was ended");
        }
        if let Some(residence) = self.residence {
            let (why, reason) = match end {
                End::Own(_) => (EndedBy::Program, reason.clone()),
                End::Unwanted => (EndedBy::Idle, "nobody used it any more".to_owned()),
                End::Over(why, reason) => (why, reason),
            };
            residence.end(why, reason, status, stats).await;
        }
        self.ending.send_replace(Some(reason));
        routes.lock().close();
    }

    async fn ask_to_end(&mut self) -> (String, Option<ExitStatus>) {
        self.process.terminate();
        let exited = tokio::time::timeout(self.limits.child_patience, self.process.exited()).await;
        match exited {
            Ok(status) => (status.to_string(), Some(status)),
            Err(_) => ("it did not end by itself".to_owned(), None),
        }
    }
}

/// Returns when the run of a child in a sandbox of its own is over; never for one without.
async fn over(residence: Option<&Residence>) -> (EndedBy, String) {
    match residence {
        Some(residence) => residence.over().await,
        None => std::future::pending().await,
    }
}

/// Tells a child that nobody can answer its questions.
async fn refuse(child: std::sync::Weak<Child>, mut questions: mpsc::Receiver<Id>) {
    while let Some(id) = questions.recv().await {
        let Some(child) = child.upgrade() else { return };
        let error =
            Object::new().with("code", -32_601_i64).with("message", "no client can be asked this now");
        let _ = child.write(Response::error(Some(id), error).to_bytes()).await;
    }
}

// === impl ChildExchange ===

impl ChildExchange {
    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, UpstreamError> {
        let Some(answer) = &mut self.answer else { return Ok(None) };
        tokio::select! {
            biased;
            Some(queued) = self.messages.recv() => Ok(Some(queued.message)),
            answer = answer => {
                self.answer = None;
                match answer {
                    Ok(answer) => Ok(Some(Message::Response(answer))),
                    Err(_) => Err(UpstreamError::Ended(self.child.end().unwrap_or_else(|| "closed".to_owned()))),
                }
            }
        }
    }
}

impl Drop for ChildExchange {
    fn drop(&mut self) {
        let waited = self.child.routes.lock().remove(self.id);
        if !(waited && self.cancels) {
            return;
        }
        let (child, id) = (Arc::clone(&self.child), self.id);
        // Outside of a runtime there is no child any more either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let params = Object::new().with("requestId", id).with("reason", "the call was called off");
                let cancelled = Notification::new("notifications/cancelled", params);
                let _ = child.write(cancelled.to_bytes()).await;
            });
        }
    }
}
