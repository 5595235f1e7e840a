//! History, for clients that follow items rather than UIDs.

use super::desk::{BODY, Desk, calendar, inbox, note, refused, seen, subject, text, trash, uids};
use crate::index::NamedFlags;
use crate::request::StoreMode;
use crate::{
    CollectionState, ItemChange, ItemChangeKind, NewItem, Principal, Properties, PropertyName,
    SystemFlags, UidSet,
};
use base::{Change, FolderId, ItemId, Kind};
use bytes::Bytes;

async fn changes(desk: &Desk, folder: FolderId, since: Change) -> Vec<(ItemId, ItemChangeKind)> {
    let (found, more) = desk.me.item_changes(folder, since, 1_000).await.unwrap();
    assert!(!more);
    assert!(found.windows(2).all(|pair| pair[0].change < pair[1].change));
    assert!(found.iter().all(|step| step.change > since));
    found.into_iter().map(|step| (step.item, step.what)).collect()
}

async fn now(desk: &Desk, folder: FolderId) -> Change {
    desk.me.folder(folder).await.unwrap().highest_change
}

fn content(content_change: Change) -> ItemChangeKind {
    ItemChangeKind::Content { content_change, href: None }
}

pub(super) async fn read_state_is_told_apart_from_content(desk: Desk) {
    let associated = NewItem { associated: true, ..note("view", "") };
    let a = desk.make(inbox(), note("a", "")).await;
    let b = desk.make(inbox(), note("b", "")).await;
    let c = desk.make(inbox(), associated).await;
    let start = now(&desk, inbox()).await;
    desk.me.set_read(vec![a, c], true).await.unwrap();
    let read_at = now(&desk, inbox()).await;
    let read = ItemChangeKind::ReadState { read: true };
    let told = changes(&desk, inbox(), start).await;
    assert_eq!(told, [(a, read.clone()), (c, read.clone())]);
    let item = desk.item(a).await;
    assert!(item.read_change > start && item.content_change <= start);
    assert_eq!(item.change, item.read_change);
    // Said again it is no change.
    desk.me.set_read(vec![a, c, ItemId(9_999)], true).await.unwrap();
    assert_eq!(now(&desk, inbox()).await, read_at);

    let flagged = NamedFlags { system: SystemFlags::FLAGGED, keywords: Vec::new() };
    let first = uids(&[desk.item(a).await.uid.unwrap()]);
    desk.me.store(inbox(), first.clone(), StoreMode::Add, flagged, None).await.unwrap();
    // Who knew of the reading sees other flags only; who did not sees both as one step.
    assert_eq!(changes(&desk, inbox(), read_at).await, [(a, ItemChangeKind::Flags)]);
    assert_eq!(changes(&desk, inbox(), start).await, [(c, read.clone()), (a, read)]);

    let edited = desk.set(b, subject("b2")).await;
    assert_eq!(changes(&desk, inbox(), read_at).await[1..], [(b, content(edited))]);
    // IMAP marks as unread what MAPI marked as read.
    let before = now(&desk, inbox()).await;
    desk.me.store(inbox(), first, StoreMode::Remove, seen(), None).await.unwrap();
    let unread = ItemChangeKind::ReadState { read: false };
    assert_eq!(changes(&desk, inbox(), before).await, [(a, unread)]);
    // Who begins is told of content only.
    let all = changes(&desk, inbox(), Change(0)).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|(_, what)| matches!(what, ItemChangeKind::Content { .. })));
}

