//! Commands over more messages than one transaction takes.

use super::help::{Session, archive, folder, inbox, kind, named, set, subjects, uids};
use crate::support::{World, in_memory, run};
use base::{AccountId, Change, CommandId, Error, FolderId, Kind, Timestamp, Uid};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{FolderInfo, Permission, Search, SystemFlags, UidSet, Write, WriteReply};
use std::time::Duration;
use store_memory::CommitFault;

/// More than two chunks.
const COUNT: u32 = 1_210;

async fn filled(world: &World) -> AccountId {
    let account = world.account("bulk").await;
    let handle = world.handle(account);
    // Copies are faster than appends.
    world.fill(&handle, inbox(), 400).await;
    for _ in 0..2 {
        handle.copy(inbox(), set(1, 400), inbox()).await.unwrap();
    }
    handle.copy(inbox(), set(1, 10), inbox()).await.unwrap();
    account
}

#[test]
fn answers_are_complete() {
    run(1, async |world| {
        let account = filled(&world).await;
        let handle = world.handle(account);
        let flagged = named(SystemFlags::FLAGGED);
        let stored =
            handle.store(inbox(), UidSet::all(), StoreMode::Add, flagged, None).await.unwrap();
        let all: Vec<u32> = (1..=COUNT).collect();
        assert_eq!(stored.entries.iter().map(|entry| entry.uid.0).collect::<Vec<_>>(), all);
        assert!(stored.entries.iter().all(|e| e.flags.system == SystemFlags::FLAGGED));

        let copied = handle.copy(inbox(), set(2, 5000), archive()).await.unwrap();
        let expect: Vec<_> = (2..=COUNT).map(|uid| (Uid(uid), Uid(uid - 1))).collect();
        assert_eq!(copied.pairs, expect);

        // Within one folder: every message gets a new UID, once.
        let moved = handle.move_messages(archive(), UidSet::all(), archive()).await.unwrap();
        let expect: Vec<_> = (1..COUNT).map(|uid| (Uid(uid), Uid(uid + COUNT - 1))).collect();
        assert_eq!(moved.pairs, expect);
        let view = handle.view(archive()).await.unwrap();
        assert_eq!(uids(&view), (COUNT..2 * COUNT - 1).collect::<Vec<_>>());

        let deleted = named(SystemFlags::DELETED);
        handle.store(inbox(), set(3, 1205), StoreMode::Add, deleted, None).await.unwrap();
        let gone = handle.expunge(inbox(), None).await.unwrap();
        assert_eq!(gone.ranges(), [(3, 1205)]);
        assert_eq!(
            uids(&handle.view(inbox()).await.unwrap()),
            [1, 2, 1206, 1207, 1208, 1209, 1210]
        );
        let usage = handle.usage().await.unwrap();
        assert_eq!(usage.items, u64::from(7 + COUNT - 1));
        world.sound(account).await;
    });
}

/// The row of a folder as it stands in the store, read past the service.
async fn stored_folder(world: &World, account: AccountId, folder: FolderId) -> FolderInfo {
    type Row = (
        FolderInfo,
        bool,
        Change,
        Option<(Vec<FolderId>, Search)>,
        Vec<Permission>,
        Option<Timestamp>,
    );
    let rows = world.rows(&kind(account, b'f').u64(folder.0).build()).await;
    base::wire::decode_row::<Row>(1, &rows[0].value).unwrap().0
}

/// What breaks the second transaction of a job.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// It is not known, and lands after all.
    Landing,
    /// It is not known, and may land at any moment.
    Flying,
}

/// Sends a command whose second transaction breaks.
async fn send_broken(world: &World, session: &mut Session, request: Write, how: Break) {
    let command = session.next();
    let before = world.memory().stats().applied;
    let sending = session.send(&world.node, command, request);
    let breaking = async {
        while world.memory().stats().applied == before {
            tokio::task::yield_now().await;
        }
        world.memory().fail_next_commit(CommitFault::Late);
    };
    let (reply, ()) = futures::join!(sending, breaking);
    assert_eq!(reply.unwrap_err().kind, Kind::Unavailable, "{how:?}");
    if matches!(how, Break::Landing) {
        world.memory().land_late_commits();
    }
}

