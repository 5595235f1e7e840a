//! Several nodes over one store: slots go from one to another in the middle of everything, answers
//! are lost, commands are sent again, to whoever owns the mailbox by then.

use super::help::{Session, archive, folder, inbox, kind, named, set, small, subjects, uids};
use crate::placement::{Pace, Placement, mover, slots};
use crate::support::{DOMAIN, Node, World, in_memory, run, run_with};
use base::env::sim::test_seed;
use base::{AccountId, Address, CommandId, FolderId, Kind, SessionId};
use contract_control::Control;
use contract_directory::{Actor, Directory, DirectoryAdmin};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{
    FolderClass, MailboxHandle, Mailboxes, NewItem, Outgoing, Principal, Read, Search, SpecialUse,
    SystemFlags, UidSet, Write, WriteReply,
};
use contract_store::KeyValue;
use contract_store::keys::KeyBuilder;
use contract_transport::{Envelope, Source, Submission};
use parking_lot::Mutex;
use service_mailbox::{Config, Parts};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store_memory::{CommitFault, Faults};

/// A world of several nodes; the first of them is where clients are.
pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) placement: Arc<Placement>,
    others: Mutex<BTreeMap<u64, Arc<Node>>>,
}

impl Cluster {
    pub(super) async fn new(mut world: World, nodes: u64) -> Self {
        let placement = Placement::new(&world.env, &world.store);
        world.node = life(&world, &placement, 1);
        let cluster = Self { world, placement, others: Mutex::default() };
        (2..=nodes).for_each(|node| cluster.restart(node));
        cluster
    }

    /// Whoever ran under that number runs on, and is heard by nobody.
    pub(super) fn restart(&self, node: u64) {
        let new = life(&self.world, &self.placement, node);
        drop(self.others.lock().insert(node, Arc::new(new)));
    }

    pub(super) async fn give_all(&self, to: u64) {
        self.placement.give(&slots(), to).await;
    }

    pub(super) fn node(&self, number: u64) -> Arc<Node> {
        let Node { control, router, mailboxes } = &self.world.node;
        let (control, router, mailboxes) = (control.clone(), router.clone(), mailboxes.clone());
        let first = || Arc::new(Node { control, router, mailboxes });
        self.others.lock().get(&number).cloned().unwrap_or_else(first)
    }

    async fn rows(&self, account: AccountId) -> Vec<KeyValue> {
        self.world.rows(&KeyBuilder::new(b"A").u64(account.0).build()).await
    }
}

fn life(world: &World, placement: &Arc<Placement>, number: u64) -> Node {
    let (control, router, local) = placement.join(number);
    let control: Arc<dyn Control> = control;
    let parts = Parts {
        env: world.env.clone(),
        store: world.store.clone(),
        blobs: world.blobs.clone(),
        control: control.clone(),
        directory: world.directory.clone() as Arc<dyn Directory>,
        router,
    };
    let mailboxes = service_mailbox::start(world.config, parts, &local);
    Node { control, router: local, mailboxes }
}

async fn outgoing(world: &World, account: AccountId) -> Write {
    let delivery = world.queued(&small(900)).await;
    let staged = world.stage(&small(901)).await;
    let submission = Submission {
        queue: base::QueueId(delivery.queue.0 + 1),
        envelope: Envelope {
            sender: Some(Address::new("resent", DOMAIN)),
            recipients: Vec::new(),
            authenticated: Some(account),
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source: Source { ip: None, helo: String::new(), protocol: "local".into() },
        },
        content: contract_mailbox::Content::of(&staged),
        staged: vec![staged],
        parsed: Arc::new(codec_mime::parse(&small(901))),
    };
    Write::Submit(Box::new(Outgoing { submission, sent_copy: true }))
}