pub(super) async fn names_survive_in_tombstones(desk: Desk) {
    let named = |name: &str| NewItem { href: Some(name.into()), ..note(name, "") };
    let a = desk.make(calendar(), named("a.ics")).await;
    let item = desk.me.by_href(calendar(), "a.ics".into()).await.unwrap();
    assert_eq!((item.id, item.href.as_deref()), (a, Some("a.ics")));
    let taken = desk.me.create_item(calendar(), named("a.ics")).await;
    refused(taken, Kind::AlreadyExists);
    refused(desk.me.by_href(inbox(), "a.ics".into()).await, Kind::NotFound);
    refused(desk.me.by_href(calendar(), "a.ic".into()).await, Kind::NotFound);
    let elsewhere = desk.make(inbox(), named("a.ics")).await;

    let start = now(&desk, calendar()).await;
    let etag = desk.set(a, subject("new")).await;
    let href = Some("a.ics".to_owned());
    let told = changes(&desk, calendar(), start).await;
    assert_eq!(told, [(a, ItemChangeKind::Content { content_change: etag, href: href.clone() })]);
    desk.me.delete_items(calendar(), vec![a], false).await.unwrap();
    let told = changes(&desk, calendar(), start).await;
    assert_eq!(told, [(a, ItemChangeKind::Gone { href })]);
    assert_eq!(changes(&desk, calendar(), Change(0)).await, [], "who begins never saw it");
    refused(desk.me.by_href(calendar(), "a.ics".into()).await, Kind::NotFound);
    assert_eq!(desk.me.by_href(inbox(), "a.ics".into()).await.unwrap().id, elsewhere);

    // The name is free again; the tombstone stays, before the new item.
    let b = desk.make(calendar(), named("a.ics")).await;
    let told = changes(&desk, calendar(), start).await;
    assert_eq!(told.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [a, b]);
}

pub(super) async fn history_is_told_in_pieces(desk: Desk) {
    let mut expect = Vec::new();
    for number in 0..7 {
        let associated = number % 2 == 1;
        let new = NewItem { associated, ..note(&format!("n{number}"), "") };
        expect.push(desk.make(inbox(), new).await);
    }
    let (mut since, mut told) = (Change(0), Vec::new());
    loop {
        let (found, more) = desk.me.item_changes(inbox(), since, 3).await.unwrap();
        assert!(found.len() <= 3);
        told.extend(found.iter().map(|step: &ItemChange| step.item));
        match found.last() {
            Some(last) => since = last.change,
            None => break,
        }
        assert_eq!(more, told.len() < expect.len());
        if !more {
            break;
        }
    }
    assert_eq!(told, expect);
}

pub(super) async fn a_new_uid_is_no_removal(desk: Desk) {
    let id = desk.make(inbox(), note("n", "one")).await;
    let start = now(&desk, inbox()).await;
    let old = desk.item(id).await.uid.unwrap();
    let changed = desk.set(id, Properties::from([(BODY, text("two"))])).await;
    let new = desk.item(id).await.uid.unwrap();
    assert!(new > old);
    // IMAP sees one message go and another come; who follows items sees one change.
    let delta = desk.me.delta(inbox(), start).await.unwrap();
    assert_eq!(delta.vanished, [old]);
    assert_eq!(delta.changed.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [new]);
    assert_eq!(changes(&desk, inbox(), start).await, [(id, content(changed))]);
    let flags = desk.entries(inbox()).await[0].flags;
    desk.me.set_read(vec![id], true).await.unwrap();
    desk.set(id, Properties::from([(BODY, text("three"))])).await;
    let entry = desk.entries(inbox()).await[0];
    assert!(!flags.is_seen() && entry.flags.is_seen(), "flags go along");
    desk.me.delete_items(inbox(), vec![id], false).await.unwrap();
    let told = changes(&desk, inbox(), start).await;
    assert_eq!(told, [(id, ItemChangeKind::Gone { href: None })]);
}

pub(super) async fn a_move_is_new_where_it_arrives(desk: Desk) {
    let id = desk.make(inbox(), note("n", "")).await;
    let made = desk.item(id).await;
    desk.append(trash(), &["other"]).await;
    let (from, to) = (now(&desk, inbox()).await, now(&desk, trash()).await);
    desk.me.move_messages(inbox(), UidSet::all(), trash()).await.unwrap();
    let gone = ItemChangeKind::Gone { href: None };
    assert_eq!(changes(&desk, inbox(), from).await, [(id, gone)]);
    let arrived = changes(&desk, trash(), to).await;
    assert_eq!(arrived, [(id, content(made.content_change))], "the same content, new here");
    let item = desk.item(id).await;
    assert_eq!((item.folder, item.content_change), (trash(), made.content_change));
    assert_eq!(item.predecessors, made.predecessors);
}

