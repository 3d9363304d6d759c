//! The conversation in a request, as far as guards against loops look at it.
//!
//! A request for a model holds the whole conversation so far, so what an agent did can be read from it alone.

mod anthropic;
mod failed;
mod openai;
mod print;

use std::collections::{HashMap, VecDeque};

use ringfence_json::{Object, Value};
use ringfence_types::Digest;

use crate::Api;

/// How many steps are kept.
pub const STEPS_MAX: usize = 40;

/// What guards against loops look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// The beginning of the conversation: what the system says, and the first message of the user.
    pub root: Digest,
    /// The last 40 tool calls that have a result, in the order of the results.
    pub steps: Vec<Step>,
    /// Results of tools in the whole conversation.
    pub results: u64,
    /// Messages that the user wrote. One that brings results of tools is none, whatever else it has.
    pub users: u64,
    /// All messages; with the responses API, all items.
    pub messages: u64,
    /// The last message that the user wrote; the digest of nothing where there is none.
    pub last_user: Digest,
}

/// A tool call that has a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The tool's name and its arguments, however they were written.
    pub call: Digest,
    /// The result.
    pub result: Digest,
    /// Whether the tool failed. Anthropic's API says so. With OpenAI's nothing does, so it is told by the text: a
    /// result that begins with `Error`, `error:` or `An error occurred`, or is a JSON object in which `isError`,
    /// `is_error` or `error` is true, or `error` is a text.
    pub failed: bool,
}

/// A call as it stands in a request.
#[derive(Clone, Copy)]
struct Call<'a> {
    name: &'a str,
    arguments: Option<&'a Value>,
}

/// The result of a call.
#[derive(Clone, Copy)]
struct Outcome<'a> {
    content: Option<&'a Value>,
    /// Whether the API says that it failed; `None` where it cannot.
    failed: Option<bool>,
}

/// What is gathered from messages, before anything is digested.
#[derive(Default)]
struct Gathered<'a> {
    system: Vec<&'a Value>,
    first_user: Option<&'a Value>,
    last_user: Option<&'a Value>,
    users: u64,
    messages: u64,
    results: u64,
    /// Calls without a result, by their id.
    open: HashMap<&'a str, Call<'a>>,
    steps: VecDeque<(Call<'a>, Outcome<'a>)>,
}

// === impl Trail ===

impl Trail {
    /// The trail in a request that was walked through already: whatever it cannot make sense of, it leaves out.
    pub(super) fn of(api: Api, request: &Object) -> Self {
        let mut gathered = Gathered::default();
        match api {
            Api::Chat => openai::chat(request, &mut gathered),
            Api::Responses => openai::responses(request, &mut gathered),
            Api::Messages | Api::CountTokens => anthropic::messages(request, &mut gathered),
            Api::Embeddings => {}
        }
        gathered.digest()
    }
}

// === impl Gathered ===

impl<'a> Gathered<'a> {
    fn system(&mut self, content: Option<&'a Value>) {
        // What the system says later belongs to where the conversation went, not to where it began.
        if self.users == 0 {
            self.system.extend(content);
        }
    }

    fn user(&mut self, content: &'a Value) {
        self.users += 1;
        self.first_user = self.first_user.or(Some(content));
        self.last_user = Some(content);
    }

    fn call(&mut self, id: Option<&'a str>, name: &'a str, arguments: Option<&'a Value>) {
        if let Some(id) = id {
            // Some providers give the same ids again and again: the last call before a result is meant.
            self.open.insert(id, Call { name, arguments });
        }
    }

    fn result(&mut self, id: Option<&'a str>, outcome: Outcome<'a>) {
        self.results += 1;
        let Some(call) = id.and_then(|id| self.open.remove(id)) else { return };
        if self.steps.len() == STEPS_MAX {
            self.steps.pop_front();
        }
        self.steps.push_back((call, outcome));
    }

    fn digest(self) -> Trail {
        let mut bytes = Vec::new();
        let last_user = print::contents(self.last_user, &mut bytes);
        let steps = self.steps.iter().map(|(call, outcome)| Step {
            call: print::call(call.name, call.arguments, &mut bytes),
            result: print::contents(outcome.content, &mut bytes),
            failed: outcome.failed.unwrap_or_else(|| failed::is_failure(outcome.content)),
        });
        Trail {
            steps: steps.collect(),
            root: print::contents(self.system.iter().copied().chain(self.first_user), &mut bytes),
            results: self.results,
            users: self.users,
            messages: self.messages,
            last_user,
        }
    }
}
