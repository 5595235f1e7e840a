//! An index block as bytes: columns instead of entries.
//!
//! SELECT reads a folder's whole index, and each delivery writes a block anew, so both its length
//! and the time to unpack it count. Neighbours are alike, so each column is stored as what its
//! values have more than its least one, in as many bytes as the greatest difference needs.
//! Integers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the block's number |
//! | 32 | which of its 256 UIDs are there, the lowest bit first |
//! | 1 | how many combinations of flags occur, less one; nothing for an empty block |
//! | 17 each | system flags, keyword bits |
//! | 1 an entry | the number of its combination, if there are several |
//! | 9 + width an entry | items: the least id, the width of a difference (0 to 8), differences |
//! | the same | changes, sizes, and dates in milliseconds since 1970 (the sign bit flipped) |

use super::{Flags, IndexBlock, IndexEntry, SystemFlags};
use base::{Change, ItemId, Timestamp, Uid};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A date's sign bit, flipped so that dates compare as unsigned numbers do.
const SIGN: u64 = 1 << 63;

/// UIDs of a block, as `usize`.
const UIDS: usize = IndexBlock::UIDS as usize;

impl IndexBlock {
    /// Packs it; `None` if an entry is not one of this block's, or they are not in order.
    fn pack(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(128 + 16 * self.entries.len());
        out.extend_from_slice(&self.number.to_le_bytes());
        let mut places = [0u8; UIDS / 8];
        let mut next = 0;
        for entry in &self.entries {
            let place = (entry.uid.0 % Self::UIDS) as usize;
            if entry.uid.0 / Self::UIDS != self.number || place < next {
                return None;
            }
            places[place / 8] |= 1 << (place % 8);
            next = place + 1;
        }
        out.extend_from_slice(&places);
        if self.entries.is_empty() {
            return Some(out);
        }
        put_flags(&mut out, &self.entries);
        put_column(&mut out, &self.entries, |entry| entry.item.0);
        put_column(&mut out, &self.entries, |entry| entry.change.0);
        put_column(&mut out, &self.entries, |entry| entry.size_bytes);
        put_column(&mut out, &self.entries, |entry| entry.received.unix_ms as u64 ^ SIGN);
        Some(out)
    }

    /// Unpacks what [`IndexBlock::pack`] gave, all of it.
    fn unpack(mut from: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "an index block is cut off";
        let number = u32::from_le_bytes(*take(&mut from).ok_or(SHORT)?);
        let places: [u8; UIDS / 8] = *take(&mut from).ok_or(SHORT)?;
        let first = number.checked_mul(Self::UIDS).ok_or("no such index block")?;
        let mut entries = Vec::with_capacity(places.iter().map(|b| b.count_ones() as usize).sum());
        for (byte, bits) in (0..).zip(places) {
            for bit in (0..8).filter(|bit| bits >> bit & 1 == 1) {
                let uid = Uid(first + byte * 8 + bit);
                entries.push(IndexEntry {
                    uid,
                    item: ItemId(0),
                    flags: Flags::default(),
                    change: Change(0),
                    size_bytes: 0,
                    received: Timestamp::default(),
                });
            }
        }
        if !entries.is_empty() {
            let entries = &mut entries[..];
            get_flags(&mut from, entries).ok_or(SHORT)?;
            get_column(&mut from, entries, |entry, id| entry.item = ItemId(id)).ok_or(SHORT)?;
            get_column(&mut from, entries, |entry, n| entry.change = Change(n)).ok_or(SHORT)?;
            get_column(&mut from, entries, |entry, size| entry.size_bytes = size).ok_or(SHORT)?;
            get_column(&mut from, entries, |entry, date| {
                entry.received = Timestamp { unix_ms: (date ^ SIGN) as i64 };
            })
            .ok_or(SHORT)?;
        }
        if from.is_empty() {
            Ok(Self { number, entries })
        } else {
            Err("an index block is too long")
        }
    }
}

/// The next `N` bytes.
fn take<'b, const N: usize>(from: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(taken)
}

