//! Questions to a mailbox: one file each for the longer ones, and the dispatch.

mod delta;
mod items;
mod view;

use crate::actor::MailboxActor;
use crate::cache::Cache;
use crate::context::Context;
use crate::retry::Attempts;
use crate::rows::keys::Keys;
use crate::rows::{FolderRow, meta};
use base::{Error, FolderId, Kind, Result, Uid};
use contract_mailbox::request::META_MAX;
use contract_mailbox::{FolderInfo, Keywords, MessageMeta, Principal, Read, ReadReply, Usage};
use contract_store::{BodyError, Isolation, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a question is answered from: the mailbox as it is at this moment.
pub(crate) struct Reader {
    pub(crate) context: Arc<Context>,
    pub(crate) keys: Keys,
    pub(crate) who: Principal,
    pub(crate) folders: Arc<BTreeMap<FolderId, FolderRow>>,
    pub(crate) keywords: Arc<Keywords>,
    subscriptions: Arc<BTreeSet<String>>,
    usage: Usage,
}

/// Whether a question is answered beside the actor.
pub(crate) fn is_long(request: &Read) -> bool {
    !matches!(
        request,
        Read::Folders
            | Read::Folder(_)
            | Read::Subscriptions
            | Read::View(_)
            | Read::Delta { .. }
            | Read::Usage
            | Read::Permissions(_)
    )
}

impl Reader {
    pub(crate) fn new(mailbox: &MailboxActor, who: Principal) -> Self {
        let Cache { summary, folders, keywords, subscriptions, .. } = &mailbox.cache;
        Self {
            context: mailbox.context.clone(),
            keys: mailbox.keys,
            who,
            folders: folders.clone(),
            keywords: keywords.clone(),
            subscriptions: subscriptions.clone(),
            usage: Usage {
                size_bytes: summary.size_bytes,
                items: summary.items,
                recoverable_bytes: summary.recoverable_bytes,
            },
        }
    }

    /// Answers a question that is not long.
    pub(crate) async fn answer(&self, request: Read) -> Result<ReadReply> {
        Ok(match request {
            Read::Folders => ReadReply::Folders(Arc::new(self.visible_folders())),
            Read::Folder(id) => ReadReply::Folder(Box::new(self.info(self.folder(id)?))),
            Read::Subscriptions => {
                ReadReply::Subscriptions(self.subscriptions.iter().cloned().collect())
            }
            Read::Usage => ReadReply::Usage(self.usage),
            Read::Permissions(id) => ReadReply::Permissions(self.folder(id)?.permissions.clone()),
            Read::View(id) => ReadReply::View(Box::new(view::read(self, id).await?)),
            Read::Delta { folder, since } => {
                ReadReply::Delta(Box::new(delta::read(self, folder, since).await?))
            }
            other => return Err(Error::internal(format!("{other:?} is a long read"))),
        })
    }

    /// Answers a long question, on a transaction that has its read version. When that becomes too
    /// old the rest is read at a newer one: rows of one message never change once written, so
    /// what can happen is that a message has gone meanwhile.
    pub(crate) async fn answer_long(
        &self,
        request: Read,
        tx: Box<dyn Transaction>,
    ) -> Result<ReadReply> {
        Ok(match request {
            Read::Meta { folder, mut uids } => {
                self.folder(folder)?;
                if uids.len() > META_MAX {
                    let text = format!("At most {META_MAX} messages can be asked for at once");
                    return Err(Error::new(Kind::Limit, text));
                }
                uids.sort_unstable();
                uids.dedup();
                ReadReply::Meta(self.metas(folder, &uids, &*tx).await?)
            }
            Read::Search { folder, search } => {
                ReadReply::Search(crate::search::run(self, folder, &search, &*tx).await?)
            }
            other => self.items(&other, &*tx).await?,
        })
    }

    async fn items(&self, request: &Read, tx: &dyn Transaction) -> Result<ReadReply> {
        let mut attempts = Attempts::default();
        loop {
            match items::read(self, request, tx).await {
                Ok(reply) => return Ok(reply),
                Err(BodyError::Refused(error)) => return Err(error),
                Err(BodyError::Store(error)) => attempts.again(tx, error).await?,
            }
        }
    }

    /// The meta of messages, by UID in ascending order; unknown ones are left out.
    pub(crate) async fn metas(
        &self,
        folder: FolderId,
        uids: &[Uid],
        tx: &dyn Transaction,
    ) -> Result<Vec<(Uid, Arc<MessageMeta>)>> {
        let search = self.folder(folder)?.search.is_some();
        let mut attempts = Attempts::default();
        loop {
            let found = match search {
                true => items::meta_of_members(self, tx, folder, uids).await,
                false => meta::read(tx, self.keys, folder, uids, Isolation::Snapshot).await,
            };
            match found {
                Ok(found) => return Ok(found),
                Err(BodyError::Refused(error)) => return Err(error),
                Err(BodyError::Store(error)) => attempts.again(tx, error).await?,
            }
        }
    }

    /// The mailbox's own replica in versions of items.
    pub(crate) fn replica(&self) -> [u8; 16] {
        crate::context::replica(&*self.context.control, self.keys.0)
    }

    /// A folder that has not been deleted.
    pub(crate) fn folder(&self, id: FolderId) -> Result<&FolderRow> {
        let row = self.folders.get(&id).filter(|row| row.deleted.is_none());
        row.ok_or_else(|| Error::not_found("The folder"))
    }

    /// A folder as the contract shows it.
    pub(crate) fn info(&self, row: &FolderRow) -> FolderInfo {
        let path = crate::cache::path(&self.folders, row.info.id);
        FolderInfo { subscribed: self.subscriptions.contains(&path), ..row.info.clone() }
    }

    /// All folders that are not deleted, parents before children.
    fn visible_folders(&self) -> Vec<FolderInfo> {
        let mut children: BTreeMap<Option<FolderId>, Vec<&FolderRow>> = BTreeMap::new();
        for row in self.folders.values().filter(|row| row.deleted.is_none()) {
            children.entry(row.info.parent).or_default().push(row);
        }
        let mut found = Vec::with_capacity(self.folders.len());
        let mut waiting = vec![None];
        while let Some(parent) = waiting.pop() {
            for row in children.remove(&parent).unwrap_or_default() {
                found.push(self.info(row));
                waiting.push(Some(row.info.id));
            }
        }
        found
    }
}
