//! Opening a store: lock, table file, replay of the log, threads.
//!
//! ```text
//! <dir>/LOCK          held while the store is open; holds the process id
//! <dir>/table.redb    the table file
//! <dir>/wal/*.seg     the log
//! ```

use crate::applier::{Applier, Ending, Spares, beginning};
use crate::committer::Committer;
use crate::error::{Error, Result, is_full};
use crate::group;
use crate::health::Health;
use crate::options::Options;
use crate::queue::Queue;
use crate::redb_disk::RedbDisk;
use crate::shared::{Bell, Counters, Shared};
use crate::table::current::Current;
use crate::table::file::{Meta, TableFile};
use crate::table::generation::Last;
use crate::wal::format::begin_record;
use crate::wal::pool::Pool;
use crate::wal::replay::{Replayed, replay};
use crate::wal::segment::find;
use crate::wal::writer::Writer;
use crate::watches::Watches;
use base::env::{Disk, DiskLock, Env};
use contract_store::Version;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Each start leaves so many versions out, so that a version given out before a crash and lost
/// with it is never given out again.
const VERSIONS_PER_START: Version = 1_000_000;

/// What an open store runs on.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ending: Arc<Ending>,
    pub(crate) committer: Committer,
    pub(crate) applier: Applier,
    /// To be held until all else has ended.
    pub(crate) lock: Box<dyn DiskLock>,
    /// Bytes of log that were read.
    pub(crate) replayed_bytes: u64,
}

/// Does everything but starting the threads. Blocks.
pub(crate) fn open(options: &Options) -> Result<Opened> {
    let Options { dir, env, sizes, .. } = options;
    let disk = &*env.disk;
    let wal_dir = dir.join("wal");
    make_dirs(disk, &wal_dir)?;
    let lock = take_lock(disk, dir)?;
    let health = Arc::new(Health::default());
    let (mut file, meta) = open_table(env, dir, &wal_dir, sizes.cache_bytes, &health)?;

    sync_names(disk, dir, &wal_dir)?;
    let found = find(disk, &wal_dir, meta.store)?;
    let count = found.len() as u64;
    let names = found.iter().filter_map(|segment| number(&segment.path));
    let next_name = names.max().map_or(0, |greatest| greatest + 1);
    let base = meta.applied.map_or(0, |(_, version)| version);
    let current = Current::new(file.snapshot()?, base);
    let replayed = replay(found, meta.applied, |group| {
        let effect = group::decode(group.body)?;
        let last = Last { version: group.version, position: group.end, written: group.bytes };
        let now = env.clock.monotonic();
        current.publish(&effect, last, now);
        if current.active_bytes() >= sizes.generation_bytes {
            current.freeze(now);
        }
        Ok(())
    })?;
    let Replayed { tail, live, free, last, next_generation, bytes } = replayed;
    let files = free.into();
    let mut spares =
        Spares { dir: wal_dir, store: meta.store, files, count, next_name, next_generation };
    let pool = Pool::new(live, bytes, sizes.log_bytes_max);
    let first = last.max(base) + VERSIONS_PER_START;
    let writer = begin_log(env, options, &mut file, &mut spares, &pool, tail, (last, first))?;
    current.advance(first, env.clock.monotonic());

    let shared = Arc::new(Shared {
        env: env.clone(),
        sizes: *sizes,
        health,
        queue: Queue::new(),
        current,
        pool,
        watches: Watches::default(),
        counters: Counters::default(),
        bell: Bell::default(),
    });
    let ending = Arc::new(Ending::default());
    let now = env.clock.monotonic();
    let applier = Applier {
        shared: shared.clone(),
        file,
        spares,
        ending: ending.clone(),
        pending: None,
        last_freeze: now,
        last_checkpoint: now,
    };
    let committer = Committer::new(shared.clone(), writer);
    Ok(Opened { shared, ending, committer, applier, lock, replayed_bytes: bytes })
}

/// Makes a directory with what is missing above it, each name durable in the one above.
fn make_dirs(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let named = dir.ancestors().filter(|part| !part.as_os_str().is_empty());
    let missing: Vec<&Path> = named.take_while(|part| !disk.exists(part)).collect();
    disk.create_dir_all(dir).map_err(Error::io(dir, "create"))?;
    for parent in missing.into_iter().filter_map(parent) {
        disk.sync_dir(parent).map_err(Error::io(parent, "sync"))?;
    }
    Ok(())
}

/// The directory that holds the name of another one; `None` for the root, and for the working
/// directory, whose own name is not ours to care for.
fn parent(path: &Path) -> Option<&Path> {
    const HERE: &str = ".";
    let parent = path.parent().filter(|_| path != Path::new(HERE))?;
    Some(if parent.as_os_str().is_empty() { Path::new(HERE) } else { parent })
}

