//! Durations, sizes and rates as users write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A text that is not a quantity of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a duration.
    #[error("not a duration: write a number and ms, s, m, h or d, such as 30s")]
    Duration,
    /// Not a size.
    #[error("not a size: write a number of bytes, or one with Ki, Mi or Gi, such as 64Ki")]
    Size,
    /// Not a rate.
    #[error("not a rate: write a count per s, m, h or d, such as 30/m")]
    Rate,
}

/// So many in so long: `30/m`. The count is at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long: a second, a minute, an hour or a day.
    pub per: Duration,
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("", 1)];

/// Reads `50ms 30s 5m 1h 2d`; one whole number, one unit, more than zero.
///
/// # Errors
/// When the text is anything else.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    scaled(text, &DURATION_UNITS)
        .filter(|value| *value > 0)
        .map(Duration::from_millis)
        .ok_or(QuantityError::Duration)
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that leaves nothing over; what is under a
/// millisecond is cut.
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fitting = DURATION_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| milliseconds > 0 && milliseconds.is_multiple_of(*factor));
    let (unit, factor) = fitting.unwrap_or(&DURATION_UNITS[0]);
    format!("{}{unit}", milliseconds / factor)
}

/// Reads a size in bytes: `512`, `64Ki`, `512Mi`, `1Gi`; more than zero.
///
/// # Errors
/// When the text is anything else.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    scaled(text, &SIZE_UNITS).filter(|value| *value > 0).ok_or(QuantityError::Size)
}

/// Writes a size as [`parse_size`] reads it.
pub fn format_size(bytes: u64) -> String {
    let fitting = SIZE_UNITS.iter().find(|(_, factor)| bytes.is_multiple_of(*factor) && bytes > 0);
    let (unit, factor) = fitting.unwrap_or(&("", 1));
    format!("{}{unit}", bytes / factor)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(end);
    let factor = units.iter().find(|(known, _)| *known == unit)?.1;
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

// === impl Rate ===

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (count, unit) = text.split_once('/').ok_or(QuantityError::Rate)?;
        let count = count.parse().ok().filter(|count| *count > 0).ok_or(QuantityError::Rate)?;
        let known = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit && unit != "ms")
            .ok_or(QuantityError::Rate)?;
        Ok(Self { count, per: Duration::from_millis(known.1) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, format_duration(self.per).trim_start_matches('1'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_and_write_back() {
        for text in ["50ms", "30s", "5m", "1h", "2d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["512", "64Ki", "512Mi", "1Gi"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
        for text in ["30/m", "1/s", "5/d", "7/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!(parse_duration("90s").map(format_duration), Ok("90s".into()));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for bad in
            ["", "5", "m", "5 m", "-5m", "0s", "1.5h", "5M", "99999999999999999999d", "999999999999999999d"]
        {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "Ki", "64K", "64KB", "0", "-1", "99999999999Gi"] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "30", "0/m", "30/ms", "30/w", "/m", "30/", "-1/m"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }
}
