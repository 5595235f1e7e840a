//! From acceptance to the Inbox.

use crate::world::{run, run_simulated};
use contract_transport::Transport;

#[test]
fn a_message_reaches_its_mailbox_once_in_two_transactions() {
    run_simulated(1, async |world| {
        world.inbox("alice").await;
        let before = world.memory().stats();
        world.send("x@peer.test", &["alice"], "hello").await;
        world.settle().await;
        let applied = world.memory().stats().applied - before.applied;
        assert_eq!(applied, 2, "accept and delivery are one transaction each");
        let inbox = world.inbox("alice").await;
        assert_eq!(inbox.len(), 1);
        assert!(inbox[0].starts_with("Return-Path: <x@peer.test>\r\nFrom: "), "{}", inbox[0]);
        assert!(inbox[0].ends_with("\r\n\r\nhello\r\n"));
    });
}

#[test]
fn accepting_twice_is_accepting_once() {
    run(2, async |world| {
        let submission = world.submission("x@peer.test", &["alice", "bob"], "twice").await;
        world.node.transport.accept(submission.clone()).await.unwrap();
        world.settle().await;
        // The second one comes after the first has been delivered and forgotten.
        world.node.transport.accept(submission).await.unwrap();
        world.settle().await;
        assert_eq!(world.inbox("alice").await.len(), 1);
        assert_eq!(world.inbox("bob").await.len(), 1);
    });
}

#[test]
fn what_was_accepted_is_delivered_by_the_next_life() {
    run(3, async |mut world| {
        // The mailboxes are away, so that nothing can be delivered in this life.
        let deadline = base::Deadline::after(std::time::Duration::from_secs(5));
        world.node.mailboxes.stop(deadline).await.unwrap();
        for number in 0..20 {
            world.send("x@peer.test", &["alice", "bob"], &format!("m{number}")).await;
        }
        world.restart().await;
        world.settle().await;
        for name in ["alice", "bob"] {
            let mut inbox = world.inbox(name).await;
            inbox.sort();
            inbox.dedup();
            assert_eq!(inbox.len(), 20);
        }
    });
}

#[test]
fn blobs_of_finished_messages_are_let_go() {
    run(4, async |world| {
        world.send("x@peer.test", &["nobody"], "unwanted").await;
        world.settle().await;
        // Readers that have begun get their time to finish.
        let grace_ms = u64::try_from(contract_blob::GRACE_MS).unwrap();
        world.env.clock.sleep(std::time::Duration::from_millis(2 * grace_ms)).await;
        let mut removed = 0;
        loop {
            let collected = world.blobs.collect(100).await.unwrap();
            removed += collected.removed;
            if !collected.more {
                break;
            }
        }
        // The message itself, and the bounce that went nowhere (peer.test is not ours).
        assert_eq!(removed, 2);
    });
}
