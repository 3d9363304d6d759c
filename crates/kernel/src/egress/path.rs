//! Paths of requests, and whether all who read them read the same.

/// Whether all servers read a path alike: nothing that [`is_ambiguous`], nothing empty between slashes, no slash or percent
/// sign that is encoded.
pub(super) fn is_plain(path: &str) -> bool {
    let steps = path.split('/').skip(1);
    let last = steps.clone().count().saturating_sub(1);
    !is_ambiguous(path)
        && steps.enumerate().all(|(at, step)| !step.is_empty() || at == last)
        && encoded(path).all(|byte| !matches!(byte, Some(b'/' | b'%')))
}

/// Whether servers and rules can take a path for another one, whatever is granted: steps up or in place, backslashes, control
/// characters, and what is encoded that stands for itself (RFC 3986, section 6.2.2.2) or for nothing.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    // Some servers cut parameters off at a `;` before they look for steps.
    let is_step = |step: &str| matches!(step.split(';').next().unwrap_or(step), "." | "..");
    let means_another = |byte: Option<u8>| match byte {
        None => true,
        Some(byte) => {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'\\' | 0..=31 | 127 | 0xC0 | 0xC1 | 0xF5..=0xFF)
        }
    };
    !path.starts_with('/')
        || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        || path.split('/').any(is_step)
        || encoded(path).any(means_another)
}

/// Every byte that is written as `%` and two digits; `None` for one that is not written so to the end.
fn encoded(path: &str) -> impl Iterator<Item = Option<u8>> + '_ {
    path.split('%').skip(1).map(|rest| {
        let digits = rest.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u8::from_str_radix(digits, 16).ok()
    })
}
