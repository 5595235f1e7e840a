//! From what was found to what is written down and what follows.

use crate::arc::ArcResult;
use crate::config::{Action, Config};
use crate::dkim::{Canonical, Dkim, DkimResult, PublicKey, Signature};
use crate::dmarc::{self, Policy, Proven, Walk};
use crate::lookups::{Author, Claims, ClaimsFound, ClientFound, ascii};
use crate::results::Results;
use crate::spf::SpfResult;
use contract_transport::authentication::{Checked, Client, junk_field};
use contract_transport::reports::dmarc::DmarcMessage;

/// Hashes of one body, by the way it was counted, and its length.
pub(crate) type Hashes = Vec<((Canonical, Option<u64>), ([u8; 32], u64))>;

/// Everything that was found.
pub(crate) struct Findings<'a> {
    pub(crate) config: &'a Config,
    pub(crate) client: &'a Client,
    pub(crate) client_found: ClientFound,
    pub(crate) claims: &'a Claims,
    pub(crate) claims_found: ClaimsFound,
    pub(crate) hashes: Hashes,
    pub(crate) now_s: i64,
    /// A random number below 100.
    pub(crate) draw: u8,
}

/// What DMARC says.
pub(crate) struct Dmarc {
    pub(crate) result: &'static str,
    from: String,
    /// What the domain asks for, and what is to be done with this very message.
    pub(crate) policy: Option<(Policy, Policy)>,
}

impl Dmarc {
    fn of(result: &'static str) -> Self {
        Self { result, from: String::new(), policy: None }
    }
}

