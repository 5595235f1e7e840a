//! What a transaction has written so far: the mutations in order, and what they mean for its reads.

use super::validate::END_OF_KEYS;
use super::{RangeSet, atomic, stamp};
use crate::{AtomicOp, KeyRange, StoreResult, Versionstamp};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// One write, as the commit applies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Writes a key.
    Set(Bytes, Bytes),
    /// Removes a key.
    Clear(Bytes),
    /// Removes a range.
    ClearRange(KeyRange),
    /// Applies an operation with a parameter to a key.
    Atomic(AtomicOp, Bytes, Bytes),
}

impl Mutation {
    /// The mutation with the stamp put in: versionstamped operations become plain sets.
    ///
    /// # Errors
    /// Code 2000 where the stamp does not fit; never after [`super::validate::atomic`].
    pub fn resolve(self, stamp: &Versionstamp) -> StoreResult<Self> {
        match self {
            Self::Atomic(AtomicOp::SetVersionstampedKey, key, value) => {
                Ok(Self::Set(stamp::place(&key, stamp)?, value))
            }
            Self::Atomic(AtomicOp::SetVersionstampedValue, key, value) => {
                Ok(Self::Set(key, stamp::place(&value, stamp)?))
            }
            other => Ok(other),
        }
    }

    /// The keys that it writes; for a resolved mutation.
    pub fn written(&self) -> KeyRange {
        match self {
            Self::Set(key, _) | Self::Clear(key) | Self::Atomic(_, key, _) => KeyRange::single(key),
            Self::ClearRange(range) => range.clone(),
        }
    }

    /// The bytes of keys and values in it.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Set(key, value) | Self::Atomic(_, key, value) => key.len() + value.len(),
            Self::Clear(key) => key.len(),
            Self::ClearRange(range) => range.begin.len() + range.end.len(),
        }
    }
}

/// What the transaction itself knows about one key.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// Its value whatever the database holds; `None` = cleared.
    Known(Option<Bytes>),
    /// Operations that wait for the database's value.
    Pending(Vec<(AtomicOp, Bytes)>),
}

impl Own {
    /// The value, given the database's.
    pub(super) fn value(&self, below: Option<Bytes>) -> Option<Bytes> {
        match self {
            Self::Known(value) => value.clone(),
            Self::Pending(ops) => {
                ops.iter().fold(below, |value, (op, p)| atomic::apply(*op, value.as_ref(), p))
            }
        }
    }
}

/// The overlay that makes a transaction read its own writes.
#[derive(Clone, Debug, Default)]
pub struct WriteMap {
    mutations: Vec<Mutation>,
    own: BTreeMap<Bytes, Own>,
    cleared: RangeSet,
    unreadable: RangeSet,
    system_keys: bool,
}

impl WriteMap {
    /// Makes the keys from `\xff` to `\xff\xff` part of what is read over this.
    pub fn allow_system_keys(&mut self) {
        self.system_keys = true;
    }

