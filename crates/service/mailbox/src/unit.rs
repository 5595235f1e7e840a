//! One command's unit of work: what it has changed so far, on top of the cache and in front of one
//! store transaction.
//!
//! Folders, counters and index blocks are changed here as values and written once, at the end
//! ([`Unit::flush`]); rows that only this command touches (items, meta, changes) go to the
//! transaction at once. Nothing of it reaches the cache before the commit has succeeded
//! ([`Draft::apply`]), so an attempt that fails leaves no trace.

use crate::cache::Cache;
use crate::context::Context;
use crate::rows::keys::Keys;
use crate::rows::{self, FolderRow, Summary};
use base::{Change, Error, FolderId, ItemId, Kind, QueueId, Result, Slot, Timestamp, Uid};
use bytes::Bytes;
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::{Account, Quota};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{Flags, FolderInfo, IndexBlock, IndexEntry, Keywords, Principal};
use contract_store::{BodyError, Isolation, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a command may use: the transaction, the mailbox as it was, and the world around.
pub(crate) struct Unit<'a> {
    pub(crate) tx: &'a dyn Transaction,
    pub(crate) keys: Keys,
    pub(crate) blobs: &'a dyn Blobs,
    /// The wall clock at the start of the command.
    pub(crate) now: Timestamp,
    pub(crate) principal: Principal,
    pub(crate) owner: &'a Account,
    pub(crate) quota: Quota,
    /// How many messages one transaction of a bulk command changes at most.
    pub(crate) chunk: usize,
    /// Whether nothing may be purged.
    pub(crate) on_hold: bool,
    control: &'a dyn Control,
    cache: &'a Cache,
    draft: Draft,
    /// A folder whose row is not written yet, because its new messages must not be seen
    /// (see `write::bulk`).
    hidden: Option<FolderId>,
}

/// What a command has changed.
#[derive(Debug)]
pub(crate) struct Draft {
    summary: Summary,
    summary_row: Bytes,
    folders: BTreeMap<FolderId, Option<FolderRow>>,
    blocks: BTreeMap<(FolderId, u32), Arc<IndexBlock>>,
    keywords: Option<Keywords>,
    subscriptions: BTreeMap<String, bool>,
}

impl<'a> Unit<'a> {
    /// Begins a unit of work.
    pub(crate) fn new(
        tx: &'a dyn Transaction,
        context: &'a Context,
        owner: &'a Account,
        principal: Principal,
        cache: &'a Cache,
    ) -> Self {
        let draft = Draft {
            summary: cache.summary.clone(),
            summary_row: cache.summary_row.clone(),
            folders: BTreeMap::new(),
            blocks: BTreeMap::new(),
            keywords: None,
            subscriptions: BTreeMap::new(),
        };
        Self {
            tx,
            keys: Keys(owner.id),
            blobs: &*context.blobs,
            now: context.env.clock.now(),
            principal,
            owner,
            quota: owner.quota,
            chunk: context.config.chunk_messages.max(1),
            on_hold: owner.litigation_hold,
            control: &*context.control,
            cache,
            draft,
            hidden: None,
        }
    }

    /// The slot of an accepted message.
    pub(crate) fn queue_slot(&self, queue: QueueId) -> Slot {
        self.control.slot_of_queue(queue)
    }

    /// The mailbox's own replica in versions of items (MS-OXCFXICS 2.2.2.1).
    pub(crate) fn replica(&self) -> [u8; 16] {
        crate::context::replica(self.control, self.owner.id)
    }

    /// The search folders whose scope has a folder in it.
    pub(crate) fn searches_over(&self, folder: FolderId) -> Vec<FolderId> {
        let drafted = self.draft.folders.values().flatten();
        let unchanged =
            self.cache.searches.iter().filter_map(|id| match self.draft.folders.get(id) {
                Some(_) => None,
                None => self.cache.folders.get(id),
            });
        unchanged
            .chain(drafted)
            .filter(|row| row.search.as_ref().is_some_and(|(scope, _)| scope.contains(&folder)))
            .map(|row| row.info.id)
            .collect()
    }

