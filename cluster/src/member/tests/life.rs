//! Draining, leaving, restarting, growing under load.

use super::toy;
use super::world::{World, host, secs, slot};
use base::env::Random;
use base::env::sim::test_seed;
use base::{Deadline, Kind, NodeId, Universe};
use contract_control::{ClusterStatus, Standing};
use std::time::Duration;

fn standing(status: &ClusterStatus, node: NodeId) -> Option<Standing> {
    status.nodes.iter().find(|found| found.id == node).map(|found| found.standing)
}

#[test]
fn a_drain_empties_a_node_under_load_and_outlives_its_restart() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let load = world.load(&[1, 2, 3]);
        let node = world.id(3);
        world.admin(2).drain(node).await.unwrap();
        let is = |wanted| move |status: &ClusterStatus| standing(status, node) == Some(wanted);
        world.until("drained", secs(60), is(Standing::Drained)).await;
        world.until("at rest", secs(10), |status| status.moves == 0).await;
        load.end().await;
        assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
        assert!(*world.ledger.longest.lock() < secs(2), "{:?}", world.ledger.longest.lock());
        // A drained node still answers clients, and says that new ones should go elsewhere.
        world.put(3, slot(1)).await.unwrap();
        assert!(world.process(3).node.health().unwrap_err().contains("drained"));
        world.kill(3);
        world.until("dead", secs(10), is(Standing::Dead)).await;
        world.up(3).await;
        world.until("drained again", secs(10), is(Standing::Drained)).await;
        world.admin(3).undrain(node).await.unwrap();
        world.balanced(3).await;
        world.audit().await;
    });
}

#[test]
fn a_node_leaves_before_it_stops_and_serves_again_afterwards() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let load = world.load(&[1, 2]);
        let node = world.id(3);
        let process = world.process(3);
        process.node.leave(Deadline::after(secs(60))).await;
        assert_eq!(world.status(1).await.nodes[2].slots, 0);
        assert!(*process.toy.released.lock() > 1000);
        process.node.stop(Deadline::after(secs(5))).await.unwrap();
        assert!(process.node.health().is_err());
        drop(process);
        world.kill(3);
        tokio::time::sleep(secs(2)).await;
        world.up(3).await;
        world.until("active", secs(10), |s| standing(s, node) == Some(Standing::Active)).await;
        load.end().await;
        assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
        assert!(*world.ledger.longest.lock() < secs(2), "{:?}", world.ledger.longest.lock());
        world.balanced(3).await;
        world.audit().await;
    });
}

#[test]
fn the_only_node_leaves_at_once() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 1).await;
        let before = tokio::time::Instant::now();
        world.process(1).node.leave(Deadline::after(secs(60))).await;
        assert!(before.elapsed() < secs(5), "{:?}", before.elapsed());
        let refused = world.admin(1).drain(NodeId(1)).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Conflict, "{refused}");
        assert_eq!(world.admin(1).drain(NodeId(77)).await.unwrap_err().kind, Kind::NotFound);
        world.put(1, slot(3)).await.unwrap();
    });
}

#[test]
fn a_fourth_node_joins_under_load() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::moving(&sim, 3, 8).await;
        let load = world.load(&[1, 2, 3]);
        let before = tokio::time::Instant::now();
        world.join(4, 2).await;
        world.balanced(4).await;
        let took = before.elapsed();
        load.end().await;
        assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
        assert!(took < secs(60), "{took:?}");
        assert!(*world.ledger.longest.lock() < secs(2), "{:?}", world.ledger.longest.lock());
        world.audit().await;
    });
}

#[test]
fn all_nodes_start_again_and_old_fences_lose() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let mut old = Vec::new();
        for number in 1..=3 {
            let toy = world.process(number).toy.clone();
            let slot = *toy.owned.read().iter().next().unwrap();
            old.push(toy.control.fence(slot).await.unwrap());
        }
        (1..=3).for_each(|number| drop(world.kill(number)));
        tokio::time::sleep(secs(3)).await;
        tokio::join!(world.up(1), world.up(2), world.up(3));
        world.balanced(3).await;
        for (number, fence) in old.into_iter().enumerate() {
            let value = 1_000_000 + number as u64;
            let refused = toy::write(&world.store, fence, value, &world.ledger).await;
            assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Fenced));
        }
        for number in 0..60 {
            world.put(1 + number % 3, slot(number * 67)).await.unwrap();
        }
        world.audit().await;
    });
}

#[test]
fn a_removed_node_is_told_so() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let node = world.id(3);
        assert_eq!(world.admin(1).remove(node).await.unwrap_err().kind, Kind::Conflict);
        world.kill(3);
        world.until("dead", secs(10), |s| standing(s, node) == Some(Standing::Dead)).await;
        world.admin(1).remove(node).await.unwrap();
        world.balanced(2).await;
        world
            .until("one voter", secs(30), |status| {
                status.nodes.iter().filter(|node| node.voter).count() == 1
            })
            .await;
        let process = loop {
            match world.start(3).await {
                Ok(process) => break process,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        // Nobody speaks with it; that it serves is not so either.
        let begun = tokio::time::timeout(secs(20), process.node.begin()).await;
        assert!(!matches!(begun, Ok(Ok(()))));
        assert!(process.node.health().is_err());
    });
}

#[test]
fn what_if_and_weights() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 2).await;
        while world.admin(1).rebalance(true).await != Ok(vec![]) {
            tokio::time::sleep(secs(1)).await;
        }
        world.admin(2).set_weight(world.id(2), 300).await.unwrap();
        let planned = world.admin(1).rebalance(true).await.unwrap();
        assert_eq!(planned.len(), 1);
        assert!(planned[0].slots.abs_diff(1024) < 60 && planned[0].to == world.id(2));
        assert_eq!(world.admin(2).rebalance(false).await.unwrap(), planned);
        world
            .until("shared out by weight", secs(60), |status| {
                status.moves == 0 && status.nodes[1].slots.abs_diff(3072) < 60
            })
            .await;
        world.serving().await;
        let error = world.admin(1).set_weight(world.id(2), 0).await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert_eq!(world.admin(1).raise_feature_level(9).await.unwrap_err().kind, Kind::Conflict);
    });
}

#[test]
fn certificates_are_renewed_under_running_links() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 2).await;
        let days = 24 * 3600 * 1000;
        // Each step takes a node past two thirds of its certificate's life, and none past its end.
        for _ in 0..3 {
            sim.clock.step_ms(70 * days);
            tokio::time::sleep(secs(12)).await;
            sim.network.cut(host(1), host(2));
            tokio::time::sleep(secs(2)).await;
            world
                .until("linked", secs(5), |s| s.nodes.iter().all(|n| n.linked != Some(false)))
                .await;
        }
        // What is on the disk is what is in use.
        (1..=2).for_each(|number| drop(world.kill(number)));
        tokio::time::sleep(secs(1)).await;
        tokio::join!(world.up(1), world.up(2));
        world.balanced(2).await;
        world.put(1, slot(9)).await.unwrap();
    });
}

#[test]
fn an_identity_survives_a_power_cut_at_any_time() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 1).await;
        for number in 0..4 {
            world.kill(1);
            world.disk(1).power_cut(sim.random.u64() + number);
            tokio::time::sleep(secs(1)).await;
            world.up(1).await;
            world.serving().await;
        }
        assert_eq!(world.status(1).await.nodes.len(), 1);
    });
}
