//! Items as trees beside the bytes that IMAP shows of them.

use super::desk::{
    BODY, Desk, SUBJECT, applied, calendar, inbox, note, refused, subject, text, text_of, trash,
    uids,
};
use crate::{
    Attachment, AttachmentData, Content, ItemEdit, ItemTree, MessageMeta, Native, NewItem,
    Properties, PropertyName, PropertyValue, SpecialUse,
};
use base::{Kind, Uid};
use bytes::Bytes;

const PUBLIC_STRINGS: [u8; 16] = [0x29; 16];

fn embedded(level: u32, data: AttachmentData) -> ItemTree {
    let properties = subject(&format!("level {level}"));
    let attachment = Attachment { number: 0, properties: properties.clone(), data };
    ItemTree {
        properties: properties.clone(),
        recipients: vec![properties],
        attachments: vec![attachment],
    }
}

pub(super) async fn items_are_embedded_three_deep(desk: Desk) {
    let staged = desk.stage(b"at the bottom").await;
    let bottom = Content::of(&staged);
    let mut tree = embedded(3, AttachmentData::Bytes(bottom.clone()));
    // The innermost bag alone is longer than one row may be.
    for number in 0..10 {
        let long = PropertyValue::Text("y".repeat(20_000));
        tree.properties.insert(PropertyName::Tag(0x6000 + number), long);
    }
    for level in [2, 1, 0] {
        tree = embedded(level, AttachmentData::Item(Box::new(tree)));
    }
    let new = NewItem { tree: tree.clone(), staged: vec![staged], ..NewItem::default() };
    let id = desk.make(inbox(), new).await;
    assert_eq!(desk.item(id).await.tree, tree);
    assert_eq!(desk.bytes_of(&bottom).await, &b"at the bottom"[..]);

    let purges = SpecialUse::Purges.folder_id();
    desk.me.delete_items(inbox(), vec![id], true).await.unwrap();
    desk.me.delete_items(purges, vec![id], true).await.unwrap();
    assert_eq!(desk.world.blobs_held().await, 0, "the innermost bytes are given up as well");

    let mut deep = ItemTree::default();
    for level in 0..crate::TREE_DEPTH_MAX as u32 {
        deep = embedded(level, AttachmentData::Item(Box::new(deep)));
    }
    let new = NewItem { tree: deep, ..NewItem::default() };
    refused(desk.me.create_item(inbox(), new).await, Kind::Limit);
}

pub(super) async fn an_authored_item_can_be_fetched(desk: Desk) {
    let mut new = note("Grüße", "Erste Zeile\nzweite");
    let recipient = Properties::from([
        (PropertyName::Tag(0x0c15), PropertyValue::I32(2)),
        (PropertyName::Tag(0x3001), text("Bob")),
        (PropertyName::Tag(0x39fe), text("bob@example.org")),
    ]);
    new.tree.recipients = vec![recipient];
    let id = desk.make(inbox(), new).await;
    let uid = desk.item(id).await.uid.unwrap();
    let bytes = desk.fetch(inbox(), uid).await;
    let parsed = codec_mime::parse(&bytes);
    let decoded = |value: &Option<Bytes>| codec_mime::encoded_word::decode(value.as_ref().unwrap());
    assert_eq!(decoded(&parsed.envelope.subject), "Grüße");
    assert_eq!(parsed.envelope.from[0].email().unwrap(), "alice@rialto.test");
    assert_eq!(parsed.envelope.cc[0].email().unwrap(), "bob@example.org");
    assert!(parsed.message_id.is_some() && parsed.sent_at.is_some());
    let body = &bytes[parsed.root.body.start as usize..parsed.root.body.end as usize];
    let mut shown = String::new();
    let mut decoder = codec_mime::decode::TextDecoder::new(&parsed.root);
    decoder.push(body, &mut shown);
    decoder.finish(&mut shown);
    assert_eq!(shown.replace("\r\n", "\n"), "Erste Zeile\nzweite\n");
    let entry = desk.entries(inbox()).await[0];
    assert_eq!(entry.size_bytes, bytes.len() as u64);

    // What FETCH does not show leaves the UID alone.
    let category = PropertyName::Named { set: PUBLIC_STRINGS, name: "Keywords".into() };
    let value = PropertyValue::ManyText(vec!["Blue".into()]);
    desk.set(id, Properties::from([(category, value)])).await;
    let after = desk.entries(inbox()).await[0];
    assert_eq!(after.uid, uid);
    assert!(after.change > entry.change);
    // What it shows brings a new one.
    desk.set(id, Properties::from([(BODY, text("short"))])).await;
    let entries = desk.entries(inbox()).await;
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].uid, entries[0].item), (Uid(uid.0 + 1), id));
    let bytes = desk.fetch(inbox(), entries[0].uid).await;
    assert!(bytes.ends_with(b"\r\n\r\nshort\r\n"));
    // A move takes all of it along, to where IMAP sees it too.
    desk.me.move_messages(inbox(), uids(&[entries[0].uid]), trash()).await.unwrap();
    assert_eq!(desk.fetch(trash(), Uid(1)).await, bytes);
    assert_eq!(desk.item(id).await.tree.properties[&BODY], text("short"));
}

