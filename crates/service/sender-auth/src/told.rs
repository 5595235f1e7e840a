//! What the author's domain is told of a message (RFC 9990): who has sent it, what was found, what
//! was done.

use crate::config::Action;
use crate::dkim::Dkim;
use crate::dmarc::{self, Policy, Record};
use crate::findings::{Dmarc, Findings};
use crate::lookups::{Author, ascii};
use contract_transport::reports::dmarc::{
    DmarcMessage, Evaluated, SIGNATURES_MAX, SignatureResult,
};

/// The longest name that is told, in characters: what is longer is none (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;

impl Findings<'_> {
    /// `None` where nobody wants to hear, or it would not be clear whose mail it is.
    pub(crate) fn told(&self, signatures: &[Dkim], dmarc: &Dmarc) -> Option<DmarcMessage> {
        let Author::Of(domains) = &self.claims.author else { return None };
        let ([header_from], [Ok(author)]) = (&domains[..], &self.claims_found.authors[..]) else {
            return None;
        };
        let (domain, record) = author.source().filter(|(_, record)| record.wants_reports())?;
        let organisations = &self.claims_found.organisations;
        let proven = self.proven(signatures);
        let passes = |by_spf: bool| {
            proven.iter().filter(|proven| proven.by_spf == by_spf).any(|proven| {
                let organisation = organisations.get(&proven.domain).map_or("", String::as_str);
                dmarc::is_aligned(author, proven, organisation)
            })
        };
        let (disposition, reason) = self.disposition(dmarc, record);
        let (spf, spf_domain) = self.client_found.spf(self.client);
        let signature = |dkim: &Dkim| SignatureResult {
            domain: name(&dkim.domain),
            selector: name(&dkim.selector),
            result: dkim.result.word().to_owned(),
        };
        let named = signatures.iter().filter(|dkim| !dkim.domain.is_empty());
        let evaluated = Evaluated {
            policy: record.published(),
            source: self.client.ip.to_canonical(),
            disposition: disposition.to_owned(),
            dkim: passes(false),
            spf: passes(true),
            reason: reason.map(str::to_owned),
            header_from: name(header_from),
            envelope_from: self.client.sender.as_ref().map(|sender| name(&ascii(&sender.domain))),
            signatures: named.take(SIGNATURES_MAX).map(signature).collect(),
            spf_domain: name(&ascii(spf_domain)),
            spf_result: spf.result.word().to_owned(),
        };
        Some(DmarcMessage { domain: name(domain), evaluated })
    }

    /// What was done, and why that is something else than what the domain asks for.
    fn disposition(&self, dmarc: &Dmarc, record: &Record) -> (&'static str, Option<&'static str>) {
        let (asked, applied) = match (dmarc.result, dmarc.policy) {
            ("pass", _) => return ("pass", None),
            (_, Some(policies)) => policies,
            // What could not be found out is nobody's fault.
            (_, None) => return ("none", Some("other")),
        };
        let done = match (applied, self.config.dmarc) {
            (Policy::None, _) | (_, Action::Report) => Policy::None,
            (Policy::Reject, Action::Enforce) => Policy::Reject,
            (Policy::Reject | Policy::Quarantine, _) => Policy::Quarantine,
        };
        let reason = match () {
            () if done != applied => Some("local_policy"),
            () if applied == asked => None,
            () if record.is_testing() => Some("policy_test_mode"),
            // One of those that the domain has asked to spare.
            () => Some("other"),
        };
        (done.word(), reason)
    }
}

/// A name of a stranger's, as it is counted.
fn name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}
