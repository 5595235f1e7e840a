//! What the tests of the core have in common.

use crate::support::{Node, World};
use base::{AccountId, Address, CommandId, FolderId, QueueId, Result, SessionId, Uid};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{
    Content, Delivery, FolderClass, FolderView, MailboxHandle, Mailboxes, NewMessage, Principal,
    SpecialUse, SystemFlags, UidSet, Write, WriteReply,
};
use contract_store::keys::KeyBuilder;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, KeyValue, RangeRead, Store, Transaction,
    transact,
};
use contract_transport::{Envelope, Source, Submission, rows};
use futures::future::BoxFuture;
use service_mailbox::{Report, verify};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn inbox() -> FolderId {
    SpecialUse::Inbox.folder_id()
}

pub(crate) fn archive() -> FolderId {
    SpecialUse::Archive.folder_id()
}

pub(crate) fn named(system: SystemFlags) -> NamedFlags {
    NamedFlags { system, keywords: Vec::new() }
}

/// A small message whose subject is its number.
pub(crate) fn small(number: u64) -> Vec<u8> {
    format!("Message-ID: <{number}@test>\r\nSubject: {number}\r\n\r\nbody {number}\r\n").into()
}

impl World {
    pub(crate) fn dynamic(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Small messages with these numbers.
    pub(crate) async fn small(&self, numbers: std::ops::Range<u64>) -> Vec<NewMessage> {
        let mut messages = Vec::new();
        for number in numbers {
            messages.push(self.message(&small(number)).await);
        }
        messages
    }

    /// Appends small messages, twenty at a time.
    pub(crate) async fn fill(&self, handle: &MailboxHandle, folder: FolderId, count: u64) {
        let mut done = 0;
        while done < count {
            let next = (done + 20).min(count);
            handle.append(folder, self.small(done..next).await).await.unwrap();
            done = next;
        }
    }

    /// Checks every row of a mailbox against every other.
    pub(crate) async fn sound(&self, account: AccountId) -> Report {
        let report = verify(&self.dynamic(), account).await.unwrap();
        assert!(report.is_sound(), "{report:#?}");
        report
    }

    /// Waits until no job is left in a mailbox that is served; the store does not fail meanwhile.
    pub(crate) async fn calm(&self, account: AccountId) {
        let jobs = kind(account, b'j').build();
        self.quietly(async || {
            // Whoever is active, or becomes active now, goes on with what was left.
            for _ in 0..1_000 {
                let asked = self.handle(account).folders().await;
                if asked.is_ok() && self.rows(&jobs).await.is_empty() {
                    return;
                }
                self.env.clock.sleep(Duration::from_millis(10)).await;
            }
            panic!("a job does not come to its end");
        })
        .await;
    }

    /// A message in the queue, and the delivery of it to somebody.
    pub(crate) async fn queued(&self, bytes: &[u8]) -> Delivery {
        let staged = self.stage(bytes).await;
        let parsed = Arc::new(codec_mime::parse(bytes));
        let accepted = self.env.clock.now();
        let queue = QueueId::new(accepted, self.env.random.u128());
        let content = Content::of(&staged);
        let submission = Submission {
            queue,
            envelope: Envelope {
                sender: None,
                recipients: Vec::new(),
                authenticated: None,
                envelope_id: None,
                return_headers_only: false,
                require_tls: false,
                source: Source { ip: None, helo: String::new(), protocol: "local".into() },
            },
            content: content.clone(),
            staged: vec![staged],
            parsed: parsed.clone(),
        };
        let accept = Accept { world: self, submission };
        transact(&self.dynamic(), accept).await.unwrap();
        let recipient = Address::new("anybody", "rialto.test");
        Delivery {
            queue,
            recipient,
            generation: 0,
            return_path: None,
            content,
            parsed,
            accepted,
            ends_queue_entry: true,
            queue_fence: None,
        }
    }

    /// All rows under a prefix.
    pub(crate) async fn rows(&self, prefix: &[u8]) -> Vec<KeyValue> {
        let tx = self.store.begin();
        let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
        let mut rows = Vec::new();
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
            next = read.after(&page);
            rows.extend(page.rows);
        }
        rows
    }
}

/// The prefix of one kind of rows of a mailbox.
pub(crate) fn kind(account: AccountId, kind: u8) -> KeyBuilder {
    KeyBuilder::new(b"A").u64(account.0).u8(kind)
}

struct Accept<'w> {
    world: &'w World,
    submission: Submission,
}

impl Body<()> for Accept<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            let slot = self.world.node.control.slot_of_queue(self.submission.queue);
            let accepted = self.world.env.clock.now();
            rows::write(tx, &*self.world.blobs, slot, &self.submission, accepted).await?;
            Ok(())
        })
    }
}

/// A session that can send a command again.
pub(crate) struct Session {
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) sequence: u64,
}

impl Session {
    pub(crate) fn new(world: &World, account: AccountId) -> Self {
        Self { account, session: SessionId(world.env.random.u128()), sequence: 0 }
    }

    /// The next command's name.
    pub(crate) fn next(&mut self) -> CommandId {
        self.sequence += 1;
        CommandId { session: self.session, sequence: self.sequence }
    }

    /// Sends a command, new or again.
    pub(crate) async fn send(
        &self,
        node: &Node,
        command: CommandId,
        request: Write,
    ) -> Result<WriteReply> {
        let who = match request {
            Write::Deliver(_) => Principal::Transport,
            _ => Principal::Account(self.account),
        };
        node.mailboxes.write(self.account, who, command, request).await
    }
}

/// A session on another node.
pub(crate) fn handle_on(world: &World, node: &Node, account: AccountId) -> MailboxHandle {
    let session = SessionId(world.env.random.u128());
    MailboxHandle::new(node.mailboxes.clone(), account, Principal::Account(account), session)
}

/// The UIDs of a view.
pub(crate) fn uids(view: &FolderView) -> Vec<u32> {
    view.entries().map(|entry| entry.uid.0).collect()
}

pub(crate) fn set(first: u32, last: u32) -> UidSet {
    UidSet::from_ranges([(first, last)])
}

/// Makes a mail folder below the root.
pub(crate) async fn folder(handle: &MailboxHandle, name: &str) -> FolderId {
    let root = SpecialUse::Root.folder_id();
    handle.create_folder(root, name.into(), FolderClass::Mail, None).await.unwrap().id
}

/// The subjects of some messages.
pub(crate) async fn subjects(
    handle: &MailboxHandle,
    folder: FolderId,
    uids: &[u32],
) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for group in uids.chunks(256) {
        let group = group.iter().copied().map(Uid).collect();
        for (uid, meta) in handle.meta(folder, group).await.unwrap() {
            let subject = meta.parsed.envelope.subject.clone().unwrap_or_default();
            found.push((uid.0, String::from_utf8(subject.to_vec()).unwrap()));
        }
    }
    found
}
