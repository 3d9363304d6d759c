//! TLS: what a client says first, how it is told no, certificates for what is looked into, and the way to hosts.

pub(crate) mod alert;
pub(crate) mod authority;
pub(crate) mod hello;

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// How hosts are spoken to: trusted as the machine trusts them, or by one of these.
///
/// # Errors
/// When the machine's authorities cannot be read, or one of these is none.
pub(crate) fn client(more: Vec<CertificateDer<'static>>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 && more.is_empty() {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(io::Error::other(why));
    }
    for certificate in more {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
