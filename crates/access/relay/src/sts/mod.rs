//! Policies of MTA-STS (RFC 8461): which one counts for a domain now.
//!
//! A domain's TXT record names its policy; one that is new is fetched, and kept with all others
//! of the installation. A policy that is kept counts for as long as it says, even where the record
//! is gone or the new one cannot be had: who can keep answers back must not get mail in clear by it
//! (RFC 8461 §5.1). In the second half of its time it is fetched again, while mail goes on.

mod fetch;
mod policy;

pub(crate) use policy::names;

use crate::exchangers::too_slow;
use crate::limits::DNS_TIME;
use crate::telemetry;
use crate::told::Listener;
use base::env::{DnsError, Env};
use base::{Deadline, Recent, Result, Timestamp};
use contract_transport::reports::tls::{PolicyKind, TlsFault, TlsPolicy};
use contract_transport::sts::{StsMode, StsPolicies, StsPolicy};
use futures::stream::{self, TryStreamExt as _};
use rustls::ClientConfig;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::timeout_at;

/// How many domains are remembered without asking the store.
const DOMAINS_MAX: usize = 16_384;

/// For how long: what another node has learnt is known here after that at the latest.
const REMEMBER: Duration = Duration::from_secs(300);

/// How long a policy that could not be fetched is left alone (RFC 8461 §3.3).
const REST: Duration = Duration::from_secs(300);

/// How many fetches there are at once.
const FETCHES_MAX: usize = 16;

/// How often it is noted that mail goes to a domain.
const NOTE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// For how long the policy of a domain to which no mail goes is fetched again before it runs out:
/// 30 days. Then it counts to its end, and is forgotten.
const UNUSED_MS: i64 = 30 * 24 * 3600 * 1000;

/// How many policies are kept, but for those that came since the last refresh.
const POLICIES_MAX: usize = 50_000;

/// How many policies are fetched again at once. Mail must find places free.
const REFRESHES_MAX: usize = 4;

/// How long a policy may take.
#[derive(Clone, Copy)]
struct Patience {
    /// Until it is our turn.
    turn: Duration,
    /// The fetch itself.
    fetch: Duration,
}

/// While mail waits, which must not stand still because some web server is slow.
const MAIL: Patience = Patience { turn: Duration::from_secs(10), fetch: Duration::from_secs(20) };

/// While nobody waits (RFC 8461 §3.3).
const NOBODY: Patience = Patience { turn: Duration::from_secs(60), fetch: Duration::from_secs(60) };

/// Which policies count.
pub(crate) struct Sts {
    env: Env,
    /// Checks certificate and name.
    client: Arc<ClientConfig>,
    is_closed_network: bool,
    kept: Arc<dyn StsPolicies>,
    listener: Listener,
    /// When it was last noted that mail goes to a domain.
    noted: Recent<String, Duration>,
    recent: Recent<String, (Duration, Option<Arc<StsPolicy>>)>,
    /// Until when domains are left alone.
    resting: Recent<String, Duration>,
    /// Held while a domain's policy is fetched.
    gates: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    fetches: tokio::sync::Semaphore,
}

impl Sts {
    pub(crate) fn new(
        env: Env,
        client: Arc<ClientConfig>,
        is_closed_network: bool,
        (kept, listener): (Arc<dyn StsPolicies>, Listener),
    ) -> Self {
        Self {
            env,
            client,
            is_closed_network,
            kept,
            listener,
            noted: Recent::new(DOMAINS_MAX),
            recent: Recent::new(DOMAINS_MAX),
            resting: Recent::new(DOMAINS_MAX),
            gates: Mutex::default(),
            fetches: tokio::sync::Semaphore::new(FETCHES_MAX),
        }
    }

