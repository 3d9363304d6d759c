//! What the kernel must know and answer, as plain lists.

use std::collections::{BTreeMap, VecDeque};

use ringfence_types::{Code, SuspensionId};

use crate::approvals::{Binding, Request, State};
use crate::guards::{Breaker, Bucket, Done, Health, repeats};
use crate::steps::How;
use crate::world::{AGENTS, Args, CALL_TIMEOUT, Call, Config, SERVERS, TOKEN_TTL, TOOLS, USERS, Verdict};
use crate::world::{concurrent, repetition, wall};

#[derive(Debug, Default)]
pub struct Model {
    /// Seconds since the beginning.
    pub now: u64,
    pub config: Option<Config>,
    pub runs: Vec<Run>,
    pub suspensions: Vec<Suspension>,
    pub requests: Vec<Request>,
    /// Every action that was cleared.
    pub actions: Vec<Action>,
    /// By server of [`SERVERS`] and tool: the version given now, and the one pinned.
    pub tools: BTreeMap<(usize, &'static str), (Option<u8>, u8)>,
    pub waiters: Vec<Waiter>,
    /// Waiters whose request was replaced just now.
    pub replaced: VecDeque<usize>,
    breakers: BTreeMap<(&'static str, &'static str), Breaker>,
    buckets: BTreeMap<&'static str, Bucket>,
}

#[derive(Debug)]
pub struct Run {
    pub agent: usize,
    pub user: Option<&'static str>,
    pub expires_at: u64,
    pub first_used: Option<u64>,
    pub ended: bool,
    pub actions: u64,
    done: Vec<Done>,
}

#[derive(Debug)]
pub struct Suspension {
    pub id: Option<SuspensionId>,
    pub scope: Scope,
    pub until: Option<u64>,
    pub lifted: bool,
}

/// All that is given must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    pub workspace: Option<&'static str>,
    pub agent: Option<&'static str>,
    pub run: Option<usize>,
    pub server: Option<&'static str>,
    pub tool: Option<&'static str>,
    pub model: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Action {
    pub run: usize,
    pub call: Call,
    pub sent: Args,
    deadline: u64,
    probe: bool,
    /// Cut off from above.
    pub cut: bool,
    pub open: bool,
    /// It counts among the actions under way.
    pub under_way: bool,
}

/// A call that waits for a person.
#[derive(Debug, Clone, Copy)]
pub struct Waiter {
    pub run: usize,
    pub call: Call,
    pub request: usize,
    pub gone: bool,
}

/// The answer to a call, by places in the lists above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Refused(Code),
    Pending(usize),
    Cleared(usize),
}

impl Model {
    pub fn config(&self) -> Config {
        self.config.unwrap_or(Config::Base)
    }

    pub fn mint(&mut self, agent: usize, user: usize) {
        self.runs.push(Run {
            agent,
            user: USERS[user],
            expires_at: self.now + TOKEN_TTL,
            first_used: None,
            ended: false,
            actions: 0,
            done: Vec::new(),
        });
    }

    /// Decides a call, in the order of the design; `resumed` is the request it has waited for.
    pub fn admit(&mut self, run: usize, call: Call, resumed: Option<usize>) -> Answer {
        let answer = match self.decide(run, call, resumed) {
            Ok(answer) => answer,
            Err(code) => Answer::Refused(code),
        };
        let now = self.now;
        self.runs[run].first_used.get_or_insert(now);
        answer
    }

    fn decide(&mut self, run: usize, call: Call, resumed: Option<usize>) -> Result<Answer, Code> {
        self.standing(run, call)?;
        let version = self.current_version(run, call)?;
        let binding = Binding { run, server: call.server, tool: call.tool, version, requested: call.args };
        // Only the newest request of exactly this call counts.
        let newest = self.requests.iter().rposition(|request| request.binding == binding);
        let request = newest.filter(|newest| self.requests[*newest].is_live(self.now));
        let narrowed = request
            .map(|request| &self.requests[request])
            .filter(|request| request.narrowed && request.is_approved(self.now));
        let args = narrowed.map_or(call.args, |request| request.sent);
        let verdict = self.config().decide(call.tool, args)?;
        self.limits(run, call, &verdict)?;
        match self.approval(request, &verdict, resumed)? {
            Approval::NotNeeded => Ok(self.clear(run, call, &verdict)),
            Approval::Spend(request) => {
                self.requests[request].state = State::Spent;
                Ok(self.clear(run, call, &verdict))
            }
            Approval::Join(request) => Ok(Answer::Pending(request)),
            // People are asked about what the agent asked for, whatever an approver once made of it.
            Approval::Ask => self.config().decide(call.tool, call.args).map(|it| self.ask(binding, it)),
        }
    }

