//! One model of the list.

use std::collections::BTreeMap;

use ringfence_json::{Number, Object, Value};
use ringfence_types::{Money, Price, Rates, Schedule};
use smol_str::SmolStr;

use super::Remark;
use super::key::{KINDS, Kind, Meaning, meaning};
use crate::decimal::{Amount, Bad, dollars, per_token, whole};
use crate::{Entry, Known, name};

/// The modes whose calls are priced by tokens that are read and written.
const MODES: [&str; 4] = ["chat", "responses", "completion", "embedding"];

/// The longest source that is taken over, in bytes.
const SOURCE_BYTES_MAX: usize = 512;

/// The name under which OpenAI and Anthropic host a search of the web.
const WEB_SEARCH: &str = "web_search";

/// Amounts by kind, where there are some.
type Row = [Option<Money>; KINDS];

/// Rows by the tokens from which they hold, and by service tier.
type Rows<'k> = BTreeMap<(Option<&'k str>, Option<u64>), Row>;

/// Reads one model, or says why it cannot be priced.
pub fn read(name: &SmolStr, object: &Object, remarks: &mut Vec<Remark>) -> Result<Entry, String> {
    if !name::fits(name) {
        return Err("its name is too long or has characters that no name has here".into());
    }
    let mode = object.text("mode").ok_or("it has no `mode`")?;
    if !MODES.contains(&mode) {
        return Err(format!("calls of the mode `{}` are not priced by tokens", short(mode)));
    }
    let mut reading = Reading { name, remarks, rows: Rows::new() };
    reading.amounts(object)?;
    reading.ranges(object)?;
    let writes_nothing = mode == "embedding";
    let standard =
        reading.schedule(None, writes_nothing)?.ok_or("it has no price for tokens that are read")?;
    if is_nothing(&standard) {
        return Err("it costs nothing there: if that is so, write `price: free` yourself".into());
    }
    dearer_kinds(object, &standard.base)?;
    let mut tiers = Vec::new();
    for tier in ["flex", "priority"] {
        // A tier that is not wholly priced is none: asking for it is refused.
        let schedule = reading.schedule(Some(tier), writes_nothing).unwrap_or_default();
        tiers.extend(schedule.map(|schedule| (SmolStr::new_static(tier), schedule)));
    }
    let hosted = reading.search(object)?.map(|price| (SmolStr::new_static(WEB_SEARCH), price));
    let source = object.text("source").filter(|source| is_source(source)).unwrap_or_default().into();
    let price =
        Price { standard, tiers, hosted: hosted.into_iter().collect(), source, as_of: SmolStr::default() };
    let tokens = |key: &str| object.get(key)?.as_number().and_then(whole).filter(|tokens| *tokens > 0);
    let known = Known {
        price,
        context: tokens("max_input_tokens"),
        max_output: tokens("max_output_tokens"),
        tokenizer: None,
        image_tokens: None,
    };
    Ok(Entry { name: name.clone(), known, dated: false })
}

struct Reading<'k, 'r> {
    name: &'k SmolStr,
    remarks: &'r mut Vec<Remark>,
    rows: Rows<'k>,
}

// === impl Reading ===

