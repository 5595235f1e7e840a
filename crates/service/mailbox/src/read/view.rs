//! View: a folder's whole index, as shared blocks.

use super::Reader;
use crate::rows;
use base::FolderId;
use contract_mailbox::{FolderView, IndexBlock};
use contract_store::{BodyError, Isolation, RangeRead, Transaction};
use std::sync::Arc;

pub(super) async fn read(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
) -> Result<FolderView, BodyError> {
    let info = reader.info(reader.folder(folder)?);
    let range = reader.keys.blocks_from(folder, 0);
    let mut blocks = Vec::new();
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        for row in &page.rows {
            let block = visible(rows::decode_block(&row.value)?, info.uid_next.0);
            if !block.entries.is_empty() {
                blocks.push(Arc::new(block));
            }
        }
    }
    Ok(FolderView { info, keywords: reader.keywords.clone(), blocks })
}

/// A block without what an unfinished bulk copy has put behind the folder's end.
fn visible(mut block: IndexBlock, end: u32) -> IndexBlock {
    if block.entries.last().is_some_and(|last| last.uid.0 >= end) {
        block.entries.retain(|entry| entry.uid.0 < end);
    }
    block
}
