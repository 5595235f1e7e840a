//! Remote domains: what Rialto sends by itself to domains that are not ours (Exchange:
//! RemoteDomain). Mail that people write is not concerned.

use crate::connector::AddressSpace;
use async_trait::async_trait;
use base::{Error, Result};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most entries.
pub const REMOTE_DOMAINS_MAX: usize = 1_000;

/// The pattern of the entry for all domains that no other one fits. It is always there.
pub const EVERYWHERE: &str = "*";

/// The longest pattern, in bytes (RFC 1035 §2.3.4).
const PATTERN_BYTES_MAX: usize = 255;

/// What may go to some domains.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemoteDomain {
    /// `example.org`, `*.example.org` for what is below it, or [`EVERYWHERE`]; in lower case.
    pub pattern: String,
    /// What mailboxes forward (AutoForwardEnabled).
    pub forwards: bool,
    /// Reports of failure (NDREnabled).
    pub failures: bool,
    /// Reports of success and delay (DeliveryReportEnabled).
    pub reports: bool,
}

/// What to change of a [`RemoteDomain`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RemoteDomainChange {
    /// What mailboxes forward.
    pub forwards: Option<bool>,
    /// Reports of failure.
    pub failures: Option<bool>,
    /// Reports of success and delay.
    pub reports: Option<bool>,
}

impl RemoteDomain {
    /// Everything may go there.
    pub fn open(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), forwards: true, failures: true, reports: true }
    }

    /// Refuses what can never fit.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`].
    pub fn check(&self) -> Result<()> {
        let pattern = self.pattern.as_str();
        let domain = pattern.strip_prefix("*.").unwrap_or(pattern);
        let is_label = |label: &str| {
            let is_plain = |c: char| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit();
            !label.is_empty() && label.chars().all(is_plain)
        };
        let is_fine = pattern.len() <= PATTERN_BYTES_MAX && domain.split('.').all(is_label);
        if pattern != EVERYWHERE && !is_fine {
            let text = format!("remote domain: \"{}\" is no domain", pattern.escape_debug());
            return Err(Error::invalid(text));
        }
        Ok(())
    }

    /// It, changed.
    #[must_use]
    pub fn changed(&self, change: RemoteDomainChange) -> Self {
        let RemoteDomainChange { forwards, failures, reports } = change;
        Self {
            pattern: self.pattern.clone(),
            forwards: forwards.unwrap_or(self.forwards),
            failures: failures.unwrap_or(self.failures),
            reports: reports.unwrap_or(self.reports),
        }
    }

    /// The entry that fits a domain best; everything may go where none does.
    pub fn of<'a>(all: impl Iterator<Item = &'a Self>, domain: &str) -> Self {
        let domain = domain.to_lowercase();
        let fit = |one: &Self| AddressSpace { pattern: one.pattern.clone(), cost: 0 }.fits(&domain);
        let best = all.filter_map(|one| Some((fit(one)?, one))).max_by_key(|(fit, _)| *fit);
        best.map_or_else(|| Self::open(EVERYWHERE), |(_, one)| one.clone())
    }
}

/// Administering remote domains.
#[async_trait]
pub trait RemoteDomains: Send + Sync + 'static {
    /// All entries, by pattern; the one for everywhere among them.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn remote_domains(&self) -> Result<Vec<Arc<RemoteDomain>>>;

    /// Makes an entry.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`], [`base::Kind::Invalid`], [`base::Kind::Limit`].
    async fn create_remote_domain(
        &self,
        actor: &Actor,
        new: RemoteDomain,
    ) -> Result<Arc<RemoteDomain>>;

    /// Changes an entry.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn update_remote_domain(
        &self,
        actor: &Actor,
        pattern: &str,
        change: RemoteDomainChange,
    ) -> Result<Arc<RemoteDomain>>;

    /// Removes an entry; that for everywhere cannot go.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::CannotChange`].
    async fn remove_remote_domain(&self, actor: &Actor, pattern: &str) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_pattern_decides() {
        let of = |pattern: &str, forwards| RemoteDomain { forwards, ..RemoteDomain::open(pattern) };
        let all = [of("*", false), of("*.x.test", true), of("a.x.test", false), of("x.test", true)];
        let check = |domain: &str, expect: bool| {
            assert_eq!(RemoteDomain::of(all.iter(), domain).forwards, expect, "{domain}");
        };
        check("y.test", false);
        check("X.test", true);
        check("b.x.test", true);
        check("A.x.test", false);
        check("c.a.x.test", true);
        assert!(RemoteDomain::of([].iter(), "y.test").forwards);
    }

    #[test]
    fn patterns_are_domains() {
        let check = |pattern: &str, expect: bool| {
            assert_eq!(RemoteDomain::open(pattern).check().is_ok(), expect, "{pattern:?}");
        };
        for fine in ["*", "x.test", "*.x.test", "xn--bcher-kva.test"] {
            check(fine, true);
        }
        for wrong in ["", "*.", "X.test", "a b.test", "*x.test", "a..b", "a\r\n.test", "**"] {
            check(wrong, false);
        }
    }
}
