//! What the owner of a mailbox keeps in memory between commands.
//!
//! The owner is the only writer, and every write reads the summary row and compares, so what is
//! here is what is stored. It is small: counters, folders, keyword names, subscriptions, and the
//! index blocks touched last.

use crate::rows::keys::Keys;
use crate::rows::meta::all_rows;
use crate::rows::{self, FolderRow, Summary};
use base::{Error, FolderId, Result};
use bytes::Bytes;
use contract_mailbox::{IndexBlock, Keywords};
use contract_store::{BodyError, Isolation, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many index blocks (of up to 256 messages, some 20 kB each) stay in memory for a mailbox.
const BLOCKS_MAX: usize = 32;

/// A mailbox in memory.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    /// The stored summary, and its bytes as they stand in the store.
    pub(crate) summary: Summary,
    pub(crate) summary_row: Bytes,
    /// Shared, so that a reader beside the actor has the folders of its moment.
    pub(crate) folders: Arc<BTreeMap<FolderId, FolderRow>>,
    /// Which of them are search folders.
    pub(crate) searches: BTreeSet<FolderId>,
    pub(crate) keywords: Arc<Keywords>,
    pub(crate) subscriptions: Arc<BTreeSet<String>>,
    pub(crate) blocks: HashMap<(FolderId, u32), Arc<IndexBlock>>,
    /// Under which number structures of messages are remembered, see `read::recall`.
    pub(crate) lineage: u64,
}

/// A number that nothing was remembered under so far.
pub(crate) fn new_lineage() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Cache {
    /// Loads a mailbox; `None` if it has never been used.
    pub(crate) async fn load(tx: &dyn Transaction, keys: Keys) -> Result<Option<Self>, BodyError> {
        let serializable = Isolation::Serializable;
        let (summary_key, keywords_key) = (keys.summary(), keys.keywords());
        let (folder_range, subscription_range) = (keys.folders(), keys.subscriptions());
        let (summary_row, keywords, folder_rows, subscriptions) = futures::try_join!(
            tx.get(&summary_key, serializable),
            tx.get(&keywords_key, serializable),
            all_rows(tx, &folder_range, serializable),
            all_rows(tx, &subscription_range, serializable),
        )?;
        let Some(summary_row) = summary_row else {
            return Ok(None);
        };
        let mut folders = BTreeMap::new();
        for row in folder_rows {
            let folder: FolderRow = rows::decode(&row.value, "folder")?;
            folders.insert(folder.info.id, folder);
        }
        Ok(Some(Self {
            summary: rows::decode(&summary_row, "summary")?,
            summary_row,
            searches: folders
                .values()
                .filter(|row| row.search.is_some())
                .map(|row| row.info.id)
                .collect(),
            folders: Arc::new(folders),
            keywords: Arc::new(match keywords {
                Some(row) => rows::decode_keywords(&row)?,
                None => Keywords::default(),
            }),
            subscriptions: Arc::new(
                subscriptions.iter().filter_map(|row| keys.parse_subscription(&row.key)).collect(),
            ),
            blocks: HashMap::new(),
            lineage: new_lineage(),
        }))
    }

    /// A folder's row.
    pub(crate) fn folder(&self, id: FolderId) -> Result<&FolderRow> {
        self.folders.get(&id).ok_or_else(|| Error::not_found("The folder"))
    }

    /// Keeps a block, and drops others when there are too many.
    pub(crate) fn remember_block(&mut self, folder: FolderId, block: Arc<IndexBlock>) {
        if self.blocks.len() >= BLOCKS_MAX {
            self.blocks.clear();
        }
        self.blocks.insert((folder, block.number), block);
    }
}

/// A folder's path within a set of folders. A damaged chain of parents ends the walk.
pub(crate) fn path(folders: &BTreeMap<FolderId, FolderRow>, id: FolderId) -> String {
    let mut names = Vec::new();
    let mut at = Some(id);
    while let Some(row) = at.and_then(|id| folders.get(&id)) {
        if row.info.parent.is_none() || names.len() > folders.len() {
            break;
        }
        names.push(row.info.name.as_str());
        at = row.info.parent;
    }
    names.reverse();
    names.join("/")
}
