//! Which other nodes watch mailboxes that are served here.
//!
//! A row for each mailbox and node, some 60 bytes; no actor, no task but while there is news on its
//! way. A node says every 20 s what it watches; what was not said for a while is forgotten, and so
//! is what there is no room for: its node then looks into the store each time it asks.

use super::Standing;
use base::{AccountId, Change, Epoch, NodeId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many rows there may be: 16 MB or so.
const INTERESTS_MAX: usize = 200_000;

/// How long a row lasts without being renewed; three renewals.
const LIFE: Duration = Duration::from_secs(60);

/// How often rows that have had their time are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The interest of other nodes.
#[derive(Default)]
pub(super) struct Interests {
    table: Mutex<Table>,
    /// Whether there may be any: most commits of a single node look no further.
    any: AtomicBool,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<(AccountId, NodeId), Interest>,
    /// What is to be told to whom; there is an entry while a task tells that node.
    news: HashMap<NodeId, HashMap<AccountId, Change>>,
    swept: Duration,
}

struct Interest {
    /// The owner's generation when the node was told that changes will be: an interest of an
    /// earlier one has a gap.
    epoch: Epoch,
    /// By the monotonic clock.
    until: Duration,
    /// The newest change since.
    newest: Change,
}

impl Interests {
    /// Notes what a node watches, each mailbox with the epoch under which it is served here.
    pub(super) fn register(
        &self,
        node: NodeId,
        asked: impl Iterator<Item = (AccountId, Option<Epoch>)>,
        now: Duration,
    ) -> Vec<Standing> {
        self.any.store(true, Ordering::Release);
        let mut table = self.table.lock();
        table.sweep(now);
        let standing = |(mailbox, epoch): (AccountId, Option<Epoch>)| match epoch {
            None => Standing::Elsewhere,
            Some(epoch) => table.register((mailbox, node), epoch, now),
        };
        asked.map(standing).collect()
    }

    /// Notes that a mailbox has changed; gives the nodes that a task must be started for, to tell
    /// them what [`Interests::take`] gives.
    pub(super) fn note(&self, mailbox: AccountId, change: Change, now: Duration) -> Vec<NodeId> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut table = self.table.lock();
        table.sweep(now);
        if table.rows.is_empty() {
            self.any.store(false, Ordering::Release);
        }
        table.note(mailbox, change, now)
    }

    /// What is to be told to a node, at most `max` mailboxes; `None` ends the task that tells.
    pub(super) fn take(&self, node: NodeId, max: usize) -> Option<Vec<(AccountId, Change)>> {
        let mut table = self.table.lock();
        let news = table.news.get_mut(&node)?;
        if news.is_empty() {
            table.news.remove(&node);
            return None;
        }
        if news.len() <= max {
            return Some(news.drain().collect());
        }
        let some: Vec<_> = news.iter().take(max).map(|(of, change)| (*of, *change)).collect();
        for (mailbox, _) in &some {
            news.remove(mailbox);
        }
        Some(some)
    }
}

impl Table {
    fn register(&mut self, key: (AccountId, NodeId), epoch: Epoch, now: Duration) -> Standing {
        let until = now + LIFE;
        let full = self.rows.len() >= INTERESTS_MAX;
        match self.rows.get_mut(&key) {
            Some(known) if known.epoch == epoch && known.until >= now => {
                known.until = until;
                return Standing::Since(known.newest);
            }
            None if full => {
                metrics::counter!("rialto_mailbox_interests_refused_total").increment(1);
            }
            _ => {
                self.rows.insert(key, Interest { epoch, until, newest: Change(0) });
            }
        }
        Standing::New
    }

    fn note(&mut self, mailbox: AccountId, change: Change, now: Duration) -> Vec<NodeId> {
        let mut begin = Vec::new();
        let all = (mailbox, NodeId(0))..=(mailbox, NodeId(u64::MAX));
        for ((_, node), known) in self.rows.range_mut(all) {
            if known.until < now || change <= known.newest {
                continue;
            }
            known.newest = change;
            let news = self.news.entry(*node).or_insert_with(|| {
                begin.push(*node);
                HashMap::new()
            });
            news.insert(mailbox, change);
        }
        begin
    }

    fn sweep(&mut self, now: Duration) {
        if now >= self.swept + SWEEP_EVERY {
            self.swept = now;
            self.rows.retain(|_, known| known.until >= now);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MAILBOX: AccountId = AccountId(5);
    const THEM: NodeId = NodeId(2);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn register(interests: &Interests, epoch: u64, now: u64) -> Standing {
        let asked = [(MAILBOX, Some(Epoch(epoch)))];
        interests.register(THEM, asked.into_iter(), at(now))[0]
    }

    #[test]
    fn a_renewed_interest_has_no_gap() {
        let interests = Interests::default();
        assert_eq!(register(&interests, 1, 0), Standing::New);
        assert_eq!(register(&interests, 1, 20), Standing::Since(Change(0)));
        assert_eq!(interests.note(MAILBOX, Change(7), at(30)), [THEM]);
        assert_eq!(register(&interests, 1, 40), Standing::Since(Change(7)));
        // Another owner meanwhile, or silence for too long.
        assert_eq!(register(&interests, 3, 50), Standing::New);
        assert_eq!(register(&interests, 3, 111), Standing::New);
        let elsewhere = interests.register(THEM, [(MAILBOX, None)].into_iter(), at(112));
        assert_eq!(elsewhere, [Standing::Elsewhere]);
    }

    #[test]
    fn one_message_at_a_time_with_the_newest() {
        let interests = Interests::default();
        assert!(interests.note(MAILBOX, Change(1), at(0)).is_empty());
        register(&interests, 1, 0);
        assert_eq!(interests.note(MAILBOX, Change(2), at(1)), [THEM]);
        assert_eq!(interests.take(THEM, 10).unwrap(), [(MAILBOX, Change(2))]);
        for change in [4, 3, 5] {
            assert!(interests.note(MAILBOX, Change(change), at(1)).is_empty(), "one is on its way");
        }
        assert_eq!(interests.take(THEM, 10).unwrap(), [(MAILBOX, Change(5))]);
        assert_eq!(interests.take(THEM, 10), None);
        assert_eq!(interests.note(MAILBOX, Change(6), at(1)), [THEM]);
        // Who has not been heard of for long is told nothing more.
        interests.take(THEM, 10);
        interests.take(THEM, 10);
        assert!(interests.note(MAILBOX, Change(7), at(100)).is_empty());
        assert!(!interests.any.load(Ordering::Acquire), "nothing is looked up any more");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let interests = Interests::default();
        let many =
            |from: u64, count: u64| (from..from + count).map(|id| (AccountId(id), Some(Epoch(1))));
        interests.register(THEM, many(10, INTERESTS_MAX as u64), at(0));
        assert_eq!(register(&interests, 1, 1), Standing::New);
        assert_eq!(register(&interests, 1, 1), Standing::New, "there is no room for it");
        let news = interests.note(AccountId(10), Change(1), at(2));
        assert_eq!(news, [THEM]);
        for id in 11..2_000 {
            interests.note(AccountId(id), Change(1), at(2));
        }
        assert_eq!(interests.take(THEM, 1_000).unwrap().len(), 1_000);
        assert_eq!(interests.take(THEM, 1_000).unwrap().len(), 990);
        assert_eq!(register(&interests, 1, 100), Standing::New);
        assert_eq!(register(&interests, 1, 100), Standing::Since(Change(0)), "there is room again");
    }
}
