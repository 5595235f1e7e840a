//! View: a folder's whole index, as shared blocks.

use super::Reader;
use crate::rows;
use crate::rows::keys::Keys;
use base::{FolderId, Result};
use contract_mailbox::{FolderView, IndexBlock};
use contract_store::{Attempt, Body, BodyError, Isolation, RangeRead, Transaction, transact};
use futures::future::BoxFuture;
use std::sync::Arc;

pub(super) async fn read(reader: &Reader, folder: FolderId) -> Result<FolderView> {
    let info = reader.info(reader.folder(folder)?);
    let body = Blocks { keys: reader.keys, folder, end: info.uid_next.0 };
    let blocks = transact(&reader.context.store, body).await?;
    Ok(FolderView { info, keywords: reader.keywords.clone(), blocks })
}

/// Reads the blocks of a folder, up to (not including) a UID.
#[derive(Clone, Copy)]
struct Blocks {
    keys: Keys,
    folder: FolderId,
    end: u32,
}

impl Body<Vec<Arc<IndexBlock>>> for Blocks {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Vec<Arc<IndexBlock>>, BodyError>> {
        Box::pin(self.read(tx))
    }
}

impl Blocks {
    async fn read(self, tx: &dyn Transaction) -> Result<Vec<Arc<IndexBlock>>, BodyError> {
        let range = self.keys.blocks_from(self.folder, 0);
        let mut blocks = Vec::new();
        let mut next = Some(RangeRead::all(&range));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            for row in &page.rows {
                let block = visible(rows::decode_block(&row.value)?, self.end);
                if !block.entries.is_empty() {
                    blocks.push(Arc::new(block));
                }
            }
        }
        Ok(blocks)
    }
}

/// A block without what an unfinished bulk copy has put behind the folder's end.
pub(super) fn visible(mut block: IndexBlock, end: u32) -> IndexBlock {
    if block.entries.last().is_some_and(|last| last.uid.0 >= end) {
        block.entries.retain(|entry| entry.uid.0 < end);
    }
    block
}
