//! The part of the database that belongs to one store: all keys with one prefix.
//!
//! Callers see keys without the prefix, and the ends of their world are the empty key and `\xff`
//! as in a database of their own. The end is the first key after all keys with the prefix; what
//! lies outside is never shown, though a selector that runs off the end may meet it.

use bytes::{BufMut, Bytes, BytesMut};
use contract_store::rules::validate::END_OF_KEYS;
use contract_store::{KeyRange, KeySelector};

/// One prefix; the empty one means the whole database.
#[derive(Clone, Debug)]
pub(crate) struct KeySpace {
    prefix: Bytes,
    end: Bytes,
}

impl KeySpace {
    /// `None` where the prefix is in the part that FoundationDB keeps for itself.
    pub(crate) fn new(prefix: Bytes) -> Option<Self> {
        if prefix.first() == Some(&0xff) {
            return None;
        }
        let end = KeyRange::prefix(&prefix).end;
        Some(Self { prefix, end })
    }

    /// Whether keys are what they are in the database.
    pub(crate) fn is_whole(&self) -> bool {
        self.prefix.is_empty()
    }

    /// Runs `call` with the key as it is in the database. The end of the caller's keys becomes the
    /// end of the space.
    pub(crate) fn with<T>(&self, key: &[u8], call: impl FnOnce(&[u8]) -> T) -> T {
        if self.is_whole() {
            call(key)
        } else if key >= END_OF_KEYS {
            call(&self.end)
        } else {
            call(&self.join(key))
        }
    }

    fn join(&self, key: &[u8]) -> Bytes {
        let mut joined = BytesMut::with_capacity(self.prefix.len() + key.len());
        joined.put_slice(&self.prefix);
        joined.put_slice(key);
        joined.freeze()
    }

    /// The key in the database; as [`Self::with`].
    pub(crate) fn outer(&self, key: &[u8]) -> Bytes {
        self.with(key, Bytes::copy_from_slice)
    }

    /// A range in the database.
    pub(crate) fn outer_range(&self, range: &KeyRange) -> KeyRange {
        if self.is_whole() {
            return range.clone();
        }
        KeyRange::new(self.outer(&range.begin), self.outer(&range.end))
    }

    /// The key of a versionstamped key operation: the place of the stamp moves with the prefix.
    /// The key has been checked to hold one.
    pub(crate) fn outer_stamped(&self, key: &[u8]) -> Bytes {
        let Some((body, place)) = key.split_last_chunk::<4>() else {
            return self.outer(key);
        };
        let place = u32::from_le_bytes(*place).saturating_add(self.prefix.len() as u32);
        let mut outer = BytesMut::with_capacity(self.prefix.len() + key.len());
        outer.put_slice(&self.prefix);
        outer.put_slice(body);
        outer.put_u32_le(place);
        outer.freeze()
    }

    /// A selector in the database, for one that moves by at most one key: it cannot go further
    /// than to the first key outside.
    pub(crate) fn outer_selector(&self, selector: &KeySelector) -> KeySelector {
        let key = self.outer(&selector.key);
        // Nobody's key is the end itself; in the database it may be a stranger's.
        let at_end = !self.is_whole() && &selector.key[..] >= END_OF_KEYS;
        KeySelector { key, or_equal: selector.or_equal && !at_end, offset: selector.offset }
    }

