//! A folder's packed index within a unit of work.

use super::Unit;
use crate::rows;
use base::{Error, FolderId, Kind, Result, Uid};
use contract_mailbox::{FolderCounts, FolderInfo, IndexBlock, IndexEntry};
use contract_store::{BodyError, Isolation, RangeRead};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many index rows are read at once by a command over many messages.
const READ_AHEAD: usize = 16;

/// What a COPY in progress has put into its target so far, seen by nobody: messages behind the
/// folder's end, and what the folder's row will say when they are shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Hidden {
    pub(crate) folder: FolderId,
    pub(crate) uid_next: Uid,
    pub(crate) highest_change: base::Change,
    /// Of these messages alone.
    pub(crate) counts: FolderCounts,
}

impl Hidden {
    /// Makes a folder say what it will say when this is shown.
    pub(crate) fn apply(&self, info: &mut FolderInfo) {
        info.uid_next = self.uid_next;
        info.highest_change = self.highest_change;
        let (all, more) = (&mut info.counts, self.counts);
        all.messages += more.messages;
        all.unseen += more.unseen;
        all.deleted += more.deleted;
        all.size_bytes += more.size_bytes;
    }
}

/// Why a command has to wait: a large COPY is putting messages into the folder, whose UIDs and
/// changes come before any that would be given now.
pub(crate) fn reserved() -> Error {
    Error::new(Kind::Overloaded, "A large copy into the folder is under way")
}

