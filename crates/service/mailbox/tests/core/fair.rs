//! A command over many messages lets others in between, but for what would get in its way.

use super::help::{Session, archive, folder, inbox, kind, named, set, uids};
use crate::support::{World, run_with};
use base::{AccountId, FolderId, Result, Uid};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{
    MailboxHandle, Mailboxes, Principal, Search, SpecialUse, SystemFlags, UidSet, Write, WriteReply,
};
use service_mailbox::Config;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// 40 chunks.
const COUNT: u32 = 400;

fn in_chunks() -> Config {
    Config { chunk_messages: 10, ..Config::default() }
}

async fn filled(world: &World) -> (AccountId, MailboxHandle) {
    let account = world.account("fair").await;
    let handle = world.handle(account);
    world.fill(&handle, inbox(), COUNT.into()).await;
    (account, handle)
}

/// Begins a command and waits until its first chunk is committed.
async fn begin(
    world: &World,
    account: AccountId,
    request: Write,
) -> JoinHandle<Result<WriteReply>> {
    let mut session = Session::new(world, account);
    let command = session.next();
    let mailboxes = world.node.mailboxes.clone();
    let who = Principal::Account(account);
    let job = tokio::spawn(async move { mailboxes.write(account, who, command, request).await });
    while world.rows(&kind(account, b'j').build()).await.is_empty() {
        assert!(!job.is_finished(), "it was no job");
        tokio::task::yield_now().await;
    }
    job
}

fn store(folder: FolderId) -> Write {
    Write::Store {
        folder,
        uids: UidSet::all(),
        mode: StoreMode::Add,
        flags: named(SystemFlags::ANSWERED),
        unchanged_since: None,
    }
}

#[test]
fn a_job_lets_questions_and_small_changes_in() {
    run_with(1, in_chunks(), async |world| {
        let (account, handle) = filled(&world).await;
        let commands = [
            store(inbox()),
            Write::Move { from: inbox(), uids: UidSet::all(), to: archive() },
            store(archive()),
            Write::Copy { from: archive(), uids: set(1, COUNT), to: inbox() },
            Write::Expunge { folder: archive(), uids: None },
        ];
        let junk = SpecialUse::Junk.folder_id();
        let deleted = named(SystemFlags::DELETED);
        for (number, request) in commands.into_iter().enumerate() {
            if matches!(request, Write::Expunge { .. }) {
                let all = UidSet::all();
                handle.store(archive(), all, StoreMode::Add, deleted.clone(), None).await.unwrap();
            }
            let job = begin(&world, account, request).await;
            handle.folders().await.unwrap();
            handle.view(inbox()).await.unwrap();
            handle.view(archive()).await.unwrap();
            let metas = handle.meta(inbox(), vec![Uid(COUNT)]).await.unwrap();
            assert!(metas.len() <= 1);
            let (_, new) = handle.append(junk, world.small(0..1).await).await.unwrap();
            let flags = named(SystemFlags::SEEN);
            let new: UidSet = new.into_iter().collect();
            handle.store(junk, new, StoreMode::Add, flags, None).await.unwrap();
            assert!(!job.is_finished(), "{number}: others waited for the end");
            job.await.unwrap().unwrap();
            assert!(!world.sound(account).await.unfinished_job, "{number}");
        }
        assert_eq!(handle.view(junk).await.unwrap().entries().count(), 5);
        assert_eq!(handle.view(archive()).await.unwrap().entries().count(), 0);
        let view = handle.view(inbox()).await.unwrap();
        assert_eq!(view.entries().count(), COUNT as usize);
    });
}

/// Mail that comes meanwhile is not the job's, and does not make it longer.
#[test]
fn a_job_concerns_what_was_there_when_it_began() {
    run_with(2, in_chunks(), async |world| {
        let (account, handle) = filled(&world).await;
        for (request, left) in [
            (store(inbox()), COUNT + 1),
            (Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() }, COUNT + 2),
            (Write::Move { from: inbox(), uids: UidSet::all(), to: archive() }, 1),
        ] {
            let job = begin(&world, account, request).await;
            handle.append(inbox(), world.small(900..901).await).await.unwrap();
            assert!(!job.is_finished());
            job.await.unwrap().unwrap();
            let view = handle.view(inbox()).await.unwrap();
            assert_eq!(view.entries().count(), left as usize);
        }
        let view = handle.view(archive()).await.unwrap();
        let answered =
            |entry: &&contract_mailbox::IndexEntry| entry.flags.system == SystemFlags::ANSWERED;
        assert_eq!(view.entries().filter(answered).count(), 2 * COUNT as usize);
        world.sound(account).await;
    });
}

