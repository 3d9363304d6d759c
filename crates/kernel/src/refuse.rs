//! Refusals are entries like successes.

use ringfence_ledger::{RoomFor, SealedPayload};
use ringfence_types::{ActionId, Refusal};

use crate::admit::Attempt;
use crate::ask::Ask;
use crate::kernel::Inner;
use crate::objection::Objection;
use crate::record::{Record, RefusalRecord, Subject};
use crate::take::{rules, shadow};
use crate::text::bounded;

impl Inner {
    /// Records a refusal and makes the answer of it. What `attempt` asked for is kept with the first few of a kind.
    pub(crate) fn refuse(
        &self,
        ask: &Ask,
        action: ActionId,
        objection: Objection,
        attempt: Option<&Attempt<'_>>,
    ) -> Refusal {
        self.refuse_to(ask.subject(), action, objection, attempt)
    }

    /// As [`Inner::refuse`], also for what is no action.
    pub(crate) fn refuse_to(
        &self,
        subject: Subject,
        action: ActionId,
        objection: Objection,
        attempt: Option<&Attempt<'_>>,
    ) -> Refusal {
        let record = self.refusal_record(subject, action, &objection);
        let single = {
            let mut state = self.state.lock();
            *state.counts.refused.entry(objection.code).or_default() += 1;
            state.refusals.is_single(&record, self.clock.now())
        };
        if single {
            let asked = attempt.map(Attempt::recorded);
            let kept =
                asked.filter(|asked| self.state.lock().refusals.keeps(record.subject.run, asked.len()));
            let payload = kept.and_then(|kept| self.seal(&record.subject.workspace, &kept));
            let record = RefusalRecord { arguments: payload.as_ref().map(SealedPayload::name), ..record };
            let payloads = payload.into_iter().collect();
            // A refusal that the log cannot take is still a refusal: nothing was executed.
            let _ = self.state.lock().commit(&self.clock, &Record::Refusal(record), payloads, RoomFor::New);
        }
        objection.into_refusal(action)
    }

    fn refusal_record(&self, subject: Subject, action: ActionId, objection: &Objection) -> RefusalRecord {
        let verdict = objection.verdict.as_deref();
        RefusalRecord {
            subject,
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
