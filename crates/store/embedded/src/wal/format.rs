//! The bytes of segment headers and records. Pure; integers are little-endian.

use contract_store::Version;

/// Records and the header begin at multiples of this: the page of the operating system's cache and
/// the largest sector in use.
pub(crate) const PAGE: usize = 4096;

/// The fixed part of a record.
pub(crate) const RECORD_HEADER: usize = 48;

/// Raised when an older program could not read the log.
const FORMAT_VERSION: u32 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"RIALTOWL";
const RECORD_MAGIC: [u8; 4] = *b"RwRc";

/// What a segment says about itself, in its first page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    /// The store that it belongs to.
    pub(crate) store: u128,
    /// Which use of the file this is; no two uses of a store's segments share a number.
    pub(crate) generation: u64,
    /// Goes into the checksum of each record.
    pub(crate) salt: u64,
    /// The file's length in bytes.
    pub(crate) size: u64,
}

/// What the first page of a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderPage {
    /// A segment.
    Valid(SegmentHeader),
    /// A segment of a later program.
    UnknownFormat(u32),
    /// Never written, torn or damaged.
    Invalid,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..8].copy_from_slice(&SEGMENT_MAGIC);
        page[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        page[16..32].copy_from_slice(&self.store.to_le_bytes());
        page[32..40].copy_from_slice(&self.generation.to_le_bytes());
        page[40..48].copy_from_slice(&self.salt.to_le_bytes());
        page[48..56].copy_from_slice(&self.size.to_le_bytes());
        let crc = crc32c::crc32c(&page[..56]);
        page[56..60].copy_from_slice(&crc.to_le_bytes());
        page
    }

    pub(crate) fn decode(page: &[u8]) -> HeaderPage {
        if page.len() < 60 || page[..8] != SEGMENT_MAGIC {
            return HeaderPage::Invalid;
        }
        if crc32c::crc32c(&page[..56]) != u32_at(page, 56) {
            return HeaderPage::Invalid;
        }
        match u32_at(page, 8) {
            FORMAT_VERSION => HeaderPage::Valid(Self {
                store: u128::from(u64_at(page, 16)) | u128::from(u64_at(page, 24)) << 64,
                generation: u64_at(page, 32),
                salt: u64_at(page, 40),
                size: u64_at(page, 48),
            }),
            other => HeaderPage::UnknownFormat(other),
        }
    }
}

/// What a record is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RecordKind {
    /// The effect of one group of commits.
    Group,
    /// The last record of its segment; the body is the next segment's generation.
    Roll,
}

/// The fixed part of a record, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) kind: RecordKind,
    /// The commit version of the group; a roll repeats the version before it.
    pub(crate) version: Version,
    /// The version of the record before this one.
    pub(crate) previous: Version,
    /// Up to here the log was durable when this record was written.
    pub(crate) durable: Version,
}

/// A buffer for one record: the header's room, then what the caller appends.
pub(crate) fn begin_record(capacity: usize) -> Vec<u8> {
    let mut buffer = Vec::new();
    restart_record(&mut buffer, capacity);
    buffer
}

/// Makes a used buffer one for the next record.
pub(crate) fn restart_record(buffer: &mut Vec<u8>, capacity: usize) {
    buffer.clear();
    buffer.reserve_exact(padded(RECORD_HEADER + capacity));
    buffer.resize(RECORD_HEADER, 0);
}

/// Fills in the header and pads the record.
pub(crate) fn finish_record(buffer: &mut Vec<u8>, header: &RecordHeader, segment: &SegmentHeader) {
    let body_len = (buffer.len() - RECORD_HEADER) as u32;
    buffer[..4].copy_from_slice(&RECORD_MAGIC);
    buffer[8] = match header.kind {
        RecordKind::Group => 1,
        RecordKind::Roll => 2,
    };
    buffer[9..12].fill(0);
    buffer[12..16].copy_from_slice(&body_len.to_le_bytes());
    buffer[16..24].copy_from_slice(&segment.generation.to_le_bytes());
    buffer[24..32].copy_from_slice(&header.version.to_le_bytes());
    buffer[32..40].copy_from_slice(&header.previous.to_le_bytes());
    buffer[40..48].copy_from_slice(&header.durable.to_le_bytes());
    let crc = checksum(segment.salt, &buffer[8..]);
    buffer[4..8].copy_from_slice(&crc.to_le_bytes());
    buffer.resize(padded(buffer.len()), 0);
}

/// How long the record is that seems to begin with these bytes, header included.
pub(crate) fn record_bytes(head: &[u8], segment: &SegmentHeader) -> Option<usize> {
    let begins = head.len() >= RECORD_HEADER
        && head[..4] == RECORD_MAGIC
        && u64_at(head, 16) == segment.generation;
    if begins { RECORD_HEADER.checked_add(u32_at(head, 12) as usize) } else { None }
}

/// The record at the beginning of `bytes`, with its body, if one is there and whole.
pub(crate) fn parse_record<'a>(
    bytes: &'a [u8],
    segment: &SegmentHeader,
) -> Option<(RecordHeader, &'a [u8])> {
    let end = record_bytes(bytes, segment)?;
    let body = bytes.get(RECORD_HEADER..end)?;
    if checksum(segment.salt, &bytes[8..end]) != u32_at(bytes, 4) {
        return None;
    }
    let kind = match bytes[8] {
        1 => RecordKind::Group,
        2 => RecordKind::Roll,
        _ => return None,
    };
    let header = RecordHeader {
        kind,
        version: u64_at(bytes, 24) as Version,
        previous: u64_at(bytes, 32) as Version,
        durable: u64_at(bytes, 40) as Version,
    };
    Some((header, body))
}

/// `len` rounded up to whole pages.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(PAGE)
}

fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
