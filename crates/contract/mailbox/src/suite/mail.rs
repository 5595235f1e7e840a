//! The basics of mail.

use super::desk::{Desk, deleted, inbox, refused, seen, system, text_of, trash, uids};
use crate::index::NamedFlags;
use crate::request::StoreMode;
use crate::{Flags, SystemFlags, UidSet};
use base::{Kind, Timestamp, Uid};

pub(super) async fn what_is_appended_can_be_read(desk: Desk) {
    let bytes = text_of("hello");
    let mut message = desk.message(&bytes).await;
    message.flags = NamedFlags { system: SystemFlags::FLAGGED, keywords: vec!["$Work".into()] };
    message.received = Some(Timestamp { unix_ms: 86_400_000 });
    let (uid_validity, given) = desk.me.append(inbox(), vec![message]).await.unwrap();
    assert_eq!(given, [Uid(1)]);

    let view = desk.me.view(inbox()).await.unwrap();
    assert_eq!(view.info.uid_validity, uid_validity);
    assert_eq!(view.info.uid_next, Uid(2));
    let entries: Vec<_> = view.entries().copied().collect();
    assert_eq!(entries.len(), 1);
    let entry = entries[0];
    let work = view.keywords.bit("$work").unwrap();
    assert_eq!(entry.flags, Flags { system: SystemFlags::FLAGGED, keywords: work });
    assert_eq!(entry.size_bytes, bytes.len() as u64);
    assert_eq!(entry.received, Timestamp { unix_ms: 86_400_000 });
    assert_eq!(view.info.highest_change, entry.change);
    let counts = view.info.counts;
    assert_eq!((counts.messages, counts.unseen, counts.size_bytes), (1, 1, bytes.len() as u64));
    assert_eq!(desk.fetch(inbox(), Uid(1)).await, bytes);

    let usage = desk.me.usage().await.unwrap();
    assert_eq!((usage.items, usage.size_bytes), (1, bytes.len() as u64));
    assert_eq!(desk.me.meta(inbox(), vec![Uid(7)]).await.unwrap(), []);
    let root = crate::SpecialUse::Root.folder_id();
    let message = desk.message(&bytes).await;
    refused(desk.me.append(root, vec![message]).await, Kind::CannotChange);
}

pub(super) async fn flags_are_set_added_and_removed(desk: Desk) {
    let given = desk.append(inbox(), &["one", "two", "three"]).await;
    let all = UidSet::all();
    let two = NamedFlags { system: SystemFlags::SEEN, keywords: vec!["a".into(), "B".into()] };
    let stored = desk.me.store(inbox(), all.clone(), StoreMode::Add, two, None).await.unwrap();
    let named: Vec<Uid> = stored.entries.iter().map(|entry| entry.uid).collect();
    assert_eq!(named, given);
    assert_eq!(stored.keywords.0, ["a", "B"]);
    assert!(stored.entries.iter().all(|entry| entry.flags.keywords == 0b11));
    assert_eq!(desk.me.folder(inbox()).await.unwrap().counts.unseen, 0);

    let less = NamedFlags { system: SystemFlags::SEEN, keywords: vec!["b".into(), "c".into()] };
    let first = uids(&given[..1]);
    let stored = desk.me.store(inbox(), first, StoreMode::Remove, less, None).await.unwrap();
    assert_eq!(stored.entries[0].flags, Flags { system: SystemFlags(0), keywords: 0b01 });
    assert_eq!(stored.keywords.0, ["a", "B"], "what is only removed gets no bit");
    assert_eq!(desk.me.folder(inbox()).await.unwrap().counts.unseen, 1);

    let last = uids(&given[2..]);
    let stored = desk.me.store(inbox(), last, StoreMode::Replace, deleted(), None).await.unwrap();
    assert_eq!(stored.entries[0].flags, system(SystemFlags::DELETED));
    let counts = desk.me.folder(inbox()).await.unwrap().counts;
    assert_eq!((counts.unseen, counts.deleted), (2, 1));
}

pub(super) async fn flags_change_only_what_nobody_changed_meanwhile(desk: Desk) {
    let given = desk.append(inbox(), &["one", "two"]).await;
    let known = desk.me.folder(inbox()).await.unwrap().highest_change;
    let second = uids(&given[1..]);
    desk.me.store(inbox(), second, StoreMode::Add, seen(), None).await.unwrap();
    let stored = desk
        .me
        .store(inbox(), UidSet::all(), StoreMode::Add, deleted(), Some(known))
        .await
        .unwrap();
    assert_eq!(stored.modified, given[1..]);
    assert_eq!(stored.entries.len(), 1);
    let flags: Vec<Flags> = desk.entries(inbox()).await.iter().map(|entry| entry.flags).collect();
    assert_eq!(flags, [system(SystemFlags::DELETED), system(SystemFlags::SEEN)]);

    // What stays as it is gets no new change number.
    let before = desk.entries(inbox()).await;
    desk.me
        .store(inbox(), UidSet::all(), StoreMode::Remove, NamedFlags::default(), None)
        .await
        .unwrap();
    assert_eq!(desk.entries(inbox()).await, before);
}

