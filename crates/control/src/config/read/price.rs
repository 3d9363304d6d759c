//! What a model costs: as its own `price` says, else as the first file of `prices:` that knows it, else as the table
//! that ships.

use std::path::Path;

use ringfence_document::{Fields, Key, Node, Report, nearest};
use ringfence_prices::{Known, Said, Vendor, read_price, shipped, shipped_entries};
use ringfence_types::Price;

use super::super::ProviderConfig;
use super::{Origin, provider};

/// What is written for a price.
const PRICE_SHAPE: &str =
    "write `price: { input: 0.20, output: 0.80 }`, in US dollars for a million tokens, decimals with a point";

/// A model whose price is wanted.
pub(super) struct Wanted<'w> {
    /// Where the file names it.
    pub key: &'w Key,
    /// Every model of the workspace, whose prices its own can name.
    pub beside: &'w [(Key, Node)],
    /// Its own `price`.
    pub written: Option<&'w Node>,
    /// The provider's name for it; `None` where nobody serves it and it stands for no other.
    pub model: Option<&'w str>,
    /// Whose it is; `None` where that makes no difference.
    pub vendor: Option<Vendor>,
    /// Where it is served, and where the file says so, unless that is the vendor's own address.
    pub elsewhere: Option<(&'w str, &'w Node)>,
}

/// Where a price was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    File,
    Shipped,
}

// === impl Wanted ===

impl Wanted<'_> {
    /// What is known of it, its price above all. Without a price, or with one that cannot be read, there is an error and
    /// the price is none to be used.
    pub(super) fn known(&self, origin: Origin<'_>, report: &mut Report) -> Known {
        let found = self.model.and_then(|model| find(model, self.vendor, origin));
        let (known, from) = found.map_or((Known::default(), None), |(known, from)| (known, Some(from)));
        let price = match self.written {
            Some(node) => own(node, self.key, self.beside, origin, report),
            None if from.is_some() => Some(known.price.clone()),
            None => {
                self.missing(origin, report);
                None
            }
        };
        if self.written.is_none() && from == Some(Found::Shipped) {
            self.warn_elsewhere(report);
        }
        if let Some(price) = &price {
            self.warn_old(price, origin, report);
        }
        Known { price: price.unwrap_or_default(), ..known }
    }

    fn missing(&self, origin: Origin<'_>, report: &mut Report) {
        let own =
            "write `price: { input: …, output: … }`, in US dollars for a million tokens, or `price: free`";
        let (message, hint) = match self.model {
            Some(model) => {
                let shown = crate::shown::line(model);
                let near = near(model, self.vendor, origin);
                let near = near.map(|near| format!("did you mean `{near}`? else ")).unwrap_or_default();
                (
                    format!("model `{}` has no price: `{shown}` is not known", self.name()),
                    format!("{near}{own}"),
                )
            }
            None => (
                format!("model `{}` has no price", self.name()),
                format!("{own}, or `model: …`, the one it stands for"),
            ),
        };
        report.error_with_hint(self.key.place, message, hint);
    }

    fn warn_elsewhere(&self, report: &mut Report) {
        if let (Some((host, node)), Some(vendor)) = (self.elsewhere, self.vendor) {
            let message = format!(
                "model `{}` gets the price of {}; {host} may charge another",
                self.name(),
                vendor.host()
            );
            report.warning_with_hint(node.place, message, "write `price: …` to say what is charged there");
        }
    }

    fn warn_old(&self, price: &Price, origin: Origin<'_>, report: &mut Report) {
        if !price.as_of.is_empty() && price.as_of.as_str() < year_before(origin.today).as_str() {
            let message = format!("the price of model `{}` is from {}", self.name(), price.as_of);
            let hint = "look whether it still holds; `ringfence prices import` takes in a newer list";
            report.warning_with_hint(self.key.place, message, hint);
        }
    }

    fn name(&self) -> String {
        crate::shown::line(&self.key.text)
    }
}