impl<'k> Reading<'k, '_> {
    /// All keys about money.
    fn amounts(&mut self, object: &'k Object) -> Result<(), String> {
        for (key, value) in object.iter() {
            match meaning(key) {
                Meaning::Rate { kind, above, tier } => {
                    if let Some(number) = value.as_number() {
                        let money = self.money(key, number, per_token)?;
                        self.rows.entry((tier, above)).or_default()[kind.index()] = Some(money);
                    } else if !value.is_null() {
                        return Err(format!("`{key}` is no number"));
                    }
                }
                Meaning::Unpriceable if is_something(value) => {
                    return Err(format!("`{}` cannot be said as a price of tokens", short(key)));
                }
                Meaning::LeftOut if is_something(value) => {
                    self.remarks.push(Remark::LeftOut { name: self.name.clone(), key: key.clone() });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `tiered_pricing`: amounts by the range of tokens that a call reads.
    fn ranges(&mut self, object: &'k Object) -> Result<(), String> {
        let unlike = || "`tiered_pricing` is not a list of ranges and amounts".to_owned();
        let Some(value) = object.get("tiered_pricing").filter(|value| !value.is_null()) else {
            return Ok(());
        };
        for range in value.as_array().ok_or_else(unlike)? {
            let range = range.as_object().ok_or_else(unlike)?;
            let from = range.get("range").and_then(|range| range.pointer("/0"));
            let from = from.and_then(Value::as_number).and_then(whole).ok_or_else(unlike)?;
            for (key, value) in range.iter().filter(|(key, _)| *key != "range") {
                let (Meaning::Rate { kind, above: None, tier: None }, Some(number)) =
                    (meaning(key), value.as_number())
                else {
                    return Err(unlike());
                };
                let money = self.money(key, number, per_token)?;
                let above = (from > 0).then_some(from);
                self.rows.entry((None, above)).or_default()[kind.index()] = Some(money);
            }
        }
        Ok(())
    }

    fn money(
        &mut self,
        key: &SmolStr,
        number: &Number,
        read: fn(&Number) -> Result<Amount, Bad>,
    ) -> Result<Money, String> {
        let amount = read(number).map_err(|bad| match bad {
            Bad::Negative => format!("`{key}` is less than nothing"),
            Bad::TooMuch => format!("`{key}` is more than can be kept"),
        })?;
        if amount.rounded {
            self.remarks.push(Remark::Rounded { name: self.name.clone(), key: key.clone() });
        }
        Ok(amount.money)
    }

    /// The prices of one tier; `None` where it has none.
    fn schedule(&self, tier: Option<&str>, writes_nothing: bool) -> Result<Option<Schedule>, String> {
        let Some(first) = self.rows.get(&(tier, None)) else { return Ok(None) };
        let Some(input) = first[Kind::Input.index()] else { return Ok(None) };
        let output = first[Kind::Output.index()].or(writes_nothing.then_some(Money::ZERO));
        let output = output.ok_or("it has no price for tokens that are written")?;
        self.is_whole(first)?;
        let base = rates(first, input, output);
        let mut steps = Vec::new();
        for ((of, above), row) in &self.rows {
            let Some(above) = above.filter(|_| *of == tier) else { continue };
            self.is_whole(row)?;
            let input = row[Kind::Input.index()].unwrap_or(base.input);
            steps.push((above, rates(row, input, row[Kind::Output.index()].unwrap_or(base.output))));
        }
        Ok(Some(Schedule { base, steps }))
    }

    /// A kind that is dearer than text in the model's first prices would be too cheap where its price is left out.
    fn is_whole(&self, row: &Row) -> Result<(), String> {
        let Some(first) = self.rows.get(&(None, None)) else { return Ok(()) };
        for (kinds, than) in [
            (&[Kind::Write][..], Kind::Input),
            (&[Kind::WriteHour, Kind::WriteLonger], Kind::Input),
            (&[Kind::Reasoning], Kind::Output),
        ] {
            let dearest = |row: &Row| kinds.iter().filter_map(|kind| row[kind.index()]).max();
            if dearest(first) > first[than.index()] && dearest(row).is_none() {
                return Err("a kind of token that is dearer than text has not all its prices".into());
            }
        }
        Ok(())
    }

    /// What one search of the web costs: the dearest of its sizes.
    fn search(&mut self, object: &Object) -> Result<Option<Money>, String> {
        let Some(sizes) = object.get("search_context_cost_per_query").and_then(Value::as_object) else {
            return Ok(None);
        };
        let mut dearest = None;
        for (key, value) in sizes.iter() {
            let number = value.as_number().ok_or_else(|| format!("`{key}` is no number"))?;
            dearest = dearest.max(Some(self.money(key, number, dollars)?));
        }
        Ok(dearest)
    }
}

/// Images and sound are tokens like others here: where they are dearer, a call could cost more than is thought.
fn dearer_kinds(object: &Object, base: &Rates) -> Result<(), String> {
    for (key, value) in object.iter() {
        let most = match meaning(key) {
            Meaning::ImageRead => base.input,
            Meaning::OtherWritten => base.output,
            _ => continue,
        };
        let amount = value.as_number().map(per_token).transpose().ok().flatten();
        if amount.is_none_or(|amount| amount.money > most) && is_something(value) {
            return Err(format!("`{}` is dearer than text, and both are tokens here", short(key)));
        }
    }
    Ok(())
}

/// What is left out costs as text that is read, or written.
fn rates(row: &Row, input: Money, output: Money) -> Rates {
    let of = |kind: Kind| row[kind.index()];
    Rates {
        input,
        cached_input: of(Kind::Cached).unwrap_or(input),
        cache_write: of(Kind::Write).unwrap_or(input),
        cache_write_1h: of(Kind::WriteHour).max(of(Kind::WriteLonger)).or(of(Kind::Write)).unwrap_or(input),
        output,
        reasoning: of(Kind::Reasoning).unwrap_or(output),
    }
}

/// Whether it is more than zero or nothing at all.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Number(number) => number
            .as_str()
            .split(['e', 'E'])
            .next()
            .is_some_and(|mantissa| mantissa.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0')),
        _ => true,
    }
}

fn is_source(text: &str) -> bool {
    text.len() <= SOURCE_BYTES_MAX && !text.chars().any(char::is_control)
}

/// A stranger's word, cut.
fn short(text: &str) -> &str {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Whether no token costs anything.
fn is_nothing(schedule: &Schedule) -> bool {
    let all = std::iter::once(&schedule.base).chain(schedule.steps.iter().map(|(_, rates)| rates));
    all.into_iter().all(|rates| *rates == Rates::default())
}
