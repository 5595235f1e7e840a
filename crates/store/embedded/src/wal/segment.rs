//! One segment file: making it, giving it a new use, reading it back.

use super::format::{HeaderPage, PAGE, SegmentHeader};
use crate::error::{Error, Result};
use base::env::{Disk, DiskFile, Env};
use std::path::{Path, PathBuf};

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

impl Segment {
    /// Reads the whole file.
    pub(crate) fn read_all(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.header.size as usize];
        self.file.read_at(0, &mut bytes).map_err(Error::io(&self.path, "read"))?;
        Ok(bytes)
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
    let zeros = vec![0; (1 << 20).min(size as usize)];
    let mut at = 0;
    while at < size {
        let len = zeros.len().min((size - at) as usize);
        file.write_at(at, &zeros[..len]).map_err(Error::io(path, "fill"))?;
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
