//! How safe a connection to a host must be, by what the host and its domain publish.
//!
//! The levels that a connector does not settle by itself are raised by DANE, where DNSSEC vouches
//! for every step from the domain to the host's TLSA records (RFC 7672 §2), and else by the policy
//! of MTA-STS that the domain has published (RFC 8461 §2). Where it cannot be found out for certain
//! what the host publishes, it is left out: who wants mail in clear must not get it by keeping
//! answers back.

use crate::answer::judged;
use crate::dane::Dane;
use crate::exchangers::{Exchanger, Exchangers, Place, too_slow};
use crate::limits::DNS_TIME;
use crate::relay::Shared;
use crate::session::Terms;
use crate::sts;
use crate::telemetry;
use crate::told::{self, Fault, Observed, Told};
use base::env::{DnsError, Tlsa};
use contract_transport::courier::{Answer, Destination, NextHop, TlsLevel};
use contract_transport::reports::tls::{TlsFault, TlsPolicy};
use contract_transport::sts::{StsMode, StsPolicy};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What a texts says first where TLSA records decide.
const DANE: &str = "DANE";

/// And where the domain's policy does.
const MTA_STS: &str = "MTA-STS";

/// And where the sender does (RFC 8689).
const REQUIRE_TLS: &str = "REQUIRETLS";

/// What is asked of all hosts of a next hop.
pub(crate) struct Asked<'a> {
    /// Whose mail it is; `None` for smart hosts.
    pub(crate) domain: Option<&'a str>,
    /// Whether the hosts' names can be relied on.
    is_secure: bool,
    /// Whether what the domain publishes is not asked for.
    ignores_policies: bool,
    /// The domain's policy, looked for when the first host needs it.
    policy: OnceCell<Option<Arc<StsPolicy>>>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(hop: &'a NextHop, exchangers: &Exchangers) -> Self {
        let domain = match &hop.destination {
            Destination::Domain(domain) => Some(domain.as_str()),
            Destination::SmartHosts(_) => None,
        };
        let is_secure = exchangers.is_secure;
        let ignores_policies = hop.ignores_policies;
        Self { domain, is_secure, ignores_policies, policy: OnceCell::new() }
    }

    /// A domain that can be told of, as a name.
    fn name(&self) -> Option<&'a str> {
        self.domain.filter(|domain| !domain.starts_with('['))
    }
}

/// Why a message that requires TLS cannot go to a host (RFC 8689 §5).
pub(crate) fn unsafe_here(why: &str) -> Answer {
    judged(550, "5.7.30", format!("{REQUIRE_TLS}: {why}"))
}

impl Shared {
    /// The terms for one host.
    ///
    /// # Errors
    /// Why no mail may go there, now or, with a code of its own, ever.
    pub(crate) async fn secured(
        &self,
        exchanger: &Exchanger,
        place: &Place,
        terms: &Terms,
        asked: &Asked<'_>,
    ) -> Result<Terms, Answer> {
        let secured = self.as_published(exchanger, place, terms, asked).await?;
        if !terms.require_tls {
            return Ok(secured);
        }
        // Whose certificate it is says nothing where the name could be anybody's (RFC 8689 §4.2.1).
        let is_named = asked.domain.is_none()
            || asked.is_secure
            || secured.policy == Some(MTA_STS)
            || self.by_policy(exchanger, terms, asked).await?.policy.is_some();
        let host = &exchanger.name;
        if !is_named {
            let text = format!(
                "neither DNSSEC nor a policy of MTA-STS vouches for the name of the host {host}"
            );
            return Err(match self.may_have_policy(asked).await {
                true => judged(0, "4.7.5", format!("{REQUIRE_TLS}: {text}")),
                false => unsafe_here(&text),
            });
        }
        match secured.tls {
            TlsLevel::Dane | TlsLevel::Domain => Ok(secured),
            TlsLevel::Opportunistic | TlsLevel::Encryption | TlsLevel::Certificate => {
                let client = self.tls.client(TlsLevel::Domain, None);
                let client = client.map_err(|error| {
                    judged(0, "4.3.5", format!("{host}: {REQUIRE_TLS}: {error}"))
                })?;
                let policy = Some(REQUIRE_TLS);
                Ok(Terms { client, tls: TlsLevel::Domain, policy, ..secured })
            }
        }
    }

