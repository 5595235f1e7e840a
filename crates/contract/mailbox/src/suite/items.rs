//! Items as trees.

use super::desk::{Desk, SUBJECT, calendar, inbox, note, refused, seen, subject, text, uids};
use crate::{
    Content, ItemEdit, NewItem, Permission, Properties, PropertyName, PropertyValue, SpecialUse,
};
use base::{ItemId, Kind, Uid};
use bytes::Bytes;

const PUBLIC_STRINGS: [u8; 16] = [0x29; 16];

/// One value of each type.
fn values(stream: Content) -> Vec<PropertyValue> {
    use PropertyValue as V;
    vec![
        V::I16(-2),
        V::I32(i32::MIN),
        V::I64(i64::MAX),
        V::F32(1.5_f32.to_bits()),
        V::F64(f64::NAN.to_bits()),
        V::Currency(-12_345),
        V::FloatingTime(2.25_f64.to_bits()),
        V::Error(0x8004_010f),
        V::Bool(true),
        V::Text("Grüße, 世界 \u{0} \r\n".into()),
        V::Time(u64::MAX),
        V::Guid([7; 16]),
        V::Binary(Bytes::from(vec![0, 255, 1])),
        V::Stream { text: false, content: stream },
        V::ManyI16(vec![1, -1]),
        V::ManyI32(vec![]),
        V::ManyI64(vec![i64::MIN]),
        V::ManyText(vec![String::new(), "two".into()]),
        V::ManyTime(vec![0, 1]),
        V::ManyGuid(vec![[1; 16], [2; 16]]),
        V::ManyBinary(vec![Bytes::new(), Bytes::from_static(b"x")]),
    ]
}

pub(super) async fn every_type_of_property_comes_back(desk: Desk) {
    let long = vec![b'x'; 300_000];
    let staged = desk.stage(&long).await;
    let stream = Content::of(&staged);
    let mut properties = Properties::new();
    for (place, value) in values(stream.clone()).into_iter().enumerate() {
        let number = place as u32;
        let name = match place % 3 {
            0 => PropertyName::Tag(0x6000 + number as u16),
            1 => PropertyName::Numbered { set: PUBLIC_STRINGS, id: number },
            _ => {
                PropertyName::Named { set: PUBLIC_STRINGS, name: format!("Überschrift {number}") }
            }
        };
        properties.insert(name, value);
    }
    // The same name with another case, the same number in another set: names of their own.
    let other = PropertyName::Named { set: PUBLIC_STRINGS, name: "überschrift 2".into() };
    properties.insert(other, text("another"));
    properties.insert(PropertyName::Numbered { set: [1; 16], id: 1 }, text("elsewhere"));
    let recipient = Properties::from([(PropertyName::Tag(0x3001), text("Bob"))]);
    let mut new = NewItem { staged: vec![staged], ..NewItem::default() };
    new.tree.properties = properties.clone();
    new.tree.recipients = vec![recipient.clone(), Properties::new()];
    let id = desk.make(calendar(), new).await;

    let item = desk.item(id).await;
    assert_eq!(item.tree.properties, properties);
    assert_eq!(item.tree.recipients, [recipient.clone(), Properties::new()]);
    assert_eq!((item.id, item.folder, item.associated), (id, calendar(), false));
    assert_eq!(item.native, None);
    assert_eq!(desk.bytes_of(&stream).await, long);

    let gone = PropertyName::Tag(0x6000);
    let edit = ItemEdit {
        set: subject("new"),
        delete: vec![gone.clone(), PropertyName::Tag(1)],
        recipients: Some(vec![recipient]),
        ..ItemEdit::default()
    };
    desk.me.edit_item(id, edit).await.unwrap();
    let item = desk.item(id).await;
    properties.remove(&gone);
    properties.extend(subject("new"));
    assert_eq!(item.tree.properties, properties);
    assert_eq!(item.tree.recipients.len(), 1);
    assert_eq!(desk.bytes_of(&stream).await, long);
    refused(desk.me.item(ItemId(id.0 + 1_000)).await, Kind::NotFound);
}

