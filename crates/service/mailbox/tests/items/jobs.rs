//! Commands over more items than one transaction takes, broken off at every commit, and what
//! commands on items cost.

use crate::support::{World, in_memory, run};
use base::universe::Universe;
use base::{AccountId, CommandId, FolderId, ItemId, SessionId};
use bytes::Bytes;
use contract_mailbox::{
    Attachment, AttachmentData, Content, Edited, FolderClass, ItemEdit, MailboxHandle, Mailboxes,
    NewItem, Principal, Properties, PropertyName, PropertyValue, Search, SpecialUse, SystemFlags,
    Write, WriteReply,
};
use service_mailbox::Config;
use std::time::Duration;
use store_memory::{CommitFault, Faults};

fn inbox() -> FolderId {
    SpecialUse::Inbox.folder_id()
}

fn archive() -> FolderId {
    SpecialUse::Archive.folder_id()
}

/// More than two chunks.
const COUNT: u64 = 1_100;

async fn items(handle: &MailboxHandle, folder: FolderId) -> Vec<ItemId> {
    let view = handle.view(folder).await.unwrap();
    view.entries().map(|entry| entry.item).collect()
}

async fn filled(world: &World) -> (AccountId, MailboxHandle) {
    let account = world.account("jobs").await;
    let handle = world.handle(account);
    world.fill(&handle, inbox(), 100).await;
    for _ in 0..10 {
        let uids = contract_mailbox::UidSet::from_ranges([(1, 100)]);
        handle.copy(inbox(), uids, inbox()).await.unwrap();
    }
    (account, handle)
}

fn unread() -> Search {
    Search::Not(Box::new(Search::System(SystemFlags::SEEN)))
}

async fn search_folder(handle: &MailboxHandle, scope: &[FolderId]) -> FolderId {
    let root = SpecialUse::Root.folder_id();
    let folder = handle.create_search_folder(root, "Unread".into(), scope.to_vec(), unread());
    folder.await.unwrap().id
}

#[test]
fn long_lists_are_worked_off_in_chunks() {
    run(1, async |world| {
        let (account, handle) = filled(&world).await;
        let search = search_folder(&handle, &[archive(), inbox()]).await;
        let all = items(&handle, inbox()).await;
        assert_eq!(all.len() as u64, COUNT);
        assert_eq!(items(&handle, search).await, all);
        world.sound(account).await;

        let mut named = all[..1_050].to_vec();
        named.push(ItemId(1 << 40));
        handle.set_read(named, true).await.unwrap();
        assert_eq!(handle.folder(inbox()).await.unwrap().counts.unseen, 50);
        assert_eq!(items(&handle, search).await, all[1_050..]);
        handle.set_read(all.clone(), false).await.unwrap();
        assert_eq!(items(&handle, search).await.len() as u64, COUNT);

        handle.delete_items(inbox(), all[..1_001].to_vec(), false).await.unwrap();
        assert_eq!(items(&handle, inbox()).await, all[1_001..]);
        assert_eq!(items(&handle, search).await.len(), 99);
        let deletions = SpecialUse::Deletions.folder_id();
        assert_eq!(items(&handle, deletions).await, all[..1_001]);
        world.sound(account).await;
    });
}

#[test]
fn a_folder_of_many_members_goes_whole() {
    run(1, async |world| {
        let (account, handle) = filled(&world).await;
        let root = SpecialUse::Root.folder_id();
        let folder = handle.create_folder(root, "Many".into(), FolderClass::Mail, None);
        let folder = folder.await.unwrap().id;
        let uids = contract_mailbox::UidSet::all();
        handle.copy(inbox(), uids, folder).await.unwrap();
        let search = search_folder(&handle, &[folder]).await;
        assert_eq!(items(&handle, search).await.len() as u64, COUNT);
        handle.delete_folder(folder).await.unwrap();
        assert!(items(&handle, search).await.is_empty());
        world.sound(account).await;
    });
}

