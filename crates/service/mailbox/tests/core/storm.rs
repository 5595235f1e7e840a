//! Random commands against a model, while the store fails in every way it can.
//!
//! After each command the mailbox must be in a state that the command's answer allows: an
//! acknowledged change is there exactly once, one that was not acknowledged once or not at all.
//! Sessions that follow folders by deltas must see what a whole view shows. At the end, on a fresh
//! node, every row is checked against every other.

use super::help::{Session, handle_on, inbox, named, small, subjects};
use crate::support::{World, run};
use base::env::sim::test_seed;
use base::universe::Universe;
use base::{AccountId, Change, CommandId, FolderId, Kind, Uid};
use codec_mime::generate::Random;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{
    Delivered, FolderClass, FolderView, IndexEntry, MailboxHandle, SpecialUse, SystemFlags, UidSet,
    Write, WriteReply,
};
use service_mailbox::Config;
use std::collections::BTreeMap;
use store_memory::Faults;

/// What a message is: its number (its subject), and its flags.
type Known = (u64, SystemFlags);

/// What a folder should hold.
#[derive(Clone, Default, PartialEq, Debug)]
struct Shelf {
    next: u32,
    messages: BTreeMap<u32, Known>,
}

impl Shelf {
    fn add(&mut self, known: Known) {
        self.next += 1;
        self.messages.insert(self.next, known);
    }
}

type Model = BTreeMap<FolderId, Shelf>;

/// A session that follows a folder.
struct Follower {
    folder: FolderId,
    since: Change,
    entries: BTreeMap<Uid, IndexEntry>,
}

struct Storm {
    world: World,
    account: AccountId,
    session: Session,
    random: Random,
    model: Model,
    next_number: u64,
    followers: Vec<Follower>,
    /// A delivery that was made before, to be asked for again.
    delivered: Option<Write>,
    /// Commands that were answered with an error in the end.
    unknown: u32,
}

/// From so many messages on, more are removed than copied.
const MESSAGES_MAX: usize = 60;

const FAULTS: Faults = Faults {
    conflict: 0.04,
    commit_unknown_applied: 0.04,
    commit_unknown_not_applied: 0.04,
    late_commit: 0.03,
    stall: 0.005,
    too_old: 0.02,
    short_pages: 0.1,
    busy: 0.02,
    interleave: 0.1,
};

fn folders() -> [FolderId; 3] {
    [inbox(), SpecialUse::Archive.folder_id(), SpecialUse::Junk.folder_id()]
}

async fn storm(world: World, seed: u64, commands: u32) {
    let account = world.account("storm").await;
    let session = Session::new(&world, account);
    let mut storm = Storm {
        world,
        account,
        session,
        random: Random::new(seed),
        model: folders().into_iter().map(|folder| (folder, Shelf::default())).collect(),
        next_number: 0,
        followers: Vec::new(),
        delivered: None,
        unknown: 0,
    };
    for folder in folders() {
        storm.followers.push(Follower { folder, since: Change(0), entries: BTreeMap::new() });
    }
    for number in 0..commands {
        storm.world.inject(FAULTS);
        storm.command(number).await;
        if storm.random.below(150) == 0 {
            storm.world.inject(Faults::default());
            storm.world.node = storm.world.another_node().await;
        }
    }
    storm.end().await;
}

impl Storm {
    fn handle(&self) -> MailboxHandle {
        handle_on(&self.world, &self.world.node, self.account)
    }

    /// A question, asked until it is answered.
    async fn view(&self, folder: FolderId) -> FolderView {
        let mut last = None;
        for _ in 0..200 {
            match self.handle().view(folder).await {
                Ok(view) => return view,
                Err(error) => {
                    assert_passing(&error);
                    last = Some(error);
                }
            }
        }
        panic!("no answer: {last:?}");
    }

