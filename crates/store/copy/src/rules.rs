//! What becomes of a row on its way. Nearly all go as they are; the exceptions are those whose key
//! holds a versionstamp, since the stamps of two stores cannot be compared: a row from the old
//! store might stand behind everything that the new one will ever write.

use crate::progress;
use base::{Error, Result};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use contract_store::{KeyRange, KeyValue, Versionstamp};

/// The length of a versionstamp, in bytes.
const STAMP_BYTES: usize = size_of::<Versionstamp>();

/// Which rows do not go as they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// These stay behind: what only tells running nodes of changes, and is of no use to nodes that
    /// start anew.
    pub left_behind: Vec<KeyRange>,
    /// A prefix, then a versionstamp: the rows keep their order, under the lowest stamps that
    /// there are, so that whatever the new store stamps comes after them.
    pub restamped: Vec<Bytes>,
}

impl Rules {
    /// The row as it is to stand in the target; `None` if it stays behind. `stamps` counts those
    /// that were given a new stamp.
    pub(crate) fn apply(&self, row: KeyValue, stamps: &mut u64) -> Result<Option<KeyValue>> {
        let KeyValue { key, value } = row;
        if key.starts_with(progress::KEY)
            || self.left_behind.iter().any(|range| range.contains(&key))
        {
            return Ok(None);
        }
        let Some(prefix) = self.restamped.iter().find(|prefix| key.starts_with(prefix)) else {
            return Ok(Some(KeyValue { key, value }));
        };
        if key.len() != prefix.len() + STAMP_BYTES {
            let text = format!("the key {} should end with a versionstamp", key.escape_ascii());
            return Err(Error::corrupt(text));
        }
        *stamps += 1;
        // As a stamp: the version, then the number within the version.
        let key = KeyBuilder::new(prefix).u64(*stamps).u16(0).build();
        Ok(Some(KeyValue { key, value }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let left_behind = vec![KeyRange::prefix(b"f"), KeyRange::single(b"h")];
        Rules { left_behind, restamped: vec![Bytes::from_static(b"u")] }
    }

    #[track_caller]
    fn check(key: &[u8], stamps: u64, expected: Option<&[u8]>) {
        let row = KeyValue { key: Bytes::copy_from_slice(key), value: Bytes::from_static(b"v") };
        let mut count = stamps;
        let found = rules().apply(row, &mut count).unwrap();
        assert_eq!(found.as_ref().map(|row| &row.key[..]), expected);
        assert!(found.is_none_or(|row| row.value == "v"));
        assert_eq!(count - stamps, u64::from(key.starts_with(b"u")));
    }

    #[test]
    fn rows_with_stamps_are_special() {
        check(b"a", 0, Some(b"a"));
        check(b"f\x01", 0, None);
        check(b"h", 0, None);
        check(b"h\x00", 0, Some(b"h\x00"));
        check(progress::KEY, 0, None);
        check(b"\x00copy-moved", 0, None);
        check(b"u\xff\xff\xff\xff\xff\xff\xff\xff\0\0", 6, Some(b"u\0\0\0\0\0\0\0\x07\0\0"));
        let row = KeyValue { key: Bytes::from_static(b"ushort"), value: Bytes::new() };
        assert_eq!(rules().apply(row, &mut 0).unwrap_err().kind, base::Kind::Corrupt);
    }
}
