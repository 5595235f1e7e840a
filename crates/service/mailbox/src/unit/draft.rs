//! What one command has changed, as values: written at the end, and taken over by the cache after
//! the commit.

use super::Unit;
use crate::cache::Cache;
use crate::rows::{self, FolderRow, Summary};
use base::{Change, FolderId, Result};
use bytes::Bytes;
use contract_mailbox::{IndexBlock, Keywords};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a command has changed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(super) summary: Summary,
    pub(super) summary_row: Bytes,
    pub(super) folders: BTreeMap<FolderId, Option<FolderRow>>,
    pub(super) blocks: BTreeMap<(FolderId, u32), Arc<IndexBlock>>,
    pub(super) keywords: Option<Keywords>,
    pub(super) subscriptions: BTreeMap<String, bool>,
    /// Whether messages have left a folder.
    pub(super) removes: bool,
}

impl Unit<'_> {
    /// Whether nothing has changed so far, but for rows written to the transaction at once; what
    /// concerns messages never changes without the counters.
    pub(crate) fn is_untouched(&self) -> bool {
        let Draft { summary, folders, keywords, subscriptions, .. } = &self.draft;
        *summary == self.cache.summary
            && folders.is_empty()
            && keywords.is_none()
            && subscriptions.is_empty()
    }

    /// Writes what has changed to the transaction; the last step before the commit.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if a row cannot be encoded.
    pub(crate) fn flush(mut self) -> Result<Draft> {
        self.draft.summary.writes += 1;
        self.draft.summary_row = rows::encode(&self.draft.summary)?;
        self.tx.set(&self.keys.summary(), &self.draft.summary_row);
        for (id, row) in &self.draft.folders {
            match row {
                Some(row) => self.tx.set(&self.keys.folder(*id), &rows::encode(row)?),
                None => self.tx.clear(&self.keys.folder(*id)),
            }
        }
        for ((folder, number), block) in &self.draft.blocks {
            let key = self.keys.block(*folder, *number);
            if block.entries.is_empty() {
                self.tx.clear(&key);
            } else {
                self.tx.set(&key, &rows::encode(&**block)?);
            }
        }
        if let Some(keywords) = &self.draft.keywords {
            self.tx.set(&self.keys.keywords(), &rows::encode(keywords)?);
        }
        for (path, on) in &self.draft.subscriptions {
            let key = self.keys.subscription(path);
            if *on { self.tx.set(&key, b"") } else { self.tx.clear(&key) }
        }
        Ok(self.draft)
    }
}

impl Draft {
    /// Brings the cache up to what has been committed; answers the newest change number.
    pub(crate) fn apply(self, cache: &mut Cache) -> Change {
        cache.summary = self.summary;
        cache.summary_row = self.summary_row;
        if self.removes {
            cache.lineage = crate::cache::new_lineage();
        }
        if !self.folders.is_empty() {
            let folders = Arc::make_mut(&mut cache.folders);
            for (id, row) in self.folders {
                match &row {
                    Some(row) if row.search.is_some() => cache.searches.insert(id),
                    _ => cache.searches.remove(&id),
                };
                match row {
                    Some(row) => folders.insert(id, row),
                    None => folders.remove(&id),
                };
            }
        }
        for ((folder, _), block) in self.blocks {
            cache.remember_block(folder, block);
        }
        if let Some(keywords) = self.keywords {
            cache.keywords = Arc::new(keywords);
        }
        if !self.subscriptions.is_empty() {
            let subscriptions = Arc::make_mut(&mut cache.subscriptions);
            for (path, on) in self.subscriptions {
                if on {
                    subscriptions.insert(path)
                } else {
                    subscriptions.remove(&path)
                };
            }
        }
        Change(cache.summary.next_change.saturating_sub(1))
    }
}
