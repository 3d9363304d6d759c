//! What happens in the demo. Every line is made from the log entry that it names; a step that did not go as told is an
//! error.

use std::path::Path;
use std::time::{Duration, Instant};

use ringfence_control::Node;
use ringfence_json::Object;
use ringfence_kernel::{Actor, Kernel, Suspend};
use ringfence_sandbox::Layers;
use ringfence_types::{PersonName, Role, Scope, ServerName, Timestamp};

use super::agent::{Done, Order};
use super::book::{Book, Entry};
use super::cast::Cast;
use super::failed;
use super::servers::Servers;
use crate::client::{Address, Client};
use crate::failure::Failure;
use crate::output::Output;

/// Those who take part, and where it is told.
pub(super) struct Stage<'a> {
    output: Output,
    pub(super) kernel: &'a Kernel,
    servers: &'a Servers,
    pub(super) cast: Cast,
    pub(super) book: Book,
    dana: Actor,
}

/// Columns of what the agent does, and of what Ringfence says to it: with the entry's number, a line has 100.
const AGENT_WIDTH: usize = 43;
const SAYS_WIDTH: usize = 48;

/// The agent that uses tools.
const AGENT: &str = "assistant";

/// A step did not go as told.
pub(super) fn not_as_told(step: &str, found: impl AsRef<str>) -> Failure {
    Failure::no(format!("the demo's step \"{step}\" did not go as told: {}", found.as_ref()))
        .hint("with a policy of your own this can be right: read what it decided above")
}

/// Tells the story.
pub async fn tell(
    output: Output,
    node: &Node,
    servers: &Servers,
    folder: &Path,
    layers: &Layers,
    started: Instant,
) -> Result<(), Failure> {
    let client = Client::new(Address::in_folder(&folder.join("data")), None);
    let mut stage = Stage::set(output, node, servers, client.clone(), layers)?;
    let (agents, said) = if stage.cast.is_sandboxed() {
        ("agents in sandboxes", "")
    } else {
        ("agents", "No sandbox can be made here (ringfence doctor): the agents hold tokens instead.\n")
    };
    output.text(&format!(
        "Ringfence demo: {agents}, tool servers, a model, one person (Dana), one policy, one log.\n\
         The node was up on {} after {} ms; its data is in\n{}.\n{said}\n",
        node.addresses().gateway,
        started.elapsed().as_millis(),
        folder.display()
    ))?;
    stage.reads().await?;
    stage.is_narrowed().await?;
    stage.falls_for_an_injection().await?;
    stage.is_denied().await?;
    stage.waits_for_dana().await?;
    stage.meets_a_changed_tool().await?;
    stage.goes_round_in_circles().await?;
    stage.spends().await?;
    stage.tries_to_get_out(&client).await?;
    stage.is_suspended_in_mid_call().await
}

impl<'a> Stage<'a> {
    fn set(
        output: Output,
        node: &'a Node,
        servers: &'a Servers,
        client: Client,
        layers: &Layers,
    ) -> Result<Self, Failure> {
        let dana = Actor {
            person: name(PersonName::new("dana"))?,
            roles: vec![name(Role::new("approver"))?],
            owner: false,
        };
        let cast = Cast::new(node, &dana, client, layers);
        let book = Book::at_the_end(node.kernel().ledger());
        Ok(Self { output, kernel: node.kernel(), servers, cast, book, dana })
    }

    pub(super) fn line(&self, agent: &str, ringfence: &str, entry: &Entry) -> Result<(), Failure> {
        let ringfence = fitting(ringfence, SAYS_WIDTH);
        self.output.line(&format!("  {agent:<AGENT_WIDTH$} {ringfence:<SAYS_WIDTH$} #{}", entry.id))
    }

    async fn call(&self, step: &str, server: &str, tool: &str, arguments: Object) -> Result<Done, Failure> {
        call(&self.cast, step, server, tool, arguments).await
    }

    pub(super) async fn entry(&mut self, step: &str, kind: &str) -> Result<Entry, Failure> {
        let found = self.book.next(kind).await;
        found.ok_or_else(|| not_as_told(step, format!("the log has no entry of the kind {kind}")))
    }