    /// The policy that counts for a domain; none that does not ask for anything.
    ///
    /// # Errors
    /// The store's: whether there is one cannot be told.
    pub(crate) async fn policy(self: &Arc<Self>, domain: &str) -> Result<Option<Arc<StsPolicy>>> {
        let mut kept = self.known(domain).await?;
        let now = self.env.clock.now();
        if let Some(id) = self.id(domain).await {
            match kept.as_ref().filter(|one| one.id == id && one.counts(now)) {
                Some(one) if one.is_old(now) => {
                    let (sts, domain) = (self.clone(), domain.to_owned());
                    tokio::spawn(async move { sts.learn(&domain, &id, MAIL).await });
                }
                Some(_) => {}
                None => {
                    if let Some(learnt) = self.learn(domain, &id, MAIL).await {
                        kept = Some(learnt);
                    }
                }
            }
        }
        if kept.is_some() {
            self.note_use(domain).await;
        }
        Ok(kept.filter(|one| one.mode != StsMode::None && one.counts(now)))
    }

    /// Whether a domain for which there is no policy may have one all the same: nobody says whether
    /// it does, or the one that it names could not be had.
    pub(crate) async fn may_have_policy(&self, domain: &str) -> bool {
        let name = format!("_mta-sts.{domain}");
        let asking = tokio::time::timeout(DNS_TIME, self.env.dns.texts(&name)).await;
        let id = match asking.unwrap_or_else(|_| Err(too_slow())) {
            Ok(found) => policy::id(&found.records),
            Err(DnsError::NoDomain | DnsError::NoRecords) => None,
            Err(DnsError::NoAnswer(_)) => return true,
        };
        match (id, self.known(domain).await) {
            (None, _) => false,
            (Some(id), Ok(Some(known))) => known.id != id,
            (Some(_), Ok(None) | Err(_)) => true,
        }
    }

    /// Notes that mail goes to a domain: what nobody asks for is not fetched for ever.
    async fn note_use(&self, domain: &str) {
        let now = self.env.clock.monotonic();
        let name = domain.to_owned();
        if self.noted.get(&name).is_some_and(|since| now.saturating_sub(since) < NOTE_EVERY) {
            return;
        }
        match self.kept.use_at(domain, self.env.clock.now()).await {
            Ok(()) => self.noted.put(name, now, 1),
            Err(error) => tracing::debug!(domain, %error, "that a policy is used is not noted"),
        }
    }

    /// What is kept.
    async fn known(&self, domain: &str) -> Result<Option<Arc<StsPolicy>>> {
        let now = self.env.clock.monotonic();
        if let Some((since, known)) = self.recent.get(&domain.to_owned())
            && now.saturating_sub(since) < REMEMBER
        {
            return Ok(known);
        }
        let kept = self.kept.policy(domain).await?.map(Arc::new);
        self.recent.put(domain.to_owned(), (now, kept.clone()), 1);
        Ok(kept)
    }

    /// The id that the domain's TXT record names now, if anybody says.
    async fn id(&self, domain: &str) -> Option<String> {
        let name = format!("_mta-sts.{domain}");
        let asking = tokio::time::timeout(DNS_TIME, self.env.dns.texts(&name)).await;
        match asking.unwrap_or_else(|_| Err(too_slow())) {
            Ok(found) => policy::id(&found.records),
            Err(DnsError::NoDomain | DnsError::NoRecords) => None,
            Err(DnsError::NoAnswer(why)) => {
                tracing::debug!(domain, why, "whether there is a policy cannot be told");
                None
            }
        }
    }

