//! The chapter on models: an agent that loops is stopped, and one that spends is stopped at its cap.

use ringfence_kernel::Account;

use super::agent::Order;
use super::story::{Stage, expect};
use crate::failure::Failure;

impl Stage<'_> {
    /// The model asks for the same failing tool again and again.
    pub(super) async fn goes_round_in_circles(&mut self) -> Result<(), Failure> {
        let step = "asks a model that asks for the same failing tool again and again";
        self.book.skip_to_end();
        let result = "Error: the table orders is locked".to_owned();
        let order = Order::Ask { says: "How many orders are open?".to_owned(), result: Some(result) };
        let (_, done) = self.cast.play(step, "planner", &order).await?;
        let refusal = self.entry(step, "refusal").await?;
        let as_told = done.refusal() == Some("repetition") && refusal.text("code") == "repetition";
        expect(step, as_told, done.text())?;
        self.line(
            "Its model repeats a call that fails.",
            &format!("Stopped after {} rounds: it is a loop.", done.answers()),
            &refusal,
        )
    }

    /// An agent spends until its budget is used up.
    pub(super) async fn spends(&mut self) -> Result<(), Failure> {
        let step = "spends its budget";
        self.book.skip_to_end();
        let order = Order::Ask { says: "Write a report.".to_owned(), result: None };
        let (run, done) = self.cast.play(step, "spender", &order).await?;
        let refusal = self.entry(step, "refusal").await?;
        let spent = self.kernel.spent(&Account::Run(run));
        let as_told = done.refusal() == Some("over_budget") && spent.reserved_usd.is_zero();
        expect(step, as_told, done.text())?;
        self.line(
            &format!("Another has {} reports written.", done.answers()),
            &format!("Stopped at ${} of its $0.05.", spent.usd),
            &refusal,
        )
    }
}
