//! Several sessions at once in one mailbox, whose commands are jobs of many transactions, while the
//! store fails: nothing that was acknowledged is lost or doubled, and all rows fit together.

use super::help::{Session, archive, inbox, named, subjects};
use crate::support::{World, in_memory, run_with};
use base::env::sim::test_seed;
use base::{AccountId, FolderId, Kind, Result};
use codec_mime::generate::Random;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{Search, SpecialUse, SystemFlags, UidSet, Write, WriteReply};
use service_mailbox::Config;
use std::collections::BTreeMap;
use std::sync::Arc;
use store_memory::Faults;

const FAULTS: Faults = Faults {
    conflict: 0.03,
    commit_unknown_applied: 0.03,
    commit_unknown_not_applied: 0.03,
    late_commit: 0.02,
    stall: 0.0,
    too_old: 0.02,
    short_pages: 0.1,
    busy: 0.02,
    interleave: 0.3,
};

fn folders() -> [FolderId; 3] {
    [inbox(), archive(), SpecialUse::Junk.folder_id()]
}

/// Sends a command until it is answered, as a router does.
async fn send(world: &World, session: &mut Session, request: Write) -> WriteReply {
    let command = session.next();
    let mut last = None;
    for _ in 0..300 {
        let sent: Result<WriteReply> = session.send(&world.node, command, request.clone()).await;
        match sent {
            Ok(reply) => return reply,
            Err(error) => {
                let passing = [Kind::Unavailable, Kind::Timeout, Kind::Overloaded];
                assert!(passing.contains(&error.kind), "{error:?}");
                last = Some(error);
            }
        }
    }
    panic!("no answer: {last:?}");
}

/// What one session does: it appends messages that only it numbers, and moves and marks whatever is
/// there. Gives the numbers.
async fn act(world: Arc<World>, account: AccountId, seed: u64, first: u64) -> Vec<u64> {
    let mut random = Random::new(seed);
    let mut session = Session::new(&world, account);
    let mut appended = Vec::new();
    for _ in 0..40 {
        let folder = folders()[random.below(3)];
        let to = folders()[random.below(3)];
        let from = 1 + random.below(60) as u32;
        let uids = UidSet::from_ranges([(from, from + random.below(12) as u32)]);
        let request = match random.below(8) {
            0..3 => {
                let number = first + appended.len() as u64;
                appended.push(number);
                let messages = world.quietly(async || world.small(number..number + 1).await).await;
                Write::Append { folder, messages }
            }
            3 => Write::Store {
                folder: [folder, SpecialUse::Sent.folder_id()][random.below(2)],
                uids,
                mode: [StoreMode::Add, StoreMode::Remove][random.below(2)],
                flags: named(SystemFlags::FLAGGED),
                unchanged_since: None,
            },
            // Copies are thrown away at the end; what matters is what they do to the others.
            4 => Write::Copy { from: folder, uids, to: SpecialUse::Sent.folder_id() },
            _ => Write::Move { from: folder, uids, to },
        };
        send(&world, &mut session, request).await;
        let handle = world.handle(account);
        if let Ok(view) = handle.view(folder).await {
            assert!(view.entries().all(|entry| entry.uid < view.info.uid_next));
        }
    }
    appended
}

#[test]
fn many_sessions_lose_and_double_nothing() {
    if !in_memory() {
        return;
    }
    let seed = test_seed();
    let config = Config { chunk_messages: 2, ..Config::default() };
    run_with(seed, config, async |world| {
        let account = world.account("crowd").await;
        let handle = world.handle(account);
        let root = SpecialUse::Root.folder_id();
        let scope = vec![inbox(), SpecialUse::Sent.folder_id()];
        let flagged = Search::System(SystemFlags::FLAGGED);
        let search = handle.create_search_folder(root, "flagged".into(), scope.clone(), flagged);
        let search = search.await.unwrap().id;
        let world = Arc::new(world);
        world.inject(FAULTS);
        let sessions = (0..4)
            .map(|number| tokio::spawn(act(world.clone(), account, seed ^ number, number * 1_000)));
        let mut expect = Vec::new();
        for appended in futures::future::join_all(sessions).await {
            expect.extend(appended.unwrap());
        }
        world.inject(Faults::default());
        world.memory().land_late_commits();
        world.calm(account).await;
        let report = world.sound(account).await;
        assert!(!report.unfinished_job);

        let mut found = BTreeMap::new();
        for folder in folders() {
            let view = handle.view(folder).await.unwrap();
            let uids: Vec<u32> = view.entries().map(|entry| entry.uid.0).collect();
            for (_, subject) in subjects(&handle, folder, &uids).await {
                *found.entry(subject).or_insert(0) += 1;
            }
        }
        let expect: BTreeMap<String, i32> =
            expect.iter().map(|number| (number.to_string(), 1)).collect();
        assert_eq!(found, expect);
        // Search folders have kept up.
        let mut flagged = Vec::new();
        for folder in scope {
            let view = handle.view(folder).await.unwrap();
            let marked = view.entries().filter(|e| e.flags.system.contains(SystemFlags::FLAGGED));
            flagged.extend(marked.map(|entry| entry.item));
        }
        let members = handle.view(search).await.unwrap();
        let mut members: Vec<_> = members.entries().map(|entry| entry.item).collect();
        members.sort_unstable();
        flagged.sort_unstable();
        assert_eq!(members, flagged);
    });
}