/// One of every kind of change, each of which has something to do in a mailbox with twelve messages
/// in the Inbox, all of them \Deleted, and the folders `Old` and `Older`.
async fn changes(world: &World, handle: &MailboxHandle) -> Vec<Write> {
    world.fill(handle, inbox(), 12).await;
    let deleted = named(SystemFlags::DELETED);
    handle.store(inbox(), UidSet::all(), StoreMode::Add, deleted, None).await.unwrap();
    let (old, older) = (folder(handle, "Old").await, folder(handle, "Older").await);
    let root = SpecialUse::Root.folder_id();
    let made = handle.create_item(inbox(), NewItem { associated: true, ..NewItem::default() });
    let contract_mailbox::Edited::Applied { item, .. } = made.await.unwrap() else {
        panic!("no item")
    };
    let seen = named(SystemFlags::SEEN);
    let permissions = handle.permissions(inbox()).await.unwrap();
    vec![
        Write::CreateFolder {
            parent: root,
            name: "New".into(),
            class: FolderClass::Mail,
            role: None,
        },
        Write::RenameFolder { folder: old, parent: root, name: "Renamed".into() },
        Write::DeleteFolder(older),
        Write::Subscribe { path: "Renamed".into(), on: true },
        Write::Append { folder: inbox(), messages: world.small(100..103).await },
        Write::Store {
            folder: inbox(),
            uids: UidSet::all(),
            mode: StoreMode::Add,
            flags: seen,
            unchanged_since: None,
        },
        Write::ClaimRecent(inbox()),
        Write::Copy { from: inbox(), uids: set(1, 9), to: archive() },
        Write::Copy { from: inbox(), uids: set(1, 1), to: inbox() },
        Write::Move { from: inbox(), uids: set(1, 5), to: archive() },
        Write::Expunge { folder: inbox(), uids: Some(set(6, 6)) },
        Write::Expunge { folder: inbox(), uids: None },
        Write::Deliver(Box::new(world.queued(&small(200)).await)),
        outgoing(world, handle.mailbox()).await,
        Write::ReserveIds { count: 5 },
        Write::CreateItem { folder: inbox(), item: Box::default() },
        Write::EditItem { item, edit: Box::default() },
        Write::SetRead { items: vec![item], read: true },
        Write::DeleteItems { folder: inbox(), items: vec![item], hard: false },
        Write::CreateSearchFolder {
            parent: root,
            name: "Found".into(),
            scope: vec![archive()],
            search: Search::All,
        },
        Write::SetCollectionState {
            device: "phone".into(),
            folder: inbox(),
            latest: "state".into(),
        },
        Write::SetPermissions { folder: inbox(), permissions },
        Write::SetReadPerUser { folder: archive(), on: true },
    ]
}

/// What a command's answer may be when it comes from somebody who was not there.
fn assert_same(request: &Write, first: &WriteReply, again: &WriteReply) {
    match (first, again) {
        // Deliveries have a name of their own, and say that they were made.
        (WriteReply::Delivered(_), WriteReply::Delivered(now)) => {
            assert_eq!(*now, contract_mailbox::Delivered::Before);
        }
        (_, WriteReply::LookAgain) => {}
        _ => assert_eq!(format!("{again:?}"), format!("{first:?}"), "{request:?}"),
    }
}

/// Each kind of change is answered by one owner, and its answer lost.
#[test]
fn what_was_done_by_one_owner_is_answered_by_the_next() {
    for chunk_messages in [2, 500] {
        let config = Config { chunk_messages, ..Config::default() };
        run_with(1, config, async |world| {
            let cluster = Cluster::new(world, 3).await;
            let world = &cluster.world;
            let account = world.account("resent").await;
            let mut session = Session::new(world, account);
            let requests = changes(world, &world.handle(account)).await;
            for (number, request) in (0..).zip(requests) {
                let command = session.next();
                let owner = 1 + number % 3;
                cluster.give_all(owner).await;
                let first = session.send(&world.node, command, request.clone()).await;
                let first = first.unwrap_or_else(|error| panic!("{request:?}: {error}"));
                let before = cluster.rows(account).await;
                for next in [1 + owner % 3, owner] {
                    cluster.give_all(next).await;
                    let again = session.send(&cluster.node(next), command, request.clone()).await;
                    assert_same(&request, &first, &again.unwrap());
                }
                assert_eq!(cluster.rows(account).await, before, "{request:?}");
            }
            world.sound(account).await;
        });
    }
}

