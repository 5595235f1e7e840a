//! What cannot be delivered now is tried again; what an administrator wants happens.

use crate::world::run;
use base::{Deadline, Kind};
use contract_transport::{QueueAdmin, RecipientState};
use std::time::Duration;

#[test]
fn a_mailbox_that_is_away_gets_its_mail_later() {
    run(31, async |mut world| {
        world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
        let queue = world.send("x@peer.test", &["alice"], "later").await;
        world.env.clock.sleep(Duration::from_secs(2)).await;
        let waiting = world.node.transport.list(None, 10).await.unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].queue, queue);
        let (_, state) = &waiting[0].recipients[0];
        assert!(
            matches!(state, RecipientState::Waiting { attempts, .. } if *attempts >= 1),
            "{state:?}"
        );
        world.restart().await;
        world.settle().await;
        assert_eq!(world.inbox("alice").await.len(), 1);
    });
}

#[test]
fn delays_and_expiry_are_told() {
    run(32, async |mut world| {
        world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
        world.send("alice", &["bob"], "slow").await;
        world.env.clock.sleep(Duration::from_secs(5 * 3600)).await;
        world.restart().await;
        world.env.clock.sleep(Duration::from_secs(600)).await;
        world.settle().await;
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("Subject: Delayed: test"), "{}", told[0]);
        assert!(told[0].contains("Action: delayed"), "{}", told[0]);
        assert_eq!(world.inbox("bob").await.len(), 1);
    });
}

#[test]
fn an_administrator_steers_the_queue() {
    run(33, async |mut world| {
        let queue_is = |kind: base::Result<()>| kind.unwrap_err().kind;
        let unknown = base::QueueId(7);
        assert_eq!(queue_is(world.node.transport.retry(unknown).await), Kind::NotFound);
        world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
        let held = world.send("alice", &["bob"], "held").await;
        let gone = world.send("alice", &["bob"], "gone").await;
        world.env.clock.sleep(Duration::from_secs(2)).await;
        world.node.transport.suspend(held).await.unwrap();
        world.node.transport.remove(gone, true).await.unwrap();
        world.restart().await;
        world.env.clock.sleep(Duration::from_secs(3600)).await;
        assert!(world.inbox("bob").await.is_empty());
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("Message-ID: <gone@test>"));
        let left = world.node.transport.list(None, 10).await.unwrap();
        assert!(left[0].suspended && left[0].queue == held, "{left:?}");
        world.node.transport.retry(held).await.unwrap();
        world.settle().await;
        assert_eq!(world.inbox("bob").await.len(), 1);
    });
}
