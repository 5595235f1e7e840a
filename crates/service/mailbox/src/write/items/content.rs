//! An item's content while a command changes it: the bag, the attachments it touches, the blobs it
//! will hold.

use super::limits::{
    ATTACHMENTS_MAX, BLOBS_MAX, ITEM_ROW_BYTES_MAX, TREE_BYTES_MAX, check_predecessors, too_much,
};
use crate::content;
use crate::rows::tree::{self, BagRow};
use crate::rows::{ItemExtra, ItemRow, pieces};
use crate::unit::Unit;
use base::{Error, ItemId, Result};
use contract_blob::{BlobId, Staged};
use contract_mailbox::{Attachment, MessageMeta};
use contract_store::{BodyError, Isolation};
use std::collections::BTreeSet;

/// What a command works on.
pub(super) struct Work {
    pub(super) item: ItemId,
    pub(super) row: ItemRow,
    pub(super) extra: ItemExtra,
    pub(super) bag: BagRow,
    /// The blobs that the command brings.
    pub(super) staged: Vec<Staged>,
    /// What is held before the command.
    before: BTreeSet<BlobId>,
    /// Whether there are tree rows before the command.
    had_tree: bool,
    /// Row bytes of the attachments it has added.
    added_bytes: usize,
}

impl Work {
    /// On an item that does not exist yet.
    pub(super) fn on_new(item: ItemId, row: ItemRow, staged: &[Staged]) -> Self {
        Self {
            item,
            row,
            extra: ItemExtra::default(),
            bag: BagRow::default(),
            staged: staged.to_vec(),
            before: BTreeSet::new(),
            had_tree: false,
            added_bytes: 0,
        }
    }

    /// On an item that exists: reads its bag, and no attachment.
    pub(super) async fn on_old(
        unit: &Unit<'_>,
        item: ItemId,
        mut row: ItemRow,
        staged: &[Staged],
    ) -> Result<Self, BodyError> {
        let extra = row.extra.take().map(|extra| *extra).unwrap_or_default();
        let bag = match extra.has_tree {
            true => tree::read_bag(unit.tx, unit.keys, item, Isolation::Serializable).await?,
            false => BagRow::default(),
        };
        let before = row.blobs.iter().chain(&extra.bag_blobs).copied().collect();
        let (staged, had_tree) = (staged.to_vec(), extra.has_tree);
        Ok(Self { item, row, extra, bag, staged, before, had_tree, added_bytes: 0 })
    }

    /// Adds attachments under the next numbers.
    pub(super) async fn add_attachments(
        &mut self,
        unit: &Unit<'_>,
        new: &[Attachment],
    ) -> Result<(), BodyError> {
        for attachment in new {
            if self.extra.attachments >= ATTACHMENTS_MAX {
                let text = format!("An item can have at most {ATTACHMENTS_MAX} attachments");
                return Err(too_much(text).into());
            }
            let number = self.bag.next_attachment;
            self.bag.next_attachment = number.saturating_add(1);
            let attachment = Attachment { number, ..attachment.clone() };
            let row_bytes = tree::write_attachment(unit.tx, unit.keys, self.item, &attachment)?;
            let holder = unit.keys.attachment_holder(self.item, number);
            let blobs = tree::attachment_blobs(&attachment);
            if blobs.len() > BLOBS_MAX {
                return Err(too_many_blobs().into());
            }
            for id in blobs {
                content::hold(unit, id, &self.staged, &holder).await?;
            }
            self.added_bytes += row_bytes;
            self.extra.attachment_row_bytes += row_bytes as u64;
            self.extra.attachments += 1;
            self.extra.attachment_bytes += tree::attachment_bytes(&attachment, row_bytes);
        }
        Ok(())
    }

