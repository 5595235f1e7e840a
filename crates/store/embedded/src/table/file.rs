//! The table file: redb on a disk of ours.
//!
//! Every value carries a checksum over key and value, so that a damaged or misplaced value is
//! noticed when it is read; redb itself checks its pages only when it repairs. The one row of the
//! table `meta` says what the file is and up to which place of the log it goes.

use crate::error::{Error, Result};
use crate::redb_disk::RedbDisk;
use crate::table::generation::Generation;
use crate::wal::Position;
use bytes::Bytes;
use contract_store::{KeyRange, StoreError, StoreResult, Version};
use redb::{
    AccessGuard, Database, Durability, Range, ReadOnlyTable, ReadableDatabase, Table,
    TableDefinition,
};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const META_KEY: &str = "store";
/// Raised when an older program could not read the file.
const FORMAT_VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 4;
/// What is said where redb panicked.
const UNREADABLE: &str = "a page is damaged beyond reading";

/// What the file says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meta {
    /// The store's identity, drawn when it was made.
    pub(crate) store: u128,
    /// Up to where the log is in the file; `None` before the log's first segment exists.
    pub(crate) applied: Option<(Position, Version)>,
}

impl Meta {
    fn encode(&self) -> Vec<u8> {
        let (position, version) =
            self.applied.unwrap_or((Position { generation: 0, offset: 0 }, 0));
        let mut row = Vec::with_capacity(48);
        row.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        row.extend_from_slice(&self.store.to_le_bytes());
        row.extend_from_slice(&position.generation.to_le_bytes());
        row.extend_from_slice(&position.offset.to_le_bytes());
        row.extend_from_slice(&version.to_le_bytes());
        let crc = crc32c::crc32c(&row);
        row.extend_from_slice(&crc.to_le_bytes());
        row
    }

    fn decode(row: &[u8]) -> Result<Self, &'static str> {
        let row: &[u8; 48] = row.try_into().map_err(|_| "the store's own row has an odd length")?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&row[at..at + 8]);
            u64::from_le_bytes(word)
        };
        if crc32c::crc32c(&row[..44]).to_le_bytes() != row[44..] {
            return Err("the store's own row is damaged");
        }
        if row[..4] != FORMAT_VERSION.to_le_bytes() {
            return Err("the file was written by a program of another version");
        }
        let position = Position { generation: word(20), offset: word(28) };
        let applied = (position.generation != 0).then_some((position, word(36) as Version));
        Ok(Self { store: u128::from(word(4)) | u128::from(word(12)) << 64, applied })
    }
}

/// The open file.
pub(crate) struct TableFile {
    database: Database,
    store: u128,
}

fn table_error(error: impl std::fmt::Display) -> Error {
    Error::Table(error.to_string())
}

/// redb panics on some damaged pages; for us that is an error like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Table(UNREADABLE.into())))
}

