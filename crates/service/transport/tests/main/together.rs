//! Messages that come together for one mailbox.

use crate::world::run_simulated;
use contract_transport::Transport;
use futures::future::join_all;

/// Rounds of different messages, in different slots, run at once, so that the mailbox finds their
/// deliveries waiting and makes them together.
#[test]
fn many_messages_for_one_mailbox_take_few_deliveries() {
    run_simulated(51, async |world| {
        world.inbox("alice").await;
        let mut submissions = Vec::new();
        for number in 0..40 {
            let text = format!("together {number}");
            submissions.push(world.submission("x@peer.test", &["alice"], &text).await);
        }
        let before = world.memory().stats();
        let accepts = submissions.into_iter().map(|one| world.node.transport.accept(one));
        for accepted in join_all(accepts).await {
            accepted.unwrap();
        }
        world.settle().await;
        let applied = world.memory().stats().applied - before.applied;
        assert!((41..=50).contains(&applied), "40 accepted, and {applied} transactions in all");
        assert_eq!(world.inbox("alice").await.len(), 40);
        assert_eq!(world.rows(b"Q/").await, 40, "how each has ended, and nothing else");
    });
}
