//! What the cases work with: one account's mailbox, through a client that does not give up.

use super::{DOMAIN, World};
use crate::index::NamedFlags;
use crate::{
    Content, Edited, Flags, IndexEntry, Item, ItemEdit, MailboxHandle, Mailboxes, NewItem,
    NewMessage, Principal, Properties, PropertyName, PropertyValue, Read, ReadReply, SpecialUse,
    Staged, SystemFlags, UidSet, Write, WriteReply,
};
use async_trait::async_trait;
use base::{
    AccountId, Address, Change, CommandId, Error, FolderId, ItemId, Kind, Result, SessionId, Uid,
};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Asks again where the answer is "not now", as the router and every client would: the same
/// command under the same id.
struct Steady {
    world: Arc<dyn World>,
    mailboxes: Arc<dyn Mailboxes>,
}

/// How often it asks. Each attempt is many of the store's.
const ATTEMPTS_MAX: usize = 60;

fn is_passing(error: &Error) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::Timeout | Kind::Overloaded | Kind::Fenced)
}

#[async_trait]
impl Mailboxes for Steady {
    async fn read(&self, mailbox: AccountId, who: Principal, request: Read) -> Result<ReadReply> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.mailboxes.read(mailbox, who, request.clone()).await {
                Err(error) if is_passing(&error) && attempts < ATTEMPTS_MAX => {
                    self.world.pass(Duration::from_millis(300)).await;
                }
                result => return result,
            }
        }
    }

    async fn write(
        &self,
        mailbox: AccountId,
        who: Principal,
        command: CommandId,
        request: Write,
    ) -> Result<WriteReply> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.mailboxes.write(mailbox, who, command, request.clone()).await {
                Err(error) if is_passing(&error) && attempts < ATTEMPTS_MAX => {
                    self.world.pass(Duration::from_millis(300)).await;
                }
                result => return result,
            }
        }
    }

    fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        self.mailboxes.watch(mailbox)
    }

    async fn shared_with(&self, guest: AccountId, limit: usize) -> Result<Vec<AccountId>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.mailboxes.shared_with(guest, limit).await {
                Err(error) if is_passing(&error) && attempts < ATTEMPTS_MAX => {
                    self.world.pass(Duration::from_millis(300)).await;
                }
                result => return result,
            }
        }
    }
}

/// One account at work in its mailbox.
pub(super) struct Desk {
    pub(super) world: Arc<dyn World>,
    pub(super) mailboxes: Arc<dyn Mailboxes>,
    pub(super) account: AccountId,
    pub(super) name: String,
    /// A session of the owner.
    pub(super) me: MailboxHandle,
}

pub(super) const SUBJECT: PropertyName = PropertyName::Tag(0x0037);
pub(super) const BODY: PropertyName = PropertyName::Tag(0x1000);

pub(super) fn inbox() -> FolderId {
    SpecialUse::Inbox.folder_id()
}

pub(super) fn trash() -> FolderId {
    SpecialUse::Trash.folder_id()
}

pub(super) fn calendar() -> FolderId {
    SpecialUse::Calendar.folder_id()
}

impl Desk {
    pub(super) async fn new(world: Arc<dyn World>, name: &str) -> Self {
        let steady = Steady { world: world.clone(), mailboxes: world.mailboxes() };
        let mailboxes: Arc<dyn Mailboxes> = Arc::new(steady);
        let account = world.account(name).await;
        let session = SessionId(world.random());
        let who = Principal::Account(account);
        let me = MailboxHandle::new(mailboxes.clone(), account, who, session);
        Self { world, mailboxes, account, name: name.to_owned(), me }
    }

    /// Another account in the same world.
    pub(super) async fn colleague(&self, name: &str) -> Self {
        Self::new(self.world.clone(), name).await
    }

    pub(super) fn address(&self) -> Address {
        Address::new(self.name.as_str(), DOMAIN)
    }

    /// Another session on this mailbox.
    pub(super) fn session_of(&self, who: Principal) -> MailboxHandle {
        let session = SessionId(self.world.random());
        MailboxHandle::new(self.mailboxes.clone(), self.account, who, session)
    }

    /// Uploads bytes, again if the store fails meanwhile.
    pub(super) async fn stage(&self, bytes: &[u8]) -> Staged {
        let whole = Bytes::copy_from_slice(bytes);
        for _ in 0..ATTEMPTS_MAX {
            match self.upload(&whole).await {
                Ok(staged) => return staged,
                Err(error) if is_passing(&error) => {
                    self.world.pass(Duration::from_millis(300)).await;
                }
                Err(error) => panic!("the upload failed: {error}"),
            }
        }
        panic!("the upload never came to an end");
    }

    async fn upload(&self, bytes: &Bytes) -> Result<Staged> {
        let mut upload = self.world.blobs().upload();
        for begin in (0..bytes.len()).step_by(64 * 1024) {
            upload.write(bytes.slice(begin..bytes.len().min(begin + 64 * 1024))).await?;
        }
        upload.finish().await
    }

