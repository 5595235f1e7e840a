//! Search folders.

use super::desk::{Desk, deleted, inbox, note, refused, seen, subject, text_of, trash, uids};
use crate::request::StoreMode;
use crate::{FolderInfo, FolderKind, ItemChangeKind, Search, SpecialUse, SystemFlags, UidSet};
use base::{FolderId, Kind, Uid};

fn unread() -> Search {
    Search::Not(Box::new(Search::System(SystemFlags::SEEN)))
}

async fn make(desk: &Desk, scope: &[FolderId], search: Search) -> FolderInfo {
    let root = SpecialUse::Root.folder_id();
    let name = format!("Search {}", desk.world.random());
    desk.me.create_search_folder(root, name, scope.to_vec(), search).await.unwrap()
}

pub(super) async fn a_search_folder_finds_what_was_there(desk: Desk) {
    desk.append(inbox(), &["one", "two", "red three"]).await;
    desk.append(trash(), &["red four"]).await;
    desk.make(trash(), note("red five", "")).await;
    let red = make(&desk, &[inbox(), trash()], Search::Subject("RED".into())).await;
    assert_eq!(red.kind, FolderKind::Search);
    assert_eq!((red.counts.messages, red.uid_next), (3, Uid(4)));
    assert_eq!(desk.subjects(red.id).await, ["red three", "red four", "red five"]);
    let view = desk.me.view(red.id).await.unwrap();
    assert_eq!(view.info, desk.me.folder(red.id).await.unwrap());
    let four = desk.items_in(trash()).await[0];
    assert_eq!(view.entries().nth(1).unwrap().item, four);
    let usage = desk.me.usage().await.unwrap();
    assert_eq!(usage.items, 5, "members count once");
}

pub(super) async fn members_follow_flags_arrivals_and_removals(desk: Desk) {
    let given = desk.append(inbox(), &["one", "two"]).await;
    let folder = make(&desk, &[inbox()], unread()).await;
    let start = folder.highest_change;
    assert_eq!(desk.subjects(folder.id).await, ["one", "two"]);
    let arrived = desk.append(inbox(), &["three"]).await;
    desk.append(trash(), &["elsewhere"]).await;
    desk.me.store(inbox(), uids(&given[..1]), StoreMode::Add, seen(), None).await.unwrap();
    assert_eq!(desk.subjects(folder.id).await, ["two", "three"]);
    let delta = desk.me.delta(folder.id, start).await.unwrap();
    assert_eq!(delta.vanished, [Uid(1)]);
    assert_eq!(delta.changed.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [Uid(3)]);
    assert_eq!(delta.info.counts.unseen, 2);

    // A flag that the criteria do not ask for shows in the member's entry.
    desk.me.store(inbox(), uids(&arrived), StoreMode::Add, deleted(), None).await.unwrap();
    let entries = desk.entries(folder.id).await;
    assert_eq!(entries[1].flags.system, SystemFlags::DELETED);
    assert_eq!(desk.me.folder(folder.id).await.unwrap().counts.deleted, 1);
    let one = desk.items_in(inbox()).await[0];
    desk.me.set_read(vec![one], false).await.unwrap();
    assert_eq!(desk.subjects(folder.id).await, ["two", "three", "one"]);
    desk.me.expunge(inbox(), None).await.unwrap();
    desk.me.move_messages(inbox(), uids(&given[1..]), trash()).await.unwrap();
    assert_eq!(desk.subjects(folder.id).await, ["one"]);
    let told = desk.me.item_changes(folder.id, start, 100).await.unwrap().0;
    let gone = told.iter().filter(|step| matches!(step.what, ItemChangeKind::Gone { .. })).count();
    assert_eq!((told.len(), gone), (4, 3));

    // An edit that changes what is shown changes membership as well.
    let red = make(&desk, &[inbox()], Search::Subject("red".into())).await;
    let item = desk.make(inbox(), note("blue", "")).await;
    assert!(desk.items_in(red.id).await.is_empty());
    desk.set(item, subject("red")).await;
    assert_eq!(desk.items_in(red.id).await, [item]);
    desk.set(item, subject("green")).await;
    assert!(desk.items_in(red.id).await.is_empty());
    desk.me.delete_items(inbox(), vec![item], true).await.unwrap();
    assert_eq!(desk.subjects(folder.id).await, ["one"]);
}

