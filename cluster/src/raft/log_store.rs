//! openraft's log, in the [`RaftFile`].
//!
//! Entries are durable before `append` returns, and so is the vote: what openraft asks of a log.

use super::file::{self, LOG, META, RaftFile, log_error};
use super::types::{Entry, LogId, StorageError, Types, Vote};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogId, RaftLogReader};
use redb::ReadableTable;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

impl RaftLogReader<Types> for RaftFile {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let bounds = (cloned(range.start_bound()), cloned(range.end_bound()));
        let read = self.read(move |transaction| {
            let log = transaction.open_table(LOG)?;
            log.range(bounds)?.map(|row| file::decode(row?.1.value())).collect()
        });
        read.await.map_err(|error| openraft::StorageIOError::read_logs(error).into())
    }
}

fn cloned(bound: Bound<&u64>) -> Bound<u64> {
    bound.cloned()
}

impl RaftLogStorage<Types> for RaftFile {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let read = self.read(|transaction| {
            let last_purged_log_id: Option<LogId> =
                file::get(&transaction.open_table(META)?, "purged")?;
            let log = transaction.open_table(LOG)?;
            let last: Option<Entry> =
                log.last()?.map(|(_, row)| file::decode(row.value())).transpose()?;
            let last_log_id = last.map(|entry| *entry.get_log_id()).or(last_purged_log_id);
            Ok(LogState { last_purged_log_id, last_log_id })
        });
        read.await.map_err(|error| openraft::StorageIOError::read_logs(error).into())
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        let write = self
            .write(move |transaction| file::put(&mut transaction.open_table(META)?, "vote", &vote));
        write.await.map_err(|error| openraft::StorageIOError::write_vote(error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let read = self.read(|transaction| file::get(&transaction.open_table(META)?, "vote"));
        read.await.map_err(|error| openraft::StorageIOError::read_vote(error).into())
    }

    /// Not durable by itself: all that a crash costs is to wait for the leader to say it again.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let write = self.write_lazily(move |transaction| {
            file::put(&mut transaction.open_table(META)?, "committed", &committed)
        });
        write.await.map_err(log_error)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let read = self.read(|transaction| {
            let found = file::get(&transaction.open_table(META)?, "committed")?;
            Ok(found.flatten())
        });
        read.await.map_err(|error| openraft::StorageIOError::read_logs(error).into())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let write = self.write(move |transaction| {
            let mut log = transaction.open_table(LOG)?;
            for entry in &entries {
                log.insert(entry.get_log_id().index, &*file::encode(entry)?)?;
            }
            Ok(())
        });
        match write.await {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                callback.log_io_completed(Err(std::io::Error::other(text)));
                Err(log_error(error))
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let write = self.write(move |transaction| {
            let mut log = transaction.open_table(LOG)?;
            Ok(log.retain_in(log_id.index.., |_, _| false)?)
        });
        write.await.map_err(log_error)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let write = self.write(move |transaction| {
            file::put(&mut transaction.open_table(META)?, "purged", &log_id)?;
            let mut log = transaction.open_table(LOG)?;
            Ok(log.retain_in(..=log_id.index, |_, _| false)?)
        });
        write.await.map_err(log_error)
    }
}
