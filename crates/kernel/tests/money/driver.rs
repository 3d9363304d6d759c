//! Lets the same things happen to a kernel and to the oracle, and compares after each.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringfence_kernel::{
    Account, Admission, CancelledBy, Clock, Failure, ModelClearance, ModelProposal, Outcome, Run, Suspend,
};
use ringfence_ledger::{Faults, VerifyOptions};
use ringfence_types::{Code, RunId, Scope, SuspensionId, Usage};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::common::{Node, crash_copy_to, dana, folder, start};
use crate::nodes::{self, SEARCH, setup};
use crate::oracle::{Cleared, Cut, Oracle, Sum, Whose};
use crate::steps::{Down, How, Step};
use crate::told::{End, Told};
use crate::world::{AGENTS, CONVERSATIONS, Call, PERS, Per, USERS, WORKSPACES};

/// How long anything may take that must happen by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds that a sequence may last: conversations that nobody has gone on with for 90 days are forgotten.
const LASTS: u64 = 80 * 24 * 3600;

pub struct Driver {
    oracle: Oracle,
    /// `None` only while it is down.
    node: Option<Node>,
    faults: Faults,
    folder: TempDir,
    runs: Vec<Arc<Run>>,
    held: Vec<(usize, ModelClearance)>,
    reached: BTreeSet<&'static str>,
}

/// Runs a sequence on a new node.
pub fn run(steps: &[Step]) -> Result<(), String> {
    reached(steps).map(drop)
}

/// As [`run`]; returns what was reached.
pub fn reached(steps: &[Step]) -> Result<BTreeSet<&'static str>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::new().await;
        for (index, step) in steps.iter().enumerate() {
            let done = driver.step(*step).await.and_then(|()| driver.compare());
            done.map_err(|divergence| format!("step {index}, {step:?}: {divergence}"))?;
        }
        driver.finish().await.map_err(|divergence| format!("at the end: {divergence}"))?;
        Ok(driver.reached)
    })
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, kernel: &T, oracle: &T) -> Result<(), String> {
    if kernel == oracle { Ok(()) } else { Err(format!("{what}: kernel {kernel:?}, oracle {oracle:?}")) }
}