pub(super) async fn members_are_read_but_not_changed_there(desk: Desk) {
    desk.append(inbox(), &["one", "two"]).await;
    let id = make(&desk, &[inbox()], Search::All).await.id;
    assert_eq!(desk.fetch(id, Uid(2)).await, text_of("two"));
    assert!(desk.me.meta(id, vec![Uid(9)]).await.unwrap().is_empty());
    let subject = Search::Subject("two".into());
    assert_eq!(desk.me.search(id, subject).await.unwrap(), [Uid(2)]);
    let body = Search::Body("this is one".into());
    assert_eq!(desk.me.search(id, body).await.unwrap(), [Uid(1)]);
    let all = UidSet::all;
    let message = desk.message(&text_of("three")).await;
    refused(desk.me.append(id, vec![message]).await, Kind::CannotChange);
    refused(desk.me.store(id, all(), StoreMode::Add, seen(), None).await, Kind::CannotChange);
    refused(desk.me.expunge(id, None).await, Kind::CannotChange);
    refused(desk.me.copy(id, all(), trash()).await, Kind::CannotChange);
    refused(desk.me.move_messages(id, all(), trash()).await, Kind::CannotChange);
    refused(desk.me.copy(inbox(), all(), id).await, Kind::CannotChange);
    refused(desk.me.create_item(id, note("n", "")).await, Kind::CannotChange);
    // By item it can be done: the item is what it is.
    let items = desk.items_in(id).await;
    desk.me.set_read(items.clone(), true).await.unwrap();
    assert!(desk.entries(id).await.iter().all(|entry| entry.flags.is_seen()));
    desk.me.delete_items(id, items[..1].to_vec(), false).await.unwrap();
    assert_eq!(desk.items_in(inbox()).await, items[1..]);
    assert_eq!(desk.items_in(id).await, items[1..]);

    desk.me.delete_folder(id).await.unwrap();
    refused(desk.me.view(id).await, Kind::NotFound);
    assert_eq!(desk.items_in(inbox()).await, items[1..], "what it showed stays");
    let size = text_of("two").len() as u64;
    assert_eq!(desk.me.usage().await.unwrap().size_bytes, size);
    desk.append(inbox(), &["four"]).await;
}

pub(super) async fn a_folder_that_goes_takes_its_members_along(desk: Desk) {
    let root = SpecialUse::Root.folder_id();
    let class = crate::FolderClass::Mail;
    let source = desk.me.create_folder(root, "Source".into(), class, None).await.unwrap();
    desk.append(source.id, &["one", "two"]).await;
    desk.append(inbox(), &["three"]).await;
    let both = make(&desk, &[source.id, inbox()], Search::All).await.id;
    let only = make(&desk, &[source.id], Search::All).await.id;
    desk.me.delete_folder(source.id).await.unwrap();
    assert_eq!(desk.subjects(both).await, ["three"]);
    assert!(desk.entries(only).await.is_empty());
    desk.append(inbox(), &["four"]).await;
    assert_eq!(desk.subjects(both).await, ["three", "four"]);
}

pub(super) async fn what_cannot_be_kept_up_to_date_is_refused(desk: Desk) {
    let root = SpecialUse::Root.folder_id();
    let create = |name: &str, scope: &[FolderId], search: Search| {
        desk.me.create_search_folder(root, name.to_owned(), scope.to_vec(), search)
    };
    refused(create("a", &[inbox()], Search::Body("x".into())).await, Kind::CannotChange);
    refused(create("a", &[inbox()], Search::Uids(UidSet::all())).await, Kind::CannotChange);
    refused(create("a", &[], Search::All).await, Kind::Limit);
    refused(create("a", &[inbox(), inbox()], Search::All).await, Kind::Invalid);
    refused(create("a", &[FolderId(9_999)], Search::All).await, Kind::NotFound);
    let other = make(&desk, &[inbox()], Search::All).await;
    refused(create("a", &[other.id], Search::All).await, Kind::CannotChange);
    refused(create("Inbox", &[trash()], Search::All).await, Kind::AlreadyExists);
    let folders = desk.me.folders().await.unwrap();
    assert!(folders.iter().all(|folder| folder.name != "a"), "nothing is left of it");
}
