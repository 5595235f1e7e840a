//! What a group of commits does, worked out in order, and its form in the log.
//!
//! ```text
//! body      entry…
//! entry     1 key value | 2 key | 3 begin end        set | clear | clear range
//! bytes     length (4, little-endian), then the bytes
//! ```
//!
//! Cleared ranges come first and keys stand above them, as in [`Effect`]. The log holds results,
//! never operations, so a replay needs no older value.

use crate::table::generation::Effect;
use bytes::Bytes;
use contract_store::limits::VALUE_BYTES_MAX;
use contract_store::rules::{Mutation, atomic};
use contract_store::{AtomicOp, KeyRange, StoreResult, Versionstamp};
use std::collections::HashMap;
use std::ops::Bound;

const SET: u8 = 1;
const CLEAR: u8 = 2;
const CLEAR_RANGE: u8 = 3;
/// What an entry takes beside its keys and values.
const ENTRY_BYTES: usize = 9;

/// A transaction's mutations with everything they need from outside, so that adding them to an
/// effect cannot fail half-way.
pub(crate) struct Prepared {
    mutations: Vec<Mutation>,
    /// The values below the group for the keys of atomic operations.
    bases: HashMap<Bytes, Option<Bytes>>,
}

impl Prepared {
    /// Puts the stamp in and reads the old values of atomic operations through `read`.
    pub(crate) fn new(
        mutations: Vec<Mutation>,
        stamp: &Versionstamp,
        mut read: impl FnMut(&Bytes) -> StoreResult<Option<Bytes>>,
    ) -> StoreResult<Self> {
        let resolve = |mutation: Mutation| mutation.resolve(stamp);
        let mutations: Vec<_> = mutations.into_iter().map(resolve).collect::<StoreResult<_>>()?;
        let mut bases = HashMap::new();
        for mutation in &mutations {
            if let Mutation::Atomic(_, key, _) = mutation
                && !bases.contains_key(key)
            {
                bases.insert(key.clone(), read(key)?);
            }
        }
        Ok(Self { mutations, bases })
    }

    /// What it writes, for conflict detection.
    pub(crate) fn written(&self) -> impl Iterator<Item = KeyRange> + '_ {
        self.mutations.iter().map(|mutation| match mutation {
            Mutation::Set(key, _) | Mutation::Clear(key) | Mutation::Atomic(_, key, _) => {
                KeyRange::single(key)
            }
            Mutation::ClearRange(range) => range.clone(),
        })
    }

    /// Adds it to what the group did before.
    pub(crate) fn add_to(self, effect: &mut Effect) {
        for mutation in self.mutations {
            match mutation {
                Mutation::Set(key, value) => {
                    effect.keys.insert(key, Some(value));
                }
                Mutation::Clear(key) => {
                    effect.keys.insert(key, None);
                }
                Mutation::ClearRange(range) => clear_range(effect, &range),
                Mutation::Atomic(op, key, param) => {
                    let old = match effect.keys.get(&key) {
                        Some(value) => value.clone(),
                        None if effect.cleared.contains(&key) => None,
                        None => self.bases.get(&key).cloned().flatten(),
                    };
                    effect.keys.insert(key, atomic::apply(op, old.as_ref(), &param));
                }
            }
        }
    }
}

fn clear_range(effect: &mut Effect, range: &KeyRange) {
    if range.is_empty() {
        return;
    }
    let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
    let inside: Vec<Bytes> = effect.keys.range::<[u8], _>(bounds).map(|(k, _)| k.clone()).collect();
    for key in inside {
        effect.keys.remove(&key);
    }
    effect.cleared.insert(range);
}

/// The most that mutations can take in the log.
pub(crate) fn bytes_max(mutations: &[Mutation]) -> usize {
    let one = |mutation: &Mutation| {
        let grows = match mutation {
            Mutation::Atomic(AtomicOp::AppendIfFits | AtomicOp::CompareAndClear, _, _)
            | Mutation::Atomic(AtomicOp::ByteMax | AtomicOp::ByteMin, _, _) => VALUE_BYTES_MAX,
            _ => 0,
        };
        mutation.payload_bytes() + ENTRY_BYTES + grows
    };
    mutations.iter().map(one).sum()
}

/// The length of the body.
pub(crate) fn encoded_bytes(effect: &Effect) -> usize {
    let ranges = effect.cleared.iter().map(|r| ENTRY_BYTES + r.begin.len() + r.end.len());
    let keys = effect.keys.iter();
    let keys = keys.map(|(k, v)| ENTRY_BYTES + k.len() + v.as_ref().map_or(0, Bytes::len));
    ranges.sum::<usize>() + keys.sum::<usize>()
}

