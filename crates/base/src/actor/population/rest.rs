//! Keys whose actors were refused by the fence: their slot is another node's, or on its way here.
//!
//! A start costs nothing there and is refused at once, so everybody who waits for the slot would
//! cause one after the other. Instead the next start waits a little, longer each time, and all who
//! come meanwhile wait for that one; it waits no more when the slot is said to be here.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// How long the first rest is; each further one is twice as long.
pub(super) const REST_FIRST: Duration = Duration::from_millis(50);

/// The longest rest: so late a slot is noticed whose coming nobody tells.
pub(super) const REST_LONGEST: Duration = Duration::from_millis(400);

/// For how long after its end a rest makes the next one longer.
const REMEMBERED: Duration = Duration::from_secs(2);

/// How many keys may rest; 1 MB or so. Beyond that they are started as often as they are asked for.
const RESTS_MAX: usize = 10_000;

/// The rests of a population.
pub(super) struct Rests<K> {
    by_key: HashMap<K, Rest>,
}

struct Rest {
    until: Instant,
    length: Duration,
}

impl<K> Default for Rests<K> {
    fn default() -> Self {
        Self { by_key: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> Rests<K> {
    /// A start was refused by the fence.
    pub(super) fn refused(&mut self, key: &K, now: Instant) {
        let length = match self.by_key.get(key) {
            Some(last) if now < last.until + REMEMBERED => (last.length * 2).min(REST_LONGEST),
            _ => REST_FIRST,
        };
        if self.by_key.len() >= RESTS_MAX {
            self.forget(now);
        }
        if self.by_key.len() < RESTS_MAX || self.by_key.contains_key(key) {
            self.by_key.insert(key.clone(), Rest { until: now + length, length });
        }
    }

    /// Until when a key rests; `None` if it does not.
    pub(super) fn until(&self, key: &K, now: Instant) -> Option<Instant> {
        self.by_key.get(key).map(|rest| rest.until).filter(|until| *until > now)
    }

    /// Ends the rests of some keys, as if they had never been refused.
    pub(super) fn end(&mut self, which: impl Fn(&K) -> bool) {
        self.by_key.retain(|key, _| !which(key));
    }

    /// A key's actor has started.
    pub(super) fn started(&mut self, key: &K) {
        self.by_key.remove(key);
    }

    /// Forgets what does not count any more.
    pub(super) fn forget(&mut self, now: Instant) {
        self.by_key.retain(|_, rest| now < rest.until + REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rests_grow_end_and_are_forgotten() {
        let (mut rests, begun) = (Rests::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        let rested = |rests: &Rests<u32>, now| {
            rests.until(&1, now).map(|until| until.duration_since(begun).as_millis())
        };
        assert_eq!(rested(&rests, at(0)), None);
        for (now, until) in [(0, 50), (50, 150), (200, 400), (400, 800), (800, 1_200)] {
            rests.refused(&1, at(now));
            assert_eq!(rested(&rests, at(now)), Some(until), "refused at {now}");
            assert_eq!(rested(&rests, at(u64::try_from(until).unwrap_or(0))), None);
        }
        rests.refused(&1, at(10_000));
        assert_eq!(rested(&rests, at(10_000)), Some(10_050), "from the beginning again");
        rests.end(|key| *key == 1);
        assert_eq!(rested(&rests, at(10_000)), None);
        (0..20_000).for_each(|key| rests.refused(&key, at(20_000)));
        assert_eq!(rests.by_key.len(), RESTS_MAX);
        rests.refused(&30_000, at(30_000));
        assert_eq!(rests.by_key.len(), 1);
    }
}
