//! Clusters that lose nodes, links and power.

use super::world::{LONG, World};
use crate::placement::{Command, Outcome};
use base::env::sim::test_seed as drawn_seed;
use base::{Kind, NodeId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Small enough to be added to.
fn test_seed() -> u64 {
    drawn_seed() % 1_000_000
}

fn weigh(weight: u32) -> Command {
    Command::SetWeight { node: NodeId(1), weight }
}

async fn weight_of(world: &World, node: NodeId) -> u32 {
    let read = world.node(node).read(LONG).await.unwrap();
    read.state.node(NodeId(1)).unwrap().profile.weight
}

#[tokio::test(start_paused = true)]
async fn three_nodes_elect_commit_and_read_everywhere() {
    let world = World::founded(test_seed(), 3).await;
    assert_eq!(world.propose(&weigh(101)).await, Ok(Outcome::Done));
    for id in world.ids() {
        assert_eq!(weight_of(&world, id).await, 101, "read at {id}");
    }
    let applied = world.leader().await.applied().borrow().clone();
    assert_eq!(applied.voters, world.ids().into_iter().collect::<BTreeSet<_>>());
    world.agree().await;
}

#[tokio::test(start_paused = true)]
async fn the_leaders_death_costs_an_election_and_nothing_else() {
    let mut world = World::founded(test_seed() + 1, 3).await;
    world.propose(&weigh(102)).await.unwrap();
    let dead = world.leader().await.id();
    world.kill(dead).await;
    assert_eq!(world.propose(&weigh(103)).await, Ok(Outcome::Done));
    assert_ne!(world.leader().await.id(), dead);
    world.start(dead).await;
    world.agree().await;
    assert_eq!(weight_of(&world, dead).await, 103);
}

#[tokio::test(start_paused = true)]
async fn all_nodes_start_again_from_their_disks_after_a_power_cut() {
    let mut world = World::founded(test_seed() + 2, 3).await;
    for round in 0..3 {
        // Past a snapshot, so that the state comes from it and from the log.
        for weight in 1..30 {
            world.propose(&weigh(200 + 100 * round + weight)).await.unwrap();
        }
        let ids = world.ids();
        for id in &ids {
            world.kill(*id).await;
            world.power_cut(*id);
        }
        for id in &ids {
            world.start(*id).await;
        }
        world.agree().await;
        assert_eq!(weight_of(&world, ids[1]).await, 229 + 100 * round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_minority_decides_nothing_and_a_partition_heals() {
    let world = World::founded(test_seed() + 3, 3).await;
    let old = world.leader().await;
    world.isolate(&[old.id()]);
    let refused = old.propose(&weigh(666), Duration::from_secs(3)).await;
    assert_eq!(refused.map_err(|e| e.kind), Err(Kind::Timeout));
    let read = old.read(Duration::from_secs(3)).await;
    assert_eq!(read.map(|_| ()).map_err(|e| e.kind), Err(Kind::Timeout), "a stale read");
    let other = world.ids().into_iter().find(|id| *id != old.id()).unwrap();
    let done = world.node(other).propose(&weigh(104), LONG).await.unwrap();
    assert_eq!(done, Ok(Outcome::Done));
    world.heal();
    world.agree().await;
    assert_eq!(weight_of(&world, old.id()).await, 104);
}

#[tokio::test(start_paused = true)]
async fn a_one_way_cut_does_not_stop_the_cluster() {
    let world = World::founded(test_seed() + 4, 3).await;
    let leader = world.leader().await.id();
    let deaf = world.ids().into_iter().find(|id| *id != leader).unwrap();
    world.cut_one_way(leader, deaf);
    for weight in 110..115 {
        let from = world.ids().into_iter().find(|id| *id != deaf).unwrap();
        world.node(from).propose(&weigh(weight), LONG).await.unwrap().unwrap();
    }
    world.heal();
    world.agree().await;
    assert_eq!(weight_of(&world, deaf).await, 114);
}

#[tokio::test(start_paused = true)]
async fn nodes_join_and_are_removed() {
    let mut world = World::founded(test_seed() + 5, 3).await;
    let fourth = world.join(40).await;
    let applied = world.leader().await.applied().borrow().clone();
    assert_eq!((applied.voters.len(), applied.learners.len()), (3, 1));
    assert!(applied.learners.contains(&fourth));
    // A voter is drained and removed: the fourth takes its place.
    let leader = world.leader().await.id();
    let gone = world.ids().into_iter().find(|id| *id != leader && *id != fourth && id.0 != 1);
    let gone = gone.unwrap();
    world.propose(&Command::Drain { node: gone }).await.unwrap();
    world.propose(&Command::Remove { node: gone }).await.unwrap();
    world.mend().await;
    let applied = world.leader().await.applied().borrow().clone();
    assert!(applied.voters.contains(&fourth) && !applied.voters.contains(&gone));
    assert!(!applied.learners.contains(&gone));
    world.kill(gone).await;
    world.agree().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_far_behind_gets_the_snapshot() {
    let mut world = World::founded(test_seed() + 6, 3).await;
    let leader = world.leader().await.id();
    let behind = world.ids().into_iter().find(|id| *id != leader).unwrap();
    world.kill(behind).await;
    for weight in 300..450 {
        world.propose(&weigh(weight)).await.unwrap();
    }
    let node = world.start(behind).await;
    assert!(node.applied().borrow().index < 100, "it knows already");
    world.agree().await;
    assert_eq!(weight_of(&world, behind).await, 449);
    // What it got is on its disk as well.
    world.kill(behind).await;
    world.power_cut(behind);
    let node = world.start(behind).await;
    assert!(node.applied().borrow().index > 100, "the snapshot was not kept");
    world.agree().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_speaks_in_another_nodes_name() {
    let world = World::founded(test_seed() + 7, 3).await;
    let leader = world.leader().await;
    let other = world.ids().into_iter().find(|id| *id != leader.id()).unwrap();
    let vote = super::super::message::Request::Vote(openraft::raft::VoteRequest {
        vote: openraft::Vote::new(1_000_000, other.0),
        last_log_id: None,
    });
    let bytes = super::super::message::encode(&vote).unwrap();
    let refused = leader.serve(NodeId(999), &bytes).await;
    assert_eq!(refused.map_err(|e| e.kind), Err(Kind::Denied));
    assert!(leader.serve(other, &[1, 99]).await.is_err());
}

/// Many short lives: whatever is cut and killed, what was answered stays and all agree in the end.
#[tokio::test(start_paused = true)]
async fn what_was_answered_stays() {
    let seed = test_seed() + 8;
    for round in 0..4 {
        let mut world = World::founded(seed + 100 * round, 3).await;
        let ids = world.ids();
        let mut answered = 0;
        for step in 0u32..8 {
            let victim = ids[(seed as usize + step as usize * 7) % 3];
            let witness = *ids.iter().find(|id| **id != victim).unwrap();
            match (seed + u64::from(step)) % 3 {
                0 => world.isolate(&[victim]),
                1 => world.cut_one_way(victim, witness),
                _ => {
                    world.kill(victim).await;
                    world.power_cut(victim);
                }
            }
            let weight = 1000 + step;
            let done = world.node(witness).propose(&weigh(weight), Duration::from_secs(10)).await;
            if done.is_ok() {
                answered = weight;
            }
            world.heal();
            if !world.ids().contains(&victim) {
                world.start(victim).await;
            }
            let now = weight_of(&world, witness).await;
            assert!(now >= answered, "seed {seed}, round {round}: {now} after {answered}");
        }
        world.agree().await;
    }
}
