//! Identifiers that sort by time.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// Crockford's base 32, lowercase: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Digits of a 128-bit number in base 32.
const DIGITS: usize = 26;

/// The text is not an identifier of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected `{prefix}` and 26 letters or digits")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[doc = $doc])+
        ///
        /// 128 bits: 48 of milliseconds since 1970, 80 random. The text sorts as the number does.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What its text starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier; `random` comes from the operating system.
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                Self(from_parts(at, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&encode($prefix, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                decode($prefix, text).map(Self).ok_or(IdError { prefix: $prefix })
            }
        }
    )+};
}

ids! {
    /// One run of an agent; what a run token is bound to.
    RunId = "run_",
    /// One action of a run: its intent, its outcome, its refusal.
    ActionId = "act_",
    /// One request for approval.
    ApprovalId = "apr_",
    /// One suspension.
    SuspensionId = "sus_",
    /// One incident.
    IncidentId = "inc_",
}

fn from_parts(at: Timestamp, random: [u8; 10]) -> u128 {
    let mut low = [0; 16];
    low[6..].copy_from_slice(&random);
    let milliseconds = u128::from(at.as_micros() / 1000) & 0xffff_ffff_ffff;
    milliseconds << 80 | u128::from_be_bytes(low)
}

fn encode(prefix: &str, value: u128) -> String {
    let mut text = String::with_capacity(prefix.len() + DIGITS);
    text.push_str(prefix);
    for index in (0..DIGITS).rev() {
        let digit = (value >> (5 * index)) & 31;
        text.push(char::from(ALPHABET[usize::try_from(digit).unwrap_or_default()]));
    }
    text
}

fn decode(prefix: &str, text: &str) -> Option<u128> {
    let digits = text.strip_prefix(prefix).filter(|digits| digits.len() == DIGITS)?;
    digits.bytes().try_fold(0_u128, |value, byte| {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        // 26 digits hold 130 bits: a first digit above 7 does not fit.
        value.checked_mul(32)?.checked_add(digit as u128)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_sort_by_time_and_carry_their_kind() {
        let early = RunId::new(Timestamp::from_micros(1_000_000), [255; 10]);
        let late = RunId::new(Timestamp::from_micros(1_001_000), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
        assert!(late.to_string().starts_with("run_"));
        assert!(late.to_string().parse::<ActionId>().is_err());
        assert!("run_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RunId>().is_err());
        assert!("run_".parse::<RunId>().is_err());
    }

    proptest! {
        #[test]
        fn every_identifier_reads_back(micros: u64, random: [u8; 10]) {
            let id = ActionId::new(Timestamp::from_micros(micros), random);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
