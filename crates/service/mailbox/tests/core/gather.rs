//! Deliveries that wait are made together, and each is atomic for itself.

use super::guard::guard_blobs;
use super::help::{Session, inbox, kind, small, subjects, uids};
use crate::support::{World, in_memory, run, run_with};
use base::{AccountId, Error, Kind, Result};
use contract_blob::BlobId;
use contract_directory::{AccountChange, Quota};
use contract_mailbox::{
    Delivered, Delivery, Mailboxes, Principal, Segment, SpecialUse, UidSet, Write, WriteReply,
};
use futures::future::join_all;
use parking_lot::Mutex;
use service_mailbox::Config;
use std::ops::Range;
use std::sync::Arc;
use store_memory::CommitFault;

/// Asks for all of these at once, each in a session of its own.
async fn deliver(
    world: &World,
    account: AccountId,
    deliveries: Vec<Delivery>,
) -> Vec<Result<Delivered>> {
    let asked = deliveries.into_iter().map(|delivery| async move {
        let mut session = Session::new(world, account);
        let command = session.next();
        let request = Write::Deliver(Box::new(delivery));
        match session.send(&world.node, command, request).await? {
            WriteReply::Delivered(delivered) => Ok(delivered),
            other => panic!("{other:?}"),
        }
    });
    join_all(asked).await
}

/// Messages in the queue, as the owners of their slots ask for them.
async fn queued(world: &World, numbers: Range<u64>) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in numbers {
        let mut delivery = world.queued(&small(number)).await;
        let slot = world.node.control.slot_of_queue(delivery.queue);
        delivery.queue_fence = Some(world.node.control.fence(slot).await.unwrap());
        all.push(delivery);
    }
    all
}

/// The subjects in the Inbox, in order of their UIDs.
async fn arrived(world: &World, account: AccountId) -> Vec<u64> {
    let handle = world.handle(account);
    let view = handle.view(inbox()).await.unwrap();
    let found = subjects(&handle, inbox(), &uids(&view)).await;
    found.into_iter().map(|(_, subject)| subject.parse().unwrap()).collect()
}

/// A mailbox that is active.
async fn active(world: &World) -> AccountId {
    let account = world.account("much").await;
    world.handle(account).folders().await.unwrap();
    account
}

fn kinds(results: &[Result<Delivered>]) -> Vec<Option<Kind>> {
    results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect()
}

/// All were made but those, which were refused in that way.
fn check_refused(results: &[Result<Delivered>], refused: &[(usize, Kind)]) {
    for (place, kind) in kinds(results).into_iter().enumerate() {
        let expect = refused.iter().find(|(at, _)| *at == place).map(|(_, kind)| *kind);
        assert_eq!(kind, expect, "{place}: {results:?}");
    }
}

#[test]
fn what_waits_is_delivered_in_one_transaction() {
    if !in_memory() {
        return;
    }
    run(1, async |world| {
        let account = active(&world).await;
        let deliveries = queued(&world, 0..10).await;
        let before = world.memory().stats();
        let results = deliver(&world, account, deliveries.clone()).await;
        let after = world.memory().stats();
        check_refused(&results, &[]);
        assert_eq!((after.begun - before.begun, after.commits - before.commits), (1, 1));
        assert_eq!(arrived(&world, account).await, Vec::from_iter(0..10));
        assert!(world.rows(b"Q/m/").await.is_empty());
        // Again: nothing is written but that it was asked for.
        let again = deliver(&world, account, deliveries).await;
        // Their queue has ended them, but what was made before is answered so.
        assert!(again.iter().all(|result| *result == Ok(Delivered::Before)), "{again:?}");
        assert_eq!(world.memory().stats().commits, after.commits + 1);
        world.sound(account).await;
    });
}

#[test]
fn a_lot_is_bounded() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let account = active(&world).await;
        let before = world.memory().stats().commits;
        let many = queued(&world, 0..150).await;
        let accepted = world.memory().stats().commits;
        check_refused(&deliver(&world, account, many).await, &[]);
        let commits = world.memory().stats().commits - accepted;
        assert!((3..=12).contains(&commits), "{commits} commits, {before}");
        assert_eq!(arrived(&world, account).await.len(), 150);

        // Structures of half a megabyte: two or three fit.
        let mut large = queued(&world, 150..156).await;
        for delivery in &mut large {
            let mut parsed = (*delivery.parsed).clone();
            parsed.references = (0..5_000).map(|_| vec![b'r'; 100].into()).collect();
            delivery.parsed = Arc::new(parsed);
        }
        let stats = world.memory().stats();
        check_refused(&deliver(&world, account, large).await, &[]);
        let commits = world.memory().stats().commits - stats.commits;
        let bytes = world.memory().stats().bytes_committed - stats.bytes_committed;
        assert!((2..=3).contains(&commits) && bytes < 2_000_000 * commits, "{commits}: {bytes}");
        world.sound(account).await;
    });
}

