//! Counting and hashing rows, so that two stores can be compared.

use contract_store::KeyValue;
use serde::{Deserialize, Serialize};

/// How many rows there are, how large they are, and a hash of all of them in order. The hash is a
/// chain from row to row, so that it can be stored and gone on from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) rows: u64,
    /// Of keys and values.
    pub(crate) bytes: u64,
    pub(crate) hash: [u8; 32],
}

impl Digest {
    /// Adds the next row.
    pub(crate) fn add(&mut self, row: &KeyValue) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.hash);
        hasher.update(&(row.key.len() as u64).to_be_bytes());
        hasher.update(&row.key);
        hasher.update(&row.value);
        self.hash = *hasher.finalize().as_bytes();
        self.rows += 1;
        self.bytes += (row.key.len() + row.value.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[track_caller]
    fn digest(rows: &[(&'static str, &'static str)]) -> Digest {
        let mut digest = Digest::default();
        for &(key, value) in rows {
            digest.add(&KeyValue { key: Bytes::from(key), value: Bytes::from(value) });
        }
        digest
    }

    #[test]
    fn every_difference_shows() {
        let first = digest(&[("a", "bc"), ("d", "")]);
        assert_eq!((first.rows, first.bytes), (2, 4));
        assert_eq!(first, digest(&[("a", "bc"), ("d", "")]));
        for other in [
            digest(&[("ab", "c"), ("d", "")]),
            digest(&[("a", "bd"), ("d", "")]),
            digest(&[("d", ""), ("a", "bc")]),
            digest(&[("a", "bcd")]),
        ] {
            assert_ne!(first.hash, other.hash);
        }
    }
}
