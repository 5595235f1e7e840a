//! One mailbox, as one session sees it: a method for each request, with its own reply type.

use crate::folder::{FolderClass, FolderInfo, SpecialUse};
use crate::index::{FolderView, NamedFlags, ViewDelta};
use crate::item::{
    CollectionState, Edited, Item, ItemChange, ItemEdit, NewItem, Permission, Usage,
};
use crate::message::{Delivered, Delivery, MessageMeta, NewMessage, Outgoing};
use crate::order::{Order, ThreadEntry, Threading};
use crate::request::{Copied, MetaPage, Read, ReadReply, StoreMode, Stored, Write, WriteReply};
use crate::search::Search;
use crate::uidset::UidSet;
use crate::{Mailboxes, Principal};
use base::{
    AccountId, Change, CommandId, Deadline, Error, FolderId, ItemId, Kind, QueueId, Result,
    SessionId, Uid,
};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A command is sent again if it has failed sooner than this: a router that has looked for an owner
/// for longer has sent it again itself, and the client is to be answered within ten seconds.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);

/// A session's way to one mailbox. Numbers the session's commands; cheap to share.
pub struct MailboxHandle {
    mailboxes: Arc<dyn Mailboxes>,
    mailbox: AccountId,
    principal: Principal,
    session: SessionId,
    sequence: AtomicU64,
}

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty {
        $request:expr => $reply:pat => $value:expr
    })*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`Mailboxes::read`].
        pub async fn $name(&self, $($arg: $type),*) -> Result<$out> {
            match self.read($request).await? {
                $reply => Ok($value),
                other => Err(unexpected(stringify!($name), &other)),
            }
        }
    )*};
}

macro_rules! writes {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty {
        $request:expr => $reply:pat => $value:expr
    })*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`Mailboxes::write`].
        pub async fn $name(&self, $($arg: $type),*) -> Result<$out> {
            match self.write($request).await? {
                $reply => Ok($value),
                other => Err(unexpected(stringify!($name), &other)),
            }
        }
    )*};
}

impl MailboxHandle {
    /// A handle for a session that acts as `principal`.
    pub fn new(
        mailboxes: Arc<dyn Mailboxes>,
        mailbox: AccountId,
        principal: Principal,
        session: SessionId,
    ) -> Self {
        Self { mailboxes, mailbox, principal, session, sequence: AtomicU64::new(0) }
    }

    /// Which mailbox.
    pub fn mailbox(&self) -> AccountId {
        self.mailbox
    }

    /// Wake-ups, see [`Mailboxes::watch`].
    pub fn watch(&self) -> watch::Receiver<Change> {
        self.mailboxes.watch(self.mailbox)
    }

    /// Asks.
    ///
    /// # Errors
    /// As [`Mailboxes::read`].
    pub async fn read(&self, request: Read) -> Result<ReadReply> {
        self.mailboxes.read(self.mailbox, self.principal, request).await
    }

