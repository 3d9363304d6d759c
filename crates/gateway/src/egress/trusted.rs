//! Authorities that the configuration names, out of PEM (RFC 7468).

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// How a block begins (RFC 7468 §2).
const BEGIN: &str = "-----BEGIN ";

/// The one kind of block that is taken.
const CERTIFICATE: &str = "CERTIFICATE";

/// Certificates of authorities that hosts may be vouched for by, beside those that the machine trusts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trusted(Vec<CertificateDer<'static>>);

/// Why a file holds no authorities that can be used. Nothing of what it holds is repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustedError {
    /// Bytes of another form.
    #[error(
        "it is not PEM; `openssl x509 -inform der -in FILE -out FILE.pem` makes it of a certificate in DER"
    )]
    NotPem,
    /// A key that is nobody else's to see.
    #[error(
        "it holds a private key, which belongs in no such file: leave only the blocks `BEGIN CERTIFICATE`"
    )]
    PrivateKey,
    /// Something else.
    #[error("it holds something beside certificates: leave only the blocks `BEGIN CERTIFICATE`")]
    Other,
    /// A block that cannot be read.
    #[error("certificate {0} of it is damaged; get the file again from whoever runs the authority")]
    Damaged(usize),
    /// Nothing in it.
    #[error(
        "there is no certificate in it; a file in PEM has blocks that begin with `-----BEGIN CERTIFICATE-----`"
    )]
    None,
}

// === impl Trusted ===

impl Trusted {
    /// The certificates in a text of PEM. Words around them, such as the names of authorities, are not looked at.
    ///
    /// # Errors
    /// When there are none, when one cannot be used as an authority's, or when the text holds anything else.
    pub fn read(bytes: &[u8]) -> Result<Self, TrustedError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TrustedError::NotPem)?;
        if text.contains("PRIVATE KEY") {
            return Err(TrustedError::PrivateKey);
        }
        let kinds: Vec<&str> = text.lines().filter_map(kind).collect();
        if kinds.iter().any(|kind| *kind != CERTIFICATE) {
            return Err(TrustedError::Other);
        }
        let mut found = Vec::new();
        for read in CertificateDer::pem_slice_iter(bytes) {
            let damaged = TrustedError::Damaged(found.len() + 1);
            let certificate = read.map_err(|_| damaged)?;
            // As what hosts are held against takes it.
            RootCertStore::empty().add(certificate.clone()).map_err(|_| damaged)?;
            found.push(certificate);
        }
        match found.len() {
            0 if kinds.is_empty() => Err(TrustedError::None),
            read if read < kinds.len() => Err(TrustedError::Damaged(read + 1)),
            _ => Ok(Self(found)),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// These and more.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        self.0.extend_from_slice(&more.0);
        self
    }

    /// Has a store trust them as well.
    pub(super) fn add_to(&self, roots: &mut RootCertStore) -> Result<(), rustls::Error> {
        self.0.iter().try_for_each(|certificate| roots.add(certificate.clone()))
    }
}

#[cfg(test)]
impl From<Vec<CertificateDer<'static>>> for Trusted {
    fn from(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self(certificates)
    }
}

impl fmt::Debug for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trusted({})", self.0.len())
    }
}

/// The kind of block that a line begins.
fn kind(line: &str) -> Option<&str> {
    line.trim().strip_prefix(BEGIN).map(|rest| rest.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pem() -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::default().self_signed(&key).unwrap().pem(), key)
    }

    #[test]
    fn certificates_are_found_among_words_and_however_lines_end() {
        let (one, two) = (pem().0, pem().0);
        let text = format!("# Issuer: CN=Company\n{one}\nand another\n{two}");
        assert_eq!(Trusted::read(text.as_bytes()).unwrap().count(), 2);
        assert_eq!(Trusted::read(text.replace('\n', "\r\n").as_bytes()).unwrap().count(), 2);
    }

    #[test]
    fn what_holds_no_authority_is_refused_and_nothing_of_it_is_shown() {
        let (certificate, key) = pem();
        let secret = key.serialize_pem();
        let cut = &certificate[..certificate.len() / 2];
        let middle = certificate.len() / 2;
        let changed = format!("{}!{}", &certificate[..middle], &certificate[middle + 1..]);
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, expected) in [
            (String::new(), TrustedError::None),
            ("a company's authority".to_owned(), TrustedError::None),
            (secret.clone(), TrustedError::PrivateKey),
            (format!("{certificate}{secret}"), TrustedError::PrivateKey),
            (secret.replace("PRIVATE", "ENCRYPTED PRIVATE"), TrustedError::PrivateKey),
            (secret.replace("PRIVATE", "OPENSSH PRIVATE"), TrustedError::PrivateKey),
            (certificate.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), TrustedError::Other),
            (certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST"), TrustedError::Other),
            (cut.to_owned(), TrustedError::Damaged(1)),
            (format!("{certificate}{cut}"), TrustedError::Damaged(2)),
            (changed, TrustedError::Damaged(1)),
            (format!("{certificate}{hollow}"), TrustedError::Damaged(2)),
        ] {
            assert_eq!(Trusted::read(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        assert_eq!(Trusted::read(&[0x30, 0x82, 0xff]).unwrap_err(), TrustedError::NotPem);
    }
}
