//! How sessions with other servers went, as their domains want to hear of it (RFC 8460).

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The most lines that are told of a policy.
pub const STRINGS_MAX: usize = 64;

/// A session with a host of a domain: it was encrypted as the policy asks, or why not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSession {
    /// Whose mail goes there, in ASCII and lower case.
    pub domain: String,
    /// What was asked for.
    pub policy: TlsPolicy,
    /// What went wrong, if anything did.
    pub failure: Option<TlsFailure>,
}

/// What a domain asks for (RFC 8460 §4.2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TlsPolicy {
    /// Of what kind.
    pub kind: PolicyKind,
    /// The policy itself, line by line, or TLSA record by record; at most [`STRINGS_MAX`].
    pub strings: Vec<String>,
    /// The exchangers that a policy of MTA-STS names; at most [`STRINGS_MAX`].
    pub exchangers: Vec<String>,
}

/// A kind of policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PolicyKind {
    /// DANE (RFC 7672).
    Tlsa,
    /// MTA-STS (RFC 8461).
    Sts,
    /// There is neither.
    None,
}

impl PolicyKind {
    /// `policy-type`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::None => "no-policy-found",
        }
    }
}

impl TlsPolicy {
    /// Where nothing is asked for.
    pub fn none() -> Self {
        Self { kind: PolicyKind::None, strings: Vec::new(), exchangers: Vec::new() }
    }
}

/// A session that went wrong, or would have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TlsFailure {
    /// How.
    pub fault: TlsFault,
    /// The exchanger; empty where it came to none.
    pub exchanger: String,
    /// Its address, where there was a connection.
    pub receiving_ip: Option<IpAddr>,
    /// Our words; short, printable.
    pub reason: Option<String>,
}

/// How a session went wrong (RFC 8460 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TlsFault {
    /// The host does not offer STARTTLS.
    StarttlsNotSupported,
    /// The certificate is another host's.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is of no authority that is known.
    CertificateNotTrusted,
    /// Whatever else.
    ValidationFailure,
    /// No TLSA record can be used.
    TlsaInvalid,
    /// What DNSSEC was to vouch for could not be found out.
    DnssecInvalid,
    /// Our operator wants DANE, and there is none.
    DaneRequired,
    /// The policy cannot be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The web server that has the policy has no valid certificate.
    StsWebpkiInvalid,
}

impl TlsFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::StarttlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
        Self::StsPolicyFetchError,
        Self::StsPolicyInvalid,
        Self::StsWebpkiInvalid,
    ];

    /// `result-type`.
    pub fn word(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

/// Whoever counts sessions.
pub trait TlsSessions: Send + Sync + 'static {
    /// Counts one. Never waits; may forget it.
    fn note(&self, session: TlsSession);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_told_apart_and_variants_keep_their_numbers() {
        let words: BTreeSet<_> = TlsFault::ALL.iter().map(|fault| fault.word()).collect();
        assert_eq!(words.len(), TlsFault::ALL.len());
        for (number, fault) in TlsFault::ALL.iter().enumerate() {
            let bytes = base::wire::encode(fault).map(|bytes| bytes.to_vec());
            assert_eq!(bytes.ok(), Some(vec![number as u8]), "{fault:?}");
        }
    }
}
