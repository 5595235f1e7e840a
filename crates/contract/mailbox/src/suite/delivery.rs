//! Mail that comes in and goes out.

use super::desk::{Desk, inbox, refused, text_of};
use crate::{Content, Delivered, Delivery, Outgoing, Principal, SpecialUse, Staged, SystemFlags};
use base::{Kind, QueueId, Timestamp};
use contract_transport::{Envelope, Recipient, Source, Submission};
use std::sync::Arc;

fn submission(desk: &Desk, staged: Staged, bytes: &[u8], to: &Desk) -> Submission {
    let queue = QueueId::new(Timestamp { unix_ms: 1_000_000 }, desk.world.random());
    Submission {
        queue,
        envelope: Envelope {
            sender: Some(desk.address()),
            recipients: vec![Recipient::plain(to.address())],
            authenticated: Some(desk.account),
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source: Source { ip: None, helo: "suite".into(), protocol: "local".into() },
        },
        content: Content::of(&staged),
        staged: vec![staged],
        parsed: Arc::new(codec_mime::parse(bytes)),
    }
}

fn delivery(submission: &Submission, to: &Desk, generation: u32, ends: bool) -> Delivery {
    Delivery {
        queue: submission.queue,
        recipient: to.address(),
        generation,
        return_path: submission.envelope.sender.clone(),
        content: submission.content.clone(),
        parsed: submission.parsed.clone(),
        accepted: Timestamp { unix_ms: 1_000_000 },
        ends_queue_entry: ends,
        queue_fence: None,
    }
}

pub(super) async fn a_message_is_delivered_once(desk: Desk) {
    let bob = desk.colleague("bob").await;
    let bytes = text_of("hello");
    let submission = submission(&desk, desk.stage(&bytes).await, &bytes, &bob);
    let outgoing = Outgoing { submission: submission.clone(), sent_copy: false };
    desk.me.submit(outgoing).await.unwrap();
    assert!(desk.world.is_queued(submission.queue).await);

    let transport = bob.session_of(Principal::Transport);
    let mut first = delivery(&submission, &bob, 0, false);
    refused(bob.me.deliver(first.clone()).await, Kind::Denied);
    let system = bob.session_of(Principal::System);
    refused(system.deliver(first.clone()).await, Kind::Denied);

    // An unknown outcome may have been a delivery; what counts is that there is one.
    transport.deliver(first.clone()).await.unwrap();
    assert_eq!(transport.deliver(first.clone()).await.unwrap(), Delivered::Before);
    let again = bob.session_of(Principal::Transport);
    first.recipient.local = first.recipient.local.to_uppercase();
    assert_eq!(again.deliver(first).await.unwrap(), Delivered::Before);
    assert!(desk.world.is_queued(submission.queue).await);
    let last = delivery(&submission, &bob, 0, true);
    assert_eq!(transport.deliver(last).await.unwrap(), Delivered::Before);
    assert!(!desk.world.is_queued(submission.queue).await, "it ends the queue entry all the same");

    let entries = bob.entries(inbox()).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].received, Timestamp { unix_ms: 1_000_000 });
    let expect = [b"Return-Path: <alice@rialto.test>\r\n", &bytes[..]].concat();
    assert_eq!(bob.fetch(inbox(), entries[0].uid).await, expect);

    let resubmitted = delivery(&submission, &bob, 1, false);
    let result = transport.deliver(resubmitted).await.unwrap();
    assert!(matches!(result, Delivered::New { .. } | Delivered::Before));
    assert_eq!(bob.entries(inbox()).await.len(), 2, "a resubmission is a delivery of its own");
}

pub(super) async fn sending_queues_and_keeps_a_copy_or_neither(desk: Desk) {
    let bob = desk.colleague("bob").await;
    let sent = SpecialUse::Sent.folder_id();
    let bytes = text_of("hello");
    let good = submission(&desk, desk.stage(&bytes).await, &bytes, &bob);
    let outgoing = Outgoing { submission: good.clone(), sent_copy: true };
    assert_eq!(desk.me.submit(outgoing).await.unwrap(), good.queue);
    assert!(desk.world.is_queued(good.queue).await);
    let entries = desk.entries(sent).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].flags.system, SystemFlags::SEEN);
    assert_eq!(desk.fetch(sent, entries[0].uid).await, bytes);

    let other = text_of("forged");
    let mut forged = submission(&desk, desk.stage(&other).await, &other, &bob);
    forged.envelope.sender = Some(bob.address());
    let queue = forged.queue;
    let outgoing = Outgoing { submission: forged, sent_copy: true };
    refused(desk.me.submit(outgoing).await, Kind::Denied);
    assert!(!desk.world.is_queued(queue).await);
    assert_eq!(desk.entries(sent).await.len(), 1);
}
