//! What other domains ask of whoever sends mail to them, as we have learnt it: policies of MTA-STS
//! (RFC 8461).
//!
//! A policy counts for as long as it says, whoever hides it meanwhile (RFC 8461 §5.1). So it is
//! kept where it outlives the node that has fetched it, and holds for all nodes.

use async_trait::async_trait;
use base::{Result, Timestamp};
use serde::{Deserialize, Serialize};

/// How strictly a domain means it (RFC 8461 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StsMode {
    /// Mail goes safely or not at all.
    Enforce,
    /// Mail goes as without a policy; the domain wants to know what would not.
    Testing,
    /// There is no policy any more.
    None,
}

/// What a domain asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StsPolicy {
    /// Its name; another one means that there is another policy.
    pub id: String,
    /// How strictly.
    pub mode: StsMode,
    /// The exchangers that may take its mail, in ASCII and lower case; `*.example.org` is any name
    /// with one label more.
    pub exchangers: Vec<String>,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// For how long it counts from then on, in seconds.
    pub max_age_s: u32,
}

impl StsPolicy {
    /// Whether it counts at a moment.
    pub fn counts(&self, now: Timestamp) -> bool {
        now.unix_ms < self.fetched.plus_ms(i64::from(self.max_age_s) * 1000).unix_ms
    }

    /// Whether it should be fetched again before it has run out.
    pub fn is_old(&self, now: Timestamp) -> bool {
        now.unix_ms >= self.fetched.plus_ms(i64::from(self.max_age_s) * 500).unix_ms
    }
}

/// Where policies are kept, one for each domain, in ASCII and lower case.
#[async_trait]
pub trait StsPolicies: Send + Sync + 'static {
    /// The last one of a domain, whether it counts still or not.
    ///
    /// # Errors
    /// The store's.
    async fn policy(&self, domain: &str) -> Result<Option<StsPolicy>>;

    /// Keeps one in place of the one before, whichever was fetched later.
    ///
    /// # Errors
    /// The store's.
    async fn keep(&self, domain: &str, policy: &StsPolicy) -> Result<()>;

    /// Some domains and their policies, in order, those behind a domain; none at the end.
    ///
    /// # Errors
    /// The store's.
    async fn after(&self, domain: &str) -> Result<Vec<(String, StsPolicy)>>;

    /// Forgets the one of a domain.
    ///
    /// # Errors
    /// The store's.
    async fn forget(&self, domain: &str) -> Result<()>;

    /// Notes that mail went to a domain at a moment. It is enough now and then.
    ///
    /// # Errors
    /// The store's.
    async fn use_at(&self, domain: &str, at: Timestamp) -> Result<()>;

    /// The last such moment that was noted.
    ///
    /// # Errors
    /// The store's.
    async fn used(&self, domain: &str) -> Result<Option<Timestamp>>;
}
