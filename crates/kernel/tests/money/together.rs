//! Many at once: at every moment nobody is over, and at the end every sum is exact.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringfence_kernel::{Account, Admission, Clock, Kernel, ModelProposal, Run};
use ringfence_ledger::Faults;
use ringfence_types::Code;

use crate::common::random::Random;
use crate::common::{dana, folder, start};
use crate::driver::tell;
use crate::nodes;
use crate::steps::How;
use crate::told::Told;
use crate::world::{Call, Cap, Caps, LEVELS};

const TASKS: u64 = 24;
const CALLS: u64 = 40;
const RUNS: usize = 6;

/// Booked, tokens, calls.
type Sums = BTreeMap<Account, (u128, u128, u64)>;

/// A configuration that caps both the workspaces, and more than those.
fn tight() -> u64 {
    let is_tight = |config: &u64| {
        [0, 1].iter().all(|workspace| {
            let caps = Caps::of(*config, *workspace);
            let counts = |cap: &Cap| cap.usd.is_some_and(|usd| (10_000_000..=100_000_000).contains(&usd));
            let levels = LEVELS.iter().filter(|level| caps.at(**level).iter().any(counts));
            levels.count() >= 2
                && LEVELS.iter().all(|level| {
                    caps.at(*level).iter().all(|cap| {
                        cap.usd.is_none_or(|usd| usd > 1_000_000)
                            && cap.tokens.is_none_or(|tokens| tokens > 5_000)
                    })
                })
        })
    };
    let first = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    (u64::from(first)..u64::MAX).find(is_tight).unwrap()
}

/// What breaks a cap now. Nothing that these calls do may cost more than was set aside, so nothing ever may.
fn over(kernel: &Kernel) -> Vec<String> {
    let spending = kernel.spending();
    let is_over = |spending: &&ringfence_kernel::Spending| {
        let (usd, tokens) = spending.sum.taken();
        spending.budget.usd.is_some_and(|most| usd > most)
            || spending.budget.tokens.is_some_and(|most| tokens > most)
    };
    spending.iter().filter(is_over).map(|spending| format!("{spending:?}")).collect()
}

fn some_call(random: &mut Random) -> Call {
    Call {
        model: random.below(4),
        input: random.pick(&[40, 400, 1_000, 2_501]),
        output: Some(random.pick(&[10, 100, 3_000])),
        extra: 0,
        answers: 1 + random.next() % 2,
        cache: 0,
        tier: None,
        searches: 0,
        conversation: random.below(3),
        kept: false,
    }
}