/// The commit that breaks is the first, the second and so on of each command; another node
/// finishes what the first one leaves.
#[test]
fn a_job_on_items_survives_its_node() {
    if !in_memory() {
        return;
    }
    let commands: [fn(Vec<ItemId>) -> Write; 3] = [
        |items| Write::SetRead { items, read: true },
        |items| Write::DeleteItems { folder: inbox(), items, hard: true },
        |_| Write::CreateSearchFolder {
            parent: SpecialUse::Root.folder_id(),
            name: "Unread".into(),
            scope: vec![inbox()],
            search: unread(),
        },
    ];
    for (number, make) in commands.into_iter().enumerate() {
        for broken in 0..3 {
            run(number as u64 * 10 + broken, async |world| {
                let (account, handle) = filled(&world).await;
                let all = items(&handle, inbox()).await;
                let request = make(all.clone());
                let session = SessionId(world.env.random.u128());
                let command = CommandId { session, sequence: 1 };
                let who = Principal::Account(account);
                let first = world.node.mailboxes.clone();
                let again = request.clone();
                let applied = world.memory().stats().applied;
                let asked =
                    tokio::spawn(async move { first.write(account, who, command, again).await });
                // From the wanted commit on the store is as good as gone.
                while world.memory().stats().applied < applied + broken && !asked.is_finished() {
                    tokio::task::yield_now().await;
                }
                world.inject(Faults { late_commit: 1.0, ..Faults::default() });
                let _lost = asked.await.unwrap();
                world.inject(Faults::default());
                // Not while the rows are being checked.
                world.memory().land_late_commits();
                let left = world.sound(account).await.unfinished_job;
                // The commit that was lost may have landed; in the middle there is more to do.
                assert!(left || broken != 1, "{number} was not broken off");
                let other = world.another_node().await;
                let reply = other.mailboxes.write(account, who, command, request).await.unwrap();
                let third = MailboxHandle::new(
                    other.mailboxes.clone(),
                    account,
                    who,
                    SessionId(world.env.random.u128()),
                );
                match number {
                    0 => assert_eq!(third.folder(inbox()).await.unwrap().counts.unseen, 0),
                    1 => assert!(items(&third, inbox()).await.is_empty()),
                    _ => {
                        let WriteReply::Folder(info) = reply else { panic!("{reply:?}") };
                        assert_eq!(items(&third, info.id).await, all);
                    }
                }
                world.sound(account).await;
            });
        }
    }
}

fn attachment(content: Content) -> Attachment {
    let data = AttachmentData::Bytes(content);
    Attachment { number: 0, properties: Properties::new(), data }
}

#[test]
fn one_attachment_of_many_is_changed_alone() {
    if !in_memory() {
        return;
    }
    run(1, async |world| {
        let account = world.account("costs").await;
        let handle = world.handle(account);
        let mut new = NewItem::default();
        for number in 0..500_u32 {
            let mut one = attachment(Content::default());
            let text = format!("attachment {number} {}", "x".repeat(1_000));
            one.properties.insert(PropertyName::Tag(0x3707), PropertyValue::Text(text));
            new.tree.attachments.push(one);
        }
        let made = handle.create_item(inbox(), new).await.unwrap();
        let Edited::Applied { item, .. } = made else { panic!("{made:?}") };
        let before = world.memory().stats();
        let staged = world.stage(b"bytes").await;
        let edit = ItemEdit {
            add_attachments: vec![attachment(Content::of(&staged))],
            remove_attachments: vec![250],
            staged: vec![staged],
            ..ItemEdit::default()
        };
        handle.edit_item(item, edit).await.unwrap();
        let after = world.memory().stats();
        let rows = after.rows_read - before.rows_read;
        let bytes = after.bytes_committed - before.bytes_committed;
        assert!(rows < 10, "{rows} rows were read");
        assert!(bytes < 10_000, "{bytes} bytes were written");
        assert_eq!(after.applied - before.applied, 1);
        let tree = handle.item(item).await.unwrap().tree;
        assert_eq!(tree.attachments.len(), 500);
        assert_eq!(tree.attachments[499].number, 500);
        world.sound(account).await;
    });
}

