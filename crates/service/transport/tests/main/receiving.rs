//! Receive connectors: every change is audited, refused where it cannot be told apart, and known
//! on all nodes.

use crate::placement::Placement;
use crate::takeover::life;
use crate::world::run_simulated;
use base::Kind;
use contract_directory::{Actor, DirectoryAdmin};
use contract_store::Store;
use contract_transport::receive::{
    Binding, Permissions, ReceiveChange, ReceiveConnector, ReceiveConnectors, Role,
};
use std::sync::Arc;
use std::time::Duration;

fn printers() -> ReceiveConnector {
    ReceiveConnector {
        name: "printers".into(),
        bindings: vec![Binding::Role(Role::Server)],
        ranges: vec!["10.1.2.0/24".parse().unwrap()],
        permissions: Permissions { relay: true, ..Permissions::NONE },
        ..ReceiveConnector::of_role(Role::Server)
    }
}

#[test]
fn changes_are_made_once_checked_and_audited() {
    run_simulated(121, async |world| {
        let (node, operator) = (&world.node.transport, Actor::Operator);
        let kind = |result: base::Result<Arc<ReceiveConnector>>| result.unwrap_err().kind;
        let made = node.create_receive_connector(&operator, printers()).await.unwrap();
        assert_eq!(node.receive_table().get("printers"), Some(&made));
        let again = node.create_receive_connector(&operator, printers()).await;
        assert_eq!(kind(again), Kind::AlreadyExists);
        let same = ReceiveConnector { name: "other".into(), ..printers() };
        assert_eq!(kind(node.create_receive_connector(&operator, same).await), Kind::Conflict);
        let off = ReceiveChange { enabled: Some(false), ..ReceiveChange::default() };
        let changed = node.update_receive_connector(&operator, "printers", off).await.unwrap();
        assert_eq!(*changed, ReceiveConnector { enabled: false, ..printers() });
        let open = ReceiveChange {
            permissions: Some(Permissions { relay: true, ..Permissions::NONE }),
            ..ReceiveChange::default()
        };
        let refused = node.update_receive_connector(&operator, "server", open.clone()).await;
        assert_eq!(kind(refused), Kind::Invalid);
        let unknown = node.update_receive_connector(&operator, "nobody", open).await;
        assert_eq!(kind(unknown), Kind::NotFound);
        // What is always there can be changed, and not removed.
        let name = ReceiveChange { helo: Some(Some("mx.test".into())), ..ReceiveChange::default() };
        node.update_receive_connector(&operator, "server", name).await.unwrap();
        let removed = node.remove_receive_connector(&operator, "server").await;
        assert_eq!(removed.unwrap_err().kind, Kind::CannotChange);
        let table = node.receive_connectors().await.unwrap();
        assert_eq!(table.get("server").unwrap().helo.as_deref(), Some("mx.test"));
        node.remove_receive_connector(&operator, "printers").await.unwrap();
        let again = node.remove_receive_connector(&operator, "printers").await;
        assert_eq!(again.unwrap_err().kind, Kind::NotFound);
        let audit = world.directory.audit(100).await.unwrap();
        let of = |action: &str, target: &str| {
            let action = format!("connector.receive.{action}");
            audit.iter().filter(|one| one.action == action && one.target == target).count()
        };
        for (action, target) in [
            ("create", "printers"),
            ("update", "printers"),
            ("update", "server"),
            ("remove", "printers"),
        ] {
            assert_eq!(of(action, target), 1, "{action} {target} {audit:?}");
        }
        assert_eq!(of("remove", "server") + of("create", "other"), 0);
    });
}

#[test]
fn all_nodes_let_in_by_a_change_within_a_second_and_after_a_restart() {
    run_simulated(122, async |world| {
        let store: Arc<dyn Store> = Arc::new(world.memory().clone());
        let placement = Placement::new(&world.env, &store);
        let one = life(&world, &store, &placement, 1, None).await;
        let two = life(&world, &store, &placement, 2, None).await;
        let before = two.transport.receive_table();
        assert!(before.get("printers").is_none() && before.get("submission").is_some());
        one.transport.create_receive_connector(&Actor::System, printers()).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(1)).await;
        assert!(two.transport.receive_table().get("printers").is_some());
        // Sessions share what was made for a table as long as nothing changes.
        let known = two.transport.receive_table();
        world.env.clock.sleep(Duration::from_secs(20)).await;
        assert!(Arc::ptr_eq(&known, &two.transport.receive_table()));
        let three = life(&world, &store, &placement, 3, None).await;
        assert!(three.transport.receive_table().get("printers").is_some());
    });
}
