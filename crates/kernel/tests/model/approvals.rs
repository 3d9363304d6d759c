//! Requests for approval, as the design has them: bound to exactly one call, answered by enough different people who
//! may and whose run it is not, expiring, spent once.

use ringfence_types::ApprovalId;

use crate::world::{Args, PEOPLE, Requirement, Verdict};

/// What a request is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    pub run: usize,
    pub server: &'static str,
    pub tool: &'static str,
    /// Of the tool's definition.
    pub version: u8,
    pub requested: Args,
}

#[derive(Debug, Clone)]
pub struct Request {
    /// Known once the kernel has told it.
    pub id: Option<ApprovalId>,
    pub binding: Binding,
    pub user: Option<&'static str>,
    /// What goes out, as the rules would have it at first and as approvers have it now.
    pub by_rules: Args,
    pub sent: Args,
    pub narrowed: bool,
    pub requirements: Vec<Requirement>,
    pub expires_at: u64,
    pub yes: Vec<usize>,
    pub state: State,
    /// The calls that wait, the oldest first.
    pub line: Vec<usize>,
}

/// Times are in seconds; at the moment itself it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Waiting { until: u64 },
    Approved { until: u64 },
    Denied { until: u64 },
    Spent,
    Expired,
}

impl Request {
    pub fn is_live(&self, now: u64) -> bool {
        match self.state {
            State::Waiting { until } | State::Approved { until } | State::Denied { until } => now < until,
            State::Spent | State::Expired => false,
        }
    }

    pub fn is_waiting(&self, now: u64) -> bool {
        matches!(self.state, State::Waiting { until } if now < until)
    }

    pub fn is_approved(&self, now: u64) -> bool {
        matches!(self.state, State::Approved { until } if now < until)
    }

    /// Nobody answered, or nobody used the answer, in time.
    pub fn has_lapsed(&self, now: u64) -> bool {
        matches!(self.state, State::Waiting { until } | State::Approved { until } if now >= until)
    }

    /// Whether it answers what today's rules ask, for what would be sent today: while it waits, that is what the
    /// rules make of the call.
    pub fn answers(&self, verdict: &Verdict, now: u64) -> bool {
        let sent = if self.is_waiting(now) { self.by_rules } else { self.sent };
        sent == verdict.sent && verdict.requirements.iter().all(|each| self.requirements.contains(each))
    }

    /// Whether this person may say anything about it.
    pub fn may_answer(&self, person: usize) -> bool {
        self.user != Some(PEOPLE[person].0) && self.requirements.iter().any(|each| may(person, each))
    }

    /// A yes, possibly to less. Whether it was taken.
    pub fn approve(&mut self, person: usize, narrowed: Option<Args>, now: u64) -> bool {
        if !self.is_waiting(now) || !self.may_answer(person) || self.yes.contains(&person) {
            return false;
        }
        if let Some(narrowed) = narrowed {
            if narrowed != self.sent {
                // Those who said yes before said it to something else.
                self.yes.clear();
            }
            self.sent = narrowed;
            self.narrowed = true;
        }
        self.yes.push(person);
        let enough =
            |each: &Requirement| self.yes.iter().filter(|person| may(**person, each)).count() >= each.quorum;
        if self.requirements.iter().all(enough) {
            let validity = self.requirements.iter().map(|each| each.expires).min().unwrap_or(0);
            self.state = State::Approved { until: now + validity };
        }
        true
    }

    /// A no, also to what was approved and not used yet. Whether it was taken.
    pub fn deny(&mut self, person: usize, now: u64) -> bool {
        let open = self.is_waiting(now) || self.is_approved(now);
        let taken = open && self.may_answer(person);
        if taken {
            self.state = State::Denied { until: self.expires_at };
        }
        taken
    }
}

fn may(person: usize, requirement: &Requirement) -> bool {
    let role = PEOPLE[person].1;
    requirement.role.map_or_else(|| ["approver", "admin"].contains(&role), |wanted| wanted == role)
}
