//! Committed watches: they fire when a commit leaves another value than the one expected.

use bytes::Bytes;
use contract_store::rules::WatchRequest;
use contract_store::{KeyRange, StoreError};
use std::collections::BTreeMap;
use std::ops::Bound;

/// All watches that wait for a change.
#[derive(Debug, Default)]
pub struct Watches {
    by_key: BTreeMap<Bytes, Vec<WatchRequest>>,
    count: usize,
}

impl Watches {
    /// Takes a committed watch; fires it at once if the value differs already.
    pub fn register(&mut self, watch: WatchRequest, now: Option<&Bytes>, max: usize) {
        if watch.expected.as_ref() != now {
            fire(watch);
            return;
        }
        if self.count >= max {
            self.forget_abandoned();
        }
        if self.count >= max {
            let _ = watch.reply.send(Err(StoreError::TooManyWatches));
            return;
        }
        self.count += 1;
        self.by_key.entry(watch.key.clone()).or_default().push(watch);
    }

    /// The watched keys in a range that was written.
    pub fn keys_in(&self, range: &KeyRange) -> Vec<Bytes> {
        if self.by_key.is_empty() || range.is_empty() {
            return Vec::new();
        }
        let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        self.by_key.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect()
    }

    /// Fires the watches of a key whose value is now `now`.
    pub fn changed(&mut self, key: &Bytes, now: Option<&Bytes>) {
        let Some(watches) = self.by_key.remove(key) else {
            return;
        };
        let (keep, fired): (Vec<_>, Vec<_>) =
            watches.into_iter().partition(|watch| watch.expected.as_ref() == now);
        self.count -= fired.len();
        fired.into_iter().for_each(fire);
        if !keep.is_empty() {
            self.by_key.insert(key.clone(), keep);
        }
    }

    /// Fires all of them, though nothing has changed.
    pub fn fire_all(&mut self) {
        self.count = 0;
        std::mem::take(&mut self.by_key).into_values().flatten().for_each(fire);
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    fn forget_abandoned(&mut self) {
        self.by_key.retain(|_, watches| {
            watches.retain(|watch| !watch.reply.is_canceled());
            !watches.is_empty()
        });
        self.count = self.by_key.values().map(Vec::len).sum();
    }
}

fn fire(watch: WatchRequest) {
    // Whoever waited may have gone.
    let _ = watch.reply.send(Ok(()));
}
