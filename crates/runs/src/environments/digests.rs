//! Digests as locks write them: by SHA-2, whole, and no other.

/// The hashes that nobody can make another file for, and how many bytes each has.
const STRONG: [(&str, usize); 3] = [("sha256", 32), ("sha384", 48), ("sha512", 64)];

/// What to do about a package that nothing is known of but its place.
pub(super) const FROM_AN_INDEX: &str = "packages from git, folders or addresses cannot be part of an environment: take them from an index, or put them \
     among the agent's `files`";

/// Whether this is `sha256:` and as many hexadecimal digits as it has, or one of its kind.
pub(super) fn is_hexadecimal(text: &str) -> bool {
    let digest = text.split_once(':').and_then(|(kind, digits)| Some((bytes_of(kind)?, digits)));
    digest.is_some_and(|(bytes, digits)| {
        digits.len() == 2 * bytes && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// Whether this is `sha512-` and its bytes in base64, or one of its kind, and nothing behind.
pub(super) fn is_integrity(text: &str) -> bool {
    let digest = text.split_once('-').and_then(|(kind, encoded)| Some((bytes_of(kind)?, encoded)));
    digest.is_some_and(|(bytes, encoded)| {
        let characters = encoded.trim_end_matches('=');
        encoded.len() == bytes.div_ceil(3) * 4
            && characters.len() == (bytes * 4).div_ceil(3)
            && characters.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'+' | b'/'))
    })
}

/// The start of a stranger's word, fit to be printed.
pub(super) fn shown(word: &str) -> String {
    word.chars().take(120).flat_map(char::escape_debug).collect()
}

fn bytes_of(kind: &str) -> Option<usize> {
    STRONG.iter().find(|(name, _)| *name == kind).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_a_whole_one_by_sha_2() {
        let hexadecimal =
            |kind: &str, digits: usize| is_hexadecimal(&format!("{kind}:{}", "0a".repeat(digits / 2)));
        assert!(hexadecimal("sha256", 64) && hexadecimal("sha384", 96) && hexadecimal("sha512", 128));
        assert!(!hexadecimal("sha256", 62) && !hexadecimal("sha256", 128) && !hexadecimal("md5", 32));
        assert!(!is_hexadecimal("sha256:") && !is_hexadecimal(&format!("sha256:{}", "g".repeat(64))));

        let integrity = |kind: &str, characters: usize, end: &str| {
            is_integrity(&format!("{kind}-{}{end}", "A".repeat(characters)))
        };
        assert!(integrity("sha512", 86, "==") && integrity("sha384", 64, "") && integrity("sha256", 43, "="));
        assert!(
            !integrity("sha512", 86, "") && !integrity("sha512", 85, "===") && !integrity("sha512", 88, "")
        );
        assert!(
            !integrity("sha512", 86, "==?x") && !integrity("sha1", 27, "=") && !integrity("sha512", 44, "")
        );
        for short in ["sha512-", "sha512-?x", "sha512", "", "SHA512-"] {
            assert!(!is_integrity(short), "{short}");
        }
    }
}