impl Findings<'_> {
    /// What follows, and what the author's domain is told of it.
    pub(crate) fn conclude(self) -> (Checked, Option<DmarcMessage>) {
        let signatures = self.signatures();
        let dmarc = self.dmarc(&signatures);
        let arc = self.arc();
        let count = |method: &'static str, result: &'static str| {
            metrics::counter!("rialto_sender_checks_total", "method" => method, "result" => result)
                .increment(1);
        };
        let mut results = Results::of(&self.config.host_name);
        let ClientFound { helo, sender, iprev } = &self.client_found;
        if let (Some(spf), Some(sender)) = (sender, &self.client.sender) {
            results.spf(spf.result, "mailfrom", &sender.to_string());
            count("spf", spf.result.word());
        }
        results.spf(helo.result, "helo", &self.client.helo);
        for dkim in &signatures {
            results.dkim(dkim);
            count("dkim", dkim.result.word());
        }
        if signatures.is_empty() {
            results.no_dkim();
            count("dkim", "none");
        }
        let comment = dmarc
            .policy
            .map(|(policy, applied)| format!("p={} applied={}", policy.word(), applied.word()));
        results.dmarc(dmarc.result, &comment.unwrap_or_default(), &dmarc.from);
        count("dmarc", dmarc.result);
        let (sets, sealer) = self.claims.chain.as_ref().map_or((0, ""), |chain| chain.last());
        results.arc(arc, sets, sealer);
        results.iprev(iprev, self.client.ip);
        let mut checked =
            Checked { fields: results.finish().into(), refusal: self.refusal(&dmarc) };
        if let Some(reason) = self.suspicion(&dmarc) {
            let fields = [&checked.fields[..], junk_field(&reason).as_bytes()].concat();
            checked.fields = fields.into();
        }
        let told = self.told(&signatures, &dmarc);
        (checked, told)
    }

    fn signatures(&self) -> Vec<Dkim> {
        let keys = self.claims_found.keys.iter();
        let all = self.claims.signatures.iter().zip(keys).enumerate();
        all.map(|(number, (signature, key))| match (signature, key) {
            (Ok(signature), Some(key)) => {
                let (result, reason) = match self.check(number, signature, key.as_ref()) {
                    Ok(()) => (DkimResult::Pass, None),
                    Err((result, reason)) => (result, Some(reason)),
                };
                Dkim {
                    result,
                    reason,
                    domain: signature.domain.clone(),
                    selector: signature.selector.clone(),
                    algorithm: Some(signature.algorithm),
                    tag: signature.tag.clone(),
                }
            }
            (Ok(_), None) => Dkim::broken("the key was not looked up", "", ""),
            (Err(error), _) => Dkim::broken(error.reason, &error.domain, &error.selector),
        })
        .collect()
    }

    fn check(
        &self,
        number: usize,
        signature: &Signature,
        key: Result<&PublicKey, &(DkimResult, &'static str)>,
    ) -> Result<(), (DkimResult, &'static str)> {
        if !signature.is_timely(self.now_s) {
            return Err((DkimResult::PermError, "the signature has expired, or is of tomorrow"));
        }
        let key = key.map_err(|reason| *reason)?;
        let Some((hash, length)) = self.hash(signature.body_canonical, signature.body_bytes) else {
            return Err((DkimResult::Policy, "too many ways of hashing one body"));
        };
        if signature.body_hash != hash {
            return Err((DkimResult::Fail, "the body has been changed"));
        }
        if !self.claims.is_signed(number, key) {
            return Err((DkimResult::Fail, "the signature does not match"));
        }
        match signature.body_bytes {
            Some(signed) if signed > length => {
                Err((DkimResult::PermError, "the body is shorter than what was signed"))
            }
            // Anybody may have added the rest (RFC 6376 §8.2).
            Some(signed) if signed < length => {
                Err((DkimResult::Policy, "only a part of the body is signed"))
            }
            _ => Ok(()),
        }
    }

    fn hash(&self, canonical: Canonical, limit: Option<u64>) -> Option<([u8; 32], u64)> {
        let found = self.hashes.iter().find(|(way, _)| *way == (canonical, limit));
        found.map(|(_, hash)| *hash)
    }

    fn arc(&self) -> ArcResult {
        let Ok(chain) = &self.claims.chain else { return self.claims_found.arc };
        let Some(signature) = chain.message_signature() else { return self.claims_found.arc };
        match self.hash(signature.body_canonical, signature.body_bytes) {
            Some((hash, _)) if signature.body_hash == hash => self.claims_found.arc,
            _ => ArcResult::Fail,
        }
    }

    /// What was proved, by whatever means.
    pub(crate) fn proven(&self, signatures: &[Dkim]) -> Vec<Proven> {
        let mut proven: Vec<Proven> = signatures
            .iter()
            .filter(|dkim| dkim.result == DkimResult::Pass)
            .map(|dkim| Proven { domain: dkim.domain.clone(), by_spf: false })
            .collect();
        let (spf, domain) = self.client_found.spf(self.client);
        if spf.result == SpfResult::Pass {
            proven.push(Proven { domain: ascii(domain), by_spf: true });
        }
        proven
    }

    /// Several author domains are as good as the worst of them.
    fn dmarc(&self, signatures: &[Dkim]) -> Dmarc {
        let domains = match &self.claims.author {
            Author::Of(domains) => domains,
            Author::Missing | Author::Several | Author::Unclear => return Dmarc::of("permerror"),
        };
        let proven = self.proven(signatures);
        let each = self.claims_found.authors.iter().zip(domains).map(|(walk, domain)| {
            let (result, policy) = match walk {
                Ok(walk) => self.dmarc_of(walk, &proven, signatures),
                Err(dmarc::Unknown) => ("temperror", None),
            };
            Dmarc { result, from: domain.clone(), policy }
        });
        let badness = |dmarc: &Dmarc| {
            let applied = dmarc.policy.map(|(_, applied)| applied);
            let result = ["pass", "none", "temperror", "fail"];
            let result = result.iter().position(|word| *word == dmarc.result);
            (result, applied)
        };
        each.max_by_key(badness).unwrap_or(Dmarc::of("permerror"))
    }

    fn dmarc_of(
        &self,
        author: &Walk,
        proven: &[Proven],
        signatures: &[Dkim],
    ) -> (&'static str, Option<(Policy, Policy)>) {
        let Some((record, policy)) = author.policy() else { return ("none", None) };
        let organisations = &self.claims_found.organisations;
        let organisation = |domain: &str| organisations.get(domain).map_or("", String::as_str);
        let passes = proven
            .iter()
            .any(|proven| dmarc::is_aligned(author, proven, organisation(&proven.domain)));
        if passes {
            return ("pass", None);
        }
        // What is not known must not be refused, if it could have been a proof.
        let may_align = |domain: &str, by_spf| {
            dmarc::may_align(author, &Proven { domain: domain.to_owned(), by_spf })
        };
        let unknown_dkim = signatures
            .iter()
            .any(|dkim| dkim.result == DkimResult::TempError && may_align(&dkim.domain, false));
        let (spf, domain) = self.client_found.spf(self.client);
        let unknown_spf = spf.result == SpfResult::TempError && may_align(&ascii(domain), true);
        let unknown_walk = proven.iter().any(|proven| {
            dmarc::may_align(author, proven) && !organisations.contains_key(&proven.domain)
        });
        if unknown_dkim || unknown_spf || unknown_walk {
            return ("temperror", None);
        }
        ("fail", Some((policy, dmarc::disposition(record, policy, self.draw))))
    }

    /// What the client is told if the message is refused.
    fn refusal(&self, dmarc: &Dmarc) -> Option<String> {
        if self.config.dmarc == Action::Enforce {
            if self.claims.author == Author::Several {
                return Some("Message has more than one From field".to_owned());
            }
            if let Some((_, Policy::Reject)) = dmarc.policy {
                let from = &dmarc.from;
                return Some(format!(
                    "Mail from {from} is refused: it fails DMARC, and the domain's policy is reject"
                ));
            }
        }
        let (spf, domain) = self.client_found.spf(self.client);
        if self.config.spf == Action::Enforce
            && spf.result == SpfResult::Fail
            && dmarc.result != "pass"
        {
            let ip = self.client.ip;
            let said = spf.explanation.as_deref().unwrap_or("its SPF record says so");
            return Some(format!("{ip} may not send mail from {domain}: {said}"));
        }
        None
    }

    /// Why it belongs into Junk Email, if it does.
    fn suspicion(&self, dmarc: &Dmarc) -> Option<String> {
        if self.config.dmarc != Action::Report {
            if matches!(self.claims.author, Author::Several | Author::Unclear) {
                return Some("the author is unclear".to_owned());
            }
            if let Some((policy, Policy::Quarantine | Policy::Reject)) = dmarc.policy {
                return Some(format!("dmarc=fail p={}", policy.word()));
            }
        }
        let (spf, _) = self.client_found.spf(self.client);
        let suspicious = self.config.spf != Action::Report
            && spf.result == SpfResult::Fail
            && dmarc.result != "pass";
        suspicious.then(|| "spf=fail".to_owned())
    }
}

impl Dkim {
    fn broken(reason: &'static str, domain: &str, selector: &str) -> Self {
        Self {
            result: DkimResult::PermError,
            reason: Some(reason),
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            algorithm: None,
            tag: String::new(),
        }
    }
}
