//! The mailboxes that somebody on this node watches, by slot.

use base::{AccountId, Change, NodeId, Slot};
use contract_control::Ownership;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::watch;

/// How often an owner is told that a mailbox is still watched. A wake-up that was lost is found out
/// by then.
pub(super) const RENEW: Duration = Duration::from_secs(20);

/// What is due within this time is told together.
const TOGETHER: Duration = Duration::from_secs(5);

/// After which time an owner is asked again who did not answer at all, and a fence that could not be
/// had; longer than either takes.
const GIVEN_UP: Duration = Duration::from_secs(8);

/// After which time an owner is asked again who could not say; the next look is soon after.
const AGAIN: Duration = Duration::from_millis(200);

/// Below this number of mailboxes nobody looks for those that are not watched any more.
pub(super) const LOOK_FROM: usize = 1_000;

/// This node's subscribers.
#[derive(Default)]
pub(super) struct Watched {
    by_slot: HashMap<Slot, SlotWatch>,
    mailboxes: usize,
    /// At this number those that nobody watches any more are looked for.
    look_at: usize,
    /// Nothing is due before.
    soonest: Option<Duration>,
}

struct SlotWatch {
    /// Who owned the slot when it was looked at last.
    owner: Option<Ownership>,
    mailboxes: HashMap<AccountId, Mailbox>,
}

struct Mailbox {
    sender: watch::Sender<Change>,
    /// When its owner is to be told next, by the monotonic clock; `None` while there is nothing to
    /// be told.
    due: Option<Duration>,
    /// Somebody is about it. It is not told together with what is due, only once it is given up.
    is_asked: bool,
}

/// A mailbox whose owner is being told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) mailbox: AccountId,
    pub(super) slot: Slot,
    pub(super) owner: Ownership,
}

impl Watched {
    /// Subscribes; says whether that makes work: an owner is to be told, or owners are to be looked
    /// at again. `here` says whether the owner is this node.
    pub(super) fn watch(
        &mut self,
        slot: Slot,
        owner: Option<Ownership>,
        mailbox: AccountId,
        here: bool,
    ) -> (watch::Receiver<Change>, bool) {
        self.tidy();
        let was_empty = self.is_empty();
        let watch = self.by_slot.entry(slot);
        let watch = watch.or_insert_with(|| SlotWatch { owner, mailboxes: HashMap::new() });
        if let Some(known) = watch.mailboxes.get(&mailbox) {
            return (known.sender.subscribe(), false);
        }
        let (sender, receiver) = watch::channel(Change(0));
        // Where the owner has changed and nobody has looked yet, looking makes it due.
        let due = if here { None } else { Some(Duration::ZERO) };
        watch.mailboxes.insert(mailbox, Mailbox { sender, due, is_asked: false });
        self.mailboxes += 1;
        self.soonest = earlier(self.soonest, due);
        (receiver, !here || was_empty)
    }

    /// Wakes the subscribers of a mailbox, unless they have heard of the change.
    pub(super) fn publish(&mut self, slot: Slot, mailbox: AccountId, change: Change) {
        let Some(watch) = self.by_slot.get_mut(&slot) else { return };
        let Some(known) = watch.mailboxes.get(&mailbox) else { return };
        if known.sender.receiver_count() == 0 {
            watch.mailboxes.remove(&mailbox);
            self.mailboxes -= 1;
            if watch.mailboxes.is_empty() {
                self.by_slot.remove(&slot);
            }
            return;
        }
        known.sender.send_if_modified(|known| {
            let newer = change > *known;
            *known = change.max(*known);
            newer
        });
    }

    /// Looks who owns the slots now; where that is somebody else than before, all mailboxes are
    /// due.
    pub(super) fn look(&mut self, owner: impl Fn(Slot) -> Option<Ownership>) {
        for (slot, watch) in &mut self.by_slot {
            let now = owner(*slot);
            if now != watch.owner {
                watch.owner = now;
                for one in watch.mailboxes.values_mut() {
                    (one.due, one.is_asked) = (Some(Duration::ZERO), false);
                }
                self.soonest = Some(Duration::ZERO);
            }
        }
    }

