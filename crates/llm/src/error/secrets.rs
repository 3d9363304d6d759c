//! Takes out of a provider's words what may be a key. Providers repeat parts of a wrong key in their messages.

/// How keys begin, as the vendors document them.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk-",
    "rk_",
    "gsk_",
    "xai-",
    "AIza",
    "ya29.",
    "hf_",
    "r8_",
    "nvapi-",
    "pplx-",
    "fw_",
    "csk-",
    "tgp_",
    "eyJ",
    "ABSK",
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "sess-",
    "rfr_",
    "rfp_",
];

/// Words after which a key follows, in lower case.
const BEFORE: &[&str] =
    &["bearer ", "key provided: ", "api key: ", "api_key=", "key=", "x-api-key: ", "token: "];

/// How ids begin that providers put into their errors and that help to find a call again.
const IDS: &[&str] = &[
    "req_",
    "msg_",
    "chatcmpl-",
    "chatcmpl_",
    "resp_",
    "rs_",
    "fc_",
    "call_",
    "toolu_",
    "srvtoolu_",
    "fp_",
    "gen-",
    "cmpl-",
    "item_",
    "batch_",
    "file-",
    "file_",
    "container_",
    "cntr_",
    "ws_",
    "mcp_",
    "ig_",
];

/// Letters and digits in a row, with both among them, from which on it may be a key without a known beginning.
const UNKNOWN_KEY_BYTES_MIN: usize = 28;

/// What stands in its place.
const REDACTED: &[u8] = b"[redacted]";

/// The text without anything that may be a key; `None` where there is nothing to take out. JSON stays JSON: what is taken
/// out never has a quotation mark or an escape in it.
///
/// Known secrets are taken out wherever they stand; give it those that went into the request.
pub fn redact(text: &[u8], known: &[&[u8]]) -> Option<Vec<u8>> {
    let without_known =
        known.iter().filter(|secret| secret.len() >= 8).fold(None, |text_so_far: Option<Vec<u8>>, secret| {
            let replaced = replace(text_so_far.as_deref().unwrap_or(text), secret);
            replaced.or(text_so_far)
        });
    let text = without_known.as_deref().unwrap_or(text);
    let mut out: Option<Vec<u8>> = None;
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        let length = text[at..].iter().take_while(|byte| is_of_key(**byte)).count();
        if length > 0 && may_be_key(&text[..at], &text[at..at + length]) {
            let out = out.get_or_insert_with(|| Vec::with_capacity(text.len()));
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(REDACTED);
            copied = at + length;
        }
        at += length.max(1);
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(&text[copied..]);
    }
    out.or(without_known)
}

fn replace(text: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let (mut at, mut copied) = (0, 0);
    while at + secret.len() <= text.len() {
        if !text[at..].starts_with(secret) {
            at += 1;
            continue;
        }
        let out = out.get_or_insert_with(Vec::new);
        out.extend_from_slice(&text[copied..at]);
        out.extend_from_slice(REDACTED);
        at += secret.len();
        copied = at;
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(&text[copied..]);
    }
    out
}

/// What keys and their masked forms are made of.
fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'.' | b'~') || byte >= 0x80
}

fn may_be_key(before: &[u8], word: &[u8]) -> bool {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| word.starts_with(prefix.as_bytes()));
    let masked = word.windows(3).any(|three| three == b"***")
        || (starts(PREFIXES)
            && (word.windows(3).any(|three| three == b"...")
                || word.windows(3).any(|three| three == "…".as_bytes())));
    if masked || (follows_announcement(before) && word.len() >= 4 && !is_plain_word(word)) {
        return true;
    }
    if starts(IDS) {
        return false;
    }
    if starts(PREFIXES) && word.len() >= 12 {
        return true;
    }
    word.split(|byte| !byte.is_ascii_alphanumeric()).any(|run| {
        let has = |test: fn(&u8) -> bool| run.iter().any(test);
        run.len() >= UNKNOWN_KEY_BYTES_MIN && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
    })
}

fn follows_announcement(before: &[u8]) -> bool {
    BEFORE.iter().any(|word| {
        let start = before.len().checked_sub(word.len());
        start.is_some_and(|start| before[start..].eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// A word of a sentence, such as the `authentication` after "bearer".
fn is_plain_word(word: &[u8]) -> bool {
    let word = word.strip_suffix(b".").unwrap_or(word);
    word.len() <= 20 && word.iter().all(u8::is_ascii_lowercase)
}
