//! Public keys as domains publish them (RFC 6376 §3.6.1, RFC 8463 §4).

use super::tags;
use super::{Algorithm, Signature};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// As it is written by hand: with padding or without.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The longest key that is tried, in bytes of its DER form: 8,192 bits (attack 18).
const KEY_BYTES_MAX: usize = 1_100;

/// Why a record cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyError {
    /// It is no key record, or one of another kind.
    Malformed,
    /// The domain has withdrawn the key.
    Revoked,
}

/// A key.
#[derive(Clone, Debug)]
pub struct PublicKey {
    is_ed25519: bool,
    bytes: Vec<u8>,
    /// `t=s`: the signer's identity must be of the domain itself.
    pub exact_identity: bool,
    /// `h=` leaves SHA-256 out.
    forbids_sha256: bool,
}

impl PublicKey {
    /// Reads a key record.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(record: &[u8]) -> Result<Self, KeyError> {
        let tags = tags::parse(record).ok_or(KeyError::Malformed)?;
        let is_version = |(place, (name, value)): (usize, &(&str, &str))| {
            *name != "v" || (place == 0 && *value == "DKIM1")
        };
        if !tags.iter().enumerate().all(is_version) {
            return Err(KeyError::Malformed);
        }
        let is_ed25519 = match tags::find(&tags, "k") {
            None => false,
            Some(kind) if kind.eq_ignore_ascii_case("rsa") => false,
            Some(kind) if kind.eq_ignore_ascii_case("ed25519") => true,
            Some(_) => return Err(KeyError::Malformed),
        };
        let list = |name| tags::find(&tags, name).map(|value| value.split(':').map(str::trim));
        let for_mail = list("s").is_none_or(|mut kinds| {
            kinds.any(|kind| kind == "*" || kind.eq_ignore_ascii_case("email"))
        });
        if !for_mail {
            return Err(KeyError::Malformed);
        }
        let forbids_sha256 =
            list("h").is_some_and(|mut hashes| !hashes.any(|h| h.eq_ignore_ascii_case("sha256")));
        let exact_identity =
            list("t").is_some_and(|mut flags| flags.any(|flag| flag.eq_ignore_ascii_case("s")));
        let key = tags::dense(tags::find(&tags, "p").ok_or(KeyError::Malformed)?);
        if key.is_empty() {
            return Err(KeyError::Revoked);
        }
        let bytes = LENIENT.decode(key).map_err(|_| KeyError::Malformed)?;
        if bytes.len() > KEY_BYTES_MAX || (is_ed25519 && bytes.len() != 32) {
            return Err(KeyError::Malformed);
        }
        Ok(Self { is_ed25519, bytes, exact_identity, forbids_sha256 })
    }

    /// Whether a signature may be checked with it.
    pub fn fits(&self, signature: &Signature) -> bool {
        let is_kind = match signature.algorithm {
            Algorithm::RsaSha256 => !self.is_ed25519,
            Algorithm::Ed25519Sha256 => self.is_ed25519,
            Algorithm::RsaSha1 => false,
        };
        is_kind && !self.forbids_sha256
    }

    /// Whether `signature` is this key's over `input`. An RSA key of less than 1,024 bits or more
    /// than 8,192 signs nothing (RFC 8301 §3.2).
    pub fn verifies(&self, input: &[u8], signature: &[u8]) -> bool {
        if self.is_ed25519 {
            let hash = digest(&SHA256, input);
            let key = UnparsedPublicKey::new(&ED25519, &self.bytes);
            return key.verify(hash.as_ref(), signature).is_ok();
        }
        let algorithm = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(input, signature).is_ok()
    }
}