/// Jobs that break are finished, by the same owner or the next; the command, sent again, is
/// answered as done.
#[test]
fn jobs_that_break_are_finished() {
    if !in_memory() {
        return;
    }
    run(2, async |mut world| {
        let account = filled(&world).await;
        let target = folder(&world.handle(account), "target").await;
        let flags = || named(SystemFlags::ANSWERED);
        let (mode, all) = (StoreMode::Add, UidSet::all);
        let store = |folder, flags| Write::Store {
            folder,
            uids: all(),
            mode,
            flags,
            unchanged_since: None,
        };
        let scenarios = [
            (store(inbox(), flags()), Break::Flying, false),
            (Write::Copy { from: inbox(), uids: all(), to: target }, Break::Landing, false),
            (Write::Copy { from: inbox(), uids: all(), to: archive() }, Break::Flying, true),
            (Write::Move { from: target, uids: all(), to: archive() }, Break::Landing, true),
            (
                Write::Move { from: archive(), uids: set(1, COUNT), to: target },
                Break::Landing,
                false,
            ),
            (store(archive(), named(SystemFlags::DELETED)), Break::Landing, true),
            (Write::Expunge { folder: archive(), uids: None }, Break::Flying, true),
        ];
        let mut counts = [COUNT, 0, 0];
        for (number, (request, how, new_owner)) in scenarios.into_iter().enumerate() {
            let mut session = Session::new(&world, account);
            send_broken(&world, &mut session, request.clone(), how).await;
            if !matches!(how, Break::Flying) {
                let waiting = world.sound(account).await;
                assert!(waiting.unfinished_job, "{number}");
            }
            // What a COPY has put so far is not to be seen by anybody.
            if let Write::Copy { to, .. } = request {
                let info = stored_folder(&world, account, to).await;
                assert_eq!((info.uid_next, info.counts.messages), (Uid(1), 0), "{number}");
            }
            if new_owner {
                world.node = world.another_node().await;
            }
            match number {
                1 => counts[1] = COUNT,
                2 => counts[2] = COUNT,
                3 => counts = [COUNT, 0, 2 * COUNT],
                4 => counts = [COUNT, COUNT, COUNT],
                6 => counts[2] = 0,
                _ => {}
            }
            world.calm(account).await;
            let handle = world.handle(account);
            for (folder, count) in [inbox(), target, archive()].into_iter().zip(counts) {
                let view = handle.view(folder).await.unwrap();
                assert_eq!(view.entries().count(), count as usize, "{number}: {folder}");
            }
            let command = base::CommandId { session: session.session, sequence: session.sequence };
            let again = session.send(&world.node, command, request).await.unwrap();
            assert_eq!(again, WriteReply::LookAgain, "{number}");
            assert!(!world.sound(account).await.unfinished_job, "{number}");
        }
        let view = world.handle(account).view(inbox()).await.unwrap();
        assert!(view.entries().all(|entry| entry.flags.system == SystemFlags::ANSWERED));
    });
}

/// Sends a command whose second transaction and all after it find no room, until there is some.
async fn send_full(world: &World, command: CommandId, session: &Session, request: Write) -> Error {
    let before = world.memory().stats().applied;
    let sending = session.send(&world.node, command, request);
    let filling = async {
        while world.memory().stats().applied == before {
            tokio::task::yield_now().await;
        }
        world.memory().set_full(true);
        world.env.clock.sleep(Duration::from_secs(30)).await;
        let waiting = world.sound(session.account).await;
        assert!(waiting.unfinished_job);
        // What fits into no transaction is refused at once; reading goes on.
        let refused = world.handle(session.account).append(inbox(), Vec::new()).await;
        assert_eq!(refused.unwrap_err().kind, Kind::OutOfSpace);
        let mark = StoreMode::Add;
        let refused = world.handle(session.account);
        let refused =
            refused.store(inbox(), UidSet::all(), mark, named(SystemFlags::DRAFT), None).await;
        assert_eq!(refused.unwrap_err().kind, Kind::OutOfSpace);
        world.handle(session.account).view(inbox()).await.unwrap();
        world.memory().set_full(false);
    };
    let (reply, ()) = futures::join!(sending, filling);
    reply.unwrap_err()
}

