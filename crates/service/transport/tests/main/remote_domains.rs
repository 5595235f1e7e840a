//! What Rialto does not send to some domains by itself.

use crate::forwarding::forward;
use crate::outgoing::{is_empty, outside};
use crate::world::World;
use base::Kind;
use contract_directory::Actor;
use contract_transport::remote::{EVERYWHERE, RemoteDomain, RemoteDomainChange, RemoteDomains};

async fn set(world: &World, pattern: &str, change: RemoteDomainChange) {
    let transport = &world.node.transport;
    if pattern != EVERYWHERE {
        let new = RemoteDomain::open(pattern);
        transport.create_remote_domain(&Actor::System, new).await.unwrap();
    }
    transport.update_remote_domain(&Actor::System, pattern, change).await.unwrap();
    // Now this node knows, whatever its watch does.
    transport.remote_domains().await.unwrap();
}

#[test]
fn forwards_are_held_back_where_they_must_not_go() {
    outside(701, async |world, outside| {
        let no = RemoteDomainChange { forwards: Some(false), ..RemoteDomainChange::default() };
        set(&world, EVERYWHERE, no).await;
        let yes = RemoteDomainChange { forwards: Some(true), ..no };
        set(&world, "partner.test", yes).await;
        world.account("erin", None).await;
        world.account("dora", None).await;
        forward(&world, "bob", "x@far.test", false).await;
        forward(&world, "erin", "y@far.test", true).await;
        forward(&world, "dora", "z@partner.test", false).await;
        world.send("alice", &["bob", "erin", "dora", "w@far.test"], "text").await;
        is_empty(&world).await;
        let copies = |to| outside.copies(to);
        assert_eq!((copies("x@far.test"), copies("y@far.test")), (0, 0));
        assert_eq!((copies("z@partner.test"), copies("w@far.test")), (1, 1));
        assert_eq!(world.inbox("erin").await.len(), 1);
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("Status: 5.7.1") && !told[0].contains("y@far.test"), "{told:?}");
        // To ourselves everything may be forwarded.
        forward(&world, "bob", "erin", false).await;
        world.send("alice", &["bob"], "ours").await;
        is_empty(&world).await;
        assert_eq!(world.inbox("erin").await.len(), 2);
    });
}

#[test]
fn reports_are_not_sent_where_they_must_not_go() {
    outside(702, async |world, outside| {
        let no = RemoteDomainChange { failures: Some(false), ..RemoteDomainChange::default() };
        set(&world, "*.far.test", no).await;
        for sender in ["a@mail.far.test", "a@far.test", "alice"] {
            world.send(sender, &["nobody"], sender).await;
        }
        is_empty(&world).await;
        assert_eq!(outside.copies("a@mail.far.test"), 0);
        assert_eq!(outside.copies("a@far.test"), 1);
        let everywhere =
            RemoteDomainChange { failures: Some(false), ..RemoteDomainChange::default() };
        set(&world, EVERYWHERE, everywhere).await;
        for sender in ["a@far.test", "alice@rialto.test"] {
            world.send(sender, &["nobody"], "again").await;
        }
        is_empty(&world).await;
        assert_eq!(outside.copies("a@far.test"), 1);
        assert_eq!(world.inbox("alice").await.len(), 2, "our own domains are no remote ones");
    });
}

#[test]
fn the_entry_for_everywhere_stays() {
    outside(703, async |world, _| {
        let transport = &world.node.transport;
        let patterns = async || {
            let all = transport.remote_domains().await.unwrap();
            all.iter().map(|one| one.pattern.clone()).collect::<Vec<_>>()
        };
        assert_eq!(patterns().await, [EVERYWHERE]);
        let kind = |error: base::Error| error.kind;
        let again = transport.create_remote_domain(&Actor::System, RemoteDomain::open("*")).await;
        assert_eq!(again.map_err(kind).err(), Some(Kind::AlreadyExists));
        set(&world, "x.test", RemoteDomainChange::default()).await;
        set(&world, EVERYWHERE, RemoteDomainChange { reports: Some(false), ..Default::default() })
            .await;
        assert_eq!(patterns().await, [EVERYWHERE, "x.test"]);
        assert!(transport.remove_remote_domain(&Actor::System, EVERYWHERE).await.is_err());
        transport.remove_remote_domain(&Actor::System, "x.test").await.unwrap();
        assert_eq!(patterns().await, [EVERYWHERE]);
        let wrong = transport.create_remote_domain(&Actor::System, RemoteDomain::open("a b")).await;
        assert_eq!(wrong.map_err(kind).err(), Some(Kind::Invalid));
    });
}
