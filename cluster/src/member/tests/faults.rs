//! Nodes that die, and networks that break.

use super::toy;
use super::world::{World, host, rounds, secs};
use base::env::sim::test_seed;
use base::{Kind, Slot, Universe};
use contract_control::{ClusterStatus, Drill, Standing};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// How long the slots of this host's node stay without service from now on, seen through another.
async fn outage(world: &Arc<World>, slots: &[Slot], through: u64) -> Duration {
    let began = tokio::time::Instant::now();
    for slot in slots.iter().step_by(97) {
        world.put(through, *slot).await.unwrap();
    }
    began.elapsed()
}

fn owned(world: &World, number: u64) -> Vec<Slot> {
    world.process(number).toy.owned.read().iter().copied().collect()
}

fn other(world: &World, not: &[u64]) -> u64 {
    world.numbers().into_iter().find(|number| !not.contains(number)).unwrap()
}

#[test]
fn the_slots_of_a_dead_owner_are_taken_over() {
    for round in 0..rounds(1, 4) {
        Universe::simulate(test_seed() + round, async |sim| {
            let world = World::of(&sim, 3).await;
            let leader = world.leader().await;
            let victim = other(&world, &[leader]);
            let survivor = other(&world, &[victim]);
            let lost = owned(&world, victim);
            let load = world.load(&[survivor]);
            let old = world.process(victim).toy.control.fence(lost[0]).await.unwrap();
            let dead = world.kill(victim);
            let took = outage(&world, &lost, survivor).await;
            assert!(took < secs(2), "{took:?}");
            // What the old life had begun cannot be finished.
            let late = toy::write(&world.store, old, 5_000_000, &world.ledger).await;
            assert_eq!(late.map_err(|error| error.kind), Err(Kind::Fenced));
            drop(dead);
            world.balanced(2).await;
            world.up(victim).await;
            world.balanced(3).await;
            load.end().await;
            assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
            world.audit().await;
        });
    }
}

#[test]
fn the_death_of_the_leader_is_survived() {
    for round in 0..rounds(1, 4) {
        Universe::simulate(test_seed() + round, async |sim| {
            let world = World::of(&sim, 3).await;
            let victim = world.leader().await;
            let survivor = other(&world, &[victim]);
            let lost = owned(&world, victim);
            let load = world.load(&[survivor]);
            world.kill(victim);
            let took = outage(&world, &lost, survivor).await;
            // The lease, a vote, a takeover: no time-out of Raft's is waited for.
            assert!(took < Duration::from_millis(1400), "{took:?}");
            world.up(victim).await;
            world.balanced(3).await;
            load.end().await;
            assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
            world.audit().await;
        });
    }
}

#[test]
fn a_node_that_is_cut_off_is_fenced_and_comes_back() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let leader = world.leader().await;
        let victim = other(&world, &[leader]);
        let rest: Vec<u64> = world.numbers().into_iter().filter(|n| *n != victim).collect();
        let lost = owned(&world, victim);
        let load = world.load(&rest);
        // It does not know that it was cut off: its own clients go on, until the fence says no.
        let inside = world.load(&[victim]);
        world.isolate(victim);
        let took = outage(&world, &lost, rest[0]).await;
        assert!(took < secs(3), "{took:?}");
        tokio::time::sleep(secs(5)).await;
        load.end().await;
        assert_eq!(world.ledger.stale.lock().len(), 0);
        world.heal(victim);
        let id = world.id(victim);
        world
            .until("back", secs(30), |status| {
                status.nodes.iter().any(|n| n.id == id && n.standing == Standing::Active)
            })
            .await;
        world.balanced(3).await;
        inside.end().await;
        world.audit().await;
    });
}