/// Combinations of flags, in order of their first entry, and which entry has which.
fn put_flags(out: &mut Vec<u8>, entries: &[IndexEntry]) {
    let mut palette: Vec<Flags> = Vec::new();
    let mut numbers = Vec::with_capacity(entries.len());
    for entry in entries {
        // Neighbours mostly have the same flags, and a folder few combinations.
        let known = palette.iter().rposition(|flags| *flags == entry.flags);
        let number = known.unwrap_or_else(|| {
            palette.push(entry.flags);
            palette.len() - 1
        });
        numbers.push(number as u8);
    }
    out.push((palette.len() - 1) as u8);
    for flags in &palette {
        out.push(flags.system.0);
        out.extend_from_slice(&flags.keywords.to_le_bytes());
    }
    if palette.len() > 1 {
        out.extend_from_slice(&numbers);
    }
}

fn get_flags(from: &mut &[u8], entries: &mut [IndexEntry]) -> Option<()> {
    let count = usize::from(take::<1>(from)?[0]) + 1;
    let mut palette = Vec::with_capacity(count);
    for _ in 0..count {
        let system = SystemFlags(take::<1>(from)?[0]);
        palette.push(Flags { system, keywords: u128::from_le_bytes(*take(from)?) });
    }
    if let [only] = palette[..] {
        entries.iter_mut().for_each(|entry| entry.flags = only);
        return Some(());
    }
    let (numbers, rest) = from.split_at_checked(entries.len())?;
    *from = rest;
    for (entry, number) in entries.iter_mut().zip(numbers) {
        entry.flags = *palette.get(usize::from(*number))?;
    }
    Some(())
}

fn put_column(out: &mut Vec<u8>, entries: &[IndexEntry], of: impl Fn(&IndexEntry) -> u64) {
    let least = entries.iter().map(&of).min().unwrap_or_default();
    let widest = entries.iter().map(|entry| of(entry) - least).max().unwrap_or_default();
    let width = (u64::BITS - widest.leading_zeros()).div_ceil(8) as usize;
    out.extend_from_slice(&least.to_le_bytes());
    out.push(width as u8);
    for entry in entries {
        out.extend_from_slice(&(of(entry) - least).to_le_bytes()[..width]);
    }
}

fn get_column(
    from: &mut &[u8],
    entries: &mut [IndexEntry],
    set: impl Fn(&mut IndexEntry, u64),
) -> Option<()> {
    let least = u64::from_le_bytes(*take(from)?);
    let [width] = *take(from)?;
    // Of a width that the compiler knows, a loop needs no call for each value.
    match width {
        0 => entries.iter_mut().for_each(|entry| set(entry, least)),
        1 => get_differences::<1>(from, least, entries, set)?,
        2 => get_differences::<2>(from, least, entries, set)?,
        3 => get_differences::<3>(from, least, entries, set)?,
        4 => get_differences::<4>(from, least, entries, set)?,
        5 => get_differences::<5>(from, least, entries, set)?,
        6 => get_differences::<6>(from, least, entries, set)?,
        7 => get_differences::<7>(from, least, entries, set)?,
        8 => get_differences::<8>(from, least, entries, set)?,
        _ => return None,
    }
    Some(())
}

fn get_differences<const WIDTH: usize>(
    from: &mut &[u8],
    least: u64,
    entries: &mut [IndexEntry],
    set: impl Fn(&mut IndexEntry, u64),
) -> Option<()> {
    let (column, rest) = from.split_at_checked(WIDTH * entries.len())?;
    *from = rest;
    for (entry, difference) in entries.iter_mut().zip(column.chunks_exact(WIDTH)) {
        let mut wide = [0; 8];
        wide[..WIDTH].copy_from_slice(difference);
        // Only damage can wrap; it must not end the process.
        set(entry, least.wrapping_add(u64::from_le_bytes(wide)));
    }
    Some(())
}

impl Serialize for IndexBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let packed = self.pack().ok_or_else(|| S::Error::custom("an index block in disorder"))?;
        serializer.serialize_bytes(&packed)
    }
}

impl<'de> Deserialize<'de> for IndexBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Packed)
    }
}

struct Packed;

