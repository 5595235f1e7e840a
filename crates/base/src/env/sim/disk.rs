//! A disk in memory that loses what a real one may lose.
//!
//! Written bytes are volatile until their file is synced; new names, renames and removals are
//! volatile until their directory is (for a rename, the one it goes to). [`SimDisk::power_cut`]
//! lets any part of the volatile state reach the medium or not. Directories themselves are durable
//! at once. Everything that changes is noted in a log, into which a test can put marks of its own,
//! to check that nothing is acknowledged before its sync.

use super::disk_file::Contents;
use super::random::SeededRandom;
use crate::env::{Disk, DiskFile, DiskLock, Random, Space};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many events the log keeps; the oldest go first.
const LOG_EVENTS_MAX: usize = 1 << 16;

/// The largest file, so that a wild offset is an error and not an allocation.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// How large a disk is whose room is not bounded.
const DISK_BYTES: u64 = 1 << 40;

/// A disk; cheap to clone, all clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

/// What happened to the disk, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskEvent {
    /// A file came to be.
    Created(PathBuf),
    /// Bytes were written: path, offset, length.
    Written(PathBuf, u64, u64),
    /// A file was cut or extended to a length.
    Resized(PathBuf, u64),
    /// A file was synced.
    Synced(PathBuf),
    /// Syncing a file or directory failed, as ordered.
    SyncFailed(PathBuf),
    /// A file was renamed: from, to.
    Renamed(PathBuf, PathBuf),
    /// A file was removed.
    Removed(PathBuf),
    /// A directory was synced.
    DirSynced(PathBuf),
    /// The power was cut.
    PowerCut,
    /// The test's own mark.
    Mark(String),
}

#[derive(Default)]
struct State {
    files: HashMap<u64, Contents>,
    last_file: u64,
    seen_names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    unsynced_names: Vec<NameChange>,
    directories: BTreeSet<PathBuf>,
    locks: HashSet<PathBuf>,
    /// How often the power was cut: handles from before are dead.
    life: u64,
    room_bytes: Option<u64>,
    size_bytes: Option<u64>,
    /// Counts down to the sync that fails.
    syncs_until_failure: Option<u64>,
    sync_time: Duration,
    syncs: u64,
    log: VecDeque<DiskEvent>,
}

#[derive(Clone)]
enum NameChange {
    Create { path: PathBuf, file: u64 },
    Rename { from: PathBuf, to: PathBuf, file: u64 },
    Remove { path: PathBuf },
}

impl NameChange {
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } | Self::Rename { to: path, .. } => {
                path.parent()
            }
        }
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create { path, file } => {
                names.insert(path, file);
            }
            Self::Rename { from, to, file } => {
                names.remove(&from);
                names.insert(to, file);
            }
            Self::Remove { path } => {
                names.remove(&path);
            }
        }
    }
}

impl SimDisk {
    /// Cuts the power. What was not synced survives in part, as the seed decides; open files and
    /// locks are dead; afterwards the disk is as the next start finds it.
    pub fn power_cut(&self, seed: u64) {
        let random = SeededRandom::new(seed);
        let mut state = self.0.lock();
        let state = &mut *state;
        for change in std::mem::take(&mut state.unsynced_names) {
            if random.below(2) == 0 {
                change.apply(&mut state.durable_names);
            }
        }
        state.seen_names.clone_from(&state.durable_names);
        let named: HashSet<u64> = state.seen_names.values().copied().collect();
        state.files.retain(|file, _| named.contains(file));
        // In order of name, so that the seed alone decides.
        for file in state.seen_names.values() {
            if let Some(contents) = state.files.get_mut(file) {
                contents.power_cut(&random);
            }
        }
        state.locks.clear();
        state.life += 1;
        state.syncs_until_failure = None;
        state.note(DiskEvent::PowerCut);
    }

    /// Lets the `nth` sync from now fail with an input/output error (1 is the next one); what it
    /// should have made durable never will be.
    pub fn fail_sync(&self, nth: u64) {
        self.0.lock().syncs_until_failure = Some(nth.max(1));
    }

    /// Lets files grow by so many bytes in total, then the disk is full; `None` for no limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.0.lock().room_bytes = bytes;
    }

    /// How large the disk says it is; 1 TiB unless set.
    pub fn set_size(&self, bytes: u64) {
        self.0.lock().size_bytes = Some(bytes);
    }

    /// Lets each sync block its thread for this long, in real time.
    pub fn set_sync_time(&self, how_long: Duration) {
        self.0.lock().sync_time = how_long;
    }

    /// Damages one byte of a file, in memory and on the medium.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file.
    pub fn corrupt(&self, path: &Path, offset: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = *state.seen_names.get(path).ok_or(io::ErrorKind::NotFound)?;
        state.contents(file)?.corrupt(offset as usize);
        Ok(())
    }

    /// How many syncs of files and directories have succeeded.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Puts a mark of the test's own into the log.
    pub fn mark(&self, text: impl Into<String>) {
        self.0.lock().note(DiskEvent::Mark(text.into()));
    }

    /// What has happened, oldest first; the last 65,536 events.
    pub fn log(&self) -> Vec<DiskEvent> {
        self.0.lock().log.iter().cloned().collect()
    }
}

