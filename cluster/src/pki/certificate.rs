//! A node's key, and what its certificate says.

use super::NodeIdentity;
use base::{Error, Kind, Result, Timestamp};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::time::Duration;
use x509_parser::extensions::GeneralName;

/// The private key of one node. Kept in a file that only the node can read; never sent.
pub struct NodeKey {
    key: KeyPair,
}

impl NodeKey {
    /// A new key (ECDSA, P-256).
    ///
    /// # Errors
    /// [`Kind::Internal`] if the cryptographic library fails.
    pub fn generate() -> Result<Self> {
        Ok(Self { key: KeyPair::generate().map_err(Error::internal)? })
    }

    /// The key from its PKCS #8 DER form.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is none.
    pub fn from_der(key: &[u8]) -> Result<Self> {
        let key = PrivatePkcs8KeyDer::from(key);
        match KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256) {
            Ok(key) => Ok(Self { key }),
            Err(error) => Err(Error::corrupt(format!("the node's key: {error}"))),
        }
    }

    /// The PKCS #8 DER form, for the node's own file.
    pub fn to_der(&self) -> &[u8] {
        self.key.serialized_der()
    }

    /// A request for a certificate (PKCS #10 DER), signed by the key as a proof of possession. It
    /// names nobody: who the node is, its authority decides.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the cryptographic library fails.
    pub fn request(&self) -> Result<Vec<u8>> {
        let request = CertificateParams::default().serialize_request(&self.key);
        Ok(request.map_err(Error::internal)?.der().to_vec())
    }

    pub(super) fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// What a node certificate says; nothing of it is verified by reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CertificateFacts {
    /// Which node it is for.
    pub identity: NodeIdentity,
    /// From when it is good.
    pub not_before: Timestamp,
    /// Until when it is good.
    pub not_after: Timestamp,
}

impl CertificateFacts {
    /// Reads a certificate (DER).
    ///
    /// # Errors
    /// [`Kind::BadCredentials`] if it is not a certificate of a node: there must be exactly one
    /// alternative name, a URI in the form of [`NodeIdentity::uri`].
    pub fn of(certificate: &[u8]) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(Kind::BadCredentials, "This is not a node's certificate").detail(why)
        };
        let (rest, found) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| wrong(error.to_string()))?;
        if !rest.is_empty() {
            return Err(wrong(format!("{} bytes too many", rest.len())));
        }
        let names = found.subject_alternative_name().map_err(|error| wrong(error.to_string()))?;
        let names = names.map_or(&[][..], |names| &names.value.general_names[..]);
        let [GeneralName::URI(uri)] = names else {
            return Err(wrong(format!("{} alternative names, or no URI", names.len())));
        };
        let identity = NodeIdentity::parse_uri(uri);
        let identity = identity.ok_or_else(|| wrong(format!("named {}", uri.escape_debug())))?;
        let (begin, end) = (found.validity().not_before, found.validity().not_after);
        let at = |unix_s: i64| Timestamp { unix_ms: unix_s.saturating_mul(1000) };
        let (not_before, not_after) = (at(begin.timestamp()), at(end.timestamp()));
        Ok(Self { identity, not_before, not_after })
    }

    /// Whether it is time for a new certificate: two thirds of its life have passed. Asked for
    /// once an hour, with the node's own certificate.
    pub fn needs_rotation(&self, now: Timestamp) -> bool {
        let life_ms = self.not_after.unix_ms.saturating_sub(self.not_before.unix_ms);
        now.unix_ms >= self.not_after.unix_ms.saturating_sub(life_ms / 3)
    }

    /// Whether it is good at that time.
    pub fn is_good_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// How long it is good yet.
    pub fn time_left(&self, now: Timestamp) -> Duration {
        let left_ms = self.not_after.unix_ms.saturating_sub(now.unix_ms);
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }
}