/// What would give UIDs or changes in a folder that a COPY is filling waits for it, so that
/// messages are seen in the order of their UIDs and changes.
#[test]
fn a_copy_has_its_target_for_itself() {
    run_with(3, in_chunks(), async |world| {
        let (account, handle) = filled(&world).await;
        handle.append(archive(), world.small(0..3).await).await.unwrap();
        let known = handle.view(archive()).await.unwrap().info;
        let copy = Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        let job = begin(&world, account, copy).await;

        // Nothing is to be seen of it, nor to be had by guessing.
        let view = handle.view(archive()).await.unwrap();
        assert_eq!((uids(&view), &view.info), (vec![1, 2, 3], &known));
        assert!(handle.meta(archive(), vec![Uid(4), Uid(5)]).await.unwrap().is_empty());
        let delta = handle.delta(archive(), base::Change(0)).await.unwrap();
        assert_eq!(delta.changed.len(), 3);
        assert!(handle.search(archive(), Search::All).await.unwrap().len() == 3);
        let hidden = base::ItemId(u64::from(COUNT) + 4);
        assert_eq!(handle.item(hidden).await.unwrap_err().kind, base::Kind::NotFound);
        handle.set_read(vec![hidden], true).await.unwrap();
        handle.delete_items(archive(), vec![hidden], true).await.unwrap();
        let edit = contract_mailbox::ItemEdit::default();
        let edited = handle.edit_item(hidden, edit).await;
        assert_eq!(edited.unwrap_err().kind, base::Kind::NotFound);
        // What does not concern its messages may change.
        assert_eq!(handle.claim_recent(archive()).await.unwrap(), Uid(1));
        assert!(!job.is_finished());

        let flags = named(SystemFlags::FLAGGED);
        let later = world.handle(account);
        let one = world.small(1..2).await;
        let (stored, appended, gone) = futures::join!(
            handle.store(archive(), set(1, 1), StoreMode::Add, flags, None),
            later.append(archive(), one),
            async {
                let other = world.handle(account);
                let root = SpecialUse::Root.folder_id();
                let name = "away".to_owned();
                let made = other
                    .create_folder(root, name, contract_mailbox::FolderClass::Mail, None)
                    .await
                    .unwrap();
                other.move_messages(archive(), set(2, 2), made.id).await
            },
        );
        let copied = job.await.unwrap().unwrap();
        let WriteReply::Copied(copied) = copied else { panic!("{copied:?}") };
        assert_eq!(copied.pairs.len(), COUNT as usize);
        assert_eq!(copied.pairs[0].1, Uid(4));
        assert_eq!(appended.unwrap().1, [Uid(COUNT + 4)]);
        assert_eq!(gone.unwrap().pairs.len(), 1);
        let highest = handle.folder(archive()).await.unwrap().highest_change;
        assert!(stored.unwrap().entries[0].change <= highest);
        // Who followed the folder learns of everything.
        let delta = handle.delta(archive(), known.highest_change).await.unwrap();
        assert_eq!(delta.changed.len(), COUNT as usize + 2);
        assert_eq!(delta.vanished, [Uid(2)]);
        world.sound(account).await;
    });
}

#[test]
fn a_second_job_waits_and_a_command_sent_again_joins() {
    run_with(4, in_chunks(), async |world| {
        let (account, handle) = filled(&world).await;
        let target = folder(&handle, "target").await;
        let mut session = Session::new(&world, account);
        let command = session.next();
        let mark = || store(inbox());
        let copy = Write::Copy { from: inbox(), uids: UidSet::all(), to: target };
        let world = Arc::new(world);
        let job = begin(&world, account, copy).await;
        let first = session.send(&world.node, command, mark());
        let again = session.send(&world.node, command, mark());
        let seen = named(SystemFlags::SEEN);
        let third = handle.store(inbox(), UidSet::all(), StoreMode::Add, seen, None);
        let (first, again, third) = futures::join!(first, again, third);
        assert!(job.is_finished(), "the second has not waited for the first");
        let WriteReply::Stored(stored) = first.unwrap() else { panic!("no answer") };
        assert_eq!(stored.entries.len(), COUNT as usize);
        // It is one command, applied once: answered alike, or from its stored answer.
        match again.unwrap() {
            WriteReply::Stored(again) => assert_eq!(again.entries, stored.entries),
            other => assert_eq!(other, WriteReply::LookAgain),
        }
        assert_eq!(third.unwrap().entries.len(), COUNT as usize);
        let view = handle.view(inbox()).await.unwrap();
        let both = SystemFlags::SEEN.union(SystemFlags::ANSWERED);
        assert!(view.entries().all(|entry| entry.flags.system == both));
        world.sound(account).await;
    });
}

