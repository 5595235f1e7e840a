//! Purging the mailboxes of accounts that were removed long ago.
//!
//! A removed account leaves a row with its mailbox's name and the time. Once
//! [`contract_directory::REMOVED_KEEP_MS`] have passed, the mailbox's owner is asked to purge it,
//! and then the row goes. Every node does this, and any step may be repeated: a purge goes on where
//! it stopped, and is done at once where nothing is left.

use crate::feed::report;
use crate::service::DirectoryService;
use base::{CommandId, Result, SessionId, Timestamp};
use contract_directory::{Actor, DirectoryAdmin};
use contract_mailbox::{Mailboxes, Principal, Write, WriteReply};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often it is looked what may be purged, in milliseconds; a purge that was cut short goes on
/// at the next look.
const EVERY_MS: u64 = 60 * 60 * 1_000;

/// How many removed accounts are listed at a time.
const LISTED: usize = 100;

impl DirectoryService {
    /// Purges what may be purged from now on, for as long as the service lives. Must be called
    /// within a tokio runtime.
    pub fn start_purging(self: &Arc<Self>, mailboxes: Arc<dyn Mailboxes>) {
        tokio::spawn(purge_regularly(Arc::downgrade(self), mailboxes));
    }

    /// Purges the mailboxes of those who were removed long enough before `now`; tells how many.
    /// One that cannot be purged now keeps nobody else from it.
    ///
    /// # Errors
    /// Temporary ones of the store.
    pub async fn purge_removed(&self, mailboxes: &dyn Mailboxes, now: Timestamp) -> Result<u64> {
        let session = SessionId(self.shared.env.random.u128());
        let mut command = CommandId { session, sequence: 0 };
        let (mut purged, mut after) = (0, None);
        loop {
            let removed = self.removed_accounts(after, LISTED).await?;
            let Some(last) = removed.last() else { return Ok(purged) };
            after = Some(last.id);
            for account in removed.iter().filter(|account| account.purge_from() <= now) {
                command.sequence += 1;
                let request = Write::Purge;
                match mailboxes.write(account.id, Principal::System, command, request).await {
                    Ok(WriteReply::Done) => {
                        tracing::info!(account = %account.id, address = %account.address, "purged");
                        self.forget_removed(&Actor::System, account.id).await?;
                        purged += 1;
                    }
                    Ok(other) => tracing::error!(account = %account.id, ?other, "purging"),
                    Err(error) => {
                        tracing::warn!(account = %account.id, %error, "not purged yet");
                    }
                }
            }
        }
    }
}

async fn purge_regularly(service: Weak<DirectoryService>, mailboxes: Arc<dyn Mailboxes>) {
    loop {
        let Some(env) = service.upgrade().map(|service| service.shared.env.clone()) else { return };
        let wait_ms = EVERY_MS + env.random.below(EVERY_MS / 4);
        env.clock.sleep(Duration::from_millis(wait_ms)).await;
        let Some(service) = service.upgrade() else { return };
        if let Err(error) = service.purge_removed(&*mailboxes, env.clock.now()).await {
            report(&error, "purging removed mailboxes");
        }
    }
}
