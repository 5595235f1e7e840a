//! The file of a node's Raft: log, vote and snapshot, in redb, apart from all mail.
//!
//! ```text
//!   log       index → entry                       meta   "identity" → whose file this is
//!   snapshot  "meta", "data" → the last one              "vote", "committed", "purged"
//! ```
//!
//! Every change but that of `committed` is durable when it returns (redb's immediate durability,
//! with quick repair so that opening after a crash takes no walk). An error while writing is final:
//! openraft stops, and with it this node's part in Raft.

use super::types::StorageError;
use base::env::{Disk, DiskFile, DiskLock};
use base::{Error, NodeId, Result, wire};
use openraft::AnyError;
use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const SNAPSHOT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshot");

/// The version byte of all rows in the file.
const ROW_VERSION: u8 = 1;

/// The log is read once, at the start, and then at its end: a small cache is enough.
const CACHE_BYTES: usize = 4 << 20;

/// Whose file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: u128,
    /// The node, whose id is never given to another file: one that lost its disk joins anew.
    pub node: NodeId,
}

/// An open file; cheap to clone.
#[derive(Clone)]
pub struct RaftFile(Arc<Inner>);

struct Inner {
    identity: Identity,
    database: Database,
    /// How long the last durable write took, in milliseconds; see [`RaftFile::last_sync_ms`].
    sync_ms: Mutex<u32>,
    clock: Arc<dyn base::env::Clock>,
    _lock: Box<dyn DiskLock>,
}

impl fmt::Debug for RaftFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RaftFile({})", self.0.identity.node)
    }
}

impl RaftFile {
    /// Opens the file `raft.redb` in a directory, or makes it. Blocks: for a thread that may wait.
    ///
    /// # Errors
    /// [`base::Kind::Unavailable`] if the disk does not do it or another process has it open,
    /// [`base::Kind::Corrupt`] if it is damaged, [`base::Kind::Invalid`] if it is another node's
    /// or another cluster's.
    pub fn open(env: &base::env::Env, dir: &Path, identity: Identity) -> Result<Self> {
        let disk: &dyn Disk = &*env.disk;
        let path = dir.join("raft.redb");
        let broken = |error: io::Error| Error::unavailable(format!("{}: {error}", path.display()));
        disk.create_dir_all(dir).map_err(broken)?;
        let lock = disk.lock(&dir.join("raft.lock")).map_err(broken)?;
        let file = disk.open(&path, true).map_err(broken)?;
        disk.sync_dir(dir).map_err(broken)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(Backend(file))
            .map_err(|error| Error::corrupt(format!("{}: {error}", path.display())))?;
        let clock = env.clock.clone();
        let inner = Inner { identity, database, sync_ms: Mutex::new(0), clock, _lock: lock };
        let found = inner.claim().map_err(|e| Error::unavailable(format!("raft.redb: {e}")))?;
        match found {
            None => Ok(Self(Arc::new(inner))),
            Some(found) if found == identity => Ok(Self(Arc::new(inner))),
            Some(found) => Err(Error::invalid("The Raft log belongs to another node or cluster")
                .detail(format!("expected {identity:?}, found {found:?}"))),
        }
    }

    /// Whose file it is.
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The node's clock.
    pub(super) fn clock(&self) -> Arc<dyn base::env::Clock> {
        self.0.clock.clone()
    }

    /// How long the last durable write took, in milliseconds: for the node's health.
    pub fn last_sync_ms(&self) -> u32 {
        *self.0.sync_ms.lock()
    }

    /// A durable change, on a thread that may wait.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Rows<T> + Send + 'static,
    ) -> Result<T, AnyError> {
        let inner = self.0.clone();
        let job = move || -> Rows<T> {
            let begun = inner.clock.monotonic();
            let done = inner.write(Durability::Immediate, change)?;
            let took = inner.clock.monotonic().saturating_sub(begun).as_millis();
            *inner.sync_ms.lock() = u32::try_from(took).unwrap_or(u32::MAX);
            Ok(done)
        };
        run(job).await
    }

    /// A change that may be lost in a crash.
    pub(super) async fn write_lazily<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Rows<T> + Send + 'static,
    ) -> Result<T, AnyError> {
        let inner = self.0.clone();
        run(move || inner.write(Durability::None, change)).await
    }

    /// Reads, on a thread that may wait.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&redb::ReadTransaction) -> Rows<T> + Send + 'static,
    ) -> Result<T, AnyError> {
        let inner = self.0.clone();
        run(move || look(&inner.database.begin_read()?)).await
    }
}

/// What happens to rows: any error is final, so its text is all that is kept of it.
pub(super) type Rows<T> = std::result::Result<T, RowError>;

/// An error of redb or of the decoder.
#[derive(Debug)]
pub(super) struct RowError(String);

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RowError {}

macro_rules! from_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for RowError {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}

from_errors!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError,
    Error
);

async fn run<T: Send + 'static>(
    job: impl FnOnce() -> Rows<T> + Send + 'static,
) -> Result<T, AnyError> {
    match tokio::task::spawn_blocking(job).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(AnyError::new(&error)),
        Err(error) => Err(AnyError::new(&error)),
    }
}

impl Inner {
    fn write<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Rows<T>,
    ) -> Rows<T> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        transaction.set_quick_repair(true);
        let done = change(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Writes the identity into a new file; gives what stood there.
    fn claim(&self) -> Rows<Option<Identity>> {
        let mine = self.identity;
        self.write(Durability::Immediate, |transaction| {
            transaction.open_table(LOG)?;
            transaction.open_table(SNAPSHOT)?;
            let mut meta = transaction.open_table(META)?;
            let found = get(&meta, "identity")?;
            if found.is_none() {
                put(&mut meta, "identity", &mine)?;
            }
            Ok(found)
        })
    }
}

/// A row's value.
pub(super) fn get<T: DeserializeOwned>(
    table: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Rows<Option<T>> {
    table.get(key)?.map(|row| decode(row.value())).transpose()
}

/// Sets a row.
pub(super) fn put<T: Serialize>(
    table: &mut redb::Table<'_, &'static str, &'static [u8]>,
    key: &str,
    value: &T,
) -> Rows<()> {
    let row = wire::encode_row(ROW_VERSION, value)?;
    table.insert(key, &*row)?;
    Ok(())
}

pub(super) fn decode<T: DeserializeOwned>(row: &[u8]) -> Rows<T> {
    Ok(wire::decode_row(ROW_VERSION, row)?)
}

pub(super) fn encode<T: Serialize>(value: &T) -> Rows<bytes::Bytes> {
    Ok(wire::encode_row(ROW_VERSION, value)?)
}

/// An error of the log, as openraft has it.
pub(super) fn log_error(error: AnyError) -> StorageError {
    openraft::StorageIOError::write_logs(error).into()
}

/// redb on a file of ours.
struct Backend(Box<dyn DiskFile>);

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