/// More callers than the inbox holds, without pause: the job takes its turn all the same.
#[test]
fn a_job_is_not_kept_waiting_by_a_full_inbox() {
    run_with(5, in_chunks(), async |world| {
        let (account, _handle) = filled(&world).await;
        let job = begin(&world, account, store(inbox())).await;
        let world = Arc::new(world);
        let mut crowd = Vec::new();
        for _ in 0..200 {
            let handle = world.handle(account);
            crowd.push(tokio::spawn(async move {
                // A bound, so that the test ends if the job never does.
                for _ in 0..2_000 {
                    if handle.folders().await.is_err() {
                        tokio::task::yield_now().await;
                    }
                }
            }));
        }
        let finished = tokio::select! {
            done = job => done.unwrap().is_ok(),
            _ = futures::future::join_all(&mut crowd) => false,
        };
        crowd.iter().for_each(JoinHandle::abort);
        assert!(finished, "the job waited for everybody");
        world.sound(account).await;
    });
}

/// A session that has given a long command up and gone on keeps the answer of what came after.
#[test]
fn a_job_that_was_given_up_forgets_no_later_answer() {
    run_with(6, in_chunks(), async |world| {
        let (account, handle) = filled(&world).await;
        let mut session = Session::new(&world, account);
        let (long, short) = (session.next(), session.next());
        let jobs = kind(account, b'j').build();
        {
            let mut given_up = Box::pin(session.send(&world.node, long, store(inbox())));
            while world.rows(&jobs).await.is_empty() {
                assert!(futures::poll!(&mut given_up).is_pending());
                tokio::task::yield_now().await;
            }
        }
        let append = Write::Append { folder: archive(), messages: world.small(1..2).await };
        let answer = session.send(&world.node, short, append.clone()).await.unwrap();
        assert!(!world.rows(&jobs).await.is_empty());
        world.calm(account).await;
        assert_eq!(session.send(&world.node, short, append).await.unwrap(), answer);
        assert_eq!(handle.view(archive()).await.unwrap().entries().count(), 1);
        let view = handle.view(inbox()).await.unwrap();
        assert!(view.entries().all(|entry| entry.flags.system == SystemFlags::ANSWERED));
    });
}

/// Search folders show a copied message when its folder does, neither before nor never.
#[test]
fn search_folders_show_nothing_of_a_copy_in_progress() {
    run_with(7, in_chunks(), async |world| {
        let (account, handle) = filled(&world).await;
        let root = SpecialUse::Root.folder_id();
        let subject = Search::Subject("1".into());
        let found = handle
            .create_search_folder(root, "found".into(), vec![archive()], subject)
            .await
            .unwrap();
        let expect = (0..COUNT).filter(|number| number.to_string().contains('1')).count();
        let copy = || Write::Copy { from: inbox(), uids: UidSet::all(), to: archive() };
        let job = begin(&world, account, copy()).await;
        let mut looks = 0;
        // As long as the folder itself shows nothing.
        while handle.folder(archive()).await.unwrap().counts.messages == 0 {
            let view = handle.view(found.id).await.unwrap();
            let folder = handle.folder(archive()).await.unwrap();
            assert!(view.entries().count() == 0 || folder.counts.messages > 0);
            looks += 1;
        }
        assert!(looks > 5, "{looks}");
        job.await.unwrap().unwrap();
        assert_eq!(handle.view(found.id).await.unwrap().entries().count(), expect);
        world.sound(account).await;

        // One that is taken back has never been in it.
        let before = handle.view(found.id).await.unwrap();
        let key = kind(account, b'm').u64(inbox().0).u32(COUNT - 5).u16(0).build();
        let tx = world.store.begin();
        tx.set(&key, b"\x01damaged");
        tx.commit().await.unwrap();
        let error = handle.copy(inbox(), UidSet::all(), archive()).await.unwrap_err();
        assert_eq!(error.kind, base::Kind::Corrupt);
        assert_eq!(handle.view(found.id).await.unwrap(), before);
    });
}
