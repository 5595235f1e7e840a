//! Attachments: large ones above all.

use super::desk::{Desk, applied, inbox, note, text};
use crate::{Attachment, AttachmentData, Content, ItemEdit, Properties, PropertyName, Staged};
use bytes::Bytes;
use contract_blob::Segment;
use futures::StreamExt;

/// How large the large attachment is, in megabytes, where the environment does not say.
const LARGE_MB: usize = 100;

fn attachment(staged: &Staged, name: &str) -> Attachment {
    let properties = Properties::from([(PropertyName::Tag(0x3707), text(name))]);
    Attachment { number: 0, properties, data: AttachmentData::Bytes(Content::of(staged)) }
}

fn added(staged: Staged, name: &str) -> ItemEdit {
    ItemEdit {
        add_attachments: vec![attachment(&staged, name)],
        staged: vec![staged],
        ..ItemEdit::default()
    }
}

/// A megabyte that cannot be compressed and is another one for each number.
fn megabyte(number: usize) -> Bytes {
    let mut random = codec_mime::generate::Random::new(number as u64);
    let mut bytes = Vec::with_capacity(1 << 20);
    while bytes.len() < 1 << 20 {
        bytes.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    bytes.into()
}

fn large_mb() -> usize {
    std::env::var("RIALTO_ATTACHMENT_MB").ok().and_then(|mb| mb.parse().ok()).unwrap_or(LARGE_MB)
}

async fn upload(desk: &Desk, megabytes: usize) -> Staged {
    'again: loop {
        let mut upload = desk.world.blobs().upload();
        for number in 0..megabytes {
            if upload.write(megabyte(number)).await.is_err() {
                continue 'again;
            }
        }
        match upload.finish().await {
            Ok(staged) => return staged,
            Err(_) => continue,
        }
    }
}

fn content_of(attachment: &Attachment) -> &Content {
    match &attachment.data {
        AttachmentData::Bytes(content) => content,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_large_attachment_is_neither_read_nor_copied(desk: Desk) {
    let megabytes = large_mb();
    let id = desk.make(inbox(), note("large", "see attachment")).await;
    let staged = upload(&desk, megabytes).await;
    let size = (megabytes as u64) << 20;
    assert_eq!(staged.size_bytes, size);
    let before = desk.world.bytes_written();
    desk.me.edit_item(id, added(staged, "large.bin")).await.unwrap();
    let small = desk.stage(b"a small one").await;
    desk.me.edit_item(id, added(small, "small.txt")).await.unwrap();
    desk.set(id, Properties::from([(PropertyName::Tag(0x0037), text("larger"))])).await;
    let uid = desk.item(id).await.uid.unwrap();
    let to = super::desk::trash();
    desk.me.copy(inbox(), super::desk::uids(&[uid]), to).await.unwrap();
    desk.me.move_messages(inbox(), super::desk::uids(&[uid]), to).await.unwrap();
    if let (Some(before), Some(after)) = (before, desk.world.bytes_written()) {
        let written = after - before;
        assert!(written < 200_000, "adding, editing, copying and moving wrote {written} bytes");
    }
    assert!(desk.me.usage().await.unwrap().size_bytes > 2 * size);

    let item = desk.item(id).await;
    assert_eq!(item.tree.attachments.len(), 2);
    let content = content_of(&item.tree.attachments[0]);
    assert_eq!(content.size_bytes(), size);
    // It is a stream that begins anywhere.
    let middle = content.slice(size / 2 - 5..size / 2 + 5);
    let expect = [&megabyte(megabytes / 2 - 1)[(1 << 20) - 5..], &megabyte(megabytes / 2)[..5]];
    assert_eq!(desk.bytes_of(&middle).await, expect.concat());
    let mut read = 0;
    let mut stream = content.read(&desk.world.blobs());
    while let Some(piece) = stream.next().await {
        // Under injected faults the stream may break off, as any download may.
        let Ok(piece) = piece else { return };
        let (number, at) = (read >> 20, read & 0xf_ffff);
        let whole = megabyte(number);
        let fits = piece.len().min(whole.len() - at);
        if read % (10 << 20) < piece.len() {
            assert_eq!(piece[..fits], whole[at..at + fits]);
        }
        read += piece.len();
    }
    assert_eq!(read as u64, size);
}

pub(super) async fn attachments_come_and_go_under_their_numbers(desk: Desk) {
    let id = desk.make(inbox(), note("n", "")).await;
    let same = desk.stage(b"the same bytes").await;
    for name in ["a", "b", "c"] {
        desk.me.edit_item(id, added(same.clone(), name)).await.unwrap();
    }
    let numbers = async || -> Vec<u32> {
        desk.item(id).await.tree.attachments.iter().map(|one| one.number).collect()
    };
    assert_eq!(numbers().await, [0, 1, 2]);
    let held = desk.world.blobs_held().await;
    let remove =
        |numbers: &[u32]| ItemEdit { remove_attachments: numbers.to_vec(), ..ItemEdit::default() };
    let size = desk.me.usage().await.unwrap().size_bytes;
    desk.me.edit_item(id, remove(&[2, 0, 7])).await.unwrap();
    assert_eq!(numbers().await, [1]);
    assert!(desk.me.usage().await.unwrap().size_bytes < size - 2 * same.size_bytes);
    let item = desk.item(id).await;
    let content = content_of(&item.tree.attachments[0]);
    assert_eq!(desk.world.blobs_held().await, held, "the last one holds them still");
    assert_eq!(desk.bytes_of(content).await, &b"the same bytes"[..]);

    // Numbers are never used again, and content may be put together from pieces.
    let pieces = vec![
        Segment::Inline(Bytes::from_static(b"from ")),
        content.slice(4..8).segments[0].clone(),
    ];
    let data = AttachmentData::Bytes(Content { segments: pieces });
    let attachment = Attachment { number: 0, properties: Properties::new(), data };
    let edit = ItemEdit {
        add_attachments: vec![attachment],
        remove_attachments: vec![1],
        ..ItemEdit::default()
    };
    let (_, change) = applied(desk.me.edit_item(id, edit).await.unwrap());
    let item = desk.item(id).await;
    assert_eq!(item.content_change, change);
    assert_eq!(numbers().await, [3]);
    let content = content_of(&item.tree.attachments[0]);
    assert_eq!(desk.bytes_of(content).await, &b"from same"[..]);
    desk.me.edit_item(id, remove(&[3])).await.unwrap();
    assert_eq!(desk.world.blobs_held().await, held - 1);
}
