//! One owner after the other, and owners that come and go.

use super::guard::guard_blobs;
use super::help::{Session, archive, handle_on, inbox, named, set, uids};
use crate::support::{World, in_memory, run};
use base::Kind;
use base::universe::Universe;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{Search, SystemFlags, UidSet, Write};
use service_mailbox::Config;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store_memory::CommitFault;

#[test]
fn a_stale_owner_changes_nothing_and_answers_nothing() {
    if !in_memory() {
        return;
    }
    run(1, async |world| {
        let account = world.account("two").await;
        let old = world.handle(account);
        world.fill(&old, inbox(), 3).await;
        // A commit of the old owner is under way while the new one takes over.
        world.memory().fail_next_commit(CommitFault::Late);
        let mut session = Session::new(&world, account);
        let command = session.next();
        let append = Write::Append { folder: inbox(), messages: world.small(3..4).await };
        let late = session.send(&world.node, command, append).await.unwrap_err();
        assert_eq!(late.kind, Kind::Unavailable);

        let node = world.another_node().await;
        let new = handle_on(&world, &node, account);
        // It landed before the takeover, or never will.
        let there = uids(&new.view(inbox()).await.unwrap());
        assert!(there == [1, 2, 3] || there == [1, 2, 3, 4], "{there:?}");
        world.memory().land_late_commits();

        let seen = named(SystemFlags::SEEN);
        let requests = [
            Write::Append { folder: inbox(), messages: world.small(4..5).await },
            Write::Store {
                folder: inbox(),
                uids: UidSet::all(),
                mode: StoreMode::Add,
                flags: seen,
                unchanged_since: None,
            },
            Write::Copy { from: inbox(), uids: set(1, 2), to: archive() },
            Write::Move { from: inbox(), uids: set(1, 2), to: archive() },
            Write::Expunge { folder: inbox(), uids: None },
            Write::Subscribe { path: "x".into(), on: true },
            Write::ClaimRecent(inbox()),
            Write::Deliver(Box::new(world.queued(b"A: b\r\n\r\n").await)),
        ];
        for request in requests {
            let command = session.next();
            let error = session.send(&world.node, command, request).await.unwrap_err();
            assert_eq!(error.kind, Kind::Fenced, "{error:?}");
        }
        assert_eq!(old.view(inbox()).await.unwrap_err().kind, Kind::Fenced);
        assert_eq!(old.folders().await.unwrap_err().kind, Kind::Fenced);
        let search = old.search(inbox(), Search::All).await;
        assert_eq!(search.unwrap_err().kind, Kind::Fenced);

        let view = new.view(inbox()).await.unwrap();
        assert_eq!(uids(&view), there);
        assert!(view.entries().all(|entry| entry.flags.system == SystemFlags::default()));
        let (_, next) = new.append(inbox(), world.small(5..6).await).await.unwrap();
        assert_eq!(next[0].0 as usize, there.len() + 1);
        world.sound(account).await;
    });
}

#[test]
fn an_idle_mailbox_is_unloaded_and_comes_back_the_same() {
    Universe::run(2, async |env| {
        let config = Config { idle: Duration::from_secs(30), ..Config::default() };
        let world = World::new(env, config).await;
        let account = world.account("idle").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 5).await;
        handle
            .store(inbox(), set(2, 3), StoreMode::Add, named(SystemFlags::SEEN), None)
            .await
            .unwrap();
        handle.subscribe("Somewhere".into(), true).await.unwrap();
        let before = (handle.view(inbox()).await.unwrap(), handle.subscriptions().await.unwrap());
        assert_eq!(world.node.mailboxes.active(), 1);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(world.node.mailboxes.active(), 0);
        let after = (handle.view(inbox()).await.unwrap(), handle.subscriptions().await.unwrap());
        assert_eq!(after, before);
        world.sound(account).await;
    });
}

#[test]
fn a_panic_costs_one_command() {
    run(3, async |mut world| {
        let account = world.account("panic").await;
        let armed = Arc::new(AtomicBool::new(false));
        let told = armed.clone();
        guard_blobs(&mut world, move |_| {
            assert!(!told.swap(false, Ordering::SeqCst), "a panic on purpose");
            Ok(())
        });
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 2).await;
        armed.store(true, Ordering::SeqCst);
        let mut session = Session::new(&world, account);
        let command = session.next();
        let append = Write::Append { folder: inbox(), messages: world.small(2..5).await };
        let error = session.send(&world.node, command, append).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert_eq!(uids(&handle.view(inbox()).await.unwrap()), [1, 2]);
        handle.append(inbox(), world.small(5..6).await).await.unwrap();
        assert_eq!(uids(&handle.view(inbox()).await.unwrap()), [1, 2, 3]);
        world.sound(account).await;
    });
}
