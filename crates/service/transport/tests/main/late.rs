//! Commits that take too long or whose outcome nobody knows: whoever is told to try again does not
//! get the message twice.

use crate::world::{World, run, run_simulated};
use base::{Deadline, Kind, Result};
use contract_store::Store;
use contract_transport::{Fate, Submission, Transport, rows};
use std::time::Duration;
use store_memory::{CommitFault, Faults};

/// As an SMTP session does.
async fn accept(world: &World, submission: Submission) -> Result<()> {
    let deadline = Deadline::after(Duration::from_secs(10));
    let result = world.node.transport.accept_by(submission, deadline).await;
    assert!(deadline.remaining() > Duration::ZERO || deadline.has_passed());
    result
}

async fn copies(world: &World, name: &str, text: &str) -> usize {
    let marker = format!("Message-ID: <{text}@test>");
    world.inbox(name).await.iter().filter(|message| message.contains(&marker)).count()
}

#[test]
fn in_time_it_costs_nothing() {
    run_simulated(41, async |world| {
        world.inbox("alice").await;
        let submission = world.submission("x@peer.test", &["alice"], "fast").await;
        let before = world.memory().stats().applied;
        accept(&world, submission).await.unwrap();
        world.settle().await;
        assert_eq!(world.memory().stats().applied - before, 2);
        assert_eq!(copies(&world, "alice", "fast").await, 1);
    });
}

#[test]
fn what_was_withdrawn_is_never_accepted() {
    run(42, async |world| {
        let submission = world.submission("x@peer.test", &["alice"], "late").await;
        let transport = &world.node.transport;
        for _ in 0..2 {
            assert_eq!(transport.withdraw(submission.queue).await.unwrap(), Fate::Withdrawn);
            let refused = transport.accept(submission.clone()).await;
            assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Overloaded));
            let refused = accept(&world, submission.clone()).await;
            assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Overloaded));
        }
        world.settle().await;
        assert_eq!(copies(&world, "alice", "late").await, 0);
    });
}

/// A commit that only the mailbox of its sender knows of, and a store that answers nobody in time.
#[test]
fn a_withdrawal_goes_on_behind_its_deadline() {
    for landed in [true, false] {
        run_simulated(46, async |world| {
            let submission = world.submission("x@peer.test", &["alice"], "late").await;
            let slot = world.node.control.slot_of_queue(submission.queue);
            let now = world.env.clock.now();
            let tx = world.memory().begin();
            rows::write(&*tx, &*world.blobs, slot, &submission, now).await.unwrap();
            if !landed {
                world.memory().fail_next_commit(CommitFault::Late);
            }
            assert_eq!(tx.commit().await.is_ok(), landed);
            world.memory().inject(Faults { stall: 1.0, ..Faults::default() });
            let deadline = Deadline::after(Duration::from_millis(50));
            let fate = world.node.transport.withdraw_by(submission.queue, deadline).await;
            assert_eq!(fate.map_err(|error| error.kind), Err(Kind::Timeout));
            world.memory().inject(Faults::default());
            world.env.clock.sleep(Duration::from_secs(20)).await;
            world.memory().land_late_commits();
            world.settle().await;
            assert_eq!(copies(&world, "alice", "late").await, 0, "its sender sends it again");
        });
    }
}

/// The store tells nothing definite of any commit, and lands some long after the client went.
#[test]
fn what_lands_late_was_not_refused() {
    if !store_testing::in_memory() {
        return;
    }
    let mut refused = 0;
    for seed in 200..240 {
        run_simulated(seed, async |world| {
            let submission = world.submission("x@peer.test", &["alice"], "late").await;
            world.memory().fail_next_commit(CommitFault::Late);
            world.memory().fail_next_commit(CommitFault::Late);
            if seed % 2 == 0 {
                world.memory().fail_next_commit(CommitFault::Late);
            }
            let accepted = accept(&world, submission.clone()).await.is_ok();
            world.memory().land_late_commits();
            world.settle().await;
            assert_eq!(copies(&world, "alice", "late").await, usize::from(accepted), "{seed}");
            refused += usize::from(!accepted);
        });
    }
    assert!(refused > 0, "nothing was refused");
}

