//! What legacy servers ask clients (MCP 2025-11-25, "Elicitation", "Sampling", "Roots"), and what of the answers goes
//! back: what MCP knows of them, and nothing beside it.

use std::collections::HashMap;
use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_types::ServerName;
use smol_str::SmolStr;

use super::link::{Link, WayBack};
use super::message::{Id, Notification, Request, Response, known_of};
use super::params;
use super::session::Session;
use crate::Limits;

/// What a server asked the client.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Who asked.
    pub(crate) server: ServerName,
    /// The way back. It does not keep a child that nobody needs any more.
    pub(crate) back: WayBack,
    /// Its identifier there.
    pub(crate) id: Id,
    /// What kind of answer it wants.
    method: SmolStr,
    /// The token under which it wants to hear of progress.
    token: Option<Value>,
}

/// The questions of a session that are not answered, under the identifiers the client knows.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: HashMap<Id, (u64, Question)>,
    asked: u64,
    askers: u64,
}

/// Somebody on whose stream a server may ask the client. Its questions end with it: an answer that comes later would
/// reach the server outside of what allowed the question.
#[derive(Debug)]
pub(crate) struct Asker {
    session: Arc<Session>,
    number: u64,
}

// === impl Question ===

impl Question {
    pub(crate) fn new(server: &ServerName, link: &Link, request: &Request) -> Self {
        Self {
            server: server.clone(),
            back: link.way_back(),
            id: request.id.clone(),
            method: request.method.clone(),
            token: request.meta().and_then(|meta| meta.get("progressToken")).cloned(),
        }
    }

    /// The client's answer, as it goes to the server.
    pub(crate) fn answer(&self, answer: Response) -> Response {
        let outcome = answer.outcome.map(|result| known_result(&self.method, &result));
        Response { id: Some(self.id.clone()), outcome }
    }
}

/// The members of an answer's result, by the question's method (MCP 2025-11-25, schema).
fn known_result(method: &str, result: &Object) -> Object {
    let known: &[&str] = match method {
        "elicitation/create" => &["action", "content", "_meta"],
        "sampling/createMessage" => &["role", "content", "model", "stopReason", "_meta"],
        "roots/list" => &["roots", "_meta"],
        _ => &[],
    };
    let mut result = known_of(result, known);
    params::cut_meta(&mut result);
    result
}

/// A client's word on how far it is with a question; `None` without a token.
pub(crate) fn progress(notification: &Notification) -> Option<Notification> {
    const KNOWN: [&str; 4] = ["progressToken", "progress", "total", "message"];
    let params = known_of(notification.params.as_ref()?, &KNOWN);
    params.contains("progressToken").then(|| Notification::new("notifications/progress", params))
}

// === impl Questions ===

impl Questions {
    /// The question that the client answers.
    pub(crate) fn answered(&mut self, id: &Id) -> Option<Question> {
        self.open.remove(id).map(|(_, question)| question)
    }

    /// The question whose server wants to hear of progress under this token.
    pub(crate) fn of_token(&self, token: &Value) -> Option<Question> {
        let wants = |question: &&Question| question.token.as_ref() == Some(token);
        self.open.values().map(|(_, question)| question).find(wants).cloned()
    }

    /// A server withdraws a question; gives the identifier that the client knows it by.
    pub(crate) fn withdraw(&mut self, server: &ServerName, id: &Id) -> Option<Id> {
        let asked =
            |(_, (_, question)): &(&Id, &(u64, Question))| question.server == *server && question.id == *id;
        let known = self.open.iter().find(asked).map(|(known, _)| known.clone())?;
        self.open.remove(&known);
        Some(known)
    }
}

// === impl Asker ===

impl Asker {
    pub(crate) fn new(session: &Arc<Session>) -> Self {
        let mut questions = session.questions.lock();
        questions.askers += 1;
        Self { session: Arc::clone(session), number: questions.askers }
    }

    /// Notes a question for the client; gives the identifier under which it is asked, `None` when as many as
    /// allowed are open.
    pub(crate) fn ask(&self, question: Question, limits: &Limits) -> Option<Id> {
        let mut questions = self.session.questions.lock();
        if questions.open.len() >= limits.session_questions {
            return None;
        }
        questions.asked += 1;
        let id = Id::Text(smol_str::format_smolstr!("ringfence-{}", questions.asked));
        questions.open.insert(id.clone(), (self.number, question));
        Some(id)
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.session.questions.lock().open.retain(|_, (asker, _)| *asker != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default())
            .unwrap()
            .into_object()
            .unwrap()
    }

    #[test]
    fn an_answer_keeps_what_its_question_has_and_nothing_else() {
        for (method, given, kept) in [
            (
                "elicitation/create",
                r#"{"action":"accept","Action":"x","content":{"a":1}}"#,
                r#"{"action":"accept","content":{"a":1}}"#,
            ),
            (
                "sampling/createMessage",
                r#"{"role":"assistant","tools":[],"model":"m"}"#,
                r#"{"role":"assistant","model":"m"}"#,
            ),
            ("roots/list", r#"{"roots":[],"_meta":{"x/secret":1}}"#, r#"{"roots":[],"_meta":{}}"#),
            ("shell/run", r#"{"a":1}"#, "{}"),
        ] {
            assert_eq!(Value::from(known_result(method, &object(given))).to_string(), kept, "{method}");
        }
    }

    #[test]
    fn progress_keeps_its_four_members() {
        let given =
            object(r#"{"progressToken":1,"progress":2,"Method":"tools/call","name":"x","message":"m"}"#);
        let told = progress(&Notification::new("notifications/progress", given)).unwrap();
        assert_eq!(
            Value::from(told.params.unwrap()).to_string(),
            r#"{"progressToken":1,"progress":2,"message":"m"}"#
        );
        assert_eq!(progress(&Notification::new("notifications/progress", object("{}"))), None);
    }
}