impl Unit<'_> {
    /// Refuses to touch the index of a folder that a COPY in progress is filling.
    pub(crate) fn check_free(&self, folder: FolderId) -> Result<()> {
        match self.reserved {
            Some(taken) if taken == folder => Err(reserved()),
            _ => Ok(()),
        }
    }

    /// Goes on where a COPY in progress stopped, or shows what it has put.
    pub(crate) fn reveal(&mut self, hidden: &Hidden) -> Result<()> {
        hidden.apply(&mut self.folder_mut(hidden.folder)?.info);
        Ok(())
    }

    /// Takes a folder's row back, so that what the command has put there stays unseen; gives what
    /// it would have said.
    pub(crate) fn hide(&mut self, folder: FolderId) -> Result<Hidden> {
        let shown = self.cache.folder(folder)?.info.counts;
        let info = &self.folder(folder)?.info;
        let counts = FolderCounts {
            messages: info.counts.messages.saturating_sub(shown.messages),
            unseen: info.counts.unseen.saturating_sub(shown.unseen),
            deleted: info.counts.deleted.saturating_sub(shown.deleted),
            size_bytes: info.counts.size_bytes.saturating_sub(shown.size_bytes),
            associated: 0,
        };
        let (uid_next, highest_change) = (info.uid_next, info.highest_change);
        self.draft.folders.remove(&folder);
        Ok(Hidden { folder, uid_next, highest_change, counts })
    }

    /// An index block; an empty one where there is none.
    async fn block(&mut self, folder: FolderId, number: u32) -> Result<&mut IndexBlock, BodyError> {
        self.check_free(folder)?;
        let key = (folder, number);
        if !self.draft.blocks.contains_key(&key) {
            let block =
                match self.read.remove(&key).or_else(|| self.cache.blocks.get(&key).cloned()) {
                    Some(block) => block,
                    None => {
                        let row = self.keys.block(folder, number);
                        Arc::new(match self.tx.get(&row, Isolation::Serializable).await? {
                            Some(row) => rows::decode_block(&row)?,
                            None => IndexBlock { number, entries: Vec::new() },
                        })
                    }
                };
            self.draft.blocks.insert(key, block);
        }
        let block = self.draft.blocks.entry(key).or_default();
        Ok(Arc::make_mut(block))
    }

    /// A block that this command has drafted or read, or the cache holds; to be read only. A block
    /// that is known to be absent is an empty one.
    pub(crate) fn known_block(&self, folder: FolderId, number: u32) -> Option<Arc<IndexBlock>> {
        let key = (folder, number);
        let drafted = self.draft.blocks.get(&key).or_else(|| self.read.get(&key));
        drafted.or_else(|| self.cache.blocks.get(&key)).cloned()
    }

    /// The first block of a folder from one number up to another (both included). Reads several at
    /// once where many are wanted, and keeps them for those that come next and for being changed.
    pub(crate) async fn next_block(
        &mut self,
        folder: FolderId,
        first: u32,
        last: u32,
        many: bool,
    ) -> Result<Option<Arc<IndexBlock>>, BodyError> {
        if let Some(block) = self.known_block(folder, first) {
            return Ok(Some(block));
        }
        let stored = self.stored_block(folder, first, last, many).await?;
        // What this command has changed so far is not in the store's rows yet.
        let before = stored.as_ref().map_or(last, |block| block.number).max(first);
        let mut drafted = self.draft.blocks.range((folder, first)..=(folder, before));
        let drafted = drafted.next().map(|(_, block)| block.clone());
        Ok(drafted.or(stored))
    }

    async fn stored_block(
        &mut self,
        folder: FolderId,
        first: u32,
        last: u32,
        many: bool,
    ) -> Result<Option<Arc<IndexBlock>>, BodyError> {
        let mut from = first;
        if let Some((known, begin, end)) = self.scanned
            && known == folder
            && (begin..=end).contains(&first)
        {
            if let Some((_, block)) = self.read.range((folder, first)..=(folder, end)).next() {
                return Ok(Some(block.clone()));
            }
            from = end.saturating_add(1);
        }
        if from > last {
            return Ok(None);
        }
        let ahead = if many { READ_AHEAD } else { 1 };
        let mut range = self.keys.blocks_from(folder, from);
        range.end = self.keys.block(folder, last.saturating_add(1));
        let (mut found, mut count, mut end) = (None, 0, from);
        let mut next = Some(RangeRead::all(&range).limit(ahead));
        while let Some(read) = next {
            let page = self.tx.get_range(&read, Isolation::Serializable).await?;
            next = read.after(&page);
            for row in &page.rows {
                let block = Arc::new(rows::decode_block(&row.value)?);
                let key = (folder, block.number);
                (count, end) = (count + 1, block.number);
                // A drafted block is newer than its row.
                if !self.draft.blocks.contains_key(&key) {
                    self.read.insert(key, block.clone());
                }
                found.get_or_insert(block);
            }
        }
        self.scanned = Some((folder, from, if count < ahead { last } else { end }));
        Ok(found)
    }

    /// The UID from which on nothing of a folder is to be seen: messages of an unfinished bulk
    /// copy may stand there.
    pub(crate) fn visible_end(&self, folder: FolderId) -> Result<Uid> {
        match self.cache.folders.get(&folder) {
            Some(row) => Ok(row.info.uid_next),
            None => Ok(self.folder(folder)?.info.uid_next),
        }
    }

    /// Puts an entry into the index, in place of an earlier one of that UID.
    pub(crate) async fn put_entry(
        &mut self,
        folder: FolderId,
        entry: IndexEntry,
    ) -> Result<(), BodyError> {
        let block = self.block(folder, entry.uid.0 / IndexBlock::UIDS).await?;
        match block.entries.binary_search_by_key(&entry.uid, |known| known.uid) {
            Ok(place) => block.entries[place] = entry,
            Err(place) => block.entries.insert(place, entry),
        }
        Ok(())
    }

    /// A message's entry; it must be there.
    pub(crate) async fn entry(&self, folder: FolderId, uid: Uid) -> Result<IndexEntry, BodyError> {
        let number = uid.0 / IndexBlock::UIDS;
        let block = match self.known_block(folder, number) {
            Some(block) => Some(block),
            None => {
                let key = self.keys.block(folder, number);
                let row = self.tx.get(&key, Isolation::Serializable).await?;
                row.map(|row| rows::decode_block(&row).map(Arc::new)).transpose()?
            }
        };
        let found = block.and_then(|block| {
            let place = block.entries.binary_search_by_key(&uid, |entry| entry.uid).ok()?;
            Some(block.entries[place])
        });
        found.ok_or_else(|| Error::corrupt(format!("{uid} of {folder} is not in the index")).into())
    }

    /// Takes an entry out of the index.
    pub(crate) async fn remove_entry(
        &mut self,
        folder: FolderId,
        uid: Uid,
    ) -> Result<Option<IndexEntry>, BodyError> {
        let block = self.block(folder, uid.0 / IndexBlock::UIDS).await?;
        let place = block.entries.binary_search_by_key(&uid, |known| known.uid);
        let removed = place.ok().map(|place| block.entries.remove(place));
        self.draft.removes |= removed.is_some();
        Ok(removed)
    }
}
