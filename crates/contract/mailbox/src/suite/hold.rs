//! Litigation hold: whatever users do, what was there can be found.

use super::Setting;
use super::desk::{Desk, SUBJECT, inbox, note, refused, subject, text, text_of};
use crate::{
    Attachment, AttachmentData, Content, ItemEdit, NewItem, Properties, SpecialUse, UidSet,
};
use base::{ItemId, Kind};

fn versions() -> base::FolderId {
    SpecialUse::Versions.folder_id()
}

fn purges() -> base::FolderId {
    SpecialUse::Purges.folder_id()
}

pub(super) async fn an_edit_keeps_the_old_version(desk: Desk) {
    let staged = desk.stage(b"evidence").await;
    let evidence = Content::of(&staged);
    let data = AttachmentData::Bytes(evidence.clone());
    let attachment = Attachment { number: 0, properties: Properties::new(), data };
    let mut new = NewItem { staged: vec![staged], ..note("first", "text") };
    new.tree.attachments = vec![attachment];
    let id = desk.make(inbox(), new).await;
    let plain = desk.append(inbox(), &["mail"]).await[0];
    let mail = desk.items_in(inbox()).await[1];
    desk.set(id, subject("second")).await;
    assert!(desk.items_in(versions()).await.is_empty(), "without a hold nothing is kept");

    desk.world.set(desk.account, Setting::Hold(true)).await;
    let before = desk.item(id).await;
    let edit =
        ItemEdit { set: subject("third"), remove_attachments: vec![0], ..ItemEdit::default() };
    desk.me.edit_item(id, edit).await.unwrap();
    let kept = desk.items_in(versions()).await;
    assert_eq!(kept.len(), 1);
    let old = desk.item(kept[0]).await;
    assert_ne!(old.id, id);
    assert_eq!(old.tree, before.tree, "with its attachments");
    assert_eq!(desk.bytes_of(&evidence).await, &b"evidence"[..]);
    let now = desk.item(id).await;
    assert_eq!(now.tree.properties[&SUBJECT], text("third"));
    assert!(now.tree.attachments.is_empty());

    // Read state is no content; neither is what is refused.
    desk.me.set_read(vec![id], true).await.unwrap();
    let late = ItemEdit { expected: Some(before.content_change), ..ItemEdit::default() };
    refused(desk.me.edit_item(id, late).await, Kind::Conflict);
    assert_eq!(desk.items_in(versions()).await.len(), 1);
    // Mail that arrived, and associated items, are kept as well.
    desk.set(mail, subject("changed")).await;
    let kept = desk.items_in(versions()).await;
    assert_eq!(kept.len(), 2);
    let uid = desk.item(kept[1]).await.uid.unwrap();
    assert_eq!(desk.fetch(versions(), uid).await, text_of("mail"));
    assert_eq!(desk.fetch(inbox(), plain).await, text_of("mail"));
    let view = NewItem { associated: true, ..note("view", "") };
    let view = desk.make(inbox(), view).await;
    desk.set(view, subject("changed")).await;
    assert_eq!(desk.me.folder(versions()).await.unwrap().counts.associated, 1);
}

pub(super) async fn nothing_is_purged(desk: Desk) {
    desk.world.set(desk.account, Setting::Hold(true)).await;
    let mail = desk.append(inbox(), &["mail"]).await[0];
    let item = desk.make(inbox(), note("item", "")).await;
    let view = NewItem { associated: true, ..note("view", "") };
    let view = desk.make(inbox(), view).await;
    let first = desk.items_in(inbox()).await[0];
    let all: Vec<ItemId> = vec![first, item, view];
    desk.me.delete_items(inbox(), all.clone(), true).await.unwrap();
    for id in &all {
        assert_eq!(desk.item(*id).await.folder, purges());
        refused(desk.me.delete_items(purges(), vec![*id], true).await, Kind::CannotChange);
        refused(desk.me.delete_items(purges(), vec![*id], false).await, Kind::CannotChange);
    }
    let flags = super::desk::deleted();
    let mode = crate::request::StoreMode::Add;
    desk.me.store(purges(), UidSet::all(), mode, flags, None).await.unwrap();
    assert!(desk.me.expunge(purges(), None).await.unwrap().is_empty());
    let edit = ItemEdit { set: subject("forged"), ..ItemEdit::default() };
    refused(desk.me.edit_item(item, edit).await, Kind::CannotChange);
    for id in &all {
        assert_eq!(desk.item(*id).await.folder, purges());
    }
    assert_eq!(mail, base::Uid(1));
}

pub(super) async fn without_it_purges_are_final(desk: Desk) {
    let item = desk.make(inbox(), note("item", "")).await;
    desk.me.delete_items(inbox(), vec![item], false).await.unwrap();
    let deletions = SpecialUse::Deletions.folder_id();
    desk.me.delete_items(deletions, vec![item], false).await.unwrap();
    assert_eq!(desk.item(item).await.folder, purges());
    assert!(desk.me.usage().await.unwrap().recoverable_bytes > 0);
    desk.me.delete_items(purges(), vec![item], false).await.unwrap();
    refused(desk.me.item(item).await, Kind::NotFound);
    assert_eq!(desk.me.usage().await.unwrap().recoverable_bytes, 0);
    assert_eq!(desk.world.blobs_held().await, 0);
}