    /// Changes, under the session's next command id.
    ///
    /// # Errors
    /// As [`Mailboxes::write`].
    pub async fn write(&self, request: Write) -> Result<WriteReply> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let command = CommandId { session: self.session, sequence };
        let (mailbox, principal) = (self.mailbox, self.principal);
        let early = Deadline::after(AGAIN_WITHIN);
        let first = self.mailboxes.write(mailbox, principal, command, request.clone()).await;
        match first {
            // The owner changed, or stopped before it answered. The same command may be sent
            // again: if it was applied, its stored answer comes back.
            Err(error)
                if matches!(error.kind, Kind::Fenced | Kind::Unavailable)
                    && !early.has_passed() =>
            {
                self.mailboxes.write(mailbox, principal, command, request).await
            }
            other => other,
        }
    }

    /// Makes a chain of folders, all or none; gives the last one. While the cluster is upgraded
    /// they are made one by one, and those that were are removed again if one cannot be: somebody
    /// may see some of them meanwhile.
    ///
    /// # Errors
    /// As [`Mailboxes::write`].
    pub async fn create_folders(
        &self,
        parent: FolderId,
        names: Vec<String>,
        class: FolderClass,
    ) -> Result<FolderInfo> {
        let request = Write::CreateFolders { parent, names, class };
        if request.level() > self.mailboxes.feature_level()
            && let Write::CreateFolders { parent, names, class } = request
        {
            return self.create_one_by_one(parent, names, class).await;
        }
        match self.write(request).await? {
            WriteReply::Folder(info) => Ok(*info),
            other => Err(unexpected("create_folders", &other)),
        }
    }

    async fn create_one_by_one(
        &self,
        parent: FolderId,
        names: Vec<String>,
        class: FolderClass,
    ) -> Result<FolderInfo> {
        let mut made: Vec<FolderInfo> = Vec::with_capacity(names.len());
        for name in names {
            let below = made.last().map_or(parent, |folder| folder.id);
            match self.create_folder(below, name, class, None).await {
                Ok(folder) => made.push(folder),
                Err(error) => {
                    for folder in made.iter().rev() {
                        // What cannot be removed is an empty folder too many.
                        if self.delete_folder(folder.id).await.is_err() {
                            break;
                        }
                    }
                    return Err(error);
                }
            }
        }
        made.pop().ok_or_else(|| Error::invalid("A folder needs a name"))
    }

    reads! {
        /// All folders, parents before children.
        folders() -> Arc<Vec<FolderInfo>> {
            Read::Folders => ReadReply::Folders(folders) => folders
        }
        /// One folder.
        folder(folder: FolderId) -> FolderInfo {
            Read::Folder(folder) => ReadReply::Folder(info) => *info
        }
        /// Subscribed paths.
        subscriptions() -> Vec<String> {
            Read::Subscriptions => ReadReply::Subscriptions(paths) => paths
        }
        /// A folder's whole index.
        view(folder: FolderId) -> FolderView {
            Read::View(folder) => ReadReply::View(view) => *view
        }
        /// What happened to a folder since a change number.
        delta(folder: FolderId, since: Change) -> ViewDelta {
            Read::Delta { folder, since } => ReadReply::Delta(delta) => *delta
        }
        /// What is needed to answer FETCH.
        meta(folder: FolderId, uids: Vec<Uid>) -> Vec<(Uid, Arc<MessageMeta>)> {
            Read::Meta { folder, uids } => ReadReply::Meta(found) => found
        }
        /// The same in pages that are bounded by bytes, see [`Read::MetaPage`].
        meta_page(folder: FolderId, uids: Vec<Uid>) -> MetaPage {
            Read::MetaPage { folder, uids } => ReadReply::MetaPage(page) => page
        }
        /// The messages that fulfil a condition.
        search(folder: FolderId, search: Search) -> Vec<Uid> {
            Read::Search { folder, search } => ReadReply::Search(uids) => uids
        }
        /// The messages that fulfil a condition, in an order.
        sort(folder: FolderId, search: Search, order: Vec<Order>) -> Vec<Uid> {
            Read::Sort { folder, search, order } => ReadReply::Search(uids) => uids
        }
        /// The messages that fulfil a condition, in threads.
        threads(folder: FolderId, search: Search, threading: Threading) -> Vec<ThreadEntry> {
            Read::Threads { folder, search, threading } => ReadReply::Threads(entries) => entries
        }
        /// How much the mailbox holds.
        usage() -> Usage {
            Read::Usage => ReadReply::Usage(usage) => usage
        }
        /// One item.
        item(item: ItemId) -> Item {
            Read::Item(item) => ReadReply::Item(item) => *item
        }
        /// Changes of items, and whether there are more.
        item_changes(folder: FolderId, since: Change, limit: usize) -> (Vec<ItemChange>, bool) {
            Read::ItemChanges { folder, since, limit } =>
                ReadReply::ItemChanges(changes, more) => (changes, more)
        }
        /// An item by DAV resource name.
        by_href(folder: FolderId, href: String) -> Item {
            Read::ByHref { folder, href } => ReadReply::Item(item) => *item
        }
        /// An item by SourceKey.
        by_source_key(folder: FolderId, source_key: Bytes) -> Item {
            Read::BySourceKey { folder, source_key } => ReadReply::Item(item) => *item
        }
        /// A device's state of a collection.
        collection_state(device: String, folder: FolderId) -> CollectionState {
            Read::CollectionState { device, folder } => ReadReply::CollectionState(state) => state
        }
        /// The UIDs that the principal has read, where that is kept per user.
        read_by(folder: FolderId) -> UidSet {
            Read::ReadBy { folder } => ReadReply::ReadBy(uids) => uids
        }
        /// A folder's permissions.
        permissions(folder: FolderId) -> Vec<Permission> {
            Read::Permissions(folder) => ReadReply::Permissions(permissions) => permissions
        }
        /// What the principal may do in each folder that it may see.
        rights() -> Vec<(FolderId, u32)> {
            Read::Rights => ReadReply::Rights(rights) => rights
        }
    }

    writes! {
        /// Makes a folder.
        create_folder(parent: FolderId, name: String, class: FolderClass, role: Option<SpecialUse>)
            -> FolderInfo {
            Write::CreateFolder { parent, name, class, role } => WriteReply::Folder(info) => *info
        }
        /// Renames or moves a folder.
        rename_folder(folder: FolderId, parent: FolderId, name: String) -> FolderInfo {
            Write::RenameFolder { folder, parent, name } => WriteReply::Folder(info) => *info
        }
        /// Removes a folder.
        delete_folder(folder: FolderId) -> () {
            Write::DeleteFolder(folder) => WriteReply::Done => ()
        }
        /// Subscribes to a path, or ends that.
        subscribe(path: String, on: bool) -> () {
            Write::Subscribe { path, on } => WriteReply::Done => ()
        }
        /// Appends messages: UIDVALIDITY and their UIDs.
        append(folder: FolderId, messages: Vec<NewMessage>) -> (u32, Vec<Uid>) {
            Write::Append { folder, messages } =>
                WriteReply::Appended { uid_validity, uids } => (uid_validity, uids)
        }
        /// Changes flags.
        store(folder: FolderId, uids: UidSet, mode: StoreMode, flags: NamedFlags,
            unchanged_since: Option<Change>) -> Stored {
            Write::Store { folder, uids, mode, flags, unchanged_since } =>
                WriteReply::Stored(stored) => stored
        }
        /// Copies messages.
        copy(from: FolderId, uids: UidSet, to: FolderId) -> Copied {
            Write::Copy { from, uids, to } => WriteReply::Copied(copied) => copied
        }
        /// Moves messages.
        move_messages(from: FolderId, uids: UidSet, to: FolderId) -> Copied {
            Write::Move { from, uids, to } => WriteReply::Copied(copied) => copied
        }
        /// Removes messages that have \Deleted.
        expunge(folder: FolderId, uids: Option<UidSet>) -> UidSet {
            Write::Expunge { folder, uids } => WriteReply::Expunged(uids) => uids
        }
        /// Takes the \Recent state; gives the first recent UID.
        claim_recent(folder: FolderId) -> Uid {
            Write::ClaimRecent(folder) => WriteReply::Recent(uid) => uid
        }
        /// Delivers a queued message.
        deliver(delivery: Delivery) -> Delivered {
            Write::Deliver(Box::new(delivery)) => WriteReply::Delivered(delivered) => delivered
        }
        /// Sends a message.
        submit(outgoing: Outgoing) -> QueueId {
            Write::Submit(Box::new(outgoing)) => WriteReply::Submitted(queue) => queue
        }
        /// Reserves item ids: the first, and how many.
        reserve_ids(count: u64) -> (ItemId, u64) {
            Write::ReserveIds { count } => WriteReply::Reserved(first, count) => (first, count)
        }
        /// Makes an item.
        create_item(folder: FolderId, item: NewItem) -> Edited {
            Write::CreateItem { folder, item: Box::new(item) } =>
                WriteReply::Edited(edited) => edited
        }
        /// Changes an item.
        edit_item(item: ItemId, edit: ItemEdit) -> Edited {
            Write::EditItem { item, edit: Box::new(edit) } => WriteReply::Edited(edited) => edited
        }
        /// Sets the read state.
        set_read(items: Vec<ItemId>, read: bool) -> () {
            Write::SetRead { items, read } => WriteReply::Done => ()
        }
        /// Removes items by id.
        delete_items(folder: FolderId, items: Vec<ItemId>, hard: bool) -> () {
            Write::DeleteItems { folder, items, hard } => WriteReply::Done => ()
        }
        /// Makes a search folder.
        create_search_folder(parent: FolderId, name: String, scope: Vec<FolderId>, search: Search)
            -> FolderInfo {
            Write::CreateSearchFolder { parent, name, scope, search } =>
                WriteReply::Folder(info) => *info
        }
        /// Stores a device's new state of a collection.
        set_collection_state(device: String, folder: FolderId, latest: Bytes) -> () {
            Write::SetCollectionState { device, folder, latest } => WriteReply::Done => ()
        }
        /// Replaces a folder's permissions.
        set_permissions(folder: FolderId, permissions: Vec<Permission>) -> () {
            Write::SetPermissions { folder, permissions } => WriteReply::Done => ()
        }
        /// Changes what one account may do in a folder.
        grant(folder: FolderId, account: AccountId, mode: StoreMode, rights: u32) -> () {
            Write::Grant { folder, account, mode, rights } => WriteReply::Done => ()
        }
        /// Keeps a folder's read state for each user, or for all alike.
        set_read_per_user(folder: FolderId, on: bool) -> () {
            Write::SetReadPerUser { folder, on } => WriteReply::Done => ()
        }
        /// Removes the mailbox of an account that is no more.
        purge() -> () {
            Write::Purge => WriteReply::Done => ()
        }
    }
}