    /// Whether the domain may have a policy that could not be had now.
    async fn may_have_policy(&self, asked: &Asked<'_>) -> bool {
        match (asked.name(), &self.sts, asked.policy.get()) {
            (Some(domain), Some(sts), None | Some(None)) => sts.may_have_policy(domain).await,
            _ => false,
        }
    }

    /// The terms for one host, by what it and its domain publish.
    async fn as_published(
        &self,
        exchanger: &Exchanger,
        place: &Place,
        terms: &Terms,
        asked: &Asked<'_>,
    ) -> Result<Terms, Answer> {
        let is_open = match terms.tls {
            TlsLevel::Opportunistic | TlsLevel::Encryption => true,
            TlsLevel::Dane => false,
            // It checks no name: whoever can redirect mail could have any certificate.
            TlsLevel::Certificate if asked.domain.is_some() => true,
            TlsLevel::Certificate | TlsLevel::Domain => return Ok(terms.clone()),
        };
        // What our operator demands is no policy of the domain's.
        if is_open && asked.ignores_policies {
            return Ok(terms.clone());
        }
        let published = match asked.is_secure {
            true => self.published(exchanger, place).await.inspect_err(|answer| {
                let fault = (TlsFault::DnssecInvalid, answer.text.clone());
                self.left_out(exchanger, asked, told::of_tlsa(&[]), fault);
            })?,
            false => None,
        };
        let host = &exchanger.name;
        let Some((base, records)) = published else {
            if is_open {
                return self.by_policy(exchanger, terms, asked).await;
            }
            let text = format!("{host}: {DANE}: it has no TLSA records that DNSSEC vouches for");
            let fault = (TlsFault::DaneRequired, String::new());
            self.left_out(exchanger, asked, TlsPolicy::none(), fault);
            return Err(judged(0, "4.7.5", text));
        };
        let policy = told::of_tlsa(&records);
        let unusable = || (TlsFault::TlsaInvalid, "no record can be used".to_owned());
        let mut fault = None;
        let mut names = vec![base.as_str(), host.as_str()];
        names.extend(asked.domain);
        let (client, tls) = match Dane::new(records, &names) {
            Some(dane) => (self.tls.dane(Arc::new(dane)), TlsLevel::Dane),
            None if is_open => {
                let by_policy = self.by_policy(exchanger, terms, asked).await?;
                if by_policy.policy.is_some() || terms.tls == TlsLevel::Certificate {
                    return Ok(by_policy);
                }
                // Whoever it is, nobody listens (RFC 7672 §2.2).
                fault = Some(unusable());
                (Ok(terms.client.clone()), TlsLevel::Encryption)
            }
            None => {
                let text = format!("{host}: {DANE}: none of its TLSA records can be used");
                self.left_out(exchanger, asked, policy, unusable());
                return Err(judged(0, "4.7.5", text));
            }
        };
        let client =
            client.map_err(|error| judged(0, "4.3.5", format!("{host}: {DANE}: {error}")))?;
        telemetry::demanded("dane");
        let base = ServerName::try_from(base).ok();
        let terms = Terms { client, tls, base, policy: Some(DANE), ..terms.clone() };
        Ok(self.told(terms, exchanger, asked, (policy, fault)))
    }

    /// The terms, with what is told of sessions under them.
    fn told(
        &self,
        terms: Terms,
        exchanger: &Exchanger,
        asked: &Asked<'_>,
        (policy, fault): (TlsPolicy, Option<Fault>),
    ) -> Terms {
        let domain = asked.name().filter(|_| self.listener.is_there());
        let told = domain.map(|domain| {
            let (domain, exchanger) = (domain.to_owned(), exchanger.name.clone());
            Arc::new(Told { domain, policy, exchanger, fault, observed: None })
        });
        Terms { told, ..terms }
    }

    /// Tells of a host that is left out.
    fn left_out(&self, exchanger: &Exchanger, asked: &Asked<'_>, policy: TlsPolicy, fault: Fault) {
        if let Some(domain) = asked.name().filter(|_| !asked.ignores_policies) {
            self.listener.left_out(domain, &exchanger.name, policy, fault);
        }
    }