    async fn reads(&mut self) -> Result<(), Failure> {
        let step = "reads the open orders";
        let given = self.call(step, "database", "query", Object::new().with("table", "orders")).await?;
        let intent = self.entry(step, "intent").await?;
        expect(step, !given.is_error() && intent.text("decision") == "ALLOW", intent.text("decision"))?;
        self.line("The agent reads the open orders.", &format!("Allowed by {}.", intent.rule()), &intent)
    }

    async fn is_narrowed(&mut self) -> Result<(), Failure> {
        let step = "fetches 20 pages";
        let arguments = Object::new().with("url", "https://shop.example").with("pages", 20_u64);
        let given = self.call(step, "web", "fetch", arguments).await?;
        let intent = self.entry(step, "intent").await?;
        let narrowed = intent.narrowed().join(", ");
        let as_told =
            !given.is_error() && intent.text("decision") == "ALLOW_WITH_CONSTRAINTS" && narrowed == "/pages";
        expect(step, as_told, intent.text("decision"))?;
        let sent = self.book.sent(&intent).get("pages").map(ToString::to_string).unwrap_or_default();
        let says = format!("Allowed: {narrowed} narrowed to {sent} by {}.", intent.rule());
        self.line("It fetches 20 pages of a web site.", &says, &intent)
    }

    async fn falls_for_an_injection(&mut self) -> Result<(), Failure> {
        let step = "mails the customer list";
        let before = self.servers.reached();
        let arguments = Object::new().with("to", "sales@rival.example").with("text", "all customers");
        let given = self.call(step, "mail", "send", arguments).await?;
        let refusal = self.entry(step, "refusal").await?;
        let as_told =
            given.is_error() && refusal.rule() == "mail-stays-inside" && self.servers.reached() == before;
        expect(step, as_told, given.text())?;
        let says = format!("Refused by {}: not sent.", refusal.rule());
        self.line("A page tells it to mail all customers away.", &says, &refusal)
    }

    async fn is_denied(&mut self) -> Result<(), Failure> {
        let step = "drops a table";
        let given = self.call(step, "database", "drop_table", Object::new().with("table", "orders")).await?;
        let refusal = self.entry(step, "refusal").await?;
        expect(step, given.is_error() && refusal.text("code") == "denied_by_policy", refusal.text("code"))?;
        self.line("It wants to drop a table.", &format!("Denied by {}.", refusal.rule()), &refusal)
    }

    async fn waits_for_dana(&mut self) -> Result<(), Failure> {
        let step = "deploys 50 replicas to production";
        let arguments = Object::new().with("name", "shop").with("namespace", "app").with("replicas", 50_u64);
        let (kernel, dana, book) = (self.kernel, &self.dana, &mut self.book);
        let calling = call(&self.cast, step, "cluster", "deploy_app", arguments);
        let answering = async {
            let pending = book.next("pending").await?;
            let approval = pending.text("approval").parse().ok()?;
            let shown = kernel.approval(approval)?.will_send?.get("replicas")?.to_string();
            kernel.approve(approval, dana, None, Some(&format!("{shown} is fine"))).await.ok()?;
            let answer = book.next("approval").await?;
            let intent = book.next("intent").await?;
            Some((pending, shown, answer, intent))
        };
        let (given, answered) = tokio::join!(calling, answering);
        let given = given?;
        let Some((pending, shown, answer, intent)) = answered else {
            return Err(not_as_told(step, "nobody was asked"));
        };
        let sent = self.book.sent(&intent).get("replicas").map(ToString::to_string).unwrap_or_default();
        let deployed = given.text().contains(&format!("with {sent} replicas"));
        let as_told = !given.is_error() && deployed && intent.has("approval") && shown == sent;
        expect(step, as_told, given.text())?;
        let says = format!("Waits for a person, by {}.", pending.rule());
        self.line("It deploys 50 replicas to production.", &says, &pending)?;
        let who = format!("{} sees {shown} replicas and approves.", answer.person("approver"));
        self.line("", &who, &answer)?;
        self.line("", &format!("The waiting call goes through, with {sent}."), &intent)
    }

