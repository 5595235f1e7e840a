//! Who gets a message, and who hears that somebody did not.

use super::sender::{Sender, address};
use crate::{Notify, RECIPIENTS_MAX, Recipient};

pub(super) async fn each_mailbox_gets_one_copy_however_it_is_named(sender: Sender) {
    sender.world.group("inner", &["bob@rialto.test", "outer@rialto.test"]).await;
    let members = ["alice@rialto.test", "inner@rialto.test", "bob@rialto.test"];
    sender.world.group("outer", &members).await;
    for (text, to) in [
        ("twice", &["alice", "alice", "bob"][..]),
        ("alike", &["ALICE", "alice@RIALTO.test", "bob"]),
        ("details", &["alice+one", "alice+two", "bob+three"]),
        ("groups", &["outer", "inner", "outer"]),
        ("everything", &["outer", "alice", "inner", "Alice+x", "bob", "bob"]),
    ] {
        sender.send("x@peer.test", to, text).await;
        sender.settle().await;
        sender.arrived(text, 1, 1).await;
    }
}

/// So many, with original addresses of their own, are more than a row of a store takes.
pub(super) async fn a_thousand_recipients_are_one_message(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let mut submission = sender.submission("", &[], "many").await;
    submission.envelope.recipients = (0..RECIPIENTS_MAX)
        .map(|number| {
            let name = if number % 2 == 0 { "alice" } else { "bob" };
            let to = address(&format!("{name}+{number}"));
            let original = Some(format!("rfc822;{number}{}@peer.test", "x".repeat(400)));
            Recipient { original, ..Recipient::plain(to) }
        })
        .collect();
    sender.accept(&submission).await.unwrap();
    assert_eq!(sender.count().await, 1);
    sender.world.restart().await;
    sender.settle().await;
    sender.arrived("many", 1, 1).await;
}

pub(super) async fn the_sender_hears_of_those_whom_nobody_knows(sender: Sender) {
    sender.send("alice", &["bob", "nobody", "noone"], "half").await;
    sender.settle().await;
    sender.arrived("half", 0, 1).await;
    for who in ["nobody", "noone"] {
        assert_eq!(sender.reports("alice", who).await, 1, "reports about {who}");
    }
    assert_eq!(sender.reports("alice", "bob").await, 0, "bob has got it");
    let inbox = sender.world.inbox("alice").await;
    for part in ["Return-Path: <>\r\n", "Action: failed", "Status: 5.1.1", "<half@suite>"] {
        assert!(inbox[0].contains(part), "{part:?} is not in {}", inbox[0]);
    }
}

pub(super) async fn nobody_hears_of_what_was_not_to_be_told(sender: Sender) {
    let mut submission = sender.submission("alice", &["nobody", "noone", "bob"], "quiet").await;
    let never = Notify { success: false, failure: false, delay: false };
    submission.envelope.recipients[0].notify = never;
    sender.accept(&submission).await.unwrap();
    sender.settle().await;
    sender.arrived("quiet", 0, 1).await;
    assert_eq!(sender.reports("alice", "nobody").await, 0);
    assert_eq!(sender.reports("alice", "noone").await, 1);
}

pub(super) async fn attack_15_reports_are_not_reported(sender: Sender) {
    for from in ["", "ghost", "ghost@peer.test"] {
        sender.send(from, &["nobody", "alice"], "loop").await;
        sender.settle().await;
    }
    sender.pass_s(600).await;
    assert_eq!(sender.count().await, 0);
    assert_eq!(sender.world.inbox("alice").await.len(), 3, "nothing but the messages");
    assert!(sender.world.inbox("bob").await.is_empty());
}