    /// The end of all keys that may be read.
    pub fn end_of_keys(&self) -> &'static [u8] {
        if self.system_keys { b"\xff\xff" } else { END_OF_KEYS }
    }

    /// Whether the transaction has written, cleared or made unreadable this key.
    pub fn touches(&self, key: &[u8]) -> bool {
        self.own.contains_key(key) || self.cleared.contains(key) || self.unreadable.contains(key)
    }

    /// The same with keys that wait for a stamp reading as their parameters.
    #[must_use]
    pub fn without_unreadable(&self) -> Self {
        Self { unreadable: RangeSet::default(), ..self.clone() }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.mutations.is_empty()
    }

    /// The mutations in order.
    pub fn mutations(&self) -> &[Mutation] {
        &self.mutations
    }

    /// Takes the mutations out, for the commit.
    pub fn take_mutations(&mut self) -> Vec<Mutation> {
        std::mem::take(&mut self.mutations)
    }

    /// Writes a key. A key that waits for a stamp stays unreadable (fact 15).
    pub fn set(&mut self, key: Bytes, value: Bytes) {
        self.own.insert(key.clone(), Own::Known(Some(value.clone())));
        self.mutations.push(Mutation::Set(key, value));
    }

    /// Removes a key.
    pub fn clear(&mut self, key: Bytes) {
        if !self.unreadable.is_empty() {
            self.unreadable.remove(&KeyRange::single(&key));
        }
        self.own.insert(key.clone(), Own::Known(None));
        self.mutations.push(Mutation::Clear(key));
    }

    /// Removes a range.
    pub fn clear_range(&mut self, range: KeyRange) {
        if range.is_empty() {
            return;
        }
        let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        let inside: Vec<Bytes> =
            self.own.range::<[u8], _>(bounds).map(|(k, _)| k.clone()).collect();
        for key in inside {
            self.own.remove(&key);
        }
        self.unreadable.remove(&range);
        self.cleared.insert(&range);
        self.mutations.push(Mutation::ClearRange(range));
    }

    /// Applies an operation that [`super::validate::atomic`] found legal.
    ///
    /// # Errors
    /// Code 2000 for a stamp that does not fit.
    pub fn atomic(&mut self, op: AtomicOp, key: Bytes, param: Bytes) -> StoreResult<()> {
        match op {
            AtomicOp::SetVersionstampedKey => {
                self.unreadable.insert(&stamp::possible_keys(&key)?);
            }
            AtomicOp::SetVersionstampedValue => {
                self.unreadable.insert(&KeyRange::single(&key));
                self.own.insert(key.clone(), Own::Known(Some(param.clone())));
            }
            _ => self.stack(op, &key, &param),
        }
        self.mutations.push(Mutation::Atomic(op, key, param));
        Ok(())
    }

    /// Puts an operation on top of what is known about the key.
    fn stack(&mut self, op: AtomicOp, key: &Bytes, param: &Bytes) {
        let known = |below: Option<&Bytes>| Own::Known(atomic::apply(op, below, param));
        match self.own.get_mut(key) {
            Some(Own::Pending(ops)) => ops.push((op, param.clone())),
            Some(own) => *own = known(own.value(None).as_ref()),
            None if self.cleared.contains(key) => {
                self.own.insert(key.clone(), known(None));
            }
            None => {
                self.own.insert(key.clone(), Own::Pending(vec![(op, param.clone())]));
            }
        }
    }

    /// Whether a read of `range` would cross a key that waits for a stamp.
    pub fn is_unreadable(&self, range: &KeyRange) -> bool {
        !self.unreadable.is_empty() && self.unreadable.intersects(range)
    }

    /// The parts of `range` whose content depends on the database: what a read of it conflicts
    /// with (facts 3 and 4).
    pub fn dependent_parts(&self, range: &KeyRange) -> Vec<KeyRange> {
        let parts = self.cleared.gaps(range);
        if self.own.is_empty() || range.is_empty() {
            return parts;
        }
        let mut left: RangeSet = parts.into_iter().collect();
        let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        for (key, own) in self.own.range::<[u8], _>(bounds) {
            if matches!(own, Own::Known(_)) {
                left.remove(&KeyRange::single(key));
            }
        }
        left.iter().collect()
    }

    /// What is known about one key.
    pub(super) fn own(&self, key: &[u8]) -> Option<Own> {
        if let Some(own) = self.own.get(key) {
            return Some(own.clone());
        }
        self.cleared.contains(key).then_some(Own::Known(None))
    }

    /// The first own key of a window, from its begin or (`reverse`) from its end.
    pub(super) fn first_own(&self, window: &KeyRange, reverse: bool) -> Option<(&Bytes, &Own)> {
        if window.is_empty() {
            return None;
        }
        let bounds = (Bound::Included(&window.begin[..]), Bound::Excluded(&window.end[..]));
        let mut inside = self.own.range::<[u8], _>(bounds);
        if reverse { inside.next_back() } else { inside.next() }
    }

    /// The cleared range that holds a key.
    pub(super) fn cleared(&self, key: &[u8]) -> Option<KeyRange> {
        if self.cleared.is_empty() { None } else { self.cleared.covering(key) }
    }
}
