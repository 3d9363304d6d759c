//! What a model costs: as its own `price` says, else as the first file of `prices:` that knows it, else as the table
//! that ships.

use std::path::Path;

use ringfence_document::{Key, Node, Report, nearest};
use ringfence_prices::{Known, Said, Vendor, read_price, shipped, shipped_entries};
use ringfence_types::Price;

use super::Origin;

/// A model whose price is wanted.
pub(super) struct Wanted<'w> {
    /// Where the file names it.
    pub key: &'w Key,
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
            Some(node) => own(node, origin, report),
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

/// `free`, a mapping, or the name of another model that costs the same.
pub(super) fn own(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<Price> {
    let name = node.as_scalar().filter(|scalar| !scalar.is_null() && scalar.text != "free");
    let Some(name) = name else {
        let file = Path::new(origin.source).file_name().map(|name| name.to_string_lossy().into_owned());
        let said = Said { source: file.unwrap_or_default().into(), ..Said::default() };
        return read_price(node, &said, report);
    };
    let found = find(&name.text, None, origin);
    if found.is_none() {
        let hint = near(&name.text, None, origin).map_or_else(
            || "write `free`, `{ input: …, output: … }`, or the name of a model with a known price".into(),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("no price is known for `{}`", crate::shown::line(&name.text));
        report.error_with_hint(node.place, message, hint);
    }
    found.map(|(known, _)| known.price)
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
