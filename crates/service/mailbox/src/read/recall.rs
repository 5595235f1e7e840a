//! Structures of messages that were read lately, of all mailboxes of a node: who opens a message
//! asks for it several times (header, structure, parts), and asks the store once.
//!
//! A message's structure never changes under its UID; it can only go. So entries are filed under
//! the mailbox's lineage (see [`Cache`](crate::cache::Cache)), which is a new number whenever
//! messages have left it or it was read into memory anew: what was filed before is never found
//! again, even if a slow reader files it later.

use super::Reader;
use base::{FolderId, Recent, Result, Uid};
use contract_mailbox::request::{META_MAX, META_REPLY_BYTES_MAX};
use contract_mailbox::{MessageMeta, MetaPage};
use std::sync::Arc;

/// How much of structures is remembered on the whole node, in bytes of memory, about.
const BYTES_MAX: usize = 16 << 20;

/// What a structure takes in memory, by the bytes of its row: each string has a place of its own.
fn weight(row_bytes: usize) -> usize {
    2_048 + 3 * row_bytes
}

/// See the module's words.
pub(crate) struct Metas(Recent<(u64, FolderId, Uid), (Arc<MessageMeta>, usize)>);

impl Default for Metas {
    fn default() -> Self {
        Self(Recent::new(BYTES_MAX))
    }
}

impl Reader {
    /// The page of structures that was asked for, if all of it is in memory.
    pub(super) fn recalled(&self, folder: FolderId, uids: &[Uid]) -> Result<Option<MetaPage>> {
        let row = self.folder(folder)?;
        // The structures of a search folder's members stand in other folders.
        if row.search.is_some() || uids.len() > META_MAX {
            return Ok(None);
        }
        let (mut found, mut bytes) = (Vec::with_capacity(uids.len()), 0);
        for uid in uids.iter().filter(|uid| **uid < row.info.uid_next) {
            let key = (self.lineage, folder, *uid);
            let Some((meta, row_bytes)) = self.context.metas.0.get(&key) else {
                return Ok(None);
            };
            bytes += row_bytes;
            if bytes > META_REPLY_BYTES_MAX {
                return Ok(None);
            }
            found.push((*uid, meta));
        }
        found.sort_unstable_by_key(|(uid, _)| *uid);
        found.dedup_by_key(|(uid, _)| *uid);
        Ok(Some(MetaPage { found, next: None }))
    }

    /// Remembers a structure that takes so many bytes in its row.
    pub(super) fn remember(
        &self,
        folder: FolderId,
        uid: Uid,
        meta: &Arc<MessageMeta>,
        row_bytes: usize,
    ) {
        let key = (self.lineage, folder, uid);
        self.context.metas.0.put(key, (meta.clone(), row_bytes), weight(row_bytes));
    }
}
