//! Finding items by the names that clients gave them.

use super::super::Reader;
use crate::rows;
use base::{Error, FolderId, ItemId, Result};
use contract_store::{BodyError, Isolation, Transaction};

/// The length of a SourceKey made here: replica and 48-bit counter (MS-OXCFXICS 2.2.2.1).
const GID_BYTES: usize = 22;

pub(super) async fn by_href(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
    href: &str,
) -> Result<ItemId, BodyError> {
    reader.folder(folder)?;
    named(tx, &reader.keys.href(folder, href)).await
}

/// By a foreign SourceKey, or by one that names the mailbox's own replica and the item's id.
pub(super) async fn by_source_key(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
    source_key: &[u8],
) -> Result<ItemId, BodyError> {
    reader.folder(folder)?;
    let Some(id) = own_id(reader.replica(), source_key) else {
        return named(tx, &reader.keys.source_key(folder, source_key)).await;
    };
    let row = super::item::row(reader, tx, id).await?;
    let foreign = row.extra.as_ref().is_some_and(|extra| extra.source_key.is_some());
    if row.folder != folder || foreign {
        return Err(Error::not_found("The item").into());
    }
    Ok(id)
}

fn own_id(replica: [u8; 16], source_key: &[u8]) -> Option<ItemId> {
    let counter = source_key.strip_prefix(&replica[..])?;
    if source_key.len() != GID_BYTES {
        return None;
    }
    Some(ItemId(counter.iter().fold(0, |id, byte| id << 8 | u64::from(*byte))))
}

async fn named(tx: &dyn Transaction, key: &[u8]) -> Result<ItemId, BodyError> {
    match tx.get(key, Isolation::Snapshot).await? {
        Some(row) => Ok(rows::decode_item_id(&row)?),
        None => Err(Error::not_found("The item").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_source_keys_name_their_item() {
        let key = |replica: u8, counter: &[u8]| [&[replica; 16][..], counter].concat();
        let check = |key: Vec<u8>, expect| assert_eq!(own_id([7; 16], &key), expect, "{key:?}");
        check(key(7, &[0, 0, 0, 0, 1, 2]), Some(ItemId(258)));
        check(key(7, &[0xff; 6]), Some(ItemId((1 << 48) - 1)));
        check(key(7, &[1; 7]), None);
        check(key(8, &[0; 6]), None);
        check(Vec::new(), None);
    }
}
