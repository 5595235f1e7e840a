//! The certificate authority of one cluster.

use super::{CertificateFacts, NodeIdentity};
use base::{Error, NodeId, Result, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a node's certificate is good. A third of it is left when it is renewed, so a cluster
/// can be without its operator for a month.
pub const CERTIFICATE_LIFE: Duration = DAY.saturating_mul(90);

/// How far the clocks of two nodes may differ without a fresh certificate being refused.
pub const CLOCK_SKEW_MAX: Duration = DAY.saturating_mul(2);

/// How long the authority itself is good.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(20 * 365);

/// Signs the certificates of one cluster's nodes.
pub struct Authority {
    cluster_id: u128,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority for a cluster, at its founding or to replace an older one (both stand in
    /// [`Roots`] until every node has a certificate of the new one).
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if the cryptographic library fails.
    pub fn found(cluster_id: u128, now: Timestamp) -> Result<Self> {
        let key = KeyPair::generate().map_err(Error::internal)?;
        let mut params = CertificateParams::default();
        // The key's identifier keeps several authorities of one cluster apart.
        params.distinguished_name = named(format!("Rialto cluster {cluster_id:032x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_LIFE);
        let certificate = params.self_signed(&key).map_err(Error::internal)?.der().clone();
        Ok(Self { cluster_id, certificate, issuer: Issuer::new(params, key) })
    }

    /// An authority from its certificate and its private key (PKCS #8), both DER.
    ///
    /// # Errors
    /// [`base::Kind::Corrupt`] if they cannot be read.
    pub fn from_der(cluster_id: u128, certificate: Vec<u8>, key: &[u8]) -> Result<Self> {
        let damaged = |error| Error::corrupt(format!("the cluster's authority: {error}"));
        let key = PrivatePkcs8KeyDer::from(key);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
            .map_err(damaged)?;
        let certificate = CertificateDer::from(certificate);
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(damaged)?;
        Ok(Self { cluster_id, certificate, issuer })
    }

    /// The cluster it signs for.
    pub fn cluster_id(&self) -> u128 {
        self.cluster_id
    }

    /// Its own certificate, DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its private key, PKCS #8 DER: a secret that only the store holds.
    pub fn key_der(&self) -> &[u8] {
        self.issuer.key().serialized_der()
    }

    /// Signs a node's request (PKCS #10 DER). Only the public key is taken from it, after its
    /// proof of possession was checked: who the node is, the caller says.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a request that cannot be read or is not signed by its own key.
    pub fn issue(&self, request: &[u8], node: NodeId, now: Timestamp) -> Result<Vec<u8>> {
        self.issue_for(request, node, now, CERTIFICATE_LIFE)
    }

    pub(crate) fn issue_for(
        &self,
        request: &[u8],
        node: NodeId,
        now: Timestamp,
        life: Duration,
    ) -> Result<Vec<u8>> {
        let request = parse_request(request)?;
        let identity = NodeIdentity { cluster_id: self.cluster_id, node };
        let mut params = CertificateParams::default();
        params.distinguished_name = named(format!("Rialto node {}", node.0));
        let uri = identity.uri().try_into().map_err(Error::internal)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, life);
        let issued = params.signed_by(&request.public_key, &self.issuer);
        let issued = issued.map_err(Error::internal)?.der().to_vec();
        debug_assert!(CertificateFacts::of(&issued).is_ok_and(|facts| facts.identity == identity));
        Ok(issued)
    }
}

/// The fingerprint of the key that a request is for; tells requests of different nodes apart.
pub(super) fn request_fingerprint(request: &[u8]) -> Result<[u8; 32]> {
    Ok(*blake3::hash(&parse_request(request)?.public_key.subject_public_key_info()).as_bytes())
}

fn parse_request(request: &[u8]) -> Result<CertificateSigningRequestParams> {
    CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
        .map_err(|error| Error::invalid("The certificate request cannot be used").detail(error))
}

fn named(name: String) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    // Certificates end with the year 9999; no clock may take us there.
    let last = Duration::from_secs(250_000_000_000);
    let now = Duration::from_secs(u64::try_from(now.unix_s()).unwrap_or(0)).min(last);
    let start = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = start + now.saturating_sub(CLOCK_SKEW_MAX);
    params.not_after = start + now + life;
}

/// The authorities whose certificates a node accepts: one, or two while one replaces another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Roots {
    /// Their certificates, DER.
    pub certificates: Vec<Vec<u8>>,
}

impl Roots {
    /// The roots that consist of one authority.
    pub fn of(authority: &Authority) -> Self {
        Self { certificates: vec![authority.certificate().to_vec()] }
    }

    /// What a [`JoinToken`](super::JoinToken) knows an authority by.
    pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
        *blake3::hash(certificate).as_bytes()
    }

    pub(super) fn store(&self) -> Result<Arc<RootCertStore>> {
        let mut store = RootCertStore::empty();
        for certificate in &self.certificates {
            let added = store.add(CertificateDer::from(certificate.as_slice()));
            added.map_err(|error| Error::corrupt(format!("a root of the cluster: {error}")))?;
        }
        Ok(Arc::new(store))
    }
}
