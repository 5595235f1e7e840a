//! Slowing down those who guess passwords, without letting them lock anybody out (attack 35).
//!
//! An attempt is charged as failed before it is checked, so parallel guesses cannot slip through,
//! and the charge is taken back if it succeeds. There are three accounts to charge:
//!
//! - *source*: this account from this address. Applies to everybody.
//! - *network*: all accounts from this /24 (IPv6: /64). Stops one password tried on many accounts.
//! - *account*: this account from anywhere. Stops a thousand addresses that guess together.
//!
//! Beyond its free tries each doubles the wait up to a limit. A network from which the account
//! signed in before is *known*: the last two do not stop it, so guessing from elsewhere cannot
//! keep an owner out of the usual places; at a new place an owner may have to wait for the moment
//! while an attack goes on. A password in the verified cache does not come here at all. Unknown
//! login names are treated exactly like accounts.
//!
//! All this is in memory and per node: a restart forgets it, and N nodes allow N times as much.

use crate::cache::Recent;
use base::{AccountId, Error, Kind, Result};
use parking_lot::Mutex;
use std::net::IpAddr;

/// How many counters and known networks are kept, each.
const KEPT: usize = 65_536;

/// How failures become waiting.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// So many failures cost nothing.
    pub free: u32,
    /// The wait after the first that is not free, in milliseconds; each further one doubles it.
    pub first_ms: u64,
    /// The longest wait, in milliseconds.
    pub longest_ms: u64,
}

/// The three policies, and how long failures count.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleConfig {
    /// For one account from one address.
    pub source: Policy,
    /// For all accounts from one network.
    pub network: Policy,
    /// For one account from everywhere.
    pub account: Policy,
    /// Failures are forgotten after so long without another, in milliseconds.
    pub forget_ms: u64,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            source: Policy { free: 5, first_ms: 1_000, longest_ms: 300_000 },
            network: Policy { free: 50, first_ms: 1_000, longest_ms: 60_000 },
            account: Policy { free: 20, first_ms: 1_000, longest_ms: 30_000 },
            forget_ms: 60 * 60 * 1_000,
        }
    }
}

/// Who is being signed in as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Subject {
    Account(AccountId),
    /// A keyed hash of a login name that is nobody's.
    Unknown([u8; 32]),
}

/// The first 24 bits of an IPv4 address or 64 of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Net(IpAddr);

impl Net {
    fn of(source: IpAddr) -> Self {
        match source {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self(IpAddr::from([a, b, c, 0]))
            }
            IpAddr::V6(v6) => Self(IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes())),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    Source(Subject, IpAddr),
    Network(Net),
    Account(Subject),
}

#[derive(Clone, Copy, Default)]
struct Counter {
    failures: u32,
    last_ms: u64,
    blocked_until_ms: u64,
}

/// One attempt that has been charged.
pub(crate) struct Charge {
    subject: Subject,
    source: IpAddr,
    /// Until when each counter was blocked before: what an attempt that is taken back restores,
    /// so that the owner's success does not open the door to those who guess.
    blocked_until_ms: [u64; 3],
}

/// The counters of one node.
pub(crate) struct Throttle {
    config: ThrottleConfig,
    inner: Mutex<Inner>,
}

struct Inner {
    counters: Recent<Key, Counter>,
    known: Recent<(Subject, Net), ()>,
}

impl Throttle {
    pub(crate) fn new(config: ThrottleConfig) -> Self {
        let inner = Inner { counters: Recent::new(KEPT), known: Recent::new(KEPT) };
        Self { config, inner: Mutex::new(inner) }
    }

    /// Charges an attempt.
    ///
    /// # Errors
    /// [`Kind::Limit`] while it has to wait; then nothing is charged.
    pub(crate) fn charge(&self, subject: Subject, source: IpAddr, now_ms: u64) -> Result<Charge> {
        let source = source.to_canonical();
        let net = Net::of(source);
        let mut inner = self.inner.lock();
        let known = inner.known.get(&(subject, net)).is_some();
        let keys = self.keys(subject, source);
        let mut wait_ms = 0;
        for (key, _) in &keys {
            if (!known || matches!(key, Key::Source(..)))
                && let Some(counter) = inner.counters.get(key)
            {
                wait_ms = wait_ms.max(counter.blocked_until_ms.saturating_sub(now_ms));
            }
        }
        if wait_ms > 0 {
            let text = format!(
                "Too many failed sign-ins; try again in {} seconds",
                wait_ms.div_ceil(1_000)
            );
            return Err(Error::new(Kind::Limit, text));
        }
        let mut blocked_until_ms = [0; 3];
        for ((key, policy), blocked) in keys.into_iter().zip(&mut blocked_until_ms) {
            let mut counter = inner.counters.get(&key).map_or_else(Counter::default, |c| *c);
            *blocked = counter.blocked_until_ms;
            counter.fail(&policy, now_ms, self.config.forget_ms);
            inner.counters.insert(key, counter);
        }
        Ok(Charge { subject, source, blocked_until_ms })
    }

