//! Who is cut off from whom, and how slow whom: by direction, to be changed while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A node of the world, by its number.
    Node(usize),
    /// The store.
    Store,
    /// Nobody that the world started: no rule concerns it.
    Stranger,
}

/// What happens to bytes from one party to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// Nothing passes.
    pub cut: bool,
    /// How much later everything comes; up to a tenth more, by the seed.
    pub delay: Duration,
    /// How much passes at most.
    pub bytes_per_second: Option<u64>,
}

type Table = BTreeMap<(Party, Party), Rule>;

/// The rules of a switch; clones are the same rules.
#[derive(Debug, Clone)]
pub struct Rules(Arc<watch::Sender<Table>>);

impl Default for Rules {
    fn default() -> Rules {
        Rules(Arc::new(watch::Sender::new(Table::new())))
    }
}

impl Rules {
    /// Cuts these directions, besides those that are cut.
    pub fn cut(&self, pairs: &[(Party, Party)]) {
        self.0.send_modify(|table| {
            for pair in pairs {
                table.entry(*pair).or_default().cut = true;
            }
        });
    }

    /// Slows these directions down.
    pub fn slow(&self, pairs: &[(Party, Party)], delay: Duration, bytes_per_second: Option<u64>) {
        self.0.send_modify(|table| {
            for pair in pairs {
                let rule = table.entry(*pair).or_default();
                (rule.delay, rule.bytes_per_second) = (delay, bytes_per_second);
            }
        });
    }

    /// No more rules.
    pub fn heal(&self) {
        self.0.send_modify(Table::clear);
    }

    /// The rule for a direction now.
    #[must_use]
    pub fn get(&self, from: Party, to: Party) -> Rule {
        self.0.borrow().get(&(from, to)).copied().unwrap_or_default()
    }

    /// Waits until the direction is not cut.
    pub async fn open(&self, from: Party, to: Party) {
        let is_open = |table: &Table| table.get(&(from, to)).is_none_or(|rule| !rule.cut);
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(is_open).await;
    }
}

/// A way for a network to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One node and all others do not hear each other.
    Isolated(usize),
    /// The others do not hear one node, which hears them.
    Mute(usize),
    /// One node does not hear the others, which hear it.
    Deaf(usize),
    /// Two nodes do not hear each other; all others hear both.
    Bridge(usize, usize),
    /// Each node hears only the next one: messages go round one way.
    Ring,
    /// One node and the store do not hear each other.
    StoreLess(usize),
}

/// The directions that are cut, of a world of so many nodes.
#[must_use]
pub fn cuts(kind: Kind, nodes: usize) -> Vec<(Party, Party)> {
    let all = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    let is_cut = |from: usize, to: usize| match kind {
        Kind::Isolated(node) => from == node || to == node,
        Kind::Mute(node) => from == node,
        Kind::Deaf(node) => to == node,
        Kind::Bridge(a, b) => (from, to) == (a, b) || (from, to) == (b, a),
        Kind::Ring => (from + 1) % nodes != to,
        Kind::StoreLess(_) => false,
    };
    let between = all.filter(|(from, to)| from != to && is_cut(*from, *to));
    let mut cuts: Vec<_> = between.map(|(from, to)| (Party::Node(from), Party::Node(to))).collect();
    if let Kind::StoreLess(node) = kind {
        cuts.push((Party::Node(node), Party::Store));
        cuts.push((Party::Store, Party::Node(node)));
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, expected: &[(usize, usize)]) {
        let node = |(from, to): &(usize, usize)| (Party::Node(*from), Party::Node(*to));
        assert_eq!(cuts(kind, 3), expected.iter().map(node).collect::<Vec<_>>(), "{kind:?}");
    }

    #[test]
    fn each_kind_of_partition_of_three() {
        check(Kind::Isolated(1), &[(0, 1), (1, 0), (1, 2), (2, 1)]);
        check(Kind::Mute(0), &[(0, 1), (0, 2)]);
        check(Kind::Deaf(2), &[(0, 2), (1, 2)]);
        check(Kind::Bridge(0, 2), &[(0, 2), (2, 0)]);
        check(Kind::Ring, &[(0, 2), (1, 0), (2, 1)]);
        let store = [(Party::Node(1), Party::Store), (Party::Store, Party::Node(1))];
        assert_eq!(cuts(Kind::StoreLess(1), 3), store);
    }

    #[tokio::test]
    async fn a_cut_waits_for_the_heal_and_a_delay_is_no_cut() {
        let (rules, pair) = (Rules::default(), (Party::Node(0), Party::Node(1)));
        rules.slow(&[pair], Duration::from_millis(5), Some(9));
        rules.open(pair.0, pair.1).await;
        rules.cut(&[pair]);
        let rule = Rule { cut: true, delay: Duration::from_millis(5), bytes_per_second: Some(9) };
        assert_eq!(rules.get(pair.0, pair.1), rule);
        assert_eq!(rules.get(pair.1, pair.0), Rule::default());
        let waiting = {
            let rules = rules.clone();
            tokio::spawn(async move { rules.open(pair.0, pair.1).await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        rules.heal();
        waiting.await.unwrap();
    }
}