    /// Counters and sizes.
    pub(crate) fn summary(&mut self) -> &mut Summary {
        &mut self.draft.summary
    }

    /// The id of a new item.
    pub(crate) fn next_item(&mut self) -> ItemId {
        let id = self.draft.summary.next_item;
        self.draft.summary.next_item += 1;
        ItemId(id)
    }

    /// The number of a new change; the caller gives it to exactly one item or folder.
    pub(crate) fn next_change(&mut self) -> Change {
        let change = self.draft.summary.next_change;
        self.draft.summary.next_change += 1;
        Change(change)
    }

    /// A UIDVALIDITY that no folder of this mailbox has had: the time in seconds, or one more than
    /// the last where the clock does not suffice.
    pub(crate) fn next_uid_validity(&mut self) -> u32 {
        let now = u32::try_from(self.now.unix_s()).unwrap_or(u32::MAX - 1);
        let next = now.max(self.draft.summary.last_uid_validity.saturating_add(1));
        self.draft.summary.last_uid_validity = next;
        next
    }

    /// A folder as it is now.
    pub(crate) fn folder(&self, id: FolderId) -> Result<&FolderRow> {
        match self.draft.folders.get(&id) {
            Some(Some(row)) => Ok(row),
            Some(None) => Err(Error::not_found("The folder")),
            None => self.cache.folder(id),
        }
    }

    /// A folder that is to be changed.
    pub(crate) fn folder_mut(&mut self, id: FolderId) -> Result<&mut FolderRow> {
        if !self.draft.folders.contains_key(&id) {
            let row = self.cache.folder(id)?.clone();
            self.draft.folders.insert(id, Some(row));
        }
        match self.draft.folders.get_mut(&id) {
            Some(Some(row)) => Ok(row),
            _ => Err(Error::not_found("The folder")),
        }
    }