/// Appends the body to a record's buffer.
pub(crate) fn encode(effect: &Effect, buffer: &mut Vec<u8>) {
    for range in effect.cleared.iter() {
        buffer.push(CLEAR_RANGE);
        put(buffer, &range.begin);
        put(buffer, &range.end);
    }
    for (key, value) in &effect.keys {
        buffer.push(if value.is_some() { SET } else { CLEAR });
        put(buffer, key);
        if let Some(value) = value {
            put(buffer, value);
        }
    }
}

fn put(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    buffer.extend_from_slice(bytes);
}

/// Reads a body back.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode(body: &[u8]) -> Result<Effect, String> {
    let mut body = body;
    let mut effect = Effect::default();
    while let Some((&kind, rest)) = body.split_first() {
        body = rest;
        let first = take(&mut body)?;
        match kind {
            SET => {
                let value = take(&mut body)?;
                effect.keys.insert(first, Some(value));
            }
            CLEAR => {
                effect.keys.insert(first, None);
            }
            CLEAR_RANGE => {
                let end = take(&mut body)?;
                effect.cleared.insert(&KeyRange { begin: first, end });
            }
            other => return Err(format!("an entry of unknown kind {other}")),
        }
    }
    Ok(effect)
}

/// Each key and value is a piece of memory of its own: slices of the body would keep all of it
/// as long as the last of them.
fn take(body: &mut &[u8]) -> Result<Bytes, String> {
    let short = || "an entry reaches beyond its record".to_string();
    let (length, rest) = body.split_first_chunk().ok_or_else(short)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (bytes, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    *body = rest;
    Ok(Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from)
    }

    fn mutation() -> impl Strategy<Value = Mutation> {
        let key = || proptest::collection::vec(0u8..4, 1..3).prop_map(Bytes::from);
        prop_oneof![
            (key(), bytes()).prop_map(|(k, v)| Mutation::Set(k, v)),
            key().prop_map(Mutation::Clear),
            (key(), key()).prop_map(|(a, b)| {
                Mutation::ClearRange(KeyRange { begin: a.clone().min(b.clone()), end: a.max(b) })
            }),
            (key(), bytes()).prop_map(|(k, v)| Mutation::Atomic(AtomicOp::Add, k, v)),
            (key(), bytes()).prop_map(|(k, v)| Mutation::Atomic(AtomicOp::AppendIfFits, k, v)),
            (key(), bytes()).prop_map(|(k, v)| Mutation::Atomic(AtomicOp::CompareAndClear, k, v)),
        ]
    }

    fn model(rows: &mut BTreeMap<Bytes, Bytes>, mutation: &Mutation) {
        match mutation {
            Mutation::Set(k, v) => {
                rows.insert(k.clone(), v.clone());
            }
            Mutation::Clear(k) => {
                rows.remove(k);
            }
            Mutation::ClearRange(range) => rows.retain(|k, _| !range.contains(k)),
            Mutation::Atomic(op, k, p) => match atomic::apply(*op, rows.get(k), p) {
                Some(value) => {
                    rows.insert(k.clone(), value);
                }
                None => {
                    rows.remove(k);
                }
            },
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The net effect on any database is that of the mutations one after another; the log
        /// gives it back unchanged.
        #[test]
        fn an_effect_is_its_mutations_in_order(
            before in proptest::collection::btree_map(
                proptest::collection::vec(0u8..4, 1..3).prop_map(Bytes::from), bytes(), 0..6),
            transactions in proptest::collection::vec(
                proptest::collection::vec(mutation(), 0..6), 0..4),
        ) {
            let mut expected = before.clone();
            let mut effect = Effect::default();
            for mutations in transactions {
                mutations.iter().for_each(|mutation| model(&mut expected, mutation));
                let read = |key: &Bytes| Ok(before.get(key).cloned());
                Prepared::new(mutations, &[0; 10], read).unwrap().add_to(&mut effect);
            }
            let mut body = Vec::new();
            encode(&effect, &mut body);
            prop_assert_eq!(body.len() <= encoded_bytes(&effect), true);
            let effect = decode(&body).unwrap();
            let mut found = before.clone();
            found.retain(|key, _| !effect.cleared.contains(key));
            for (key, value) in effect.keys {
                match value {
                    Some(value) => found.insert(key, value),
                    None => found.remove(&key),
                };
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn damaged_bodies_never_panic(body in proptest::collection::vec(0u8..5, 0..40)) {
            let _ = decode(&body);
        }
    }
}
