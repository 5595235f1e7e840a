//! What operations cost, in store transactions and rows.

use super::help::{inbox, kind, named, set, small};
use crate::support::{World, in_memory, run};
use base::{Change, FolderId, ItemId, Timestamp, Uid};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{
    Flags, FolderInfo, IndexBlock, IndexEntry, Permission, Principal, Search, SystemFlags, Write,
};

/// Runs something; gives transactions begun, commits that wrote, point reads, and rows of range
/// reads.
async fn cost(world: &World, work: impl Future) -> (u64, u64, u64, u64) {
    let before = world.memory().stats();
    work.await;
    let after = world.memory().stats();
    (
        after.begun - before.begun,
        after.commits - before.commits,
        after.point_reads - before.point_reads,
        after.rows_read - before.rows_read,
    )
}

#[test]
fn commands_take_one_transaction() {
    if !in_memory() {
        return;
    }
    run(1, async |world| {
        let account = world.account("cost").await;
        let handle = world.handle(account);
        let transport = world.handle_as(account, Principal::Transport);
        world.fill(&handle, inbox(), 300).await;
        let delivery = world.queued(&small(1)).await;
        let delivered = cost(&world, async {
            transport.write(Write::Deliver(Box::new(delivery))).await.unwrap()
        });
        let (begun, commits, reads, rows) = delivered.await;
        assert_eq!((begun, commits), (1, 1));
        // Fence, summary, dedupe key, the blob's manifest; the index block is in the cache.
        assert!(reads <= 5 && rows == 0, "{reads} reads, {rows} rows");

        let one = world.message(&small(2)).await;
        let (begun, commits, ..) =
            cost(&world, async { handle.append(inbox(), vec![one]).await.unwrap() }).await;
        assert_eq!((begun, commits), (1, 1));
        let seen = || named(SystemFlags::SEEN);
        let (begun, commits, ..) = cost(&world, async {
            handle.store(inbox(), set(1, 300), StoreMode::Add, seen(), None).await.unwrap()
        })
        .await;
        assert_eq!((begun, commits), (1, 1));
    });
}

/// Whatever the number of messages: fence, answer, summary, their steps in the history as one
/// range; and their index rows, where the cache does not have them.
#[test]
fn flags_cost_no_read_for_each_message() {
    if !in_memory() {
        return;
    }
    run(4, async |mut world| {
        let account = world.account("flags").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 400).await;
        let all = || contract_mailbox::UidSet::all();
        let flagged = || named(SystemFlags::FLAGGED);
        let mode = StoreMode::Add;
        let ranges = world.memory().stats().range_reads;
        let (begun, commits, reads, rows) = cost(&world, async {
            handle.store(inbox(), all(), mode, flagged(), None).await.unwrap()
        })
        .await;
        assert_eq!((begun, commits, reads, rows), (1, 1, 3, 400));
        assert_eq!(world.memory().stats().range_reads - ranges, 1);
        // With a cache that is cold: two index rows in one range more.
        world.node = world.another_node().await;
        let handle = world.handle(account);
        handle.folders().await.unwrap();
        let ranges = world.memory().stats().range_reads;
        let remove = StoreMode::Remove;
        let (begun, commits, reads, rows) = cost(&world, async {
            handle.store(inbox(), all(), remove, flagged(), None).await.unwrap()
        })
        .await;
        assert_eq!((begun, commits, reads, rows), (1, 1, 3, 402));
        assert_eq!(world.memory().stats().range_reads - ranges, 2);
        // A few that are scattered over a long history are read one by one.
        handle.store(inbox(), set(200, 200), mode, flagged(), None).await.unwrap();
        let few = contract_mailbox::UidSet::from_ranges([(3, 3), (200, 200), (399, 399)]);
        let (.., rows) =
            cost(&world, async { handle.set_read(items(&handle, few).await, true).await.unwrap() })
                .await;
        assert!(rows < 50, "{rows}");
        world.sound(account).await;
    });
}

async fn items(
    handle: &contract_mailbox::MailboxHandle,
    uids: contract_mailbox::UidSet,
) -> Vec<ItemId> {
    let view = handle.view(inbox()).await.unwrap();
    view.entries().filter(|entry| uids.contains(entry.uid)).map(|entry| entry.item).collect()
}

/// A mailbox that is not active is read in one transaction, all of it at once, and opening a folder
/// where nothing is new to anybody writes nothing.
#[test]
fn opening_a_cold_mailbox_writes_nothing() {
    if !in_memory() {
        return;
    }
    run(5, async |mut world| {
        let account = world.account("cold").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 300).await;
        assert_eq!(handle.claim_recent(inbox()).await.unwrap(), Uid(1));
        world.node = world.another_node().await;
        // It looks for jobs that were left behind, once.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let handle = world.handle(account);
        // Rows of the mailbox, the job, the fence check.
        let (begun, commits, reads, rows) =
            cost(&world, async { handle.folders().await.unwrap() }).await;
        assert_eq!((begun, commits), (3, 0));
        assert!(reads <= 5 && rows <= 30, "{reads} {rows}");
        let claim = cost(&world, async {
            assert_eq!(handle.claim_recent(inbox()).await.unwrap(), Uid(301));
        });
        let (begun, commits, ..) = claim.await;
        assert_eq!((begun, commits), (1, 0));
    });
}