pub(super) async fn a_device_has_two_states_of_a_collection(desk: Desk) {
    let state = |folder, device: &str| desk.me.collection_state(device.to_owned(), folder);
    assert_eq!(state(inbox(), "phone").await.unwrap(), CollectionState::default());
    let (one, two) = (Bytes::from_static(b"one"), Bytes::from(vec![2; 150_000]));
    desk.me.set_collection_state("phone".into(), inbox(), one.clone()).await.unwrap();
    let expect = CollectionState { previous: None, latest: Some(one.clone()) };
    assert_eq!(state(inbox(), "phone").await.unwrap(), expect);
    desk.me.set_collection_state("phone".into(), inbox(), two.clone()).await.unwrap();
    let expect = CollectionState { previous: Some(one), latest: Some(two.clone()) };
    assert_eq!(state(inbox(), "phone").await.unwrap(), expect);
    let three = Bytes::from_static(b"three");
    desk.me.set_collection_state("phone".into(), inbox(), three.clone()).await.unwrap();
    let expect = CollectionState { previous: Some(two), latest: Some(three) };
    assert_eq!(state(inbox(), "phone").await.unwrap(), expect);
    for (folder, device) in [(trash(), "phone"), (inbox(), "phon"), (inbox(), "phone2")] {
        assert_eq!(state(folder, device).await.unwrap(), CollectionState::default());
    }
    refused(state(FolderId(9_999), "phone").await, Kind::NotFound);
}

pub(super) async fn read_state_can_be_kept_for_each_user(desk: Desk) {
    let bob = desk.colleague("bob").await;
    desk.world.set(desk.account, super::Setting::FullAccess(vec![bob.account])).await;
    let bobs = desk.session_of(Principal::Account(bob.account));
    let given = desk.append(inbox(), &["one", "two", "three"]).await;
    let items = desk.items_in(inbox()).await;
    desk.me.set_read(items[..1].to_vec(), true).await.unwrap();
    assert_eq!(desk.me.read_by(inbox()).await.unwrap(), uids(&given[..1]));
    assert_eq!(bobs.read_by(inbox()).await.unwrap(), uids(&given[..1]), "one state for all");

    desk.me.set_read_per_user(inbox(), true).await.unwrap();
    let before = desk.entries(inbox()).await;
    desk.me.set_read(items.clone(), true).await.unwrap();
    bobs.set_read(items[1..2].to_vec(), true).await.unwrap();
    assert_eq!(desk.me.read_by(inbox()).await.unwrap(), uids(&given));
    assert_eq!(bobs.read_by(inbox()).await.unwrap(), uids(&given[1..2]));
    desk.me.set_read(items[1..].to_vec(), false).await.unwrap();
    assert_eq!(desk.me.read_by(inbox()).await.unwrap(), uids(&given[..1]));
    assert_eq!(bobs.read_by(inbox()).await.unwrap(), uids(&given[1..2]));
    assert_eq!(desk.entries(inbox()).await, before, "it is nothing to the others");
    // Content is the same for all.
    let name = PropertyName::Tag(0x6000);
    desk.set(items[0], Properties::from([(name, text("x"))])).await;
    assert_eq!(bobs.read_by(inbox()).await.unwrap(), uids(&given[1..2]));

    desk.me.set_read_per_user(inbox(), false).await.unwrap();
    assert_eq!(bobs.read_by(inbox()).await.unwrap(), uids(&given[..1]));
}

pub(super) async fn attack_33_positions_that_nobody_was_given(desk: Desk) {
    desk.make(inbox(), note("n", "")).await;
    let highest = now(&desk, inbox()).await;
    for since in [highest, Change(highest.0 + 1), Change(u64::MAX - 1), Change(u64::MAX)] {
        assert_eq!(changes(&desk, inbox(), since).await, []);
        let delta = desk.me.delta(inbox(), since).await.unwrap();
        assert!(delta.changed.is_empty() && delta.vanished.is_empty());
        let all = UidSet::all();
        let stored = desk.me.store(inbox(), all, StoreMode::Add, seen(), Some(since)).await;
        assert_eq!(stored.unwrap().modified, []);
    }
    for limit in [0, usize::MAX] {
        assert!(desk.me.item_changes(inbox(), Change(0), limit).await.unwrap().0.len() == 1);
    }
}