    async fn command(&mut self, number: u32) {
        let (request, after) = self.draw().await;
        let command = self.session.next();
        let mut reply = self.session.send(&self.world.node, command, request.clone()).await;
        // A router sends again, a client may or may not.
        let tries = if self.random.below(4) == 0 { 0 } else { 50 };
        for _ in 0..tries {
            let Err(error) = &reply else { break };
            assert_passing(error);
            reply = self.session.send(&self.world.node, command, request.clone()).await;
        }
        match &reply {
            Ok(reply) => self.check_reply(&request, reply, &after),
            Err(error) => {
                assert_passing(error);
                self.unknown += 1;
            }
        }
        let before = std::mem::replace(&mut self.model, after);
        if reply.is_err() && !self.is_as_modelled().await {
            self.model = before;
        }
        if reply.is_err() || number.is_multiple_of(7) {
            assert!(self.is_as_modelled().await, "command {number}: {request:?} {reply:?}");
        }
        if self.random.below(3) == 0 {
            let follower = self.random.below(self.followers.len());
            self.follow(follower).await;
        }
        if reply.is_ok() {
            self.resend_old(command, &request).await;
        }
    }

    /// A command, and the model as it is afterwards.
    async fn draw(&mut self) -> (Write, Model) {
        self.world.inject(Faults::default());
        let mut after = self.model.clone();
        let from = folders()[self.random.below(3)];
        let to = folders()[self.random.below(3)];
        let mut uids = self.some_uids(from);
        let count: usize = after.values().map(|shelf| shelf.messages.len()).sum();
        let what = match self.random.below(13) {
            what if count < MESSAGES_MAX || (3..8).contains(&what) => what,
            // Copies would fill the mailbox without end.
            _ => 12 + self.random.below(2),
        };
        let request = match what {
            0..3 => {
                let count = 1 + self.random.below(3) as u64;
                let numbers = self.next_number..self.next_number + count;
                self.next_number += count;
                for number in numbers.clone() {
                    shelf(&mut after, from).add((number, SystemFlags::default()));
                }
                Write::Append { folder: from, messages: self.world.small(numbers).await }
            }
            3 | 4 => {
                let number = self.next_number;
                self.next_number += 1;
                shelf(&mut after, inbox()).add((number, SystemFlags::default()));
                let delivery = self.world.queued(&small(number)).await;
                Write::Deliver(Box::new(delivery))
            }
            5 if self.delivered.is_some() => self.delivered.clone().unwrap(),
            5..8 => {
                let flags = SystemFlags(1 << self.random.below(5));
                let mode =
                    [StoreMode::Add, StoreMode::Remove, StoreMode::Replace][self.random.below(3)];
                for (uid, known) in &mut shelf(&mut after, from).messages {
                    if uids.contains(Uid(*uid)) {
                        known.1 = match mode {
                            StoreMode::Add => known.1.union(flags),
                            StoreMode::Remove => known.1.without(flags),
                            StoreMode::Replace => flags,
                        };
                    }
                }
                let (folder, flags) = (from, named(flags));
                Write::Store { folder, uids, mode, flags, unchanged_since: None }
            }
            8 | 9 => {
                let picked = pick(&after, from, &uids);
                picked.iter().for_each(|(_, known)| shelf(&mut after, to).add(*known));
                Write::Copy { from, uids, to }
            }
            10 | 11 => {
                for (uid, known) in pick(&after, from, &uids) {
                    shelf(&mut after, from).messages.remove(&uid);
                    shelf(&mut after, to).add(known);
                }
                Write::Move { from, uids, to }
            }
            13 => {
                uids = UidSet::all();
                let deleted = SystemFlags::DELETED;
                let messages = &mut shelf(&mut after, from).messages;
                messages.values_mut().for_each(|known| known.1 = known.1.union(deleted));
                let (folder, flags, mode) = (from, named(deleted), StoreMode::Add);
                Write::Store { folder, uids, mode, flags, unchanged_since: None }
            }
            _ => {
                let is_deleted = |known: &Known| known.1.contains(SystemFlags::DELETED);
                shelf(&mut after, from).messages.retain(|_, known| !is_deleted(known));
                Write::Expunge { folder: from, uids: None }
            }
        };
        self.world.inject(FAULTS);
        (request, after)
    }

    fn some_uids(&mut self, folder: FolderId) -> UidSet {
        let next = self.model[&folder].next as usize + 1;
        let ranges: Vec<_> = (0..1 + self.random.below(3))
            .map(|_| {
                let first = 1 + self.random.below(next) as u32;
                (first, first + self.random.below(8) as u32)
            })
            .collect();
        UidSet::from_ranges(ranges)
    }

