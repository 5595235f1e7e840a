//! Packings of reports: gzip, as we send them, and ZIP, as others do. What is unpacked is bounded
//! (attack 38): the bytes of a stranger may be a thousand times as many as what they came in.

use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder, GzEncoder};
use std::io::Read;

/// How a ZIP file's parts begin.
const ZIP_ENTRY: &[u8] = b"PK\x03\x04";
const ZIP_DIRECTORY: &[u8] = b"PK\x01\x02";
const ZIP_END: &[u8] = b"PK\x05\x06";

/// The length of the end without its comment, and the longest comment, in bytes.
const ZIP_END_BYTES: usize = 22;
const ZIP_COMMENT_MAX: usize = 65_535;

/// Why something was not unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It would be larger than allowed.
    TooLarge,
    /// It is damaged, or packed in a way that we do not know.
    Damaged,
}

/// Packs.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    // Memory never fails to be read or written.
    let _never = GzEncoder::new(bytes, Compression::default()).read_to_end(&mut packed);
    packed
}

/// Unpacks what is gzip or a ZIP file with one entry, told by its first bytes; anything else is as it
/// is. Never more than `bytes_max`.
///
/// # Errors
/// [`Refused`].
pub fn unpack(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Refused> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        read(GzDecoder::new(bytes), bytes_max)
    } else if bytes.starts_with(ZIP_ENTRY) {
        unzip(bytes, bytes_max)
    } else if bytes.len() > bytes_max {
        Err(Refused::TooLarge)
    } else {
        Ok(bytes.to_vec())
    }
}

fn read(from: impl Read, bytes_max: usize) -> Result<Vec<u8>, Refused> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut unpacked).map_err(|_| Refused::Damaged)?;
    if unpacked.len() > bytes_max { Err(Refused::TooLarge) } else { Ok(unpacked) }
}

/// The one entry of a ZIP file (APPNOTE 6.3.10 §4.3), found by its directory.
fn unzip(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Refused> {
    let entry = entry(bytes).ok_or(Refused::Damaged)?;
    match entry.method {
        0 if entry.packed.len() > bytes_max => Err(Refused::TooLarge),
        0 => Ok(entry.packed.to_vec()),
        8 => read(DeflateDecoder::new(entry.packed), bytes_max),
        _ => Err(Refused::Damaged),
    }
}

struct Entry<'a> {
    method: u16,
    packed: &'a [u8],
}

fn entry(bytes: &[u8]) -> Option<Entry<'_>> {
    let from = bytes.len().saturating_sub(ZIP_END_BYTES + ZIP_COMMENT_MAX);
    let tail = bytes.get(from..)?;
    let end = tail.windows(ZIP_END.len()).rposition(|window| window == ZIP_END)?;
    let end = tail.get(end..)?;
    if end.len() < ZIP_END_BYTES || u16_at(end, 10)? != 1 {
        return None;
    }
    let directory = bytes.get(usize::try_from(u32_at(end, 16)?).ok()?..)?;
    let is_encrypted = u16_at(directory, 8)? & 1 == 1;
    if !directory.starts_with(ZIP_DIRECTORY) || is_encrypted {
        return None;
    }
    let packed_bytes = usize::try_from(u32_at(directory, 20)?).ok()?;
    let local = bytes.get(usize::try_from(u32_at(directory, 42)?).ok()?..)?;
    if !local.starts_with(ZIP_ENTRY) {
        return None;
    }
    let begin = 30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
    let packed = local.get(begin..begin.checked_add(packed_bytes)?)?;
    Some(Entry { method: u16_at(directory, 10)?, packed })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
