//! The demo's reading glass: what the log says of what just happened.

use std::time::Duration;

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_ledger::{Ledger, Payload};
use ringfence_types::{Digest, Timestamp};

/// How long an entry may take to become durable.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the log from where it was left off.
pub struct Book {
    ledger: Ledger,
    next: u64,
}

/// One entry.
pub struct Entry {
    /// Its place in the log.
    pub id: u64,
    body: Object,
}

// === impl Book ===

impl Book {
    /// A book opened at the end of the log.
    pub fn at_the_end(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), next: ledger.size() }
    }

    /// The next entry of that kind; entries before it are passed over. `None` if none comes in time.
    pub async fn next(&mut self, kind: &str) -> Option<Entry> {
        let give_up = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < give_up {
            let entries = self.ledger.read(self.next).ok()?;
            for entry in entries.map_while(Result::ok) {
                let body = parse(&entry.bytes, &Limits::default()).ok().and_then(Value::into_object)?;
                self.next = entry.id + 1;
                if body.text("kind") == Some(kind) {
                    return Some(Entry { id: entry.id, body });
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// What an entry names as a payload and is still kept, if it is an object.
    pub fn payload(&self, entry: &Entry, member: &str) -> Option<Object> {
        let name = entry.text(member).parse::<Digest>().ok()?;
        let Ok(Some(Payload::Content(content))) = self.ledger.payload(entry.id, &name) else { return None };
        parse(&content, &Limits::default()).ok()?.into_object()
    }

    /// The arguments that were sent by an intent.
    pub fn sent(&self, intent: &Entry) -> Object {
        let narrowed = self.payload(intent, "final_arguments");
        narrowed.or_else(|| self.payload(intent, "arguments")).unwrap_or_default()
    }

    /// Passes over everything that is in the log now.
    pub fn skip_to_end(&mut self) {
        self.next = self.ledger.size();
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.ledger.size()
    }
}

// === impl Entry ===

impl Entry {
    /// The text of a member; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.body.text(name).unwrap_or_default()
    }

    /// When it was written.
    pub fn at(&self) -> Option<Timestamp> {
        self.text("at").parse().ok()
    }

    /// The person that a member names, as a sentence begins.
    pub fn person(&self, member: &str) -> String {
        let mut letters = self.text(member).chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    /// The rule that decided, or what else did.
    pub fn rule(&self) -> &str {
        match self.text("rule") {
            "" => "no rule",
            rule => rule,
        }
    }

    /// Where arguments were narrowed, as JSON Pointers.
    pub fn narrowed(&self) -> Vec<&str> {
        let narrowed = self.body.get("narrowed").and_then(Value::as_array).unwrap_or_default();
        narrowed.iter().filter_map(|each| each.get("at")?.as_str()).collect()
    }

    /// Whether a member of that name is there.
    pub fn has(&self, name: &str) -> bool {
        self.body.contains(name)
    }

    /// How many members of an object are texts like this.
    pub fn count(&self, name: &str, like: impl Fn(&str) -> bool) -> usize {
        let members = self.body.get(name).and_then(Value::as_object).into_iter().flat_map(Object::iter);
        members.filter(|(_, value)| value.as_str().is_some_and(&like)).count()
    }
}