fn unexpected(request: &str, reply: &dyn std::fmt::Debug) -> Error {
    let reply: String = format!("{reply:?}").chars().take(80).collect();
    Error::internal(format!("{request} was answered with {reply}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::folder::{FolderCounts, FolderKind};
    use async_trait::async_trait;
    use std::future::Future;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    /// Makes folders but those of one name, and notes what it was asked.
    struct Owner {
        level: u32,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Mailboxes for Owner {
        async fn read(&self, _: AccountId, _: Principal, request: Read) -> Result<ReadReply> {
            Err(Error::internal(format!("{request:?}")))
        }

        async fn write(
            &self,
            _: AccountId,
            _: Principal,
            _: CommandId,
            request: Write,
        ) -> Result<WriteReply> {
            let mut asked = self.asked.lock().unwrap();
            let made = |parent: FolderId, depth: u64, name: &str| match name {
                "taken" => Err(Error::new(Kind::AlreadyExists, "It is there")),
                name => Ok(WriteReply::Folder(Box::new(folder(parent.0 + depth, name)))),
            };
            match &request {
                Write::CreateFolders { parent, names, .. } => {
                    asked.push(format!("{} in {}", names.join("/"), parent.0));
                    made(*parent, names.len() as u64, names.last().unwrap())
                }
                Write::CreateFolder { parent, name, .. } => {
                    asked.push(format!("{name} in {}", parent.0));
                    made(*parent, 1, name)
                }
                Write::DeleteFolder(folder) => {
                    asked.push(format!("not {}", folder.0));
                    Ok(WriteReply::Done)
                }
                other => Err(Error::internal(format!("{other:?}"))),
            }
        }

        fn watch(&self, _: AccountId) -> watch::Receiver<Change> {
            watch::channel(Change(0)).1
        }

        fn feature_level(&self) -> u32 {
            self.level
        }
    }

    fn folder(id: u64, name: &str) -> FolderInfo {
        FolderInfo {
            id: FolderId(id),
            parent: None,
            name: name.into(),
            class: FolderClass::Mail,
            kind: FolderKind::Normal,
            role: None,
            hidden: false,
            subscribed: false,
            counts: FolderCounts::default(),
            uid_validity: 1,
            uid_next: Uid(1),
            highest_change: Change(0),
            recent_from: Uid(1),
            own_change: Change(0),
        }
    }

    fn check(level: u32, names: &[&str], made: Result<u64, Kind>, asked: &[&str]) {
        let owner = Arc::new(Owner { level, asked: Mutex::default() });
        let session = SessionId(1);
        let handle = MailboxHandle::new(owner.clone(), AccountId(1), Principal::System, session);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let call = std::pin::pin!(handle.create_folders(FolderId(10), names, FolderClass::Mail));
        let Poll::Ready(answer) = call.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing is waited for");
        };
        assert_eq!(answer.map(|folder| folder.id.0).map_err(|error| error.kind), made);
        assert_eq!(*owner.asked.lock().unwrap(), asked);
    }

    #[test]
    fn a_chain_of_folders_is_asked_for_as_every_owner_understands_it() {
        check(2, &["a", "b", "c"], Ok(13), &["a/b/c in 10"]);
        check(u32::MAX, &["a"], Ok(11), &["a in 10"]);
        check(1, &["a", "b", "c"], Ok(13), &["a in 10", "b in 11", "c in 12"]);
        check(1, &["taken"], Err(Kind::AlreadyExists), &["taken in 10"]);
        let undone = ["a in 10", "b in 11", "taken in 12", "not 12", "not 11"];
        check(1, &["a", "b", "taken"], Err(Kind::AlreadyExists), &undone);
        check(1, &[], Err(Kind::Invalid), &[]);
    }
}