#[test]
fn nothing_is_lost_or_doubled_whatever_a_commit_comes_to() {
    if !in_memory() {
        return;
    }
    let faults = [
        CommitFault::Conflict,
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::Late,
        CommitFault::TooOld,
        CommitFault::Busy,
        CommitFault::OutOfSpace,
    ];
    for (seed, fault) in (10..).zip(faults) {
        for lands_before in [false, true] {
            run(seed, async |world| {
                let account = active(&world).await;
                let deliveries = queued(&world, 0..10).await;
                world.memory().fail_next_commit(fault);
                let mut results = deliver(&world, account, deliveries.clone()).await;
                if matches!(fault, CommitFault::Late | CommitFault::OutOfSpace) {
                    assert!(results.iter().all(Result::is_err), "{fault:?}: {results:?}");
                    if lands_before {
                        world.memory().land_late_commits();
                    }
                    results = deliver(&world, account, deliveries.clone()).await;
                }
                check_refused(&results, &[]);
                world.memory().land_late_commits();
                assert_eq!(arrived(&world, account).await, Vec::from_iter(0..10), "{fault:?}");
                assert!(world.rows(b"Q/m/").await.is_empty(), "{fault:?}");
                assert_eq!(world.rows(b"Q/e/").await.len(), 10, "{fault:?}");
                let again = deliver(&world, account, deliveries).await;
                assert!(again.iter().all(|result| *result == Ok(Delivered::Before)));
                world.sound(account).await;
            });
        }
    }
}

#[test]
fn one_that_must_not_be_made_does_not_keep_the_others() {
    run(3, async |world| {
        let account = active(&world).await;
        let mut deliveries = queued(&world, 0..10).await;
        // A queue that has got another owner, and a message that has left its queue.
        if let Some(fence) = &mut deliveries[3].queue_fence {
            fence.renewal += 1;
        }
        deliveries[6].queue = base::QueueId(deliveries[6].queue.0 + 1);
        // One that was made before.
        let made = deliver(&world, account, vec![deliveries[8].clone()]).await;
        check_refused(&made, &[]);
        // One that is asked for twice, by two addresses.
        let twice = Delivery { recipient: base::Address::new("b", "c"), ..deliveries[0].clone() };
        deliveries.push(twice);
        let results = deliver(&world, account, deliveries.clone()).await;
        check_refused(&results, &[(3, Kind::Conflict), (6, Kind::Conflict)]);
        for before in [8, 10] {
            assert_eq!(results[before], Ok(Delivered::Before));
        }
        assert_eq!(arrived(&world, account).await, [8, 0, 1, 2, 4, 5, 7, 9]);
        // Theirs, and only theirs, are in the queue still.
        assert_eq!(world.rows(b"Q/m/").await.len(), 2);
        world.sound(account).await;
    });
}

#[test]
fn a_mailbox_that_fills_up_takes_what_fits() {
    run(4, async |world| {
        let account = active(&world).await;
        let mut deliveries = queued(&world, 0..10).await;
        deliveries[4] = world.queued(&vec![b'x'; 100_000]).await;
        let quota = Quota { warn_bytes: None, no_send_bytes: None, no_receive_bytes: Some(50_000) };
        let change = AccountChange { quota: Some(quota), ..AccountChange::default() };
        world.change_account(account, change).await;
        let results = deliver(&world, account, deliveries).await;
        check_refused(&results, &[(4, Kind::OverQuota)]);
        assert_eq!(arrived(&world, account).await, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
        world.sound(account).await;
    });
}

/// What holding a certain blob comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spoil {
    Panics,
    Refuses(Kind),
}

