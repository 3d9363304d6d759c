//! What one server says unasked, on its way to one client.

use std::sync::Arc;

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_kernel::Lease;
use ringfence_types::ServerName;
use tokio::sync::mpsc;

use super::era;
use super::flight::Caller;
use super::link::Link;
use super::message::{Id, Message, Notification, Request};
use super::passage::Passage;
use super::question::{Asker, Question};
use super::relay;
use super::session::Session;
use super::upstream::Exchange;
use super::upstream::queue::Queued;
use super::{discovery, method, sse};
use crate::gate::Gate;
use crate::http::outbound::Sender;

/// What one server says, on its way to one client.
pub(super) struct Pump {
    gate: Arc<Gate>,
    server: ServerName,
    session: Option<Arc<Session>>,
    caller: Caller,
    /// Asks the client for as long as the stream lives.
    asker: Option<Asker>,
    link: Link,
    sender: Sender,
    /// What allows the stream.
    lease: Lease,
    /// The client's own subscription, where the gate asked under another name.
    pub(super) subscription: Option<Id>,
    /// The request whose answer ends the stream.
    pub(super) request: Option<Id>,
}

/// Where the messages come from.
pub(super) enum Source {
    Exchange(Box<Exchange>),
    Channel(mpsc::Receiver<Queued>),
}

/// Until the session ends; forever where there is none.
pub(super) async fn ended(session: Option<&Arc<Session>>) {
    match session {
        Some(session) => session.ended.cancelled().await,
        None => std::future::pending().await,
    }
}

// === impl Pump ===

impl Pump {
    pub(super) fn new(
        caller: &Caller,
        server: &ServerName,
        link: Link,
        sender: Sender,
        lease: Lease,
    ) -> Self {
        Self {
            gate: Arc::clone(&caller.gate),
            server: server.clone(),
            session: caller.session.clone(),
            asker: caller.session.as_ref().map(Asker::new),
            caller: caller.clone(),
            link,
            sender,
            lease,
            subscription: None,
            request: None,
        }
    }

    /// Passes on what comes until somebody ends it.
    pub(super) async fn run(mut self, mut source: Source) {
        let keep_alive = self.gate.limits.keep_alive;
        let session = self.session.clone();
        let gate = Arc::clone(&self.gate);
        let cancel = self.lease.cancel().clone();
        let sender = self.sender.clone();
        loop {
            let came = tokio::select! {
                biased;
                () = sender.closed() => return,
                _ = cancel.cancelled() => return,
                () = gate.shutdown.cancelled() => return,
                () = ended(session.as_ref()) => return,
                came = tokio::time::timeout(keep_alive, source.next()) => came,
            };
            let passing = async {
                match came {
                    Err(_) => self.offer(Bytes::from_static(sse::COMMENT)).await,
                    Ok(Some(message)) => self.pass(message).await,
                    Ok(None) => None,
                }
            };
            // A server that does not take an answer, and a client that takes nothing, keep nobody from ending it.
            let passed = tokio::select! {
                biased;
                () = sender.closed() => return,
                _ = cancel.cancelled() => return,
                () = gate.shutdown.cancelled() => return,
                () = ended(session.as_ref()) => return,
                passed = passing => passed,
            };
            if passed.is_none() {
                return;
            }
        }
    }

    /// Passes one message on; `None` when there is nobody to pass it to, or it was the last.
    pub(super) async fn pass(&mut self, message: Message) -> Option<()> {
        match message {
            Message::Notification(notification) => match self.admit(notification) {
                Some(notification) => self.offer(sse::event(&notification.to_bytes()).into()).await,
                None => Some(()),
            },
            Message::Request(question) => self.ask(question).await,
            Message::Response(answer) => {
                if answer.id.is_some() && answer.id == self.request {
                    self.offer(sse::event(&answer.to_bytes()).into()).await;
                }
                None
            }
        }
    }

    fn admit(&self, mut notification: Notification) -> Option<Notification> {
        match notification.method.as_str() {
            method if method::is_list_change(method) => {
                discovery::refresh(&self.gate, &self.caller.run.workspace, &self.server);
            }
            "notifications/resources/updated"
            | "notifications/message"
            | "notifications/elicitation/complete" => {}
            // The gate has acknowledged for all servers.
            "notifications/subscriptions/acknowledged" if self.subscription.is_none() => {}
            _ => return None,
        }
        if let Some(subscription) = &self.subscription {
            let params = notification.params.get_or_insert_with(Object::new);
            let meta = Object::new().with(era::META_SUBSCRIPTION, subscription.to_value());
            match params.get_mut("_meta").and_then(Value::as_object_mut) {
                Some(own) => drop(own.insert(era::META_SUBSCRIPTION, subscription.to_value())),
                None => drop(params.insert("_meta", meta)),
            }
        }
        Some(notification)
    }

    async fn ask(&mut self, mut question: Request) -> Option<()> {
        let noted = Question::new(&self.server, &self.link, &question);
        let asker = self.asker.as_ref().filter(|_| method::is_question(&question.method));
        if let Some(id) = asker.and_then(|asker| asker.ask(noted, &self.gate.limits)) {
            question.id = id;
            return self.offer(sse::event(&question.to_bytes()).into()).await;
        }
        let declined = Message::Response(relay::declined(&question));
        let sending = self.link.send(&self.gate, Passage::Visit(&self.lease), &declined);
        let sent = tokio::time::timeout(self.gate.limits.errand_time, sending).await;
        tracing::debug!(sent = matches!(sent, Ok(Ok(()))), "a question was declined");
        Some(())
    }

    async fn offer(&self, event: Bytes) -> Option<()> {
        tokio::select! {
            biased;
            _ = self.lease.cancel().cancelled() => None,
            sent = self.sender.event(event) => sent.ok(),
        }
    }
}

// === impl Source ===

impl Source {
    async fn next(&mut self) -> Option<Message> {
        match self {
            Self::Channel(messages) => messages.recv().await.map(|queued| queued.message),
            Self::Exchange(exchange) => exchange.next().await.unwrap_or_else(|error| {
                tracing::debug!(%error, "an upstream's stream ended");
                None
            }),
        }
    }
}
