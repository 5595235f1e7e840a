//! Item: one item with its whole tree. Bytes of attachments stay blobs.

use super::super::Reader;
use crate::rows::{self, ItemRow, meta, tree};
use crate::write::items::stored_predecessors;
use base::{Error, FolderId, ItemId, Result, Uid};
use contract_mailbox::{IndexBlock, IndexEntry, Item, ItemTree, Native};
use contract_store::{BodyError, Isolation, Transaction};

pub(super) async fn read(
    reader: &Reader,
    tx: &dyn Transaction,
    id: ItemId,
) -> Result<Item, BodyError> {
    let row = row(reader, tx, id).await?;
    let has_tree = row.extra.as_ref().is_some_and(|extra| extra.has_tree);
    let (tree, native) = match has_tree {
        true => tree::read(tx, reader.keys, id, Isolation::Snapshot).await?,
        false => (ItemTree::default(), None),
    };
    let (change, native) = match row.uid {
        Some(uid) => {
            let entry = entry(reader, tx, row.folder, uid).await?;
            (entry.change, native_of(reader, tx, &row, uid, native).await?)
        }
        None => (row.change, native),
    };
    let step = crate::message::read_change(tx, reader.keys, row.folder, change).await?;
    let read_change = crate::message::here(&step)?.read;
    let predecessors = stored_predecessors(&row, reader.replica());
    let extra = row.extra.map(|extra| *extra).unwrap_or_default();
    Ok(Item {
        id,
        folder: row.folder,
        uid: row.uid,
        associated: row.uid.is_none(),
        source_key: extra.source_key,
        change,
        content_change: row.content_change,
        read_change,
        predecessors,
        version: extra.version,
        href: extra.href,
        received: row.received,
        tree,
        native,
    })
}

/// The row of an item in a folder that is there.
pub(super) async fn row(
    reader: &Reader,
    tx: &dyn Transaction,
    id: ItemId,
) -> Result<ItemRow, BodyError> {
    let not_found = || Error::not_found("The item");
    let row = tx.get(&reader.keys.item(id), Isolation::Snapshot).await?.ok_or_else(not_found)?;
    let row: ItemRow = rows::decode(&row, "item")?;
    let folder = reader.folder(row.folder).map_err(|_| not_found())?;
    reader.may_read_in(folder)?;
    // What an unfinished bulk copy has put is nobody's yet.
    if row.uid.is_some_and(|uid| uid >= folder.info.uid_next) {
        return Err(not_found().into());
    }
    Ok(row)
}

/// The native form: the message that arrived, or what stands beside an authored tree.
async fn native_of(
    reader: &Reader,
    tx: &dyn Transaction,
    row: &ItemRow,
    uid: Uid,
    beside: Option<Native>,
) -> Result<Option<Native>, BodyError> {
    if row.extra.as_ref().is_some_and(|extra| extra.rendered) {
        return Ok(beside);
    }
    let found = meta::read(tx, reader.keys, row.folder, &[uid], Isolation::Snapshot).await?;
    let meta = found.0.into_iter().next().map(|(_, meta)| meta);
    let meta =
        meta.ok_or_else(|| Error::corrupt(format!("{uid} of {} has no meta", row.folder)))?;
    Ok(Some(Native::Message(Box::new((*meta).clone()))))
}

/// A message's entry.
pub(super) async fn entry(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
    uid: Uid,
) -> Result<IndexEntry, BodyError> {
    let key = reader.keys.block(folder, uid.0 / IndexBlock::UIDS);
    let found = match tx.get(&key, Isolation::Snapshot).await? {
        Some(row) => {
            let block = rows::decode_block(&row)?;
            let place = block.entries.binary_search_by_key(&uid, |entry| entry.uid);
            place.ok().map(|place| block.entries[place])
        }
        None => None,
    };
    let missing = || Error::corrupt(format!("{uid} of {folder} is not in the index"));
    Ok(found.ok_or_else(missing)?)
}
