//! TLS: what a client says first, how it is told no, certificates for what is looked into, and the way to hosts.

pub(crate) mod alert;
pub(crate) mod authority;
pub(crate) mod hello;

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Whom the machine trusts.
///
/// # Errors
/// When its authorities cannot be read, or there are none.
pub(crate) fn machine_roots() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(io::Error::other(why));
    }
    Ok(roots)
}

/// How many authorities the machine trusts.
///
/// # Errors
/// When they cannot be read, or there are none.
pub fn machine_authorities() -> io::Result<usize> {
    machine_roots().map(|roots| roots.len())
}

/// How hosts are spoken to that one of these authorities vouches for.
///
/// # Errors
/// When the cryptography at hand speaks no version of TLS.
pub(crate) fn client(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
