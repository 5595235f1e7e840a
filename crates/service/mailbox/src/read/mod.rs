//! Questions to a mailbox: one file each for the longer ones, and the dispatch.

mod delta;
mod entries;
mod items;
mod recall;
mod view;

pub(crate) use recall::Metas;

use crate::actor::MailboxActor;
use crate::authorise::{self, Need, Standing};
use crate::cache::Cache;
use crate::context::Context;
use crate::retry::Attempts;
use crate::rows::keys::Keys;
use crate::rows::meta::{self, Found};
use crate::rows::{self, FolderRow};
use base::{Change, Error, FolderId, Kind, Result, Uid};
use contract_directory::Account;
use contract_mailbox::request::META_MAX;
use contract_mailbox::{
    FolderInfo, Keywords, MetaPage, Permission, Principal, Read, ReadReply, Usage,
};
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
    standing: Standing,
    subscriptions: Arc<BTreeSet<String>>,
    usage: Usage,
    /// See [`Cache::lineage`].
    lineage: u64,
}

impl Reader {
    pub(crate) fn new(mailbox: &MailboxActor, owner: &Account, who: Principal) -> Self {
        let Cache { summary, folders, keywords, subscriptions, .. } = &mailbox.cache;
        Self {
            context: mailbox.context.clone(),
            keys: mailbox.keys,
            who,
            standing: Standing::of(owner, who),
            folders: folders.clone(),
            keywords: keywords.clone(),
            subscriptions: subscriptions.clone(),
            usage: Usage {
                size_bytes: summary.size_bytes,
                items: summary.items,
                recoverable_bytes: summary.recoverable_bytes,
            },
            lineage: mailbox.cache.lineage,
        }
    }

    /// Refuses a principal that has not the rights for a question.
    pub(crate) fn may(&self, request: &Read) -> Result<()> {
        if self.standing == Standing::Whole {
            return Ok(());
        }
        let need = authorise::of_read(request);
        let one = |id| self.folder(id).map(|row| &row.permissions[..]);
        let all = self.folders.values().map(|row| &row.permissions[..]);
        authorise::satisfied(self.standing, &need, one, all)?;
        let Need::In(folders) = need else { return Ok(()) };
        for (id, rights) in folders {
            let row = self.folder(id)?;
            if !self.sees(row) {
                return Err(Error::denied("No right to see the folder"));
            }
            // Who looks through a search folder looks into the folders that it searches.
            for source in row.search.iter().flat_map(|(scope, _)| scope) {
                authorise::check(self.standing, &self.folder(*source)?.permissions, rights)?;
            }
        }
        Ok(())
    }

    /// Refuses a principal that may not read the items of a folder.
    pub(crate) fn may_read_in(&self, row: &FolderRow) -> Result<()> {
        authorise::check(self.standing, &row.permissions, Permission::READ_ANY)
    }

    /// Whether a folder still knows what has gone since a change, at the transaction's version;
    /// asked where that is newer than the reader's moment, since compacting may have come between.
    pub(crate) async fn knows_since(
        &self,
        tx: &dyn Transaction,
        folder: FolderId,
        since: Change,
    ) -> Result<bool, BodyError> {
        let row = tx.get(&self.keys.folder(folder), Isolation::Snapshot).await?;
        let row: Option<FolderRow> = row.map(|row| rows::decode(&row, "folder")).transpose()?;
        Ok(row.is_some_and(|row| since >= row.compacted))
    }

    fn sees(&self, row: &FolderRow) -> bool {
        authorise::sees(self.standing, &row.permissions)
    }