async fn spends(
    kernel: Kernel,
    runs: Arc<Vec<Arc<Run>>>,
    seed: u64,
    booked: Arc<Mutex<Sums>>,
    refused: Arc<AtomicUsize>,
) {
    let mut random = Random::new(seed);
    for _ in 0..CALLS {
        let run = Arc::clone(&runs[random.below(runs.len())]);
        let asked = some_call(&mut random);
        let mut call = nodes::call(asked);
        call.conversation = run.conversation.clone().or(call.conversation);
        let conversation = call.conversation.clone();
        let admission = kernel.admit_model(ModelProposal { run: Arc::clone(&run), call });
        // Some are gone before they have an answer.
        let patience =
            Duration::from_micros(if random.once_in(6) { random.next() % 800 } else { 60_000_000 });
        let accounts = accounts(&run, conversation.as_ref());
        let clearance = match tokio::time::timeout(patience, admission).await {
            Err(_) => continue,
            Ok(Admission::Refused(refusal)) => {
                assert_eq!(refusal.code, Code::OverBudget, "{refusal:?}");
                refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Ok(Admission::Cleared(clearance)) => clearance,
            Ok(other) => panic!("{other:?}"),
        };
        if random.once_in(2) {
            tokio::time::sleep(Duration::from_micros(random.next() % 2_000)).await;
        }
        let how = random.pick(&[
            How::Reported,
            How::Reported,
            How::Counted,
            How::Dropped,
            How::NotSent,
            How::TurnedDown,
        ]);
        let told = Told::of(how, asked, clearance.output(), random.next());
        let cleared = crate::oracle::alone(asked, clearance.output(), clearance.reserved().nanos().into());
        let (usd, tokens) = crate::oracle::charge(&cleared, &told);
        tell(clearance, &told);
        let mut booked = booked.lock().unwrap();
        for account in accounts {
            let sum = booked.entry(account).or_default();
            *sum = (sum.0 + usd, sum.1 + tokens, sum.2 + 1);
        }
    }
}

fn accounts(run: &Run, conversation: Option<&ringfence_types::ConversationName>) -> Vec<Account> {
    let workspace = || run.workspace.clone();
    let mut all = vec![
        Account::Run(run.id),
        Account::Agent(workspace(), run.agent.clone()),
        Account::Workspace(workspace()),
    ];
    all.extend(run.user.clone().map(|user| Account::User(workspace(), user)));
    all.extend(conversation.map(|name| Account::Conversation(workspace(), run.user.clone(), name.clone())));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_none_ever_breaks_a_cap_and_every_sum_is_exact() {
    let (folder, config) = (folder(), tight());
    println!("configuration {config}");
    let node = nodes::open(folder.path(), Clock::manual(start()), config, &Faults::default()).await;
    let mut runs = Vec::new();
    for index in 0..RUNS {
        let mint = nodes::mint(index % 3, index / 2, index % 2);
        let minted = node.kernel.mint(mint, &dana()).await.unwrap();
        runs.push(node.kernel.authenticate(minted.token.reveal()).unwrap());
    }
    let (runs, booked, refused) =
        (Arc::new(runs), Arc::new(Mutex::new(Sums::new())), Arc::new(AtomicUsize::new(0)));
    let (done, kernel) = (Arc::new(AtomicBool::new(false)), node.kernel.clone());
    let watcher = {
        let (done, kernel) = (Arc::clone(&done), kernel.clone());
        std::thread::spawn(move || {
            let mut samples = 0;
            while !done.load(Ordering::Relaxed) {
                let over = over(&kernel);
                assert!(over.is_empty(), "over its cap: {over:?}");
                samples += 1;
                std::thread::sleep(Duration::from_micros(200));
            }
            samples
        })
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (runs, booked, refused) = (Arc::clone(&runs), Arc::clone(&booked), Arc::clone(&refused));
            tokio::spawn(spends(kernel.clone(), runs, config + task, booked, refused))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let samples = watcher.join().unwrap();
    assert!(refused.load(Ordering::Relaxed) > 0, "the caps must bind");
    let booked = booked.lock().unwrap().clone();
    let life = |sum: &ringfence_kernel::Sum| (u128::from(sum.usd.nanos()), u128::from(sum.tokens));
    let mut calls = 0;
    for (account, (usd, tokens, settled)) in &booked {
        let sum = kernel.spent(account);
        assert_eq!(life(&sum), (*usd, *tokens), "{account:?}");
        assert!(sum.calls >= *settled, "{account:?}");
        if matches!(account, Account::Workspace(_)) {
            calls += settled;
        }
    }
    for spending in kernel.spending() {
        let sum = spending.sum;
        assert_eq!((sum.reserved_usd.nanos(), sum.reserved_tokens), (0, 0), "left: {spending:?}");
        // Time stands still, so every window holds all.
        assert_eq!(sum, kernel.spent(&spending.account), "{spending:?}");
    }
    assert!(calls > 0, "some must fit");
    println!("{calls} calls, {} refused, {samples} samples", refused.load(Ordering::Relaxed));
    let before = kernel.spending();
    kernel.ledger().close();
    drop((node, kernel));
    let again = nodes::open(folder.path(), Clock::manual(start()), config, &Faults::default()).await;
    assert_eq!(again.recovered.unknown, 0);
    assert_eq!(again.kernel.spending(), before, "from the log");
}
