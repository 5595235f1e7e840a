//! Checking the certificate that the other end of a link presents.
//!
//! The same rules on both sides: the chain leads to a root of this cluster, it is good now by the
//! environment's clock, it is for this use, and it names a node of this cluster. Which node it
//! names is compared after the handshake, before anything is said. Host names do not matter: nodes
//! move between addresses.

use super::{CertificateFacts, Roots};
use base::env::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whom the other end must prove to belong to.
pub(super) enum Trust {
    /// One of these roots, and this cluster.
    Cluster { roots: Arc<RootCertStore>, cluster_id: u128 },
    /// The authority with this fingerprint, which is found in the chain that it sends.
    Fingerprint([u8; 32]),
}

/// Checks nodes that act as servers, and those that act as clients through rustls' own verifier.
pub(super) struct NodeVerifier {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
    /// Checks chains of clients; `None` where there are no clients to be checked.
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl fmt::Debug for NodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeVerifier")
    }
}

fn refused() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

impl NodeVerifier {
    fn check_names(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let facts = CertificateFacts::of(certificate).map_err(|_| refused())?;
        match self.trust {
            Trust::Cluster { cluster_id, .. } if facts.identity.cluster_id != cluster_id => {
                Err(refused())
            }
            _ => Ok(()),
        }
    }

    fn check_server(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let roots = match &self.trust {
            Trust::Cluster { roots, .. } => roots.clone(),
            Trust::Fingerprint(fingerprint) => {
                let mut named = intermediates.iter();
                let named = named.find(|der| Roots::fingerprint(der) == *fingerprint);
                let mut roots = RootCertStore::empty();
                roots.add(named.ok_or_else(refused)?.clone().into_owned())?;
                Arc::new(roots)
            }
        };
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)?;
        self.check_names(certificate)
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_server(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for NodeVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = self.clients.as_ref().ok_or_else(refused)?;
        let verified = chain.verify_client_cert(end_entity, intermediates, now)?;
        self.check_names(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// The environment's wall clock, by which certificates begin and end.
pub(super) struct EnvironmentTime(pub(super) Arc<dyn Clock>);

impl fmt::Debug for EnvironmentTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvironmentTime")
    }
}

impl TimeProvider for EnvironmentTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since_1970 = u64::try_from(self.0.now().unix_s()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(since_1970)))
    }
}