/// Each kind of change is cut off: its commit is on its way when the slot goes, and lands only
/// when the next owner has done the same.
#[test]
fn what_one_owner_leaves_half_done_is_done_once_by_the_next() {
    if !in_memory() {
        return;
    }
    let config = Config { chunk_messages: 2, ..Config::default() };
    run_with(2, config, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("resent").await;
        let mut session = Session::new(world, account);
        let requests = changes(world, &world.handle(account)).await;
        for request in requests {
            cluster.give_all(1).await;
            // The actor of the last life here is gone, and a new one has settled.
            world.handle(account).folders().await.unwrap();
            let command = session.next();
            world.memory().fail_next_commit(CommitFault::Late);
            // Cut off from itself, as it were: nobody sends it again on its behalf.
            let (control, router) = (world.node.control.clone(), world.node.router.clone());
            let lost = sent_to(&*control, &router, account, command, &request);
            let _unknown = tokio::time::timeout(Duration::from_millis(1), lost).await;
            cluster.give_all(2).await;
            let first = session.send(&cluster.node(2), command, request.clone()).await;
            let first = first.unwrap_or_else(|error| panic!("{request:?}: {error}"));
            let before = cluster.rows(account).await;
            world.memory().land_late_commits();
            assert_eq!(cluster.rows(account).await, before, "{request:?}");
            let again = session.send(&cluster.node(2), command, request.clone()).await.unwrap();
            assert_same(&request, &first, &again);
        }
        world.sound(account).await;
    });
}

/// Sends to the mailboxes of one node, whoever owns the slot.
async fn sent_to(
    control: &dyn Control,
    router: &base::router::LocalRouter,
    account: AccountId,
    command: CommandId,
    request: &Write,
) -> base::Result<()> {
    use base::router::{Parcel, Router, ServiceId, Target};
    /// As `service_mailbox` writes it.
    #[derive(serde::Serialize, serde::Deserialize)]
    enum Request {
        Read { who: Principal, request: Read },
        Write { who: Principal, command: CommandId, request: Write },
    }
    let who = match request {
        Write::Deliver(_) => Principal::Transport,
        _ => Principal::Account(account),
    };
    let request = Request::Write { who, command, request: request.clone() };
    let slot = control.slot_of_account(account);
    let target = Target { service: ServiceId::MAILBOX, key: u128::from(account.0), slot };
    let deadline = base::Deadline::after(Duration::from_secs(5));
    let bytes = Parcel::typed(request).into_bytes()?;
    router.call(target, Parcel::bytes(bytes), deadline).await.map(|_| ())
}

/// A COPY goes on wherever the mailbox is, and its caller hears of its end.
#[test]
fn a_job_moves_with_its_mailbox() {
    if !in_memory() {
        return;
    }
    let config = Config { chunk_messages: 2, ..Config::default() };
    run_with(3, config, async |world| {
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        let account = world.account("job").await;
        world.fill(&world.handle(account), inbox(), 60).await;
        let handle = world.handle(account);
        let mut copying = std::pin::pin!(handle.copy(inbox(), UidSet::all(), archive()));
        let mut moves = 0;
        let copied = loop {
            let next = async {
                // Every owner gets something done, once its mailbox is asked for again.
                let begun = world.memory().stats().applied;
                for turn in 1..60_000 {
                    if world.memory().stats().applied >= begun + 3 {
                        break;
                    }
                    match turn % 200 {
                        0 => tokio::time::sleep(Duration::from_millis(1)).await,
                        _ => tokio::task::yield_now().await,
                    }
                }
                moves += 1;
                let slot = world.node.control.slot_of_account(account);
                match moves % 2 {
                    0 => cluster.give_all(1 + moves % 3).await,
                    _ => cluster.placement.hand_over(slot, 1 + moves % 3).await,
                }
            };
            tokio::select! {
                biased;
                copied = &mut copying => break copied,
                () = next => {}
            }
        };
        assert!(matches!(&copied, Ok(_) | Err(base::Error { kind: Kind::Internal, .. })));
        world.calm(account).await;
        assert!(moves > 3, "the mailbox stayed where it was");
        assert_eq!(handle.view(archive()).await.unwrap().entries().count(), 60);
        world.sound(account).await;
    });
}

