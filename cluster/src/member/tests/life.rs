//! Draining, leaving, restarting, growing under load.

use super::toy;
use super::world::{World, host, secs, slot};
use base::env::Random;
use base::env::sim::test_seed;
use base::{Deadline, Kind, NodeId, Slot, Universe};
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

/// A transfer to another server runs in each slot: clients of its mailboxes do not wait for that.
#[test]
fn what_takes_long_ends_before_a_slot_is_sealed() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let load = world.load(&[1, 2, 3]);
        tokio::time::sleep(secs(2)).await;
        *world.process(3).toy.long_work.lock() = Duration::from_millis(450);
        *world.ledger.longest.lock() = Duration::ZERO;
        let node = world.id(3);
        world.admin(2).drain(node).await.unwrap();
        let is = |wanted| move |status: &ClusterStatus| standing(status, node) == Some(wanted);
        world.until("drained", secs(120), is(Standing::Drained)).await;
        load.end().await;
        assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
        let longest = *world.ledger.longest.lock();
        eprintln!("the longest pause: {longest:?}");
        assert!(longest < Duration::from_millis(100), "{longest:?}");
        assert!(*world.process(3).toy.released.lock() > 1000);
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
        // Nobody speaks with it any more: the store tells it.
        let refused = loop {
            match world.start(3).await {
                Err(error) if error.is_temporary() => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                started => break started.err().expect("a removed node has started"),
            }
        };
        assert_eq!(refused.kind, Kind::CannotChange, "{refused}");
        assert!(refused.text.contains("removed"), "{refused}");
    });
}

#[test]
fn a_node_that_is_removed_while_it_waits_for_the_others_is_told_so() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let node = world.id(3);
        world.kill(3);
        world.until("dead", secs(10), |s| standing(s, node) == Some(Standing::Dead)).await;
        world.isolate(3);
        let process = loop {
            match world.start(3).await {
                Ok(process) => break process,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let waiting = process.clone();
        let begun = tokio::spawn(async move { waiting.node.begin().await });
        tokio::time::sleep(secs(2)).await;
        assert!(!begun.is_finished());
        world.admin(1).remove(node).await.unwrap();
        let told = tokio::time::timeout(secs(5), begun).await.expect("never told").unwrap();
        let refused = told.expect_err("a removed node serves");
        assert_eq!(refused.kind, Kind::CannotChange, "{refused}");
        assert!(process.node.health().unwrap_err().contains("removed"));
    });
}

#[test]
fn a_node_is_found_at_another_address() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        // All of them at once, so nobody can tell anybody but through the store; then the one that
        // dials nobody.
        for movers in [vec![1, 2, 3], vec![3]] {
            for number in &movers {
                world.kill(*number);
                world.move_house(*number);
            }
            tokio::time::sleep(secs(2)).await;
            futures::future::join_all(movers.iter().map(|number| world.up(*number))).await;
            world.balanced(3).await;
            let status = world.status(1).await;
            for number in 1..=3 {
                let node = status.nodes.iter().find(|n| n.id == world.id(number)).unwrap();
                assert_eq!(node.address, world.address(number).to_string());
            }
        }
        world.audit().await;
    });
}

/// The last one has nobody to give its slots to; when all are back, they are shared out again.
#[test]
fn all_end_in_order_and_are_in_balance_again() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        for number in 1..=3 {
            let before = tokio::time::Instant::now();
            let process = world.process(number);
            process.node.leave(Deadline::after(secs(15))).await;
            let limit = if number == 3 { secs(1) } else { secs(15) };
            assert!(before.elapsed() < limit, "{number}: {:?}", before.elapsed());
            process.node.stop(Deadline::after(secs(5))).await.unwrap();
            drop(process);
            world.kill(number);
        }
        tokio::time::sleep(secs(3)).await;
        tokio::join!(world.up(1), world.up(2), world.up(3));
        world.balanced(3).await;
        world.audit().await;
    });
}

#[test]
fn nobody_waits_for_others_that_leave_as_well() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::moving(&sim, 2, 1).await;
        let before = tokio::time::Instant::now();
        let ending = [1, 2].map(|number| {
            let process = world.process(number);
            async move {
                process.node.leave(Deadline::after(secs(60))).await;
                process.node.stop(Deadline::after(secs(5))).await
            }
        });
        for ended in futures::future::join_all(ending).await {
            ended.unwrap();
        }
        assert!(before.elapsed() < secs(15), "{:?}", before.elapsed());
    });
}

/// Whoever has begun owns in the store what the map gives it; a store that is lost is told within
/// a second, so is that others have taken over.
#[test]
fn ready_means_that_the_fences_are_there_and_goes_with_the_store_or_the_others() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        (1..=3).for_each(|number| drop(world.kill(number)));
        tokio::time::sleep(secs(3)).await;
        let up = async |number: u64| {
            let process = world.up(number).await;
            let (toy, me) = (process.toy.clone(), world.id(number));
            let mine = Slot::all().filter(|s| toy.control.owner(*s).is_some_and(|o| o.node == me));
            for slot in mine.collect::<Vec<_>>() {
                assert!(toy.owned.read().contains(&slot), "{number} serves without {slot}");
            }
            process.node.health().unwrap();
        };
        tokio::join!(up(1), up(2), up(3));
        world.balanced(3).await;
        let process = world.process(2);
        process.stores.cut(true);
        tokio::time::sleep(secs(1)).await;
        assert!(process.node.store_health().is_err() && process.node.health().is_err());
        process.stores.cut(false);
        tokio::time::sleep(secs(1)).await;
        process.node.store_health().unwrap();
        world.balanced(3).await;
        let leader = world.leader().await;
        let victim = world.numbers().into_iter().find(|number| *number != leader).unwrap();
        let (process, id) = (world.process(victim), world.id(victim));
        world.isolate(victim);
        let taken = |status: &ClusterStatus| standing(status, id) == Some(Standing::Dead);
        while !taken(&world.status(leader).await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(secs(1)).await;
        assert!(process.node.health().unwrap_err().contains("owner of nothing"));
        world.heal(victim);
        world.balanced(3).await;
        process.node.health().unwrap();
    });
}

/// A store that does not answer keeps nobody from beginning for ever; it is told.
#[test]
fn without_the_store_a_start_goes_on_after_a_while() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        world.kill(3);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let process = loop {
            match world.start(3).await {
                Ok(process) => break process,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        process.stores.cut(true);
        let begun = tokio::time::timeout(secs(30), process.node.begin()).await;
        begun.expect("waits for ever").unwrap();
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
