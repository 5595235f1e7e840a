//! The rows on disk: a log of groups of commits, rewritten at each start.
//!
//! ```text
//! magic (8) | { length (u32) | crc32c of the body (u32) | body: bincode of Record }*
//! ```
//!
//! A group is reported when its record is synced. The first record that is torn or does not match
//! its checksum ends the log: it was being written when the program died.
//!
//! Versions are given out that no group has. A record without changes reserves them in advance: all
//! up to its version, which [`Log::ceiling`] tells. A restart begins above it.

use super::FIRST_VERSION;
use super::engine::JUMP;
use crate::wire::{Change, decode, encode};
use bytes::Bytes;
use contract_store::Version;
use contract_store::rules::{Mutation, atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::Bound;
use std::path::Path;

const MAGIC: [u8; 8] = *b"RSTANDI1";

/// Rows that a rewritten log holds per record.
const ROWS_PER_RECORD: usize = 1_000;

/// How many versions are reserved in advance; more are when half of them are given.
pub(super) const RESERVED: Version = 10 * JUMP;

/// One group of commits.
#[derive(Serialize, Deserialize)]
struct Record {
    version: Version,
    changes: Vec<Change>,
}

/// What a log held.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) rows: BTreeMap<Bytes, Bytes>,
    /// None above it was ever given.
    pub(super) version: Version,
}

impl Contents {
    /// Where versions go on.
    pub(super) fn next_version(&self) -> Version {
        (self.version + JUMP).max(FIRST_VERSION)
    }
}

/// An open log; its folder is locked while it lives.
pub(super) struct Log {
    file: File,
    ceiling: Version,
    _lock: File,
}

impl Log {
    /// Opens the log in a folder, which is made if there is none, and rewrites it.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Contents)> {
        std::fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another server has this folder"))?;
        let path = folder.join("log");
        let contents = match File::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents::default(),
            Err(error) => return Err(error),
        };
        let new = folder.join("log.new");
        let mut file = File::create(&new)?;
        file.write_all(&MAGIC)?;
        let rows: Vec<_> = contents.rows.iter().collect();
        for part in rows.chunks(ROWS_PER_RECORD) {
            let set =
                |(key, value): &(&Bytes, &Bytes)| Change::Set((*key).clone(), (*value).clone());
            write(&mut file, contents.version, part.iter().map(set).collect())?;
        }
        let ceiling = contents.next_version() + RESERVED;
        write(&mut file, ceiling, Vec::new())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()?;
        Ok((Self { file, ceiling, _lock: lock }, contents))
    }

    /// Adds a group and waits until it is on the disk.
    pub(super) fn append(&mut self, version: Version, changes: Vec<Change>) -> io::Result<()> {
        write(&mut self.file, version, changes)?;
        let mut ceiling = self.ceiling;
        if version > ceiling - RESERVED / 2 {
            ceiling = version + RESERVED;
            write(&mut self.file, ceiling, Vec::new())?;
        }
        self.file.sync_data()?;
        self.ceiling = ceiling;
        Ok(())
    }

    /// The version up to which all may be given out.
    pub(super) fn ceiling(&self) -> Version {
        self.ceiling
    }
}

fn write(file: &mut File, version: Version, changes: Vec<Change>) -> io::Result<()> {
    let body = encode(&Record { version, changes });
    let body = body.ok_or_else(|| io::Error::other("a group of commits is too large"))?;
    let mut record = Vec::with_capacity(8 + body.len());
    record.extend_from_slice(&(body.len() as u32).to_le_bytes());
    record.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    record.extend_from_slice(&body);
    file.write_all(&record)
}

fn read(mut file: File) -> io::Result<Contents> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut contents = Contents::default();
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
        return if bytes.is_empty() {
            Ok(contents)
        } else {
            Err(io::Error::other("this is no log of the stand-in"))
        };
    };
    while let Some((record, behind)) = next(rest) {
        rest = behind;
        contents.version = contents.version.max(record.version);
        for change in record.changes {
            replay(&mut contents.rows, change);
        }
    }
    if !rest.is_empty() {
        eprintln!("fdb-standin: the last {} bytes of the log are torn; dropped", rest.len());
    }
    Ok(contents)
}

