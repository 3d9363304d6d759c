//! What an answer that is given out again used when it was made.

use bytes::Bytes;
use ringfence_json::parse;
use ringfence_kernel::Meter;
use ringfence_llm::answer::{self, Meter as Reading};
use ringfence_llm::events::Reader;
use ringfence_types::Usage;
use smol_str::SmolStr;

use super::plan::Plan;
use crate::Limits;

/// Answers above so many bytes are not read once more only to say what they saved.
const READ_BYTES_MAX: usize = 1 << 20;

/// Writes on the meter what the answer says that it used, if it is in the provider's own words and says so: a translation
/// leaves out what some tokens cost, and a client that did not ask for usage got none.
pub(super) fn tell(plan: &Plan, meter: &Meter, body: &Bytes, limits: &Limits) {
    if plan.is_translated() || body.len() > READ_BYTES_MAX {
        return;
    }
    let used = if plan.asked.stream { of_stream(plan, body, limits) } else { of_whole(plan, body, limits) };
    let Some((usage, tier)) = used else { return };
    meter.reported(usage, true);
    if let Some(tier) = tier {
        meter.tier(tier);
    }
}

fn of_whole(plan: &Plan, body: &Bytes, limits: &Limits) -> Option<(Usage, Option<SmolStr>)> {
    let answered = answer::whole(plan.upstream, &parse(body, &limits.upstream_json()).ok()?);
    Some((answered.usage?, answered.tier)).filter(|_| !answered.doubtful)
}

fn of_stream(plan: &Plan, body: &Bytes, limits: &Limits) -> Option<(Usage, Option<SmolStr>)> {
    let mut reading = Reading::new(plan.upstream, plan.served().tokenizer, false);
    let mut reader = Reader::new(limits.model_event_bytes);
    reader.push(body.clone());
    while let Some(event) = reader.next_event().ok()? {
        reading.event(&event).ok()?;
    }
    let counted = reading.counted();
    let is_known = counted.input_reported && counted.output_reported && !counted.doubtful;
    Some((counted.reported?, counted.tier)).filter(|_| is_known)
}
