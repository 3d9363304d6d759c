//! The chapter on models: an agent that loops is stopped, and one that spends is stopped at its cap.

use std::net::SocketAddr;

use ringfence_kernel::{Account, Actor, Mint};
use ringfence_types::{AgentName, UserName, WorkspaceName};

use super::chat::{Chat, Said};
use super::failed;
use super::story::{Stage, expect, name, not_as_told};
use crate::failure::Failure;

/// More calls than any of the two may make.
const CALLS_MAX: usize = 20;

/// Tokens that an answer may have.
const LIMIT: u64 = 1_000;

impl Stage<'_> {
    /// Mints a token for an agent and gives it to a chat client.
    async fn chat(&self, agent: &str, gateway: SocketAddr) -> Result<(Chat, Account), Failure> {
        let mint = Mint {
            workspace: name(WorkspaceName::new("demo"))?,
            agent: name(AgentName::new(agent))?,
            user: Some(name(UserName::new("erin"))?),
            conversation: None,
            ttl: std::time::Duration::from_mins(10),
        };
        let dana: &Actor = &self.dana;
        let minted = self.kernel.mint(mint, dana).await.map_err(|error| failed("mint a token", &error))?;
        let account = Account::Run(minted.run);
        Ok((Chat::new(gateway, minted.token.reveal().to_owned(), "planner"), account))
    }

    /// The model asks for the same failing tool again and again.
    pub(super) async fn goes_round_in_circles(&mut self, gateway: SocketAddr) -> Result<(), Failure> {
        let step = "asks a model that asks for the same failing tool again and again";
        let (mut chat, _) = self.chat("planner", gateway).await?;
        chat.user("How many orders are open?");
        self.book.skip_to_end();
        let (calls, said) = until_refused(step, async |_| {
            let said = ask(step, &chat).await?;
            chat.tool(&said, "Error: the table orders is locked");
            Ok(said)
        })
        .await?;
        let refusal = self.entry(step, "refusal").await?;
        let as_told = said.refusal() == Some("repetition") && refusal.text("code") == "repetition";
        expect(step, as_told, &said.text())?;
        self.line(
            "Its model repeats a call that fails.",
            &format!("Stopped after {calls} rounds: it is a loop."),
            &refusal,
        )
    }

    /// An agent spends until its budget is used up.
    pub(super) async fn spends(&mut self, gateway: SocketAddr) -> Result<(), Failure> {
        let step = "spends its budget";
        let (mut chat, account) = self.chat("spender", gateway).await?;
        chat.user("Write a report.");
        self.book.skip_to_end();
        let (calls, said) = until_refused(step, async |_| ask(step, &chat).await).await?;
        let refusal = self.entry(step, "refusal").await?;
        let spent = self.kernel.spent(&account);
        let as_told = said.refusal() == Some("over_budget") && spent.reserved_usd.is_zero();
        expect(step, as_told, &said.text())?;
        self.line(
            &format!("Another has {calls} reports written."),
            &format!("Stopped at ${} of its $0.05.", spent.usd),
            &refusal,
        )
    }
}

async fn ask(step: &str, chat: &Chat) -> Result<Said, Failure> {
    chat.ask(LIMIT).await.map_err(|error| not_as_told(step, error.to_string()))
}

/// Calls until the answer is no; how often it was yes, and the no.
async fn until_refused(
    step: &str,
    mut call: impl AsyncFnMut(usize) -> Result<Said, Failure>,
) -> Result<(usize, Said), Failure> {
    for calls in 0..CALLS_MAX {
        let said = call(calls).await?;
        if said.refusal().is_some() {
            return Ok((calls, said));
        }
    }
    Err(not_as_told(step, "nothing stopped it"))
}