#[test]
fn one_that_fails_half_way_does_not_spoil_the_others() {
    run(5, async |mut world| {
        let spoiled = Arc::new(Mutex::new(Vec::<(BlobId, Spoil)>::new()));
        let told = spoiled.clone();
        guard_blobs(&mut world, move |id| {
            let spoil = told.lock().iter().find(|(known, _)| *known == id).copied();
            match spoil {
                Some((_, Spoil::Panics)) => panic!("a panic on purpose"),
                Some((_, Spoil::Refuses(kind))) => Err(Error::new(kind, "on purpose").into()),
                None => Ok(()),
            }
        });
        let account = active(&world).await;
        let deliveries = queued(&world, 0..10).await;
        let spoil = [
            (0, Spoil::Refuses(Kind::Corrupt)),
            (4, Spoil::Panics),
            (5, Spoil::Refuses(Kind::Limit)),
            (9, Spoil::Refuses(Kind::Corrupt)),
        ];
        for (place, spoil) in spoil {
            let Segment::Blob { id, .. } = deliveries[place].content.segments[0] else {
                panic!("no blob")
            };
            spoiled.lock().push((id, spoil));
        }
        let results = deliver(&world, account, deliveries.clone()).await;
        let refused =
            [(0, Kind::Corrupt), (4, Kind::Internal), (5, Kind::Limit), (9, Kind::Corrupt)];
        check_refused(&results, &refused);
        assert_eq!(arrived(&world, account).await, [1, 2, 3, 6, 7, 8]);
        world.sound(account).await;
        spoiled.lock().clear();
        check_refused(&deliver(&world, account, deliveries).await, &[]);
        assert_eq!(arrived(&world, account).await, [1, 2, 3, 6, 7, 8, 0, 4, 5, 9]);
        assert!(world.rows(b"Q/m/").await.is_empty());
        world.sound(account).await;
    });
}

/// While a COPY fills the Inbox, deliveries wait, and others go on; too many are told at once.
#[test]
fn deliveries_wait_for_a_copy_into_the_inbox() {
    let config = Config { chunk_messages: 10, ..Config::default() };
    run_with(6, config, async |world| {
        let account = active(&world).await;
        let handle = world.handle(account);
        let archive = SpecialUse::Archive.folder_id();
        world.fill(&handle, archive, 400).await;
        let deliveries = queued(&world, 1_000..1_100).await;
        let mut session = Session::new(&world, account);
        let command = session.next();
        let mailboxes = world.node.mailboxes.clone();
        let copy = Write::Copy { from: archive, uids: UidSet::all(), to: inbox() };
        let who = Principal::Account(account);
        let copy = tokio::spawn(async move { mailboxes.write(account, who, command, copy).await });
        while world.rows(&kind(account, b'j').build()).await.is_empty() {
            tokio::task::yield_now().await;
        }
        let results = deliver(&world, account, deliveries.clone()).await;
        copy.await.unwrap().unwrap();
        let refused = kinds(&results).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(refused, [Kind::Overloaded; 36]);
        let there = arrived(&world, account).await;
        assert_eq!(there[..400], Vec::from_iter(0..400));
        assert_eq!(there[400..], Vec::from_iter(1_000..1_064));
        let results = deliver(&world, account, deliveries).await;
        check_refused(&results, &[]);
        assert_eq!(arrived(&world, account).await.len(), 500);
        world.sound(account).await;
    });
}

/// Who has given up has been told that it failed; others are served.
#[test]
fn what_nobody_waits_for_is_not_delivered() {
    run(7, async |world| {
        let account = active(&world).await;
        let mut deliveries = queued(&world, 0..3).await;
        let given_up = deliveries.remove(1);
        let mut session = Session::new(&world, account);
        let command = session.next();
        let request = Write::Deliver(Box::new(given_up.clone()));
        {
            let asked = session.send(&world.node, command, request);
            // It is in the inbox, or in the list, when its caller goes.
            assert!(futures::FutureExt::now_or_never(asked).is_none());
        }
        check_refused(&deliver(&world, account, deliveries).await, &[]);
        assert_eq!(arrived(&world, account).await, [0, 2]);
        check_refused(&deliver(&world, account, vec![given_up]).await, &[]);
        assert_eq!(arrived(&world, account).await, [0, 2, 1]);
        world.sound(account).await;
    });
}

#[test]
fn what_was_found_suspicious_is_delivered_to_junk_email() {
    run(1, async |world| {
        let account = active(&world).await;
        let field = contract_transport::authentication::junk_field("dmarc=fail");
        let mut both = queued(&world, 0..2).await;
        both[1].parsed = Arc::new((*both[1].parsed).clone().shifted(field.len() as u64));
        both[1].content = both[1].content.clone().with_prefix(field.into());
        let results = deliver(&world, account, both).await;
        let folders: Vec<_> = results
            .iter()
            .map(|result| match result {
                Ok(Delivered::New { folder, .. }) => *folder,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(folders, [SpecialUse::Inbox.folder_id(), SpecialUse::Junk.folder_id()]);
        assert_eq!(arrived(&world, account).await, [0]);
    });
}