    /// A row's key as callers see it; `None` for one outside.
    pub(crate) fn inner<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        key.strip_prefix(&self.prefix[..])
    }

    /// A resolved selector as callers see it: outside is one of the ends.
    pub(crate) fn inner_resolved<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        match self.inner(key) {
            Some(inner) => inner,
            None if key < &self.prefix[..] => b"",
            None => END_OF_KEYS,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Few bytes, so that keys meet; with the awkward ones.
    fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(vec![0_u8, 1, b'a', 0xfe, 0xff]);
        prop::collection::vec(byte, 0..=longest)
    }

    /// What callers may use as a key.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        bytes(4).prop_filter("a legal key", |key| &key[..] < END_OF_KEYS)
    }

    fn prefix() -> impl Strategy<Value = Vec<u8>> {
        bytes(3).prop_filter("a legal prefix", |prefix| prefix.first() != Some(&0xff))
    }

    fn space(prefix: &[u8]) -> KeySpace {
        KeySpace::new(Bytes::copy_from_slice(prefix)).unwrap()
    }

    /// The contract's selector over a set of keys, from `first` to before `end`.
    fn resolve(keys: &BTreeSet<Vec<u8>>, selector: &KeySelector) -> Option<Vec<u8>> {
        let before = |key: &&Vec<u8>| {
            key[..] < selector.key[..] || (selector.or_equal && key[..] == selector.key[..])
        };
        let at = keys.iter().filter(before).count() as i64 - 1 + i64::from(selector.offset);
        usize::try_from(at).ok().and_then(|at| keys.iter().nth(at).cloned())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn keys_come_back_in_their_order(prefix in prefix(), a in key(), b in key()) {
            let space = space(&prefix);
            let (outer_a, outer_b) = (space.outer(&a), space.outer(&b));
            prop_assert_eq!(space.inner(&outer_a), Some(&a[..]));
            prop_assert_eq!(a.cmp(&b), outer_a.cmp(&outer_b));
            prop_assert!(outer_a < space.outer(END_OF_KEYS));
            prop_assert!(space.outer(b"") <= outer_a);
        }

        #[test]
        fn strangers_stay_outside(prefix in prefix(), other in bytes(5)) {
            let space = space(&prefix);
            let range = space.outer_range(&KeyRange::new(&b""[..], END_OF_KEYS));
            let legal = &other[..] < END_OF_KEYS;
            let ours = legal && other.starts_with(&prefix) && &other[prefix.len()..] < END_OF_KEYS;
            // Between the last legal key and the end lie keys that nobody can write.
            if ours || !other.starts_with(&prefix) {
                prop_assert_eq!(range.contains(&other), ours);
            }
        }

        #[test]
        fn selectors_mean_the_same(
            prefix in prefix(),
            own in prop::collection::btree_set(key(), 0..6),
            strangers in prop::collection::btree_set(key(), 0..6),
            reference in prop_oneof![key(), Just(END_OF_KEYS.to_vec())],
            or_equal: bool,
            offset in 0..=1_i32,
        ) {
            let space = space(&prefix);
            let selector = KeySelector { key: reference.into(), or_equal, offset };
            let mut database: BTreeSet<Vec<u8>> =
                own.iter().map(|key| space.outer(key).to_vec()).collect();
            database.extend(strangers.into_iter().filter(|key| !key.starts_with(&prefix)));
            let beyond = |offset: i32| if offset > 0 { END_OF_KEYS.to_vec() } else { Vec::new() };
            let expected = resolve(&own, &selector).unwrap_or_else(|| beyond(offset));
            let found = resolve(&database, &space.outer_selector(&selector))
                .unwrap_or_else(|| beyond(offset));
            prop_assert_eq!(space.inner_resolved(&found), &expected[..]);
        }

        #[test]
        fn stamps_move_with_the_prefix(prefix in prefix(), head in key(), tail in bytes(3)) {
            let space = space(&prefix);
            let place = head.len() as u32;
            let key = [&head[..], &[0; 10], &tail, &place.to_le_bytes()].concat();
            let outer = space.outer_stamped(&key);
            let (body, place) = outer.split_last_chunk::<4>().unwrap();
            let place = u32::from_le_bytes(*place) as usize;
            prop_assert_eq!(&body[..place], &[&prefix[..], &head].concat()[..]);
            prop_assert_eq!(&body[place + 10..], &tail[..]);
        }
    }

    #[test]
    fn the_systems_keys_are_no_prefix() {
        assert!(KeySpace::new(Bytes::from_static(b"\xff")).is_none());
        assert!(KeySpace::new(Bytes::from_static(b"\xff\x02/x")).is_none());
        assert_eq!(space(b"a\xff").outer(END_OF_KEYS), &b"b"[..]);
    }
}