    /// The terms for a host without DANE, by the policy of the domain (RFC 8461 §5).
    async fn by_policy(
        &self,
        exchanger: &Exchanger,
        terms: &Terms,
        asked: &Asked<'_>,
    ) -> Result<Terms, Answer> {
        let host = &exchanger.name;
        let none = |terms: Terms| self.told(terms, exchanger, asked, (TlsPolicy::none(), None));
        let (Some(domain), Some(sts)) = (asked.name(), &self.sts) else {
            return Ok(none(terms.clone()));
        };
        let policy =
            asked.policy.get_or_try_init(|| sts.policy(domain)).await.map_err(|error| {
                judged(0, "4.3.0", format!("{host}: {MTA_STS}: the policy cannot be read: {error}"))
            })?;
        let Some(policy) = policy else { return Ok(none(terms.clone())) };
        let is_named = sts::names(&policy.exchangers, host);
        if policy.mode != StsMode::Enforce {
            if !is_named {
                tracing::info!(host, domain, "a host that the policy under test does not name");
            }
            return Ok(self.tested(terms, exchanger, asked, (policy, is_named)));
        }
        if !is_named {
            self.left_out(exchanger, asked, told::of_sts(policy), unnamed());
            let text = format!("{host}: {MTA_STS}: the policy of {domain} does not name this host");
            return Err(judged(0, "4.7.5", text));
        }
        let client = self
            .tls
            .client(TlsLevel::Domain, None)
            .map_err(|error| judged(0, "4.3.5", format!("{host}: {MTA_STS}: {error}")))?;
        telemetry::demanded("mta-sts");
        let terms = Terms { client, tls: TlsLevel::Domain, policy: Some(MTA_STS), ..terms.clone() };
        Ok(self.told(terms, exchanger, asked, (told::of_sts(policy), None)))
    }

    /// The terms for a host under a policy that is only tested: nothing changes, but what would is
    /// told.
    fn tested(
        &self,
        terms: &Terms,
        exchanger: &Exchanger,
        asked: &Asked<'_>,
        (policy, is_named): (&StsPolicy, bool),
    ) -> Terms {
        let (Some(domain), true) = (asked.name(), self.listener.is_there()) else {
            return terms.clone();
        };
        let is_open = matches!(terms.tls, TlsLevel::Opportunistic | TlsLevel::Encryption);
        let observed = Arc::new(Observed::default());
        let observing = is_open.then(|| self.tls.observed(observed.clone()).ok()).flatten();
        let told = Told {
            domain: domain.to_owned(),
            policy: told::of_sts(policy),
            exchanger: exchanger.name.clone(),
            fault: (!is_named).then(unnamed),
            observed: observing.is_some().then_some(observed),
        };
        let client = observing.unwrap_or_else(|| terms.client.clone());
        Terms { client, told: Some(Arc::new(told)), ..terms.clone() }
    }

    /// The TLSA records of a host, where DNSSEC vouches for them, and under which name.
    async fn published(
        &self,
        exchanger: &Exchanger,
        place: &Place,
    ) -> Result<Option<(String, Vec<Tlsa>)>, Answer> {
        for base in &place.bases {
            let name = format!("_{}._tcp.{base}", exchanger.port);
            let asking = tokio::time::timeout(DNS_TIME, self.env.dns.tlsa(&name));
            match asking.await.unwrap_or_else(|_| Err(too_slow())) {
                Ok(found) if found.is_secure => return Ok(Some((base.clone(), found.records))),
                Ok(_) | Err(DnsError::NoDomain | DnsError::NoRecords) => {}
                Err(DnsError::NoAnswer(why)) => {
                    let host = &exchanger.name;
                    let text =
                        format!("{host}: {DANE}: its TLSA records could not be found out: {why}");
                    return Err(judged(0, "4.4.3", text));
                }
            }
        }
        Ok(None)
    }
}

/// What is wrong with a host that the domain's policy does not name.
fn unnamed() -> Fault {
    (TlsFault::ValidationFailure, "the policy does not name this host".to_owned())
}