/// A command for which the disk has no room has not been done when it is refused, and is not done
/// afterwards, either; sent again, it is done anew.
#[test]
fn what_is_refused_for_want_of_room_is_not_done_later() {
    if !in_memory() {
        return;
    }
    run(6, async |mut world| {
        let account = filled(&world).await;
        let mut session = Session::new(&world, account);
        let copy = || Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        let command = session.next();
        let usage = world.handle(account).usage().await.unwrap();
        let error = send_full(&world, command, &session, copy()).await;
        assert_eq!(error.kind, Kind::OutOfSpace);
        for _ in 0..2 {
            assert!(!world.sound(account).await.unfinished_job);
            let handle = world.handle(account);
            assert_eq!(handle.usage().await.unwrap(), usage);
            assert_eq!(uids(&handle.view(archive()).await.unwrap()), [0; 0]);
            world.node = world.another_node().await;
        }
        let again = session.send(&world.node, command, copy()).await.unwrap();
        assert!(
            matches!(again, WriteReply::Copied(copied) if copied.pairs.len() == COUNT as usize)
        );

        // A MOVE stops where it is.
        let command = session.next();
        let moving = Write::Move { from: archive(), uids: UidSet::all(), to: inbox() };
        let error = send_full(&world, command, &session, moving).await;
        assert_eq!(error.kind, Kind::OutOfSpace);
        assert!(!world.sound(account).await.unfinished_job);
        let left = uids(&world.handle(account).view(archive()).await.unwrap());
        assert_eq!(left, (501..=COUNT).collect::<Vec<_>>());
    });
}

/// A job for which nobody waits goes on when there is room again.
#[test]
fn a_job_without_a_client_waits_for_room() {
    if !in_memory() {
        return;
    }
    run(7, async |mut world| {
        let account = filled(&world).await;
        let mut session = Session::new(&world, account);
        let copy = Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        send_broken(&world, &mut session, copy, Break::Landing).await;
        world.node = world.another_node().await;
        world.memory().set_full(true);
        world.env.clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(uids(&world.handle(account).view(archive()).await.unwrap()), [0; 0]);
        assert!(world.sound(account).await.unfinished_job);
        world.memory().set_full(false);
        world.env.clock.sleep(Duration::from_secs(10)).await;
        let view = world.handle(account).view(archive()).await.unwrap();
        assert_eq!(view.entries().count(), COUNT as usize);
    });
}

/// Whoever takes over goes on with what was left, though nobody asks for the mailbox.
#[test]
fn a_new_owner_finds_jobs_by_itself() {
    if !in_memory() {
        return;
    }
    run(8, async |mut world| {
        let account = filled(&world).await;
        let mut session = Session::new(&world, account);
        let store = Write::Store {
            folder: inbox(),
            uids: UidSet::all(),
            mode: StoreMode::Add,
            flags: named(SystemFlags::ANSWERED),
            unchanged_since: None,
        };
        send_broken(&world, &mut session, store, Break::Landing).await;
        assert!(world.sound(account).await.unfinished_job);
        assert_eq!(world.rows(b"J").await.len(), 1);
        world.node = world.another_node().await;
        world.env.clock.sleep(Duration::from_secs(1)).await;
        assert!(!world.sound(account).await.unfinished_job);
        assert_eq!(world.rows(b"J").await, []);
        let view = world.handle(account).view(inbox()).await.unwrap();
        assert!(view.entries().all(|entry| entry.flags.system == SystemFlags::ANSWERED));
    });
}

