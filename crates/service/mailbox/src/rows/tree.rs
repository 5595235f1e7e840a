//! An item's tree in rows: one value for its bag, one for each attachment.
//!
//! So an attachment is added or removed without reading or copying the others. An embedded item
//! stands, with all below it, in the row of the attachment that carries it. Bytes are blobs: those
//! of bag and native form are held in the item's name, those of an attachment in the attachment's,
//! so that two attachments may have the same bytes and one of them may go.

use super::keys::Keys;
use super::meta::all_rows;
use super::{decode, encode, pieces};
use base::{Error, ItemId, Result};
use bytes::Bytes;
use contract_blob::BlobId;
use contract_mailbox::{
    Attachment, AttachmentData, Content, ItemTree, Native, Properties, PropertyValue,
};
use contract_store::{BodyError, Isolation, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything of an item's tree but its attachments.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BagRow {
    /// The item's own properties.
    pub(crate) properties: Properties,
    /// One bag for each recipient.
    pub(crate) recipients: Vec<Properties>,
    /// The native form where it is not the message that FETCH shows: calendar objects, cards, and
    /// everything of associated items.
    pub(crate) native: Option<Native>,
    /// The number of the next attachment.
    pub(crate) next_attachment: u32,
}

impl BagRow {
    /// The blobs it names.
    pub(crate) fn blobs(&self) -> BTreeSet<BlobId> {
        let mut found = BTreeSet::new();
        for_contents(&self.properties, &mut |content| found.extend(content.blobs()));
        for recipient in &self.recipients {
            for_contents(recipient, &mut |content| found.extend(content.blobs()));
        }
        if let Some(native) = &self.native {
            found.extend(native_content(native).blobs());
        }
        found
    }

    /// The bytes outside the row.
    pub(crate) fn content_bytes(&self) -> u64 {
        let mut bytes =
            self.native.as_ref().map_or(0, |native| native_content(native).size_bytes());
        for_contents(&self.properties, &mut |content| bytes += content.size_bytes());
        for recipient in &self.recipients {
            for_contents(recipient, &mut |content| bytes += content.size_bytes());
        }
        bytes
    }
}

/// The bytes of a native form.
pub(crate) fn native_content(native: &Native) -> &Content {
    match native {
        Native::Message(meta) => &meta.content,
        Native::Calendar(content) | Native::Card(content) => content,
    }
}

fn for_contents(properties: &Properties, visit: &mut dyn FnMut(&Content)) {
    for value in properties.values() {
        if let PropertyValue::Stream { content, .. } = value {
            visit(content);
        }
    }
}

/// Visits all bytes of an attachment that are outside its row, those of embedded items among them.
fn for_attachment(attachment: &Attachment, visit: &mut dyn FnMut(&Content)) {
    for_contents(&attachment.properties, visit);
    match &attachment.data {
        AttachmentData::None => {}
        AttachmentData::Bytes(content) => visit(content),
        AttachmentData::Item(tree) => {
            for_contents(&tree.properties, visit);
            for recipient in &tree.recipients {
                for_contents(recipient, visit);
            }
            for below in &tree.attachments {
                for_attachment(below, visit);
            }
        }
    }
}

/// The blobs of an attachment.
pub(crate) fn attachment_blobs(attachment: &Attachment) -> BTreeSet<BlobId> {
    let mut found = BTreeSet::new();
    for_attachment(attachment, &mut |content| found.extend(content.blobs()));
    found
}

/// The bytes of an attachment, its row of `row_bytes` among them.
pub(crate) fn attachment_bytes(attachment: &Attachment, row_bytes: usize) -> u64 {
    let mut bytes = row_bytes as u64;
    for_attachment(attachment, &mut |content| bytes += content.size_bytes());
    bytes
}

/// Writes an item's bag; gives the length of the row.
pub(crate) fn write_bag(
    tx: &dyn Transaction,
    keys: Keys,
    item: ItemId,
    bag: &BagRow,
) -> Result<usize> {
    let row = encode(bag)?;
    pieces::write(tx, &keys.bag(item), &row)?;
    Ok(row.len())
}

/// Reads an item's bag; an empty one where there is none.
pub(crate) async fn read_bag(
    tx: &dyn Transaction,
    keys: Keys,
    item: ItemId,
    isolation: Isolation,
) -> Result<BagRow, BodyError> {
    match pieces::read(tx, &keys.bag(item), isolation).await? {
        Some(row) => Ok(decode(&row, "item tree")?),
        None => Ok(BagRow::default()),
    }
}

/// Writes an attachment; gives the length of the row.
pub(crate) fn write_attachment(
    tx: &dyn Transaction,
    keys: Keys,
    item: ItemId,
    attachment: &Attachment,
) -> Result<usize> {
    let row = encode(attachment)?;
    pieces::write(tx, &keys.attachment(item, attachment.number), &row)?;
    Ok(row.len())
}

/// Reads one attachment, and the length of its row.
pub(crate) async fn read_attachment(
    tx: &dyn Transaction,
    keys: Keys,
    item: ItemId,
    number: u32,
) -> Result<Option<(Attachment, usize)>, BodyError> {
    let key = keys.attachment(item, number);
    let Some(row) = pieces::read(tx, &key, Isolation::Serializable).await? else {
        return Ok(None);
    };
    Ok(Some((decode(&row, "attachment")?, row.len())))
}

/// Reads all attachments of an item, in order of number.
pub(crate) async fn read_attachments(
    tx: &dyn Transaction,
    keys: Keys,
    item: ItemId,
    isolation: Isolation,
) -> Result<Vec<Attachment>, BodyError> {
    let mut grouped: Vec<(u32, Vec<Bytes>)> = Vec::new();
    for row in all_rows(tx, &keys.attachments(item), isolation).await? {
        let number = keys
            .parse_attachment(&row.key)
            .ok_or_else(|| Error::corrupt("the key of an attachment"))?;
        match grouped.last_mut() {
            Some((last, pieces)) if *last == number => pieces.push(row.value),
            _ => grouped.push((number, vec![row.value])),
        }
    }
    let mut found = Vec::with_capacity(grouped.len());
    for (_, row) in grouped {
        if let Some(row) = pieces::join(row) {
            found.push(decode(&row, "attachment")?);
        }
    }
    Ok(found)
}

/// Reads a whole tree, and the native form that stands in its bag.
pub(crate) async fn read(
    tx: &dyn Transaction,
    keys: Keys,
    item: ItemId,
    isolation: Isolation,
) -> Result<(ItemTree, Option<Native>), BodyError> {
    let (bag, attachments) = futures::join!(
        read_bag(tx, keys, item, isolation),
        read_attachments(tx, keys, item, isolation),
    );
    let BagRow { properties, recipients, native, .. } = bag?;
    Ok((ItemTree { properties, recipients, attachments: attachments? }, native))
}