    /// The attempt was right: the source starts anew and is known from now on.
    pub(crate) fn succeeded(&self, charge: &Charge) {
        self.withdraw(charge);
        let mut inner = self.inner.lock();
        inner.counters.remove(&Key::Source(charge.subject, charge.source));
        inner.known.insert((charge.subject, Net::of(charge.source)), ());
    }

    /// The attempt was not decided, or was right: takes the charge back.
    pub(crate) fn withdraw(&self, charge: &Charge) {
        let mut inner = self.inner.lock();
        let keys = self.keys(charge.subject, charge.source);
        for ((key, _), before_ms) in keys.into_iter().zip(charge.blocked_until_ms) {
            if let Some(counter) = inner.counters.get(&key) {
                counter.failures = counter.failures.saturating_sub(1);
                counter.blocked_until_ms = before_ms;
            }
        }
    }

    /// The account signs in from there.
    pub(crate) fn remember(&self, id: AccountId, source: IpAddr) {
        let net = Net::of(source.to_canonical());
        self.inner.lock().known.insert((Subject::Account(id), net), ());
    }

    fn keys(&self, subject: Subject, source: IpAddr) -> [(Key, Policy); 3] {
        [
            (Key::Source(subject, source), self.config.source),
            (Key::Network(Net::of(source)), self.config.network),
            (Key::Account(subject), self.config.account),
        ]
    }
}

impl Counter {
    fn fail(&mut self, policy: &Policy, now_ms: u64, forget_ms: u64) {
        if now_ms.saturating_sub(self.last_ms) > forget_ms {
            *self = Self::default();
        }
        self.failures = self.failures.saturating_add(1);
        self.last_ms = now_ms;
        if let Some(beyond) = self.failures.checked_sub(policy.free + 1) {
            let factor = 1u64.checked_shl(beyond).unwrap_or(u64::MAX);
            let wait_ms = policy.first_ms.saturating_mul(factor).min(policy.longest_ms);
            self.blocked_until_ms = now_ms.saturating_add(wait_ms);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OWNER: Subject = Subject::Account(AccountId(1));

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of `tries` guesses, one each `step_ms`, are let through.
    fn guesses(throttle: &Throttle, source: IpAddr, tries: u64, step_ms: u64) -> usize {
        (0..tries).filter(|n| throttle.charge(OWNER, source, n * step_ms).is_ok()).count()
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let throttle = Throttle::new(ThrottleConfig::default());
        // A guess each second for an hour: 5 + 1 free ones, then waits of 1, 2, 4 … 300 seconds.
        let passed = guesses(&throttle, ip("192.0.2.1"), 3_600, 1_000);
        assert!((20..=30).contains(&passed), "{passed}");
    }

    #[test]
    fn attack_35_a_thousand_sources_together_are_slowed_but_the_owner_is_not() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let home = ip("198.51.100.7");
        let charge = throttle.charge(OWNER, home, 0).unwrap();
        throttle.succeeded(&charge);

        let mut passed = 0;
        for n in 0..10_000u64 {
            let [_, _, high, low] = ((n % 1_000) as u32).to_be_bytes();
            let source = IpAddr::from([10, high, low, 1]);
            passed += usize::from(throttle.charge(OWNER, source, n * 10).is_ok());
        }
        assert!(passed < 40, "{passed} of 10,000 guesses in 100 s got through");
        assert!(throttle.charge(OWNER, home, 100_000).is_ok(), "the owner at home");
        let error = throttle.charge(OWNER, ip("203.0.113.1"), 100_000).err().unwrap();
        assert_eq!(error.kind, Kind::Limit);
    }

    #[test]
    fn attack_35_one_password_on_many_accounts_is_slowed_by_network() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let passed = (0..10_000u64)
            .filter(|n| {
                let subject = Subject::Account(AccountId(*n));
                let source = ip(&format!("2001:db8::{:x}", n + 1));
                throttle.charge(subject, source, n * 10).is_ok()
            })
            .count();
        assert!(passed < 70, "{passed}");
    }

    #[test]
    fn parallel_attempts_are_charged_before_they_are_decided() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let source = ip("192.0.2.1");
        let charges: Vec<_> =
            (0..100).filter_map(|_| throttle.charge(OWNER, source, 0).ok()).collect();
        assert_eq!(charges.len(), 6);
        // An IPv4 address in IPv6 clothes is the same source.
        assert!(throttle.charge(OWNER, ip("::ffff:192.0.2.1"), 0).is_err());
        charges.iter().for_each(|charge| throttle.withdraw(charge));
        assert!(throttle.charge(OWNER, source, 0).is_ok());
    }

    #[test]
    fn failures_are_forgotten() {
        let throttle = Throttle::new(ThrottleConfig::default());
        let source = ip("192.0.2.1");
        while throttle.charge(OWNER, source, 0).is_ok() {}
        let later = ThrottleConfig::default().forget_ms + 1;
        for _ in 0..5 {
            assert!(throttle.charge(OWNER, source, later).is_ok());
        }
    }
}