impl Visitor<'_> for Packed {
    type Value = IndexBlock;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a packed index block")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<IndexBlock, E> {
        IndexBlock::unpack(bytes).map_err(E::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(uid: u32) -> IndexEntry {
        IndexEntry {
            uid: Uid(uid),
            item: ItemId(u64::from(uid) + 1_000),
            flags: Flags::system(SystemFlags::SEEN),
            change: Change(u64::from(uid) * 3),
            size_bytes: 5_000 + u64::from(uid) % 7,
            received: Timestamp { unix_ms: 1_900_000_000_000 + i64::from(uid) * 1_000 },
        }
    }

    #[test]
    fn the_bytes_stay_what_they_are() {
        let mut entries = vec![entry(258), entry(259), entry(511)];
        entries[1].flags = Flags { system: SystemFlags(0), keywords: 1 << 9 };
        let block = IndexBlock { number: 1, entries };
        let row = base::wire::encode_row(1, &block).unwrap();
        let hex: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let places = format!("0c{}80", "00".repeat(30));
        let flags = format!("0101{}00{}{}", "00".repeat(16), "0002", "00".repeat(14));
        let items = "ea0400000000000001".to_owned() + "0001fd";
        let changes = "060300000000000002".to_owned() + "00000300f702";
        let sizes = "881300000000000001".to_owned() + "060000";
        let dates = "d027d760ba01008003".to_owned() + "000000e8030048dc03";
        let columns = [items, changes, sizes, dates].concat();
        assert_eq!(hex, format!("018301000000{places}{flags}000100{columns}"));
        assert_eq!(base::wire::decode_row::<IndexBlock>(1, &row).unwrap(), block);
    }

    #[test]
    fn a_full_block_is_small() {
        let block = IndexBlock { number: 40, entries: (10_240..10_496).map(entry).collect() };
        let row = block.pack().unwrap();
        assert!(row.len() < 256 * 9, "{} bytes", row.len());
        let alike = IndexEntry { uid: Uid(7), ..entry(3) };
        let alike = IndexBlock { number: 0, entries: vec![entry(3), alike] };
        assert_eq!(IndexBlock::unpack(&alike.pack().unwrap()).unwrap(), alike);
        let empty = IndexBlock { number: u32::MAX / 256, entries: Vec::new() };
        assert_eq!(IndexBlock::unpack(&empty.pack().unwrap()).unwrap(), empty);
    }

    #[test]
    fn disorder_is_refused() {
        let check = |number, uids: &[u32]| {
            let block = IndexBlock { number, entries: uids.iter().copied().map(entry).collect() };
            assert!(block.pack().is_none(), "{number} {uids:?}");
            assert!(base::wire::encode(&block).is_err());
        };
        check(0, &[4, 3]);
        check(0, &[4, 4]);
        check(0, &[4, 256]);
        check(1, &[255]);
        // A number whose UIDs there cannot be.
        let mut row = vec![0xff; 4];
        row.extend([0; 32]);
        assert!(IndexBlock::unpack(&row).is_err());
    }

    fn any_entry() -> impl Strategy<Value = IndexEntry> {
        (any::<u64>(), 0u8..4, 0u32..3, any::<u32>(), any::<u64>(), any::<i64>()).prop_map(
            |(item, system, keyword, change, size_bytes, unix_ms)| IndexEntry {
                uid: Uid(0),
                item: ItemId(item),
                flags: Flags { system: SystemFlags(system), keywords: 1 << (keyword * 60) },
                change: Change(u64::from(change)),
                size_bytes,
                received: Timestamp { unix_ms },
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_block_comes_back(
            number in 0..=u32::MAX / 256,
            found in proptest::collection::btree_map(0u32..256, any_entry(), 0..80),
        ) {
            let entries = found.into_iter().map(|(place, entry)| {
                IndexEntry { uid: Uid(number * 256 + place), ..entry }
            });
            let block = IndexBlock { number, entries: entries.collect() };
            let packed = base::wire::encode(&block).unwrap();
            prop_assert_eq!(base::wire::decode::<IndexBlock>(&packed).unwrap(), block);
        }

        #[test]
        fn any_bytes_are_survived(
            mut row in proptest::collection::vec(any::<u8>(), 0..200),
            at: prop::sample::Index,
            byte: u8,
        ) {
            let _refused = IndexBlock::unpack(&row);
            let entries = (256..300).map(entry).collect();
            row = IndexBlock { number: 1, entries }.pack().unwrap();
            let at = at.index(row.len());
            row[at] = byte;
            if let Ok(block) = IndexBlock::unpack(&row) {
                prop_assert!(block.entries.windows(2).all(|pair| pair[0].uid < pair[1].uid));
            }
            prop_assert!(IndexBlock::unpack(&row[..at]).is_err());
        }
    }
}
