//! What is bounded, and what is said where the bound is met.

use super::help::{folder, inbox};
use crate::support::{run, run_with};
use base::{Kind, Uid};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::{META_REPLY_BYTES_MAX, StoreMode};
use contract_mailbox::{FolderClass, Search, SpecialUse, SystemFlags, UidSet};
use service_mailbox::Config;

/// A message of very many parts, whose structure is some 60 kB.
fn many_parts(number: u32) -> Vec<u8> {
    let mut text =
        format!("Subject: {number}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
    for part in 0..500 {
        text += &format!(
            "--b\r\nContent-Type: text/plain; name=\"part {part} of a long name {part}\"\r\n\r\nx\r\n"
        );
    }
    (text + "--b--\r\n").into_bytes()
}

#[test]
fn structures_come_in_pages_of_bounded_size() {
    run(1, async |world| {
        let account = world.account("pages").await;
        let handle = world.handle(account);
        for number in 0..3 {
            let mut messages = Vec::new();
            for message in 0..15 {
                messages.push(world.message(&many_parts(number * 15 + message)).await);
            }
            handle.append(inbox(), messages).await.unwrap();
        }
        let all: Vec<Uid> = (1..=45).map(Uid).collect();
        let refused = handle.meta(inbox(), all.clone()).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Limit);

        let root = SpecialUse::Root.folder_id();
        let search = Search::Larger(1);
        let found = handle.create_search_folder(root, "all".into(), vec![inbox()], search);
        let found = found.await.unwrap().id;
        for folder in [inbox(), found] {
            let (mut rest, mut seen, mut pages) = (all.clone(), Vec::new(), 0);
            while !rest.is_empty() {
                let page = handle.meta_page(folder, rest.clone()).await.unwrap();
                let bytes = page
                    .found
                    .iter()
                    .map(|(_, meta)| base::wire::encode_row(1, &**meta).unwrap().len());
                assert!(bytes.sum::<usize>() <= META_REPLY_BYTES_MAX);
                assert!(!page.found.is_empty());
                seen.extend(page.found.iter().map(|(uid, _)| *uid));
                rest.retain(|uid| page.next.is_some_and(|next| *uid >= next));
                pages += 1;
            }
            assert_eq!(seen, all);
            assert!(pages >= 2, "{pages}");
        }
        // What reads many of them for itself does so in pages, too.
        let subjects = handle.search(inbox(), Search::Subject("4".into())).await.unwrap();
        assert_eq!(subjects.len(), 9);
        let target = super::help::archive();
        let copied = handle.copy(inbox(), UidSet::all(), target).await.unwrap();
        assert_eq!(copied.pairs.len(), 45);
        world.sound(account).await;
    });
}

#[test]
fn subscriptions_are_bounded() {
    run(2, async |world| {
        let account = world.account("subscriptions").await;
        let handle = world.handle(account);
        let path = |number: u32| format!("{}/{number}", "x".repeat(4_000));
        let mut number = 0;
        let refused = loop {
            match handle.subscribe(path(number), true).await {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
            assert!(number < 300, "there is no end");
        };
        assert_eq!(refused.kind, Kind::Limit);
        assert!(number > 200, "{number}");
        // What is there can be said again and taken back; then there is room.
        handle.subscribe(path(0), true).await.unwrap();
        handle.subscribe(path(1), false).await.unwrap();
        handle.subscribe(path(number), true).await.unwrap();
    });
}

/// A chain of folders is made at once or not at all, and no mailbox has more than it may.
#[test]
fn folders_are_bounded_in_depth_and_number() {
    assert_eq!(Config::default().folders_max, 10_000);
    let config = Config { folders_max: 400, ..Config::default() };
    run_with(6, config, async |world| {
        let account = world.account("folders").await;
        let handle = world.handle(account);
        let root = SpecialUse::Root.folder_id();
        let chain =
            |first: u32, count: u32| (first..first + count).map(|n| n.to_string()).collect();
        let create =
            async |parent, names| handle.create_folders(parent, names, FolderClass::Mail).await;
        assert_eq!(create(root, Vec::new()).await.unwrap_err().kind, Kind::Invalid);
        let before = handle.folders().await.unwrap().len();
        // The root is one of the 300 levels.
        assert_eq!(create(root, chain(0, 300)).await.unwrap_err().kind, Kind::Limit);
        let bad = vec!["good".into(), "b/d".into()];
        assert_eq!(create(root, bad).await.unwrap_err().kind, Kind::Invalid);
        assert_eq!(handle.folders().await.unwrap().len(), before, "nothing is left of it");
        let deepest = create(root, chain(0, 299)).await.unwrap();
        assert_eq!(deepest.name, "298");
        assert_eq!(create(deepest.id, chain(0, 1)).await.unwrap_err().kind, Kind::Limit);
        let taken = create(root, chain(0, 2)).await.unwrap_err();
        assert_eq!(taken.kind, Kind::AlreadyExists);

        let room = 400 - world.sound(account).await.folders as u32;
        assert_eq!(create(root, chain(500, room + 1)).await.unwrap_err().kind, Kind::Limit);
        create(root, chain(500, room)).await.unwrap();
        let one = handle.create_folder(root, "one".into(), FolderClass::Mail, None).await;
        assert_eq!(one.unwrap_err().kind, Kind::Limit);
        let nothing = Search::Larger(1 << 40);
        let found = handle.create_search_folder(root, "found".into(), vec![inbox()], nothing).await;
        assert_eq!(found.unwrap_err().kind, Kind::Limit);
        assert_eq!(world.sound(account).await.folders, 400);
    });
}

#[test]
fn keywords_and_ranges_of_ids_are_bounded() {
    run(3, async |world| {
        let account = world.account("keywords").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 1).await;
        let flags =
            |name: String| NamedFlags { system: SystemFlags::default(), keywords: vec![name] };
        let store = async |name: String| {
            handle.store(inbox(), UidSet::all(), StoreMode::Add, flags(name), None).await
        };
        assert_eq!(store("k".repeat(256)).await.unwrap_err().kind, Kind::Limit);
        assert_eq!(store(String::new()).await.unwrap_err().kind, Kind::Limit);
        for number in 0..128 {
            store(format!("keyword{number}")).await.unwrap();
        }
        assert_eq!(store("one-more".into()).await.unwrap_err().kind, Kind::Limit);
        store("KEYWORD5".into()).await.unwrap();
        world.sound(account).await;
    });
}

#[test]
fn devices_of_a_folder_are_bounded() {
    run(4, async |world| {
        let account = world.account("devices").await;
        let handle = world.handle(account);
        let place = folder(&handle, "synced").await;
        let set = async |device: u32| {
            let state = bytes::Bytes::from_static(b"state");
            handle.set_collection_state(format!("device {device}"), place, state).await
        };
        for device in 0..500 {
            set(device).await.unwrap();
        }
        assert_eq!(set(500).await.unwrap_err().kind, Kind::Limit);
        set(0).await.unwrap();
        world.sound(account).await;
    });
}

#[test]
fn a_command_names_a_bounded_number_of_items() {
    run(5, async |world| {
        let account = world.account("items").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 1).await;
        let items = |count: u64| (1..=count).map(|id| base::ItemId(id << 20)).collect::<Vec<_>>();
        let refused = handle.set_read(items(1_000_000), true).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Limit);
        handle.set_read(items(2_000), true).await.unwrap();
        assert!(!world.sound(account).await.unfinished_job);
    });
}
