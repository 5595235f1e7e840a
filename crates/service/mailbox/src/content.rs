//! What items hold: their trees and blobs, copied, taken hold of and given up as one.

use crate::rows::keys::Keys;
use crate::rows::{ItemExtra, ItemRow, pieces, tree};
use crate::unit::Unit;
use base::ItemId;
use contract_blob::{BlobId, Blobs, Holder, Staged};
use contract_mailbox::{Attachment, PredecessorList};
use contract_store::{BodyError, Isolation, Transaction};

/// Takes hold of a blob, staged or stored.
pub(crate) async fn hold(
    unit: &Unit<'_>,
    id: BlobId,
    staged: &[Staged],
    holder: &Holder,
) -> Result<(), BodyError> {
    match staged.iter().find(|staged| staged.id == id) {
        Some(staged) => unit.blobs.hold(unit.tx, staged, holder).await,
        None => unit.blobs.hold_stored(unit.tx, id, holder).await,
    }
}

/// Makes the row of a copy: the same content under an id and versions of its own.
pub(crate) async fn copy(
    unit: &Unit<'_>,
    from: ItemId,
    to: ItemId,
    row: &mut ItemRow,
) -> Result<(), BodyError> {
    row.content_change = row.change;
    let holder = unit.keys.holder(to);
    let mut blobs = row.blobs.clone();
    if let Some(old) = row.extra.take()
        && old.has_tree
    {
        blobs.extend(&old.bag_blobs);
        copy_tree(unit, from, to).await?;
        row.extra = Some(Box::new(ItemExtra {
            source_key: None,
            version: None,
            predecessors: PredecessorList::new(),
            href: None,
            disposed: None,
            ..*old
        }));
    }
    for id in &blobs {
        unit.blobs.hold_stored(unit.tx, *id, &holder).await?;
    }
    Ok(())
}

async fn copy_tree(unit: &Unit<'_>, from: ItemId, to: ItemId) -> Result<(), BodyError> {
    let serializable = Isolation::Serializable;
    if let Some(bag) = pieces::read(unit.tx, &unit.keys.bag(from), serializable).await? {
        pieces::write(unit.tx, &unit.keys.bag(to), &bag)?;
    }
    let attachments = tree::read_attachments(unit.tx, unit.keys, from, serializable).await?;
    for attachment in &attachments {
        tree::write_attachment(unit.tx, unit.keys, to, attachment)?;
        let holder = unit.keys.attachment_holder(to, attachment.number);
        for id in tree::attachment_blobs(attachment) {
            unit.blobs.hold_stored(unit.tx, id, &holder).await?;
        }
    }
    Ok(())
}

/// Removes an item's row and tree, and gives up what it holds.
pub(crate) async fn purge(
    tx: &dyn Transaction,
    keys: Keys,
    blobs: &dyn Blobs,
    item: ItemId,
    row: &ItemRow,
) -> Result<(), BodyError> {
    let holder = keys.holder(item);
    tx.clear(&keys.item(item));
    for id in &row.blobs {
        blobs.release(tx, *id, &holder);
    }
    let Some(extra) = row.extra.as_ref().filter(|extra| extra.has_tree) else {
        return Ok(());
    };
    for id in &extra.bag_blobs {
        blobs.release(tx, *id, &holder);
    }
    pieces::clear(tx, &keys.bag(item));
    if extra.attachments == 0 {
        return Ok(());
    }
    for attachment in tree::read_attachments(tx, keys, item, Isolation::Serializable).await? {
        release_attachment(tx, keys, blobs, item, &attachment);
    }
    tx.clear_range(&keys.attachments(item));
    Ok(())
}

/// Gives up the blobs of one attachment.
pub(crate) fn release_attachment(
    tx: &dyn Transaction,
    keys: Keys,
    blobs: &dyn Blobs,
    item: ItemId,
    attachment: &Attachment,
) {
    let holder = keys.attachment_holder(item, attachment.number);
    for id in tree::attachment_blobs(attachment) {
        blobs.release(tx, id, &holder);
    }
}
