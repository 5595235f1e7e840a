//! Send connectors: every change is audited, never with a password, and known on all nodes.

use crate::courier::Outside;
use crate::outgoing::{is_empty, outside};
use crate::placement::{Placement, slots};
use crate::takeover::life;
use crate::world::{connector, run_simulated};
use base::Kind;
use contract_directory::{Actor, DirectoryAdmin};
use contract_store::Store;
use contract_transport::connector::{ConnectorChange, SendConnector, SendConnectors};
use contract_transport::courier::{Manner, TlsLevel};
use contract_transport::{QueueAdmin, Transport};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn changes_are_made_once_and_audited_without_the_password() {
    outside(111, async |world, outside| {
        let transport = &world.node.transport;
        let manner = Manner {
            tls: TlsLevel::Encryption,
            credentials: Some(("me".into(), "tell-nobody".into())),
            ..Manner::default()
        };
        let new = SendConnector { manner, ..connector("partner", "partner.test") };
        transport.create_connector(&Actor::Operator, new.clone()).await.unwrap();
        let again = transport.create_connector(&Actor::Operator, new.clone()).await;
        assert_eq!(again.unwrap_err().kind, Kind::AlreadyExists);
        let change = ConnectorChange { connections_max: Some(3), ..ConnectorChange::default() };
        let changed =
            transport.update_connector(&Actor::Operator, "partner", change).await.unwrap();
        assert_eq!(*changed, SendConnector { connections_max: 3, ..new });
        world.send("alice", &["a@partner.test"], "signed in").await;
        is_empty(&world).await;
        assert_eq!(outside.manners(), std::slice::from_ref(&changed.manner));
        let wrong = ConnectorChange { spaces: Some(vec![]), ..ConnectorChange::default() };
        let refused = transport.update_connector(&Actor::Operator, "partner", wrong).await;
        assert_eq!(refused.unwrap_err().kind, Kind::Invalid);
        transport.remove_connector(&Actor::Operator, "partner").await.unwrap();
        let again = transport.remove_connector(&Actor::Operator, "partner").await;
        assert_eq!(again.unwrap_err().kind, Kind::NotFound);
        let audit = world.directory.audit(100).await.unwrap();
        let of = |action: &str| {
            let found = audit.iter().filter(|one| one.action == action && one.target == "partner");
            found.count()
        };
        for action in ["create", "update", "remove"] {
            assert_eq!(of(&format!("connector.send.{action}")), 1, "{audit:?}");
        }
        let shown = format!("{audit:?}");
        assert!(shown.contains("user=\\\"me\\\"") && !shown.contains("tell-nobody"), "{shown}");
    });
}

#[test]
fn all_nodes_know_of_a_change_within_a_second() {
    run_simulated(112, async |mut world| {
        let store: Arc<dyn Store> = Arc::new(world.memory().clone());
        let placement = Placement::new(&world.env, &store);
        let outside = Outside::default();
        world.node = life(&world, &store, &placement, 1, Some(&outside)).await;
        let two = life(&world, &store, &placement, 2, Some(&outside)).await;
        placement.give(&slots(), 2).await;
        let one = &world.node;
        let send = async |to: &str| {
            let submission = world.submission("alice", &[to], to).await;
            two.transport.accept(submission).await.unwrap();
        };
        send("early@far.test").await;
        world.env.clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(outside.opened_in_all(), 0);
        one.transport.create_connector(&Actor::System, connector("out", "*")).await.unwrap();
        // That there is none is confirmed, so this one is known at once.
        send("now@far.test").await;
        world.env.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(outside.copies("now@far.test"), 1);
        world.env.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(outside.copies("early@far.test"), 1, "it has waited for a connector");
        let off = ConnectorChange { enabled: Some(false), ..ConnectorChange::default() };
        one.transport.update_connector(&Actor::System, "out", off).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(1)).await;
        send("late@far.test").await;
        world.env.clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(outside.copies("late@far.test"), 0);
        let hops = two.transport.hops().await.unwrap();
        assert_eq!(hops[0].hop.to_string(), "Unreachable/far.test");
    });
}
