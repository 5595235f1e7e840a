//! Seeing and steering the queues for other servers.

use crate::courier::Does;
use crate::outgoing::{is_empty, outside};
use base::{Kind, QueueId};
use contract_directory::{Actor, DirectoryAdmin};
use contract_transport::QueueAdmin;
use contract_transport::Transport;
use contract_transport::relay::{Hop, HopStatus};
use futures::TryStreamExt;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn hop(text: &str) -> Hop {
    Hop::parse(text).unwrap()
}

#[test]
fn a_hop_is_held_back_and_let_go() {
    outside(101, async |mut world, outside| {
        outside.set("x.test", Does::Away);
        world.send("alice", &["a@x.test"], "first").await;
        world.env.clock.sleep(MINUTE / 2).await;
        let unknown = world.node.transport.suspend_hop(hop("out/y.test")).await;
        assert_eq!(unknown.unwrap_err().kind, Kind::NotFound);
        world.node.transport.suspend_hop(hop("out/x.test")).await.unwrap();
        outside.set("x.test", Does::Take { dsn: true });
        world.send("alice", &["b@x.test"], "second").await;
        world.restart().await;
        world.env.clock.sleep(30 * MINUTE).await;
        assert_eq!((outside.opened("x.test"), outside.taken().len()), (1, 0));
        let hops = world.node.transport.hops().await.unwrap();
        assert_eq!((hops[0].status.clone(), hops[0].messages), (HopStatus::Suspended, 2));
        world.node.transport.resume_hop(hop("out/x.test")).await.unwrap();
        is_empty(&world).await;
        assert_eq!((outside.copies("a@x.test"), outside.copies("b@x.test")), (1, 1));
        assert!(world.node.transport.hops().await.unwrap().is_empty());
    });
}

#[test]
fn a_hop_is_tried_at_once() {
    outside(102, async |world, outside| {
        outside.set("x.test", Does::Away);
        outside.set("y.test", Does::Judge);
        world.send("alice", &["a@x.test", "temp@y.test"], "now").await;
        world.env.clock.sleep(20 * MINUTE).await;
        for domain in ["x.test", "y.test"] {
            outside.set(domain, Does::Take { dsn: true });
            world.node.transport.retry_hop(hop(&format!("out/{domain}"))).await.unwrap();
        }
        world.env.clock.sleep(Duration::from_secs(2)).await;
        assert_eq!((outside.copies("a@x.test"), outside.copies("temp@y.test")), (1, 1));
        is_empty(&world).await;
    });
}

#[test]
fn messages_are_steered_one_by_one() {
    outside(103, async |mut world, outside| {
        outside.set("x.test", Does::Away);
        for to in ["held@x.test", "gone@x.test", "told@x.test", "other@x.test"] {
            world.send("alice", &[to], to).await;
            world.env.clock.sleep(Duration::from_millis(10)).await;
        }
        world.env.clock.sleep(MINUTE / 2).await;
        let listed = world.node.transport.list(None, 10).await.unwrap();
        let id = |local: &str| -> QueueId {
            let of = |one: &&contract_transport::QueuedMessage| one.recipients[0].0.local == local;
            listed.iter().find(of).unwrap().queue
        };
        assert!(listed.iter().all(|one| one.next_hop == Some(hop("out/x.test"))), "{listed:?}");
        assert!(listed.is_sorted_by_key(|one| one.queue));
        let (held, transport) = (id("held"), &world.node.transport);
        transport.suspend(held).await.unwrap();
        assert!(transport.show(held).await.unwrap().suspended);
        transport.remove(id("gone"), false).await.unwrap();
        transport.remove(id("told"), true).await.unwrap();
        for queue in [id("gone"), id("told")] {
            assert_eq!(transport.retry(queue).await.unwrap_err().kind, Kind::NotFound);
            assert_eq!(transport.show(queue).await.unwrap_err().kind, Kind::NotFound);
        }
        outside.set("x.test", Does::Take { dsn: true });
        world.restart().await;
        world.env.clock.sleep(30 * MINUTE).await;
        assert_eq!((outside.copies("held@x.test"), outside.copies("other@x.test")), (0, 1));
        world.node.transport.resume(held).await.unwrap();
        is_empty(&world).await;
        assert_eq!(outside.copies("held@x.test"), 1);
        assert_eq!((outside.copies("gone@x.test"), outside.copies("told@x.test")), (0, 0));
        let told = world.inbox("alice").await;
        assert!(told.len() == 1 && told[0].contains("told@x.test"), "{told:?}");
    });
}

/// One message is tried although its hop waits.
#[test]
fn a_message_is_tried_at_once() {
    outside(104, async |world, outside| {
        outside.set("x.test", Does::Away);
        world.send("alice", &["a@x.test"], "now").await;
        world.env.clock.sleep(20 * MINUTE).await;
        outside.set("x.test", Does::Take { dsn: true });
        let queue = world.node.transport.list(None, 1).await.unwrap()[0].queue;
        world.node.transport.retry(queue).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(outside.copies("a@x.test"), 1);
        is_empty(&world).await;
    });
}

/// Byte for byte, of either kind of queue, and never without a record.
#[test]
fn a_message_is_exported_as_it_waits() {
    outside(105, async |world, outside| {
        outside.set("x.test", Does::Away);
        let submission = world.submission("alice", &["a@x.test"], "export").await;
        let content = submission.content.clone().with_prefix("X-Trace: b\u{fc}\r\n".into());
        let submission = contract_transport::Submission { content: content.clone(), ..submission };
        world.node.transport.accept(submission).await.unwrap();
        world.env.clock.sleep(MINUTE / 2).await;
        let queue = world.node.transport.list(None, 1).await.unwrap()[0].queue;
        let exported = world.node.transport.export(&Actor::Operator, queue).await.unwrap();
        let pieces: Vec<_> = exported.bytes.try_collect().await.unwrap();
        let bytes = pieces.concat();
        assert_eq!(bytes, content.read_all(&world.blobs, 1 << 20).await.unwrap());
        assert_eq!(exported.size_bytes, bytes.len() as u64);
        let parsed = codec_mime::parse(&bytes);
        assert_eq!(parsed.message_id.as_deref(), Some(&b"export@test"[..]));
        let records = world.directory.audit(10).await.unwrap();
        let record = records.iter().find(|one| one.action == "queue.export").unwrap();
        assert_eq!((&record.target, &record.actor), (&queue.to_string(), &Actor::Operator));
        let never = QueueId::new(world.env.clock.now(), 7);
        let unknown = world.node.transport.export(&Actor::Operator, never).await;
        assert_eq!(unknown.err().unwrap().kind, Kind::NotFound);
        assert_eq!(
            world
                .directory
                .audit(50)
                .await
                .unwrap()
                .iter()
                .filter(|one| one.action == "queue.export")
                .count(),
            1
        );
    });
}
