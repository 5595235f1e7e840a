//! Versionstamps in keys and values: where they go and which keys they may become.

use crate::{KeyRange, StoreError, StoreResult, Version, Versionstamp};
use bytes::Bytes;

/// The length of a stamp, in bytes.
pub const STAMP_BYTES: usize = 10;

/// The code that FoundationDB gives a stamp that does not fit (`client_invalid_operation`).
const MISPLACED: i32 = 2000;

/// The stamp of a commit: version (8, big-endian) and number within it (2, big-endian).
pub fn versionstamp(version: Version, batch: u16) -> Versionstamp {
    let mut stamp = [0; STAMP_BYTES];
    stamp[..8].copy_from_slice(&version.to_be_bytes());
    stamp[8..].copy_from_slice(&batch.to_be_bytes());
    stamp
}

/// Splits a versionstamped key or value into its body and the place of the stamp: the last four
/// bytes, little-endian.
///
/// # Errors
/// Code 2000 where the stamp does not fit into the body.
pub fn split(bytes: &Bytes) -> StoreResult<(Bytes, usize)> {
    let misplaced = || StoreError::Other(MISPLACED);
    let (body, place) = bytes.split_last_chunk::<4>().ok_or_else(misplaced)?;
    let place = u32::from_le_bytes(*place) as usize;
    match place.checked_add(STAMP_BYTES) {
        Some(end) if end <= body.len() => Ok((bytes.slice(..body.len()), place)),
        _ => Err(misplaced()),
    }
}

/// Puts the stamp in and takes the offset off.
///
/// # Errors
/// As [`split`].
pub fn place(bytes: &Bytes, stamp: &Versionstamp) -> StoreResult<Bytes> {
    let (body, at) = split(bytes)?;
    Ok(with(&body, at, *stamp))
}

fn with(body: &[u8], at: usize, stamp: Versionstamp) -> Bytes {
    let mut stamped = body.to_vec();
    stamped[at..at + STAMP_BYTES].copy_from_slice(&stamp);
    stamped.into()
}

/// All keys that a versionstamped key may become; unreadable until the commit (fact 15).
///
/// # Errors
/// As [`split`].
pub fn possible_keys(key: &Bytes) -> StoreResult<KeyRange> {
    let (body, at) = split(key)?;
    let last = with(&body, at, [0xff; STAMP_BYTES]);
    Ok(KeyRange { begin: with(&body, at, [0; STAMP_BYTES]), end: KeyRange::single(&last).end })
}
