//! Folders are made, renamed and removed while the store fails.

use super::help::Session;
use super::storm::{FAULTS, assert_passing};
use crate::support::{World, in_memory, run};
use base::FolderId;
use base::env::sim::test_seed;
use codec_mime::generate::Random;
use contract_mailbox::{FolderClass, SpecialUse, Write, WriteReply};
use store_memory::Faults;

/// The same folder is deleted, made and renamed while others do the same.
#[test]
fn folders_come_and_go_under_faults() {
    if !in_memory() {
        return;
    }
    let seed = test_seed();
    run(seed, async |world| {
        let account = world.account("folders").await;
        let mut session = Session::new(&world, account);
        let mut random = Random::new(seed);
        let root = SpecialUse::Root.folder_id();
        world.inject(FAULTS);
        let mut made: Vec<FolderId> = Vec::new();
        for number in 0..150_u32 {
            let request = match random.below(4) {
                0 | 1 => Write::CreateFolder {
                    parent: root,
                    name: format!("folder {number}"),
                    class: FolderClass::Mail,
                    role: None,
                },
                2 if !made.is_empty() => Write::RenameFolder {
                    folder: made[random.below(made.len())],
                    parent: root,
                    name: format!("renamed {number}"),
                },
                _ if !made.is_empty() => {
                    Write::DeleteFolder(made.swap_remove(random.below(made.len())))
                }
                _ => continue,
            };
            match until_answered(&world, &mut session, request.clone()).await {
                WriteReply::Folder(info) if matches!(request, Write::CreateFolder { .. }) => {
                    made.push(info.id);
                }
                WriteReply::Folder(_) | WriteReply::Done => {}
                other => panic!("{other:?}"),
            }
        }
        world.inject(Faults::default());
        world.memory().land_late_commits();
        let folders = world.handle(account).folders().await.unwrap();
        let mut found: Vec<_> = folders.iter().map(|info| info.id).filter(|id| id.0 > 16).collect();
        found.sort_unstable();
        made.sort_unstable();
        assert_eq!(found, made);
        world.sound(account).await;
    });
}

/// As a router does, which sends again until it is answered.
async fn until_answered(world: &World, session: &mut Session, request: Write) -> WriteReply {
    let command = session.next();
    for _ in 0..200 {
        match session.send(&world.node, command, request.clone()).await {
            Ok(reply) => return reply,
            Err(error) => assert_passing(&error),
        }
    }
    panic!("no answer to {request:?}");
}
