//! Lets the same things happen to a kernel and to the model, and compares after each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringfence_kernel::{Admission, CancelledBy, Clearance, Clock, Failure, Outcome, Proposal, Run};
use ringfence_types::{ServerName, ToolName};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::common::{Node, arguments_of, crash_copy_to, dana, json, open_at, start};
use crate::compare::{self, same};
use crate::model::{Answer, Model};
use crate::nodes::{folder, setup};
use crate::steps::{Down, How, Step};
use crate::waiters::Released;
use crate::world::{CALLS, CONFIGS, Call, Config, SERVERS, TOOLS};

/// How long anything may take that must happen by itself.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Driver {
    pub model: Model,
    /// `None` only while it is down.
    node: Option<Node>,
    folder: TempDir,
    pub runs: Vec<Arc<Run>>,
    held: Vec<(usize, Clearance)>,
    forgotten: Vec<Clearance>,
    waiting: BTreeMap<usize, JoinHandle<Admission>>,
    /// What was answered, in words.
    answers: BTreeSet<String>,
}

/// Runs a sequence on a new node.
pub fn run(steps: &[Step]) -> Result<(), String> {
    answers(steps).map(drop)
}

/// As [`run`]; returns the kinds of answers there were.
pub fn answers(steps: &[Step]) -> Result<BTreeSet<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::new().await;
        let mut done = Ok(());
        for (index, step) in steps.iter().enumerate() {
            done = driver
                .step(*step)
                .await
                .map_err(|divergence| format!("step {index}, {step:?}: {divergence}"));
            if done.is_err() {
                break;
            }
        }
        driver.waiting.values().for_each(JoinHandle::abort);
        done.map(|()| std::mem::take(&mut driver.answers))
    })
}

impl Driver {
    async fn new() -> Self {
        let folder = folder();
        let node = open_at(folder.path(), Clock::manual(start()), setup(Config::Base)).await;
        let mut driver = Self {
            model: Model::default(),
            node: Some(node),
            folder,
            runs: Vec::new(),
            held: Vec::new(),
            forgotten: Vec::new(),
            waiting: BTreeMap::new(),
            answers: BTreeSet::new(),
        };
        for server in 0..SERVERS.len() {
            driver.list(server, None, None).await;
        }
        driver
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("the node is up between steps")
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        let released = match step {
            Step::Mint { agent, user } => self.mint(agent, user).await,
            Step::Call { run, call, patient } if !self.runs.is_empty() => {
                self.call(run % self.runs.len(), CALLS[call % CALLS.len()], patient).await?
            }
            Step::Settle { held, how } if !self.held.is_empty() => {
                self.settle(held % self.held.len(), how)?
            }
            Step::Approve { request, person, narrowing } => self.approve(request, person, narrowing).await?,
            Step::Deny { request, person } => self.deny(request, person).await?,
            Step::Advance { seconds } => self.advance(seconds),
            Step::Tend => {
                self.node().kernel.tend().await;
                self.model.tend()
            }
            Step::Suspend { scope, run, seconds } if !self.runs.is_empty() => {
                self.suspend(scope, run % self.runs.len(), seconds).await?
            }
            Step::Resume { suspension } => self.resume(suspension).await?,
            Step::Kill { run } if !self.runs.is_empty() => self.kill(run % self.runs.len()).await?,
            Step::Configure { config } => {
                self.node().kernel.apply(setup(CONFIGS[config]), &dana()).await.unwrap();
                self.model.config = Some(CONFIGS[config]);
                Vec::new()
            }
            Step::List { server, changed, missing } => {
                self.list(server, changed.map(|tool| TOOLS[tool]), missing.map(|tool| TOOLS[tool])).await
            }
            Step::Pin { server } => self.pin(server).await,
            Step::Restart { how } => self.restart(how).await?,
            _ => Vec::new(),
        };
        for released in released {
            self.released(released).await?;
        }
        self.settled_down().await
    }

