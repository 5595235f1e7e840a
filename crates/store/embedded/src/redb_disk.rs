//! The disk that redb sees: one file of ours, that never answers "full".
//!
//! redb gives up for good after any failed write. But a full disk must heal by itself, with reads
//! going on meanwhile. So writes that find no room are kept in memory ([`Overflow`]) and a sync
//! waits until they fit; the flag that this raises makes the committer refuse work before the
//! memory grows (the log's limit bounds it: only what is in the log is ever applied).
//!
//! A failed sync is final: the store stops.

use crate::health::{Full, Health};
use base::env::DiskFile;
use parking_lot::Mutex;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

const BLOCK: u64 = 4096;

/// See the module's words.
pub(crate) struct RedbDisk {
    file: Box<dyn DiskFile>,
    health: Arc<Health>,
    overflow: Mutex<Overflow>,
}

#[derive(Default)]
struct Overflow {
    /// The length that redb asked for while there was no room for it.
    length: Option<u64>,
    /// Whole blocks that are newer than the file's.
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overflow {
    fn is_empty(&self) -> bool {
        self.length.is_none() && self.blocks.is_empty()
    }
}

impl fmt::Debug for RedbDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbDisk")
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl RedbDisk {
    pub(crate) fn new(file: Box<dyn DiskFile>, health: Arc<Health>) -> Self {
        Self { file, health, overflow: Mutex::new(Overflow::default()) }
    }

    /// Reads from the file, with zeros behind its end.
    fn read_file(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.file.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
        let (head, tail) = out.split_at_mut(there);
        tail.fill(0);
        if head.is_empty() { Ok(()) } else { self.file.read_at(offset, head) }
    }

    fn keep(&self, overflow: &mut Overflow, offset: u64, data: &[u8]) -> io::Result<()> {
        self.health.set_full(Full::Table, true);
        let mut at = offset;
        let end = offset + data.len() as u64;
        while at < end {
            let start = at - at % BLOCK;
            let until = (start + BLOCK).min(end);
            let piece = &data[(at - offset) as usize..(until - offset) as usize];
            if !overflow.blocks.contains_key(&start) {
                let mut block = vec![0; BLOCK as usize];
                if piece.len() < block.len() {
                    self.read_file(start, &mut block)?;
                }
                overflow.blocks.insert(start, block.into_boxed_slice());
            }
            if let Some(block) = overflow.blocks.get_mut(&start) {
                let from = (at - start) as usize;
                block[from..from + piece.len()].copy_from_slice(piece);
            }
            at = until;
        }
        Ok(())
    }

    /// Tries to get rid of what is kept; `false` if there is still no room.
    fn drain(&self) -> io::Result<bool> {
        let mut overflow = self.overflow.lock();
        if overflow.is_empty() {
            return Ok(true);
        }
        if let Some(length) = overflow.length {
            match self.file.set_len(length) {
                Ok(()) => overflow.length = None,
                Err(error) if is_full(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        while let Some((offset, block)) = overflow.blocks.first_key_value() {
            // A block at the end may reach beyond the length that redb knows; zeros do no harm.
            match self.file.write_at(*offset, block) {
                Ok(()) => overflow.blocks.pop_first(),
                Err(error) if is_full(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
        }
        self.health.set_full(Full::Table, false);
        Ok(true)
    }
}

impl StorageBackend for RedbDisk {
    fn len(&self) -> Result<u64, io::Error> {
        match self.overflow.lock().length {
            Some(length) => Ok(length),
            None => self.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let overflow = self.overflow.lock();
        if overflow.is_empty() {
            drop(overflow);
            return self.file.read_at(offset, out);
        }
        self.read_file(offset, out)?;
        let end = offset + out.len() as u64;
        for (start, block) in overflow.blocks.range(offset - offset % BLOCK..end) {
            let from = (*start).max(offset);
            let until = (start + BLOCK).min(end);
            out[(from - offset) as usize..(until - offset) as usize]
                .copy_from_slice(&block[(from - start) as usize..(until - start) as usize]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut overflow = self.overflow.lock();
        match self.file.set_len(len) {
            Ok(()) => overflow.length = None,
            Err(error) if is_full(&error) => {
                self.health.set_full(Full::Table, true);
                overflow.length = Some(len);
            }
            Err(error) => return Err(error),
        }
        overflow.blocks.retain(|start, _| *start < len);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        while !self.drain()? {
            self.health.wait_for_room()?;
        }
        self.file.sync_data().inspect_err(|error| {
            self.health.stop(format!("syncing the table file failed: {error}"));
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut overflow = self.overflow.lock();
        if overflow.is_empty() {
            match self.file.write_at(offset, data) {
                Err(error) if is_full(&error) => {}
                done => return done,
            }
        }
        self.keep(&mut overflow, offset, data)
    }
}
