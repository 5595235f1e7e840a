//! What costs an owner a new fence: errors after which a commit may still land, and nothing else.
//! And what it costs the others of its slot: nothing.

use super::guard::guard_blobs;
use super::help::{Session, archive, inbox, kind, named, set};
use crate::support::{World, in_memory, run, run_with};
use base::{AccountId, Kind};
use contract_control::Fence;
use contract_directory::DirectoryAdmin;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{
    NewItem, Principal, Properties, PropertyName, PropertyValue, SystemFlags, UidSet, Write,
};
use contract_store::{BodyError, Isolation, StoreError};
use parking_lot::Mutex;
use service_mailbox::Config;
use std::sync::Arc;
use store_memory::CommitFault;

/// Refuses the next changes that hold a blob with these errors, the last one first.
fn failing(world: &mut World) -> Arc<Mutex<Vec<BodyError>>> {
    let errors = Arc::new(Mutex::new(Vec::<BodyError>::new()));
    let told = errors.clone();
    guard_blobs(world, move |_| told.lock().pop().map_or(Ok(()), Err));
    errors
}

async fn renewal(world: &World, account: AccountId) -> u64 {
    let key = Fence::key(world.node.control.slot_of_account(account));
    let row = world.store.begin().get(&key, Isolation::Snapshot).await.unwrap().unwrap();
    Fence::decode(&row).unwrap().renewal
}

#[test]
fn no_request_can_make_an_owner_renew_its_fence() {
    run(1, async |mut world| {
        let errors = failing(&mut world);
        let account = world.account("fence").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 20).await;
        let before = renewal(&world, account).await;
        // A row that is damaged, found in the middle of a change.
        let key = kind(account, b'm').u64(inbox().0).u32(7).u16(0).build();
        let tx = world.store.begin();
        tx.set(&key, b"\x01damaged");
        tx.commit().await.unwrap();
        let error = handle.copy(inbox(), UidSet::all(), archive()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        // A bug of ours.
        errors.lock().push(base::Error::internal("on purpose").into());
        let error = handle.append(inbox(), world.small(1..2).await).await.unwrap_err();
        assert_eq!(error.kind, Kind::Internal);
        // What the store refuses at the commit.
        let mut wide = NewItem::default();
        for number in 0..30_000_u32 {
            let name = PropertyName::Numbered { set: [1; 16], id: number };
            wide.tree.properties.insert(name, PropertyValue::Text("x".repeat(100)));
        }
        assert_eq!(handle.create_item(inbox(), wide).await.unwrap_err().kind, Kind::Limit);
        let name = PropertyName::Named { set: [1; 16], name: "x".repeat(200_000) };
        let mut long = NewItem::default();
        long.tree.properties = Properties::from([(name, PropertyValue::Bool(true))]);
        handle.create_item(inbox(), long).await.unwrap();
        // A read that was cancelled, before there was anything to commit.
        errors.lock().push(StoreError::Cancelled.into());
        let command =
            base::CommandId { session: base::SessionId(world.env.random.u128()), sequence: 1 };
        let request = Write::Append { folder: inbox(), messages: world.small(2..3).await };
        let who = Principal::Account(account);
        let mailboxes = world.mailboxes();
        let error = mailboxes.write(account, who, command, request.clone()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        mailboxes.write(account, who, command, request).await.unwrap();
        let seen = named(SystemFlags::SEEN);
        handle.store(inbox(), set(1, 5), StoreMode::Add, seen, None).await.unwrap();
        assert_eq!(renewal(&world, account).await, before);
    });
}

#[test]
fn a_commit_that_may_land_late_is_shut_out() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let account = world.account("late").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 2).await;
        let before = renewal(&world, account).await;
        world.memory().fail_next_commit(CommitFault::Late);
        // The handle asks again, and the owner finds out first.
        handle.append(inbox(), world.small(2..3).await).await.unwrap();
        assert_eq!(renewal(&world, account).await, before + 1);
        world.memory().land_late_commits();
        assert_eq!(handle.view(inbox()).await.unwrap().entries().count(), 3);
        world.sound(account).await;
    });
}

/// An actor that is unloaded before it has shut the commit out must not be started again on what
/// is stored then.
#[test]
fn a_commit_that_may_land_late_is_shut_out_by_the_next_start() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let account = world.account("later").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 2).await;
        let before = renewal(&world, account).await;
        world.memory().fail_next_commit(CommitFault::Late);
        let mut session = Session::new(&world, account);
        let command = session.next();
        let append = Write::Append { folder: inbox(), messages: world.small(2..3).await };
        let unknown = session.send(&world.node, command, append).await.unwrap_err();
        assert_eq!(unknown.kind, Kind::Unavailable);
        let slot = world.node.control.slot_of_account(account);
        let deadline = base::Deadline::after(std::time::Duration::from_secs(5));
        world.node.router.release(slot, deadline).await.unwrap();
        // It stays after all.
        world.node.router.gained(&[slot]);
        // It landed before the fence was renewed, or never will.
        let there = handle.view(inbox()).await.unwrap().entries().count();
        assert_eq!(renewal(&world, account).await, before + 1);
        world.memory().land_late_commits();
        assert_eq!(handle.view(inbox()).await.unwrap().entries().count(), there);
        handle.append(inbox(), world.small(3..4).await).await.unwrap();
        assert_eq!(handle.view(inbox()).await.unwrap().entries().count(), there + 1);
        world.sound(account).await;
    });
}

