//! Whom a child's messages are for.

use std::collections::BTreeMap;

use ringfence_json::{Object, Value};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use crate::mcp::era::META_SUBSCRIPTION;
use crate::mcp::message::{Id, Message, Notification, Response};
use crate::mcp::method;

/// The calls under way with one child, by the identifier the node gave them, and who listens besides.
#[derive(Debug)]
pub(super) struct Routes {
    calls: BTreeMap<u64, Route>,
    listeners: Vec<Queue>,
    /// Whether the child may ask clients anything, or log to them: one that several runs share must not.
    questions: bool,
    closed: bool,
    /// Whether the child is to end once no call is under way, and what ends it.
    retiring: bool,
    stop: CancellationToken,
}

/// One call.
#[derive(Debug)]
pub(super) struct Route {
    /// The identifier that the request came with.
    pub(super) id: Id,
    /// The progress token that it came with.
    pub(super) token: Option<Value>,
    /// What comes before the answer.
    pub(super) messages: Queue,
    /// The answer.
    pub(super) answer: oneshot::Sender<Response>,
}

// === impl Routes ===

impl Routes {
    pub(super) fn new(questions: bool, stop: CancellationToken) -> Self {
        let (calls, listeners) = (BTreeMap::new(), Vec::new());
        Self { calls, listeners, questions, closed: false, retiring: false, stop }
    }

    /// A call is under way. After the end it is dropped, which its exchange sees.
    pub(super) fn add(&mut self, id: u64, route: Route) {
        if !self.closed {
            self.calls.insert(id, route);
        }
    }

    /// Whether the call was still waiting for its answer.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let waited = self.calls.remove(&id).is_some();
        self.retire_if_idle();
        waited
    }

    /// Ends the child once no call is under way.
    pub(super) fn retire(&mut self) {
        self.retiring = true;
        self.retire_if_idle();
    }

    fn retire_if_idle(&self) {
        if self.retiring && self.calls.is_empty() {
            self.stop.cancel();
        }
    }

    pub(super) fn listen(&mut self, listener: Queue) {
        self.listeners.retain(|listener| !listener.is_closed());
        if !self.closed {
            self.listeners.push(listener);
        }
    }

    /// The child has ended, or its channel is broken: whoever waits sees it.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.calls.clear();
        self.listeners.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.calls.is_empty() || self.listeners.iter().any(|listener| !listener.is_closed())
    }

    /// Gives a message that came in so many bytes to whom it is for. What nobody takes in time is dropped. Gives back the identifier of a
    /// question that nobody can be asked.
    pub(super) fn deliver(&mut self, message: Message, bytes: usize) -> Option<Id> {
        match message {
            Message::Response(response) => self.answer(response),
            Message::Notification(notification) => self.notify(notification, bytes),
            Message::Request(question) => {
                let id = question.id.clone();
                let known = self.questions && method::is_question(&question.method);
                let asked = known && self.offer(Message::Request(question), bytes);
                return (!asked).then_some(id);
            }
        }
        None
    }

    fn answer(&mut self, mut response: Response) {
        let number = match &response.id {
            Some(Id::Integer(number)) => number.as_u64(),
            _ => None,
        };
        // An answer to nothing is one that came after its call was called off.
        let Some(route) = number.and_then(|number| self.calls.remove(&number)) else { return };
        response.id = Some(route.id);
        // The call may have been called off in this moment.
        let _ = route.answer.send(response);
        self.retire_if_idle();
    }

    fn notify(&mut self, mut notification: Notification, bytes: usize) {
        if notification.method == "notifications/progress" {
            let number = notification.param("progressToken").and_then(Value::as_u64);
            if let Some(route) = number.and_then(|number| self.calls.get(&number)) {
                restore(&mut notification, "progressToken", route.token.clone());
                let _ = route.messages.offer(Message::Notification(notification), bytes);
            }
            return;
        }
        let subscription = notification.param("_meta").and_then(|meta| meta.get(META_SUBSCRIPTION));
        if let Some(number) = subscription.and_then(Value::as_u64) {
            if let Some(route) = self.calls.get(&number) {
                let id = route.id.to_value();
                if let Some(meta) = notification.params.as_mut().and_then(|params| params.get_mut("_meta")) {
                    meta.as_object_mut().map(|meta| meta.insert(META_SUBSCRIPTION, id));
                }
                let _ = route.messages.offer(Message::Notification(notification), bytes);
            }
            return;
        }
        if self.questions || method::is_list_change(&notification.method) {
            self.spread(&notification, bytes);
        }
    }

    /// Gives something to one who can deal with it: the newest call, or else whoever listens.
    fn offer(&mut self, message: Message, bytes: usize) -> bool {
        let calls = self.calls.values().rev().map(|route| &route.messages);
        let mut message = Some(message);
        for sender in calls.chain(&self.listeners) {
            let Some(offered) = message.take() else { return true };
            match sender.offer(offered, bytes) {
                Ok(()) => return true,
                Err(back) => message = Some(back),
            }
        }
        false
    }

    /// What belongs to no call goes to whoever listens; to the only call if nobody does.
    fn spread(&mut self, notification: &Notification, bytes: usize) {
        self.listeners.retain(|listener| !listener.is_closed());
        for listener in &self.listeners {
            let _ = listener.offer(Message::Notification(notification.clone()), bytes);
        }
        if self.listeners.is_empty()
            && let Some(route) = self.calls.values().next().filter(|_| self.calls.len() == 1)
        {
            let _ = route.messages.offer(Message::Notification(notification.clone()), bytes);
        }
    }
}

