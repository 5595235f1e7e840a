//! A machine that programs run on, for tests to take the program or the machine from under the
//! store.
//!
//! - A power cut loses what was not synced, as the disk decides.
//! - A kill ends the program between two calls; what it has written stays in the kernel's memory.
//! - Quotas and copying on write change how a full disk shows.

use base::env::sim::SimDisk;
use base::env::{Disk, DiskFile, DiskLock};
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// See the module's words. Clones are the same machine.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) disk: SimDisk,
    state: Arc<State>,
}

struct State {
    alive: AtomicBool,
    /// Syncs of files until the program is killed in one.
    syncs_left: AtomicI64,
    /// The same of directories.
    dir_syncs_left: AtomicI64,
    /// The file whose sync was not made because of that.
    killed_in: Mutex<Option<PathBuf>>,
    quota: AtomicBool,
    /// So many records for the log find no room.
    refusals: AtomicI64,
    panics: AtomicBool,
}

impl Machine {
    pub(super) fn new(disk: SimDisk) -> Self {
        let state = State {
            alive: AtomicBool::new(true),
            syncs_left: AtomicI64::new(i64::MAX),
            dir_syncs_left: AtomicI64::new(i64::MAX),
            killed_in: Mutex::new(None),
            quota: AtomicBool::new(false),
            refusals: AtomicI64::new(0),
            panics: AtomicBool::new(false),
        };
        Self { disk, state: Arc::new(state) }
    }

    /// Cuts the power.
    pub(super) fn power_cut(&self, seed: u64) {
        self.state.alive.store(false, Ordering::SeqCst);
        self.disk.power_cut(seed);
    }

    /// Kills the program in its `nth` sync from now, before anything is synced.
    pub(super) fn kill_in_sync(&self, nth: i64) {
        self.state.syncs_left.store(nth, Ordering::SeqCst);
    }

    /// Kills the program in its `nth` sync of a directory from now.
    pub(super) fn kill_in_dir_sync(&self, nth: i64) {
        self.state.dir_syncs_left.store(nth, Ordering::SeqCst);
    }

    /// Whether the program runs.
    pub(super) fn is_alive(&self) -> bool {
        self.state.alive.load(Ordering::SeqCst)
    }

    /// The file in whose sync the program was killed.
    pub(super) fn killed_in(&self) -> Option<PathBuf> {
        self.state.killed_in.lock().clone()
    }

    /// From now on a full disk is said to be a used-up quota.
    pub(super) fn set_quota(&self) {
        self.state.quota.store(true, Ordering::SeqCst);
    }

    /// Lets the next records written to the log find no room, though all their bytes arrive: the
    /// worst that a file system may do that copies on write.
    pub(super) fn refuse_log_writes(&self, count: i64) {
        self.state.refusals.store(count, Ordering::SeqCst);
    }

    /// Lets the program panic when it next makes a file.
    pub(super) fn panic_in_open(&self) {
        self.state.panics.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn check(&self) -> io::Result<()> {
        match self.alive.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(io::Error::other("the program has been killed")),
        }
    }

    fn said<T>(&self, answer: io::Result<T>) -> io::Result<T> {
        match answer {
            Err(error)
                if error.kind() == io::ErrorKind::StorageFull
                    && self.quota.load(Ordering::SeqCst) =>
            {
                Err(io::ErrorKind::QuotaExceeded.into())
            }
            other => other,
        }
    }
}

impl Disk for Machine {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        self.state.check()?;
        assert!(!create || !self.state.panics.load(Ordering::SeqCst), "as the test wishes");
        let file = self.disk.open(path, create)?;
        Ok(Box::new(MachineFile { file, path: path.to_owned(), state: self.state.clone() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.state.check()?;
        self.disk.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.state.check()?;
        self.disk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.check()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.check()?;
        self.disk.remove(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state.check()?;
        if self.state.dir_syncs_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.state.alive.store(false, Ordering::SeqCst);
        }
        self.state.check()?;
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.state.check()?;
        self.disk.lock(path)
    }
}

struct MachineFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    state: Arc<State>,
}

impl MachineFile {
    fn is_log(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "seg")
    }
}

impl DiskFile for MachineFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.state.check()?;
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.state.check()?;
        self.state.said(self.file.write_at(offset, bytes))?;
        // Records, and the empty page that takes one back; not what readies a segment.
        let is_record = bytes.starts_with(b"RwRc") || bytes == [0; 4096];
        if is_record && self.is_log() && self.state.refusals.fetch_sub(1, Ordering::SeqCst) > 0 {
            return self.state.said(Err(io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state.check()?;
        if self.state.syncs_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.state.alive.store(false, Ordering::SeqCst);
            *self.state.killed_in.lock() = Some(self.path.clone());
            return self.state.check();
        }
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.state.check()?;
        self.file.len()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.state.check()?;
        self.state.said(self.file.set_len(bytes))
    }
}
