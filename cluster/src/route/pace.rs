//! How long requests take: by this node's services, and by other nodes as seen from here.
//!
//! Whether a node is slow is a question about the node, not about its mailboxes: one in which
//! somebody searches for seconds tells nothing of the others. So times are averaged by slot, and a
//! node's pace is that of the slot in the middle. A slot that has just come to a node tells what it
//! costs to begin with it, which a node that has just started does all the time: it is left out of
//! the reading. What others see of a node counts, too: a node
//! with a bad link does not notice anything itself (differential observability).

use crate::placement::{ClusterState, SlotOwner};
use base::{NodeId, Slot};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Fewer requests than this tell nothing of a node ...
const REQUESTS_MIN: u32 = 10;

/// ... nor do fewer slots.
const SLOTS_MIN: usize = 2;

/// Adds up what requests for slots took, one clock for what was served here and one for what
/// others were asked for.
pub(crate) struct Stopwatch {
    here: Vec<Sum>,
    there: Vec<Sum>,
}

#[derive(Default)]
struct Sum {
    requests: AtomicU32,
    micros: AtomicU64,
}

fn sums() -> Vec<Sum> {
    (0..Slot::COUNT).map(|_| Sum::default()).collect()
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { here: sums(), there: sums() }
    }
}

impl Stopwatch {
    /// A request took so long, here or at another node that still owns the slot.
    pub(super) fn note(&self, is_here: bool, slot: Slot, took: Duration) {
        let sums = if is_here { &self.here } else { &self.there };
        if let Some(sum) = sums.get(usize::from(slot.number())) {
            sum.requests.fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX >> 20);
            sum.micros.fetch_add(micros, Ordering::Relaxed);
        }
    }
}

/// By slot number: how many requests, and how long they took in all.
type Seen = Vec<(u32, u64)>;

/// Readings of a [`Stopwatch`], one every few seconds.
#[derive(Default)]
pub(crate) struct Readings {
    /// The reading before, for nodes that are asked little.
    here: Seen,
    there: Seen,
    /// Whose the slots were then.
    owners: Vec<SlotOwner>,
}

impl Readings {
    /// Takes what was added up since the last reading. Gives the paces of the nodes that were asked
    /// enough, in microseconds: what a request takes on average in the slot in the middle. Only slots
    /// that have not changed hands since count.
    pub(crate) fn read(
        &mut self,
        watch: &Stopwatch,
        state: &ClusterState,
        me: NodeId,
    ) -> Vec<(NodeId, u32)> {
        let owners: Vec<SlotOwner> = Slot::all().map(|slot| state.slot(slot)).collect();
        let before = std::mem::replace(&mut self.owners, owners);
        let stays = |slot: Slot| before.get(usize::from(slot.number())) == Some(&state.slot(slot));
        for seen in [&mut self.here, &mut self.there] {
            let gone = Slot::all().zip(seen).filter(|(slot, _)| !stays(*slot));
            gone.for_each(|(_, sum)| *sum = (0, 0));
        }
        let is_mine = |slot: Slot| state.slot(slot).node() == Some(me);
        let here = taken(&watch.here, |slot| stays(slot) && is_mine(slot));
        let there = taken(&watch.there, |slot| stays(slot) && !is_mine(slot));
        let mut paces = paces(&here, &self.here, state);
        paces.extend(self::paces(&there, &self.there, state));
        (self.here, self.there) = (here, there);
        paces
    }
}

fn taken(sums: &[Sum], counts: impl Fn(Slot) -> bool) -> Seen {
    let take = |(slot, sum): (Slot, &Sum)| {
        let requests = sum.requests.swap(0, Ordering::Relaxed);
        let micros = sum.micros.swap(0, Ordering::Relaxed);
        if counts(slot) { (requests, micros) } else { (0, 0) }
    };
    Slot::all().zip(sums).map(take).collect()
}

/// Of the newest reading, and where that is too little of both.
fn paces(now: &Seen, before: &Seen, state: &ClusterState) -> Vec<(NodeId, u32)> {
    let nothing = std::iter::repeat(&(0, 0));
    let mut by_node: BTreeMap<NodeId, [Vec<(u32, u64)>; 2]> = BTreeMap::new();
    for ((slot, newest), older) in Slot::all().zip(now).zip(before.iter().chain(nothing)) {
        let both = (newest.0.saturating_add(older.0), newest.1.saturating_add(older.1));
        if let (Some(node), true) = (state.slot(slot).node(), both.0 > 0) {
            let [newer, all] = by_node.entry(node).or_default();
            newer.extend(Some(*newest).filter(|newest| newest.0 > 0));
            all.push(both);
        }
    }
    let pace = |(node, [newest, both]): (NodeId, [Vec<(u32, u64)>; 2])| {
        middle(&newest).or_else(|| middle(&both)).map(|pace| (node, pace))
    };
    by_node.into_iter().filter_map(pace).collect()
}

