//! The plan of a run's faults, all from its seed.

use crate::random::Random;
use crate::switch::rules::Kind;
use std::time::Duration;

/// Which node is hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The owner of this user's mailbox, by the user's number.
    OwnerOf(usize),
    /// Raft's leader.
    Leader,
    /// This node.
    Node(usize),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blow {
    /// How long all is well before it.
    pub after: Duration,
    /// Whom it hits.
    pub victim: Victim,
    /// How long the victim stays down.
    pub down: Duration,
}

/// So many blows at a world of so many nodes and users: owners mostly, the leader every fourth time,
/// sometimes anybody.
#[must_use]
pub fn blows(seed: u64, count: u64, nodes: usize, users: usize) -> Vec<Blow> {
    let mut random = Random::new(seed, 910_000);
    let mut blow = |number: u64| {
        let after = Duration::from_millis(1_000) + random.below_ms(3_000);
        let down = Duration::from_millis(200) + random.below_ms(2_500);
        let owner = Victim::OwnerOf(random.range(0..users as u64) as usize);
        let node = Victim::Node(random.range(0..nodes as u64) as usize);
        let victim = match number % 4 {
            1 => Victim::Leader,
            3 => node,
            _ => owner,
        };
        Blow { after, victim, down }
    };
    (0..count).map(&mut blow).collect()
}

/// So many partitions of a world of so many nodes: each kind in turn, of seeded nodes, and the first
/// by the seed, so that short runs of some seeds have all kinds.
#[must_use]
pub fn partitions(seed: u64, count: u64, nodes: usize) -> Vec<Kind> {
    let mut random = Random::new(seed, 920_000);
    let mut partition = |number: u64| {
        let number = seed % 6 + number;
        let node = random.range(0..nodes as u64) as usize;
        let other = (node + 1 + random.range(0..nodes as u64 - 1) as usize) % nodes;
        match number % 6 {
            0 => Kind::Isolated(node),
            1 => Kind::Mute(node),
            2 => Kind::Bridge(node, other),
            3 => Kind::Deaf(node),
            4 => Kind::StoreLess(node),
            _ => Kind::Ring,
        }
    };
    (0..count).map(&mut partition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_a_long_one_hits_everybody() {
        assert_eq!(blows(7, 50, 3, 8), blows(7, 50, 3, 8));
        assert_ne!(blows(7, 50, 3, 8), blows(8, 50, 3, 8));
        let victims: Vec<Victim> = blows(7, 100, 3, 8).iter().map(|blow| blow.victim).collect();
        let all =
            (0..3).map(Victim::Node).chain((0..8).map(Victim::OwnerOf)).chain([Victim::Leader]);
        for victim in all {
            assert!(victims.contains(&victim), "{victim:?}");
        }
        assert!(blows(7, 6, 3, 8).iter().any(|blow| blow.victim == Victim::Leader));
    }

    #[test]
    fn six_partitions_are_of_six_kinds_and_a_bridge_has_two_ends() {
        let firsts = (0..6).map(|seed| std::mem::discriminant(&partitions(seed, 1, 3)[0]));
        assert_eq!(firsts.collect::<std::collections::HashSet<_>>().len(), 6);
        for seed in 0..50 {
            let kinds = partitions(seed, 6, 3);
            let mut names: Vec<_> = kinds.iter().map(std::mem::discriminant).collect();
            names.dedup();
            assert_eq!(names.len(), 6);
            let bridge = kinds.iter().find_map(|kind| match kind {
                Kind::Bridge(a, b) => Some((a, b)),
                _ => None,
            });
            assert!(bridge.is_some_and(|(a, b)| a != b && *b < 3));
        }
    }
}