#[test]
fn a_slot_that_is_released_has_no_actors() {
    run(4, async |world| {
        let cluster = Cluster::new(world, 1).await;
        let world = &cluster.world;
        let mut accounts = Vec::new();
        for number in 0..20 {
            let account = world.account(&format!("user{number}")).await;
            world.handle(account).folders().await.unwrap();
            accounts.push(account);
        }
        let control = &world.node.control;
        let slot = control.slot_of_account(accounts[0]);
        let stay = accounts.iter().filter(|of| control.slot_of_account(**of) != slot).count();
        assert!((1..20).contains(&stay));
        let handle = world.handle(accounts[0]);
        let append = tokio::spawn({
            let messages = world.small(0..5).await;
            async move { handle.append(inbox(), messages).await }
        });
        tokio::task::yield_now().await;
        let deadline = base::Deadline::after(Duration::from_secs(5));
        world.node.router.release(slot, deadline).await.unwrap();
        assert!(append.await.unwrap().is_ok(), "what had begun was not finished");
        assert!(world.node.mailboxes.active() <= stay + 1);
        world.node.router.lost(&slots());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.node.mailboxes.active(), 0);
    });
}

/// The last owner tells the next what was active, once all nodes understand that, and not when it is
/// long ago.
#[test]
fn what_was_active_comes_up_at_the_next_owner_unasked() {
    run(6, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let mut given = Vec::new();
        for (level, pause_s, warmed) in [(1, 0, 0), (2, 0, 1), (2, 11, 0)] {
            cluster.placement.level.store(level, Ordering::Relaxed);
            let mut number = 0;
            let (account, slot) = loop {
                let account = world.account(&format!("user{level}-{pause_s}-{number}")).await;
                let slot = world.node.control.slot_of_account(account);
                if !given.contains(&slot) {
                    break (account, slot);
                }
                number += 1;
            };
            world.fill(&world.handle(account), inbox(), 3).await;
            assert_eq!(world.node.mailboxes.active(), 1);
            let by = base::Deadline::after(Duration::from_secs(1));
            world.node.router.release(slot, by).await.unwrap();
            tokio::time::sleep(Duration::from_secs(pause_s)).await;
            cluster.placement.give(&[slot], 2).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(world.node.mailboxes.active(), 0);
            let active = cluster.node(2).mailboxes.active();
            assert_eq!(active, warmed, "at level {level} after {pause_s} s");
            let view = world.handle(account).view(inbox()).await.unwrap();
            assert_eq!(view.entries().count(), 3);
            world.sound(account).await;
            given.push(slot);
            cluster.node(2).router.lost(&slots());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

#[test]
fn a_purge_is_its_owners_business() {
    run(5, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("goes").await;
        cluster.give_all(2).await;
        world.fill(&world.handle(account), inbox(), 30).await;
        world.directory.remove_account(&Actor::System, account).await.unwrap();
        let (router, control) = (&world.node.router, &world.node.control);
        let command = CommandId { session: SessionId(1), sequence: 1 };
        // Who has lost the slot removes nothing, whatever it was asked before.
        let stale = sent_to(&**control, router, account, command, &Write::Purge).await;
        assert!(stale.is_err());
        assert!(!cluster.rows(account).await.is_empty());
        let purge = Write::Purge;
        let reply = world.node.mailboxes.write(account, Principal::System, command, purge).await;
        assert_eq!(reply.unwrap(), WriteReply::Done);
        assert!(cluster.rows(account).await.is_empty());
    });
}

/// How many commands a client sends in a storm.
const COMMANDS: u64 = 20;

/// What a client does while mailboxes move.
struct Client {
    account: AccountId,
    session: Session,
    /// Messages that are in the mailbox once.
    made: Vec<u64>,
    /// Messages of which nobody knows.
    maybe: Vec<u64>,
    delivered: Option<Write>,
    /// What is appended, and what is delivered, by number: made while the store does not fail.
    news: Vec<(Write, Write)>,
}

impl Client {
    async fn step(&mut self, world: &World, number: u64) {
        let uids = UidSet::all();
        let (from, to) = if number % 4 == 1 { (inbox(), archive()) } else { (archive(), inbox()) };
        let mut again = false;
        let request = match (world.env.random.below(6), self.delivered.clone()) {
            (0 | 1, _) => self.news[number as usize].0.clone(),
            (2 | 3, _) => self.news[number as usize].1.clone(),
            // A delivery that was made is asked for again, by whoever works on the queue now.
            (4, Some(delivered)) => {
                again = true;
                delivered
            }
            _ => Write::Move { from, uids, to },
        };
        let command = self.session.next();
        let reply = self.session.send(&world.node, command, request.clone()).await;
        match (&request, reply) {
            (Write::Deliver(_), Ok(reply)) if again => {
                let before = WriteReply::Delivered(contract_mailbox::Delivered::Before);
                assert_eq!(reply, before);
            }
            (Write::Append { .. } | Write::Deliver(_), Ok(_)) => {
                self.made.push(number);
                if matches!(request, Write::Deliver(_)) {
                    self.delivered = Some(request);
                }
            }
            (_, Ok(_)) => {}
            (_, Err(error)) => {
                assert!(error.is_temporary() || error.kind == Kind::Internal, "{error:?}");
                if !again {
                    self.maybe.push(number);
                }
            }
        }
    }
}

async fn everything(handle: &MailboxHandle, folder: FolderId) -> Vec<String> {
    let view = handle.view(folder).await.unwrap();
    let found = subjects(handle, folder, &uids(&view)).await;
    found.into_iter().map(|(_, subject)| subject).collect()
}

fn storm(seed: u64) {
    let config = Config { chunk_messages: 3, ..Config::default() };
    run_with(seed, config, async |world| {
        let account = world.account("storm").await;
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        cluster.placement.lost_answers.store(100, Ordering::Relaxed);
        let mut client = Client {
            account,
            session: Session::new(world, account),
            made: Vec::new(),
            maybe: Vec::new(),
            delivered: None,
            news: Vec::new(),
        };
        for number in 0..COMMANDS {
            let messages = world.small(number..number + 1).await;
            let append = Write::Append { folder: inbox(), messages };
            let deliver = Write::Deliver(Box::new(world.queued(&small(number)).await));
            client.news.push((append, deliver));
        }
        world.inject(Faults {
            conflict: 0.03,
            commit_unknown_applied: 0.03,
            commit_unknown_not_applied: 0.03,
            late_commit: 0.01,
            interleave: 0.05,
            ..Faults::default()
        });
        let working = async {
            for number in 0..COMMANDS {
                client.step(world, number).await;
            }
        };
        let pace = Pace { steps: 6, turns_max: 300, pause_ms_max: 40 };
        let cluster = &cluster;
        let moving = mover(&cluster.placement, pace, |node| async move { cluster.restart(node) });
        tokio::join!(working, moving);
        world.inject(Faults::default());
        world.memory().land_late_commits();
        cluster.give_all(1).await;
        world.calm(client.account).await;
        let handle = world.handle(client.account);
        let mut found = everything(&handle, inbox()).await;
        found.extend(everything(&handle, archive()).await);
        let count = |number: &u64| found.iter().filter(|text| **text == number.to_string()).count();
        for number in &client.made {
            assert_eq!(count(number), 1, "seed {seed}: {number} of {found:?}");
        }
        for number in &client.maybe {
            assert!(count(number) <= 1, "seed {seed}: {number} of {found:?}");
        }
        assert!(client.made.len() > 4, "seed {seed}: too little was done to tell");
        world.sound(account).await;
    });
}

#[test]
fn nothing_is_lost_or_doubled_while_mailboxes_move() {
    if !in_memory() {
        return;
    }
    let first = test_seed();
    for seed in first..first + 200 {
        storm(seed);
    }
}

/// Rows of jobs are what `calm` waits for; a mailbox that moves leaves none behind.
#[test]
fn a_gone_clients_job_ends_at_the_next_owner() {
    let config = Config { chunk_messages: 2, ..Config::default() };
    run_with(6, config, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("gone").await;
        world.fill(&world.handle(account), inbox(), 30).await;
        let handle = world.handle(account);
        let copying = tokio::spawn(async move {
            handle.copy(inbox(), UidSet::all(), archive()).await.map(|_| ())
        });
        let jobs = kind(account, b'j').build();
        while world.rows(&jobs).await.is_empty() {
            tokio::task::yield_now().await;
        }
        copying.abort();
        cluster.give_all(2).await;
        world.calm(account).await;
        let count = world.handle(account).view(archive()).await.unwrap().entries().count();
        assert_eq!(count, 30);
        world.sound(account).await;
    });
}
