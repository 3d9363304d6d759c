//! Calls that wait for people: who is released, by what, with which answer.

use std::collections::VecDeque;

use ringfence_types::Code;

use crate::approvals::State;
use crate::model::{Answer, Model, Scope, Waiter};
use crate::world::{Args, Call};

/// A call that waited and was answered.
#[derive(Debug, Clone, Copy)]
pub struct Released {
    pub waiter: usize,
    pub answer: Answer,
}

impl Model {
    /// An agent calls. Whether it then waits: one that is not patient is gone, and only calls that wait for the same
    /// request wait at once, so that it is certain who is next.
    pub fn call(&mut self, run: usize, call: Call, patient: bool) -> (Answer, Option<usize>, Vec<Released>) {
        let answer = self.admit(run, call, None);
        let waiter = self.wait(run, call, answer, patient);
        let replaced = std::mem::take(&mut self.replaced);
        (answer, waiter, self.wake(replaced))
    }

    fn wait(&mut self, run: usize, call: Call, answer: Answer, patient: bool) -> Option<usize> {
        let Answer::Pending(request) = answer else { return None };
        if !patient || self.waiters.iter().any(|waiter| !waiter.gone && waiter.request != request) {
            return None;
        }
        let waiter = self.waiters.len();
        self.waiters.push(Waiter { run, call, request, gone: false });
        self.requests[request].line.push(waiter);
        Some(waiter)
    }

    /// A person says yes, perhaps to less than was asked. Whether that was taken, and whom it released.
    pub fn approve(&mut self, request: usize, person: usize, less: Option<Args>) -> (bool, Vec<Released>) {
        if less.is_some_and(|less| !self.is_less(request, less)) {
            return (false, Vec::new());
        }
        let now = self.now;
        let taken = self.requests[request].approve(person, less, now);
        let first = self.next_in_line(request);
        (taken, self.wake(first.into_iter().collect()))
    }

    pub fn deny(&mut self, request: usize, person: usize) -> (bool, Vec<Released>) {
        let now = self.now;
        if !self.requests[request].deny(person, now) {
            return (false, Vec::new());
        }
        let line = self.requests[request].line.clone();
        (true, self.wake(line.into()))
    }

    /// Housekeeping: what nobody answered or used in time has expired, and the overdue are given up.
    pub fn tend(&mut self) -> Vec<Released> {
        let mut woken = VecDeque::new();
        let now = self.now;
        for request in self.requests.iter_mut().filter(|request| request.has_lapsed(now)) {
            request.state = State::Expired;
            woken.extend(&request.line);
        }
        self.give_up_overdue();
        self.wake(woken)
    }

    /// Everything in the scope is cut off. How many calls that is, and who no longer waits.
    pub fn cut(&mut self, scope: &Scope) -> (usize, Vec<Released>) {
        let mut cut = 0;
        for index in 0..self.actions.len() {
            let action = &self.actions[index];
            if action.under_way && self.covers(scope, action.run, action.call) {
                self.actions[index].cut = true;
                cut += 1;
            }
        }
        let mut released = Vec::new();
        for index in 0..self.waiters.len() {
            let waiter = self.waiters[index];
            if !waiter.gone && self.covers(scope, waiter.run, waiter.call) {
                self.waiters[index].gone = true;
                self.requests[waiter.request].line.retain(|other| *other != index);
                released.push(Released { waiter: index, answer: Answer::Refused(Code::Suspended) });
            }
        }
        (cut + released.len(), released)
    }

    /// Whether an approver may make that of the arguments: nothing that was not asked for, valid today, and no more
    /// than the rules leave.
    fn is_less(&self, request: usize, less: Args) -> bool {
        let binding = self.requests[request].binding;
        let named = match (binding.requested, less) {
            (_, Args::None) => true,
            (requested, less) => std::mem::discriminant(&requested) == std::mem::discriminant(&less),
        };
        let call = Call { server: binding.server, tool: binding.tool, args: less };
        named
            && self.current_version(binding.run, call).is_ok()
            && self.config().decide(binding.tool, less).is_ok_and(|verdict| verdict.sent == less)
    }

    fn next_in_line(&self, request: usize) -> Option<usize> {
        let request = &self.requests[request];
        request.line.first().copied().filter(|_| request.is_approved(self.now))
    }

    /// Each of these is decided again, in order; whoever leaves the line may make it another's turn.
    fn wake(&mut self, mut woken: VecDeque<usize>) -> Vec<Released> {
        let mut released = Vec::new();
        while let Some(index) = woken.pop_front() {
            let Waiter { run, call, request, .. } = self.waiters[index];
            let answer = self.admit(run, call, Some(request));
            self.requests[request].line.retain(|other| *other != index);
            if let Answer::Pending(next) = answer {
                self.waiters[index].request = next;
                self.requests[next].line.push(index);
            } else {
                self.waiters[index].gone = true;
                released.push(Released { waiter: index, answer });
            }
            let spent = matches!(answer, Answer::Cleared(_)) && self.requests[request].state == State::Spent;
            let others = if spent {
                self.requests[request].line.clone()
            } else {
                self.next_in_line(request).into_iter().collect()
            };
            let replaced = std::mem::take(&mut self.replaced);
            for other in replaced.into_iter().chain(others) {
                // Nobody is woken twice.
                if other != index && !woken.contains(&other) {
                    woken.push_back(other);
                }
            }
        }
        released
    }
}
