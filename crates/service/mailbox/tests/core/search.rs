//! Search through the service: what it reads, and what it must not see.

use super::help::{archive, inbox, kind, named, set};
use crate::support::{World, in_memory, run};
use base::{Kind, Uid};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{MailboxHandle, Search, SystemFlags, UidSet};
use store_memory::Faults;

/// A message with a body of its own blob chunks.
fn message(number: u32, word: &str) -> Vec<u8> {
    let filler = "Nothing to be seen here, go on.\r\n".repeat(20);
    format!("Subject: number {number}\r\nX-Kind: {word}\r\n\r\n{filler}{word}\r\n").into()
}

async fn filled(world: &World) -> MailboxHandle {
    let account = world.account("search").await;
    let handle = world.handle(account);
    for first in (0..300).step_by(20) {
        let mut messages = Vec::new();
        for number in first..first + 20 {
            let word = if number % 100 == 7 { "needle" } else { "hay" };
            messages.push(world.message(&message(number + 1, word)).await);
        }
        handle.append(inbox(), messages).await.unwrap();
    }
    handle
        .store(inbox(), set(1, 10), StoreMode::Add, named(SystemFlags::SEEN), None)
        .await
        .unwrap();
    handle
}

/// Transactions begun and rows read by a search.
async fn cost(world: &World, handle: &MailboxHandle, search: Search, expect: &[u32]) -> (u64, u64) {
    let before = world.memory().stats();
    let found = handle.search(inbox(), search).await.unwrap();
    let after = world.memory().stats();
    assert_eq!(found, expect.iter().copied().map(Uid).collect::<Vec<_>>());
    (after.begun - before.begun, after.rows_read - before.rows_read)
}

#[test]
fn nothing_is_read_that_is_not_needed() {
    if !in_memory() {
        return;
    }
    run(1, async |world| {
        let handle = filled(&world).await;
        let needle = || Search::Body("NEEDLE".into());
        let seen = || Search::System(SystemFlags::SEEN);
        // The fence check, the version, and the index: two rows.
        let (index_begun, index_rows) = (3, 2);
        let flags = cost(&world, &handle, seen(), &(1..=10).collect::<Vec<_>>()).await;
        assert_eq!(flags, (index_begun, index_rows));
        // Two batches of meta.
        let subject = Search::Subject("NUMBER 250".into());
        let subject = cost(&world, &handle, subject, &[250]).await;
        assert_eq!(subject, (index_begun + 2, index_rows + 300));
        // Ten bodies.
        let both = Search::And(vec![needle(), seen()]);
        let (begun, rows) = cost(&world, &handle, both, &[8]).await;
        assert_eq!(begun, index_begun + 1 + 10);
        // Meta of neighbours, and a chunk of each body.
        assert!(rows <= index_rows + 10 + 10, "{rows}");
        // No body at all, and no meta.
        let none = Search::And(vec![needle(), Search::Larger(1 << 40)]);
        assert_eq!(cost(&world, &handle, none, &[]).await, (index_begun, index_rows));
        let every = Search::Or(vec![needle(), Search::Not(Box::new(Search::Larger(1 << 40)))]);
        let all: Vec<u32> = (1..=300).collect();
        assert_eq!(cost(&world, &handle, every, &all).await, (index_begun, index_rows));
        // All bodies, but for the ten that were read just now.
        let (begun, _) = cost(&world, &handle, needle(), &[8, 108, 208]).await;
        assert_eq!(begun, index_begun + 2 + 290);
        // A header field outside the envelope: header bytes only, a read each.
        let kind = Search::Header { name: "x-kind".into(), text: "needle".into() };
        cost(&world, &handle, kind, &[8, 108, 208]).await;
        let unknown = Search::Keyword("never-heard".into());
        assert_eq!(cost(&world, &handle, unknown, &[]).await, (index_begun, index_rows));
    });
}

