//! Names and ids of tool calls, which each API takes in its own alphabet and length.

use smol_str::{SmolStr, format_smolstr};

use super::fault::Fault;
use super::node::At;

/// Bytes an id of a tool call may have at OpenAI. Anthropic states no length; its own ids have about 30.
const ID_BYTES_MAX: usize = 40;
/// Bytes the name of a tool may have at OpenAI (`FunctionDefinition.name`).
pub(super) const CHAT_NAME_BYTES_MAX: usize = 64;
/// Bytes the name of a tool may have at Anthropic (`Tool.name`).
pub(super) const MESSAGES_NAME_BYTES_MAX: usize = 128;

/// An id both APIs take: itself if it has at most 40 bytes of `[a-zA-Z0-9_-]`, else `rf_` and its 128-bit FNV-1a hash in
/// hexadecimal. The same id gives the same one, so calls and results still meet, in this request and in later ones; the
/// conversation is checked by the ids given here, so two that met in one hash would be refused and not mixed up.
pub(super) fn tool_id(id: &str, at: &At) -> Result<SmolStr, Fault> {
    match id {
        "" => Err(at.fault("must not be empty")),
        id if id.len() <= ID_BYTES_MAX && id.bytes().all(is_plain) => Ok(id.into()),
        id => Ok(format_smolstr!("rf_{:032x}", fnv1a(id.as_bytes()))),
    }
}

/// The name of a tool, if the other API takes it. A name is never changed: policy and the tool's owner know it as it is.
pub(super) fn tool_name<'a>(name: &'a str, bytes_max: usize, at: &At) -> Result<&'a str, Fault> {
    if (1..=bytes_max).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(name);
    }
    let message = format!(
        "this model's provider takes 1 to {bytes_max} letters, digits, `_` and `-` in the name of a tool"
    );
    Err(at.fault(message))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Fowler, Noll, Vo: FNV-1a with 128 bits.
fn fnv1a(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Family;

    #[test]
    fn an_id_either_api_would_refuse_becomes_one_both_take() {
        let at = At::root(Family::OpenAi);
        assert_eq!(tool_id("toolu_01D7FLrfh4GYq7yT1ULFeyMV", &at).unwrap(), "toolu_01D7FLrfh4GYq7yT1ULFeyMV");
        // The hash of `a` as published with the algorithm.
        assert_eq!(format!("{:032x}", fnv1a(b"a")), "d228cb696f1a8caf78912b704e4a8964");
        let long = "x".repeat(41);
        for odd in ["call:1", "call 1", "ü", &long] {
            let id = tool_id(odd, &at).unwrap();
            assert!(id.len() == 35 && id.starts_with("rf_"), "{odd}");
            assert_eq!(id, tool_id(odd, &at).unwrap());
        }
        assert_ne!(tool_id("call:1", &at).unwrap(), tool_id("call 1", &at).unwrap());
        assert!(tool_id("", &at).is_err());
    }

    #[test]
    fn a_name_is_taken_as_it_is_or_refused() {
        let at = At::root(Family::OpenAi);
        assert_eq!(tool_name("get_weather-2", 64, &at).unwrap(), "get_weather-2");
        for bad in ["", "a b", "a.b", "é", &"x".repeat(65)] {
            assert!(tool_name(bad, 64, &at).is_err(), "{bad}");
        }
    }
}