/// Calls that are pending at a node go on elsewhere when it is cut off, also while slots are on
/// their way from and to it. Its own clients are told in time that it cannot serve them now.
#[test]
fn a_cut_amid_moves_is_noticed_by_the_clients_of_the_node_alone() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let leader = world.leader().await;
        let victim = other(&world, &[leader]);
        let rest: Vec<u64> = world.numbers().into_iter().filter(|n| *n != victim).collect();
        let (majority, minority) = (world.load(&rest), world.load(&[victim]));
        world.admin(leader).set_weight(world.id(leader), 300).await.unwrap();
        // Each round of moves takes no time here; that some are done shows that more are to come.
        let id = world.id(leader);
        world
            .until("moving", secs(40), |status| {
                status.nodes.iter().any(|node| node.id == id && node.slots > 1450)
            })
            .await;
        world.isolate(victim);
        tokio::time::sleep(secs(12)).await;
        world.heal(victim);
        world
            .until("one again", secs(60), |status| {
                status.nodes.iter().all(|node| node.standing == Standing::Active)
            })
            .await;
        let (majority, minority) = (majority.end().await, minority.end().await);
        assert_eq!(majority.errors, vec![]);
        assert!(majority.answers > 500 && majority.longest < secs(3), "{majority:?}");
        assert!(!minority.errors.is_empty() && minority.longest < secs(10), "{minority:?}");
        assert!(minority.errors.iter().all(base::Error::is_temporary), "{minority:?}");
        world.serving().await;
        world.audit().await;
    });
}

#[test]
fn the_leader_that_is_cut_off_leads_no_more() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let victim = world.leader().await;
        let survivor = other(&world, &[victim]);
        let lost = owned(&world, victim);
        world.isolate(victim);
        let took = outage(&world, &lost, survivor).await;
        assert!(took < secs(6), "{took:?}");
        tokio::time::sleep(secs(3)).await;
        world.heal(victim);
        world.balanced(3).await;
        world.audit().await;
    });
}

#[test]
fn broken_connections_are_no_deaths() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let load = world.load(&[1, 2, 3]);
        let epochs = |world: &World| {
            let toy = world.process(1).toy.clone();
            Slot::all().filter_map(|slot| toy.control.owner(slot)).map(|o| o.epoch.0).sum::<u64>()
        };
        let before = epochs(&world);
        for _ in 0..10 {
            for (a, b) in [(1, 2), (2, 3), (1, 3)] {
                sim.network.cut(host(a), host(b));
            }
            tokio::time::sleep(secs(1)).await;
        }
        load.end().await;
        assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
        assert_eq!(epochs(&world), before, "slots changed hands");
        world.audit().await;
    });
}

#[test]
fn drills_are_real() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let leader = world.leader().await;
        let victim = other(&world, &[leader]);
        let by = other(&world, &[victim]);
        let id = world.id(victim);
        let lost = owned(&world, victim);
        let long = Drill::Isolate { duration_ms: 60_001 };
        assert_eq!(world.admin(by).drill(id, long).await.unwrap_err().kind, Kind::Invalid);
        world.admin(by).drill(id, Drill::Isolate { duration_ms: 5000 }).await.unwrap();
        let took = outage(&world, &lost, by).await;
        assert!(took < secs(3), "{took:?}");
        tokio::time::sleep(secs(8)).await;
        world.balanced(3).await;
        let process = world.process(victim);
        assert!(!process.died.load(SeqCst));
        world.admin(by).drill(id, Drill::Die).await.unwrap();
        tokio::time::sleep(secs(1)).await;
        assert!(process.died.load(SeqCst));
        world.audit().await;
    });
}

#[test]
fn a_faulty_store_loses_nothing() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let faults = store_memory::Faults {
            conflict: 0.05,
            commit_unknown_applied: 0.03,
            commit_unknown_not_applied: 0.03,
            busy: 0.0002,
            interleave: 0.02,
            ..Default::default()
        };
        world.memory.inject(faults);
        let leader = world.leader().await;
        let victim = other(&world, &[leader]);
        let rest: Vec<u64> = world.numbers().into_iter().filter(|n| *n != victim).collect();
        let load = world.load(&rest);
        world.kill(victim);
        world.balanced(2).await;
        world.up(victim).await;
        world.balanced(3).await;
        load.end().await;
        world.memory.inject(store_memory::Faults::default());
        world.audit().await;
    });
}