fn restore(notification: &mut Notification, name: &str, value: Option<Value>) {
    if let (Some(params), Some(value)) = (&mut notification.params, value) {
        let params: &mut Object = params;
        params.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::queue::{Queued, queue};
    use super::*;
    use crate::mcp::message::Request;

    fn route(id: u64, token: &str) -> (Route, mpsc::Receiver<Queued>, oneshot::Receiver<Response>) {
        let (messages, received) = queue(&crate::Limits::default());
        let (answer, answered) = oneshot::channel();
        (Route { id: id.into(), token: Some(token.into()), messages, answer }, received, answered)
    }

    fn progress(token: u64) -> Message {
        Message::Notification(Notification::new(
            "notifications/progress",
            Object::new().with("progressToken", token).with("progress", 1_u64),
        ))
    }

    #[test]
    fn answers_and_progress_find_their_call_under_its_own_identifier() {
        let mut routes = Routes::new(true, CancellationToken::new());
        let (first, mut first_messages, mut first_answer) = route(7, "mine");
        let (second, mut second_messages, _second_answer) = route(7, "mine");
        routes.add(1, first);
        routes.add(2, second);
        assert_eq!(routes.deliver(progress(1), 1), None);
        let Ok(Queued { message: Message::Notification(told), .. }) = first_messages.try_recv() else {
            panic!("progress")
        };
        assert_eq!(told.param("progressToken").and_then(Value::as_str), Some("mine"));
        assert!(second_messages.try_recv().is_err());
        routes.deliver(Message::Response(Response::result(1.into(), Object::new())), 1);
        assert_eq!(first_answer.try_recv().unwrap().id, Some(7.into()));
        for stray in [9_u64, 1] {
            routes.deliver(Message::Response(Response::result(stray.into(), Object::new())), 1);
        }
        assert!(!routes.remove(1) && routes.remove(2));
    }

    #[test]
    fn a_question_goes_to_the_newest_call_and_to_nobody_when_runs_share_the_child() {
        let question = || Message::Request(Request::new("q".into_id(), "elicitation/create", Object::new()));
        let mut routes = Routes::new(true, CancellationToken::new());
        assert_eq!(routes.deliver(question(), 1), Some("q".into_id()), "nobody is there");
        let (one, mut messages, _answer) = route(7, "t");
        routes.add(1, one);
        assert_eq!(routes.deliver(question(), 1), None);
        assert!(matches!(messages.try_recv(), Ok(Queued { message: Message::Request(_), .. })));
        let unknown = Message::Request(Request::new("q".into_id(), "shell/run", Object::new()));
        assert_eq!(routes.deliver(unknown, 1), Some("q".into_id()));
        let mut shared = Routes::new(false, CancellationToken::new());
        let (one, _messages, _answer) = route(7, "t");
        shared.add(1, one);
        assert_eq!(shared.deliver(question(), 1), Some("q".into_id()));
    }

    trait IntoId {
        fn into_id(self) -> Id;
    }

    impl IntoId for &str {
        fn into_id(self) -> Id {
            Id::Text(self.into())
        }
    }
}
