//! Watches that wait for a change.

use crate::table::generation::Effect;
use bytes::Bytes;
use contract_store::limits::WATCHES_MAX;
use contract_store::rules::WatchRequest;
use contract_store::{StoreError, StoreResult};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The watches of a store, by key.
#[derive(Default)]
pub(crate) struct Watches {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_key: BTreeMap<Bytes, Vec<WatchRequest>>,
    count: usize,
}

impl Watches {
    /// Registers watches, and fires those whose key has changed already. `read` gives the newest
    /// value; it is called after the watch is in place, so that no change falls between.
    pub(crate) fn register(
        &self,
        requests: Vec<WatchRequest>,
        read: impl Fn(&Bytes) -> StoreResult<Option<Bytes>>,
    ) {
        for request in requests {
            let key = request.key.clone();
            if !self.insert(request) {
                continue;
            }
            match read(&key) {
                Ok(value) => self.wake(&key, value.as_ref()),
                Err(error) => self.fail(&key, &error),
            }
        }
    }

    fn insert(&self, request: WatchRequest) -> bool {
        let mut state = self.state.lock();
        if state.count >= WATCHES_MAX {
            state.forget_abandoned();
        }
        if state.count >= WATCHES_MAX {
            let _ = request.reply.send(Err(StoreError::TooManyWatches));
            return false;
        }
        state.count += 1;
        state.by_key.entry(request.key.clone()).or_default().push(request);
        true
    }

    /// Fires what an effect changes; to be called when it has been published, so that who
    /// registers meanwhile sees the new value by reading.
    pub(crate) fn fire(&self, effect: &Effect) {
        for (key, value) in self.changes(effect) {
            self.wake(&key, value.as_ref());
        }
    }

    fn changes(&self, effect: &Effect) -> Vec<(Bytes, Option<Bytes>)> {
        let state = self.state.lock();
        let mut changes = Vec::new();
        if state.by_key.is_empty() {
            return changes;
        }
        for range in effect.cleared.iter() {
            let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
            for (key, _) in state.by_key.range::<[u8], _>(bounds) {
                if !effect.keys.contains_key(key) {
                    changes.push((key.clone(), None));
                }
            }
        }
        for (key, value) in &effect.keys {
            if state.by_key.contains_key(key) {
                changes.push((key.clone(), value.clone()));
            }
        }
        changes
    }

    fn wake(&self, key: &Bytes, value: Option<&Bytes>) {
        let mut state = self.state.lock();
        let changed = |request: &mut WatchRequest| request.expected.as_ref() != value;
        for request in state.take(key, changed) {
            let _ = request.reply.send(Ok(()));
        }
    }

    fn fail(&self, key: &Bytes, error: &StoreError) {
        for request in self.state.lock().take(key, |_| true) {
            let _ = request.reply.send(Err(error.clone()));
        }
    }

    /// Fails all watches: the store has stopped.
    pub(crate) fn fail_all(&self, error: &StoreError) {
        let all = std::mem::take(&mut *self.state.lock());
        for request in all.by_key.into_values().flatten() {
            let _ = request.reply.send(Err(error.clone()));
        }
    }

    /// How many are registered.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().count
    }
}

impl State {
    fn take(
        &mut self,
        key: &Bytes,
        wanted: impl FnMut(&mut WatchRequest) -> bool,
    ) -> Vec<WatchRequest> {
        let Some(requests) = self.by_key.get_mut(key) else {
            return Vec::new();
        };
        let mut wanted = wanted;
        let taken: Vec<_> = requests.extract_if(.., |request| wanted(request)).collect();
        if requests.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= taken.len();
        taken
    }

    /// Drops the watches that nobody waits for any more.
    fn forget_abandoned(&mut self) {
        let mut left = 0;
        self.by_key.retain(|_, requests| {
            requests.retain(|request| !request.reply.is_canceled());
            left += requests.len();
            !requests.is_empty()
        });
        self.count = left;
    }
}