pub(super) async fn ids_can_be_reserved_and_are_never_given_twice(desk: Desk) {
    let (first, count) = desk.me.reserve_ids(10).await.unwrap();
    assert_eq!(count, 10);
    let (second, _) = desk.me.reserve_ids(5).await.unwrap();
    assert!(second.0 >= first.0 + 10);
    let with_id = |id: u64| NewItem { id: Some(ItemId(id)), ..note("n", "n") };
    for id in [first.0 + 3, first.0, second.0 + 4] {
        assert_eq!(desk.make(calendar(), with_id(id)).await, ItemId(id));
    }
    let used = desk.me.create_item(calendar(), with_id(first.0)).await;
    refused(used, Kind::AlreadyExists);
    let free = desk.make(calendar(), note("n", "n")).await;
    assert!(free.0 > second.0 + 4);
    for id in [0, free.0, free.0 + 1, 1 << 48] {
        refused(desk.me.create_item(calendar(), with_id(id)).await, Kind::Invalid);
    }
    // Not even after the item is gone for good.
    let purges = SpecialUse::Purges.folder_id();
    desk.me.delete_items(calendar(), vec![first], true).await.unwrap();
    desk.me.delete_items(purges, vec![first], true).await.unwrap();
    refused(desk.me.item(first).await, Kind::NotFound);
    let used = desk.me.create_item(calendar(), with_id(first.0)).await;
    refused(used, Kind::AlreadyExists);
    refused(desk.me.reserve_ids(0).await, Kind::Limit);
    refused(desk.me.reserve_ids(1 << 48).await, Kind::Limit);
    let uids: Vec<Uid> = desk.entries(calendar()).await.iter().map(|entry| entry.uid).collect();
    assert_eq!(uids, [Uid(1), Uid(3), Uid(4)], "UIDs come in order of arrival, not of ids");
}

pub(super) async fn foreign_keys_are_unique_in_a_folder(desk: Desk) {
    let key = Bytes::from_static(b"\x01\x00foreign");
    let with_key = || NewItem { source_key: Some(key.clone()), ..note("one", "") };
    let id = desk.make(calendar(), with_key()).await;
    let again = desk.me.create_item(calendar(), with_key()).await;
    refused(again, Kind::AlreadyExists);
    let elsewhere = desk.make(inbox(), with_key()).await;
    assert_ne!(id, elsewhere);
    let found = desk.me.by_source_key(calendar(), key.clone()).await.unwrap();
    assert_eq!((found.id, found.source_key), (id, Some(key.clone())));
    assert_eq!(desk.me.by_source_key(inbox(), key.clone()).await.unwrap().id, elsewhere);
    let longer = Bytes::from_static(b"\x01\x00foreign2");
    refused(desk.me.by_source_key(calendar(), longer).await, Kind::NotFound);

    // An item without a foreign key is found under its own id in the mailbox's replica.
    let own = desk.item(desk.make(calendar(), note("own", "")).await).await;
    let replica = *own.predecessors.keys().next().unwrap();
    let own_key = [&replica[..], &own.id.0.to_be_bytes()[2..]].concat();
    let found = desk.me.by_source_key(calendar(), own_key.clone().into()).await.unwrap();
    assert_eq!(found, own);
    refused(desk.me.by_source_key(inbox(), own_key.into()).await, Kind::NotFound);

    // Where the key is taken, what is moved there loses it rather than its neighbour.
    let source = desk.item(elsewhere).await.uid.unwrap();
    desk.me.move_messages(inbox(), uids(&[source]), calendar()).await.unwrap();
    assert_eq!(desk.item(elsewhere).await.source_key, None);
    assert_eq!(desk.me.by_source_key(calendar(), key).await.unwrap().id, id);
}

