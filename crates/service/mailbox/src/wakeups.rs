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
pub(crate) struct Wakeups(Mutex<HashMap<AccountId, watch::Sender<Change>>>);

impl Wakeups {
    /// Subscribes.
    pub(crate) fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        let mut senders = self.0.lock();
        senders.entry(mailbox).or_insert_with(|| watch::channel(Change(0)).0).subscribe()
    }

    /// Tells the subscribers of a mailbox that it has changed. Forgets mailboxes that nobody
    /// watches any more.
    pub(crate) fn publish(&self, mailbox: AccountId, change: Change) {
        let mut senders = self.0.lock();
        let Some(sender) = senders.get(&mailbox) else { return };
        if sender.receiver_count() == 0 {
            senders.remove(&mailbox);
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
        assert!(wakeups.0.lock().is_empty());
    }
}