    /// When the next is due; `None` if none is.
    fn next_due(&self) -> Option<Duration> {
        let all = self.by_slot.values().filter(|watch| watch.owner.is_some());
        all.flat_map(|watch| watch.mailboxes.values().filter_map(|one| one.due)).min()
    }

    /// Whether nobody watches anything.
    pub(super) fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// If something is due: everything that is, or soon will be, by owner. It is not given again
    /// before an answer should be there. Forgets what nobody watches any more.
    pub(super) fn take_due(&mut self, now: Duration) -> BTreeMap<NodeId, Vec<Asked>> {
        let mut taken: BTreeMap<NodeId, Vec<Asked>> = BTreeMap::new();
        if self.soonest.is_none_or(|due| due > now) {
            return taken;
        }
        self.soonest = self.next_due();
        if self.soonest.is_none_or(|due| due > now) {
            return taken;
        }
        self.forget();
        for (slot, watch) in &mut self.by_slot {
            let Some(owner) = watch.owner else { continue };
            for (mailbox, one) in &mut watch.mailboxes {
                let ahead = if one.is_asked { Duration::ZERO } else { TOGETHER };
                if one.due.is_some_and(|due| due <= now + ahead) {
                    (one.due, one.is_asked) = (Some(now + GIVEN_UP), true);
                    let asked = Asked { mailbox: *mailbox, slot: *slot, owner };
                    taken.entry(owner.node).or_default().push(asked);
                }
            }
        }
        self.soonest = self.next_due();
        taken
    }

    /// The owner has been told, and everything before is known.
    pub(super) fn is_kept(&mut self, asked: &Asked, me: NodeId, now: Duration) {
        self.set_due(asked, (asked.owner.node != me).then(|| now + RENEW));
    }

    /// The owner could not be told, or what was before could not be found out.
    pub(super) fn failed(&mut self, asked: &Asked, now: Duration) {
        self.set_due(asked, Some(now + AGAIN));
    }

    /// Nothing if the owner is another one by now, who has to be told in any case.
    fn set_due(&mut self, asked: &Asked, due: Option<Duration>) {
        if let Some(watch) = self.by_slot.get_mut(&asked.slot)
            && watch.owner == Some(asked.owner)
            && let Some(one) = watch.mailboxes.get_mut(&asked.mailbox)
        {
            (one.due, one.is_asked) = (due, false);
            self.soonest = earlier(self.soonest, due);
        }
    }

    /// Forgets mailboxes that nobody watches any more, each time their number has doubled.
    fn tidy(&mut self) {
        if self.mailboxes >= self.look_at.max(LOOK_FROM) {
            self.forget();
            self.look_at = 2 * self.mailboxes;
        }
    }

    fn forget(&mut self) {
        self.mailboxes = 0;
        self.by_slot.retain(|_, watch| {
            watch.mailboxes.retain(|_, one| one.sender.receiver_count() > 0);
            self.mailboxes += watch.mailboxes.len();
            !watch.mailboxes.is_empty()
        });
    }
}