pub(super) async fn associated_items_have_no_uid(desk: Desk) {
    let before = desk.me.folder(inbox()).await.unwrap();
    let view = NewItem { associated: true, flags: seen(), ..note("IPM.View", "settings") };
    let id = desk.make(inbox(), view).await;
    let info = desk.me.folder(inbox()).await.unwrap();
    assert_eq!((info.counts.associated, info.counts.messages), (1, 0));
    assert!(info.counts.size_bytes > 0);
    assert_eq!((info.uid_next, info.counts.unseen), (before.uid_next, 0));
    assert!(desk.entries(inbox()).await.is_empty());
    let delta = desk.me.delta(inbox(), before.highest_change).await.unwrap();
    assert!(delta.changed.is_empty() && delta.vanished.is_empty());
    let item = desk.item(id).await;
    assert_eq!((item.uid, item.associated), (None, true));

    let content_change = desk.set(id, subject("IPM.Other")).await;
    let item = desk.item(id).await;
    assert_eq!((item.change, item.content_change), (content_change, content_change));
    assert_eq!(item.tree.properties[&SUBJECT], text("IPM.Other"));
    assert!(desk.me.search(inbox(), crate::Search::All).await.unwrap().is_empty());

    desk.me.delete_items(inbox(), vec![id], false).await.unwrap();
    let info = desk.me.folder(inbox()).await.unwrap();
    assert_eq!((info.counts.associated, info.counts.size_bytes), (0, 0));
    assert_eq!(desk.item(id).await.folder, SpecialUse::Deletions.folder_id());
    assert_eq!(desk.me.usage().await.unwrap().items, 0);
    for folder in [SpecialUse::Deletions, SpecialUse::Purges] {
        desk.me.delete_items(folder.folder_id(), vec![id], false).await.unwrap();
    }
    refused(desk.me.item(id).await, Kind::NotFound);
    assert_eq!(desk.me.usage().await.unwrap().recoverable_bytes, 0);
}

pub(super) async fn items_are_removed_by_id(desk: Desk) {
    let mut made = Vec::new();
    for name in ["a", "b", "c", "d"] {
        made.push(desk.make(calendar(), note(name, "")).await);
    }
    let elsewhere = desk.make(inbox(), note("e", "")).await;
    let view = NewItem { associated: true, ..note("view", "") };
    let view = desk.make(calendar(), view).await;
    let named = vec![made[2], made[0], made[2], elsewhere, ItemId(9_999), view];
    desk.me.delete_items(calendar(), named, false).await.unwrap();
    assert_eq!(desk.items_in(calendar()).await, [made[1], made[3]]);
    assert_eq!(desk.items_in(inbox()).await, [elsewhere], "what is elsewhere is passed over");
    let deletions = SpecialUse::Deletions.folder_id();
    for id in [made[0], made[2], view] {
        assert_eq!(desk.item(id).await.folder, deletions);
    }
    desk.me.delete_items(calendar(), vec![made[1]], true).await.unwrap();
    assert_eq!(desk.item(made[1]).await.folder, SpecialUse::Purges.folder_id());
    // What was removed can be recovered, as it was.
    let uid = desk.item(made[0]).await.uid.unwrap();
    desk.me.move_messages(deletions, uids(&[uid]), calendar()).await.unwrap();
    assert_eq!(desk.item(made[0]).await.tree.properties[&SUBJECT], text("a"));
    let edit = ItemEdit { set: subject("x"), ..ItemEdit::default() };
    refused(desk.me.edit_item(made[2], edit).await, Kind::CannotChange);
}

pub(super) async fn permissions_are_kept(desk: Desk) {
    let bob = desk.colleague("bob").await.account;
    assert_eq!(desk.me.permissions(calendar()).await.unwrap(), []);
    let reviewer = Permission { account: bob, rights: 0x401 };
    let all = vec![reviewer];
    desk.me.set_permissions(calendar(), all.clone()).await.unwrap();
    assert_eq!(desk.me.permissions(calendar()).await.unwrap(), all);
    assert_eq!(desk.me.permissions(inbox()).await.unwrap(), []);
    let twice = desk.me.set_permissions(calendar(), vec![reviewer, reviewer]).await;
    refused(twice, Kind::Invalid);
    let strange = Permission { account: bob, rights: 0x8000_0000 };
    refused(desk.me.set_permissions(calendar(), vec![strange]).await, Kind::Invalid);
    desk.me.set_permissions(calendar(), Vec::new()).await.unwrap();
    assert_eq!(desk.me.permissions(calendar()).await.unwrap(), []);
}
