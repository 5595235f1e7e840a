//! Appending to the log. Used by the committer alone.

use super::Position;
use super::format::{PAGE, RECORD_HEADER, RecordHeader, RecordKind, finish_record, padded};
use super::segment::Segment;
use crate::error::{Error, Result, is_full};
use contract_store::Version;

/// The end of the log.
pub(crate) struct Writer {
    segment: Segment,
    offset: u64,
    /// The version of the last record.
    last: Version,
    /// The version up to which everything is durable.
    durable: Version,
    unsynced_bytes: u64,
}

impl Writer {
    /// Goes on at the end that a replay found, or at the beginning of a new segment. What a replay
    /// has read may still be in the operating system's cache only, so nothing counts as durable
    /// until the first sync.
    pub(crate) fn new(segment: Segment, offset: u64, last: Version) -> Self {
        Self { segment, offset, last, durable: 0, unsynced_bytes: 0 }
    }

    /// The bytes that a record with such a body takes.
    pub(crate) fn record_bytes(body_len: usize) -> u64 {
        padded(RECORD_HEADER + body_len) as u64
    }

    /// The longest body that fits into an empty segment of this size, roll record kept free.
    pub(crate) fn body_bytes_max(segment_bytes: u64) -> usize {
        (segment_bytes as usize).saturating_sub(2 * PAGE + RECORD_HEADER)
    }

    /// Whether a record of this length must go into a new segment.
    pub(crate) fn needs_roll(&self, record_bytes: u64) -> bool {
        self.offset + record_bytes + PAGE as u64 > self.segment.header.size
    }

    /// Where the next record goes: everything before is written.
    pub(crate) fn position(&self) -> Position {
        Position { generation: self.segment.header.generation, offset: self.offset }
    }

    /// Bytes that a sync would make durable.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    /// The version of the last record.
    pub(crate) fn last(&self) -> Version {
        self.last
    }

    /// Writes one group. `buffer` comes from [`super::format::begin_record`] and holds the body.
    ///
    /// # Errors
    /// Of the disk. After one of a full disk nothing has happened, for a crash neither; after any
    /// other nothing may be written any more.
    pub(crate) fn append(&mut self, version: Version, buffer: &mut Vec<u8>) -> Result<()> {
        self.write(RecordKind::Group, version, buffer)?;
        self.last = version;
        Ok(())
    }

    fn write(&mut self, kind: RecordKind, version: Version, buffer: &mut Vec<u8>) -> Result<()> {
        let header = RecordHeader { kind, version, previous: self.last, durable: self.durable };
        finish_record(buffer, &header, &self.segment.header);
        let wrote = self.segment.file.write_at(self.offset, buffer);
        if let Err(error) = wrote.map_err(Error::io(&self.segment.path, "write")) {
            if error.is_full_disk() {
                self.take_back(buffer)?;
            }
            return Err(error);
        }
        self.offset += buffer.len() as u64;
        self.unsynced_bytes += buffer.len() as u64;
        Ok(())
    }

    /// Makes sure that a record that found no room is never replayed. A file system that copies on
    /// write needs new room for every write, so the record may be there in part, or even as a
    /// whole. Afterwards its first page is gone for good, or it never was whole.
    fn take_back(&mut self, record: &[u8]) -> Result<()> {
        let zeroed = self.segment.file.write_at(self.offset, &[0; PAGE]);
        let undone = match zeroed {
            Ok(()) => self.sync(),
            Err(cause) if is_full(&cause) && !self.is_there(record) => Ok(()),
            Err(cause) => Err(Error::io(&self.segment.path, "write")(cause)),
        };
        // Not an error of a full disk any more: nobody knows what a crash would leave.
        undone.map_err(|error| Error::Unusable {
            path: self.segment.path.clone(),
            what: format!("a refused record could not be taken back: {error}"),
        })
    }

    fn is_there(&self, record: &[u8]) -> bool {
        let mut found = vec![0; record.len()];
        self.segment.file.read_at(self.offset, &mut found).is_ok() && found == record
    }

    /// Makes everything written so far durable: one fdatasync.
    ///
    /// # Errors
    /// Of the disk; after it nothing may be written any more.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.segment.file.sync_data().map_err(Error::io(&self.segment.path, "sync"))?;
        self.durable = self.last;
        self.unsynced_bytes = 0;
        Ok(())
    }

    /// What an omitted sync looks like; only the mutant of the tests calls it.
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn pretend_sync(&mut self) {
        self.durable = self.last;
        self.unsynced_bytes = 0;
    }

    /// Writes the record that leads to the next segment, the last one of this.
    ///
    /// # Errors
    /// Of the disk; as [`Self::append`].
    pub(crate) fn append_roll(&mut self, next: &Segment) -> Result<()> {
        let mut buffer = super::format::begin_record(8);
        buffer.extend_from_slice(&next.header.generation.to_le_bytes());
        self.write(RecordKind::Roll, self.last, &mut buffer)
    }

    /// Makes the roll record durable and leaves this segment for the next.
    ///
    /// # Errors
    /// Of the disk; after it nothing may be written any more.
    pub(crate) fn enter(&mut self, next: Segment) -> Result<Segment> {
        self.sync()?;
        self.offset = PAGE as u64;
        Ok(std::mem::replace(&mut self.segment, next))
    }
}
