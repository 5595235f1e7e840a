//! Who waits for news of which mailbox on this node.
//!
//! A subscriber costs a watch channel, not an actor. Wake-ups carry the newest change number and
//! may be lost or spurious; whoever is woken reads again.

use base::{AccountId, Change};
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::watch;

/// The subscribers of this node.
#[derive(Default)]
pub(crate) struct Wakeups(Mutex<Senders>);

#[derive(Default)]
struct Senders {
    by_mailbox: HashMap<AccountId, watch::Sender<Change>>,
    /// At this number those that nobody watches any more are looked for.
    look_at: usize,
}

/// Below this number of mailboxes nobody looks for those that are not watched any more.
const LOOK_FROM: usize = 1_000;

impl Senders {
    /// Forgets mailboxes that nobody watches any more, each time their number has doubled.
    fn tidy(&mut self) {
        if self.by_mailbox.len() < self.look_at.max(LOOK_FROM) {
            return;
        }
        self.by_mailbox.retain(|_, sender| sender.receiver_count() > 0);
        self.look_at = 2 * self.by_mailbox.len();
    }
}

impl Wakeups {
    /// Subscribes.
    pub(crate) fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        let mut senders = self.0.lock();
        senders.tidy();
        let sender = senders.by_mailbox.entry(mailbox);
        sender.or_insert_with(|| watch::channel(Change(0)).0).subscribe()
    }

    /// Tells the subscribers of a mailbox that it has changed. Forgets mailboxes that nobody
    /// watches any more.
    pub(crate) fn publish(&self, mailbox: AccountId, change: Change) {
        let mut senders = self.0.lock();
        let Some(sender) = senders.by_mailbox.get(&mailbox) else { return };
        if sender.receiver_count() == 0 {
            senders.by_mailbox.remove(&mailbox);
            return;
        }
        sender.send_if_modified(|known| {
            let newer = change > *known;
            *known = change.max(*known);
            newer
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn subscribers_are_woken_and_forgotten() {
        let wakeups = Wakeups::default();
        let mut receiver = wakeups.watch(AccountId(1));
        wakeups.publish(AccountId(2), Change(9));
        wakeups.publish(AccountId(1), Change(5));
        receiver.changed().await.unwrap();
        assert_eq!(*receiver.borrow_and_update(), Change(5));
        wakeups.publish(AccountId(1), Change(4));
        assert!(!receiver.has_changed().unwrap());
        drop(receiver);
        wakeups.publish(AccountId(1), Change(6));
        assert!(wakeups.0.lock().by_mailbox.is_empty());
    }

    #[tokio::test]
    async fn mailboxes_without_news_are_forgotten_in_the_end() {
        let wakeups = Wakeups::default();
        let kept: Vec<_> = (0..500).map(|id| wakeups.watch(AccountId(id))).collect();
        for id in 1_000..20_000 {
            drop(wakeups.watch(AccountId(id)));
        }
        assert!(wakeups.0.lock().by_mailbox.len() <= 2 * LOOK_FROM);
        wakeups.publish(AccountId(499), Change(7));
        assert!(kept[499].has_changed().unwrap());
    }
}
