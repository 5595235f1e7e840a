//! ReadBy: which messages of a folder the principal has read.

use super::super::Reader;
use crate::rows::{self, read_by};
use base::{FolderId, Result};
use contract_mailbox::{Principal, UidSet};
use contract_store::{BodyError, Isolation, RangeRead, Transaction};

/// From the user's own state where the folder keeps one, else from \Seen.
pub(super) async fn read(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
) -> Result<UidSet, BodyError> {
    let row = reader.folder(folder)?;
    if row.read_per_user
        && let Principal::Account(user) = reader.who
    {
        return read_by::read(tx, reader.keys, folder, user).await;
    }
    let mut uids = Vec::new();
    let range = reader.keys.blocks(folder);
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        for block in &page.rows {
            let block = rows::decode_block(&block.value)?;
            let seen = block.entries.iter().filter(|entry| entry.flags.is_seen());
            uids.extend(seen.map(|entry| entry.uid).filter(|uid| *uid < row.info.uid_next));
        }
    }
    Ok(uids.into_iter().collect())
}
