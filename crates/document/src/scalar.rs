//! Reading single values and lists, as what is expected of them.

use std::fmt::Display;
use std::str::FromStr;

use smol_str::SmolStr;

use crate::{Node, Report};

impl Node {
    /// A text: any scalar, with or without quotes, that is not empty. `what` names it in messages ("the agent's name").
    pub fn text(&self, what: &str, report: &mut Report) -> Option<&SmolStr> {
        match self.as_scalar() {
            Some(scalar) if !scalar.is_null() && !scalar.text.is_empty() => Some(&scalar.text),
            Some(_) => {
                report.error(self.place, format!("{what} is empty"));
                None
            }
            None => {
                report.error(self.place, format!("{what} must be a text, not {}", self.kind()));
                None
            }
        }
    }

    /// A text that something is read from; the error of the reading becomes the message.
    pub fn parsed<T, E: Display>(
        &self,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
        report: &mut Report,
    ) -> Option<T> {
        let text = self.text(what, report)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(error) => {
                report.error(self.place, format!("{what}: {error}"));
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: FromStr>(&self, what: &str, words: &[&str], report: &mut Report) -> Option<T> {
        let text = self.text(what, report)?;
        let value = text.parse().ok();
        if value.is_none() {
            report.unknown(self.place, format!("{what} cannot be `{text}`"), text, words);
        }
        value
    }

    /// `true` or `false`, without quotes.
    pub fn boolean(&self, what: &str, report: &mut Report) -> Option<bool> {
        let value = self.as_scalar().and_then(crate::Scalar::as_bool);
        if value.is_none() {
            report.error(self.place, format!("{what} must be true or false"));
        }
        value
    }

    /// A whole number without quotes, within a range.
    pub fn whole(
        &self,
        what: &str,
        range: std::ops::RangeInclusive<u64>,
        report: &mut Report,
    ) -> Option<u64> {
        let scalar = self.as_scalar().filter(|scalar| scalar.plain);
        let digits = scalar.filter(|scalar| scalar.text.bytes().all(|byte| byte.is_ascii_digit()));
        let value = digits.and_then(|scalar| scalar.text.parse().ok()).filter(|value| range.contains(value));
        if value.is_none() {
            let (least, most) = (range.start(), range.end());
            report.error(self.place, format!("{what} must be a whole number from {least} to {most}"));
        }
        value
    }

    /// A list; `None`, with an error, if it is something else.
    pub fn list(&self, what: &str, report: &mut Report) -> Option<&[Node]> {
        let elements = self.as_sequence();
        if elements.is_none() {
            report.error(self.place, format!("{what} must be a list, not {}", self.kind()));
        }
        elements
    }
}