    /// Suspensions, identity, deadline: whether the run may act at all.
    fn standing(&self, run: usize, call: Call) -> Result<(), Code> {
        if self.suspensions.iter().any(|it| it.in_force(self.now) && self.covers(&it.scope, run, call)) {
            return Err(Code::Suspended);
        }
        let known = &self.runs[run];
        if self.now >= known.expires_at {
            return Err(Code::Deadline);
        }
        if known.ended {
            return Err(Code::Suspended);
        }
        let over = |wall: u64| known.first_used.is_some_and(|first| self.now >= first + wall);
        if wall(known.agent).is_some_and(over) { Err(Code::Deadline) } else { Ok(()) }
    }

    pub fn current_version(&self, run: usize, call: Call) -> Result<u8, Code> {
        let agent = self.runs[run].agent;
        if !self.config().holds(agent, call.server, call.tool) {
            return Err(Code::NotGranted);
        }
        let server = SERVERS.iter().position(|it| *it == (AGENTS[agent].0, call.server));
        let known = server.and_then(|server| self.tools.get(&(server, call.tool)));
        match known {
            None => Err(Code::NotGranted),
            Some((seen, pinned)) if *seen == Some(*pinned) => Ok(*pinned),
            Some(_) => Err(Code::DefinitionChanged),
        }
    }

    fn limits(&self, run: usize, call: Call, verdict: &Verdict) -> Result<(), Code> {
        let known = &self.runs[run];
        let workspace = AGENTS[known.agent].0;
        if concurrent(known.agent).is_some_and(|most| self.under_way(run) >= most) {
            return Err(Code::RateLimited);
        }
        if self.config().actions(known.agent).is_some_and(|most| known.actions >= most) {
            return Err(Code::OverBudget);
        }
        let bucket = self.buckets.get(workspace).copied().unwrap_or_default();
        if verdict.paced && !bucket.has_one(self.now) {
            return Err(Code::RateLimited);
        }
        let breaker = self.breakers.get(&(workspace, call.server)).copied().unwrap_or_default();
        if !breaker.lets_through(self.now) {
            return Err(Code::BreakerOpen);
        }
        let again = |bound| repeats(&known.done, (call.server, call.tool, call.args), bound);
        if repetition(known.agent).is_some_and(again) { Err(Code::Repetition) } else { Ok(()) }
    }

    fn approval(
        &self,
        request: Option<usize>,
        verdict: &Verdict,
        resumed: Option<usize>,
    ) -> Result<Approval, Code> {
        let needed = !verdict.requirements.is_empty();
        let Some(index) = request else {
            let expired = resumed.is_some_and(|it| self.requests[it].state == State::Expired);
            return match (needed, expired) {
                (false, _) => Ok(Approval::NotNeeded),
                (true, true) => Err(Code::ApprovalExpired),
                (true, false) => Ok(Approval::Ask),
            };
        };
        let request = &self.requests[index];
        match request.state {
            State::Denied { .. } if needed => Err(Code::ApprovalDenied),
            State::Approved { .. } if request.answers(verdict, self.now) => {
                // One approval releases one call, the oldest.
                let turn = resumed == Some(index) || request.line.is_empty();
                Ok(if turn { Approval::Spend(index) } else { Approval::Join(index) })
            }
            State::Waiting { .. } if needed && request.answers(verdict, self.now) => {
                Ok(Approval::Join(index))
            }
            _ if needed => Ok(Approval::Ask),
            _ => Ok(Approval::NotNeeded),
        }
    }

    fn ask(&mut self, binding: Binding, verdict: Verdict) -> Answer {
        // A request that today's rules do not accept is replaced; whoever waits for an older one joins the new one.
        let now = self.now;
        for older in &mut self.requests {
            if older.binding == binding {
                if older.is_live(now) {
                    older.state = State::Expired;
                }
                self.replaced.extend(&older.line);
            }
        }
        let wait = verdict.requirements.iter().map(|each| each.expires).min().unwrap_or(0);
        let until = self.now + wait;
        self.requests.push(Request {
            id: None,
            binding,
            user: self.runs[binding.run].user,
            by_rules: verdict.sent,
            sent: verdict.sent,
            narrowed: false,
            requirements: verdict.requirements,
            expires_at: until,
            yes: Vec::new(),
            state: State::Waiting { until },
            line: Vec::new(),
        });
        Answer::Pending(self.requests.len() - 1)
    }

