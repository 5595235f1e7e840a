//! One client: the commands it sends, and what its mailbox must hold.

use super::ledger::due;
use super::{MAILBOXES, Scene};
use base::{AccountId, CommandId, Error, FolderId, Kind, SessionId, Uid};
use bytes::Bytes;
use codec_mime::generate::Random;
use contract_blob::Content;
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{
    FolderView, MailboxHandle, Mailboxes, NewMessage, Principal, SpecialUse, SystemFlags, UidSet,
    Write, WriteReply,
};
use contract_transport::{Fate, Transport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From so many messages on, folders are emptied.
const MESSAGES_MAX: usize = 60;

/// How often something is asked before it counts as never answered.
const ASKED_MAX: usize = 200;

/// A message's number and flags.
type Known = (u64, SystemFlags);

pub(super) struct Client {
    index: usize,
    account: AccountId,
    session: SessionId,
    sequence: u64,
    random: Random,
    shelves: BTreeMap<FolderId, BTreeMap<u32, Known>>,
    /// Commands that were sent again.
    pub(super) again: u64,
    /// Submissions whose fate had to be asked for.
    pub(super) asked: u64,
}

pub(super) fn name(index: usize) -> String {
    format!("user{index}")
}

fn folders() -> [FolderId; 3] {
    [SpecialUse::Inbox, SpecialUse::Archive, SpecialUse::Junk].map(SpecialUse::folder_id)
}

fn assert_passing(error: &Error) {
    let passing = matches!(error.kind, Kind::Unavailable | Kind::Timeout | Kind::Overloaded);
    assert!(passing, "{error:?}");
}

impl Client {
    pub(super) fn new(index: usize, account: AccountId, seed: u64) -> Self {
        Self {
            index,
            account,
            session: SessionId(index as u128 + 1),
            sequence: 0,
            random: Random::new(seed.wrapping_add(index as u64)),
            shelves: folders().into_iter().map(|folder| (folder, BTreeMap::new())).collect(),
            again: 0,
            asked: 0,
        }
    }

    pub(super) async fn work(&mut self, scene: &Scene, operations: usize) {
        for _ in 0..operations {
            if self.count() > MESSAGES_MAX {
                self.empty(scene).await;
                continue;
            }
            match self.random.below(10) {
                0..3 => self.submit(scene).await,
                3 | 4 => self.append(scene).await,
                5 | 6 => self.flag(scene).await,
                7 => self.copy(scene, false).await,
                8 => self.copy(scene, true).await,
                _ => self.look(scene).await,
            }
        }
    }

    fn count(&self) -> usize {
        self.shelves.values().map(BTreeMap::len).sum()
    }

    fn folder(&mut self) -> FolderId {
        folders()[self.random.below(3)]
    }

    /// Some messages of a folder, of those that were seen.
    fn some(&mut self, folder: FolderId) -> BTreeMap<u32, Known> {
        let one_in = 1 + self.random.below(4);
        let random = &mut self.random;
        let shelf = self.shelves[&folder].iter();
        shelf.filter(|_| random.below(one_in) == 0).map(|(uid, known)| (*uid, *known)).collect()
    }

    /// Sends a command until it is answered, or once; `None` if it was not answered.
    async fn send(&mut self, scene: &Scene, request: Write, patient: bool) -> Option<WriteReply> {
        self.sequence += 1;
        let command = CommandId { session: self.session, sequence: self.sequence };
        let who = Principal::Account(self.account);
        for _ in 0..ASKED_MAX {
            let mailboxes = &scene.world.node.mailboxes;
            match mailboxes.write(self.account, who, command, request.clone()).await {
                Ok(reply) => return Some(reply),
                Err(error) => assert_passing(&error),
            }
            if !patient {
                return None;
            }
            self.again += 1;
        }
        panic!("never answered: {request:?}");
    }

    /// A message to some mailboxes, as an SMTP session hands it over; now and then twice.
    async fn submit(&mut self, scene: &Scene) {
        let number = scene.next_number();
        let to: Vec<usize> = (0..MAILBOXES).filter(|_| self.random.below(10) == 0).collect();
        let to = if to.is_empty() { vec![self.index] } else { to };
        let names: Vec<String> = to.iter().map(|index| name(*index)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let submission = scene.world.submission("", &names, &number.to_string()).await;
        let arriving = due(folders()[0], number, SystemFlags::default());
        to.iter().for_each(|index| scene.ledger.may(*index, arriving));
        let transport = &scene.world.node.transport;
        let accepted = match transport.accept(submission.clone()).await {
            Ok(()) => true,
            Err(error) => {
                assert_passing(&error);
                self.asked += 1;
                self.is_accepted(scene, submission.queue).await
            }
        };
        for index in &to {
            match accepted {
                true => scene.ledger.must(*index, arriving),
                false => scene.ledger.never(*index, arriving),
            }
        }
        if self.random.below(10) == 0
            && let Err(error) = transport.accept(submission).await
        {
            assert_passing(&error);
        }
    }

    async fn is_accepted(&self, scene: &Scene, queue: base::QueueId) -> bool {
        for _ in 0..ASKED_MAX {
            match scene.world.node.transport.withdraw(queue).await {
                Ok(Fate::Accepted) => return true,
                Ok(Fate::Withdrawn) => return false,
                Err(error) => assert_passing(&error),
            }
        }
        panic!("nobody can tell whether {queue} is accepted");
    }

    async fn append(&mut self, scene: &Scene) {
        let folder = self.folder();
        let numbers: Vec<u64> =
            (0..1 + self.random.below(3)).map(|_| scene.next_number()).collect();
        let mut messages = Vec::new();
        for number in &numbers {
            messages.push(message(scene, *number).await);
        }
        // Some go away without waiting for the answer.
        let patient = self.random.below(10) != 0;
        let plain = SystemFlags::default();
        let group = || numbers.iter().map(|number| due(folder, *number, plain));
        match self.send(scene, Write::Append { folder, messages }, patient).await {
            Some(WriteReply::Appended { uids, .. }) => {
                assert_eq!(uids.len(), numbers.len());
                let shelf = self.shelves.entry(folder).or_default();
                shelf.extend(uids.iter().zip(&numbers).map(|(uid, n)| (uid.0, (*n, plain))));
            }
            Some(WriteReply::LookAgain) => {
                group().for_each(|due| scene.ledger.must(self.index, due));
            }
            None => scene.ledger.group(self.index, group().collect()),
            Some(other) => panic!("{other:?}"),
        }
    }

    async fn flag(&mut self, scene: &Scene) {
        let folder = self.folder();
        let some = self.some(folder);
        let flags = SystemFlags(1 << self.random.below(5));
        let mode = [StoreMode::Add, StoreMode::Remove, StoreMode::Replace][self.random.below(3)];
        let named = NamedFlags { system: flags, keywords: Vec::new() };
        let uids = uids(&some);
        let request = Write::Store { folder, uids, mode, flags: named, unchanged_since: None };
        self.send(scene, request, true).await;
        let shelf = self.shelves.entry(folder).or_default();
        for (uid, (number, before)) in some {
            let after = match mode {
                StoreMode::Add => before.union(flags),
                StoreMode::Remove => before.without(flags),
                StoreMode::Replace => flags,
            };
            shelf.insert(uid, (number, after));
        }
    }

    async fn copy(&mut self, scene: &Scene, moving: bool) {
        let from = self.folder();
        let to = self.folder();
        if from == to {
            return self.look(scene).await;
        }
        let some = self.some(from);
        let uids = uids(&some);
        let request =
            if moving { Write::Move { from, uids, to } } else { Write::Copy { from, uids, to } };
        let reply = self.send(scene, request, true).await;
        if moving {
            self.shelves.entry(from).or_default().retain(|uid, _| !some.contains_key(uid));
        }
        match reply {
            Some(WriteReply::Copied(copied)) => {
                let sources: Vec<u32> = copied.pairs.iter().map(|(source, _)| source.0).collect();
                assert_eq!(sources, some.keys().copied().collect::<Vec<_>>());
                let shelf = self.shelves.entry(to).or_default();
                shelf.extend(copied.pairs.iter().map(|(from, to)| (to.0, some[&from.0])));
            }
            // Done, but not told where: they turn up.
            Some(WriteReply::LookAgain) => {
                for (number, flags) in some.values() {
                    scene.ledger.must(self.index, due(to, *number, *flags));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Marks everything in a folder as deleted and removes it.
    async fn empty(&mut self, scene: &Scene) {
        let folder = self.folder();
        let (uids, deleted) = (uids(&self.shelves[&folder]), SystemFlags::DELETED);
        let flags = NamedFlags { system: deleted, keywords: Vec::new() };
        let mode = StoreMode::Add;
        let request = Write::Store { folder, uids, mode, flags, unchanged_since: None };
        self.send(scene, request, true).await;
        let expected = self.shelves.insert(folder, BTreeMap::new()).unwrap_or_default();
        let removed = self.send(scene, Write::Expunge { folder, uids: None }, true).await;
        match removed {
            Some(WriteReply::Expunged(removed)) => {
                for uid in expected.keys() {
                    assert!(removed.contains(Uid(*uid)), "{uid} of {folder} is not removed");
                }
            }
            Some(WriteReply::LookAgain) => {}
            other => panic!("{other:?}"),
        }
        self.look_into(scene, folder).await;
    }

    async fn look(&mut self, scene: &Scene) {
        let folder = self.folder();
        self.look_into(scene, folder).await;
    }

    fn handle(&self, scene: &Scene) -> MailboxHandle {
        let session = SessionId(scene.world.env.random.u128());
        let who = Principal::Account(self.account);
        MailboxHandle::new(scene.world.node.mailboxes.clone(), self.account, who, session)
    }

    async fn view(&self, scene: &Scene, folder: FolderId) -> FolderView {
        for _ in 0..ASKED_MAX {
            match self.handle(scene).view(folder).await {
                Ok(view) => return view,
                Err(error) => assert_passing(&error),
            }
        }
        panic!("a folder cannot be read");
    }

    /// Compares a folder with the model, and takes in what has come.
    async fn look_into(&mut self, scene: &Scene, folder: FolderId) -> FolderView {
        let view = self.view(scene, folder).await;
        let mut found: BTreeMap<u32, SystemFlags> =
            view.entries().map(|entry| (entry.uid.0, entry.flags.system)).collect();
        for (uid, (number, flags)) in &self.shelves[&folder] {
            let there = found.remove(uid);
            assert_eq!(there, Some(*flags), "mailbox {}: {number} as {uid}", self.index);
        }
        for (uid, number) in self.numbers(scene, folder, found.keys().copied().collect()).await {
            let flags = found[&uid];
            scene.ledger.comes(self.index, due(folder, number, flags));
            self.shelves.entry(folder).or_default().insert(uid, (number, flags));
        }
        view
    }

    /// The numbers of messages, which stand in their ids.
    async fn numbers(&self, scene: &Scene, folder: FolderId, uids: Vec<u32>) -> Vec<(u32, u64)> {
        let mut numbers = Vec::new();
        for uids in uids.chunks(256) {
            let uids: Vec<Uid> = uids.iter().copied().map(Uid).collect();
            let mut metas = None;
            for _ in 0..ASKED_MAX {
                match self.handle(scene).meta(folder, uids.clone()).await {
                    Ok(found) => metas = Some(found),
                    Err(error) => assert_passing(&error),
                }
                if metas.is_some() {
                    break;
                }
            }
            for (uid, meta) in metas.expect("what is in a view can be read") {
                let id = meta.parsed.envelope.message_id.clone().unwrap();
                let id = String::from_utf8(id.to_vec()).unwrap();
                let number = id.trim_start_matches('<').split('@').next().unwrap().parse();
                numbers.push((uid.0, number.unwrap()));
            }
        }
        assert_eq!(numbers.len(), uids.len(), "what is in a view is there");
        numbers
    }

    /// Everything as modelled, counters and rows too; how many messages there are.
    pub(super) async fn end(&mut self, scene: &Scene) -> usize {
        for folder in folders() {
            let counts = self.look_into(scene, folder).await.info.counts;
            let shelf = &self.shelves[&folder];
            let with = |flag| shelf.values().filter(|(_, flags)| flags.contains(flag)).count();
            let (all, seen) = (shelf.len(), with(SystemFlags::SEEN));
            let expected = (all as u64, (all - seen) as u64, with(SystemFlags::DELETED) as u64);
            assert_eq!((counts.messages, counts.unseen, counts.deleted), expected);
        }
        let report = scene.world.verify(self.account).await;
        assert!(report.is_sound() && !report.unfinished_job, "{report:#?}");
        self.count()
    }
}

fn uids(messages: &BTreeMap<u32, Known>) -> UidSet {
    UidSet::from_ranges(messages.keys().map(|uid| (*uid, *uid)))
}

async fn message(scene: &Scene, number: u64) -> NewMessage {
    let text = format!("Message-ID: <{number}@test>\r\nSubject: {number}\r\n\r\nbody\r\n");
    let parsed = Arc::new(codec_mime::parse(text.as_bytes()));
    let mut upload = scene.world.blobs.upload();
    upload.write(Bytes::from(text)).await.unwrap();
    let staged = upload.finish().await.unwrap();
    let content = Content::of(&staged);
    NewMessage {
        content,
        staged: vec![staged],
        parsed,
        flags: NamedFlags::default(),
        received: None,
    }
}