/// What another mailbox, or the queue, of the same slot does after a commit that may land late.
async fn neighbour_renews(world: &World, account: AccountId) {
    let control = &world.node.control;
    let slot = control.slot_of_account(account);
    let fence = control.fence(slot).await.unwrap();
    control.renew(slot, &fence).await.unwrap();
}

/// A renewal that is stored and of which the node has not been told yet.
async fn neighbour_is_renewing(world: &World, account: AccountId) {
    let key = Fence::key(world.node.control.slot_of_account(account));
    let tx = world.store.begin();
    let row = tx.get(&key, Isolation::Serializable).await.unwrap().unwrap();
    let stored =
        Fence { slot: world.node.control.slot_of_account(account), ..Fence::decode(&row).unwrap() };
    tx.set(&key, &Fence { renewal: stored.renewal + 1, ..stored }.encode().unwrap());
    tx.commit().await.unwrap();
}

/// A slot has many mailboxes and one fence: one that is renewed for the sake of another mailbox
/// keeps nobody from anything, and no actor has to begin anew.
#[test]
fn a_fence_that_a_neighbour_renews_is_taken_over() {
    run(3, async |world| {
        let account = world.account("neighbour").await;
        let mut session = Session::new(&world, account);
        let append = Write::Append { folder: inbox(), messages: world.small(0..3).await };
        let command = session.next();
        session.send(&world.node, command, append).await.unwrap();
        let delivery =
            || async { Write::Deliver(Box::new(world.queued(b"Message-ID: <d@x>\r\n\r\n").await)) };
        let seen = named(SystemFlags::SEEN);
        let requests = [
            Write::Append { folder: inbox(), messages: world.small(3..4).await },
            delivery().await,
            Write::Store {
                folder: inbox(),
                uids: UidSet::all(),
                mode: StoreMode::Add,
                flags: seen,
                unchanged_since: None,
            },
            Write::Copy { from: inbox(), uids: set(1, 2), to: archive() },
        ];
        for request in requests {
            for told in [true, false] {
                match told {
                    true => neighbour_renews(&world, account).await,
                    false => neighbour_is_renewing(&world, account).await,
                }
                let (command, before) = (session.next(), renewal(&world, account).await);
                let who = match &request {
                    Write::Deliver(_) => Principal::Transport,
                    _ => Principal::Account(account),
                };
                let mailboxes = world.mailboxes();
                mailboxes.write(account, who, command, request.clone()).await.unwrap();
                assert_eq!(renewal(&world, account).await, before, "it is renewed once more");
            }
        }
        let handle = world.handle(account);
        assert_eq!(handle.view(inbox()).await.unwrap().entries().count(), 3 + 2 + 1);
        assert_eq!(handle.view(archive()).await.unwrap().entries().count(), 4);
        world.sound(account).await;
    });
}

/// The same for a job of many transactions.
#[test]
fn a_job_goes_on_under_the_fence_that_a_neighbour_renews() {
    if !in_memory() {
        return;
    }
    let config = Config { chunk_messages: 2, ..Config::default() };
    run_with(4, config, async |world| {
        let account = world.account("neighbour").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 100).await;
        let mut session = Session::new(&world, account);
        let command = session.next();
        let copy = Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        let before = renewal(&world, account).await;
        let mut copying = std::pin::pin!(session.send(&world.node, command, copy));
        let reply = loop {
            let now_and_then = async {
                let before = world.memory().stats().applied;
                while world.memory().stats().applied < before + 2 {
                    tokio::task::yield_now().await;
                }
                neighbour_renews(&world, account).await;
            };
            tokio::select! {
                biased;
                reply = &mut copying => break reply,
                () = now_and_then => {}
            }
        };
        reply.unwrap();
        let renewals = renewal(&world, account).await - before;
        assert!(renewals > 2, "{renewals}: nobody was in its way");
        assert_eq!(handle.view(archive()).await.unwrap().entries().count(), 100);
        world.sound(account).await;
    });
}

/// Activating and removing a mailbox find the newest fence, too.
#[test]
fn a_mailbox_comes_and_goes_while_a_neighbour_renews() {
    run(5, async |world| {
        let account = world.account("neighbour").await;
        neighbour_is_renewing(&world, account).await;
        let mut session = Session::new(&world, account);
        let append = Write::Append { folder: inbox(), messages: world.small(0..3).await };
        let command = session.next();
        session.send(&world.node, command, append).await.unwrap();
        world.directory.remove_account(&contract_directory::Actor::System, account).await.unwrap();
        neighbour_is_renewing(&world, account).await;
        let command = session.next();
        let purged =
            world.mailboxes().write(account, Principal::System, command, Write::Purge).await;
        purged.unwrap();
    });
}
