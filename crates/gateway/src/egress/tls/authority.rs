//! The certificate authority of one run, which only its sandbox trusts.
//!
//! Its key is made when the run begins, stays in memory and is gone with the run.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use ringfence_types::{HostName, Timestamp};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How long before now, and before the end of the run, a certificate is valid: clocks differ.
const LEEWAY: Duration = Duration::from_hours(24);

/// Issues certificates for hosts, to one run.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// One key for all hosts of the run: whoever holds it sees the run's memory anyway.
    leaf: KeyPair,
    valid: (Timestamp, Timestamp),
    hosts: Mutex<HashMap<HostName, Arc<ServerConfig>>>,
    hosts_max: usize,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// By what makes them.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// By what uses them.
    #[error("a certificate could not be used: {0}")]
    Tls(#[from] rustls::Error),
}

// === impl Authority ===

impl Authority {
    /// A new one for a run that ends at `until`, with certificates for so many hosts at once.
    pub(crate) fn new(now: Timestamp, until: Timestamp, hosts_max: usize) -> Result<Self, AuthorityError> {
        let valid = (now, until);
        let mut params = params(valid);
        params.distinguished_name.push(DnType::CommonName, "Ringfence, for this run only");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, pem, leaf: KeyPair::generate()?, valid, hosts: Mutex::default(), hosts_max })
    }

    /// Its certificate, for a store of trusted ones.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// How a host speaks TLS here.
    pub(crate) fn host(&self, host: &HostName) -> Result<Arc<ServerConfig>, AuthorityError> {
        if let Some(config) = self.hosts.lock().get(host) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.issue(host)?);
        let mut hosts = self.hosts.lock();
        if hosts.len() >= self.hosts_max {
            hosts.clear();
        }
        hosts.insert(host.clone(), Arc::clone(&config));
        Ok(config)
    }

    fn issue(&self, host: &HostName) -> Result<ServerConfig, AuthorityError> {
        let mut params = params(self.valid);
        params.subject_alt_names = vec![match host.address() {
            Some(address) => SanType::IpAddress(address),
            None => SanType::DnsName(host.as_str().try_into()?),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate: CertificateDer<'static> = params.signed_by(&self.leaf, &self.issuer)?.into();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn params((from, until): (Timestamp, Timestamp)) -> CertificateParams {
    let at = |moment: Timestamp| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(moment.as_micros() / 1_000_000)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = at(from) - LEEWAY;
    params.not_after = at(until) + LEEWAY;
    params
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(…)")
    }
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn authority() -> Authority {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        Authority::new(now, now.after(Duration::from_hours(1)), 2).unwrap()
    }

    fn roots(authority: &Authority) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        roots
    }

    fn verify(roots: RootCertStore, certificate: &CertificateDer<'_>, name: &'static str) -> bool {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_100));
        verifier.verify_server_cert(certificate, &[], &name, &[], now).is_ok()
    }

    fn certificate(authority: &Authority, host: &str) -> CertificateDer<'static> {
        let mut params = params(authority.valid);
        params.subject_alt_names = vec![SanType::DnsName(host.try_into().unwrap())];
        params.signed_by(&authority.leaf, &authority.issuer).unwrap().into()
    }

    #[test]
    fn certificates_are_trusted_by_whoever_trusts_the_authority_and_nobody_else() {
        let (ours, other) = (authority(), authority());
        let certificate = certificate(&ours, "api.example.com");
        assert!(verify(roots(&ours), &certificate, "api.example.com"));
        assert!(!verify(roots(&ours), &certificate, "other.example.com"));
        assert!(!verify(roots(&other), &certificate, "api.example.com"));
    }

    #[test]
    fn a_host_is_issued_a_certificate_once_and_the_number_is_bounded() {
        let authority = authority();
        let host = |text: &str| HostName::new(text).unwrap();
        let first = authority.host(&host("a.example")).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.host(&host("a.example")).unwrap()));
        authority.host(&host("10.0.0.1")).unwrap();
        authority.host(&host("b.example")).unwrap();
        assert_eq!(authority.hosts.lock().len(), 1);
        assert!(!format!("{authority:?}").contains("KEY"));
    }
}
