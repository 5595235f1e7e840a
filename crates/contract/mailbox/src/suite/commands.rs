//! Commands: once and for all, by whom, within which bounds.

use super::Setting;
use super::desk::{Desk, inbox, note, refused, text_of};
use crate::{FolderClass, Principal, SpecialUse, Write, WriteReply};
use base::{CommandId, Kind, SessionId};

pub(super) async fn a_command_sent_twice_is_applied_once(desk: Desk) {
    let session = SessionId(desk.world.random());
    let owner = Principal::Account(desk.account);
    let send = |sequence, request: Write| {
        let command = CommandId { session, sequence };
        let mailboxes = desk.mailboxes.clone();
        let account = desk.account;
        async move { mailboxes.write(account, owner, command, request).await }
    };
    let append =
        Write::Append { folder: inbox(), messages: vec![desk.message(&text_of("one")).await] };
    let first = send(1, append.clone()).await.unwrap();
    assert_eq!(send(1, append.clone()).await.unwrap(), first);
    assert_eq!(desk.entries(inbox()).await.len(), 1);

    let create = Write::CreateFolder {
        parent: SpecialUse::Root.folder_id(),
        name: "New".into(),
        class: FolderClass::Mail,
        role: None,
    };
    let made = send(5, create.clone()).await.unwrap();
    assert_eq!(send(5, create.clone()).await.unwrap(), made, "no \"exists already\"");
    refused(send(1, append).await, Kind::Invalid);
    refused(send(4, create.clone()).await, Kind::Invalid);
    refused(send(6, create).await, Kind::AlreadyExists);

    let item = Box::new(note("n", "n"));
    let item = Write::CreateItem { folder: SpecialUse::Notes.folder_id(), item };
    let made = send(7, item.clone()).await.unwrap();
    assert!(matches!(made, WriteReply::Edited(_)));
    assert_eq!(send(7, item).await.unwrap(), made);
    assert_eq!(desk.entries(SpecialUse::Notes.folder_id()).await.len(), 1);
    assert_eq!(desk.me.usage().await.unwrap().items, 2);
}

pub(super) async fn only_those_with_a_right_may(desk: Desk) {
    let stranger = desk.colleague("eve").await;
    let friend = desk.colleague("frank").await;
    let full_access = Setting::FullAccess(vec![friend.account]);
    desk.world.set(desk.account, full_access).await;
    desk.append(inbox(), &["secret"]).await;
    let item = desk.items_in(inbox()).await[0];

    let eve = desk.session_of(Principal::Account(stranger.account));
    refused(eve.folders().await, Kind::Denied);
    refused(eve.view(inbox()).await, Kind::Denied);
    refused(eve.item(item).await, Kind::Denied);
    refused(eve.create_item(inbox(), note("x", "x")).await, Kind::Denied);
    refused(eve.delete_items(inbox(), vec![item], true).await, Kind::Denied);
    refused(eve.reserve_ids(1).await, Kind::Denied);
    refused(eve.expunge(inbox(), None).await, Kind::Denied);

    let frank = desk.session_of(Principal::Account(friend.account));
    assert_eq!(frank.view(inbox()).await.unwrap().entries().count(), 1);
    frank.set_read(vec![item], true).await.unwrap();
    assert!(desk.entries(inbox()).await[0].flags.is_seen());

    let transport = desk.session_of(Principal::Transport);
    refused(transport.view(inbox()).await, Kind::Denied);
    refused(transport.set_read(vec![item], false).await, Kind::Denied);
    let system = desk.session_of(Principal::System);
    assert_eq!(system.view(inbox()).await.unwrap().entries().count(), 1);
    let nobody = base::AccountId(u64::MAX >> 8);
    let read = desk.mailboxes.read(nobody, Principal::System, crate::Read::Folders).await;
    refused(read, Kind::NotFound);
}

pub(super) async fn a_full_mailbox_takes_nothing(desk: Desk) {
    let one = text_of("one").len() as u64;
    desk.world.set(desk.account, Setting::NoReceiveBytes(2 * one)).await;
    let given = desk.append(inbox(), &["one", "two"]).await;
    let message = desk.message(&text_of("six")).await;
    refused(desk.me.append(inbox(), vec![message]).await, Kind::OverQuota);
    let copied = desk.me.copy(inbox(), super::desk::uids(&given), inbox()).await;
    refused(copied, Kind::OverQuota);
    refused(desk.me.create_item(inbox(), note("n", "n")).await, Kind::OverQuota);
    let item = desk.items_in(inbox()).await[0];
    desk.me.delete_items(inbox(), vec![item], false).await.unwrap();
    desk.append(inbox(), &["six"]).await;
    let usage = desk.me.usage().await.unwrap();
    assert_eq!((usage.size_bytes, usage.recoverable_bytes), (2 * one, one));
}

pub(super) async fn a_watch_wakes_up(desk: Desk) {
    let mut watch = desk.me.watch();
    let known = desk.me.folder(inbox()).await.unwrap().highest_change;
    watch.mark_unchanged();
    desk.append(inbox(), &["one"]).await;
    watch.changed().await.unwrap();
    assert!(*watch.borrow() > known);
}