#[test]
fn what_landed_unheard_is_accepted() {
    run_simulated(43, async |world| {
        for (text, faults) in [
            ("one", &[CommitFault::UnknownApplied][..]),
            ("two", &[CommitFault::UnknownNotApplied, CommitFault::UnknownApplied]),
            ("three", &[CommitFault::Late]),
        ] {
            let submission = world.submission("x@peer.test", &["alice"], text).await;
            let queue = submission.queue;
            faults.iter().for_each(|fault| world.memory().fail_next_commit(*fault));
            accept(&world, submission).await.unwrap();
            world.memory().land_late_commits();
            assert_eq!(world.node.transport.withdraw(queue).await.unwrap(), Fate::Accepted);
            world.settle().await;
            assert_eq!(world.node.transport.withdraw(queue).await.unwrap(), Fate::Accepted);
            assert_eq!(copies(&world, "alice", text).await, 1, "{text}");
        }
    });
}

/// Everything takes seconds; each answer is there in ten, and is true in the end.
#[test]
fn answers_come_in_time_and_are_true() {
    for seed in 100..112 {
        run_simulated(seed, async |world| {
            let mut told = Vec::new();
            for number in 0..12 {
                let text = format!("m{number}.");
                let submission = world.submission("x@peer.test", &["alice"], &text).await;
                world.memory().inject(Faults { stall: 0.6, ..Faults::default() });
                let began = world.env.clock.monotonic();
                let accepted = accept(&world, submission).await.is_ok();
                let took = world.env.clock.monotonic().saturating_sub(began);
                assert!(took <= Duration::from_millis(10_100), "{took:?}");
                told.push((text, accepted));
                world.memory().inject(Faults::default());
                // What is under way comes to its end before the next message.
                world.env.clock.sleep(Duration::from_secs(20)).await;
            }
            world.settle().await;
            for (text, accepted) in told {
                let copies = copies(&world, "alice", &text).await;
                assert_eq!(copies, usize::from(accepted), "seed {seed}: {text}");
            }
        });
    }
}

/// A submission that is repeated after its message has ended does nothing: no second copy, and no
/// second report of what could not be delivered.
#[test]
fn repeating_after_the_end_sends_no_second_report() {
    run(44, async |world| {
        let submission = world.submission("alice", &["nobody", "bob"], "again").await;
        world.node.transport.accept(submission.clone()).await.unwrap();
        world.settle().await;
        assert_eq!(world.inbox("alice").await.len(), 1);
        world.node.transport.accept(submission).await.unwrap();
        world.settle().await;
        assert_eq!(world.inbox("alice").await.len(), 1, "one report");
        assert_eq!(copies(&world, "bob", "again").await, 1);
    });
}

#[test]
fn how_messages_ended_is_forgotten_in_the_end() {
    run(45, async |world| {
        for number in 0..5 {
            world.send("x@peer.test", &["alice"], &format!("m{number}")).await;
        }
        world.settle().await;
        assert_eq!(world.rows(b"Q/").await, 5);
        let hours = async |hours: u64| {
            world.later(Duration::from_secs(hours * 3600)).await;
            world.env.clock.sleep(Duration::from_secs(3600)).await;
        };
        hours(20).await;
        assert_eq!(world.rows(b"Q/").await, 5);
        hours(4).await;
        assert_eq!(world.rows(b"Q/").await, 0);
    });
}

/// A commit that nobody heard of is there when the store speaks again, and the queue's own look at
/// its slot finds it as soon as whoever takes it back does, or sooner: taking back meets conflicts.
#[test]
fn the_queue_does_not_begin_with_what_may_be_taken_back() {
    for seed in 0..60 {
        run_simulated(4_700 + seed, async |world| {
            world.inbox("alice").await;
            let submission = world.submission("x@peer.test", &["alice"], "late").await;
            let accepts = accept(&world, submission);
            let trouble = async {
                world.memory().set_silent(true);
                // Past the deadline, and past the next look at every slot.
                world.env.clock.sleep(Duration::from_secs(31)).await;
                let trouble = Faults {
                    conflict: 0.3,
                    commit_unknown_applied: 0.2,
                    interleave: 0.3,
                    ..Faults::default()
                };
                world.memory().inject(trouble);
                world.memory().set_silent(false);
            };
            let (told, ()) = futures::join!(accepts, trouble);
            assert!(told.is_err(), "the store was silent");
            world.env.clock.sleep(Duration::from_secs(5)).await;
            world.memory().inject(Faults::default());
            world.env.clock.sleep(Duration::from_secs(60)).await;
            world.settle().await;
            assert_eq!(copies(&world, "alice", "late").await, 0, "seed {seed}: told {told:?}");
        });
    }
}
