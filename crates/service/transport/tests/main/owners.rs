//! Two owners of one queue: the one that has lost it changes nothing any more.

use crate::world::{World, address, run};
use base::{CommandId, Deadline, Kind, QueueId, SessionId};
use contract_control::Fence;
use contract_directory::{Directory, Resolved};
use contract_mailbox::{Delivered, Delivery, Mailboxes, Principal, Write, WriteReply};
use contract_transport::{QueueAdmin, Submission, Transport};
use std::time::Duration;

/// A delivery to alice, as an owner of the queue with that fence asks for it.
async fn deliver(
    world: &World,
    submission: &Submission,
    fence: Fence,
    ends: bool,
) -> base::Result<WriteReply> {
    let account = world.directory.resolve(&address("alice")).await.unwrap();
    let Resolved::Account(account) = account else { panic!("alice is no account") };
    let delivery = Delivery {
        queue: submission.queue,
        recipient: account.address.clone(),
        generation: 0,
        return_path: None,
        content: submission.content.clone(),
        parsed: submission.parsed.clone(),
        accepted: world.env.clock.now(),
        ends_queue_entry: ends,
        queue_fence: Some(fence),
    };
    let command = CommandId { session: SessionId(world.env.random.u128()), sequence: 1 };
    let request = Write::Deliver(Box::new(delivery));
    world.node.mailboxes.write(account.id, Principal::Transport, command, request).await
}

/// A message that waits in the queue, suspended, and its slot's fence.
async fn waiting(world: &mut World, to: &[&str], text: &str) -> (Submission, Fence) {
    world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
    let submission = world.submission("alice", to, text).await;
    world.node.transport.accept(submission.clone()).await.unwrap();
    world.env.clock.sleep(Duration::from_secs(2)).await;
    world.node.transport.suspend(submission.queue).await.unwrap();
    world.restart().await;
    let slot = world.node.control.slot_of_queue(submission.queue);
    let fence = world.node.control.fence(slot).await.unwrap();
    (submission, fence)
}

async fn is_queued(world: &World, queue: QueueId) -> bool {
    world.node.transport.list(None, 10).await.unwrap().iter().any(|one| one.queue == queue)
}

#[test]
fn a_stale_owner_neither_delivers_nor_ends_anything() {
    run(51, async |mut world| {
        let (submission, fence) = waiting(&mut world, &["alice", "bob"], "two").await;
        let stale = world.node.control.renew(fence.slot, &fence).await.unwrap();
        let newest = world.node.control.renew(fence.slot, &stale).await.unwrap();
        for old in [fence, stale] {
            let refused = deliver(&world, &submission, old, true).await;
            assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Conflict));
        }
        assert!(world.inbox("alice").await.is_empty());
        let made = deliver(&world, &submission, newest, false).await.unwrap();
        assert!(matches!(made, WriteReply::Delivered(Delivered::New { .. })), "{made:?}");
        // What was made is told to anybody, but an entry is ended for the owner only.
        let again = deliver(&world, &submission, stale, true).await.unwrap();
        assert_eq!(again, WriteReply::Delivered(Delivered::Before));
        assert!(is_queued(&world, submission.queue).await);
        world.node.transport.retry(submission.queue).await.unwrap();
        world.settle().await;
        assert_eq!((world.inbox("alice").await.len(), world.inbox("bob").await.len()), (1, 1));
    });
}

#[test]
fn what_has_left_the_queue_is_not_delivered() {
    run(52, async |mut world| {
        let (submission, fence) = waiting(&mut world, &["alice"], "gone").await;
        world.node.transport.remove(submission.queue, false).await.unwrap();
        let refused = deliver(&world, &submission, fence, true).await;
        assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Conflict));
        assert!(world.inbox("alice").await.is_empty());
    });
}

/// The round crashes between delivery and settling, the message is set aside, and an administrator
/// lets it go on only after the time for which delivered messages are remembered.
#[test]
fn a_message_held_for_weeks_is_delivered_once() {
    run(53, async |mut world| {
        let (submission, fence) = waiting(&mut world, &["alice", "bob"], "weeks").await;
        deliver(&world, &submission, fence, false).await.unwrap();
        for _ in 0..3 {
            world.later(Duration::from_secs(8 * 24 * 3600)).await;
            world.restart().await;
            // Any change brings the housekeeping with it.
            world.touch("alice").await;
        }
        world.node.transport.retry(submission.queue).await.unwrap();
        world.settle().await;
        let alice = world.inbox("alice").await;
        let copies = alice.iter().filter(|text| text.contains("<weeks@test>")).count();
        assert_eq!(copies, 1, "{alice:?}");
        // In the end the row goes with the message.
        for _ in 0..2 {
            world.later(Duration::from_secs(8 * 24 * 3600)).await;
            world.touch("alice").await;
        }
        assert_eq!(world.rows(b"Q/m/").await, 0);
    });
}

/// However a mailbox is addressed, it gets one copy.
#[test]
fn a_renamed_recipient_gets_no_second_copy() {
    run(54, async |mut world| {
        let (submission, fence) = waiting(&mut world, &["alice", "bob"], "names").await;
        deliver(&world, &submission, fence, false).await.unwrap();
        let mut other = submission.clone();
        other.envelope.recipients.reverse();
        world.node.transport.retry(submission.queue).await.unwrap();
        world.settle().await;
        assert_eq!(world.inbox("alice").await.len(), 1);
    });
}