impl TableFile {
    /// Opens the file, or makes it where it is empty.
    pub(crate) fn open(disk: RedbDisk, cache_bytes: usize) -> Result<Self> {
        guarded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(cache_bytes);
            let database = builder.create_with_backend(disk).map_err(table_error)?;
            Ok(Self { database, store: 0 })
        })
    }

    /// Writes the identity into a new file.
    pub(crate) fn initialise(&mut self, store: u128) -> Result<()> {
        self.store = store;
        self.write(None, None, true)
    }

    /// Reads what the file says about itself; an error for a file that was never initialised.
    pub(crate) fn read_meta(&mut self) -> Result<Meta> {
        let meta = guarded(|| {
            let read = self.database.begin_read().map_err(table_error)?;
            let table = read.open_table(META).map_err(table_error)?;
            let row = table.get(META_KEY).map_err(table_error)?;
            let row = row.ok_or_else(|| table_error("the store's own row is missing"))?;
            Meta::decode(row.value()).map_err(table_error)
        })?;
        self.store = meta.store;
        Ok(meta)
    }

    /// Applies a generation and notes how far the file goes now. With `durable` unset it may be
    /// undone by a crash, together with all that was not durable before.
    pub(crate) fn write(
        &self,
        generation: Option<&Generation>,
        applied: Option<(Position, Version)>,
        durable: bool,
    ) -> Result<()> {
        guarded(|| {
            let mut write = self.database.begin_write().map_err(table_error)?;
            if durable {
                // Saves the allocator's state with the commit, so that opening after a crash
                // does not walk the whole file.
                write.set_quick_repair(true);
            } else {
                write.set_durability(Durability::None).map_err(table_error)?;
            }
            {
                let mut rows = write.open_table(ROWS).map_err(table_error)?;
                if let Some(generation) = generation {
                    write_rows(&mut rows, generation).map_err(table_error)?;
                }
                let mut meta = write.open_table(META).map_err(table_error)?;
                let row = Meta { store: self.store, applied }.encode();
                meta.insert(META_KEY, &row[..]).map_err(table_error)?;
            }
            write.commit().map_err(table_error)
        })
    }

    /// The file as it is now.
    pub(crate) fn snapshot(&self) -> Result<FileSnapshot> {
        guarded(|| {
            let read = self.database.begin_read().map_err(table_error)?;
            Ok(FileSnapshot { rows: read.open_table(ROWS).map_err(table_error)? })
        })
    }
}

fn write_rows(
    rows: &mut Table<'_, &'static [u8], &'static [u8]>,
    generation: &Generation,
) -> Result<(), redb::StorageError> {
    let rows = std::cell::RefCell::new(rows);
    generation.drain_into(
        |begin, end| {
            let bounds = (Bound::Included(&begin[..]), Bound::Excluded(&end[..]));
            rows.borrow_mut().retain_in::<&[u8], _>(bounds, |_, _| false)
        },
        |key, value| {
            let mut rows = rows.borrow_mut();
            let Some(value) = value else {
                return rows.remove(&key[..]).map(drop);
            };
            let mut room = rows.insert_reserve(&key[..], value.len() + CHECKSUM_BYTES)?;
            let (body, sum) = room.as_mut().split_at_mut(value.len());
            body.copy_from_slice(value);
            sum.copy_from_slice(&checksum(key, value).to_le_bytes());
            Ok(())
        },
    )
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

/// Takes the checksum off a stored value; `None` if it is wrong.
fn verified<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (value, sum) = stored.split_last_chunk::<CHECKSUM_BYTES>()?;
    (checksum(key, value) == u32::from_le_bytes(*sum)).then_some(value)
}

fn read_value(key: &[u8], stored: &[u8]) -> StoreResult<Bytes> {
    match verified(key, stored) {
        Some(value) => Ok(Bytes::copy_from_slice(value)),
        None => {
            metrics::counter!("rialto_store_damaged_rows_total").increment(1);
            tracing::error!(key = hex(key), "a row's checksum is wrong");
            let key = Bytes::copy_from_slice(key);
            Err(StoreError::Damaged { key, what: "its checksum is wrong".into() })
        }
    }
}

fn read_error(error: redb::StorageError) -> StoreError {
    match error {
        redb::StorageError::Corrupted(what) => damaged_page(what),
        // redb gives up after any other error.
        other => StoreError::Stopped(format!("reading the table file: {other}")),
    }
}

/// A page that cannot be read hides an unknown number of rows.
fn damaged_page(what: impl Into<String>) -> StoreError {
    metrics::counter!("rialto_store_damaged_rows_total").increment(1);
    let what = what.into();
    tracing::error!(what, "a page of the table file is damaged");
    StoreError::Damaged { key: Bytes::new(), what }
}

