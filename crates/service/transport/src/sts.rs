//! The policies of MTA-STS that this installation has learnt: a row for each domain.
//!
//! - `T/m/<domain>` a policy.
//! - `T/mu/<domain>` when mail last went there, as far as was noted, in milliseconds of Unix time.
//!
//! Any node may write one: all fetch the same, and the later one stands.

use async_trait::async_trait;
use base::{Result, Timestamp, wire};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use contract_store::{Isolation, KeyRange, RangeRead, Store, body, transact};
use contract_transport::sts::{StsPolicies, StsPolicy};
use futures::FutureExt;
use std::sync::Arc;

const PREFIX: &[u8] = b"T/m/";

const USED: &[u8] = b"T/mu/";

/// The version byte of a policy.
const VERSION: u8 = 1;

/// [`StsPolicies`] in the store.
pub struct StoredPolicies {
    store: Arc<dyn Store>,
}

impl StoredPolicies {
    /// Those of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

fn key(domain: &str) -> Bytes {
    KeyBuilder::new(PREFIX).raw(domain.as_bytes()).build()
}

fn used_key(domain: &str) -> Bytes {
    KeyBuilder::new(USED).raw(domain.as_bytes()).build()
}

/// A damaged row is as if it were not there: the policy is fetched again.
fn read(row: &[u8], domain: &str) -> Option<StsPolicy> {
    let policy = wire::decode_row(VERSION, row);
    policy.inspect_err(|error| tracing::error!(domain, %error, "a damaged policy")).ok()
}

#[async_trait]
impl StsPolicies for StoredPolicies {
    async fn policy(&self, domain: &str) -> Result<Option<StsPolicy>> {
        let read_row = body(key(domain), |key, tx, _| {
            async move { Ok(tx.get(key, Isolation::Snapshot).await?) }.boxed()
        });
        let row = transact(&self.store, read_row).await?;
        Ok(row.and_then(|row| read(&row, domain)))
    }

    async fn keep(&self, domain: &str, policy: &StsPolicy) -> Result<()> {
        let state = (key(domain), policy.clone());
        let write = body(state, |(key, policy), tx, _| {
            async move {
                let stored = tx.get(key, Isolation::Serializable).await?;
                let stored =
                    stored.and_then(|row| wire::decode_row::<StsPolicy>(VERSION, &row).ok());
                if stored.is_none_or(|stored| stored.fetched <= policy.fetched) {
                    tx.set(key, &wire::encode_row(VERSION, policy)?);
                }
                Ok(())
            }
            .boxed()
        });
        transact(&self.store, write).await
    }

    async fn after(&self, domain: &str) -> Result<Vec<(String, StsPolicy)>> {
        let mut range = KeyRange::prefix(PREFIX);
        if !domain.is_empty() {
            // The least key behind the domain's.
            range.begin = KeyBuilder::new(PREFIX).raw(domain.as_bytes()).raw(&[0]).build();
        }
        let read_page = body(range, |range, tx, _| {
            async move { Ok(tx.get_range(&RangeRead::all(range), Isolation::Snapshot).await?) }
                .boxed()
        });
        let page = transact(&self.store, read_page).await?;
        let policy = |row: &contract_store::KeyValue| {
            let domain = std::str::from_utf8(row.key.get(PREFIX.len()..)?).ok()?;
            Some((domain.to_owned(), read(&row.value, domain)?))
        };
        Ok(page.rows.iter().filter_map(policy).collect())
    }

    async fn forget(&self, domain: &str) -> Result<()> {
        let clear = body([key(domain), used_key(domain)], |keys, tx, _| {
            async move {
                keys.iter().for_each(|key| tx.clear(key));
                Ok(())
            }
            .boxed()
        });
        transact(&self.store, clear).await
    }

    async fn use_at(&self, domain: &str, at: Timestamp) -> Result<()> {
        let row = (used_key(domain), at.unix_ms.to_be_bytes());
        let write = body(row, |(key, row), tx, _| {
            async move {
                tx.set(key, row);
                Ok(())
            }
            .boxed()
        });
        transact(&self.store, write).await
    }

    async fn used(&self, domain: &str) -> Result<Option<Timestamp>> {
        let read_row = body(used_key(domain), |key, tx, _| {
            async move { Ok(tx.get(key, Isolation::Snapshot).await?) }.boxed()
        });
        let row = transact(&self.store, read_row).await?;
        let unix_ms = |row: Bytes| Some(i64::from_be_bytes(row.as_ref().try_into().ok()?));
        Ok(row.and_then(unix_ms).map(|unix_ms| Timestamp { unix_ms }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use base::Universe;
    use contract_transport::sts::StsMode;
    use store_memory::MemoryStore;

    fn policy(id: &str, fetched_ms: i64) -> StsPolicy {
        StsPolicy {
            id: id.to_owned(),
            mode: StsMode::Enforce,
            exchangers: vec!["*.example.org".to_owned()],
            fetched: Timestamp { unix_ms: fetched_ms },
            max_age_s: 60,
        }
    }

    #[test]
    fn the_later_one_stands_and_all_are_found() {
        Universe::run(1, async |env| {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
            let policies = StoredPolicies::new(store.clone());
            assert_eq!(policies.policy("a.test").await.unwrap(), None);
            for (id, fetched_ms, expected) in [("1", 10, "1"), ("2", 20, "2"), ("1", 10, "2")] {
                policies.keep("a.test", &policy(id, fetched_ms)).await.unwrap();
                let kept = policies.policy("a.test").await.unwrap().unwrap();
                assert_eq!(kept.id, expected);
            }
            // Another node reads what this one wrote.
            let other = StoredPolicies::new(store.clone());
            assert_eq!(other.policy("a.test").await.unwrap(), Some(policy("2", 20)));
            for domain in ["b.test", "b.test.org", "c.test"] {
                policies.keep(domain, &policy("1", 1)).await.unwrap();
            }
            let names = async |after: &str| {
                let found = policies.after(after).await.unwrap();
                found.into_iter().map(|(domain, _)| domain).collect::<Vec<_>>()
            };
            assert_eq!(names("").await, ["a.test", "b.test", "b.test.org", "c.test"]);
            assert_eq!(names("b.test").await, ["b.test.org", "c.test"]);
            assert!(names("c.test").await.is_empty());
            let at = Timestamp { unix_ms: 77 };
            assert_eq!(policies.used("b.test").await.unwrap(), None);
            policies.use_at("b.test", at).await.unwrap();
            assert_eq!(other.used("b.test").await.unwrap(), Some(at));
            assert_eq!(names("").await.len(), 4, "what is used is no policy");
            policies.forget("b.test").await.unwrap();
            assert_eq!(policies.used("b.test").await.unwrap(), None);
            assert_eq!(policies.policy("b.test").await.unwrap(), None);
            // What is damaged is as if it were not there.
            let tx = store.begin();
            tx.set(b"T/m/c.test", b"\x01x");
            tx.commit().await.unwrap();
            assert_eq!(policies.policy("c.test").await.unwrap(), None);
            assert_eq!(names("").await, ["a.test", "b.test.org"]);
        });
    }

    #[test]
    fn for_how_long_a_policy_counts() {
        let check = |now_ms: i64, counts: bool, is_old: bool| {
            let (policy, now) = (policy("1", 1_000), Timestamp { unix_ms: now_ms });
            assert_eq!((policy.counts(now), policy.is_old(now)), (counts, is_old), "{now_ms}");
        };
        check(1_000, true, false);
        check(30_999, true, false);
        check(31_000, true, true);
        check(60_999, true, true);
        check(61_000, false, true);
    }
}
