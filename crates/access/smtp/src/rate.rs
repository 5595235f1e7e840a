//! How many messages somebody sends: a bucket of tokens for each account, or source, that was seen
//! lately.
//!
//! Kept by each node for itself, so whoever uses several nodes has their sum. A bucket that is
//! full again says nothing and is forgotten, so the table holds who sent something in the last
//! minute.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Tokens by whose they are.
pub(crate) struct Rates<K>(Mutex<Buckets<K>>);

struct Buckets<K> {
    /// When each bucket will be full again.
    full_at: HashMap<K, Duration>,
    swept: Duration,
}

impl<K> Default for Rates<K> {
    fn default() -> Self {
        Self(Mutex::new(Buckets { full_at: HashMap::new(), swept: Duration::ZERO }))
    }
}

impl<K: Hash + Eq> Rates<K> {
    /// Takes a token; false if there is none. Without a number there always is. `now` is monotonic
    /// time.
    pub(crate) fn take(&self, of: K, per_minute: Option<u32>, now: Duration) -> bool {
        let Some(per_minute) = per_minute else {
            return true;
        };
        let mut buckets = self.0.lock();
        if now.saturating_sub(buckets.swept) >= MINUTE {
            buckets.full_at.retain(|_, full_at| *full_at > now);
            buckets.swept = now;
        }
        let full_at = buckets.full_at.entry(of).or_default();
        let after = (*full_at).max(now) + MINUTE / per_minute.max(1);
        let has_token = after <= now + MINUTE;
        if has_token {
            *full_at = after;
        }
        has_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::AccountId;

    #[test]
    fn a_burst_then_a_steady_rate_for_each_account() {
        let rates = Rates::default();
        let (alice, bob) = (AccountId(1), AccountId(2));
        let at = Duration::from_secs;
        let taken = |who: AccountId, now: u64| {
            (0..100).filter(|_| rates.take(who, Some(30), at(now))).count()
        };
        assert_eq!(taken(alice, 10), 30);
        assert_eq!(taken(bob, 10), 30);
        assert_eq!(taken(alice, 20), 5);
        assert_eq!(taken(alice, 200), 30);
        assert!(!rates.0.lock().full_at.contains_key(&bob), "a full bucket is forgotten");
        assert!((0..1000).all(|_| rates.take(alice, None, at(1))));
        let most = (0..100).filter(|_| rates.take(bob, Some(0), at(300))).count();
        assert_eq!(most, 1, "no division by nothing");
    }
}
