//! openraft's state machine: [`ClusterState`], in memory, with its last snapshot in the file.
//!
//! After a start it is the last snapshot; openraft then applies again what it knows to be
//! committed. A command that cannot be decoded stops this node's Raft: it was written by a newer
//! version, and going on without it would make this node believe something else than the others.

#![allow(clippy::result_large_err, reason = "the error type is openraft's")]

use super::file::{self, RaftFile, SNAPSHOT};
use super::types::{Answer, Entry, LogId, Snapshot, SnapshotMeta, StorageError, StoredMembership};
use super::types::{Proposal, Types};
use crate::placement::{ClusterState, Command, Outcome};
use base::NodeId;
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;
use tokio::sync::watch;

/// The newest state that this node has applied.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The index of the last entry in it; 0 before the first.
    pub index: u64,
    /// Who is there and owns what.
    pub state: Arc<ClusterState>,
    /// Who votes in Raft.
    pub voters: BTreeSet<NodeId>,
    /// Who has the log and does not vote.
    pub learners: BTreeSet<NodeId>,
}

/// See the module's words.
pub(crate) struct Machine {
    file: RaftFile,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    state: Arc<ClusterState>,
    applied: watch::Sender<Applied>,
    /// Tells snapshots of the same position apart.
    snapshots: u64,
}

impl Machine {
    /// From the snapshot in the file, or empty.
    pub(crate) async fn load(file: RaftFile) -> Result<Self, StorageError> {
        let mut machine = Self {
            file,
            last_applied: None,
            membership: StoredMembership::default(),
            state: Arc::default(),
            applied: watch::Sender::default(),
            snapshots: 0,
        };
        if let Some((meta, data)) = machine.stored().await? {
            machine.take(&meta, &data)?;
        }
        Ok(machine)
    }

    /// Follows the newest applied state.
    pub(crate) fn watch(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    async fn stored(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>, StorageError> {
        let read = self.file.read(|transaction| {
            let table = transaction.open_table(SNAPSHOT)?;
            Ok(file::get(&table, "meta")?.zip(file::get(&table, "data")?))
        });
        read.await.map_err(|error| StorageIOError::read_snapshot(None, error).into())
    }

    fn take(&mut self, meta: &SnapshotMeta, data: &[u8]) -> Result<(), StorageError> {
        let state = ClusterState::decode(data).map_err(|e| {
            StorageIOError::read_snapshot(Some(meta.signature()), AnyError::new(&e))
        })?;
        self.state = Arc::new(state);
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let voters: BTreeSet<NodeId> =
            self.membership.membership().voter_ids().map(NodeId).collect();
        let learners = self.membership.membership().learner_ids().map(NodeId).collect();
        self.applied.send_replace(Applied {
            index: self.last_applied.map_or(0, |id| id.index),
            state: self.state.clone(),
            voters,
            learners,
        });
    }

    fn apply_one(&mut self, entry: Entry) -> Result<Answer, StorageError> {
        let log_id = entry.log_id;
        self.last_applied = Some(log_id);
        match entry.payload {
            EntryPayload::Blank => Ok(Answer(None)),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                Ok(Answer(None))
            }
            EntryPayload::Normal(Proposal(bytes)) => {
                let command = Command::decode(&bytes)
                    .map_err(|e| StorageIOError::apply(log_id, AnyError::new(&e)))?;
                let reply = Arc::make_mut(&mut self.state).apply(log_id.index, &command);
                match &reply {
                    // Hundreds in a row, of which the leader tells beginning and end.
                    Ok(outcome @ Outcome::Moves { .. }) => {
                        tracing::debug!(index = log_id.index, ?outcome, "applied");
                    }
                    Ok(outcome) => tracing::info!(index = log_id.index, ?outcome, "applied"),
                    Err(refusal) => tracing::info!(index = log_id.index, ?refusal, "refused"),
                }
                Ok(Answer(Some(reply)))
            }
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answer>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let answers = entries.into_iter().map(|entry| self.apply_one(entry)).collect();
        self.publish();
        answers
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.snapshots += 1;
        let position = self.last_applied.map(|id| format!("{}-{}", id.leader_id, id.index));
        let snapshot_id = format!("{}-{}", position.unwrap_or_default(), self.snapshots);
        Builder {
            file: self.file.clone(),
            state: self.state.clone(),
            meta: SnapshotMeta {
                last_log_id: self.last_applied,
                last_membership: self.membership.clone(),
                snapshot_id,
            },
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let data = snapshot.into_inner();
        // Looked at before it replaces what is in the file.
        ClusterState::decode(&data).map_err(|e| {
            StorageIOError::read_snapshot(Some(meta.signature()), AnyError::new(&e))
        })?;
        store(&self.file, meta.clone(), data.clone()).await?;
        self.take(meta, &data)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let stored = self.stored().await?;
        Ok(stored.map(|(meta, data)| Snapshot { meta, snapshot: Box::new(Cursor::new(data)) }))
    }
}

/// Makes a snapshot of the state as it was when asked for, while the machine goes on.
pub(crate) struct Builder {
    file: RaftFile,
    state: Arc<ClusterState>,
    meta: SnapshotMeta,
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let data = self.state.encode().map_err(|e| {
            StorageIOError::write_snapshot(Some(self.meta.signature()), AnyError::new(&e))
        })?;
        store(&self.file, self.meta.clone(), data.to_vec()).await?;
        let snapshot = Box::new(Cursor::new(data.to_vec()));
        Ok(Snapshot { meta: self.meta.clone(), snapshot })
    }
}

/// Durable when it returns: the log up to here may be purged then.
async fn store(file: &RaftFile, meta: SnapshotMeta, data: Vec<u8>) -> Result<(), StorageError> {
    let signature = meta.signature();
    let write = file.write(move |transaction| {
        let mut table = transaction.open_table(SNAPSHOT)?;
        let newer = file::get::<SnapshotMeta>(&table, "meta")?
            .is_some_and(|stored| stored.last_log_id > meta.last_log_id);
        // One built from an older state may come in after one that the leader sent.
        if !newer {
            file::put(&mut table, "meta", &meta)?;
            file::put(&mut table, "data", &data)?;
        }
        Ok(())
    });
    write.await.map_err(|error| StorageIOError::write_snapshot(Some(signature), error).into())
}