    fn check_reply(&mut self, request: &Write, reply: &WriteReply, after: &Model) {
        match (request, reply) {
            (Write::Append { folder, messages }, WriteReply::Appended { uids, .. }) => {
                let last = after[folder].next;
                let expect: Vec<Uid> = (last + 1 - messages.len() as u32..=last).map(Uid).collect();
                assert_eq!(*uids, expect);
            }
            (Write::Deliver(_), WriteReply::Delivered(delivered)) => {
                if let Delivered::New { uid, .. } = delivered {
                    assert_eq!(uid.0, after[&inbox()].next);
                }
                self.delivered = Some(request.clone());
            }
            (Write::Copy { to, .. } | Write::Move { to, .. }, WriteReply::Copied(copied)) => {
                for (_, target) in &copied.pairs {
                    assert!(after[to].messages.contains_key(&target.0) || copied.pairs.len() > 1);
                }
            }
            (Write::Store { folder, .. }, WriteReply::Stored(stored)) => {
                for entry in &stored.entries {
                    assert_eq!(entry.flags.system, after[folder].messages[&entry.uid.0].1);
                }
            }
            (Write::Expunge { folder, .. }, WriteReply::Expunged(uids)) => {
                for uid in uids.iter() {
                    assert!(!after[folder].messages.contains_key(&uid.0));
                }
            }
            // A job that was finished after an error.
            (_, WriteReply::LookAgain) => {}
            other => panic!("{other:?}"),
        }
    }

    /// An old command comes again, long after: it must not be applied again.
    async fn resend_old(&mut self, command: CommandId, request: &Write) {
        if self.random.below(10) == 0 && !matches!(request, Write::Deliver(_)) {
            let old = CommandId { sequence: command.sequence.saturating_sub(3).max(1), ..command };
            if old != command {
                let refused = self.session.send(&self.world.node, old, request.clone()).await;
                // Only the last answer is kept; nothing may be done for an older one.
                if let Err(error) = refused {
                    assert!(error.kind == Kind::Invalid || is_passing(&error), "{error:?}");
                } else {
                    panic!("an old command was answered: {old:?}");
                }
            }
        }
    }

    async fn is_as_modelled(&self) -> bool {
        for (folder, shelf) in &self.model {
            let view = self.view(*folder).await;
            let found: BTreeMap<u32, SystemFlags> =
                view.entries().map(|entry| (entry.uid.0, entry.flags.system)).collect();
            let expect: BTreeMap<u32, SystemFlags> =
                shelf.messages.iter().map(|(uid, known)| (*uid, known.1)).collect();
            if found != expect || view.info.uid_next.0 != shelf.next + 1 {
                return false;
            }
        }
        true
    }

    /// A session catches up.
    async fn follow(&mut self, number: usize) {
        let (folder, since) = (self.followers[number].folder, self.followers[number].since);
        let Ok(delta) = self.handle().delta(folder, since).await else {
            return;
        };
        let follower = &mut self.followers[number];
        assert!(delta.complete);
        assert!(delta.changed.is_sorted_by_key(|entry| entry.uid));
        for entry in &delta.changed {
            assert!(!delta.vanished.contains(&entry.uid), "{} is here and gone", entry.uid);
            follower.entries.insert(entry.uid, *entry);
        }
        for uid in &delta.vanished {
            follower.entries.remove(uid);
        }
        follower.since = delta.info.highest_change;
        let view = self.view(folder).await;
        if view.info.highest_change == delta.info.highest_change {
            let whole: BTreeMap<Uid, IndexEntry> =
                view.entries().map(|entry| (entry.uid, *entry)).collect();
            assert_eq!(self.followers[number].entries, whole);
        }
    }

