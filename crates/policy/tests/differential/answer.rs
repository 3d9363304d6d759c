//! What the evaluator under test says, beside what it should.

use std::collections::BTreeSet;

use ringfence_policy::Verdict;
use ringfence_types::{Code as ProductCode, Role};

use crate::naive::{Answer, Code, Narrowed};
use crate::plain::Json;

/// Every difference, one a line; none if they agree.
pub fn differences(expected: &Answer, verdict: &Verdict, sent: &Json) -> Vec<String> {
    let mut differ = Differences(Vec::new());
    differ.unless_equal("decision", expected.decision, verdict.decision.as_str());
    differ.unless("rule", &expected.rules, &verdict.rule, |rules| match &verdict.rule {
        None => rules.is_empty(),
        Some(rule) => rules.contains(rule.as_str()),
    });
    differ.unless("reason", &expected.reason, &verdict.reason, |reason| {
        reason.as_ref().is_none_or(|reason| verdict.reason.contains(reason.as_str()))
    });
    let matched: Vec<_> =
        verdict.matched.iter().map(|one| (one.rule.to_string(), one.decision.as_str())).collect();
    differ.unless_equal("matched", &expected.matched, &matched);
    let shadowed: Vec<_> =
        verdict.shadowed.iter().map(|one| (one.rule.to_string(), one.decision.as_str())).collect();
    differ.unless_equal("shadowed", &expected.shadowed, &shadowed);
    let misfit = verdict.misfit.as_ref().map(|misfit| (misfit.rule.to_string(), code(misfit.code)));
    differ.unless("misfit", &expected.misfits, &misfit, |misfits| match &misfit {
        None => misfits.is_empty(),
        Some(misfit) => misfits.contains(misfit),
    });
    if expected.misfits.is_empty() && misfit.is_none() {
        differ.arguments(expected, verdict, sent);
    }
    differ.obligations(expected, verdict);
    differ.0
}

fn code(code: ProductCode) -> Code {
    match code {
        ProductCode::DeniedByPolicy => Code::Denied,
        ProductCode::InvalidInput => Code::Invalid,
        other => panic!("a policy does not refuse with {other}"),
    }
}

struct Differences(Vec<String>);

impl Differences {
    fn unless<E: std::fmt::Debug, F: std::fmt::Debug>(
        &mut self,
        what: &str,
        expected: &E,
        found: &F,
        agree: impl FnOnce(&E) -> bool,
    ) {
        if !agree(expected) {
            self.0.push(format!("{what}: should be {expected:?}, is {found:?}"));
        }
    }

    fn unless_equal<T: PartialEq + std::fmt::Debug + ?Sized>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.0.push(format!("{what}: should be {expected:?}, is {found:?}"));
        }
    }

    fn arguments(&mut self, expected: &Answer, verdict: &Verdict, sent: &Json) {
        let arguments = verdict.arguments.as_ref().map_or_else(|| sent.clone(), Json::of_product_object);
        self.unless_equal("arguments", &expected.arguments, &arguments);
        let narrowed: Vec<Narrowed> = verdict
            .narrowed
            .iter()
            .map(|one| Narrowed {
                pointer: one.pointer.clone(),
                from: Json::of_product(&one.from),
                to: Json::of_product(&one.to),
                rule: one.rule.to_string(),
            })
            .collect();
        self.unless_equal("number of narrowed arguments", &expected.narrowed.len(), &narrowed.len());
        self.unless_equal("narrowed", &expected.narrowed, &narrowed.into_iter().collect());
        let changed = !expected.narrowed.is_empty();
        self.unless_equal("whether arguments are given", &changed, &verdict.arguments.is_some());
    }

    fn obligations(&mut self, expected: &Answer, verdict: &Verdict) {
        self.unless_equal("number of approvals", &expected.approvals.len(), &verdict.approvals.len());
        for (expected, found) in expected.approvals.iter().zip(&verdict.approvals) {
            if let Some(rule) = &expected.rule {
                self.unless_equal("approval's rule", rule.as_str(), found.rule.as_str());
            }
            let approvers: BTreeSet<String> = found.approvers.iter().map(Role::to_string).collect();
            self.unless_equal("approvers", &expected.approvers, &approvers);
            self.unless_equal("quorum", &expected.quorum, &found.quorum);
            self.unless_equal("expires", &expected.expires_ms, &found.expires.as_millis());
        }
        let obligations = &verdict.obligations;
        self.unless_equal(
            "timeout",
            &expected.timeout_ms,
            &obligations.timeout.map(|timeout| timeout.as_millis()),
        );
        self.unless_equal("max_result_bytes", &expected.max_result_bytes, &obligations.max_result_bytes);
        let rates: Vec<_> = obligations
            .rates
            .iter()
            .map(|limit| (limit.rule.to_string(), limit.rate.count, limit.rate.per.as_millis()))
            .collect();
        self.unless_equal("rates", &expected.rates, &rates);
        self.unless_equal("length of redact", &expected.redact.len(), &obligations.redact.len());
        self.unless_equal("redact", &expected.redact, &obligations.redact.iter().cloned().collect());
    }
}
