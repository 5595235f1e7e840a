//! Seeing and steering the queue.

use super::sender::{Sender, address};
use crate::{QUEUE_LIST_MAX, RecipientState};
use base::{Kind, QueueId, Result};

fn kind(answer: Result<()>) -> Kind {
    answer.expect_err("an error").kind
}

pub(super) async fn what_is_suspended_waits_until_it_is_retried(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let held = sender.send("x@peer.test", &["alice", "bob"], "held").await;
    let other = sender.send("x@peer.test", &["alice"], "other").await;
    sender.pass_s(2).await;
    for _ in 0..2 {
        sender.suspend(held).await.unwrap();
    }
    for _ in 0..2 {
        sender.world.restart().await;
        sender.pass_s(3_600).await;
        sender.arrived("held", 0, 0).await;
        sender.arrived("other", 1, 0).await;
        let waiting = sender.list(None, 10).await;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        assert!(waiting[0].queue == held && waiting[0].suspended && !waiting[0].poison);
    }
    sender.retry(held).await.unwrap();
    sender.settle().await;
    sender.arrived("held", 1, 1).await;
    assert_eq!(kind(sender.retry(other).await), Kind::NotFound);
}

pub(super) async fn what_was_removed_is_gone(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let told = sender.submission("alice", &["bob"], "told").await;
    let untold = sender.submission("alice", &["bob"], "untold").await;
    for submission in [&told, &untold] {
        sender.accept(submission).await.unwrap();
    }
    sender.pass_s(2).await;
    sender.remove(told.queue, true).await.unwrap();
    sender.remove(untold.queue, false).await.unwrap();
    sender.world.restart().await;
    for submission in [told, untold] {
        let queue = submission.queue;
        assert_eq!(kind(sender.retry(queue).await), Kind::NotFound);
        assert_eq!(kind(sender.suspend(queue).await), Kind::NotFound);
        assert_eq!(kind(sender.remove(queue, true).await), Kind::NotFound);
        // It was accepted, and is not accepted again.
        sender.accept(&submission).await.unwrap();
    }
    sender.settle().await;
    sender.arrived("told", 0, 0).await;
    sender.arrived("untold", 0, 0).await;
    let reports = sender.world.inbox("alice").await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("<told@suite>") && reports[0].contains("bob@rialto.test"));
}

pub(super) async fn whoever_asks_for_what_is_not_queued_is_told(sender: Sender) {
    let delivered = sender.send("x@peer.test", &["alice"], "delivered").await;
    sender.settle().await;
    let never = QueueId::new(sender.world.now(), 7);
    for queue in [delivered, never] {
        assert_eq!(kind(sender.retry(queue).await), Kind::NotFound);
        assert_eq!(kind(sender.suspend(queue).await), Kind::NotFound);
        assert_eq!(kind(sender.remove(queue, false).await), Kind::NotFound);
    }
    assert!(sender.list(None, 10).await.is_empty());
    sender.arrived("delivered", 1, 0).await;
}

pub(super) async fn pages_are_in_order_and_complete(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let mut sent = Vec::new();
    for number in 0..60 {
        let to = if number % 2 == 0 { "alice" } else { "bob" };
        let submission = sender.submission("x@peer.test", &[to], &format!("m{number}")).await;
        sender.accept(&submission).await.unwrap();
        sent.push((submission.queue, to, submission.content.size_bytes()));
        sender.pass_s(1).await;
    }
    assert!(sent.is_sorted(), "queue ids grow with the time");
    assert_eq!(sender.count().await, 60);
    for limit in [1, 7, 60, QUEUE_LIST_MAX + 1] {
        let mut listed = Vec::new();
        loop {
            let page = sender.list(listed.last().copied(), limit).await;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            for message in page {
                let (queue, to, size_bytes) = sent[listed.len()];
                assert_eq!(message.queue, queue);
                assert_eq!(message.sender, Some(address("x@peer.test")));
                assert_eq!(message.recipients.len(), 1);
                assert_eq!(message.recipients[0].0, address(to));
                assert_eq!(message.size_bytes, size_bytes);
                assert!(!message.poison && !message.suspended);
                listed.push(queue);
            }
        }
        assert_eq!(listed.len(), sent.len(), "pages of {limit}");
    }
    // A page goes on where the last one ended, whether or not that message is still there.
    sender.remove(sent[29].0, false).await.unwrap();
    let page = sender.list(Some(sent[29].0), 3).await;
    let queues: Vec<_> = page.iter().map(|message| message.queue).collect();
    assert_eq!(queues, [sent[30].0, sent[31].0, sent[32].0]);
    assert_eq!(sender.count().await, 59);
}

pub(super) async fn a_message_that_waits_says_why(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let begin = sender.world.now();
    let queue = sender.send("x@peer.test", &["alice", "bob"], "slow").await;
    sender.pass_s(120).await;
    let waiting = sender.list(None, 10).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].queue, queue);
    assert!(waiting[0].accepted >= begin && waiting[0].accepted <= sender.world.now());
    assert_eq!(waiting[0].recipients.len(), 2);
    for (to, state) in &waiting[0].recipients {
        let RecipientState::Waiting { attempts, next_attempt, last_error } = state else {
            panic!("{to}: {state:?}");
        };
        assert!(*attempts >= 1 && last_error.is_some(), "{to}: {state:?}");
        assert!(*next_attempt > begin, "{to}: {state:?}");
    }
    // It is tried again by itself.
    sender.world.restart().await;
    sender.settle().await;
    sender.arrived("slow", 1, 1).await;
}
