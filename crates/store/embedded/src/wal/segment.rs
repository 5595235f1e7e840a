//! One segment file: making it, giving it a new use, reading it back.

use super::format::{
    HeaderPage, PAGE, RECORD_HEADER, RecordHeader, SegmentHeader, parse_record, record_bytes,
};
use crate::error::{Error, Result};
use base::env::{Disk, DiskFile, Env};
use std::path::{Path, PathBuf};

/// What a new segment is filled with, piece by piece. Not on the heap: a large allocation that is
/// freed again teaches glibc to keep as much from then on.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// An open segment in one of its uses.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) header: SegmentHeader,
}

/// A segment file as it was found when the store was opened.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) header: Option<SegmentHeader>,
}

/// How much of a segment is read at a time; more only for a longer record.
const WINDOW_BYTES: u64 = 256 << 10;

/// Reads records where it is told to, through a window: a segment as a whole would be a large
/// piece of memory.
pub(crate) struct Reader<'a> {
    segment: &'a Segment,
    /// Where the window begins in the file.
    start: u64,
    window: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self { segment, start: 0, window: Vec::new() }
    }

    /// The record at an offset, if one is there and whole.
    pub(crate) fn record(&mut self, at: u64) -> Result<Option<(RecordHeader, &[u8])>> {
        let header = &self.segment.header;
        let head = self.bytes(at, RECORD_HEADER as u64)?;
        let Some(len) = record_bytes(head, header) else {
            return Ok(None);
        };
        Ok(parse_record(self.bytes(at, len as u64)?, header))
    }

    /// `len` bytes from an offset on, fewer at the segment's end.
    fn bytes(&mut self, at: u64, len: u64) -> Result<&[u8]> {
        let left = self.segment.header.size.saturating_sub(at);
        let len = len.min(left);
        let end = self.start + self.window.len() as u64;
        if at < self.start || at + len > end {
            self.window.resize(len.max(WINDOW_BYTES).min(left) as usize, 0);
            self.start = at;
            let read = self.segment.file.read_at(at, &mut self.window);
            read.map_err(Error::io(&self.segment.path, "read"))?;
        }
        let from = (at - self.start) as usize;
        Ok(&self.window[from..from + len as usize])
    }
}

/// Opens what is there. Segments of another store or of a later format are refused.
pub(crate) fn find(disk: &dyn Disk, dir: &Path, store: u128) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(Error::io(dir, "list"))? {
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let file = disk.open(&path, false).map_err(Error::io(&path, "open"))?;
        let length = file.len().map_err(Error::io(&path, "length"))?;
        let header = match length {
            0..4096 => None,
            _ => read_header(&path, &*file, length, store)?,
        };
        found.push(Found { path, file, header });
    }
    Ok(found)
}

fn read_header(
    path: &Path,
    file: &dyn DiskFile,
    length: u64,
    store: u128,
) -> Result<Option<SegmentHeader>> {
    let unusable = |what: String| Err(Error::Unusable { path: path.to_owned(), what });
    let mut page = vec![0; PAGE];
    file.read_at(0, &mut page).map_err(Error::io(path, "read"))?;
    match SegmentHeader::decode(&page) {
        HeaderPage::Invalid => Ok(None),
        HeaderPage::UnknownFormat(version) => {
            unusable(format!("written by a later program (log format {version})"))
        }
        HeaderPage::Valid(header) if header.store != store => {
            unusable("this segment belongs to another store".into())
        }
        HeaderPage::Valid(header) if header.size > length => Err(Error::Damaged {
            path: path.to_owned(),
            offset: length,
            what: format!("the file ends before its {} bytes", header.size),
        }),
        HeaderPage::Valid(header) => Ok(Some(header)),
    }
}

/// Makes a new file of `size` zeros; it can be prepared once this returns.
pub(crate) fn create(disk: &dyn Disk, path: &Path, size: u64) -> Result<Box<dyn DiskFile>> {
    let file = disk.open(path, true).map_err(Error::io(path, "create"))?;
    fill(path, &*file, size)?;
    Ok(file)
}

/// Writes zeros up to `size`, for real: a sparse file would allocate at each first write.
fn fill(path: &Path, file: &dyn DiskFile, size: u64) -> Result<()> {
    let mut at = 0;
    while at < size {
        let len = ZEROS.len().min((size - at) as usize);
        file.write_at(at, &ZEROS[..len]).map_err(Error::io(path, "fill"))?;
        at += len as u64;
    }
    file.sync_data().map_err(Error::io(path, "sync"))
}

/// Starts a new use of a file: a new header, durable before this returns, so that a torn header
/// can only mean that the segment was never used.
pub(crate) fn prepare(
    env: &Env,
    path: &Path,
    file: &dyn DiskFile,
    store: u128,
    generation: u64,
    size: u64,
) -> Result<SegmentHeader> {
    if file.len().map_err(Error::io(path, "length"))? < size {
        fill(path, file, size)?;
    }
    let header = SegmentHeader { store, generation, salt: env.random.u64(), size };
    file.write_at(0, &header.encode()).map_err(Error::io(path, "write"))?;
    file.sync_data().map_err(Error::io(path, "sync"))?;
    Ok(header)
}
