//! Refusals are entries like successes.

use ringfence_json::Object;
use ringfence_ledger::{RoomFor, SealedPayload};
use ringfence_types::{ActionId, Refusal};

use crate::Proposal;
use crate::kernel::Inner;
use crate::record::{Record, RefusalRecord, Subject};
use crate::take::{rules, shadow};
use crate::text::bounded;
use crate::weigh::Objection;

impl Inner {
    /// Records a refusal and makes the answer of it. `arguments` are kept with the first few of a kind.
    pub(crate) fn refuse(
        &self,
        proposal: &Proposal,
        action: ActionId,
        objection: Objection,
        arguments: Option<&Object>,
    ) -> Refusal {
        let payload =
            arguments.and_then(|arguments| self.seal(&proposal.run.workspace, &arguments.to_canonical()));
        let record = self.refusal_record(proposal, action, &objection);
        let now = self.clock.now();
        let mut state = self.state.lock();
        *state.counts.refused.entry(objection.code).or_default() += 1;
        if state.refusals.is_single(&record, now) {
            let record = RefusalRecord { arguments: payload.as_ref().map(SealedPayload::name), ..record };
            // A refusal that the log cannot take is still a refusal: nothing was executed.
            let _ = state.commit(
                &self.clock,
                &Record::Refusal(record),
                payload.into_iter().collect(),
                RoomFor::New,
            );
        }
        Refusal {
            code: objection.code,
            action,
            rule: objection.rule,
            reason: objection.reason,
            approval: objection.approval,
            retry_after: objection.retry_after,
        }
    }

    fn refusal_record(&self, proposal: &Proposal, action: ActionId, objection: &Objection) -> RefusalRecord {
        let verdict = objection.verdict.as_deref();
        RefusalRecord {
            subject: Subject::of(&proposal.run, &proposal.server, proposal.call.tool_name()),
            action,
            code: objection.code,
            rule: objection.rule.clone(),
            rules: verdict.map(rules).unwrap_or_default(),
            shadow: verdict.map(shadow).unwrap_or_default(),
            reason: bounded(&objection.reason),
            approval: objection.approval,
            arguments: None,
            count: 1,
            facts: objection.facts.clone(),
            config: self.setup.load().digest,
        }
    }
}