    async fn meets_a_changed_tool(&mut self) -> Result<(), Failure> {
        let step = "uses a tool whose definition changed";
        self.servers.rewrite_definition();
        let order = Order::Tools { server: "web".to_owned() };
        let (_, shown) = self.cast.play(step, AGENT, &order).await?;
        let incident = self.entry(step, "incident").await?;
        let arguments = Object::new().with("url", "https://shop.example").with("pages", 1_u64);
        let given = self.call(step, "web", "fetch", arguments).await?;
        let refusal = self.entry(step, "refusal").await?;
        let as_told = shown.tools() == 0
            && given.is_error()
            && incident.text("event") == "definition_changed"
            && refusal.text("code") == "definition_changed";
        expect(step, as_told, refusal.text("code"))?;
        let says = "Its tool is hidden until a person looks at it.";
        self.line("A server rewrites its tool under the agent.", says, &incident)?;
        self.line(
            "It uses the tool all the same.",
            "Refused: the definition is not the approved one.",
            &refusal,
        )
    }

    async fn is_suspended_in_mid_call(&mut self) -> Result<(), Failure> {
        let step = "is suspended while it exports a table";
        let (kernel, dana, book) = (self.kernel, &self.dana, &mut self.book);
        let table = Object::new().with("table", "customers");
        let calling = call(&self.cast, step, "database", "export", table);
        let suspending = async {
            book.next("intent").await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let scope = Scope { server: ServerName::new("database").ok(), ..Scope::default() };
            let request = Suspend { scope, reason: "too much is leaving".into(), duration: None };
            kernel.suspend(request, dana).await.ok()
        };
        let (given, _) = tokio::join!(calling, suspending);
        let given = given?;
        let suspension = self.entry(step, "suspension").await?;
        let outcome = self.entry(step, "outcome").await?;
        expect(step, given.is_error() && outcome.text("code") == "suspended", given.text())?;
        let (who, what) = (suspension.person("by"), suspension.text("server"));
        let says = format!("{who} suspends the {what}.");
        self.line("It exports all customers, which takes long.", &says, &suspension)?;
        let took = format_ms(&suspension, &outcome);
        self.line("", &format!("Cut off {took} ms after that; the agent is told."), &outcome)?;
        self.book.skip_to_end();
        let given = self.call(step, "database", "query", Object::new().with("table", "orders")).await?;
        let refusal = self.entry(step, "refusal").await?;
        expect(step, given.is_error() && refusal.text("code") == "suspended", refusal.text("code"))?;
        self.line("It tries again.", &format!("Refused, until {who} lifts it."), &refusal)?;
        self.output
            .line(&format!("\n  {} entries tell all of it, refusals like successes.", self.book.size()))
    }
}

async fn call(cast: &Cast, step: &str, server: &str, tool: &str, arguments: Object) -> Result<Done, Failure> {
    let order = Order::Call { server: server.to_owned(), tool: tool.to_owned(), arguments };
    cast.play(step, AGENT, &order).await.map(|(_, done)| done)
}

pub(super) fn expect(step: &str, as_told: bool, found: &str) -> Result<(), Failure> {
    if as_told { Ok(()) } else { Err(not_as_told(step, crate::safe(found))) }
}

pub(super) fn name<T, E: std::fmt::Display>(name: Result<T, E>) -> Result<T, Failure> {
    name.map_err(|error| failed("name the demo's people", &error))
}

/// The time from one entry to another, in milliseconds, as the log has it.
fn format_ms(from: &Entry, to: &Entry) -> String {
    let micros = |entry: &Entry| entry.at().map_or(0, Timestamp::as_micros);
    let took = micros(to).saturating_sub(micros(from));
    format!("{}.{}", took / 1000, took % 1000 / 100)
}

/// Text in so many columns; what does not fit is cut off, and that is seen.
fn fitting(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns - 1).collect();
    format!("{kept}…")
}