fn number(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// Takes the lock and leaves our process id for others to read.
fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>> {
    let path = dir.join("LOCK");
    match disk.lock(&path) {
        Ok(lock) => {
            let text = format!("{:<20}\n", std::process::id());
            let file = disk.open(&path, true).map_err(Error::io(&path, "open"))?;
            match file.write_at(0, text.as_bytes()) {
                Err(error) if !is_full(&error) => Err(Error::io(&path, "write")(error)),
                // On a full disk only the message to a second process suffers.
                _ => Ok(lock),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Error::InUse { pid: read_pid(disk, &path), path })
        }
        Err(error) => Err(Error::io(&path, "lock")(error)),
    }
}

fn read_pid(disk: &dyn Disk, path: &Path) -> Option<u32> {
    let mut text = [0; 20];
    disk.open(path, false).ok()?.read_at(0, &mut text).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

/// Opens the table file; makes it under another name first, so that a file of the right name is
/// always a whole one.
fn open_table(
    env: &Env,
    dir: &Path,
    wal_dir: &Path,
    cache_bytes: usize,
    health: &Arc<Health>,
) -> Result<(TableFile, Meta)> {
    let disk = &*env.disk;
    let path = dir.join("table.redb");
    if !disk.exists(&path) {
        refuse_orphaned_log(disk, wal_dir, &path)?;
        make_table(env, dir, &path, cache_bytes, health)?;
    }
    let handle = disk.open(&path, false).map_err(Error::io(&path, "open"))?;
    let mut file = TableFile::open(RedbDisk::new(handle, health.clone()), cache_bytes)?;
    let meta = file.read_meta()?;
    Ok((file, meta))
}

fn make_table(
    env: &Env,
    dir: &Path,
    path: &Path,
    cache_bytes: usize,
    health: &Arc<Health>,
) -> Result<()> {
    let disk = &*env.disk;
    let unfinished = dir.join("table.redb.new");
    if disk.exists(&unfinished) {
        disk.remove(&unfinished).map_err(Error::io(&unfinished, "remove"))?;
    }
    let handle = disk.open(&unfinished, true).map_err(Error::io(&unfinished, "create"))?;
    let mut file = TableFile::open(RedbDisk::new(handle, health.clone()), cache_bytes)?;
    file.initialise(env.random.u128())?;
    drop(file);
    disk.rename(&unfinished, path).map_err(Error::io(path, "rename"))?;
    Ok(())
}

/// Makes the names of our files durable before anything is acknowledged. A program that was killed
/// between making a file and syncing its directory leaves a name that is seen and that a power cut
/// takes away, with all that was written under it since.
fn sync_names(disk: &dyn Disk, dir: &Path, wal_dir: &Path) -> Result<()> {
    for ours in [wal_dir, dir] {
        disk.sync_dir(ours).map_err(Error::io(ours, "sync"))?;
    }
    // Directories that somebody made for us a moment ago may not be durable either. Those that we
    // may not even open are not ours to care for.
    for above in std::iter::successors(parent(dir), |dir| parent(dir)) {
        if let Err(error) = disk.sync_dir(above) {
            tracing::debug!(%error, dir = %above.display(), "not synced");
        }
    }
    Ok(())
}

/// A log without a table file is a store that lost its table file, not a new one.
fn refuse_orphaned_log(disk: &dyn Disk, wal_dir: &Path, path: &Path) -> Result<()> {
    let files = disk.list(wal_dir).map_err(Error::io(wal_dir, "list"))?;
    if files.iter().any(|file| number(file).is_some()) {
        return Err(Error::Unusable {
            path: path.to_owned(),
            what: "the table file is missing, but its log is there".into(),
        });
    }
    Ok(())
}

/// Readies the log for appending and writes the record with which this start begins: its version
/// is greater than any given out before. All that was replayed is durable already.
fn begin_log(
    env: &Env,
    options: &Options,
    file: &mut TableFile,
    spares: &mut Spares,
    pool: &Pool,
    tail: Option<(crate::wal::segment::Segment, u64)>,
    (last, first): (Version, Version),
) -> Result<Writer> {
    let segment_bytes = options.sizes.segment_bytes;
    let (segment, offset) = match tail {
        Some(tail) => tail,
        None => {
            let segment = spares.ready_one(env, segment_bytes)?;
            let start = beginning(&segment, last);
            file.write(None, Some(start), true)?;
            (segment, start.0.offset)
        }
    };
    let mut writer = Writer::new(segment, offset, last);
    let record = Writer::record_bytes(0);
    if writer.needs_roll(record) {
        let next = spares.ready_one(env, segment_bytes)?;
        writer.append_roll(&next)?;
        pool.put_live(writer.enter(next)?);
    }
    writer.append(first, &mut begin_record(0))?;
    writer.sync()?;
    pool.add_bytes(record);
    Ok(writer)
}