    async fn end(mut self) {
        self.world.inject(Faults::default());
        self.world.store.land_late_commits();
        self.world.node = self.world.another_node().await;
        assert!(self.is_as_modelled().await);
        for number in 0..self.followers.len() {
            self.follow(number).await;
        }
        let report = self.world.sound(self.account).await;
        assert!(!report.unfinished_job);
        let handle = self.handle();
        for (folder, shelf) in &self.model {
            let uids: Vec<u32> = shelf.messages.keys().copied().collect();
            let found = subjects(&handle, *folder, &uids).await;
            let expect: Vec<_> =
                shelf.messages.iter().map(|(uid, known)| (*uid, known.0.to_string())).collect();
            assert_eq!(found, expect);
        }
        let stats = self.world.store.stats();
        eprintln!(
            "{} faults, {} late commits landed, {} dropped, {} commands unanswered, {} messages",
            stats.faults, stats.late_landed, stats.late_dropped, self.unknown, report.messages
        );
        assert!(stats.faults > 100 && self.unknown > 0);
    }
}

fn shelf(model: &mut Model, folder: FolderId) -> &mut Shelf {
    model.get_mut(&folder).unwrap()
}

fn pick(model: &Model, folder: FolderId, uids: &UidSet) -> Vec<(u32, Known)> {
    let messages = model[&folder].messages.iter();
    messages
        .filter(|(uid, _)| uids.contains(Uid(**uid)))
        .map(|(uid, known)| (*uid, *known))
        .collect()
}

fn is_passing(error: &base::Error) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::Timeout | Kind::Overloaded)
}

/// The store's trouble may delay an answer, never make it a wrong one.
fn assert_passing(error: &base::Error) {
    assert!(is_passing(error), "{error:?}");
}

fn commands() -> u32 {
    let commands = std::env::var("RIALTO_STORM").ok();
    commands.and_then(|text| text.parse().ok()).unwrap_or(500)
}

#[test]
fn a_storm_of_faults_loses_and_doubles_nothing() {
    let seed = test_seed();
    run(seed, async |world| storm(world, seed, commands()).await);
}

/// Nearly every command is a job of several transactions.
#[test]
fn a_storm_over_jobs_loses_and_doubles_nothing() {
    let seed = test_seed();
    Universe::run(seed, async |env| {
        let config = Config { chunk_messages: 2, ..Config::default() };
        storm(World::new(env, config).await, seed, commands()).await;
    });
}

/// The same folder is deleted, made and renamed while others do the same.
#[test]
fn folders_come_and_go_under_faults() {
    let seed = test_seed();
    run(seed, async |world| {
        let account = world.account("folders").await;
        let mut session = Session::new(&world, account);
        let mut random = Random::new(seed);
        let root = SpecialUse::Root.folder_id();
        world.inject(FAULTS);
        let mut made: Vec<FolderId> = Vec::new();
        for number in 0..150_u32 {
            let request = match random.below(4) {
                0 | 1 => Write::CreateFolder {
                    parent: root,
                    name: format!("folder {number}"),
                    class: FolderClass::Mail,
                    role: None,
                },
                2 if !made.is_empty() => Write::RenameFolder {
                    folder: made[random.below(made.len())],
                    parent: root,
                    name: format!("renamed {number}"),
                },
                _ if !made.is_empty() => {
                    Write::DeleteFolder(made.swap_remove(random.below(made.len())))
                }
                _ => continue,
            };
            match until_answered(&world, &mut session, request.clone()).await {
                WriteReply::Folder(info) if matches!(request, Write::CreateFolder { .. }) => {
                    made.push(info.id);
                }
                WriteReply::Folder(_) | WriteReply::Done => {}
                other => panic!("{other:?}"),
            }
        }
        world.inject(Faults::default());
        world.store.land_late_commits();
        let folders = world.handle(account).folders().await.unwrap();
        let mut found: Vec<_> = folders.iter().map(|info| info.id).filter(|id| id.0 > 16).collect();
        found.sort_unstable();
        made.sort_unstable();
        assert_eq!(found, made);
        world.sound(account).await;
    });
}

/// As a router does, which sends again until it is answered.
async fn until_answered(world: &World, session: &mut Session, request: Write) -> WriteReply {
    let command = session.next();
    for _ in 0..200 {
        match session.send(&world.node, command, request.clone()).await {
            Ok(reply) => return reply,
            Err(error) => assert_passing(&error),
        }
    }
    panic!("no answer to {request:?}");
}