#[test]
fn questions_take_one_transaction_and_the_fence_check() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let account = world.account("cost").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 300).await;
        let uids = || (1..=256).map(Uid).collect::<Vec<_>>();
        let fetch = cost(&world, async { handle.meta(inbox(), uids()).await.unwrap() }).await;
        assert_eq!(fetch, (2, 0, 1, 256));
        let view = cost(&world, async { handle.view(inbox()).await.unwrap() }).await;
        assert_eq!(view, (2, 0, 1, 2));
        let change = handle.folder(inbox()).await.unwrap().highest_change;
        let nothing = cost(&world, async { handle.delta(inbox(), change).await.unwrap() }).await;
        assert_eq!(nothing, (1, 0, 1, 0));
        let folders = cost(&world, async { handle.folders().await.unwrap() }).await;
        assert_eq!(folders, (1, 0, 1, 0));
        handle.append(inbox(), world.small(0..2).await).await.unwrap();
        let news = cost(&world, async { handle.delta(inbox(), change).await.unwrap() }).await;
        // Two steps of history, one block, as ranges.
        assert_eq!(news, (2, 0, 1, 3));
    });
}

/// Structures that were read lately cost the fence check; they are forgotten when messages go.
#[test]
fn structures_are_remembered_until_messages_go() {
    if !in_memory() {
        return;
    }
    run(6, async |world| {
        let account = world.account("cost").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 10).await;
        let uids =
            |found: Vec<(Uid, _)>| -> Vec<u32> { found.iter().map(|(uid, _)| uid.0).collect() };
        let asked = async |wanted: &[u32]| {
            let wanted = wanted.iter().map(|uid| Uid(*uid)).collect();
            uids(handle.meta(inbox(), wanted).await.unwrap())
        };
        assert_eq!(asked(&[2, 3, 7]).await, [2, 3, 7]);
        let again = cost(&world, async { assert_eq!(asked(&[7, 3, 3, 99]).await, [3, 7]) }).await;
        assert_eq!(again, (1, 0, 1, 0));
        let more = cost(&world, async { assert_eq!(asked(&[3, 4]).await, [3, 4]) }).await;
        assert_eq!(more, (2, 0, 1, 2));
        // New mail and flags change nothing of them.
        world.fill(&handle, inbox(), 1).await;
        let flagged = named(SystemFlags::FLAGGED);
        handle.store(inbox(), set(1, 11), StoreMode::Add, flagged, None).await.unwrap();
        let again = cost(&world, async { assert_eq!(asked(&[2, 3, 4, 7]).await, [2, 3, 4, 7]) });
        assert_eq!(again.await, (1, 0, 1, 0));
        let deleted = named(SystemFlags::DELETED);
        handle.store(inbox(), set(3, 3), StoreMode::Add, deleted, None).await.unwrap();
        handle.expunge(inbox(), None).await.unwrap();
        assert_eq!(asked(&[2, 3, 4, 7]).await, [2, 4, 7]);
        let moved = cost(&world, async { assert_eq!(asked(&[2, 4, 7]).await, [2, 4, 7]) }).await;
        assert_eq!(moved, (1, 0, 1, 0));
    });
}

/// What stands in a folder's row; the tests know it only by its shape.
type FolderRow =
    (FolderInfo, bool, Change, Option<(Vec<FolderId>, Search)>, Vec<Permission>, Option<Timestamp>);

#[test]
fn a_folder_of_100_000_messages_opens_with_400_rows() {
    if !in_memory() {
        return;
    }
    run(3, async |mut world| {
        let account = world.account("large").await;
        let handle = world.handle(account);
        handle.folders().await.unwrap();
        // Written past the service: a hundred thousand appends would take minutes.
        let key = kind(account, b'f').u64(inbox().0).build();
        let mut row: FolderRow =
            base::wire::decode_row(1, &world.rows(&key).await[0].value).unwrap();
        row.0.uid_next = Uid(100_001);
        row.0.counts.messages = 100_000;
        let tx = world.store.begin();
        tx.set(&key, &base::wire::encode_row(1, &row).unwrap());
        for number in 0..=100_000 / IndexBlock::UIDS {
            let uids = number * IndexBlock::UIDS..(number + 1) * IndexBlock::UIDS;
            let entries = uids.filter(|uid| (1..=100_000).contains(uid)).map(|uid| IndexEntry {
                uid: Uid(uid),
                item: ItemId(u64::from(uid)),
                flags: Flags::default(),
                change: Change(u64::from(uid)),
                size_bytes: 5_000,
                received: Timestamp { unix_ms: 1_900_000_000_000 },
            });
            let block = IndexBlock { number, entries: entries.collect() };
            let key = kind(account, b'b').u64(inbox().0).u32(number).build();
            tx.set(&key, &base::wire::encode_row(1, &block).unwrap());
        }
        tx.commit().await.unwrap();
        world.node = world.another_node().await;
        let handle = world.handle(account);
        handle.folders().await.unwrap();
        let (begun, commits, reads, rows) = cost(&world, async {
            assert_eq!(handle.view(inbox()).await.unwrap().blocks.len(), 391)
        })
        .await;
        assert_eq!((begun, commits, reads), (2, 0, 1));
        assert!(rows <= 400, "{rows}");

        // A search by the index alone reads the index, in transactions of 16 blocks.
        let search = Search::ReceivedSince(0);
        let (begun, _, reads, rows) = cost(&world, async {
            assert_eq!(handle.search(inbox(), search).await.unwrap().len(), 100_000);
        })
        .await;
        assert!(begun <= 2 + 25 && reads <= 1 && rows <= 400, "{begun} {reads} {rows}");
        let few = Search::Uids(contract_mailbox::UidSet::from_ranges([(70_000, 70_010)]));
        let (begun, _, _, rows) = cost(&world, async {
            assert_eq!(handle.search(inbox(), few).await.unwrap().len(), 11);
        })
        .await;
        assert_eq!((begun, rows), (3, 1));
    });
}
