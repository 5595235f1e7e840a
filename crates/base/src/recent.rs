//! What was used lately, within a bound: the one cache of everything that is read again and never
//! changes.
//!
//! Two generations of half the bound each. What is used moves to the younger one; when that is
//! full it becomes the older one, and what was not used meanwhile goes. So nothing is ordered, and
//! nothing is counted at each use.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;

/// A bounded cache. Values are cheap to clone.
#[derive(Debug)]
pub struct Recent<K, V> {
    generation_max: usize,
    generations: Mutex<Generations<K, V>>,
}

type Generation<K, V> = HashMap<K, (V, usize)>;

#[derive(Debug)]
struct Generations<K, V> {
    young: Generation<K, V>,
    young_weight: usize,
    old: Generation<K, V>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// An empty one, for values that together weigh so much at most, in whatever unit.
    pub fn new(weight_max: usize) -> Self {
        let generations =
            Generations { young: HashMap::new(), young_weight: 0, old: HashMap::new() };
        Self { generation_max: weight_max / 2, generations: Mutex::new(generations) }
    }

    /// What is known under a key; it stays known for longer now.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.generations.lock();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = generations.old.remove_entry(key)?;
        let found = value.clone();
        let gone = generations.put(key, value, weight, self.generation_max);
        drop(generations);
        drop(gone);
        Some(found)
    }

    /// Keeps a value that weighs so much. One that is heavier than half the bound is not kept.
    pub fn put(&self, key: K, value: V, weight: usize) {
        if weight > self.generation_max {
            return;
        }
        let gone = self.generations.lock().put(key, value, weight, self.generation_max);
        // Freeing a whole generation takes its time; nobody else waits for it.
        drop(gone);
    }

    /// Forgets a value.
    pub fn remove(&self, key: &K) {
        let mut generations = self.generations.lock();
        if let Some((_, weight)) = generations.young.remove(key) {
            generations.young_weight -= weight;
        }
        generations.old.remove(key);
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// Gives what has to go.
    fn put(&mut self, key: K, value: V, weight: usize, max: usize) -> Generation<K, V> {
        let mut gone = HashMap::new();
        if self.young_weight + weight > max {
            gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.young_weight = 0;
        }
        self.young_weight += weight;
        if let Some((_, before)) = self.young.insert(key, (value, weight)) {
            self.young_weight -= before;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(recent: &Recent<usize, usize>) -> usize {
        let generations = recent.generations.lock();
        let weights = |generation: &Generation<usize, usize>| {
            generation.values().map(|(_, weight)| weight).sum::<usize>()
        };
        assert_eq!(weights(&generations.young), generations.young_weight);
        weights(&generations.young) + weights(&generations.old)
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let recent = Recent::new(100);
        for n in 0..500 {
            recent.put(n, n * 2, 1 + n % 7);
            assert_eq!(recent.get(&0), Some(0), "after {n}");
            assert!(weight(&recent) <= 100, "after {n}");
        }
        assert_eq!(recent.get(&499), Some(998));
        assert_eq!(recent.get(&1), None);
    }

    #[test]
    fn what_is_too_heavy_replaced_or_removed_weighs_nothing() {
        let recent = Recent::new(100);
        recent.put(1, 1, 51);
        assert_eq!((recent.get(&1), weight(&recent)), (None, 0));
        recent.put(1, 1, 30);
        recent.put(1, 2, 10);
        assert_eq!((recent.get(&1), weight(&recent)), (Some(2), 10));
        recent.put(2, 2, 45);
        assert_eq!(recent.generations.lock().old.len(), 1);
        recent.remove(&1);
        recent.remove(&2);
        assert_eq!((recent.get(&1), recent.get(&2), weight(&recent)), (None, None, 0));
    }
}
