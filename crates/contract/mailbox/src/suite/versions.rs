//! Who changed an item first, and what a version made elsewhere contains.

use super::desk::{Desk, SUBJECT, applied, calendar, note, refused, subject, text};
use crate::{Edited, ItemEdit, NewItem, PredecessorList, Xid};
use base::Kind;
use bytes::Bytes;

const THEIRS: [u8; 16] = [0xaa; 16];
const THIRD: [u8; 16] = [0xbb; 16];

pub(super) async fn an_etag_protects_what_somebody_else_wrote(desk: Desk) {
    let id = desk.make(calendar(), note("one", "")).await;
    let known = desk.item(id).await.content_change;
    let edit = |subject_text: &str| ItemEdit {
        expected: Some(known),
        set: subject(subject_text),
        ..ItemEdit::default()
    };
    // The read state is no content.
    desk.me.set_read(vec![id], true).await.unwrap();
    let (_, newer) = applied(desk.me.edit_item(id, edit("two")).await.unwrap());
    assert!(newer > known);
    refused(desk.me.edit_item(id, edit("three")).await, Kind::Conflict);
    let item = desk.item(id).await;
    assert_eq!(item.tree.properties[&SUBJECT], text("two"));
    assert_eq!(item.content_change, newer);
}

fn version(counter: u64, list: &[([u8; 16], u64)]) -> Option<(Xid, PredecessorList)> {
    Some((Xid { replica: THEIRS, counter }, list.iter().copied().collect()))
}

pub(super) async fn versions_made_elsewhere_are_compared(desk: Desk) {
    let id = desk.make(calendar(), note("ours", "")).await;
    let made = desk.item(id).await;
    let (ours, first) = made.predecessors.iter().next().map(|(r, c)| (*r, *c)).unwrap();
    assert_eq!(made.predecessors.len(), 1);
    assert_eq!(first, made.content_change.0, "a version made here is named by its change");
    let edit = |version, subject_text: &str| {
        let edit = ItemEdit { version, set: subject(subject_text), ..ItemEdit::default() };
        desk.me.edit_item(id, edit)
    };

    applied(edit(version(5, &[(ours, first)]), "theirs 5").await.unwrap());
    let item = desk.item(id).await;
    assert_eq!(item.version, Some(Xid { replica: THEIRS, counter: 5 }));
    assert_eq!(item.predecessors, PredecessorList::from([(ours, first), (THEIRS, 5)]));
    assert!(item.content_change > made.content_change);
    // Again, and an older one: contained.
    for counter in [5, 4] {
        let result = edit(version(counter, &[(ours, first)]), "late").await.unwrap();
        assert_eq!(result, Edited::Ignored);
    }
    assert_eq!(desk.item(id).await, item, "nothing of it is written");

    // A local edit contains all before it.
    desk.set(id, subject("ours again")).await;
    let item = desk.item(id).await;
    let second = item.content_change.0;
    assert_eq!(item.version, None);
    assert_eq!(item.predecessors, PredecessorList::from([(ours, second), (THEIRS, 5)]));
    // One who has not seen it is in conflict, and the stored version stays.
    let result = edit(version(6, &[(ours, first), (THEIRS, 5)]), "blind").await.unwrap();
    assert_eq!(result, Edited::Conflict);
    assert_eq!(desk.item(id).await, item);
    // One who has, and knows a third beside, is not.
    let list = [(ours, second), (THEIRS, 5), (THIRD, 9)];
    applied(edit(version(7, &list), "merged").await.unwrap());
    let item = desk.item(id).await;
    let expect = PredecessorList::from([(ours, second), (THEIRS, 7), (THIRD, 9)]);
    assert_eq!(item.predecessors, expect);
    assert_eq!(item.tree.properties[&SUBJECT], text("merged"));
}

pub(super) async fn what_is_imported_twice_is_one_item(desk: Desk) {
    let key = Some(Bytes::from_static(b"their key"));
    let import = |counter, name: &str| {
        let version = version(counter, &[]);
        NewItem { source_key: key.clone(), version, ..note(name, name) }
    };
    let id = desk.make(calendar(), import(1, "one")).await;
    let item = desk.item(id).await;
    assert_eq!(item.predecessors, PredecessorList::from([(THEIRS, 1)]));
    let again = desk.me.create_item(calendar(), import(1, "one")).await.unwrap();
    assert_eq!(again, Edited::Ignored);

    let mut newer = import(2, "two");
    newer.tree.properties.remove(&super::desk::BODY);
    let (same, change) = applied(desk.me.create_item(calendar(), newer).await.unwrap());
    assert_eq!(same, id);
    let item = desk.item(id).await;
    assert_eq!(item.content_change, change);
    assert_eq!(item.tree.properties, subject("two"), "a version is whole: what it lacks is gone");
    assert_eq!(desk.entries(calendar()).await.len(), 1);

    desk.set(id, subject("ours")).await;
    let late = desk.me.create_item(calendar(), import(3, "three")).await.unwrap();
    assert_eq!(late, Edited::Conflict);
    assert_eq!(desk.item(id).await.tree.properties, subject("ours"));
}