/// The table file as of one version.
pub(crate) struct FileSnapshot {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl FileSnapshot {
    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        let read = || match self.rows.get(key) {
            Ok(Some(stored)) => read_value(key, stored.value()).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(read_error(error)),
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged_page(UNREADABLE)))
    }

    /// Walks over a range.
    pub(crate) fn cursor<'a>(
        &'a self,
        range: &KeyRange,
        reverse: bool,
    ) -> StoreResult<FileCursor<'a>> {
        let mut cursor =
            FileCursor { snapshot: self, window: range.clone(), reverse, rows: None, next: None };
        cursor.enter()?;
        Ok(cursor)
    }

    /// Checks `count` rows after `from`; gives the damaged keys and where to go on.
    pub(crate) fn check(&self, from: &[u8], count: usize) -> Result<(Vec<Bytes>, Option<Bytes>)> {
        guarded(|| {
            let bounds = (Bound::Excluded(from), Bound::Unbounded);
            let bounds = if from.is_empty() { (Bound::Included(from), bounds.1) } else { bounds };
            let mut damaged = Vec::new();
            let mut last = None;
            for row in self.rows.range::<&[u8]>(bounds).map_err(table_error)?.take(count) {
                let (key, stored) = row.map_err(table_error)?;
                let key = Bytes::copy_from_slice(key.value());
                if verified(&key, stored.value()).is_none() {
                    damaged.push(key.clone());
                }
                last = Some(key);
            }
            Ok((damaged, last))
        })
    }
}

type Row = (Bytes, AccessGuard<'static, &'static [u8]>);

/// A position in a range of the table file, looking at its next row.
pub(crate) struct FileCursor<'a> {
    snapshot: &'a FileSnapshot,
    window: KeyRange,
    reverse: bool,
    rows: Option<Range<'static, &'static [u8], &'static [u8]>>,
    next: Option<Row>,
}

impl FileCursor<'_> {
    /// The key of the next row.
    pub(crate) fn peek(&self) -> Option<&Bytes> {
        self.next.as_ref().map(|(key, _)| key)
    }

    /// Takes the next row if it has this key.
    pub(crate) fn take(&mut self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        match self.next.take() {
            Some((found, stored)) if found == key => {
                let value = read_value(key, stored.value())?;
                self.advance()?;
                Ok(Some(value))
            }
            other => {
                self.next = other;
                Ok(None)
            }
        }
    }

    /// Passes over all rows of `range`, if the next row is in it.
    pub(crate) fn skip(&mut self, range: &KeyRange) -> StoreResult<()> {
        if !self.peek().is_some_and(|key| range.contains(key)) {
            return Ok(());
        }
        if self.reverse {
            self.window.end = self.window.end.clone().min(range.begin.clone());
        } else {
            self.window.begin = self.window.begin.clone().max(range.end.clone());
        }
        self.enter()
    }

    fn enter(&mut self) -> StoreResult<()> {
        (self.rows, self.next) = (None, None);
        if self.window.is_empty() {
            return Ok(());
        }
        let bounds =
            (Bound::Included(&self.window.begin[..]), Bound::Excluded(&self.window.end[..]));
        let rows = catch_unwind(AssertUnwindSafe(|| self.snapshot.rows.range::<&[u8]>(bounds)));
        let rows = rows.map_err(|_| damaged_page(UNREADABLE))?;
        self.rows = Some(rows.map_err(read_error)?);
        self.advance()
    }

    fn advance(&mut self) -> StoreResult<()> {
        let Some(rows) = &mut self.rows else {
            return Ok(());
        };
        let reverse = self.reverse;
        let step = AssertUnwindSafe(|| if reverse { rows.next_back() } else { rows.next() });
        let row = catch_unwind(step).map_err(|_| damaged_page(UNREADABLE))?;
        self.next = match row {
            Some(Ok((key, value))) => Some((Bytes::copy_from_slice(key.value()), value)),
            Some(Err(error)) => return Err(read_error(error)),
            None => None,
        };
        Ok(())
    }
}

/// Bytes for people, at most 64 of them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text: String = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 64 {
        text.push('…');
    }
    text
}