/// The earlier of two moments that may not come.
fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::Epoch;

    const ME: NodeId = NodeId(1);

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    fn owned(node: u64, epoch: u64) -> Option<Ownership> {
        Some(Ownership { node: NodeId(node), epoch: Epoch(epoch) })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn subscribers_are_woken_and_forgotten() {
        let mut watched = Watched::default();
        let (mut receiver, work) = watched.watch(slot(7), owned(1, 1), AccountId(1), true);
        assert!(work, "from now on owners are looked at");
        watched.publish(slot(7), AccountId(2), Change(9));
        watched.publish(slot(7), AccountId(1), Change(5));
        assert!(receiver.has_changed().unwrap());
        assert_eq!(*receiver.borrow_and_update(), Change(5));
        watched.publish(slot(7), AccountId(1), Change(4));
        assert!(!receiver.has_changed().unwrap());
        drop(receiver);
        watched.publish(slot(7), AccountId(1), Change(6));
        assert!(watched.is_empty());
    }

    #[test]
    fn mailboxes_without_news_are_forgotten_in_the_end() {
        let mut watched = Watched::default();
        let watch = |watched: &mut Watched, id| {
            watched.watch(slot(id as u16 % 4096), None, AccountId(id), false).0
        };
        let kept: Vec<_> = (0..500).map(|id| watch(&mut watched, id)).collect();
        for id in 1_000..20_000 {
            drop(watch(&mut watched, id));
        }
        assert!(watched.mailboxes <= 2 * LOOK_FROM);
        watched.publish(slot(499), AccountId(499), Change(7));
        assert!(kept[499].has_changed().unwrap());
    }

    #[test]
    fn what_is_served_here_is_never_due() {
        let mut watched = Watched::default();
        let _here = watched.watch(slot(1), owned(1, 1), AccountId(1), true);
        watched.look(|_| owned(1, 1));
        assert_eq!(watched.next_due(), None);
        // Not even after it has come here, once what was before is known.
        let (_there, work) = watched.watch(slot(2), owned(2, 1), AccountId(2), false);
        assert!(work && !watched.watch(slot(2), owned(2, 1), AccountId(2), false).1);
        watched.look(|_| owned(1, 2));
        let taken = watched.take_due(seconds(1)).remove(&ME).unwrap();
        assert_eq!(taken.len(), 2);
        taken.iter().for_each(|asked| watched.is_kept(asked, ME, seconds(1)));
        assert_eq!(watched.next_due(), None);
    }

    /// A fence may take seconds; whoever else becomes due meanwhile starts no second task for it.
    #[test]
    fn what_is_under_way_is_not_taken_again() {
        let mut watched = Watched::default();
        let _one = watched.watch(slot(1), owned(1, 1), AccountId(1), false);
        let taken = watched.take_due(seconds(10)).remove(&ME).unwrap();
        let mut kept = Vec::new();
        for number in 2..20 {
            kept.push(watched.watch(slot(1), owned(1, 1), AccountId(number), false));
            let more = watched.take_due(seconds(10)).remove(&ME).unwrap();
            assert_eq!(more.iter().map(|one| one.mailbox.0).collect::<Vec<_>>(), [number]);
        }
        taken.iter().for_each(|asked| watched.failed(asked, seconds(15)));
        let again = watched.take_due(seconds(16)).remove(&ME).unwrap();
        assert_eq!(again.iter().map(|one| one.mailbox).collect::<Vec<_>>(), [AccountId(1)]);
        assert_eq!(watched.take_due(seconds(30)).remove(&ME).unwrap().len(), 19, "given up");
    }

    #[test]
    fn owners_are_told_together_and_again() {
        let mut watched = Watched::default();
        let _one = watched.watch(slot(1), owned(2, 1), AccountId(1), false);
        let taken = watched.take_due(seconds(10)).remove(&NodeId(2)).unwrap();
        assert!(watched.take_due(seconds(12)).is_empty(), "an answer is on its way");
        taken.iter().for_each(|asked| watched.is_kept(asked, ME, seconds(10)));
        let _two = watched.watch(slot(1), owned(2, 1), AccountId(2), false);
        assert_eq!(watched.take_due(seconds(13)).values().map(Vec::len).sum::<usize>(), 1);
        for asked in &taken {
            watched.is_kept(&Asked { mailbox: AccountId(2), ..*asked }, ME, seconds(13));
        }
        // Both at the first one's time.
        assert!(watched.take_due(seconds(29)).is_empty());
        assert_eq!(watched.take_due(seconds(30)).values().map(Vec::len).sum::<usize>(), 2);
        // A late answer of an owner that is none any more changes nothing.
        watched.look(|_| owned(3, 2));
        taken.iter().for_each(|asked| watched.is_kept(asked, ME, seconds(31)));
        let taken = watched.take_due(seconds(31));
        assert_eq!(taken.keys().copied().collect::<Vec<_>>(), [NodeId(3)]);
        assert_eq!(taken[&NodeId(3)].len(), 2);
        watched.look(|_| None);
        assert!(watched.take_due(seconds(60)).is_empty(), "there is nobody to be told");
    }
}
