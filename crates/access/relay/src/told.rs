//! What is told of sessions to whoever reports on them to their domains (RFC 8460): under which
//! policy a host was met, and how that went.
//!
//! A session counts once, when it is encrypted or when it is clear that it will not be. Hosts that
//! do not answer or want no mail now have nothing to do with it.

use crate::session::{Refusal, Session};
use contract_transport::reports::tls::{
    PolicyKind, STRINGS_MAX, TlsFailure, TlsFault, TlsPolicy, TlsSession, TlsSessions,
};
use contract_transport::sts::{StsMode, StsPolicy};
use rustls::{CertificateError, OtherError};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The longest reason, in characters.
const REASON_MAX: usize = 200;

/// Something that went wrong, and our words for it.
pub(crate) type Fault = (TlsFault, String);

/// Who is told, once somebody wants to hear of it; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<OnceLock<Arc<dyn TlsSessions>>>);

/// What is told of all sessions with one host of a domain.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) domain: String,
    pub(crate) policy: TlsPolicy,
    pub(crate) exchanger: String,
    /// What is wrong whatever the host does, though it gets the mail.
    pub(crate) fault: Option<Fault>,
    /// What its certificate would be refused for.
    pub(crate) observed: Option<Arc<Observed>>,
}

/// What a certificate would be refused for by a policy that is only tested.
#[derive(Debug, Default)]
pub(crate) struct Observed(Mutex<Option<Fault>>);

impl Observed {
    /// What came of looking at one.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn get(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Listener {
    /// From now on; the first one stays.
    pub(crate) fn begin(&self, sessions: Arc<dyn TlsSessions>) {
        let _already = self.0.set(sessions);
    }

    /// Whether anybody wants to hear anything.
    pub(crate) fn is_there(&self) -> bool {
        self.0.get().is_some()
    }

    /// What came of a connection.
    pub(crate) fn session(&self, told: &Told, ip: IpAddr, came: Result<&Session, &Refusal>) {
        let fault = match came {
            Ok(session) if !session.is_encrypted => Some(no_starttls()),
            Ok(_) => {
                let observed = told.observed.as_ref().and_then(|observed| observed.get());
                told.fault.clone().or(observed)
            }
            Err(Refusal { fault: Some(fault), .. }) => Some(fault.clone()),
            Err(_) => return,
        };
        self.tell(told, Some(ip), fault);
    }

    /// What is wrong with a host before anybody has connected.
    pub(crate) fn left_out(&self, domain: &str, exchanger: &str, policy: TlsPolicy, fault: Fault) {
        let (domain, exchanger) = (domain.to_owned(), exchanger.to_owned());
        let told = Told { domain, policy, exchanger, fault: None, observed: None };
        self.tell(&told, None, Some(fault));
    }

    fn tell(&self, told: &Told, receiving_ip: Option<IpAddr>, fault: Option<Fault>) {
        let Some(sessions) = self.0.get() else { return };
        let Told { domain, policy, exchanger, .. } = told;
        let failure = fault.map(|(fault, reason)| TlsFailure {
            fault,
            exchanger: exchanger.clone(),
            receiving_ip,
            reason: short(&reason),
        });
        sessions.note(TlsSession { domain: domain.clone(), policy: policy.clone(), failure });
    }
}

/// The host does not offer to encrypt.
pub(crate) fn no_starttls() -> Fault {
    (TlsFault::StarttlsNotSupported, String::new())
}

/// A reason as it may stand in a report; `None` for none.
fn short(reason: &str) -> Option<String> {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect();
    (!reason.is_empty()).then_some(reason)
}

/// What a certificate is refused for.
pub(crate) fn fault_of(error: &rustls::Error) -> TlsFault {
    let rustls::Error::InvalidCertificate(error) = error else {
        return TlsFault::ValidationFailure;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            TlsFault::CertificateExpired
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::CertificateHostMismatch
        }
        // A signature that is not the authority's which it names is of one that nobody knows.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsFault::CertificateNotTrusted
        }
        // How the library calls a certificate that is its own authority.
        CertificateError::Other(OtherError(why)) if why.to_string() == "CaUsedAsEndEntity" => {
            TlsFault::CertificateNotTrusted
        }
        _ => TlsFault::ValidationFailure,
    }
}

/// A policy of MTA-STS, as it is told.
pub(crate) fn of_sts(policy: &StsPolicy) -> TlsPolicy {
    let mode = match policy.mode {
        StsMode::Enforce => "enforce",
        StsMode::Testing => "testing",
        StsMode::None => "none",
    };
    let exchangers: Vec<String> = policy.exchangers.iter().take(STRINGS_MAX - 3).cloned().collect();
    let mut strings = vec!["version: STSv1".to_owned(), format!("mode: {mode}")];
    strings.extend(exchangers.iter().map(|pattern| format!("mx: {pattern}")));
    strings.push(format!("max_age: {}", policy.max_age_s));
    TlsPolicy { kind: PolicyKind::Sts, strings, exchangers }
}

/// TLSA records, as they are told.
pub(crate) fn of_tlsa(records: &[base::env::Tlsa]) -> TlsPolicy {
    let text = |one: &base::env::Tlsa| {
        let mut text = format!("{} {} {} ", one.usage, one.selector, one.matching);
        // Whole certificates are as long as they are.
        for byte in one.data.iter().take(64) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    };
    let strings = records.iter().take(STRINGS_MAX).map(text).collect();
    TlsPolicy { kind: PolicyKind::Tlsa, strings, exchangers: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::Error::InvalidCertificate;

    #[test]
    fn certificates_are_refused_by_name() {
        let check = |error: rustls::Error, expected: TlsFault| {
            assert_eq!(fault_of(&error), expected, "{error:?}");
        };
        check(InvalidCertificate(CertificateError::Expired), TlsFault::CertificateExpired);
        check(
            InvalidCertificate(CertificateError::NotValidForName),
            TlsFault::CertificateHostMismatch,
        );
        check(InvalidCertificate(CertificateError::UnknownIssuer), TlsFault::CertificateNotTrusted);
        check(InvalidCertificate(CertificateError::Revoked), TlsFault::ValidationFailure);
        check(rustls::Error::DecryptError, TlsFault::ValidationFailure);
    }

    #[test]
    fn a_reason_is_a_short_line() {
        assert_eq!(short(""), None);
        assert_eq!(short("a\r\nb").as_deref(), Some("ab"));
        assert_eq!(short(&"x".repeat(1000)).map(|reason| reason.len()), Some(REASON_MAX));
    }
}