    /// Answers a question from memory alone, where that suffices.
    pub(crate) fn at_once(&self, request: &Read) -> Result<Option<ReadReply>> {
        Ok(Some(match request {
            Read::Folders => ReadReply::Folders(Arc::new(self.visible_folders())),
            Read::Folder(id) => ReadReply::Folder(Box::new(self.info(self.folder(*id)?))),
            Read::Subscriptions => {
                ReadReply::Subscriptions(self.subscriptions.iter().cloned().collect())
            }
            Read::Usage => ReadReply::Usage(self.usage),
            Read::Rights => ReadReply::Rights(self.rights()),
            Read::Permissions(id) => ReadReply::Permissions(self.folder(*id)?.permissions.clone()),
            Read::Delta { folder, since } => match delta::known(self, *folder, *since)? {
                Some(delta) => ReadReply::Delta(Box::new(delta)),
                None => return Ok(None),
            },
            Read::Meta { folder, uids } => match self.recalled(*folder, uids)? {
                Some(page) => ReadReply::Meta(page.found),
                None => return Ok(None),
            },
            Read::MetaPage { folder, uids } => match self.recalled(*folder, uids)? {
                Some(page) => ReadReply::MetaPage(page),
                None => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    /// Answers a question beside the actor, on a transaction that has its read version. When that
    /// becomes too old the rest is read at a newer one: rows of one message never change once
    /// written, so what can happen is that a message has gone meanwhile, or that a view or delta
    /// shows flags that are newer than its moment; the next delta tells them again.
    pub(crate) async fn answer(
        &self,
        request: Read,
        tx: Box<dyn Transaction>,
    ) -> Result<ReadReply> {
        Ok(match request {
            Read::Meta { folder, uids } => {
                let page = self.page(folder, uids, &*tx).await?;
                if page.next.is_some() {
                    let text = "The structures are too large together; ask for fewer";
                    return Err(Error::new(Kind::Limit, text));
                }
                ReadReply::Meta(page.found)
            }
            Read::MetaPage { folder, uids } => {
                ReadReply::MetaPage(self.page(folder, uids, &*tx).await?)
            }
            Read::Search { folder, search } => {
                ReadReply::Search(crate::search::run(self, folder, &search, &*tx).await?)
            }
            Read::Sort { folder, search, order } => {
                ReadReply::Search(crate::order::sort(self, folder, &search, &order, &*tx).await?)
            }
            Read::Threads { folder, search, threading } => {
                let threads = crate::order::threads(self, folder, &search, threading, &*tx);
                ReadReply::Threads(threads.await?)
            }
            Read::View(folder) => {
                let mut attempts = Attempts::default();
                loop {
                    match view::read(self, &*tx, folder).await {
                        Ok(view) => break ReadReply::View(Box::new(view)),
                        Err(error) => attempts.after(&*tx, error).await?,
                    }
                }
            }
            Read::Delta { folder, since } => {
                let mut attempts = Attempts::default();
                loop {
                    match delta::read(self, &*tx, folder, since, attempts.any()).await {
                        Ok(delta) => break ReadReply::Delta(Box::new(delta)),
                        Err(error) => attempts.after(&*tx, error).await?,
                    }
                }
            }
            other => self.items(&other, &*tx).await?,
        })
    }

    async fn page(
        &self,
        folder: FolderId,
        mut uids: Vec<Uid>,
        tx: &dyn Transaction,
    ) -> Result<MetaPage> {
        if uids.len() > META_MAX {
            let text = format!("At most {META_MAX} messages can be asked for at once");
            return Err(Error::new(Kind::Limit, text));
        }
        uids.sort_unstable();
        uids.dedup();
        let each: &meta::Each<'_> = &|uid, meta, bytes| self.remember(folder, uid, meta, bytes);
        let (found, next) = self.metas_each(folder, &uids, tx, each).await?;
        Ok(MetaPage { found, next })
    }

    async fn items(&self, request: &Read, tx: &dyn Transaction) -> Result<ReadReply> {
        let mut attempts = Attempts::default();
        loop {
            match items::read(self, request, tx, attempts.any()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => attempts.after(tx, error).await?,
            }
        }
    }

    /// The meta of messages, by UID in ascending order, as many from the first on as
    /// [`meta::read`] gives, and where to go on. Unknown ones are left out, and what an unfinished
    /// bulk copy has put.
    pub(crate) async fn metas(
        &self,
        folder: FolderId,
        uids: &[Uid],
        tx: &dyn Transaction,
    ) -> Result<(Found, Option<Uid>)> {
        self.metas_each(folder, uids, tx, &|_, _, _| {}).await
    }

    /// The same, telling of each that is read in its own folder.
    async fn metas_each(
        &self,
        folder: FolderId,
        uids: &[Uid],
        tx: &dyn Transaction,
        each: &meta::Each<'_>,
    ) -> Result<(Found, Option<Uid>)> {
        let row = self.folder(folder)?;
        let search = row.search.is_some();
        let uids = &uids[..uids.partition_point(|uid| *uid < row.info.uid_next)];
        let mut attempts = Attempts::default();
        loop {
            let found = match search {
                true => items::meta_of_members(self, tx, folder, uids).await,
                false => {
                    meta::read_each(tx, self.keys, folder, uids, Isolation::Snapshot, each).await
                }
            };
            match found {
                Ok(found) => return Ok(found),
                Err(error) => attempts.after(tx, error).await?,
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

    /// What may be done in each folder that is seen.
    fn rights(&self) -> Vec<(FolderId, u32)> {
        let there = self.folders.values().filter(|row| row.deleted.is_none() && self.sees(row));
        let rights = |row: &FolderRow| self.standing.rights(&row.permissions) & Permission::ALL;
        there.map(|row| (row.info.id, rights(row))).collect()
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
                if self.sees(row) {
                    found.push(self.info(row));
                }
                waiting.push(Some(row.info.id));
            }
        }
        found
    }
}
