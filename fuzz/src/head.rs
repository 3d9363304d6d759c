//! Inputs with a head: a line that says how the rest is to be taken.
//!
//! `chat 1 7` before a stream is: of Chat Completions, the first switch on, cut by the number 7. What is no such head is
//! no input; the mutator keeps it most of the time.

/// What stands before the first line feed.
pub struct Head<'a> {
    /// Which kind of input it is.
    pub word: &'a str,
    /// Bits.
    pub switches: u64,
    /// Whatever the target makes of it.
    pub number: u64,
}

/// The head and the rest.
pub fn read(data: &[u8]) -> Option<(Head<'_>, &[u8])> {
    let end = data.iter().take(64).position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&data[..end]).ok()?.split(' ');
    let word = words.next()?;
    let mut number = || words.next().map_or(Some(0), |text| text.parse().ok());
    let (switches, number) = (number()?, number()?);
    words.next().is_none().then_some((Head { word, switches, number }, &data[end + 1..]))
}

/// Changes what follows the head as `change` does, and now and then the number of the head.
pub fn changed(data: &[u8], seed: u32, change: impl Fn(&[u8], u32) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let (Head { word, switches, number }, rest) = read(data)?;
    let (switches, number) = match seed % 10 {
        0 => (u64::from(seed >> 4) % 16, number),
        1 => (switches, u64::from(seed >> 4) % 10_000),
        _ => (switches, number),
    };
    let mut all = format!("{word} {switches} {number}\n").into_bytes();
    all.extend(change(rest, seed >> 1)?);
    Some(all)
}