#[test]
fn reserved_ids_are_only_for_who_reserved_them() {
    run(1, async |world| {
        let account = world.account("shared").await;
        let friend = world.account("friend").await;
        let change = contract_directory::AccountChange {
            full_access: Some(vec![friend]),
            ..Default::default()
        };
        world.change_account(account, change).await;
        let owner = world.handle(account);
        let other = world.handle_as(account, Principal::Account(friend));
        let (first, _) = owner.reserve_ids(3).await.unwrap();
        let new = NewItem { id: Some(first), ..NewItem::default() };
        let stolen = other.create_item(inbox(), new.clone()).await;
        assert_eq!(stolen.unwrap_err().kind, base::Kind::Invalid);
        owner.create_item(inbox(), new).await.unwrap();
        world.sound(account).await;
    });
}

#[test]
fn housekeeping_purges_items_with_all_they_hold() {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    Universe::simulate(1, async |simulation| {
        let world = World::new(simulation.env(), Config::default()).await;
        let account = world.account("old").await;
        let handle = world.handle(account);
        let staged = world.stage(b"the attachment").await;
        let root = SpecialUse::Root.folder_id();
        let folder = handle.create_folder(root, "Old".into(), FolderClass::Mail, None);
        let folder = folder.await.unwrap().id;
        let mut made = Vec::new();
        for (place, associated) in [(inbox(), false), (inbox(), true), (folder, true)] {
            let mut new =
                NewItem { associated, staged: vec![staged.clone()], ..NewItem::default() };
            new.source_key = Some(Bytes::from_static(b"key"));
            new.source_key = new.source_key.filter(|_| associated);
            new.tree.attachments = vec![attachment(Content::of(&staged))];
            let reply = handle.create_item(place, new).await.unwrap();
            let Edited::Applied { item, .. } = reply else { panic!("{reply:?}") };
            made.push(item);
        }
        handle.delete_items(inbox(), made.clone(), true).await.unwrap();
        handle.delete_folder(folder).await.unwrap();
        for (days, expect) in [(10, true), (5, false)] {
            simulation.clock.step_ms(days * DAY_MS);
            // The change brings the housekeeping with it; what comes after it sees its work.
            handle.subscribe("Anything".into(), true).await.unwrap();
            handle.folders().await.unwrap();
            for item in &made[..2] {
                assert_eq!(handle.item(*item).await.is_ok(), expect, "after {days} more days");
            }
            world.sound(account).await;
        }
        assert_eq!(handle.usage().await.unwrap().recoverable_bytes, 0);
        world.env.clock.sleep(Duration::from_secs(3600)).await;
        while world.blobs.collect(100).await.unwrap().more {}
        assert_eq!(world.count_rows(b"BM").await, 0, "no blob is left");
        assert_eq!(world.count_rows(b"BR").await, 0, "no reference is left");
    });
}

#[test]
fn what_one_transaction_cannot_hold_is_refused() {
    if !in_memory() {
        return;
    }
    run(1, async |world| {
        let account = world.account("large").await;
        let handle = world.handle(account);
        let mut new = NewItem::default();
        for tag in 0..40 {
            let value = PropertyValue::Text("x".repeat(60_000));
            new.tree.properties.insert(PropertyName::Tag(tag), value);
        }
        let refused = handle.create_item(inbox(), new).await.unwrap_err();
        assert_eq!(refused.kind, base::Kind::Limit);
        let mut new = NewItem::default();
        for number in 0..30_u8 {
            let staged = world.stage(&vec![number; 200_000]).await;
            new.tree.attachments.push(attachment(Content::of(&staged)));
            new.staged.push(staged);
        }
        let refused = handle.create_item(inbox(), new).await.unwrap_err();
        assert_eq!(refused.kind, base::Kind::Limit);
        let usage = handle.usage().await.unwrap();
        assert_eq!((usage.items, usage.size_bytes), (0, 0));
        world.memory().fail_next_commit(CommitFault::UnknownApplied);
        handle.create_item(inbox(), NewItem::default()).await.unwrap();
        assert_eq!(items(&handle, inbox()).await.len(), 1);
        world.sound(account).await;
    });
}