#[test]
fn the_loss_of_the_store_by_one_node_and_by_all() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let victim = world.leader().await;
        let survivor = other(&world, &[victim]);
        let lost = owned(&world, victim);
        // The leader alone: nobody else would declare its slots free.
        world.process(victim).stores.cut(true);
        let took = outage(&world, &lost, survivor).await;
        assert!(took < secs(6), "{took:?}");
        assert!(world.process(victim).node.health().unwrap_err().contains("store"));
        world.process(victim).stores.cut(false);
        world.balanced(3).await;
        let epochs = |world: &World| {
            let toy = world.process(survivor).toy.clone();
            let owners = Slot::all().filter_map(|slot| toy.control.owner(slot));
            owners.map(|owner| owner.epoch.0).sum::<u64>()
        };
        let before = epochs(&world);
        for number in world.numbers() {
            world.process(number).stores.cut(true);
        }
        tokio::time::sleep(secs(20)).await;
        for number in world.numbers() {
            world.process(number).stores.cut(false);
        }
        tokio::time::sleep(secs(3)).await;
        assert_eq!(epochs(&world), before, "an outage of the store moved slots");
        world.balanced(3).await;
        world.audit().await;
    });
}

#[test]
fn a_node_that_speaks_and_does_not_hear_stops_nobody() {
    for of_the_leader in [false, true] {
        Universe::simulate(test_seed(), async |sim| {
            let world = World::of(&sim, 3).await;
            let leader = world.leader().await;
            let victim = if of_the_leader { leader } else { other(&world, &[leader]) };
            let rest: Vec<u64> = world.numbers().into_iter().filter(|n| *n != victim).collect();
            let lost = owned(&world, victim);
            let load = world.load(&rest);
            world.process(victim).ears.close();
            let took = outage(&world, &lost, rest[0]).await;
            assert!(took < secs(5), "{took:?}");
            tokio::time::sleep(secs(10)).await;
            world.process(victim).ears.open();
            world.balanced(3).await;
            load.end().await;
            assert_eq!(*world.ledger.errors.lock(), Vec::<String>::new());
            world.audit().await;
        });
    }
}

#[test]
fn who_hears_nothing_for_a_moment_is_no_reason_for_an_election() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::of(&sim, 3).await;
        let leader = world.leader().await;
        let load = world.load(&[leader]);
        let before = world.status(leader).await.term;
        for round in 0..rounds(3, 6) {
            let victim = other(&world, &[leader, round % 3 + 1]);
            // Less than the time after which Raft itself would stand.
            world.process(victim).ears.close();
            tokio::time::sleep(Duration::from_millis(1300)).await;
            world.process(victim).ears.open();
            tokio::time::sleep(secs(5)).await;
        }
        assert_eq!(world.status(leader).await.term, before);
        assert_eq!(world.leader().await, leader);
        load.end().await;
        world.balanced(3).await;
        world.audit().await;
    });
}

#[test]
fn a_node_whose_store_is_slow_gives_its_slots_away_until_it_is_well() {
    // The leader must judge itself.
    for of_the_leader in [true, false].into_iter().take(rounds(1, 2) as usize) {
        Universe::simulate(test_seed(), async |sim| {
            let world = World::of(&sim, 3).await;
            let leader = world.leader().await;
            let victim = if of_the_leader { leader } else { other(&world, &[leader]) };
            let rest: Vec<u64> = world.numbers().into_iter().filter(|n| *n != victim).collect();
            let id = world.id(victim);
            let slots = |status: &ClusterStatus| {
                status.nodes.iter().find(|node| node.id == id).map_or(0, |node| node.slots)
            };
            let load = world.load(&rest);
            world.process(victim).stores.lengthen(Duration::from_millis(300));
            let begun = tokio::time::Instant::now();
            world.until("drained", secs(40), |status| slots(status) == 0).await;
            assert!(begun.elapsed() > secs(10), "it was not given time");
            assert_eq!(load.end().await.errors, vec![]);
            // Slow or not, a store that everybody reaches at the same pace is no reason.
            for number in &rest {
                world.process(*number).stores.lengthen(Duration::from_millis(100));
            }
            let load = world.load(&rest[..1]);
            tokio::time::sleep(secs(20)).await;
            load.end().await;
            assert_eq!(slots(&world.status(rest[0]).await), 0, "it is still slow");
            world.numbers().iter().for_each(|number| {
                world.process(*number).stores.lengthen(Duration::ZERO);
            });
            let begun = tokio::time::Instant::now();
            world.until("back", secs(180), |status| slots(status) > 0).await;
            assert!(begun.elapsed() > secs(20), "it had no time to rest");
            world.balanced(3).await;
            world.audit().await;
        });
    }
}