/// Another command comes before the broken COPY is sent again: its message must not take the place
/// of a copied one.
#[test]
fn a_broken_copy_is_finished_before_anything_else() {
    if !in_memory() {
        return;
    }
    run(3, async |world| {
        let account = filled(&world).await;
        let mut session = Session::new(&world, account);
        let copy = Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        send_broken(&world, &mut session, copy, Break::Landing).await;
        let handle = world.handle(account);
        let (_, uids) = handle.append(archive(), world.small(7..8).await).await.unwrap();
        assert_eq!(uids, [Uid(COUNT + 1)]);
        world.sound(account).await;
    });
}

/// A step that is refused for good ends the job: a COPY leaves nothing, and the mailbox lives on.
#[test]
fn a_refused_step_ends_the_job() {
    run(4, async |mut world| {
        let account = filled(&world).await;
        let handle = world.handle(account);
        // The meta of a message of the third chunk is damaged.
        let key = kind(account, b'm').u64(inbox().0).u32(1100).u16(0).build();
        let good = world.rows(&key).await[0].value.clone();
        write(&world, &key, b"\x01damaged").await;
        let usage = handle.usage().await.unwrap();
        let error = handle.copy(inbox(), UidSet::all(), archive()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        assert_eq!(handle.usage().await.unwrap(), usage);
        assert_eq!(uids(&handle.view(archive()).await.unwrap()), [0; 0]);
        let (_, appended) = handle.append(archive(), world.small(0..1).await).await.unwrap();
        assert_eq!(appended, [Uid(1)]);

        // A MOVE stops where it is.
        let error = handle.move_messages(inbox(), UidSet::all(), archive()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        world.node = world.another_node().await;
        let handle = world.handle(account);
        assert_eq!(uids(&handle.view(archive()).await.unwrap()), (1..=1001).collect::<Vec<_>>());
        assert_eq!(uids(&handle.view(inbox()).await.unwrap()), (1001..=COUNT).collect::<Vec<_>>());
        write(&world, &key, &good).await;
        assert!(!world.sound(account).await.unfinished_job);
        let all = subjects(&handle, archive(), &(1..=1001).collect::<Vec<_>>()).await;
        assert_eq!(all.len(), 1001);
    });
}

/// The same, found by the next owner, and with the place of the copies damaged too: then what was
/// copied is shown.
#[test]
fn a_job_that_cannot_be_undone_does_not_keep_the_mailbox_closed() {
    if !in_memory() {
        return;
    }
    run(5, async |mut world| {
        let account = filled(&world).await;
        let mut session = Session::new(&world, account);
        let copy = Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        send_broken(&world, &mut session, copy, Break::Landing).await;
        let meta = kind(account, b'm').u64(inbox().0).u32(1100).u16(0).build();
        let block = kind(account, b'b').u64(archive().0).u32(0).build();
        let good = (world.rows(&meta).await[0].value.clone(), world.rows(&block).await[0].clone());
        write(&world, &meta, b"\x01damaged").await;
        write(&world, &block, b"\x01damaged").await;
        world.node = world.another_node().await;
        let handle = world.handle(account);
        assert_eq!(handle.folders().await.unwrap().len(), 16);
        world.calm(account).await;
        write(&world, &meta, &good.0).await;
        write(&world, &block, &good.1.value).await;
        assert!(!world.sound(account).await.unfinished_job);
        let view = handle.view(archive()).await.unwrap();
        assert_eq!(uids(&view), (1..=view.info.counts.messages as u32).collect::<Vec<_>>());
        assert!(view.info.counts.messages >= 500);
    });
}

async fn write(world: &World, key: &[u8], value: &[u8]) {
    let tx = world.store.begin();
    tx.set(key, value);
    tx.commit().await.unwrap();
}
