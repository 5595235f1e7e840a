//! Accepting: from then on the message is ours, once.

use super::sender::Sender;
use crate::{QueueEntry, QueueHint, rows};
use contract_blob::GRACE_MS;
use contract_store::{Attempt, Body, BodyError, Transaction, transact};
use futures::future::{BoxFuture, join_all};
use std::sync::Arc;

pub(super) async fn what_is_accepted_arrives_once(sender: Sender) {
    sender.send("x@peer.test", &["alice", "bob"], "both").await;
    sender.send("", &["bob"], "one").await;
    sender.settle().await;
    sender.arrived("both", 1, 1).await;
    sender.arrived("one", 0, 1).await;
    let inbox = sender.world.inbox("bob").await;
    assert_eq!(inbox.len(), 2);
    let from = |path: &str| inbox.iter().filter(|one| one.starts_with(path)).count();
    assert_eq!(from("Return-Path: <x@peer.test>\r\n"), 1);
    assert_eq!(from("Return-Path: <>\r\n"), 1);
}

pub(super) async fn what_is_accepted_outlives_the_node(sender: Sender) {
    sender.world.stop_mailboxes().await;
    for number in 0..20 {
        sender.send("x@peer.test", &["alice", "bob"], &format!("m{number}.")).await;
        if number % 7 == 0 {
            sender.world.restart().await;
            sender.world.stop_mailboxes().await;
        }
    }
    sender.world.restart().await;
    sender.settle().await;
    for number in 0..20 {
        sender.arrived(&format!("m{number}."), 1, 1).await;
    }
}

pub(super) async fn accepting_again_is_accepting_once(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let submission = sender.submission("alice", &["nobody", "bob"], "again").await;
    for accepted in join_all((0..5).map(|_| sender.accept(&submission))).await {
        accepted.unwrap();
    }
    // Beside it there may be a report already.
    let waiting = sender.list(None, 10).await;
    assert_eq!(waiting.iter().filter(|one| one.queue == submission.queue).count(), 1);
    sender.world.restart().await;
    for _ in 0..3 {
        sender.accept(&submission).await.unwrap();
        sender.settle().await;
        // Delivered and forgotten, and the next life knows that too.
        sender.world.restart().await;
    }
    sender.arrived("again", 0, 1).await;
    assert_eq!(sender.reports("alice", "nobody").await, 1, "one report");
}

/// Writes a message's row as a mailbox does with a client's submission, and tells nobody.
struct Submit<'a> {
    sender: &'a Sender,
    submission: &'a crate::Submission,
    slot: base::Slot,
}

impl Body<QueueEntry> for Submit<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'b, Result<QueueEntry, BodyError>> {
        Box::pin(async move {
            let (world, blobs) = (&self.sender.world, self.sender.world.blobs());
            rows::write(tx, &*blobs, self.slot, self.submission, world.now()).await
        })
    }
}

pub(super) async fn a_hint_that_was_lost_costs_time_only(sender: Sender) {
    let mut texts = Vec::new();
    for number in 0..5 {
        let text = format!("m{number}.");
        let submission = sender.submission("x@peer.test", &["alice"], &text).await;
        let slot = sender.world.slot(submission.queue).await;
        let submit = Submit { sender: &sender, submission: &submission, slot };
        transact(&sender.world.store(), submit).await.unwrap();
        texts.push(text);
    }
    sender.settle().await;
    for text in texts {
        sender.arrived(&text, 1, 0).await;
    }
}

pub(super) async fn hints_may_come_again_and_late(sender: Sender) {
    let submission = sender.submission("x@peer.test", &["alice", "bob"], "hinted").await;
    let hint = QueueHint {
        queue: submission.queue,
        entry: Arc::new(QueueEntry {
            queue: submission.queue,
            envelope: submission.envelope.clone(),
            content: submission.content.clone(),
            accepted: sender.world.now(),
        }),
        parsed: submission.parsed.clone(),
    };
    sender.accept(&submission).await.unwrap();
    for wait_s in [0, 0, 0, 1, 30, 600] {
        sender.world.transport().await.hint(hint.clone());
        sender.pass_s(wait_s).await;
    }
    sender.settle().await;
    sender.world.restart().await;
    sender.world.transport().await.hint(hint);
    sender.pass_s(60).await;
    sender.settle().await;
    sender.arrived("hinted", 1, 1).await;
}

pub(super) async fn bytes_are_kept_as_long_as_the_message_waits(sender: Sender) {
    let grace_s = u64::try_from(GRACE_MS / 1_000).unwrap();
    let collect = async || {
        // What somebody reads just now, or has uploaded and not yet used, has its time.
        sender.pass_s(2 * grace_s).await;
        let blobs = sender.world.blobs();
        let mut removed = 0;
        loop {
            let collected = sender.steady(|| blobs.collect(100)).await.unwrap();
            removed += collected.removed;
            if !collected.more {
                return removed;
            }
        }
    };
    sender.world.stop_mailboxes().await;
    let unwanted = sender.submission("", &["nobody"], "unwanted").await;
    let wanted = sender.submission("", &["alice"], "wanted").await;
    sender.accept(&unwanted).await.unwrap();
    sender.accept(&wanted).await.unwrap();
    collect().await;
    let blobs = sender.world.blobs();
    let read = async |of: &crate::Submission| of.content.read_all(&blobs, 1 << 20).await;
    read(&wanted).await.unwrap();
    sender.world.restart().await;
    sender.settle().await;
    collect().await;
    sender.arrived("wanted", 1, 0).await;
    assert!(read(&unwanted).await.is_err(), "nobody holds it any more");
}
