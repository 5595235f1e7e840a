//! Mailboxes of accounts that were removed go, with everything they hold.

use super::help::{archive, folder, inbox};
use crate::support::{World, in_memory, run};
use base::{AccountId, Kind};
use contract_directory::{Actor, DirectoryAdmin};
use contract_mailbox::{
    Attachment, AttachmentData, Content, NewItem, Principal, Properties, SpecialUse, UidSet,
};
use contract_store::keys::KeyBuilder;
use std::time::Duration;
use store_memory::Faults;

/// A mailbox with something of everything.
async fn filled(world: &World, name: &str) -> AccountId {
    let account = world.account(name).await;
    let handle = world.handle(account);
    world.fill(&handle, inbox(), 260).await;
    handle.copy(inbox(), UidSet::all(), archive()).await.unwrap();
    let staged = world.stage(name.as_bytes()).await;
    for associated in [false, true] {
        let data = AttachmentData::Bytes(Content::of(&staged));
        let mut new = NewItem { associated, staged: vec![staged.clone()], ..NewItem::default() };
        new.tree.attachments.push(Attachment { number: 0, properties: Properties::new(), data });
        handle.create_item(inbox(), new).await.unwrap();
    }
    let doomed = folder(&handle, "doomed").await;
    handle.copy(inbox(), super::help::set(1, 20), doomed).await.unwrap();
    handle.delete_folder(doomed).await.unwrap();
    handle.set_collection_state("device".into(), inbox(), "state".into()).await.unwrap();
    account
}

async fn rows_of(world: &World, account: AccountId) -> usize {
    world.rows(&KeyBuilder::new(b"A").u64(account.0).build()).await.len()
}

async fn collected(world: &World) -> (usize, usize) {
    world.env.clock.sleep(Duration::from_secs(3600)).await;
    while world.blobs.collect(100).await.unwrap().more {}
    (world.rows(b"BM").await.len(), world.rows(b"BR").await.len())
}

#[test]
fn a_removed_account_leaves_nothing_behind() {
    run(1, async |world| {
        let stays = filled(&world, "stays").await;
        let before = collected(&world).await;
        let goes = filled(&world, "goes").await;
        let system = world.handle_as(goes, Principal::System);
        assert_eq!(system.purge().await.unwrap_err().kind, Kind::CannotChange);
        let owner = world.handle(goes);
        world.directory.remove_account(&Actor::System, goes).await.unwrap();
        assert_eq!(owner.purge().await.unwrap_err().kind, Kind::Denied);
        // It is closed already, though all of it is there.
        let append = owner.append(inbox(), world.small(0..1).await).await;
        assert_eq!(append.unwrap_err().kind, Kind::NotFound);
        assert!(rows_of(&world, goes).await > 1_000);
        system.purge().await.unwrap();
        assert_eq!(rows_of(&world, goes).await, 0);
        assert_eq!(collected(&world).await, before);
        world.sound(stays).await;
        // Nothing is done where nothing is.
        system.purge().await.unwrap();
        assert_eq!(owner.folders().await.unwrap_err().kind, Kind::NotFound);
        let purges = SpecialUse::Purges.folder_id();
        assert!(world.handle(stays).folder(purges).await.is_ok());
    });
}

#[test]
fn a_purge_that_is_broken_off_goes_on() {
    if !in_memory() {
        return;
    }
    run(2, async |mut world| {
        let before = collected(&world).await;
        let goes = filled(&world, "goes").await;
        world.directory.remove_account(&Actor::System, goes).await.unwrap();
        let faults = Faults {
            commit_unknown_applied: 0.2,
            commit_unknown_not_applied: 0.2,
            late_commit: 0.3,
            conflict: 0.2,
            short_pages: 0.2,
            ..Faults::default()
        };
        world.inject(faults);
        let mut failed = 0;
        loop {
            let system = world.handle_as(goes, Principal::System);
            match system.purge().await {
                Ok(()) => break,
                Err(error) => assert_eq!(error.kind, Kind::Unavailable),
            }
            failed += 1;
            assert!(failed < 100);
            if failed % 2 == 0 {
                world.inject(Faults::default());
                world.node = world.another_node().await;
                world.inject(faults);
            }
        }
        world.inject(Faults::default());
        world.memory().land_late_commits();
        assert_eq!(rows_of(&world, goes).await, 0);
        assert_eq!(collected(&world).await, before);
    });
}