    /// What calls that were woken do by themselves takes a moment.
    async fn settled_down(&mut self) -> Result<(), String> {
        // Those that were woken act before time goes on.
        for _ in 0..self.waiting.len() * 4 {
            tokio::task::yield_now().await;
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let kernel = self.node().kernel.clone();
            let compared = compare::state(&mut self.model, &kernel, &self.runs, start());
            if compared.is_ok() || Instant::now() > until {
                let early =
                    self.waiting.iter().find(|(_, call)| call.is_finished()).map(|(waiter, _)| *waiter);
                let Some(waiter) = early else { return compared };
                let answer = self.waiting.remove(&waiter).expect("found").await;
                return Err(format!("waiting call {waiter} was answered for no reason: {answer:?}"));
            }
            // Without calls that wait nothing happens by itself.
            if self.waiting.is_empty() {
                return compared;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn call(&mut self, run: usize, call: Call, patient: bool) -> Result<Vec<Released>, String> {
        let (answer, waiter, released) = self.model.call(run, call, patient);
        let proposal = Proposal {
            run: Arc::clone(&self.runs[run]),
            server: ServerName::new(call.server).unwrap(),
            call: ringfence_kernel::Call::Tool {
                tool: ToolName::new(call.tool).unwrap(),
                arguments: json(&call.args.json()),
                continuation: None,
            },
        };
        let admission = self.node().kernel.admit(proposal).await;
        if let (Some(Admission::Pending(pending)), Some(waiter)) =
            (self.admission(admission, answer)?, waiter)
        {
            self.waiting.insert(waiter, tokio::spawn(pending.wait()));
        }
        Ok(released)
    }

    /// Compares an answer and keeps what was cleared. Gives back what is pending.
    fn admission(&mut self, admission: Admission, answer: Answer) -> Result<Option<Admission>, String> {
        match (admission, answer) {
            (Admission::Refused(refusal), Answer::Refused(code)) => {
                self.answers.insert(refusal.code.as_str().to_owned());
                same("refusal", refusal.code, code)?;
                Ok(None)
            }
            (Admission::Pending(pending), Answer::Pending(request)) => {
                self.answers.insert("pending".into());
                let known = self.model.requests[request].id.get_or_insert(pending.approval());
                same("request", pending.approval(), *known)?;
                Ok(Some(Admission::Pending(pending)))
            }
            (Admission::Cleared(clearance), Answer::Cleared(action)) => {
                let sent = self.model.actions[action].sent;
                self.answers.insert("cleared".into());
                if !clearance.narrowed().is_empty() {
                    self.answers.insert("narrowed".into());
                }
                let arguments = arguments_of(clearance.call());
                self.held.push((action, clearance));
                same("arguments", arguments, sent.json())?;
                Ok(None)
            }
            (admission, answer) => Err(format!("kernel {admission:?}, model {answer:?}")),
        }
    }

    async fn released(&mut self, released: Released) -> Result<(), String> {
        let Some(call) = self.waiting.remove(&released.waiter) else {
            return Err(format!("{released:?} does not wait"));
        };
        let Ok(admission) = timeout(PATIENCE, call).await else {
            return Err(format!("{released:?}, but the call is never answered"));
        };
        if matches!(released.answer, Answer::Cleared(_)) {
            self.answers.insert("released".into());
        }
        self.admission(admission.unwrap(), released.answer).map(drop)
    }

    fn settle(&mut self, held: usize, how: How) -> Result<Vec<Released>, String> {
        let (action, clearance) = self.held.swap_remove(held);
        same("cut off", clearance.cancel().check().is_err(), self.model.actions[action].cut)?;
        let written = self.model.settle(action, how);
        let failed = |failure| Outcome::Failed { failure, message: "no".into() };
        let outcome = match how {
            How::Completed { result } => Outcome::Completed { result: vec![b'0' + result], is_error: false },
            How::Failed => failed(Failure::Timeout),
            How::Said => failed(Failure::UpstreamError),
            How::Cancelled => Outcome::Cancelled { by: CancelledBy::Client },
            How::Unreachable => Outcome::Unreachable { message: "no".into() },
            How::NotSent => Outcome::NotSent { message: "no".into() },
            How::Dropped => {
                drop(clearance);
                return Ok(Vec::new());
            }
            How::Forgotten => {
                self.forgotten.push(clearance);
                return Ok(Vec::new());
            }
        };
        same("outcome written", clearance.settle(outcome).entry.is_some(), written)?;
        Ok(Vec::new())
    }

    fn advance(&mut self, seconds: u64) -> Vec<Released> {
        self.node().clock.advance(Duration::from_secs(seconds));
        self.model.now += seconds;
        Vec::new()
    }

    /// The node goes down, with everything that was under way, and comes up on what it left.
    async fn restart(&mut self, how: Down) -> Result<Vec<Released>, String> {
        let node = self.node.take().expect("a node");
        match how {
            Down::Stopped => node.kernel.stop().await,
            Down::Closed => node.kernel.ledger().close(),
            Down::Crashed => {}
        }
        let left = folder();
        if how == Down::Crashed {
            crash_copy_to(self.folder.path(), &node, left.path());
        }
        for (_, call) in std::mem::take(&mut self.waiting) {
            call.abort();
            drop(call.await);
        }
        self.held.clear();
        self.forgotten.clear();
        let clock = node.clock.clone();
        drop(node);
        if how == Down::Crashed {
            self.folder = left;
        }
        let node = open_at(self.folder.path(), clock, setup(self.model.config())).await;
        let unknown = node.recovered.unknown;
        self.node = Some(node);
        let open = self.model.actions.iter().filter(|action| action.open).count();
        self.model.restart();
        self.answers.insert("restarted".into());
        same("unknown outcomes", unknown, open as u64)?;
        Ok(Vec::new())
    }
}