impl State {
    fn note(&mut self, event: DiskEvent) {
        if self.log.len() == LOG_EVENTS_MAX {
            self.log.pop_front();
        }
        self.log.push_back(event);
    }

    fn contents(&mut self, file: u64) -> io::Result<&mut Contents> {
        self.files.get_mut(&file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.parent().is_none() || path.as_os_str().is_empty() || self.directories.contains(path)
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        let found = path.parent().is_some_and(|parent| self.is_directory(parent));
        if found { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.seen_names);
        self.unsynced_names.push(change);
    }

    fn open(&mut self, path: &Path, create: bool) -> io::Result<u64> {
        if let Some(file) = self.seen_names.get(path) {
            return Ok(*file);
        }
        self.check_parent(path)?;
        if !create {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.last_file += 1;
        let file = self.last_file;
        self.files.insert(file, Contents::default());
        self.change_name(NameChange::Create { path: path.to_owned(), file });
        self.note(DiskEvent::Created(path.to_owned()));
        Ok(file)
    }

    /// Takes the room for a file to grow.
    fn grow(&mut self, file: u64, end: u64) -> io::Result<()> {
        if end > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let more = end.saturating_sub(self.contents(file)?.seen.len() as u64);
        match &mut self.room_bytes {
            Some(room) if *room < more => Err(io::ErrorKind::StorageFull.into()),
            Some(room) => {
                *room -= more;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Counts a sync; fails if it is the one that was chosen to.
    fn sync(&mut self, path: &Path) -> io::Result<()> {
        match self.syncs_until_failure.take() {
            Some(1) => {
                self.note(DiskEvent::SyncFailed(path.to_owned()));
                // EIO
                return Err(io::Error::from_raw_os_error(5));
            }
            left => self.syncs_until_failure = left.map(|n| n - 1),
        }
        self.syncs += 1;
        Ok(())
    }
}

/// Waits outside the lock, so that a slow sync does not stop the whole disk.
fn take_time(state: &Mutex<State>) {
    let how_long = state.lock().sync_time;
    if !how_long.is_zero() {
        std::thread::sleep(how_long);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        let file = state.open(path, create)?;
        let (disk, path, life) = (self.0.clone(), path.to_owned(), state.life);
        Ok(Box::new(SimFile { disk, file, path, life }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if path.ancestors().any(|part| state.seen_names.contains_key(part)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.directories.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.0.lock();
        if !state.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(state.seen_names.keys().filter(|p| p.parent() == Some(path)).cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_parent(to)?;
        let file = *state.seen_names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        state.change_name(NameChange::Rename { from: from.clone(), to: to.clone(), file });
        state.note(DiskEvent::Renamed(from, to));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.seen_names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove { path: path.to_owned() });
        state.note(DiskEvent::Removed(path.to_owned()));
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.0.lock();
        state.seen_names.contains_key(path) || state.is_directory(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        take_time(&self.0);
        let mut state = self.0.lock();
        if !state.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.sync(path)?;
        for change in std::mem::take(&mut state.unsynced_names) {
            if change.directory() == Some(path) {
                change.apply(&mut state.durable_names);
            } else {
                state.unsynced_names.push(change);
            }
        }
        state.note(DiskEvent::DirSynced(path.to_owned()));
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.0.lock();
        let total_bytes = state.size_bytes.unwrap_or(DISK_BYTES);
        let free_bytes = state.room_bytes.unwrap_or(total_bytes).min(total_bytes);
        Ok(Space { total_bytes, free_bytes })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.0.lock();
        state.open(path, true)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.0.clone(), path: path.to_owned(), life: state.life }))
    }
}

struct SimFile {
    disk: Arc<Mutex<State>>,
    file: u64,
    path: PathBuf,
    life: u64,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("the power was cut while this file was open"))
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.state()?;
        let seen = &state.contents(self.file)?.seen;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let wanted = start.checked_add(buffer.len()).and_then(|end| seen.get(start..end));
        buffer.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        state.grow(self.file, offset.saturating_add(bytes.len() as u64))?;
        state.contents(self.file)?.write(offset as usize, bytes);
        state.note(DiskEvent::Written(self.path.clone(), offset, bytes.len() as u64));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        take_time(&self.disk);
        let mut state = self.state()?;
        if let Err(error) = state.sync(&self.path) {
            state.contents(self.file)?.fail_sync();
            return Err(error);
        }
        state.contents(self.file)?.sync();
        state.note(DiskEvent::Synced(self.path.clone()));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.contents(self.file)?.seen.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.grow(self.file, bytes)?;
        state.contents(self.file)?.set_len(bytes as usize);
        state.note(DiskEvent::Resized(self.path.clone(), bytes));
        Ok(())
    }
}

struct SimLock {
    disk: Arc<Mutex<State>>,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