    /// Fetches a policy and keeps it, unless somebody else has; `None` where it cannot be had now.
    async fn learn(&self, domain: &str, id: &str, patience: Patience) -> Option<Arc<StsPolicy>> {
        let gate = self.gate(domain);
        let turn = Deadline::after(patience.turn).instant();
        let _only = timeout_at(turn, gate.lock()).await.ok()?;
        let now = self.env.clock.monotonic();
        if self.resting.get(&domain.to_owned()).is_some_and(|until| now < until) {
            return None;
        }
        if let Ok(Some(kept)) = self.kept.policy(domain).await
            && kept.id == id
            && !kept.is_old(self.env.clock.now())
        {
            return Some(self.remember(domain, kept));
        }
        let _place = timeout_at(turn, self.fetches.acquire()).await.ok()?.ok()?;
        let (client, time) = (self.client.clone(), patience.fetch);
        let fetched = fetch::fetch(&self.env, client, self.is_closed_network, domain, time).await;
        let read = fetched.and_then(|bytes| {
            policy::read(&bytes).map_err(|why| (TlsFault::StsPolicyInvalid, why.to_owned()))
        });
        let read = match read {
            Ok(read) => read,
            Err((fault, why)) => {
                tracing::warn!(domain, why, "a policy of MTA-STS cannot be used");
                let (strings, exchangers) = (Vec::new(), Vec::new());
                let policy = TlsPolicy { kind: PolicyKind::Sts, strings, exchangers };
                self.listener.left_out(domain, "", policy, (fault, why));
                telemetry::fetched("failed");
                self.resting.put(domain.to_owned(), self.env.clock.monotonic() + REST, 1);
                return None;
            }
        };
        telemetry::fetched("read");
        let policy::Read { mode, exchangers, max_age_s } = read;
        let fetched = self.env.clock.now();
        let learnt = StsPolicy { id: id.to_owned(), mode, exchangers, fetched, max_age_s };
        if let Err(error) = self.kept.keep(domain, &learnt).await {
            tracing::warn!(domain, %error, "a policy of MTA-STS could not be kept");
        }
        Some(self.remember(domain, learnt))
    }

    fn remember(&self, domain: &str, policy: StsPolicy) -> Arc<StsPolicy> {
        let policy = Arc::new(policy);
        let now = self.env.clock.monotonic();
        self.recent.put(domain.to_owned(), (now, Some(policy.clone())), 1);
        policy
    }

    fn gate(&self, domain: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(domain).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::default();
        gates.insert(domain.to_owned(), Arc::downgrade(&gate));
        gate
    }

    /// Fetches again what is kept and runs out, and forgets what has: for domains to which no mail
    /// goes meanwhile.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let (mut last, mut count) = (String::new(), 0);
        loop {
            let page = self.kept.after(&last).await?;
            let Some((end, _)) = page.last() else { break };
            last.clone_from(end);
            count += page.len();
            let due = page.into_iter().map(Ok);
            let one = |(domain, kept)| self.refresh_one(domain, kept);
            stream::iter(due).try_for_each_concurrent(REFRESHES_MAX, one).await?;
        }
        match count.checked_sub(POLICIES_MAX) {
            None | Some(0) => Ok(()),
            Some(surplus) => self.shed(surplus).await,
        }
    }

    /// Forgets so many of those to whose domains no mail has gone for the longest time.
    async fn shed(&self, surplus: usize) -> Result<()> {
        tracing::warn!(surplus, "too many policies of MTA-STS are kept");
        let (mut last, mut oldest) = (String::new(), BinaryHeap::new());
        loop {
            let page = self.kept.after(&last).await?;
            let Some((end, _)) = page.last() else { break };
            last.clone_from(end);
            for (domain, kept) in page {
                let used = self.kept.used(&domain).await?.unwrap_or(kept.fetched);
                oldest.push((used, domain));
                if oldest.len() > surplus {
                    oldest.pop();
                }
            }
        }
        for (_, domain) in oldest {
            self.kept.forget(&domain).await?;
        }
        Ok(())
    }

    async fn refresh_one(&self, domain: String, kept: StsPolicy) -> Result<()> {
        let now = self.env.clock.now();
        if !kept.counts(now) {
            self.kept.forget(&domain).await?;
        } else if kept.is_old(now)
            && self.is_used(&domain, now).await?
            && let Some(id) = self.id(&domain).await
        {
            self.learn(&domain, &id, NOBODY).await;
        }
        Ok(())
    }

    /// Whether mail has gone to a domain lately. Where nobody has noted anything yet, that begins
    /// now.
    async fn is_used(&self, domain: &str, now: Timestamp) -> Result<bool> {
        match self.kept.used(domain).await? {
            Some(used) => Ok(now.unix_ms < used.plus_ms(UNUSED_MS).unix_ms),
            None => {
                self.kept.use_at(domain, now).await?;
                Ok(true)
            }
        }
    }
}
