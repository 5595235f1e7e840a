//! The disk that redb sees: one file of ours, that never answers "full".
//!
//! redb gives up for good after any failed write. But a full disk must heal by itself, with reads
//! going on meanwhile. So writes that find no room are kept in memory ([`Overflow`]) and a sync
//! waits until they fit; the flag that this raises makes the committer refuse work before the
//! memory grows (the log's limit bounds it: only what is in the log is ever applied).
//!
//! A failed sync is final: the store stops.

use crate::error::is_full;
use crate::health::{Full, Health};
use base::env::DiskFile;
use parking_lot::Mutex;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
            let block = match overflow.blocks.entry(start) {
                Entry::Occupied(kept) => kept.into_mut(),
                Entry::Vacant(free) => {
                    let mut block = vec![0; BLOCK as usize];
                    if piece.len() < block.len() {
                        self.read_file(start, &mut block)?;
                    }
                    free.insert(block.into_boxed_slice())
                }
            };
            let from = (at - start) as usize;
            block[from..from + piece.len()].copy_from_slice(piece);
            at = until;
        }
        Ok(())
    }

    /// Tries to get rid of what is kept; `false` if there is still no room.
    fn drain(&self) -> io::Result<bool> {
        let mut overflow = self.overflow.lock();
        if overflow.is_empty() {
            self.health.set_full(Full::Table, false);
            return Ok(true);
        }
        if let Some(length) = overflow.length {
            match self.file.set_len(length) {
                Ok(()) => overflow.length = None,
                Err(error) if is_full(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let length = self.file.len()?;
        while let Some((offset, block)) = overflow.blocks.first_key_value() {
            // The last block must not make the file longer than redb thinks it is.
            let room = length.saturating_sub(*offset).min(BLOCK) as usize;
            match self.file.write_at(*offset, &block[..room]) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::env::Disk;
    use base::env::sim::SimDisk;
    use proptest::prelude::*;
    use std::path::Path;

    fn new() -> (SimDisk, RedbDisk, Arc<Health>) {
        let disk = SimDisk::default();
        disk.create_dir_all(Path::new("/")).unwrap();
        let file = disk.open(Path::new("/t"), true).unwrap();
        let health = Arc::new(Health::default());
        (disk, RedbDisk::new(file, health.clone()), health)
    }

    #[derive(Clone, Debug)]
    enum Step {
        SetLen(u64),
        Write(u64, usize, u8),
        Room(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => (1u64..12).prop_map(|pages| Step::SetLen(pages * 4096)),
            4 => (0u64..40_000, 1usize..9_000, any::<u8>()).prop_map(|(o, l, b)| Step::Write(o, l, b)),
            1 => (0u64..20_000).prop_map(Step::Room),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// However full the disk is, redb sees a file that works; once there is room, a sync
        /// brings exactly that to the disk.
        #[test]
        fn a_full_disk_is_not_seen(steps in proptest::collection::vec(step(), 1..30)) {
            let (disk, file, health) = new();
            let mut model: Vec<u8> = Vec::new();
            for step in steps {
                match step {
                    Step::SetLen(len) => {
                        file.set_len(len).unwrap();
                        model.resize(len as usize, 0);
                    }
                    Step::Write(offset, len, byte) => {
                        // redb writes within the length that it has set.
                        let end = (offset as usize + len).min(model.len());
                        let Some(room) = end.checked_sub(offset as usize) else { continue };
                        file.write(offset, &vec![byte; room]).unwrap();
                        model[offset as usize..end].fill(byte);
                    }
                    Step::Room(bytes) => disk.set_room(Some(bytes)),
                }
                let mut seen = vec![0; model.len()];
                file.read(0, &mut seen).unwrap();
                prop_assert_eq!(file.len().unwrap(), model.len() as u64);
                prop_assert!(seen == model);
            }
            disk.set_room(None);
            file.sync_data().unwrap();
            prop_assert!(!health.is_full());
            disk.power_cut(1);
            let handle = disk.open(Path::new("/t"), true).unwrap();
            if handle.len().unwrap() > 0 {
                let mut found = vec![0; model.len()];
                handle.read_at(0, &mut found).unwrap();
                prop_assert!(found == model);
            }
        }
    }

    #[test]
    fn a_sync_waits_for_room_until_the_store_closes() {
        let (disk, file, health) = new();
        file.set_len(4096).unwrap();
        disk.set_room(Some(0));
        file.set_len(8192).unwrap();
        file.write(4096, &[1; 4096]).unwrap();
        assert!(health.is_full());
        std::thread::scope(|scope| {
            let sync = scope.spawn(|| file.sync_data());
            health.begin_closing();
            assert!(sync.join().unwrap().is_err());
        });
        assert!(health.check().is_ok(), "a full disk is no failed sync");
    }
}
