//! Reading the log back after a crash or an orderly end.
//!
//! What is read back is not thereby on the disk. After a failed sync, or a crash between a write
//! and its sync, the pages may be in the kernel's memory only, and look clean: a later sync of the
//! file would not write them. So every record that no later record proves durable is written
//! again, and every segment walked is synced, before anything new is acknowledged ([`harden`]).

use super::Position;
use super::format::{PAGE, RECORD_HEADER, RecordKind, padded};
use super::segment::{Found, Reader, Segment};
use crate::error::{Error, Result};
use base::env::DiskFile;
use contract_store::Version;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the log goes on, and what is left over.
pub(crate) struct Replayed {
    /// The segment to append to, and where; `None` for a log that has never been written.
    pub(crate) tail: Option<(Segment, u64)>,
    /// The segments before the tail that a checkpoint has not yet released, oldest first.
    pub(crate) live: Vec<Segment>,
    /// Files that hold nothing of worth.
    pub(crate) free: Vec<(PathBuf, Box<dyn DiskFile>)>,
    /// The version of the last whole record.
    pub(crate) last: Version,
    /// Greater than the generation of any segment that was found.
    pub(crate) next_generation: u64,
    /// Bytes of records that were read.
    pub(crate) bytes: u64,
}

/// One group of commits as the log holds it.
pub(crate) struct Group<'a> {
    pub(crate) version: Version,
    pub(crate) body: &'a [u8],
    /// The end of its record.
    pub(crate) end: Position,
    /// Bytes of records read so far, this one included.
    pub(crate) bytes: u64,
}

/// Walks the log from a checkpoint and hands each group to `apply`.
pub(crate) fn replay(
    found: Vec<Found>,
    checkpoint: Option<(Position, Version)>,
    mut apply: impl FnMut(Group<'_>) -> Result<(), String>,
) -> Result<Replayed> {
    let mut by_generation = BTreeMap::new();
    let mut free = Vec::new();
    for Found { path, file, header } in found {
        match header {
            Some(header) => {
                by_generation.insert(header.generation, Segment { path, file, header });
            }
            None => free.push((path, file)),
        }
    }
    let next_generation = by_generation.last_key_value().map_or(1, |(last, _)| last + 1);
    let Some((start, last)) = checkpoint else {
        free.extend(by_generation.into_values().map(|segment| (segment.path, segment.file)));
        let next_generation = next_generation.max(1);
        return Ok(Replayed { tail: None, live: vec![], free, last: 0, next_generation, bytes: 0 });
    };
    let mut walk =
        Walk { segments: by_generation, last, bytes: 0, durable: last, seen: Vec::new() };
    let mut live = Vec::new();
    let mut at = start;
    let (tail, end) = loop {
        let segment = walk.take(at.generation, live.last())?;
        match walk.segment(&segment, at.offset, &mut apply)? {
            End::Tail(offset) => break (segment, offset),
            End::Roll(generation) => {
                live.push(segment);
                at = Position { generation, offset: PAGE as u64 };
            }
        }
    };
    for segment in live.iter().chain([&tail]) {
        harden(segment, &walk)?;
    }
    free.extend(walk.segments.into_values().map(|segment| (segment.path, segment.file)));
    Ok(Replayed {
        tail: Some((tail, end)),
        live,
        free,
        last: walk.last,
        next_generation,
        bytes: walk.bytes,
    })
}

/// Writes the records of a segment again that are not known to be durable, and syncs it.
fn harden(segment: &Segment, walk: &Walk) -> Result<()> {
    let path = &segment.path;
    let mut bytes = Vec::new();
    for record in walk.seen.iter().filter(|record| {
        record.generation == segment.header.generation && record.version > walk.durable
    }) {
        bytes.resize(record.bytes, 0);
        segment.file.read_at(record.offset, &mut bytes).map_err(Error::io(path, "read"))?;
        segment.file.write_at(record.offset, &bytes).map_err(Error::io(path, "write"))?;
    }
    segment.file.sync_data().map_err(Error::io(path, "sync"))
}

/// Where a record was read.
struct Seen {
    generation: u64,
    offset: u64,
    bytes: usize,
    /// Of a group; a record that leads to the next segment counts as newer than any.
    version: Version,
}

enum End {
    Tail(u64),
    Roll(u64),
}

struct Walk {
    /// Those not yet walked.
    segments: BTreeMap<u64, Segment>,
    last: Version,
    bytes: u64,
    /// The newest version that some record says was durable when it was written.
    durable: Version,
    seen: Vec<Seen>,
}

impl Walk {
    fn take(&mut self, generation: u64, before: Option<&Segment>) -> Result<Segment> {
        self.segments.remove(&generation).ok_or_else(|| Error::Unusable {
            path: before.map(|segment| segment.path.clone()).unwrap_or_default(),
            what: format!("the log's segment of generation {generation} is missing or damaged"),
        })
    }

    fn segment(
        &mut self,
        segment: &Segment,
        from: u64,
        apply: &mut impl FnMut(Group<'_>) -> Result<(), String>,
    ) -> Result<End> {
        let size = segment.header.size;
        let mut reader = Reader::new(segment);
        let mut at = from;
        let damaged =
            |offset, what: String| Error::Damaged { path: segment.path.clone(), offset, what };
        while at + RECORD_HEADER as u64 <= size {
            let record = reader.record(at)?;
            let record = record.filter(|(header, _)| header.previous == self.last);
            let Some((header, body)) = record else {
                if let Some((version, offset)) = self.witness(segment, at)? {
                    let last = self.last;
                    let what = format!(
                        "the record after version {last} is unreadable, but version {version} at \
                         byte {offset} was written when it was already durable"
                    );
                    return Err(damaged(at, what));
                }
                return Ok(End::Tail(at));
            };
            let len = padded(RECORD_HEADER + body.len()) as u64;
            self.bytes += len;
            self.durable = self.durable.max(header.durable);
            self.seen.push(Seen {
                generation: segment.header.generation,
                offset: at,
                bytes: len.min(size - at) as usize,
                version: match header.kind {
                    RecordKind::Roll => Version::MAX,
                    RecordKind::Group => header.version,
                },
            });
            match header.kind {
                RecordKind::Roll => {
                    let next = body.try_into().map(u64::from_le_bytes);
                    let next = next.map_err(|_| damaged(at, "a roll record of odd length".into()));
                    return next.map(End::Roll);
                }
                RecordKind::Group => {
                    let generation = segment.header.generation;
                    let end = Position { generation, offset: at + len };
                    let group = Group { version: header.version, body, end, bytes: self.bytes };
                    apply(group).map_err(|what| damaged(at, what))?;
                    self.last = header.version;
                }
            }
            at += len;
        }
        Ok(End::Tail(at))
    }

    /// Looks behind a bad record for one that was written when something after `self.last` had
    /// been durable: proof that the bad record is not merely the torn tail of a crash.
    fn witness(&self, segment: &Segment, from: u64) -> Result<Option<(Version, u64)>> {
        let here = scan(segment, from, self.last)?;
        if here.is_some() {
            return Ok(here);
        }
        for later in self.segments.range(segment.header.generation + 1..).map(|(_, later)| later) {
            let found = scan(later, PAGE as u64, self.last)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn scan(segment: &Segment, from: u64, last: Version) -> Result<Option<(Version, u64)>> {
    let mut reader = Reader::new(segment);
    for at in (from..segment.header.size).step_by(PAGE) {
        if let Some((header, _)) = reader.record(at)?
            && header.durable > last
        {
            return Ok(Some((header.version, at)));
        }
    }
    Ok(None)
}
