//! What keys, values and ranges are legal (facts 12 to 14).

use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::{AtomicOp, KeyRange, KeySelector, RangeRead, StoreError, StoreResult};
use bytes::Bytes;

/// The first key that users may not use, and the end of every range.
pub const END_OF_KEYS: &[u8] = b"\xff";

/// Whether a key may be read, cleared, watched or named in a conflict.
///
/// # Errors
/// [`StoreError::KeyOutsideLegalRange`].
pub fn key(key: &[u8]) -> StoreResult<()> {
    if key >= END_OF_KEYS { Err(StoreError::KeyOutsideLegalRange) } else { Ok(()) }
}

/// Whether a key may be written: a long key is only a mistake where it would be stored (fact 13).
///
/// # Errors
/// [`StoreError::KeyOutsideLegalRange`], [`StoreError::KeyTooLarge`].
pub fn written_key(bytes: &[u8]) -> StoreResult<()> {
    key(bytes)?;
    if bytes.len() > KEY_BYTES_MAX { Err(StoreError::KeyTooLarge) } else { Ok(()) }
}

/// Whether a key and value may be written.
///
/// # Errors
/// As [`written_key`]; [`StoreError::ValueTooLarge`].
pub fn write(key: &[u8], value: &[u8]) -> StoreResult<()> {
    written_key(key)?;
    if value.len() > VALUE_BYTES_MAX { Err(StoreError::ValueTooLarge) } else { Ok(()) }
}

/// Whether an atomic operation is legal; the offset bytes of stamps count (fact 13).
///
/// # Errors
/// As [`write()`]; code 2000 for a stamp that does not fit.
pub fn atomic(op: AtomicOp, key: &Bytes, param: &Bytes) -> StoreResult<()> {
    write(key, param)?;
    match op {
        AtomicOp::SetVersionstampedKey => super::stamp::split(key).map(drop),
        AtomicOp::SetVersionstampedValue => super::stamp::split(param).map(drop),
        _ => Ok(()),
    }
}

/// Whether a range may be cleared or named in a conflict.
///
/// # Errors
/// [`StoreError::InvertedRange`], [`StoreError::KeyOutsideLegalRange`].
pub fn range(range: &KeyRange) -> StoreResult<()> {
    if range.begin > range.end {
        return Err(StoreError::InvertedRange);
    }
    if &range.end[..] > END_OF_KEYS { Err(StoreError::KeyOutsideLegalRange) } else { Ok(()) }
}

/// Whether a selector may be resolved.
///
/// # Errors
/// [`StoreError::KeyOutsideLegalRange`].
pub fn selector(selector: &KeySelector) -> StoreResult<()> {
    if &selector.key[..] > END_OF_KEYS {
        return Err(StoreError::KeyOutsideLegalRange);
    }
    Ok(())
}

/// Whether a range read is legal. An inverted one is: it finds nothing.
///
/// # Errors
/// As [`selector`].
pub fn range_read(read: &RangeRead) -> StoreResult<()> {
    selector(&read.begin)?;
    selector(&read.end)
}
