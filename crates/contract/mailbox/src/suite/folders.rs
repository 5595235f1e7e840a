//! Folders and subscriptions.

use super::desk::{Desk, inbox, refused, trash};
use crate::{FolderClass, SpecialUse, default_folders};
use base::Kind;

fn root() -> base::FolderId {
    SpecialUse::Root.folder_id()
}

pub(super) async fn the_default_folders_are_there_and_stay(desk: Desk) {
    let folders = desk.me.folders().await.unwrap();
    for default in default_folders() {
        let found = folders.iter().find(|folder| folder.id == default.role.folder_id()).unwrap();
        assert_eq!(found.role, Some(default.role));
        assert_eq!((found.name.as_str(), found.class), (default.name, default.class));
        assert_eq!(found.hidden, default.hidden);
        refused(desk.me.delete_folder(found.id).await, Kind::CannotChange);
    }
    let places = |id| folders.iter().position(|folder| folder.id == id);
    for folder in folders.iter() {
        assert!(folder.parent.is_none_or(|parent| places(parent) < places(folder.id)));
    }
    let moved = desk.me.rename_folder(trash(), root(), "Bin".into()).await;
    refused(moved, Kind::CannotChange);
    assert_eq!(desk.me.folders().await.unwrap(), folders);
}

pub(super) async fn folders_are_made_renamed_and_removed(desk: Desk) {
    let mail = FolderClass::Mail;
    let a = desk.me.create_folder(root(), "A".into(), mail, None).await.unwrap();
    let b = desk.me.create_folder(a.id, "B".into(), mail, None).await.unwrap();
    assert_eq!((b.parent, b.uid_next), (Some(a.id), base::Uid(1)));
    assert_ne!(a.uid_validity, b.uid_validity);
    let again = desk.me.create_folder(a.id, "B".into(), mail, None).await;
    refused(again, Kind::AlreadyExists);
    let inbox_again = desk.me.create_folder(root(), "INBOX".into(), mail, None).await;
    refused(inbox_again, Kind::AlreadyExists);
    for name in ["", "a/b", "a\nb"] {
        refused(desk.me.create_folder(root(), name.into(), mail, None).await, Kind::Invalid);
    }
    let role = Some(SpecialUse::Sent);
    refused(desk.me.create_folder(root(), "C".into(), mail, role).await, Kind::AlreadyExists);

    let given = desk.append(b.id, &["one"]).await;
    let renamed = desk.me.rename_folder(b.id, root(), "Bee".into()).await.unwrap();
    assert_eq!((renamed.id, renamed.uid_validity), (b.id, b.uid_validity));
    assert_eq!((renamed.parent, renamed.name.as_str()), (Some(root()), "Bee"));
    assert_eq!(desk.entries(b.id).await[0].uid, given[0], "UIDs stay");
    desk.me.rename_folder(a.id, b.id, "A".into()).await.unwrap();
    refused(desk.me.rename_folder(b.id, a.id, "B".into()).await, Kind::CannotChange);

    refused(desk.me.delete_folder(b.id).await, Kind::CannotChange);
    desk.me.delete_folder(a.id).await.unwrap();
    let before = desk.me.usage().await.unwrap();
    desk.me.delete_folder(b.id).await.unwrap();
    refused(desk.me.view(b.id).await, Kind::NotFound);
    refused(desk.me.delete_folder(b.id).await, Kind::NotFound);
    let usage = desk.me.usage().await.unwrap();
    assert_eq!((usage.items, usage.size_bytes), (0, 0));
    assert_eq!(usage.recoverable_bytes, before.size_bytes, "it can be recovered for a time");
    let new = desk.me.create_folder(root(), "Bee".into(), mail, None).await.unwrap();
    assert!(new.uid_validity > b.uid_validity && new.id != b.id);
}

pub(super) async fn subscriptions_are_paths(desk: Desk) {
    let before = desk.me.subscriptions().await.unwrap();
    assert!(before.contains(&"Inbox".to_owned()));
    desk.me.subscribe("Nothing/There".into(), true).await.unwrap();
    desk.me.subscribe("Inbox".into(), false).await.unwrap();
    let after = desk.me.subscriptions().await.unwrap();
    assert!(after.contains(&"Nothing/There".to_owned()) && !after.contains(&"Inbox".to_owned()));
    assert!(!desk.me.folder(inbox()).await.unwrap().subscribed);
    assert!(desk.me.folder(trash()).await.unwrap().subscribed);
    refused(desk.me.subscribe(String::new(), true).await, Kind::Invalid);
}

pub(super) async fn renaming_the_inbox_moves_its_messages(desk: Desk) {
    desk.append(inbox(), &["one", "two"]).await;
    let items = desk.items_in(inbox()).await;
    let old = desk.me.rename_folder(inbox(), root(), "Old mail".into()).await.unwrap();
    assert_ne!(old.id, inbox());
    assert_eq!(old.counts.messages, 2);
    assert_eq!(desk.items_in(old.id).await, items);
    assert!(desk.entries(inbox()).await.is_empty());
    assert_eq!(desk.append(inbox(), &["three"]).await, [base::Uid(3)]);
}
