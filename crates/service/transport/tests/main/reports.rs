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

#[test]
fn who_asked_hears_of_success_once_for_each_recipient() {
    run(25, async |world| {
        for name in ["erin", "dora"] {
            world.account(name, None).await;
        }
        world.group("crew", &["erin".into(), "dora".into()]).await;
        let mut submission = world.submission("alice", &["bob", "crew", "erin"], "asked").await;
        let asked = Notify { success: true, failure: true, delay: false };
        submission.envelope.envelope_id = Some("QQ314159".into());
        submission.envelope.recipients[0].notify = asked;
        submission.envelope.recipients[0].original = Some("rfc822;robert@x.test".into());
        submission.envelope.recipients[1].notify = asked;
        world.node.transport.accept(submission).await.unwrap();
        world.settle().await;
        let reports = world.inbox("alice").await;
        let all = reports.join("\n");
        for part in [
            "Subject: Delivered: test",
            "Original-Envelope-Id: QQ314159",
            "Original-Recipient: rfc822; robert@x.test",
            "Final-Recipient: rfc822; bob@rialto.test",
            "Action: delivered",
            "Final-Recipient: rfc822; crew@rialto.test",
            "Action: expanded",
            "Status: 2.0.0",
        ] {
            assert_eq!(all.matches(part).count().min(1), 1, "{part:?} is not in {all}");
        }
        assert_eq!(all.matches("Action: ").count(), 2, "{all}");
        assert!(!all.contains("Final-Recipient: rfc822; erin") && !all.contains("dora"), "{all}");
        for name in ["bob", "erin", "dora"] {
            assert_eq!(world.inbox(name).await.len(), 1, "{name}");
        }
    });
}

#[test]
fn attack_15_a_success_that_nobody_asked_for_or_can_hear_is_not_told() {
    run(26, async |world| {
        world.send("alice", &["bob"], "plain").await;
        let mut submission = world.submission("", &["bob"], "null").await;
        submission.envelope.recipients[0].notify.success = true;
        world.node.transport.accept(submission).await.unwrap();
        world.settle().await;
        assert!(world.inbox("alice").await.is_empty());
        assert_eq!(world.inbox("bob").await.len(), 2);
    });
}