fn middle(slots: &[(u32, u64)]) -> Option<u32> {
    let requests = slots.iter().fold(0u32, |all, (requests, _)| all.saturating_add(*requests));
    if requests < REQUESTS_MIN || slots.len() < SLOTS_MIN {
        return None;
    }
    let mean = |(requests, micros): &(u32, u64)| micros / u64::from((*requests).max(1));
    let mut means: Vec<u64> = slots.iter().map(mean).collect();
    means.sort_unstable();
    let middle = means.get((means.len() - 1) / 2).copied()?;
    Some(u32::try_from(middle).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::placement::tests::{boot, founding, profile};
    use crate::placement::{Command, Share, SlotAt};

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(3);

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    /// Two nodes; the other has the slots from 2000 on.
    fn two() -> ClusterState {
        let mut state = ClusterState::default();
        state.apply(2, &founding()).unwrap();
        let (me, other) = ((ME, 1), (OTHER, 3));
        let alive = |(node, life): (NodeId, u64)| {
            let (boot, profile) = (boot(life), profile(life));
            Command::Alive { node, boot, profile }
        };
        let dead =
            |(node, life): (NodeId, u64), spread| Command::Dead { node, boot: boot(life), spread };
        let share = |state: &ClusterState, to, numbers: std::ops::Range<u16>| {
            let at = |number| SlotAt { slot: slot(number), epoch: state.slot(slot(number)).epoch };
            vec![Share { to, slots: numbers.map(at).collect() }]
        };
        state.apply(3, &Command::Join { token: 3, profile: profile(3) }).unwrap();
        state.apply(4, &alive(other)).unwrap();
        let spread = share(&state, OTHER, 2000..Slot::COUNT);
        state.apply(5, &dead(me, spread)).unwrap();
        state.apply(6, &alive(me)).unwrap();
        let spread = share(&state, ME, 0..2000);
        state.apply(7, &Command::Assign { spread }).unwrap();
        state
    }

    #[test]
    fn a_pace_is_that_of_the_slot_in_the_middle() {
        let state = two();
        assert_eq!(state.slot(slot(1999)).node(), Some(ME));
        assert_eq!(state.slot(slot(2000)).node(), Some(OTHER));
        let check = |noted: &[(bool, u16, u32, u64)], expected: &[(NodeId, u32)]| {
            let (watch, mut readings) = (Stopwatch::default(), Readings::default());
            readings.read(&watch, &state, ME);
            for (is_here, number, requests, ms) in noted {
                for _ in 0..*requests {
                    watch.note(*is_here, slot(*number), Duration::from_millis(*ms));
                }
            }
            assert_eq!(readings.read(&watch, &state, ME), expected, "{noted:?}");
        };
        check(&[], &[]);
        check(&[(true, 1, 4, 2), (true, 2, 5, 2)], &[]);
        check(&[(true, 1, 100, 2)], &[]);
        check(&[(true, 1, 5, 2), (true, 2, 5, 2)], &[(ME, 2000)]);
        // One mailbox in which somebody searches is not the node.
        check(&[(true, 1, 900, 800), (true, 2, 5, 2), (true, 3, 5, 4)], &[(ME, 4000)]);
        check(
            &[(true, 1, 5, 2), (true, 2, 5, 2), (false, 2000, 9, 400), (false, 2001, 9, 300)],
            &[(ME, 2000), (OTHER, 300_000)],
        );
        // What was asked before a slot came here, or went, is nobody's pace.
        check(&[(false, 1, 50, 900), (false, 2, 50, 900), (true, 2000, 50, 900)], &[]);
    }

    /// A node that has just started gets slots all the time, one that has just taken over has many
    /// at once: none of them is slow for what it costs to begin.
    #[test]
    fn slots_that_have_just_come_tell_nothing() {
        let mut state = two();
        let (watch, mut readings) = (Stopwatch::default(), Readings::default());
        let mut read = |state: &ClusterState, noted: &[(u16, u64)]| {
            for (number, ms) in noted.iter().flat_map(|one| [one; 10]) {
                watch.note(true, slot(*number), Duration::from_millis(*ms));
            }
            readings.read(&watch, state, ME)
        };
        assert_eq!(read(&state, &[(1, 2), (2, 2)]), [], "whose they were before is not known");
        let at = |number| SlotAt { slot: slot(number), epoch: state.slot(slot(number)).epoch };
        let spread = vec![Share { to: ME, slots: (2000..2010).map(at).collect() }];
        state.apply(8, &Command::Dead { node: OTHER, boot: boot(3), spread }).unwrap();
        assert_eq!(state.slot(slot(2009)).node(), Some(ME));
        let begin = (2000..2010).map(|number| (number, 800)).chain([(1, 2), (2, 2)]);
        assert_eq!(read(&state, &begin.collect::<Vec<_>>()), [(ME, 2000)], "they have just come");
        let slow = [(2000, 900), (2001, 900), (1, 900)];
        assert_eq!(read(&state, &slow), [(ME, 900_000)], "from then on they count");
    }

    #[test]
    fn of_a_node_that_is_asked_little_two_readings_count() {
        let state = two();
        let (watch, mut readings) = (Stopwatch::default(), Readings::default());
        readings.read(&watch, &state, ME);
        let mut paces = Vec::new();
        for requests in [6, 6, 0, 6, 20, 0, 0] {
            for number in 0..requests {
                watch.note(true, slot(number % 3), Duration::from_millis(10));
            }
            paces.push(readings.read(&watch, &state, ME).first().map_or(0, |(_, pace)| *pace));
        }
        assert_eq!(paces, [0, 10_000, 0, 0, 10_000, 10_000, 0]);
    }
}
