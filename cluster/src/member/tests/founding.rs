//! Founding, joining, and who may not.

use super::world::{World, secs, slot};
use base::env::sim::test_seed;
use base::{Kind, NodeId, Universe};
use contract_control::Standing;

#[test]
fn one_founds_and_others_join() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::new(&sim);
        world.up(1).await;
        world.serving().await;
        assert_eq!(world.put(1, slot(7)).await, Ok(NodeId(1)));
        let status = world.admin(1).status(true).await.unwrap();
        assert_eq!((status.leader, status.nodes.len()), (Some(NodeId(1)), 1));
        assert_eq!((status.nodes[0].slots, status.nodes[0].name.as_str()), (4096, "host1"));
        world.join(2, 1).await;
        world.join(3, 2).await;
        world.balanced(3).await;
        let status = world.status(3).await;
        assert_eq!(status.nodes.iter().filter(|node| node.voter).count(), 3, "{status:#?}");
        assert!(status.outlook[0].contains("All 3 nodes serve"), "{:?}", status.outlook);
        for through in 1..=3 {
            for number in 0..40 {
                world.put(through, slot(number * 101)).await.unwrap();
            }
            world.process(through).node.health().unwrap();
        }
        world.audit().await;
    });
}

#[test]
fn of_two_founders_one_is_told_to_join() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::new(&sim);
        let (one, two) = tokio::join!(world.start(1), world.start(2));
        let (winner, refused) = match (&one, &two) {
            (Ok(_), Err(error)) => (1, error.clone()),
            (Err(error), Ok(_)) => (2, error.clone()),
            _ => panic!("{:?} and {:?}", one.err(), two.err()),
        };
        assert_eq!(refused.kind, Kind::CannotChange);
        assert!(refused.text.contains("rialto node join"), "{refused}");
        drop((one, two));
        world.kill(winner);
        world.up(winner).await;
        // Who lost asks as it was told to, with the key that it has drawn.
        world.join(3 - winner, winner).await;
        world.balanced(2).await;
    });
}

#[test]
fn attack_a_token_lets_in_one_node_and_a_lost_answer_costs_nothing() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::new(&sim);
        world.up(1).await;
        let token = world.admin(1).invite(60).await.unwrap();
        let kind = |refused: base::Result<NodeId>| refused.map_err(|error| error.kind);
        let first = world.ask_to_join(2, 1, token.clone()).await.unwrap();
        assert_eq!(world.ask_to_join(2, 1, token.clone()).await, Ok(first), "once more");
        assert_eq!(kind(world.ask_to_join(3, 1, token).await), Err(Kind::BadCredentials));
        let late = world.admin(1).invite(1).await.unwrap();
        tokio::time::sleep(secs(2)).await;
        assert_eq!(kind(world.ask_to_join(3, 1, late).await), Err(Kind::BadCredentials));
        for life in [0, 86_401] {
            assert_eq!(world.admin(1).invite(life).await.map_err(|e| e.kind), Err(Kind::Invalid));
        }
        let status = world.status(1).await;
        let standing: Vec<Standing> = status.nodes.iter().map(|node| node.standing).collect();
        assert_eq!(standing, [Standing::Active, Standing::Joining]);
    });
}

#[test]
fn a_single_nodes_store_becomes_a_clusters() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::new(&sim);
        let single = crate::SingleNode::start(world.store.clone(), &sim.env()).await.unwrap();
        let old = contract_control::Control::fence(&*single, slot(5)).await.unwrap();
        world.up(1).await;
        world.serving().await;
        world.put(1, slot(5)).await.unwrap();
        let refused = super::toy::write(&world.store, old, 99, &world.ledger).await;
        assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Fenced));
        let again = crate::SingleNode::start(world.store.clone(), &sim.env()).await;
        assert_eq!(again.err().map(|error| error.kind), Some(Kind::CannotChange));
        world.audit().await;
    });
}

#[test]
fn a_node_that_has_lost_its_log_does_not_come_back() {
    Universe::simulate(test_seed(), async |sim| {
        let world = World::new(&sim);
        world.up(1).await;
        world.kill(1);
        tokio::time::sleep(secs(1)).await;
        let disk = world.disk(1);
        base::env::Disk::remove(&disk, std::path::Path::new("/data/cluster/raft.redb")).unwrap();
        let refused = world.start(1).await.err().unwrap();
        assert_eq!(refused.kind, Kind::CannotChange, "{refused}");
    });
}
