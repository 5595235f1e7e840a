//! The client's side of TLS, and what a certificate must show at each level.
//!
//! The handshake's signature is checked at every level, so even an opportunistic session is with
//! whoever holds the certificate's key. TLS 1.2 and 1.3 with aws-lc-rs, named explicitly.

use crate::Config;
use crate::dane::Dane;
use crate::told::{Observed, fault_of};
use base::env::{Clock, Env};
use base::{Error, Result};
use contract_transport::courier::TlsLevel;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Configurations for connections, one for each level, so that a session resumed at one never
/// stands for a check of another.
pub(crate) struct Tls {
    roots: Arc<RootCertStore>,
    time: Arc<Time>,
    any: Arc<ClientConfig>,
    authority: Arc<ClientConfig>,
    host: Arc<ClientConfig>,
}

/// What a certificate must show.
#[derive(Clone, Debug)]
enum Check {
    Nothing,
    Authority,
    /// An authority, and the name that was connected to.
    Host,
    /// An authority, and this name.
    Name(ServerName<'static>),
    /// What the host's TLSA records say.
    Dane(Arc<Dane>),
    /// Nothing; but what [`Check::Host`] would say is noted.
    Observed(Arc<Observed>),
}

impl Tls {
    /// # Errors
    /// [`base::Kind::Invalid`] for authorities that cannot be read.
    pub(crate) fn new(config: &Config, env: &Env) -> Result<Self> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for extra in CertificateDer::pem_slice_iter(config.extra_authorities.as_bytes()) {
            let wrong = |error: &dyn fmt::Display| {
                Error::invalid(format!("A certificate authority cannot be used: {error}"))
            };
            let extra = extra.map_err(|error| wrong(&error))?;
            roots.add(extra).map_err(|error| wrong(&error))?;
        }
        let (roots, time) = (Arc::new(roots), Arc::new(Time(env.clock.clone())));
        let make = |check| client(&roots, &time, check).map(Arc::new);
        Ok(Self {
            any: make(Check::Nothing)?,
            authority: make(Check::Authority)?,
            host: make(Check::Host)?,
            roots,
            time,
        })
    }

    /// For a connection at a level; `domain` is the name that the certificate must have instead of
    /// the host's, at the highest level.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a domain that no certificate can have.
    pub(crate) fn client(
        &self,
        level: TlsLevel,
        domain: Option<&str>,
    ) -> Result<Arc<ClientConfig>> {
        Ok(match (level, domain) {
            (TlsLevel::Opportunistic | TlsLevel::Encryption, _) => self.any.clone(),
            (TlsLevel::Certificate, _) => self.authority.clone(),
            // What a host publishes comes by `dane`; there is no connection without.
            (TlsLevel::Domain | TlsLevel::Dane, None) | (TlsLevel::Dane, Some(_)) => {
                self.host.clone()
            }
            (TlsLevel::Domain, Some(domain)) => {
                let name = ServerName::try_from(domain.to_owned())
                    .map_err(|_| Error::invalid("The TLS domain is not a name"))?;
                self.alone(Check::Name(name))?
            }
        })
    }

    /// For a connection to a host that publishes TLSA records.
    ///
    /// # Errors
    /// Internal ones only.
    pub(crate) fn dane(&self, dane: Arc<Dane>) -> Result<Arc<ClientConfig>> {
        self.alone(Check::Dane(dane))
    }

    /// For a connection to a host whose certificate does not matter, but is to be told of.
    ///
    /// # Errors
    /// Internal ones only.
    pub(crate) fn observed(&self, observed: Arc<Observed>) -> Result<Arc<ClientConfig>> {
        self.alone(Check::Observed(observed))
    }

    /// For one connection: no session is resumed, so nothing stands for another check.
    fn alone(&self, check: Check) -> Result<Arc<ClientConfig>> {
        let mut config = client(&self.roots, &self.time, check)?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

fn client(roots: &Arc<RootCertStore>, time: &Arc<Time>, check: Check) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new(roots.clone(), &provider, check);
    Ok(ClientConfig::builder_with_details(provider, time.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    check: Check,
}

impl Verifier {
    fn new(roots: Arc<RootCertStore>, provider: &CryptoProvider, check: Check) -> Self {
        Self { roots, algorithms: provider.signature_verification_algorithms, check }
    }

    /// Whether an authority that we know vouches for a certificate, and for a name in it.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        name: Option<&ServerName<'_>>,
    ) -> Result<(), rustls::Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        match name {
            Some(name) => verify_server_name(&certificate, name),
            None => Ok(()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = match &self.check {
            Check::Nothing => return Ok(ServerCertVerified::assertion()),
            Check::Authority => None,
            Check::Host => Some(host),
            Check::Name(name) => Some(name),
            Check::Dane(dane) => {
                dane.verify(certificate, intermediates, now, self.algorithms)?;
                return Ok(ServerCertVerified::assertion());
            }
            Check::Observed(observed) => {
                let verified = self.verify(certificate, intermediates, now, Some(host));
                let fault = verified.err().map(|error| (fault_of(&error), error.to_string()));
                observed.set(fault);
                return Ok(ServerCertVerified::assertion());
            }
        };
        self.verify(certificate, intermediates, now, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The environment's clock, for the validity of certificates.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_s()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