    /// Reads a content, again if the store fails meanwhile.
    pub(super) async fn bytes_of(&self, content: &Content) -> Bytes {
        for _ in 0..ATTEMPTS_MAX {
            match content.read_all(&self.world.blobs(), 1 << 20).await {
                Ok(bytes) => return bytes,
                Err(error) if is_passing(&error) => {
                    self.world.pass(Duration::from_millis(300)).await;
                }
                Err(error) => panic!("the content cannot be read: {error}"),
            }
        }
        panic!("the content never came");
    }

    /// A message with these bytes.
    pub(super) async fn message(&self, bytes: &[u8]) -> NewMessage {
        let staged = self.stage(bytes).await;
        NewMessage {
            content: Content::of(&staged),
            staged: vec![staged],
            parsed: Arc::new(codec_mime::parse(bytes)),
            flags: NamedFlags::default(),
            received: None,
        }
    }

    /// Appends short messages with these subjects; gives their UIDs.
    pub(super) async fn append(&self, folder: FolderId, subjects: &[&str]) -> Vec<Uid> {
        let mut messages = Vec::new();
        for subject in subjects {
            messages.push(self.message(&text_of(subject)).await);
        }
        self.me.append(folder, messages).await.unwrap().1
    }

    /// All entries of a folder.
    pub(super) async fn entries(&self, folder: FolderId) -> Vec<IndexEntry> {
        self.me.view(folder).await.unwrap().entries().copied().collect()
    }

    /// The items of a folder, in order of UID.
    pub(super) async fn items_in(&self, folder: FolderId) -> Vec<ItemId> {
        self.entries(folder).await.iter().map(|entry| entry.item).collect()
    }

    /// The subjects of a folder's messages, in order of UID.
    pub(super) async fn subjects(&self, folder: FolderId) -> Vec<String> {
        let uids = self.entries(folder).await.iter().map(|entry| entry.uid).collect();
        let metas = self.me.meta(folder, uids).await.unwrap();
        let subject = |meta: &crate::MessageMeta| {
            String::from_utf8(meta.parsed.envelope.subject.clone().unwrap().to_vec()).unwrap()
        };
        metas.iter().map(|(_, meta)| subject(meta)).collect()
    }

    /// The bytes that FETCH shows of a message.
    pub(super) async fn fetch(&self, folder: FolderId, uid: Uid) -> Bytes {
        let metas = self.me.meta(folder, vec![uid]).await.unwrap();
        assert_eq!(metas.len(), 1, "{uid} can be fetched");
        let meta = &metas[0].1;
        let bytes = self.bytes_of(&meta.content).await;
        assert_eq!(bytes.len() as u64, meta.parsed.size_bytes);
        assert_eq!(codec_mime::parse(&bytes), meta.parsed, "what was parsed fits the bytes");
        bytes
    }

    /// Makes an item of properties only.
    pub(super) async fn make(&self, folder: FolderId, new: NewItem) -> ItemId {
        applied(self.me.create_item(folder, new).await.unwrap()).0
    }

    /// Sets properties of an item; gives its new content change.
    pub(super) async fn set(&self, item: ItemId, set: Properties) -> Change {
        let edit = ItemEdit { set, ..ItemEdit::default() };
        applied(self.me.edit_item(item, edit).await.unwrap()).1
    }

    pub(super) async fn item(&self, item: ItemId) -> Item {
        self.me.item(item).await.unwrap()
    }
}

/// The bytes of a short message.
pub(super) fn text_of(subject: &str) -> Vec<u8> {
    let mut text = format!("From: Bob <bob@example.org>\r\nTo: alice@{DOMAIN}\r\n");
    text += &format!("Subject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\n");
    text += &format!("This is {subject}.\r\n");
    text.into_bytes()
}

/// An item with a subject and a text.
pub(super) fn note(subject: &str, body: &str) -> NewItem {
    let mut item = NewItem::default();
    item.tree.properties = Properties::from([(SUBJECT, text(subject)), (BODY, text(body))]);
    item
}

pub(super) fn text(text: &str) -> PropertyValue {
    PropertyValue::Text(text.to_owned())
}

pub(super) fn subject(subject: &str) -> Properties {
    Properties::from([(SUBJECT, text(subject))])
}

pub(super) fn applied(edited: Edited) -> (ItemId, Change) {
    match edited {
        Edited::Applied { item, content_change } => (item, content_change),
        other => panic!("{other:?}"),
    }
}

/// That a request was refused, and why.
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T>, kind: Kind) {
    match result {
        Err(error) => assert_eq!(error.kind, kind, "{error}"),
        Ok(reply) => panic!("was not refused: {reply:?}"),
    }
}

pub(super) fn seen() -> NamedFlags {
    NamedFlags { system: SystemFlags::SEEN, keywords: Vec::new() }
}

pub(super) fn deleted() -> NamedFlags {
    NamedFlags { system: SystemFlags::DELETED, keywords: Vec::new() }
}

pub(super) fn system(system: SystemFlags) -> Flags {
    Flags::system(system)
}

pub(super) fn uids(uids: &[Uid]) -> UidSet {
    uids.iter().copied().collect()
}