pub(super) async fn copies_are_new_and_moves_are_not(desk: Desk) {
    let given = desk.append(inbox(), &["one", "two", "three"]).await;
    let items = desk.items_in(inbox()).await;
    let copied = desk.me.copy(inbox(), uids(&given[1..]), trash()).await.unwrap();
    assert_eq!(copied.pairs, [(given[1], Uid(1)), (given[2], Uid(2))]);
    assert_eq!(copied.uid_validity, desk.me.folder(trash()).await.unwrap().uid_validity);
    let copies = desk.items_in(trash()).await;
    assert!(copies.iter().all(|copy| !items.contains(copy)));

    let moved = desk.me.move_messages(inbox(), uids(&given[..1]), trash()).await.unwrap();
    assert_eq!(moved.pairs, [(given[0], Uid(3))]);
    assert_eq!(desk.items_in(trash()).await[2], items[0], "the item is the same");
    assert_eq!(desk.items_in(inbox()).await, items[1..]);
    assert_eq!(desk.subjects(trash()).await, ["two", "three", "one"]);
    assert_eq!(desk.fetch(trash(), Uid(3)).await, text_of("one"));

    let empty = desk.me.copy(inbox(), uids(&[Uid(99)]), trash()).await.unwrap();
    assert_eq!(empty.pairs, []);
    // Within one folder a copy and a move give new UIDs too.
    let again = desk.me.move_messages(inbox(), UidSet::all(), inbox()).await.unwrap();
    assert_eq!(again.pairs, [(given[1], Uid(4)), (given[2], Uid(5))]);
    assert_eq!(desk.items_in(inbox()).await, items[1..]);
}

pub(super) async fn a_delta_tells_what_happened_since(desk: Desk) {
    let given = desk.append(inbox(), &["one", "two", "three"]).await;
    let since = desk.me.folder(inbox()).await.unwrap().highest_change;
    let nothing = desk.me.delta(inbox(), since).await.unwrap();
    assert!(nothing.complete && nothing.changed.is_empty() && nothing.vanished.is_empty());

    let second = uids(&given[1..2]);
    desk.me.store(inbox(), second, StoreMode::Add, seen(), None).await.unwrap();
    let first = uids(&given[..1]);
    desk.me.store(inbox(), first, StoreMode::Add, deleted(), None).await.unwrap();
    let gone = desk.me.expunge(inbox(), None).await.unwrap();
    assert_eq!(gone, uids(&given[..1]));
    desk.append(inbox(), &["four"]).await;
    desk.me.move_messages(inbox(), uids(&given[2..]), trash()).await.unwrap();

    let delta = desk.me.delta(inbox(), since).await.unwrap();
    assert!(delta.complete);
    let changed: Vec<Uid> = delta.changed.iter().map(|entry| entry.uid).collect();
    assert_eq!(changed, [given[1], Uid(4)]);
    assert_eq!(delta.vanished, [given[0], given[2]]);
    assert_eq!(delta.info, desk.me.folder(inbox()).await.unwrap());
    let later = desk.me.delta(inbox(), delta.info.highest_change).await.unwrap();
    assert!(later.changed.is_empty() && later.vanished.is_empty());
}

pub(super) async fn uids_and_changes_only_grow(desk: Desk) {
    let mut last_uid = Uid(0);
    let mut last_change = desk.me.folder(inbox()).await.unwrap().highest_change;
    for round in 0..4 {
        let given = desk.append(inbox(), &["a", "b"]).await;
        assert!(given[0] > last_uid && given[1] > given[0], "round {round}");
        last_uid = given[1];
        let highest = desk.me.folder(inbox()).await.unwrap().highest_change;
        assert!(highest > last_change);
        last_change = highest;
        // Also where the newest message has gone.
        desk.me.store(inbox(), uids(&given), StoreMode::Add, deleted(), None).await.unwrap();
        assert_eq!(desk.me.expunge(inbox(), Some(uids(&given))).await.unwrap(), uids(&given));
        let highest = desk.me.folder(inbox()).await.unwrap().highest_change;
        assert!(highest > last_change);
        last_change = highest;
    }
    assert!(desk.entries(inbox()).await.is_empty());
}

pub(super) async fn recent_messages_are_claimed_once(desk: Desk) {
    let other = desk.session_of(crate::Principal::Account(desk.account));
    let given = desk.append(inbox(), &["one", "two"]).await;
    let (a, b) = futures::join!(desk.me.claim_recent(inbox()), other.claim_recent(inbox()));
    let next = Uid(given[1].0 + 1);
    let mut claims = [a.unwrap(), b.unwrap()];
    claims.sort_unstable();
    assert_eq!(claims, [given[0], next], "one gets both, the other none");
    desk.append(inbox(), &["three"]).await;
    assert_eq!(other.claim_recent(inbox()).await.unwrap(), next);
    assert_eq!(desk.me.claim_recent(inbox()).await.unwrap(), Uid(next.0 + 1));
}

pub(super) async fn bytes_are_given_up_with_the_last_message(desk: Desk) {
    let given = desk.append(inbox(), &["one"]).await;
    desk.me.copy(inbox(), uids(&given), trash()).await.unwrap();
    assert_eq!(desk.world.blobs_held().await, 1);
    let items = desk.items_in(inbox()).await;
    desk.me.delete_items(inbox(), items.clone(), true).await.unwrap();
    let purges = crate::SpecialUse::Purges.folder_id();
    desk.me.delete_items(purges, items, true).await.unwrap();
    assert_eq!(desk.world.blobs_held().await, 1);
    assert_eq!(desk.fetch(trash(), Uid(1)).await, text_of("one"));
    let copies = desk.items_in(trash()).await;
    desk.me.delete_items(trash(), copies.clone(), true).await.unwrap();
    desk.me.delete_items(purges, copies, true).await.unwrap();
    assert_eq!(desk.world.blobs_held().await, 0);
    let usage = desk.me.usage().await.unwrap();
    assert_eq!((usage.items, usage.size_bytes, usage.recoverable_bytes), (0, 0, 0));
}
