//! Checking signatures from the root down, by ourselves (RFC 4035): whether a name server on the way
//! did it matters to nobody then (docs/decisions/0025).
//!
//! Not every name server passes signatures on. Unless the operator insists, one that does not is
//! used without: whether it does is seen by asking for the root's own record, which has the key that
//! we know. Once that went well, what is not signed as it should be is an error, for good: nobody
//! can talk us out of it again.

use super::{Builder, unusable};
use base::{Deadline, Error, Result};
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError as Refusal, NetError};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a name server that passes no signatures on is not asked for them again.
const RETRY: Duration = Duration::from_secs(600);

/// How long one that did not answer is not, the first time; twice as long each time after it.
const RETRY_ERROR: Duration = Duration::from_secs(5);

/// How much DNSSEC counts. Trust anchors are DNSKEY records in a zone file's form; the Internet's
/// own where empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Dnssec {
    /// Not at all.
    #[default]
    Off,
    /// Where the name servers pass signatures on; with these trust anchors.
    Auto(String),
    /// Always: without signatures there are no answers; with these trust anchors.
    Require(String),
}

/// Whether trust anchors can be read.
///
/// # Errors
/// [`base::Kind::Invalid`].
pub fn check_anchors(text: &str) -> Result<()> {
    anchors(text).map(|_| ())
}

fn anchors(text: &str) -> Result<TrustAnchors> {
    if text.trim().is_empty() {
        return Ok(TrustAnchors::default());
    }
    let wrong = |why: &dyn fmt::Display| {
        Error::invalid(format!("The trust anchors of DNSSEC cannot be used: {why}"))
    };
    let read: TrustAnchors = text.parse().map_err(|error| wrong(&error))?;
    if read.is_empty() {
        return Err(wrong(&"there is none for the root"));
    }
    Ok(read)
}

/// Whether everything in an answer, aliases included, is vouched for. Signatures themselves are
/// not signed.
pub(super) fn is_secure(records: &[Record]) -> bool {
    let mut signed = records.iter().filter(|record| record.record_type() != RecordType::RRSIG);
    signed.clone().next().is_some() && signed.all(|record| record.proof.is_secure())
}

/// A client that checks signatures, and whether it can.
pub(super) struct Validating {
    inner: TokioResolver,
    is_required: bool,
    /// The root's record was seen, with a good signature.
    is_proven: AtomicBool,
    /// Held while it is being found out, so that it is done once; until when it is not done again.
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    until: Option<Deadline>,
    /// How often there was no answer since there was one.
    errors: u32,
}

impl Validating {
    /// `None` where it is off.
    pub(super) fn new(builder: Builder, dnssec: &Dnssec) -> Result<Option<Self>> {
        let (is_required, text) = match dnssec {
            Dnssec::Off => return Ok(None),
            Dnssec::Auto(text) => (false, text),
            Dnssec::Require(text) => (true, text),
        };
        let builder = builder.with_trust_anchor(Arc::new(anchors(text)?));
        Ok(Some(Self {
            inner: builder.build().map_err(unusable)?,
            is_required,
            is_proven: AtomicBool::new(false),
            rest: Mutex::default(),
        }))
    }

    /// The client; `None` where the name servers pass no signatures on and none are required.
    pub(super) async fn get(&self) -> Option<&TokioResolver> {
        if self.is_required || self.is_proven.load(Ordering::Acquire) {
            return Some(&self.inner);
        }
        let mut rest = self.rest.lock().await;
        if self.is_proven.load(Ordering::Acquire) {
            return Some(&self.inner);
        }
        if rest.until.is_some_and(|until| !until.has_passed()) {
            return None;
        }
        let (why, retry) = match self.inner.lookup(Name::root(), RecordType::SOA).await {
            Ok(answer) if is_secure(answer.answers()) => {
                self.is_proven.store(true, Ordering::Release);
                return Some(&self.inner);
            }
            // Left without its signature, or with a wrong one: hickory does not tell them apart.
            Ok(_) | Err(NetError::Dns(Refusal::DnssecBogus | Refusal::Nsec { .. })) => {
                rest.errors = 0;
                ("the root's record came without a good signature".to_owned(), RETRY)
            }
            // That nobody answers tells nothing about signatures. A name server that never will
            // must not cost this time over and over again.
            Err(error) => {
                let retry = RETRY_ERROR.saturating_mul(1 << rest.errors.min(7)).min(RETRY);
                rest.errors = rest.errors.saturating_add(1);
                (error.to_string(), retry)
            }
        };
        let retry_s = retry.as_secs();
        tracing::warn!(why, retry_s, "DNSSEC cannot be used: mail goes without DANE");
        rest.until = Some(Deadline::after(retry));
        None
    }

    /// For how much longer it is left alone.
    #[cfg(test)]
    pub(super) async fn rest(&self) -> Option<Duration> {
        Some(self.rest.lock().await.until?.remaining())
    }
}
