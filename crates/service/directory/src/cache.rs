//! What a node remembers of the directory: positive answers only, bounded, and dropped when the
//! feed or a change on this node names them.
//!
//! A reader takes a [`Ticket`] before it reads the store and shows it when it puts the result in;
//! if anything was dropped in between, the result may be older than what was dropped and is not
//! kept. A cached name is believed only if the account (or group) it leads to lists the address,
//! so moving an address needs no message of its own.

use crate::config::{CACHED_GROUPS, GROUP_CACHED_MEMBERS_MAX};
use crate::names::Name;
use crate::rows::{Changed, Target};
use crate::watch::Watchers;
use base::AccountId;
use contract_directory::{Account, Group, GroupId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// A map that forgets what has not been used for longest, roughly: entries live in the young half
/// when used, and the old half is dropped when the young one is full. At most twice `capacity`.
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity: capacity.max(1) }
    }

    /// The entry, which is now the youngest.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let young = self.young.remove(key);
        young.or(self.old.remove(key))
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// What the cache had dropped when a read began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

struct Verified {
    mac: blake3::Hash,
    until_ms: u64,
}

struct Inner {
    drops: u64,
    /// Clock reading at which the feed was last known to be followed to its end.
    synced_ms: Option<u64>,
    names: Recent<Name, Target>,
    accounts: Recent<AccountId, Arc<Account>>,
    groups: Recent<GroupId, Arc<Group>>,
    verified: Recent<AccountId, Verified>,
    default_domain: Option<String>,
}

/// The caches of one node.
pub(crate) struct Cache {
    inner: Mutex<Inner>,
    stale_after_ms: u64,
    /// Woken after what they watch was dropped.
    pub(crate) watchers: Watchers,
}

impl Cache {
    pub(crate) fn new(accounts: usize, stale_after_ms: u64) -> Self {
        let inner = Inner {
            drops: 0,
            synced_ms: None,
            names: Recent::new(accounts.saturating_mul(2)),
            accounts: Recent::new(accounts),
            groups: Recent::new(CACHED_GROUPS),
            verified: Recent::new(accounts),
            default_domain: None,
        };
        Self { inner: Mutex::new(inner), stale_after_ms, watchers: Watchers::default() }
    }