    /// All folders as they are now.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &FolderRow> {
        let unchanged = self.cache.folders.values();
        let drafted = self.draft.folders.values().flatten();
        unchanged.filter(|row| !self.draft.folders.contains_key(&row.info.id)).chain(drafted)
    }

    /// The folder as the contract shows it.
    pub(crate) fn info(&self, id: FolderId) -> Result<FolderInfo> {
        let mut folders: BTreeMap<FolderId, FolderRow> = (*self.cache.folders).clone();
        for (id, row) in &self.draft.folders {
            match row {
                Some(row) => folders.insert(*id, row.clone()),
                None => folders.remove(id),
            };
        }
        let path = crate::cache::path(&folders, id);
        let subscribed = match self.draft.subscriptions.get(&path) {
            Some(on) => *on,
            None => self.cache.subscriptions.contains(&path),
        };
        Ok(FolderInfo { subscribed, ..self.folder(id)?.info.clone() })
    }

    /// Adds a folder.
    pub(crate) fn insert_folder(&mut self, row: FolderRow) {
        self.draft.folders.insert(row.info.id, Some(row));
    }

    /// Forgets what was drafted of a folder's index, which the caller clears.
    pub(crate) fn forget_blocks(&mut self, id: FolderId) {
        self.draft.blocks.retain(|(folder, _), _| *folder != id);
    }

    /// Takes a folder's row away.
    pub(crate) fn remove_folder(&mut self, id: FolderId) {
        self.draft.folders.insert(id, None);
    }

    /// Subscribes to a path, or ends that.
    pub(crate) fn subscribe(&mut self, path: String, on: bool) {
        self.draft.subscriptions.insert(path, on);
    }

    /// Keeps a folder's row from being written, so that what is added to it stays unseen;
    /// [`Unit::hidden_row`] gives what was not written.
    pub(crate) fn hide(&mut self, id: FolderId) {
        self.hidden = Some(id);
    }

    /// The row that [`Unit::hide`] keeps back, if the command changed it.
    pub(crate) fn hidden_row(&self) -> Option<&FolderRow> {
        self.draft.folders.get(&self.hidden?)?.as_ref()
    }

    /// An index block; an empty one where there is none.
    pub(crate) async fn block(
        &mut self,
        folder: FolderId,
        number: u32,
    ) -> Result<&mut IndexBlock, BodyError> {
        let key = (folder, number);
        if !self.draft.blocks.contains_key(&key) {
            let block = match self.cache.blocks.get(&key) {
                Some(block) => block.clone(),
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

    /// A block that this command has drafted or the cache holds; to be read only. A block that is
    /// known to be absent is an empty one.
    pub(crate) fn known_block(&self, folder: FolderId, number: u32) -> Option<Arc<IndexBlock>> {
        let key = (folder, number);
        self.draft.blocks.get(&key).or_else(|| self.cache.blocks.get(&key)).cloned()
    }

    /// The first block that this command has drafted, between two numbers (both included).
    pub(crate) fn drafted_block(
        &self,
        folder: FolderId,
        first: u32,
        last: u32,
    ) -> Option<Arc<IndexBlock>> {
        let mut drafted = self.draft.blocks.range((folder, first)..=(folder, last.max(first)));
        drafted.next().map(|(_, block)| block.clone())
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
        Ok(place.ok().map(|place| block.entries.remove(place)))
    }

    /// Flags with keywords as bits; new names get bits.
    ///
    /// # Errors
    /// [`Kind::Limit`] when all bits are taken.
    pub(crate) fn flags(&mut self, named: &NamedFlags) -> Result<Flags> {
        let mut flags = Flags::system(named.system);
        for name in &named.keywords {
            let known = self.draft.keywords.as_ref().unwrap_or(&self.cache.keywords);
            if let Some(bit) = known.bit(name) {
                flags.keywords |= bit;
                continue;
            }
            let mut known = known.clone();
            if known.0.len() >= Keywords::COUNT_MAX {
                let text = format!("A mailbox can have at most {} keywords", Keywords::COUNT_MAX);
                return Err(Error::new(Kind::Limit, text));
            }
            known.0.push(name.clone());
            flags.keywords |= known.bit(name).unwrap_or_default();
            self.draft.keywords = Some(known);
        }
        Ok(flags)
    }

    /// The bits of those keywords that exist; the others are passed over.
    pub(crate) fn known_flags(&self, named: &NamedFlags) -> Flags {
        let known = self.draft.keywords.as_ref().unwrap_or(&self.cache.keywords);
        let bits = named.keywords.iter().filter_map(|name| known.bit(name));
        Flags { system: named.system, keywords: bits.fold(0, |all, bit| all | bit) }
    }

    /// The keyword names as they are now.
    pub(crate) fn keywords(&self) -> Arc<Keywords> {
        match &self.draft.keywords {
            Some(keywords) => Arc::new(keywords.clone()),
            None => self.cache.keywords.clone(),
        }
    }

    /// Writes what has changed to the transaction; the last step before the commit.
    ///
    /// # Errors
    /// [`Kind::Internal`] if a row cannot be encoded.
    pub(crate) fn flush(mut self) -> Result<Draft> {
        self.draft.summary.writes += 1;
        self.draft.summary_row = rows::encode(&self.draft.summary)?;
        self.tx.set(&self.keys.summary(), &self.draft.summary_row);
        for (id, row) in &self.draft.folders {
            match row {
                _ if self.hidden == Some(*id) => {}
                Some(row) => self.tx.set(&self.keys.folder(*id), &rows::encode(row)?),
                None => self.tx.clear(&self.keys.folder(*id)),
            }
        }
        if let Some(hidden) = self.hidden {
            self.draft.folders.remove(&hidden);
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
