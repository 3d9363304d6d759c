//! The values of directives.

use crate::behaviour::UsageSaid;

/// The most bytes that a request may ask for.
const MOST_BYTES: usize = 256 << 20;

/// A whole number.
pub fn number(name: &str, value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| format!("mock: {name}={value} is no whole number"))
}

/// A count of bytes.
pub fn size(name: &str, value: &str) -> Result<usize, String> {
    value
        .parse()
        .map(|size: usize| size.min(MOST_BYTES))
        .map_err(|_| format!("mock: {name}={value} is no size"))
}

/// A share from 0 to 1.
pub fn share(name: &str, value: &str) -> Result<f64, String> {
    let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("mock: {name}={value} is not between 0 and 1"))
}

/// A status of HTTP.
pub fn status(value: &str) -> Result<u16, String> {
    let status = value.parse().ok().filter(|status| (200..600).contains(status));
    status.ok_or_else(|| format!("mock: status={value} is no status"))
}

/// What is said about usage.
pub fn usage(value: &str) -> Result<UsageSaid, String> {
    Ok(match value {
        "once" => UsageSaid::Once,
        "none" => UsageSaid::None,
        "twice" => UsageSaid::Twice,
        "lie" => UsageSaid::Lie,
        "huge" => UsageSaid::Huge,
        _ => return Err(format!("mock: usage={value} is none of once, none, twice, lie, huge")),
    })
}

/// Arguments are percent-encoded JSON, or pairs: `city:Paris;days:3`.
pub fn arguments(value: &str) -> String {
    let value = decoded(value);
    if value.starts_with('{') {
        return value;
    }
    let pairs = value.split(';').filter_map(|pair| pair.split_once(':'));
    let members = pairs.map(|(name, value)| {
        let value = value.parse::<i64>().map_or_else(|_| value.into(), serde_json::Value::from);
        (name.to_owned(), value)
    });
    serde_json::Value::Object(members.collect()).to_string()
}

/// Takes percent signs out.
pub fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair =
            after.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match pair {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
