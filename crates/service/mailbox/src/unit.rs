//! One command's unit of work: what it has changed so far, on top of the cache and in front of one
//! store transaction.
//!
//! Folders, counters and index blocks are changed here as values and written once, at the end
//! ([`Unit::flush`]); rows that only this command touches (items, meta, changes) go to the
//! transaction at once. Nothing of it reaches the cache before the commit has succeeded
//! ([`Draft::apply`]), so an attempt that fails leaves no trace.

mod draft;
mod index;

pub(crate) use draft::Draft;
pub(crate) use index::{Hidden, reserved};

use crate::authorise::{self, Standing};
use crate::cache::Cache;
use crate::context::Context;
use crate::rows::keys::Keys;
use crate::rows::{FolderRow, Summary};
use base::{Change, Error, FolderId, ItemId, Kind, QueueId, Result, Slot, Timestamp};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::{Account, Quota};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{Flags, FolderInfo, IndexBlock, Keywords, Principal};
use contract_store::Transaction;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest name of a keyword, in bytes.
const KEYWORD_BYTES_MAX: usize = 255;

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
    /// How many folders the mailbox has at most.
    pub(crate) folders_max: usize,
    /// Whether nothing may be purged.
    pub(crate) on_hold: bool,
    /// What the principal is to this mailbox.
    pub(crate) standing: Standing,
    /// A folder that a COPY in progress is filling, unless this is that COPY.
    pub(crate) reserved: Option<FolderId>,
    /// A folder whose new messages search folders do not show yet, because nobody may see them.
    pub(crate) unseen: Option<FolderId>,
    control: &'a dyn Control,
    cache: &'a Cache,
    draft: Draft,
    /// Index blocks that were read and not changed so far.
    read: BTreeMap<(FolderId, u32), Arc<IndexBlock>>,
    /// Of this folder all blocks from one number up to another are in `read`, drafted, or absent.
    scanned: Option<(FolderId, u32, u32)>,
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
            removes: false,
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
            folders_max: context.config.folders_max,
            on_hold: owner.litigation_hold,
            standing: Standing::of(owner, principal),
            reserved: None,
            unseen: None,
            control: &*context.control,
            cache,
            draft,
            read: BTreeMap::new(),
            scanned: None,
        }
    }

    /// The slot of an accepted message.
    pub(crate) fn queue_slot(&self, queue: QueueId) -> Slot {
        self.control.slot_of_queue(queue)
    }

    /// Which node this is.
    pub(crate) fn node(&self) -> base::NodeId {
        self.control.node()
    }

    /// What all nodes of the cluster understand.
    pub(crate) fn feature_level(&self) -> u32 {
        self.control.feature_level()
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
        self.read.retain(|(folder, _), _| *folder != id);
        self.draft.blocks.retain(|(folder, _), _| *folder != id);
    }

    /// Takes a folder's row away.
    pub(crate) fn remove_folder(&mut self, id: FolderId) {
        self.draft.folders.insert(id, None);
        self.draft.removes = true;
    }

    /// The subscriptions before the command.
    pub(crate) fn subscriptions(&self) -> &BTreeSet<String> {
        &self.cache.subscriptions
    }

    /// Subscribes to a path, or ends that.
    pub(crate) fn subscribe(&mut self, path: String, on: bool) {
        self.draft.subscriptions.insert(path, on);
    }

    /// Refuses a principal that has not all of these rights in a folder (see
    /// [`contract_mailbox::Permission`]).
    ///
    /// # Errors
    /// [`Kind::Denied`]; [`Kind::NotFound`].
    pub(crate) fn require(&self, folder: FolderId, rights: u32) -> Result<()> {
        authorise::check(self.standing, &self.folder(folder)?.permissions, rights)
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
            if name.is_empty() || name.len() > KEYWORD_BYTES_MAX {
                let text = format!("A keyword has 1 to {KEYWORD_BYTES_MAX} bytes");
                return Err(Error::new(Kind::Limit, text));
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
}
