//! How many messages an account submits: a bucket of tokens for each account that was seen lately.
//!
//! Kept by each node for itself, so an account that uses several nodes has their sum. A bucket
//! that is full again says nothing and is forgotten, so the table holds who sent something in the
//! last minute.

use base::AccountId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Tokens by account.
pub(crate) struct SubmissionRate {
    per_minute: Option<u32>,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    /// When each account's bucket will be full again.
    full_at: HashMap<AccountId, Duration>,
    swept: Duration,
}

impl SubmissionRate {
    pub(crate) fn new(per_minute: Option<u32>) -> Self {
        Self { per_minute: per_minute.map(|n| n.max(1)), buckets: Mutex::default() }
    }

    /// Takes a token; false if there is none. `now` is monotonic time.
    pub(crate) fn take(&self, account: AccountId, now: Duration) -> bool {
        let Some(per_minute) = self.per_minute else {
            return true;
        };
        let mut buckets = self.buckets.lock();
        if now.saturating_sub(buckets.swept) >= MINUTE {
            buckets.full_at.retain(|_, full_at| *full_at > now);
            buckets.swept = now;
        }
        let full_at = buckets.full_at.entry(account).or_default();
        let after = (*full_at).max(now) + MINUTE / per_minute;
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

    #[test]
    fn a_burst_then_a_steady_rate_for_each_account() {
        let rate = SubmissionRate::new(Some(30));
        let (alice, bob) = (AccountId(1), AccountId(2));
        let at = Duration::from_secs;
        assert_eq!((0..100).filter(|_| rate.take(alice, at(10))).count(), 30);
        assert_eq!((0..100).filter(|_| rate.take(bob, at(10))).count(), 30);
        assert_eq!((0..100).filter(|_| rate.take(alice, at(20))).count(), 5);
        assert_eq!((0..100).filter(|_| rate.take(alice, at(200))).count(), 30);
        assert!(!rate.buckets.lock().full_at.contains_key(&bob), "a full bucket is forgotten");
        let unlimited = SubmissionRate::new(None);
        assert!((0..1000).all(|_| unlimited.take(alice, at(1))));
    }
}
