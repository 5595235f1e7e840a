//! The mailbox contract: what a mailbox can do, for every protocol alike.
//!
//! A mailbox is served by one actor, on the node that owns its slot. Callers hold a
//! [`Mailboxes`] and need not know where that is: requests ([`Read`], [`Write`]) and replies are
//! plain values that can cross nodes. Everything that changes a mailbox carries a command id and
//! an acting [`Principal`]; the actor authorises it, and stores its answer in the same
//! transaction, so that a command that is sent again is answered again and applied once.
//!
//! Large bodies never travel in these messages: they are blobs, named by [`Content`].
//!
//! [`MailboxHandle`] gives each request its own method with its own reply type.
//! [`suite`] holds the promises as tests, those that only the hardest protocols need among them.

pub mod client;
pub mod folder;
pub mod index;
pub mod item;
pub mod message;
pub mod order;
pub mod request;
pub mod search;
pub mod suite;
pub mod uidset;

pub use client::MailboxHandle;
pub use contract_blob::{Content, Segment, Staged};
pub use folder::{FolderClass, FolderCounts, FolderInfo, FolderKind, SpecialUse, default_folders};
pub use index::{Flags, FolderView, IndexBlock, IndexEntry, Keywords, SystemFlags, ViewDelta};
pub use item::*;
pub use message::{Delivered, Delivery, MessageMeta, NewMessage, Outgoing};
pub use order::{Order, OrderKey, ThreadEntry, Threading};
pub use request::{MetaPage, Read, ReadReply, Write, WriteReply};
pub use search::Search;
pub use uidset::UidSet;

use async_trait::async_trait;
use base::{AccountId, Change, CommandId, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Whose authority a request acts under; the mailbox actor decides what it may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Principal {
    /// Somebody who has signed in.
    Account(AccountId),
    /// The transport service, delivering.
    Transport,
    /// Rialto's own housekeeping, or the operator on the machine.
    System,
}

/// Access to mailboxes, wherever they are.
#[async_trait]
pub trait Mailboxes: Send + Sync + 'static {
    /// Asks. Answers are linearizable: they show every change acknowledged before the call began,
    /// by whatever protocol and node it was made.
    ///
    /// # Errors
    /// [`base::Kind::Denied`], [`base::Kind::NotFound`], temporary ones within ten seconds.
    async fn read(&self, mailbox: AccountId, who: Principal, request: Read) -> Result<ReadReply>;

    /// Changes. Durable when it returns. The same command id is applied once and answered alike,
    /// for at least ten minutes; a session's sequence numbers must grow.
    ///
    /// # Errors
    /// As [`Mailboxes::read`], and those of each request.
    async fn write(
        &self,
        mailbox: AccountId,
        who: Principal,
        command: CommandId,
        request: Write,
    ) -> Result<WriteReply>;

    /// A wake-up whenever the mailbox may have changed: holds the newest change number heard of.
    /// Wake-ups may be lost or spurious; they only say "read again". Does not keep the actor
    /// active.
    fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change>;

    /// The mailboxes in whose folders somebody has been given rights, in order of their accounts, at
    /// most `limit`. A mailbox may be among them in which nothing is left of that: a hint where to
    /// look, which costs one read of the store and wakes nobody. Full Access is the directory's
    /// ([`contract_directory::Directory::full_access_of`]). Nobody, where that is not kept.
    ///
    /// # Errors
    /// Temporary ones.
    async fn shared_with(&self, _guest: AccountId, _limit: usize) -> Result<Vec<AccountId>> {
        Ok(Vec::new())
    }

    /// What every node that may own a mailbox understands; requests of a greater [`Write::level`]
    /// are not sent.
    fn feature_level(&self) -> u32 {
        u32::MAX
    }
}