pub(super) async fn what_arrived_as_a_message_stays_as_it_came(desk: Desk) {
    let bytes = text_of("hello");
    let message = desk.message(&bytes).await;
    let meta = MessageMeta { parsed: (*message.parsed).clone(), content: message.content.clone() };
    let native = Some(Native::Message(Box::new(meta)));
    let new = NewItem { native: native.clone(), staged: message.staged, ..NewItem::default() };
    let id = desk.make(inbox(), new).await;
    let appended = desk.append(inbox(), &["plain"]).await[0];
    for (id, bytes) in [(id, bytes), (desk.items_in(inbox()).await[1], text_of("plain"))] {
        let before = desk.item(id).await;
        let uid = before.uid.unwrap();
        assert_eq!(desk.fetch(inbox(), uid).await, bytes);
        desk.set(id, subject("another subject")).await;
        let after = desk.item(id).await;
        assert_eq!((after.uid, &after.native), (Some(uid), &before.native));
        assert!(after.content_change > before.content_change);
        assert_eq!(after.tree.properties, subject("another subject"));
        assert_eq!(desk.fetch(inbox(), uid).await, bytes);
    }
    assert_eq!(appended, Uid(2));

    // A new native form is a new message under a new UID.
    let other = desk.message(&text_of("rewritten")).await;
    let meta = MessageMeta { parsed: (*other.parsed).clone(), content: other.content.clone() };
    let edit = ItemEdit {
        native: Some(Native::Message(Box::new(meta))),
        staged: other.staged,
        ..ItemEdit::default()
    };
    let (_, change) = applied(desk.me.edit_item(id, edit).await.unwrap());
    let item = desk.item(id).await;
    assert_eq!((item.uid, item.content_change), (Some(Uid(3)), change));
    assert_eq!(desk.fetch(inbox(), Uid(3)).await, text_of("rewritten"));
    assert!(desk.me.meta(inbox(), vec![Uid(1)]).await.unwrap().is_empty());
    assert_eq!(desk.world.blobs_held().await, 2, "the old bytes are given up");
    // Calendar objects stand beside.
    let ics = desk.stage(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n").await;
    let native = Some(Native::Calendar(Content::of(&ics)));
    let new = NewItem { native: native.clone(), staged: vec![ics], ..note("meeting", "") };
    let meeting = desk.make(calendar(), new).await;
    assert_eq!(desk.item(meeting).await.native, native);
    assert_eq!(desk.subjects(calendar()).await, ["meeting"]);
}

pub(super) async fn a_copy_is_a_tree_of_its_own(desk: Desk) {
    let staged = desk.stage(b"the attachment").await;
    let bytes = Content::of(&staged);
    let data = AttachmentData::Bytes(bytes.clone());
    let attachment = Attachment { number: 0, properties: Properties::new(), data };
    let href = Some("a.ics".to_owned());
    let mut new = NewItem { href, staged: vec![staged], ..note("original", "text") };
    new.tree.attachments = vec![attachment];
    let id = desk.make(calendar(), new).await;
    let original = desk.item(id).await;
    let uid = original.uid.unwrap();
    desk.me.copy(calendar(), uids(&[uid]), calendar()).await.unwrap();
    let copy = desk.items_in(calendar()).await[1];
    assert_ne!(copy, id);
    let found = desk.item(copy).await;
    assert_eq!((found.tree, found.href), (original.tree.clone(), None));
    assert_eq!(desk.me.by_href(calendar(), "a.ics".into()).await.unwrap(), original);

    desk.set(copy, subject("copy")).await;
    let purges = SpecialUse::Purges.folder_id();
    desk.me.delete_items(calendar(), vec![id], true).await.unwrap();
    desk.me.delete_items(purges, vec![id], true).await.unwrap();
    assert!(desk.world.blobs_held().await > 0);
    assert_eq!(desk.bytes_of(&bytes).await, &b"the attachment"[..]);
    let tree = desk.item(copy).await.tree;
    assert_eq!(tree.properties[&SUBJECT], text("copy"));
    assert_eq!(tree.attachments, original.tree.attachments);
}

pub(super) async fn unheld_content_goes_when_it_is_replaced(desk: Desk) {
    let name = PropertyName::Tag(0x6000);
    let id = desk.make(calendar(), note("n", "")).await;
    let rendered = desk.world.blobs_held().await;
    for bytes in [b"one", b"two"] {
        let staged = desk.stage(bytes).await;
        let value = PropertyValue::Stream { text: false, content: Content::of(&staged) };
        let set = Properties::from([(name.clone(), value)]);
        let edit = ItemEdit { set, staged: vec![staged], ..ItemEdit::default() };
        desk.me.edit_item(id, edit).await.unwrap();
        assert_eq!(desk.world.blobs_held().await, rendered + 1);
    }
    let edit = ItemEdit { delete: vec![name], ..ItemEdit::default() };
    desk.me.edit_item(id, edit).await.unwrap();
    assert_eq!(desk.world.blobs_held().await, rendered);
}

/// An item whose last property goes is an empty item, and nothing of what it had is left.
pub(super) async fn an_item_can_lose_everything(desk: Desk) {
    let associated = NewItem { associated: true, ..note("gone", "too") };
    for new in [note("gone", "too"), associated] {
        let item = desk.make(inbox(), new).await;
        let delete = desk.item(item).await.tree.properties.into_keys().collect();
        let edit = ItemEdit { delete, ..ItemEdit::default() };
        desk.me.edit_item(item, edit).await.unwrap();
        assert_eq!(desk.item(item).await.tree, ItemTree::default());
        // It can have something again.
        desk.set(item, subject("new")).await;
        assert_eq!(desk.item(item).await.tree.properties, subject("new"));
        desk.me.edit_item(item, edit_to_nothing()).await.unwrap();
    }
}

fn edit_to_nothing() -> ItemEdit {
    ItemEdit { delete: vec![SUBJECT], ..ItemEdit::default() }
}
