//! What a model call has used so far, as whoever executes it sees it.

use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::Usage;
use smol_str::SmolStr;

/// Counts what a model call uses. Clones are the same meter: the executor writes into it while the call is under way,
/// and the call is settled at what stands there, however it ends.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Metered>>);

/// What a meter has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metered {
    /// Something may have reached the provider.
    pub sent: bool,
    /// The provider says, by an error for an answer, that it charges nothing.
    pub free: bool,
    /// What is written cannot be seen while it is written, or not all of it.
    pub blind: bool,
    /// Tokens read, as far as can be told before the provider says so.
    pub input: u64,
    /// Tokens written, as counted.
    pub output: u64,
    /// What the provider said, and whether that was its last word.
    pub reported: Option<(Usage, bool)>,
    /// The service tier that the provider served.
    pub tier: Option<SmolStr>,
    /// Hosted tools that were used.
    pub hosted: Vec<(SmolStr, u64)>,
    /// What the provider said cannot be true.
    pub doubtful: bool,
}

/// Kinds of hosted tools of one call, and bytes of a name, that go into an outcome.
const HOSTED_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 48;

fn is_tool(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.len() <= NAME_BYTES_MAX && name.bytes().all(fits)
}

// === impl Meter ===

impl Meter {
    /// From here on the provider may charge; `input` is the best estimate of the tokens it reads.
    pub fn sent(&self, input: u64) {
        let mut metered = self.0.lock();
        *metered = Metered { sent: true, input, ..Metered::default() };
    }

    /// What the provider writes cannot be seen before it is all there, or not all of it: until it is reported or
    /// [seen](Meter::seen), everything that was set aside may be used.
    pub fn blind(&self) {
        self.0.lock().blind = true;
    }

    /// All that was written is there, and can be counted.
    pub fn seen(&self) {
        self.0.lock().blind = false;
    }

    /// The provider turned the request down and charges nothing. What is sent after that counts anew.
    pub fn turned_down(&self) {
        self.0.lock().free = true;
    }

    /// Tokens written so far, all in all.
    pub fn written(&self, tokens: u64) {
        let mut metered = self.0.lock();
        metered.output = metered.output.max(tokens);
    }

    /// What the provider says was used so far, all in all; `last`: and nothing more will be. Of an answer that is given out
    /// again, what it used when it was made: that is booked for nobody, and counts as saved.
    pub fn reported(&self, usage: Usage, last: bool) {
        self.0.lock().reported = Some((usage, last));
    }

    /// The service tier that the provider served.
    pub fn tier(&self, tier: SmolStr) {
        let mut metered = self.0.lock();
        if is_tool(&tier) { metered.tier = Some(tier) } else { metered.doubtful = true }
    }

    /// Hosted tools that were used so far, all in all. The names are the provider's: what cannot be one is doubted.
    pub fn hosted(&self, mut uses: Vec<(SmolStr, u64)>) {
        let count = uses.len();
        uses.retain(|(name, _)| is_tool(name));
        uses.truncate(HOSTED_MAX);
        let mut metered = self.0.lock();
        metered.doubtful |= uses.len() < count;
        metered.hosted = uses;
    }

    /// What the provider reports contradicts itself.
    pub fn doubt(&self) {
        self.0.lock().doubtful = true;
    }

    pub(crate) fn read(&self) -> Metered {
        self.0.lock().clone()
    }
}
