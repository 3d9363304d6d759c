//! Names of models, and the dates at their ends.

/// The longest name of a model, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Whether a text can name a model: anything printable on one line.
pub fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(|c| c.is_control() || c == ' ')
}

/// The name without a date at its end: `-2025-11-13` or `-20251001`.
pub fn undated(name: &str) -> Option<&str> {
    dashed(name).or_else(|| plain(name))
}

fn dashed(name: &str) -> Option<&str> {
    let (rest, day) = name.rsplit_once('-')?;
    let (rest, month) = rest.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    is_date(year, month, day).then_some(rest)
}

fn plain(name: &str) -> Option<&str> {
    let (rest, date) = name.rsplit_once('-')?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    is_date(year, month, day).then_some(rest)
}

/// Whether these are a year from 2020 to 2099, a month and a day.
pub fn is_date(year: &str, month: &str, day: &str) -> bool {
    let number = |text: &str, digits: usize| {
        let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let within = |value: Option<u32>, least, most| value.is_some_and(|value| (least..=most).contains(&value));
    within(number(year, 4), 2020, 2099) && within(number(month, 2), 1, 12) && within(number(day, 2), 1, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dates_are_taken_off() {
        for (name, expected) in [
            ("gpt-5.1-2025-11-13", Some("gpt-5.1")),
            ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
            ("gpt-5.1", None),
            ("gpt-5.1-mini", None),
            ("gpt-5.1-2025-13-01", None),
            ("gpt-5.1-2025-11-32", None),
            ("gpt-5.1-1999-11-13", None),
            ("gpt-5.1-25-11-13", None),
            ("claude-haiku-4-5-2025100", None),
            ("claude-haiku-4-5-202510011", None),
            ("claude-haiku-4-5-2025é01", None),
            ("", None),
        ] {
            assert_eq!(undated(name), expected, "{name}");
        }
    }
}
