//! Bounces: who is told what, and who is not.

use crate::world::{address, run};
use contract_directory::Quota;
use contract_transport::{Notify, Transport};

#[test]
fn the_sender_is_told_of_unknown_recipients() {
    run(21, async |world| {
        world.send("alice", &["bob", "nobody"], "half").await;
        world.settle().await;
        assert_eq!(world.inbox("bob").await.len(), 1);
        let reports = world.inbox("alice").await;
        assert_eq!(reports.len(), 1);
        let report = &reports[0];
        for part in [
            "Return-Path: <>",
            "Subject: Undeliverable: test",
            "multipart/report",
            "nobody@rialto.test",
            "Status: 5.1.1",
            "Action: failed",
            "Message-ID: <half@test>",
        ] {
            assert!(report.contains(part), "{part:?} is not in {report}");
        }
    });
}

#[test]
fn a_full_mailbox_bounces_at_once() {
    run(22, async |world| {
        let quota = Quota { no_receive_bytes: Some(10), ..Quota::default() };
        let quota = Quota { warn_bytes: Some(5), no_send_bytes: Some(7), ..quota };
        world.account("small", Some(quota)).await;
        world.send("alice", &["small"], "too much").await;
        world.settle().await;
        let reports = world.inbox("alice").await;
        assert!(reports[0].contains("Status: 5.2.2"), "{}", reports[0]);
    });
}

#[test]
fn attack_15_no_report_answers_a_report() {
    run(23, async |world| {
        world.send("", &["nobody"], "loop").await;
        world.send("ghost", &["nobody"], "ghost").await;
        world.settle().await;
        assert!(world.inbox("alice").await.is_empty());
    });
}

#[test]
fn who_does_not_want_to_know_is_not_told() {
    run(24, async |world| {
        let mut submission = world.submission("alice", &["nobody"], "never").await;
        let never = Notify { success: false, failure: false, delay: false };
        submission.envelope.recipients[0].notify = never;
        world.node.transport.accept(submission).await.unwrap();
        world.settle().await;
        assert!(world.inbox("alice").await.is_empty());
        assert_eq!(address("alice").to_string(), "alice@rialto.test");
    });
}
