//! What every mailbox actor of a node shares.

use base::env::Env;
use base::router::Router;
use base::{AccountId, FolderId, Recent, Uid};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::Directory;
use contract_store::Store;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;

use crate::wakeups::Wakeups;

/// How mailboxes are served on a node.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long a mailbox may be without work before its actor is unloaded.
    pub idle: std::time::Duration,
    /// How many mailboxes may be active.
    pub active_max: usize,
    /// How many searches may run at once on the whole node.
    pub searches_at_once: usize,
    /// How many reads may run beside their actors on the whole node.
    pub reads_at_once: usize,
    /// For how long removed items can be recovered, in milliseconds (single item recovery).
    pub recoverable_ms: i64,
    /// How many messages one transaction of a bulk command changes at most; the more, the larger
    /// the transaction (some 5 kB a message), the fewer, the more transactions.
    pub chunk_messages: usize,
    /// How many folders a mailbox has at most, those among them that were deleted and can still be
    /// recovered.
    pub folders_max: usize,
    /// For how long a client's state of a folder stays one from which it can be told what has gone,
    /// in milliseconds.
    pub history_ms: i64,
    /// Of how many removed messages a folder remembers that at most, whatever their age.
    pub tombstones_max: u32,
    /// A deliberate fault for chaos-tests: delivers without looking whether it was done before. Not
    /// there in production builds.
    #[cfg(feature = "mutants")]
    pub without_dedupe: bool,
    /// Likewise: writes and answers whatever the fence says.
    #[cfg(feature = "mutants")]
    pub without_fence: bool,
    /// Likewise: after a commit of unknown outcome does everything again, since it looks neither
    /// for a command's answer nor for a delivery's dedupe row.
    #[cfg(feature = "mutants")]
    pub blind_retry: bool,
}

impl Default for Config {
    /// Two minutes, 50,000 mailboxes, 64 reads, 14 days, 500 messages; 10,000 folders; 90 days or
    /// 10,000 of what has gone from a folder.
    fn default() -> Self {
        Self {
            idle: std::time::Duration::from_secs(120),
            active_max: 50_000,
            searches_at_once: 16,
            reads_at_once: 64,
            recoverable_ms: 14 * 24 * 3600 * 1000,
            chunk_messages: crate::write::bulk::CHUNK,
            folders_max: crate::write::folder::FOLDERS_MAX,
            history_ms: 90 * 24 * 3600 * 1000,
            tombstones_max: 10_000,
            #[cfg(feature = "mutants")]
            without_dedupe: false,
            #[cfg(feature = "mutants")]
            without_fence: false,
            #[cfg(feature = "mutants")]
            blind_retry: false,
        }
    }
}

#[cfg(feature = "mutants")]
impl Config {
    /// What a look at the fence comes to.
    pub(crate) fn overlook<E>(&self, checked: Result<(), E>) -> Result<(), E> {
        if self.without_fence { Ok(()) } else { checked }
    }
}

/// The world around a mailbox actor.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) router: Arc<dyn Router>,
    pub(crate) wakeups: Arc<Wakeups>,
    /// Structures of messages that were read lately.
    pub(crate) metas: crate::read::Metas,
    pub(crate) reads: Arc<Semaphore>,
    /// Searches have places of their own, so that slow ones never keep others from reading.
    pub(crate) searches: Arc<Semaphore>,
    /// How many questions have arrived on this node; each is numbered by it.
    pub(crate) arrivals: AtomicU64,
    /// Damaged messages that searches have met lately: each is logged once.
    pub(crate) damaged: Recent<(AccountId, FolderId, Uid), ()>,
    /// Mailboxes of which a commit may still land late. Outlives their actors: one that is unloaded
    /// before it has shut such a commit out must not be started again on what is stored now.
    pub(crate) suspects: Mutex<HashSet<AccountId>>,
}

/// The replica under which a mailbox makes its own versions of items: the same for ever, on every
/// node, and telling nothing about the cluster's key.
pub(crate) fn replica(control: &dyn Control, account: AccountId) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("rialto 2026 mailbox replica");
    hasher.update(&control.cluster_key().0);
    hasher.update(&account.0.to_be_bytes());
    let mut replica = [0; 16];
    hasher.finalize_xof().fill(&mut replica);
    replica
}