#[test]
fn faults_change_nothing_about_the_answer() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let handle = filled(&world).await;
        world.inject(Faults {
            busy: 0.05,
            too_old: 0.02,
            short_pages: 0.3,
            interleave: 0.2,
            ..Faults::default()
        });
        for _ in 0..5 {
            let found = handle.search(inbox(), Search::Text("needle".into())).await.unwrap();
            assert_eq!(found, [Uid(8), Uid(108), Uid(208)]);
            let uids = (1..=256).map(Uid).collect();
            assert_eq!(handle.meta(inbox(), uids).await.unwrap().len(), 256);
        }
    });
}

#[test]
fn errors_are_answers() {
    run(3, async |world| {
        let handle = filled(&world).await;
        let check = async |folder, search, expect| {
            let error = handle.search(folder, search).await.unwrap_err();
            assert_eq!(error.kind, expect);
        };
        check(base::FolderId(999), Search::All, Kind::NotFound).await;
        let deep = (0..200).fold(Search::All, |inner, _| Search::Not(Box::new(inner)));
        check(inbox(), deep, Kind::Invalid).await;
        check(inbox(), Search::Body("x".repeat(100_000)), Kind::Limit).await;
        assert_eq!(handle.search(archive(), Search::All).await.unwrap(), []);
        let none = Search::Uids(UidSet::default());
        assert_eq!(handle.search(inbox(), none).await.unwrap(), []);
    });
}

/// A message that is damaged fulfils nothing; the others are found.
#[test]
fn a_damaged_message_does_not_hide_the_others() {
    run(5, async |world| {
        let account = world.account("damaged").await;
        let handle = world.handle(account);
        for number in 0..40_u32 {
            let before = world.rows(b"BD").await;
            let text = world.message(&message(number + 1, "needle")).await;
            handle.append(inbox(), vec![text]).await.unwrap();
            // The bytes of the 20th, and of the last.
            if [19, 39].contains(&number) {
                let after = world.rows(b"BD").await;
                let new = after.iter().filter(|row| !before.contains(row));
                let tx = world.store.begin();
                new.for_each(|row| tx.set(&row.key, b"\x01damaged"));
                tx.commit().await.unwrap();
            }
        }
        // The structure of the first, the seventh and the eighth.
        let tx = world.store.begin();
        for uid in [1, 7, 8] {
            tx.set(&kind(account, b'm').u64(inbox().0).u32(uid).u16(0).build(), b"\x01damaged");
        }
        tx.commit().await.unwrap();
        let check = async |search: Search, without: &[u32]| {
            let found = handle.search(inbox(), search).await.unwrap();
            let expect = (1..=40).filter(|uid| !without.contains(uid)).map(Uid);
            assert_eq!(found, expect.collect::<Vec<_>>());
        };
        let needle = || Search::Text("needle".into());
        check(needle(), &[1, 7, 8, 20, 40]).await;
        check(Search::Not(Box::new(Search::Body("thread".into()))), &[1, 7, 8, 20, 40]).await;
        // Who asks for less misses less.
        check(Search::Subject("number".into()), &[1, 7, 8]).await;
        check(Search::Or(vec![needle(), Search::Larger(1)]), &[]).await;
    });
}

/// Messages may go while a search runs: they are found or not, and nothing else goes wrong.
#[test]
fn messages_may_go_meanwhile() {
    if !in_memory() {
        return;
    }
    run(4, async |world| {
        let handle = filled(&world).await;
        world.inject(Faults { interleave: 0.5, ..Faults::default() });
        let removing = async {
            handle
                .store(inbox(), set(1, 150), StoreMode::Add, named(SystemFlags::DELETED), None)
                .await
                .unwrap();
            handle.expunge(inbox(), None).await.unwrap();
        };
        let (found, ()) =
            futures::join!(handle.search(inbox(), Search::Body("needle".into())), removing);
        let found = found.unwrap();
        assert!(found.ends_with(&[Uid(208)]), "{found:?}");
        assert!(found.iter().all(|uid| [8, 108, 208].contains(&uid.0)), "{found:?}");
    });
}