fn next(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (body, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((decode(body)?, behind))
}

fn replay(rows: &mut BTreeMap<Bytes, Bytes>, change: Change) {
    let value = match change.mutation() {
        Some(Mutation::Set(key, value)) => Some((key, Some(value))),
        Some(Mutation::Clear(key)) => Some((key, None)),
        Some(Mutation::Atomic(op, key, param)) => {
            let value = atomic::apply(op, rows.get(&key), &param);
            Some((key, value))
        }
        Some(Mutation::ClearRange(range)) if !range.is_empty() => {
            let bounds = (Bound::Included(range.begin), Bound::Excluded(range.end));
            let keys: Vec<Bytes> = rows.range(bounds).map(|(key, _)| key.clone()).collect();
            keys.iter().for_each(|key| drop(rows.remove(key)));
            None
        }
        Some(Mutation::ClearRange(_)) | None => None,
    };
    match value {
        Some((key, Some(value))) => drop(rows.insert(key, value)),
        Some((key, None)) => drop(rows.remove(&key)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::{Seek as _, SeekFrom};

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn set(key: &str, value: &str) -> Change {
        Change::Set(bytes(key), bytes(value))
    }

    /// A log with three groups in it.
    fn written(folder: &Path) {
        let (mut log, contents) = Log::open(folder).unwrap();
        assert!(contents.rows.is_empty());
        log.append(10, vec![set("a", "1"), set("b", "1"), set("c", "1")]).unwrap();
        log.append(20, vec![Change::ClearRange(bytes("b"), bytes("c")), set("d", "1")]).unwrap();
        log.append(30, vec![Change::Atomic(2, bytes("a"), bytes("1")), Change::Clear(bytes("d"))])
            .unwrap();
    }

    fn rows(folder: &Path) -> (Vec<(Bytes, Bytes)>, Version) {
        let (_, contents) = Log::open(folder).unwrap();
        (contents.rows.into_iter().collect(), contents.version)
    }

    #[test]
    fn everything_comes_back_also_after_it_was_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let expected = vec![(bytes("a"), bytes("b")), (bytes("c"), bytes("1"))];
        let mut before = 0;
        for _ in 0..2 {
            let (rows, version) = rows(folder.path());
            assert_eq!(rows, expected);
            assert!(version >= before + RESERVED, "{before} {version}");
            before = version;
        }
    }

    #[test]
    fn versions_are_reserved_before_they_are_given() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, contents) = Log::open(folder.path()).unwrap();
        assert_eq!(log.ceiling(), contents.next_version() + RESERVED);
        let late = log.ceiling() - 1;
        log.append(late, vec![set("a", "1")]).unwrap();
        let ceiling = log.ceiling();
        assert_eq!(ceiling, late + RESERVED);
        log.append(late + 1, Vec::new()).unwrap();
        assert_eq!(log.ceiling(), ceiling, "there are enough");
        drop(log);
        let (_, contents) = Log::open(folder.path()).unwrap();
        assert!(contents.next_version() > ceiling);
    }

    #[test]
    fn a_torn_or_damaged_end_is_dropped_and_nothing_else() {
        let whole = tempfile::tempdir().unwrap();
        written(whole.path());
        let length = std::fs::metadata(whole.path().join("log")).unwrap().len();
        for cut in 1..20 {
            let folder = tempfile::tempdir().unwrap();
            std::fs::copy(whole.path().join("log"), folder.path().join("log")).unwrap();
            let mut file = File::options().write(true).open(folder.path().join("log")).unwrap();
            if cut % 2 == 0 {
                file.set_len(length - cut).unwrap();
            } else {
                file.seek(SeekFrom::Start(length - cut)).unwrap();
                file.write_all(&[0xff]).unwrap();
            }
            let (rows, _) = rows(folder.path());
            assert_eq!(rows.len(), 3, "{cut}: {rows:?}");
        }
    }

    #[test]
    fn two_servers_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Log::open(folder.path()).unwrap();
        assert!(Log::open(folder.path()).is_err());
        drop(first);
        assert!(Log::open(folder.path()).is_ok());
    }
}