impl Driver {
    async fn new() -> Self {
        let (folder, faults) = (folder(), Faults::default());
        let node = nodes::open(folder.path(), Clock::manual(start()), 0, &faults).await;
        Self {
            oracle: Oracle::default(),
            node: Some(node),
            faults,
            folder,
            runs: Vec::new(),
            held: Vec::new(),
            reached: BTreeSet::new(),
        }
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("the node is up between steps")
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        let some_run = !self.runs.is_empty();
        match step {
            Step::Mint { agent, user, conversation } => self.mint(agent, user, conversation).await,
            Step::Call { run, call } if some_run => self.call(run % self.runs.len(), call).await?,
            Step::Gone { run, call } if some_run => self.gone(run % self.runs.len(), call).await?,
            Step::Settle { held, how, numbers } if !self.held.is_empty() => {
                self.settle(held % self.held.len(), how, numbers);
            }
            Step::Advance { seconds } if self.oracle.now + seconds < LASTS => {
                self.node().clock.advance(Duration::from_secs(seconds));
                self.oracle.now += seconds;
            }
            Step::Configure { config } => {
                self.node().kernel.apply(setup(config), &dana()).await.unwrap();
                self.oracle.config = config;
            }
            Step::Suspend { wide, run } if some_run => self.suspend(wide, run % self.runs.len()).await,
            Step::Resume { suspension } => self.resume(suspension).await,
            Step::Tend => self.tend().await,
            Step::Restart { how } => self.restart(how).await?,
            Step::LogFails { run, call, held, how, numbers } if some_run => {
                self.log_fails(run % self.runs.len(), call, (held, how, numbers)).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn mint(&mut self, agent: usize, user: usize, conversation: usize) {
        let kernel = &self.node().kernel;
        let minted = kernel.mint(nodes::mint(agent, user, conversation), &dana()).await.unwrap();
        let run = kernel.authenticate(minted.token.reveal()).unwrap();
        self.runs.push(run);
        self.oracle.mint(agent, user, conversation);
    }

    fn proposal(&self, run: usize, call: Call) -> ModelProposal {
        ModelProposal { run: Arc::clone(&self.runs[run]), call: nodes::call(call) }
    }

    async fn call(&mut self, run: usize, call: Call) -> Result<(), String> {
        let decided = self.oracle.decide(run, call);
        let admission = self.node().kernel.admit_model(self.proposal(run, call)).await;
        if let Some((clearance, cleared)) = self.admission(admission, decided)? {
            self.oracle.calls.push(cleared);
            let index = self.oracle.calls.len() - 1;
            self.held.push((index, clearance));
            let broken = self.oracle.broken(index);
            if !broken.is_empty() {
                return Err(format!("this clearance breaks caps: {broken:?}"));
            }
        }
        Ok(())
    }

    /// Compares an answer; gives what was cleared.
    fn admission(
        &mut self,
        admission: Admission<ModelClearance>,
        decided: Result<Cleared, Code>,
    ) -> Result<Option<(ModelClearance, Cleared)>, String> {
        match (admission, decided) {
            (Admission::Refused(refusal), Err(code)) => {
                self.reached.insert(code.as_str());
                same("refusal", &refusal.code, &code)?;
                Ok(None)
            }
            (Admission::Cleared(clearance), Ok(cleared)) => {
                self.reached.insert(if cleared.lowered { "lowered" } else { "cleared" });
                same("output", &clearance.output(), &cleared.output)?;
                same("lowered", &clearance.is_lowered(), &cleared.lowered)?;
                same("set aside", &u128::from(clearance.reserved().nanos()), &cleared.usd)?;
                Ok(Some((clearance, cleared)))
            }
            (admission, decided) => Err(format!("kernel {admission:?}, oracle {decided:?}")),
        }
    }

    /// Asked once how far it is, and then dropped.
    async fn gone(&mut self, run: usize, call: Call) -> Result<(), String> {
        let decided = self.oracle.decide(run, call);
        let admission = {
            let kernel = self.node().kernel.clone();
            let mut admission = pin!(kernel.admit_model(self.proposal(run, call)));
            std::future::poll_fn(|context| Poll::Ready(admission.as_mut().poll(context))).await
        };
        match (admission, decided) {
            (Poll::Ready(admission), decided) => {
                let Some((clearance, cleared)) = self.admission(admission, decided)? else { return Ok(()) };
                drop(clearance);
                self.oracle.calls.push(cleared);
            }
            (Poll::Pending, Ok(cleared)) => {
                self.reached.insert("gone");
                self.oracle.calls.push(cleared);
            }
            (Poll::Pending, Err(code)) => return Err(format!("on its way to the disk, oracle {code:?}")),
        }
        self.oracle.calls.last_mut().expect("just pushed").booked = Some((0, 0));
        Ok(())
    }

    fn settle(&mut self, held: usize, how: How, numbers: u64) {
        let (index, clearance) = self.held.swap_remove(held);
        let known = &self.oracle.calls[index];
        let told = Told::of(how, known.call, known.output, numbers);
        let is_late = known.booked.is_some();
        tell(clearance, &told);
        let over = self.oracle.settle(index, &told);
        if is_late {
            self.reached.insert(if over { "late and over" } else { "late" });
        }
        assert!(!over || how != How::Reported, "what is within the bounds costs no more than the worst");
        if over {
            self.reached.insert("over");
        }
    }

    async fn suspend(&mut self, wide: usize, run: usize) {
        let agent = self.oracle.runs[run].agent;
        let known = &self.runs[run];
        let workspace = Some(known.workspace.clone());
        let (scope, cut) = match wide {
            0 => (Scope { run: Some(known.id), ..Scope::default() }, Cut::Run(run)),
            1 => {
                let agent_name = Some(known.agent.clone());
                (Scope { workspace, agent: agent_name, ..Scope::default() }, Cut::Agent(agent))
            }
            _ => (Scope { workspace, ..Scope::default() }, Cut::Workspace(AGENTS[agent].0)),
        };
        let request = Suspend { scope, reason: "a test".into(), duration: None };
        self.node().kernel.suspend(request, &dana()).await.unwrap();
        self.oracle.cuts.push(cut);
    }

    /// Those in force, in the order of what they cut off.
    fn cuts(&self) -> Vec<(Cut, SuspensionId)> {
        let cut = |scope: &Scope| match (scope.run, &scope.agent, &scope.workspace) {
            (Some(run), ..) => Cut::Run(self.run_index(run)),
            (None, Some(agent), Some(workspace)) => {
                Cut::Agent(agent_index(workspace.as_str(), agent.as_str()))
            }
            (None, None, Some(workspace)) => Cut::Workspace(workspace_index(workspace.as_str())),
            _ => panic!("{scope:?}"),
        };
        let in_force = self.node().kernel.suspensions();
        let mut cuts: Vec<_> = in_force.iter().map(|view| (cut(&view.scope), view.id)).collect();
        cuts.sort();
        cuts
    }

    async fn resume(&mut self, suspension: usize) {
        let cuts = self.cuts();
        if cuts.is_empty() {
            return;
        }
        let (cut, id) = cuts[suspension % cuts.len()];
        self.node().kernel.resume(id, &dana()).await.unwrap();
        let at = self.oracle.cuts.iter().position(|known| *known == cut);
        self.oracle.cuts.swap_remove(at.expect("compared after each step"));
    }

    async fn tend(&mut self) {
        self.node().kernel.tend().await;
        self.oracle.tend();
    }

    /// The node goes down, with everything that was under way, and comes up on what it left.
    async fn restart(&mut self, how: Down) -> Result<(), String> {
        self.reached.insert("restarted");
        let node = self.node.take().expect("a node");
        match how {
            Down::Stopped => node.kernel.stop().await,
            Down::Closed => node.kernel.ledger().close(),
            Down::Crashed => {
                let left = folder();
                crash_copy_to(self.folder.path(), &node, left.path());
                self.held.clear();
                node.kernel.ledger().close();
                self.folder = left;
            }
        }
        self.held.clear();
        let clock = node.clock.clone();
        drop(node);
        let open = self.oracle.calls.iter().filter(|call| call.booked.is_none()).count();
        let node = nodes::open(self.folder.path(), clock, self.oracle.config, &self.faults).await;
        let unknown = node.recovered.unknown;
        self.node = Some(node);
        self.oracle.give_up(|_| true);
        same("unknown outcomes", &unknown, &(open as u64))
    }

    /// What the log has lost was never cleared, and gives back what it held; what ends meanwhile is booked when the log
    /// is back.
    async fn log_fails(&mut self, run: usize, call: Call, ends: (usize, How, u64)) -> Result<(), String> {
        self.reached.insert("log failed");
        self.quiet();
        self.faults.fail_syncs(1);
        let decided = self.oracle.decide(run, call);
        let kernel = self.node().kernel.clone();
        if decided.is_ok() {
            match kernel.admit_model(self.proposal(run, call)).await {
                Admission::Refused(refusal) => {
                    same("without a log", &refusal.code, &Code::LedgerUnavailable)?;
                }
                other => return Err(format!("without a log: {other:?}")),
            }
        } else if kernel.mint(nodes::mint(0, 0, 0), &dana()).await.is_ok() {
            return Err("minted without a log".into());
        }
        let (held, how, numbers) = ends;
        if !self.held.is_empty() {
            self.settle(held % self.held.len(), how, numbers);
        }
        timeout(PATIENCE, kernel.ledger().next_session()).await.unwrap().unwrap();
        self.tend().await;
        Ok(())
    }

    /// Waits until everything is on the disk and the log's writer has prepared what it wants to have ready: its syncs
    /// would take the failure.
    fn quiet(&self) {
        let ledger = self.node().kernel.ledger();
        let mut before = u64::MAX;
        while ledger.durable() < ledger.size() || before != self.faults.syncs_done() {
            before = self.faults.syncs_done();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All calls end; what is left is exact, and so is what is read back, from a snapshot or without.
    async fn finish(&mut self) -> Result<(), String> {
        let mut numbers = self.oracle.now;
        while !self.held.is_empty() {
            numbers += 1;
            self.settle(0, if numbers.is_multiple_of(3) { How::Counted } else { How::Reported }, numbers);
        }
        self.tend().await;
        self.compare()?;
        for (whose, sum) in
            self.oracle.everybody().iter().map(|(whose, _)| (whose, self.oracle.sum(*whose, Per::Life)))
        {
            same(
                &format!("left set aside for {whose:?}"),
                &(sum.reserved_usd, sum.reserved_tokens),
                &(0, 0),
            )?;
        }
        let before = self.node().kernel.spending();
        self.restart(Down::Stopped).await?;
        same("from a snapshot", &self.node().kernel.spending(), &before)?;
        self.node().kernel.stop().await;
        let verified =
            ringfence_ledger::verify(&self.folder.path().join("ledger"), &VerifyOptions::default());
        verified.map_err(|error| format!("the log: {error}"))?;
        std::fs::remove_dir_all(self.folder.path().join("snapshots")).unwrap();
        self.restart(Down::Closed).await?;
        // Those that were forgotten are in the log.
        self.tend().await;
        same("from the log alone", &self.node().kernel.spending(), &before)
    }

    fn compare(&self) -> Result<(), String> {
        let mut cuts = self.oracle.cuts.clone();
        cuts.sort();
        let known: Vec<Cut> = self.cuts().into_iter().map(|(cut, _)| cut).collect();
        same("suspensions", &known, &cuts)?;
        let mut spending: BTreeMap<(Whose, Per), Sum> = BTreeMap::new();
        for one in self.node().kernel.spending() {
            let key = (self.whose(&one.account), nodes::per(one.budget.per));
            let sum = plain(&one.sum);
            same(&format!("{key:?}, twice"), spending.get(&key).unwrap_or(&sum), &sum)?;
            spending.insert(key, sum);
        }
        for (whose, forgettable) in self.oracle.everybody() {
            for per in PERS {
                let sum = spending.remove(&(whose, per));
                if sum.is_none() && forgettable {
                    continue;
                }
                same(&format!("{whose:?} per {per:?}"), &sum, &Some(self.oracle.sum(whose, per)))?;
            }
        }
        same("others", &spending, &BTreeMap::new())
    }

    fn run_index(&self, id: RunId) -> usize {
        self.runs.iter().position(|run| run.id == id).expect("a known run")
    }

    fn whose(&self, account: &Account) -> Whose {
        match account {
            Account::Workspace(workspace) => Whose::Workspace(workspace_index(workspace.as_str())),
            Account::Agent(workspace, agent) => Whose::Agent(agent_index(workspace.as_str(), agent.as_str())),
            Account::User(workspace, user) => {
                Whose::User(workspace_index(workspace.as_str()), known(&USERS, user.as_str()))
            }
            Account::Conversation(workspace, user, name) => Whose::Conversation(
                workspace_index(workspace.as_str()),
                user.as_ref().map(|user| known(&USERS, user.as_str())),
                known(&CONVERSATIONS, name.as_str()),
            ),
            Account::Run(run) => Whose::Run(self.run_index(*run)),
        }
    }
}

fn workspace_index(name: &str) -> usize {
    WORKSPACES.iter().position(|known| *known == name).expect("a known workspace")
}

fn agent_index(workspace: &str, agent: &str) -> usize {
    let wanted = (workspace_index(workspace), agent);
    AGENTS.iter().position(|known| *known == wanted).expect("a known agent")
}

fn known(names: &[Option<&'static str>], name: &str) -> &'static str {
    names.iter().flatten().find(|known| **known == name).expect("a known name")
}

fn plain(sum: &ringfence_kernel::Sum) -> Sum {
    Sum {
        usd: sum.usd.nanos().into(),
        tokens: sum.tokens.into(),
        calls: sum.calls.into(),
        reserved_usd: sum.reserved_usd.nanos().into(),
        reserved_tokens: sum.reserved_tokens.into(),
    }
}

/// Tells the meter, and ends the call.
pub fn tell(clearance: ModelClearance, told: &Told) {
    let meter = clearance.meter().clone();
    if let Some(written) = told.before {
        meter.sent(1);
        meter.written(written);
        meter.turned_down();
    }
    if let Some(input) = told.sent {
        meter.sent(input);
    }
    if told.blind.is_some() {
        meter.blind();
    }
    meter.written(told.written / 2);
    meter.written(told.written);
    if told.blind == Some(true) {
        meter.seen();
    }
    if told.turned_down {
        meter.turned_down();
    }
    if let Some((tokens, last)) = told.reported {
        let [input, cached_input, cache_write, cache_write_1h, output, reasoning] = tokens;
        let usage = Usage { input, cached_input, cache_write, cache_write_1h, output, reasoning };
        meter.reported(usage, last);
    }
    if let Some(tier) = told.tier {
        meter.tier(tier.into());
    }
    if let Some(searches) = told.searches.filter(|searches| *searches > 0) {
        meter.hosted(vec![(SEARCH.into(), searches)]);
    }
    if told.doubtful {
        meter.doubt();
    }
    let message = || "a test".to_owned();
    let outcome = match told.end {
        End::Completed => Outcome::Completed { result: b"{}".to_vec(), is_error: false },
        End::Failed => Outcome::Failed { failure: Failure::UpstreamError, message: message() },
        End::Cancelled => Outcome::Cancelled { by: CancelledBy::Client },
        End::NotSent => Outcome::NotSent { message: message() },
        End::Dropped => return drop(clearance),
    };
    clearance.settle(outcome);
}