    fn clear(&mut self, run: usize, call: Call, verdict: &Verdict) -> Answer {
        let known = &mut self.runs[run];
        let workspace = AGENTS[known.agent].0;
        known.actions += 1;
        let started = known.first_used.unwrap_or(self.now);
        let left = wall(known.agent).map_or(CALL_TIMEOUT, |wall| (started + wall).saturating_sub(self.now));
        if verdict.paced {
            self.buckets.entry(workspace).or_default().take(self.now);
        }
        // A breaker that nobody has heard of is closed: nothing to take.
        let probe = self.breakers.get_mut(&(workspace, call.server)).is_some_and(Breaker::take);
        self.actions.push(Action {
            run,
            call,
            sent: verdict.sent,
            deadline: self.now + left.min(CALL_TIMEOUT),
            probe,
            cut: false,
            open: true,
            under_way: true,
        });
        Answer::Cleared(self.actions.len() - 1)
    }

    pub fn under_way(&self, run: usize) -> usize {
        self.actions.iter().filter(|action| action.run == run && action.under_way).count()
    }

    /// An executor is done. Whether an outcome is written: the overdue were settled before.
    pub fn settle(&mut self, action: usize, how: How) -> bool {
        if how == How::Forgotten {
            return false;
        }
        let now = self.now;
        let action = &mut self.actions[action];
        action.under_way = false;
        let written = std::mem::take(&mut action.open);
        let (run, call, probe) = (action.run, action.call, action.probe);
        let (health, result) = match how {
            How::Completed { result } => (Health::Well, Some(format!("completed {result}"))),
            How::Failed => (Health::Ill, Some("failed".into())),
            How::Unreachable => (Health::Ill, Some("unreachable".into())),
            How::Said => (Health::Well, Some("said".into())),
            How::Cancelled | How::NotSent | How::Dropped | How::Forgotten => (Health::Untold, None),
        };
        if let Some(result) = result {
            self.runs[run].done.push(((call.server, call.tool, call.args), result));
        }
        let workspace = AGENTS[self.runs[run].agent].0;
        self.breakers.entry((workspace, call.server)).or_default().ended(health, probe, now);
        written
    }

    /// What has been under way for a minute more than it may is given up.
    pub fn give_up_overdue(&mut self) {
        let now = self.now;
        let overdue = self.actions.iter_mut().filter(|action| action.open && now > action.deadline + 60);
        for action in overdue {
            action.open = false;
            action.under_way = false;
            action.cut = true;
            let key = (AGENTS[self.runs[action.run].agent].0, action.call.server);
            self.breakers.entry(key).or_default().given_up(now);
        }
    }

    pub fn covers(&self, scope: &Scope, run: usize, call: Call) -> bool {
        let (workspace, agent) = AGENTS[self.runs[run].agent];
        scope.workspace.is_none_or(|it| it == workspace)
            && scope.agent.is_none_or(|it| it == agent)
            && scope.run.is_none_or(|it| it == run)
            && scope.server.is_none_or(|it| it == call.server)
            && scope.tool.is_none_or(|it| it == call.tool)
            // No call of a tool is one of a model.
            && scope.model.is_none()
    }

    /// A server lists its tools.
    pub fn list(&mut self, server: usize, changed: Option<&str>, missing: Option<&str>) {
        for tool in TOOLS {
            let version = u8::from(changed == Some(tool));
            let seen = (missing != Some(tool)).then_some(version);
            // The first list is believed, of each tool in it.
            self.tools.entry((server, tool)).or_insert((seen, version)).0 = seen;
        }
    }

    /// A person takes what the server gives as right.
    pub fn pin(&mut self, server: usize) {
        for ((at, _), (seen, pinned)) in &mut self.tools {
            if let Some(seen) = seen.filter(|_| *at == server) {
                *pinned = seen;
            }
        }
    }

    /// The node went down and is up again.
    pub fn restart(&mut self) {
        for action in &mut self.actions {
            action.open = false;
            action.under_way = false;
        }
        for request in &mut self.requests {
            request.line.clear();
        }
        for run in &mut self.runs {
            run.done.clear();
        }
        self.waiters.iter_mut().for_each(|waiter| waiter.gone = true);
        self.breakers.clear();
        self.buckets.clear();
    }
}

enum Approval {
    NotNeeded,
    Spend(usize),
    Join(usize),
    Ask,
}

impl Suspension {
    pub fn in_force(&self, now: u64) -> bool {
        !self.lifted && self.until.is_none_or(|until| now < until)
    }
}