    /// Taken before a read of the store whose result is to be kept.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.inner.lock().drops)
    }

    /// Forgets what was changed, then wakes those who watch it.
    pub(crate) fn drop_changed(&self, changed: &[Changed]) {
        self.forget(changed);
        for change in changed {
            if let Changed::Account(id) = change {
                self.watchers.wake(*id);
            }
        }
    }

    fn forget(&self, changed: &[Changed]) {
        let mut inner = self.inner.lock();
        inner.drops += 1;
        for change in changed {
            match change {
                Changed::Account(id) => {
                    inner.accounts.remove(id);
                    inner.verified.remove(id);
                }
                Changed::Group(id) => {
                    inner.groups.remove(id);
                }
                Changed::Domains => inner.default_domain = None,
            }
        }
    }

    /// Forgets everything and wakes everybody.
    pub(crate) fn clear(&self) {
        self.forget_all();
        self.watchers.wake_all();
    }

    fn forget_all(&self) {
        let mut inner = self.inner.lock();
        inner.drops += 1;
        inner.names.clear();
        inner.accounts.clear();
        inner.groups.clear();
        inner.verified.clear();
        inner.default_domain = None;
    }

    /// The feed had been followed to its end at this clock reading.
    pub(crate) fn synced(&self, at_ms: u64) {
        self.inner.lock().synced_ms = Some(at_ms);
    }

    /// The caches, if they can be trusted now.
    fn trusted<T>(&self, now_ms: u64, look: impl FnOnce(&mut Inner) -> Option<T>) -> Option<T> {
        let mut inner = self.inner.lock();
        let synced_ms = inner.synced_ms?;
        (now_ms.saturating_sub(synced_ms) <= self.stale_after_ms)
            .then(|| look(&mut inner))
            .flatten()
    }

    pub(crate) fn account(&self, id: AccountId, now_ms: u64) -> Option<Arc<Account>> {
        self.trusted(now_ms, |inner| inner.accounts.get(&id).cloned())
    }

    /// The account that has exactly this address.
    pub(crate) fn account_named(&self, name: &Name, now_ms: u64) -> Option<Arc<Account>> {
        self.trusted(now_ms, |inner| {
            let Some(Target::Account(id)) = inner.names.get(name).copied() else {
                return None;
            };
            let account = inner.accounts.get(&id)?.clone();
            let listed = account.addresses().any(|address| name.is_of(address));
            listed.then_some(account)
        })
    }

    /// The group that has exactly this address.
    pub(crate) fn group_named(&self, name: &Name, now_ms: u64) -> Option<Arc<Group>> {
        self.trusted(now_ms, |inner| {
            let Some(Target::Group(id)) = inner.names.get(name).copied() else {
                return None;
            };
            let group = inner.groups.get(&id)?.clone();
            name.is_of(&group.address).then_some(group)
        })
    }

    pub(crate) fn default_domain(&self, now_ms: u64) -> Option<String> {
        self.trusted(now_ms, |inner| inner.default_domain.clone())
    }

    /// Whether this password was verified for the account a short time ago.
    pub(crate) fn is_verified(&self, id: AccountId, mac: &blake3::Hash, now_ms: u64) -> bool {
        self.trusted(now_ms, |inner| {
            let verified = inner.verified.get(&id)?;
            // blake3::Hash compares in constant time.
            (now_ms < verified.until_ms && verified.mac == *mac).then_some(())
        })
        .is_some()
    }

    fn keep(&self, ticket: Ticket, put: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock();
        if inner.drops == ticket.0 {
            put(&mut inner);
        }
    }

    pub(crate) fn keep_account(&self, ticket: Ticket, name: Option<&Name>, account: &Arc<Account>) {
        self.keep(ticket, |inner| {
            if let Some(name) = name {
                inner.names.insert(name.clone(), Target::Account(account.id));
            }
            inner.accounts.insert(account.id, account.clone());
        });
    }

    pub(crate) fn keep_group(&self, ticket: Ticket, name: &Name, group: &Arc<Group>) {
        if group.members.len() <= GROUP_CACHED_MEMBERS_MAX {
            self.keep(ticket, |inner| {
                inner.names.insert(name.clone(), Target::Group(group.id));
                inner.groups.insert(group.id, group.clone());
            });
        }
    }

    pub(crate) fn keep_default_domain(&self, ticket: Ticket, name: &str) {
        self.keep(ticket, |inner| inner.default_domain = Some(name.to_owned()));
    }

    pub(crate) fn keep_verified(
        &self,
        ticket: Ticket,
        id: AccountId,
        mac: blake3::Hash,
        until_ms: u64,
    ) {
        self.keep(ticket, |inner| inner.verified.insert(id, Verified { mac, until_ms }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_forgets_the_unused_and_keeps_the_used() {
        let mut recent = Recent::new(10);
        for n in 0..1_000 {
            recent.insert(n, n);
            assert_eq!(recent.get(&0).copied(), Some(0), "after {n}");
        }
        assert!(recent.len() <= 20, "{}", recent.len());
        assert!(recent.get(&500).is_none());
        assert_eq!(recent.remove(&0), Some(0));
        assert!(recent.get(&0).is_none());
    }

    #[test]
    fn what_was_read_before_a_drop_is_not_kept() {
        let cache = Cache::new(10, 100);
        let mac = blake3::hash(b"x");
        cache.synced(0);
        let early = cache.ticket();
        cache.drop_changed(&[Changed::Account(AccountId(1))]);
        cache.keep_verified(early, AccountId(1), mac, 50);
        assert!(!cache.is_verified(AccountId(1), &mac, 1));
        cache.keep_verified(cache.ticket(), AccountId(1), mac, 50);
        assert!(cache.is_verified(AccountId(1), &mac, 1));
        assert!(!cache.is_verified(AccountId(1), &blake3::hash(b"y"), 1));
        assert!(!cache.is_verified(AccountId(1), &mac, 50), "expired");
    }

    #[test]
    fn a_cache_that_lost_the_feed_is_not_trusted() {
        let cache = Cache::new(10, 100);
        let mac = blake3::hash(b"x");
        cache.keep_verified(cache.ticket(), AccountId(1), mac, 1_000);
        assert!(!cache.is_verified(AccountId(1), &mac, 0), "never synced");
        cache.synced(5);
        assert!(cache.is_verified(AccountId(1), &mac, 105));
        assert!(!cache.is_verified(AccountId(1), &mac, 106));
    }
}