/// `free`, a mapping, or the name of a model that costs the same: one that a price list knows, by the provider's name,
/// or another one of the workspace (`beside`). `key` is the model whose price it is.
pub(super) fn own(
    node: &Node,
    key: &Key,
    beside: &[(Key, Node)],
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<Price> {
    let Some(name) = name_in(node) else { return written(node, origin, report) };
    if is_number(name) {
        report.error_with_hint(node.place, "a price is of what is read and of what is written", PRICE_SHAPE);
        return None;
    }
    if let Some((known, _)) = find(name, None, origin) {
        return Some(known.price);
    }
    match of_another(name, key, beside, origin) {
        Ok(price) => Some(price),
        Err(message) => {
            report.error_with_hint(node.place, message, hint(name, key, beside, origin));
            None
        }
    }
}

/// The price of another model of the workspace, which may name a third; else what is wrong.
fn of_another(name: &str, key: &Key, beside: &[(Key, Node)], origin: Origin<'_>) -> Result<Price, String> {
    // What is wrong with another model is reported where that stands.
    let unseen = &mut Report::new(origin.source);
    let (mut way, mut name) = (vec![key.text.as_str()], name);
    loop {
        if let Some(from) = way.iter().position(|passed| *passed == name) {
            way.push(name);
            return Err(format!("`price` goes round in a circle: {}", way.split_off(from).join(" → ")));
        }
        way.push(name);
        let unknown = || format!("no price is known for `{}`", crate::shown::line(name));
        let (key, node) = beside.iter().find(|(key, _)| key.text == name).ok_or_else(unknown)?;
        let Some(price) = node.get("price") else {
            return listed(key, node, origin, unseen).ok_or_else(unknown);
        };
        let Some(next) = name_in(price) else { return written(price, origin, unseen).ok_or_else(unknown) };
        if let Some((known, _)) = find(next, None, origin) {
            return Ok(known.price);
        }
        name = next;
    }
}

/// What a price list says of a model that says nothing of its price itself.
fn listed(key: &Key, node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<Price> {
    let mut fields = Fields::of(node, "a model", report)?;
    let (provider, base_url) = (fields.get("provider")?, fields.get("base_url"));
    let provider = provider::read(provider, base_url, &mut fields, origin, report)?;
    let is_real = !matches!(provider, ProviderConfig::Scripted { .. } | ProviderConfig::Replay { .. });
    let model = fields.get("model").and_then(Node::as_scalar).map(|scalar| scalar.text.as_str());
    let model = model.or(is_real.then_some(key.text.as_str()))?;
    find(model, provider.vendor(), origin).map(|(known, _)| known.price)
}

/// A price that stands there itself.
fn written(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<Price> {
    let file = Path::new(origin.source).file_name().map(|name| name.to_string_lossy().into_owned());
    let said = Said { source: file.unwrap_or_default().into(), ..Said::default() };
    read_price(node, &said, report)
}

/// The name of a model, where that stands for a price.
fn name_in(node: &Node) -> Option<&str> {
    let scalar = node.as_scalar().filter(|scalar| !scalar.is_null() && scalar.text != "free");
    scalar.map(|scalar| scalar.text.as_str())
}

/// An amount, be it with a comma.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b".,".contains(&byte))
}

fn hint(name: &str, key: &Key, beside: &[(Key, Node)], origin: Origin<'_>) -> String {
    let others =
        beside.iter().map(|(key, _)| key.text.as_str()).filter(|other| *other != name && *other != key.text);
    let near = near(name, None, origin).or_else(|| nearest(name, others).map(ToOwned::to_owned));
    near.map_or_else(
        || {
            "write `free`, `{ input: …, output: … }`, or the name of a model with a price: another one of this \
             workspace, or one in a price list, by the provider's name"
                .into()
        },
        |near| format!("did you mean `{near}`?"),
    )
}

/// What is known of a model: its price as the first that knows it says, what that leaves out as the shipped table says.
fn find(model: &str, vendor: Option<Vendor>, origin: Origin<'_>) -> Option<(Known, Found)> {
    let shipped = match vendor {
        Some(vendor) => shipped(model, vendor),
        None => Vendor::ALL.into_iter().find_map(|vendor| shipped(model, vendor)),
    };
    let file = origin.prices.iter().find_map(|file| file.table.find(model));
    match (file, shipped) {
        (Some(entry), shipped) => {
            let known = entry.known.clone();
            let known = Known {
                context: known.context.or(shipped.and_then(|shipped| shipped.context)),
                max_output: known.max_output.or(shipped.and_then(|shipped| shipped.max_output)),
                tokenizer: known.tokenizer.or(shipped.and_then(|shipped| shipped.tokenizer)),
                image_tokens: known.image_tokens.or(shipped.and_then(|shipped| shipped.image_tokens)),
                price: known.price,
            };
            Some((known, Found::File))
        }
        (None, Some(shipped)) => Some((shipped.clone(), Found::Shipped)),
        (None, None) => None,
    }
}

/// The known name that was most likely meant.
fn near(model: &str, vendor: Option<Vendor>, origin: Origin<'_>) -> Option<String> {
    let files = origin.prices.iter().flat_map(|file| file.table.entries());
    let files = files.map(|entry| entry.name.as_str());
    let shipped = shipped_entries().filter(|listed| vendor.is_none_or(|vendor| listed.vendor == vendor));
    let names: Vec<&str> = files.chain(shipped.map(|listed| listed.entry.name.as_str())).collect();
    // A name that goes on after a known one is of that family, and never of its price.
    let family = names.iter().copied().filter(|name| model.starts_with(name)).max_by_key(|name| name.len());
    family.or_else(|| nearest(model, names)).map(ToOwned::to_owned)
}

/// The same day of the year before, as text that sorts like days.
fn year_before(day: &str) -> String {
    let (year, rest) = day.split_once('-').unwrap_or((day, ""));
    let year: u32 = year.parse().unwrap_or(0);
    format!("{:04}-{rest}", year.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::year_before;

    #[test]
    fn a_year_before_sorts_where_it_belongs() {
        assert_eq!(year_before("2026-11-21"), "2025-11-21");
        assert!("2025-11-20" < year_before("2026-11-21").as_str());
        assert!("2024-02-29" >= year_before("2025-02-28").as_str());
    }
}
