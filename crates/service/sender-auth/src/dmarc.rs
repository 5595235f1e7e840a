//! DMARC: what a domain wants done with mail that bears its name and is not from it (RFC 9989, and
//! RFC 7489, whose `pct` is still published widely).
//!
//! Which domains belong together is found by walking up the names, not from a list of public
//! suffixes: the organisational domain is where the topmost policy stands (RFC 9989 §4.10).

use crate::dkim::{is_within, tags};
use base::env::{Dns, DnsError};
use contract_transport::reports::dmarc::PublishedPolicy;

/// Questions of one walk (RFC 9989 §4.10).
const WALK_MAX: usize = 8;

/// What is to be done with mail that fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Policy {
    /// Nothing.
    None,
    /// It is suspicious.
    Quarantine,
    /// It is refused.
    Reject,
}

impl Policy {
    /// The word in a record.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "quarantine" => Some(Self::Quarantine),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    /// The next milder one.
    #[must_use]
    pub fn relaxed(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

/// `psd=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Suffix {
    Yes,
    No,
    Unsaid,
}

/// A record (RFC 9989 §4.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    policy: Policy,
    subdomain_policy: Policy,
    /// `adkim=s`.
    strict_dkim: bool,
    /// `aspf=s`.
    strict_spf: bool,
    /// `pct=`: for how many of a hundred messages the policy is meant (RFC 7489 §6.3).
    percent: u8,
    /// `t=y`.
    testing: bool,
    suffix: Suffix,
    /// Whether it has addresses for reports (`rua=`).
    wants_reports: bool,
}

impl Record {
    /// Reads a TXT record; `None` where it is no DMARC record.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let tags = tags::parse(text)?;
        if tags.first() != Some(&("v", "DMARC1")) {
            return None;
        }
        let find = |tag| tags::find(&tags, tag);
        let is = |tag, word: &str| find(tag).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let policy = find("p").and_then(Policy::parse).unwrap_or(Policy::None);
        let percent = find("pct").and_then(|text| text.parse().ok()).filter(|pct| *pct <= 100);
        Some(Self {
            policy,
            subdomain_policy: find("sp").and_then(Policy::parse).unwrap_or(policy),
            strict_dkim: is("adkim", "s"),
            strict_spf: is("aspf", "s"),
            percent: percent.unwrap_or(100),
            testing: is("t", "y"),
            suffix: match find("psd") {
                Some("y" | "Y") => Suffix::Yes,
                Some("n" | "N") => Suffix::No,
                _ => Suffix::Unsaid,
            },
            wants_reports: find("rua").is_some_and(|rua| !rua.is_empty()),
        })
    }

    /// Whether its domain wants to hear what comes of mail that bears its name (RFC 9990).
    pub fn wants_reports(&self) -> bool {
        self.wants_reports
    }

    /// Whether it asks for the next milder thing only (`t=y`).
    pub fn is_testing(&self) -> bool {
        self.testing
    }

    /// What reports say of it.
    pub fn published(&self) -> PublishedPolicy {
        PublishedPolicy {
            policy: self.policy.word().to_owned(),
            subdomain_policy: self.subdomain_policy.word().to_owned(),
            strict_dkim: self.strict_dkim,
            strict_spf: self.strict_spf,
            testing: self.testing,
        }
    }
}

/// What stands on the way from a name to the root.
#[derive(Clone, Debug)]
pub struct Walk {
    domain: String,
    /// The lowest first.
    found: Vec<(String, Record)>,
}

/// Nobody knows at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unknown;

impl Walk {
    /// Walks up from a domain in lower case.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn from(dns: &dyn Dns, domain: &str) -> Result<Self, Unknown> {
        let mut found = Vec::new();
        let mut name = domain;
        for _ in 0..WALK_MAX {
            if let Some(record) = look_up(dns, name).await? {
                let ends = record.suffix != Suffix::Unsaid;
                found.push((name.to_owned(), record));
                if ends {
                    break;
                }
            }
            // Of a long name the middle is skipped, so that nobody makes us ask for ever.
            let labels = name.split('.').count();
            let skipped = if labels > WALK_MAX { labels - WALK_MAX + 1 } else { 1 };
            match name.splitn(skipped + 1, '.').nth(skipped) {
                Some(rest) => name = rest,
                None => break,
            }
        }
        Ok(Self { domain: domain.to_owned(), found })
    }

    /// The organisational domain (RFC 9989 §4.10.2).
    pub fn organisation(&self) -> &str {
        let Some((name, record)) = self.found.last() else { return &self.domain };
        if record.suffix != Suffix::Yes || *name == self.domain {
            return name;
        }
        // One label below the suffix.
        let above = self.domain.len() - name.len() - 1;
        let start = self.domain[..above].rfind('.').map_or(0, |dot| dot + 1);
        &self.domain[start..]
    }

    /// The record that speaks for the domain, and what it asks for.
    pub fn policy(&self) -> Option<(&Record, Policy)> {
        let (name, record) = self.source()?;
        let is_own = name == self.domain;
        Some((record, if is_own { record.policy } else { record.subdomain_policy }))
    }

    /// The record that speaks for the domain, and whose it is.
    pub fn source(&self) -> Option<(&str, &Record)> {
        let own = self.found.first().filter(|(name, _)| *name == self.domain);
        let organisation = self.organisation();
        let of_organisation = || self.found.iter().find(|(name, _)| name == organisation);
        let (name, record) = own.or_else(of_organisation).or(self.found.last())?;
        Some((name, record))
    }

    /// The domain that was asked for.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

async fn look_up(dns: &dyn Dns, domain: &str) -> Result<Option<Record>, Unknown> {
    let texts = match dns.texts(&format!("_dmarc.{domain}")).await {
        Ok(found) => found.records,
        Err(DnsError::NoDomain | DnsError::NoRecords) => return Ok(None),
        Err(DnsError::NoAnswer(_)) => return Err(Unknown),
    };
    let mut records = texts.iter().filter_map(|text| Record::parse(text));
    // Several are none.
    Ok(match (records.next(), records.next()) {
        (Some(record), None) => Some(record),
        _ => None,
    })
}

/// A domain that mail was proved to be from, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proven {
    /// The domain.
    pub domain: String,
    /// By SPF, not DKIM.
    pub by_spf: bool,
}

/// Whether a proof might align with an author's domain, so that the walk of its own domain is worth
/// while.
pub fn may_align(author: &Walk, proven: &Proven) -> bool {
    let is_strict = author.policy().is_some_and(|(record, _)| record.is_strict(proven));
    let is_own = proven.domain == author.domain;
    is_own || (!is_strict && is_within(&proven.domain, author.organisation()))
}

/// Whether a proven domain is the author's, or belongs to it (RFC 9989 §4.4). `organisation` is the
/// proven domain's.
pub fn is_aligned(author: &Walk, proven: &Proven, organisation: &str) -> bool {
    let Some((record, _)) = author.policy() else { return false };
    let is_own = proven.domain == author.domain;
    is_own || (!record.is_strict(proven) && organisation == author.organisation())
}

impl Record {
    /// Whether a proof must be of the author's very domain.
    fn is_strict(&self, proven: &Proven) -> bool {
        if proven.by_spf { self.strict_spf } else { self.strict_dkim }
    }
}

/// What is to be done with this very message: `draw` is a random number below 100.
pub fn disposition(record: &Record, policy: Policy, draw: u8) -> Policy {
    if record.testing || draw >= record.percent { policy.relaxed() } else { policy }
}
