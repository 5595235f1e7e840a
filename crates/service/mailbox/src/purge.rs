//! Removing the mailbox of an account that the directory no longer has.
//!
//! The directory's transaction that removed the account is the mark; from then on nobody can open
//! the mailbox. The first transaction here takes its summary away, without which nothing more can
//! be written, whatever an actor that is still active has in its cache. Then one chunk after
//! another gives up what items hold, and at last everything that is left goes as one range. Each
//! chunk removes what it has done, so the work can be broken off and asked for again at any time.

use crate::activate::RENEWALS_MAX;
use crate::content;
use crate::context::Context;
use crate::rows::keys::Keys;
use crate::rows::{self, ItemRow, meta};
use crate::write::bulk::CHUNK_BYTES;
use base::{AccountId, Error, Kind, Result};
use contract_control::Fence;
use contract_mailbox::Principal;
use contract_store::{Attempt, Body, BodyError, Isolation, RangeRead, Transaction, transact};
use futures::future::BoxFuture;

/// How many items one transaction removes.
const CHUNK: usize = 200;

/// Removes a mailbox.
///
/// # Errors
/// [`Kind::Denied`] for anybody but Rialto itself, [`Kind::CannotChange`] while there is the
/// account; the store's.
pub(crate) async fn run(context: &Context, account: AccountId, who: Principal) -> Result<()> {
    if who != Principal::System {
        return Err(Error::denied("Mailboxes are removed with their accounts"));
    }
    match context.directory.account(account).await {
        Ok(_) => {
            let text = "The mailbox has an account; remove that first";
            return Err(Error::new(Kind::CannotChange, text));
        }
        Err(error) if error.kind == Kind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut fence = context.control.fence(context.control.slot_of_account(account)).await?;
    let (keys, mut renewals) = (Keys(account), 0);
    loop {
        match transact(&context.store, Chunk { context, keys, fence: &fence }).await {
            Ok(false) => return Ok(()),
            // Others take their turn between two transactions.
            Ok(true) => tokio::task::yield_now().await,
            // Renewed for the sake of another mailbox of the slot, unless the slot is another's.
            Err(error) if error.kind == Kind::Fenced && renewals < RENEWALS_MAX => {
                renewals += 1;
                fence = context.control.renew(fence.slot, &fence).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

struct Chunk<'p> {
    context: &'p Context,
    keys: Keys,
    fence: &'p Fence,
}

impl Body<bool> for Chunk<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        Box::pin(self.chunk(tx))
    }
}

impl Chunk<'_> {
    /// Says whether there is more.
    async fn chunk(&self, tx: &dyn Transaction) -> Result<bool, BodyError> {
        self.fence.check(tx).await?;
        tx.set_batch_priority();
        tx.clear(&self.keys.summary());
        let range = self.keys.items();
        let mut any = false;
        let mut next = Some(RangeRead::all(&range).limit(CHUNK));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Serializable).await?;
            next = read.after(&page);
            for row in &page.rows {
                any = true;
                if tx.approximate_size() > CHUNK_BYTES {
                    return Ok(true);
                }
                self.item(tx, &row.key, &row.value).await?;
            }
        }
        if !any {
            tx.clear_range(&self.keys.everything());
            tx.clear(&self.keys.job_mark());
            tx.clear_range(&self.keys.guest_marks());
        }
        Ok(any)
    }

    /// Removes an item and most of what names it, so that not much is left for the end.
    async fn item(&self, tx: &dyn Transaction, key: &[u8], row: &[u8]) -> Result<(), BodyError> {
        tx.clear(key);
        let keys = self.keys;
        let decoded: Result<ItemRow> = rows::decode(row, "item");
        let (Some(item), Ok(row)) = (keys.parse_item(key), decoded) else {
            // What it holds is lost to the collector; the mailbox has to go all the same.
            tracing::error!(mailbox = %keys.0, key = %key.escape_ascii(), "a damaged item");
            return Ok(());
        };
        content::purge(tx, keys, &*self.context.blobs, item, &row).await?;
        if let Some(uid) = row.uid {
            meta::clear(tx, keys, row.folder, uid);
            tx.clear(&keys.received(row.folder, row.received, item));
        }
        if let Some(hash) = row.message_id {
            tx.clear(&keys.message_id(hash, item));
        }
        if let Some(hash) = row.conversation {
            tx.clear(&keys.conversation(hash, item));
        }
        Ok(())
    }
}