    /// Removes attachments; unknown numbers are passed over. Reads only these.
    pub(super) async fn remove_attachments(
        &mut self,
        unit: &Unit<'_>,
        numbers: &[u32],
    ) -> Result<(), BodyError> {
        for number in numbers {
            let found = tree::read_attachment(unit.tx, unit.keys, self.item, *number).await?;
            let Some((attachment, row_bytes)) = found else {
                continue;
            };
            content::release_attachment(unit.tx, unit.keys, unit.blobs, self.item, &attachment);
            pieces::clear(unit.tx, &unit.keys.attachment(self.item, *number));
            let bytes = tree::attachment_bytes(&attachment, row_bytes);
            self.extra.attachments = self.extra.attachments.saturating_sub(1);
            self.extra.attachment_bytes = self.extra.attachment_bytes.saturating_sub(bytes);
            let rows = &mut self.extra.attachment_row_bytes;
            *rows = rows.saturating_sub(row_bytes as u64);
        }
        Ok(())
    }

    /// Removes all attachments.
    pub(super) async fn clear_attachments(&mut self, unit: &Unit<'_>) -> Result<(), BodyError> {
        let isolation = Isolation::Serializable;
        for attachment in tree::read_attachments(unit.tx, unit.keys, self.item, isolation).await? {
            content::release_attachment(unit.tx, unit.keys, unit.blobs, self.item, &attachment);
        }
        unit.tx.clear_range(&unit.keys.attachments(self.item));
        self.extra.attachments = 0;
        self.extra.attachment_bytes = 0;
        self.extra.attachment_row_bytes = 0;
        Ok(())
    }

    /// Writes the bag, takes hold of what is new and gives up what is not needed any more.
    /// `shown_bytes` are those of the message that FETCH shows. Afterwards the row is complete but
    /// for its versions and place.
    pub(super) async fn finish(
        &mut self,
        unit: &Unit<'_>,
        shown: Option<&MessageMeta>,
        shown_bytes: u64,
    ) -> Result<(), BodyError> {
        if let Some(meta) = shown {
            self.row.blobs = meta.content.blobs();
        }
        check_predecessors(self.extra.predecessors.len())?;
        self.extra.has_tree = self.bag != BagRow::default() || self.extra.attachments > 0;
        self.extra.bag_blobs = self.bag.blobs().into_iter().collect();
        let mut bag_bytes = 0;
        if self.had_tree && !self.extra.has_tree {
            pieces::clear(unit.tx, &unit.keys.bag(self.item));
        }
        if self.extra.has_tree {
            let row_bytes = tree::write_bag(unit.tx, unit.keys, self.item, &self.bag)?;
            if row_bytes + self.added_bytes > TREE_BYTES_MAX {
                let text = format!("An item's properties take at most {TREE_BYTES_MAX} bytes");
                return Err(too_much(text).into());
            }
            if row_bytes as u64 + self.extra.attachment_row_bytes > ITEM_ROW_BYTES_MAX {
                let text =
                    format!("An item without its contents has at most {ITEM_ROW_BYTES_MAX} bytes");
                return Err(too_much(text).into());
            }
            bag_bytes = row_bytes as u64 + self.bag.content_bytes();
        }
        self.row.size_bytes = shown_bytes + bag_bytes + self.extra.attachment_bytes;
        let after: BTreeSet<BlobId> =
            self.row.blobs.iter().chain(&self.extra.bag_blobs).copied().collect();
        if self.row.blobs.len() + self.extra.bag_blobs.len() > BLOBS_MAX {
            return Err(too_many_blobs().into());
        }
        let holder = unit.keys.holder(self.item);
        for id in after.difference(&self.before) {
            content::hold(unit, *id, &self.staged, &holder).await?;
        }
        for id in self.before.difference(&after) {
            unit.blobs.release(unit.tx, *id, &holder);
        }
        Ok(())
    }

    /// The row, whole again. Plain mail stays plain.
    pub(super) fn into_row(self) -> ItemRow {
        let extra = (self.extra != ItemExtra::default()).then(|| Box::new(self.extra));
        ItemRow { extra, ..self.row }
    }
}

fn too_many_blobs() -> Error {
    too_much(format!("An item or attachment can be put together from at most {BLOBS_MAX} blobs"))
}
