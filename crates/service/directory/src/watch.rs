//! Who waits for news of which account on this node: sessions that are silent, such as those in
//! IDLE, whose owner may be disabled or get a new password meanwhile.
//!
//! A change wakes those who watch its account and nobody else. Whoever is woken asks for the
//! account again; the caches have dropped it by then.

use base::AccountId;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::watch;

/// The watchers of this node.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<Senders>);

#[derive(Default)]
struct Senders {
    by_account: HashMap<AccountId, watch::Sender<()>>,
    /// At this number those that nobody watches any more are looked for.
    look_at: usize,
}

/// Below this number of accounts nobody looks for those that are not watched any more.
const LOOK_FROM: usize = 1_000;

impl Senders {
    /// Forgets accounts that nobody watches any more, each time their number has doubled.
    fn tidy(&mut self) {
        if self.by_account.len() >= self.look_at.max(LOOK_FROM) {
            self.by_account.retain(|_, sender| sender.receiver_count() > 0);
            self.look_at = 2 * self.by_account.len();
        }
    }
}

impl Watchers {
    /// Subscribes.
    pub(crate) fn watch(&self, id: AccountId) -> watch::Receiver<()> {
        let mut senders = self.0.lock();
        senders.tidy();
        let sender = senders.by_account.entry(id);
        sender.or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// Wakes those who watch an account.
    pub(crate) fn wake(&self, id: AccountId) {
        if let Some(sender) = self.0.lock().by_account.get(&id) {
            wake(sender);
        }
    }

    /// Wakes everybody: nobody knows what has changed.
    pub(crate) fn wake_all(&self) {
        self.0.lock().by_account.values().for_each(wake);
    }
}

fn wake(sender: &watch::Sender<()>) {
    sender.send_replace(());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_those_concerned_are_woken() {
        let watchers = Watchers::default();
        let (mut alice, bob) = (watchers.watch(AccountId(1)), watchers.watch(AccountId(2)));
        watchers.wake(AccountId(1));
        watchers.wake(AccountId(3));
        assert!(alice.has_changed().unwrap() && !bob.has_changed().unwrap());
        alice.mark_unchanged();
        watchers.wake_all();
        assert!(alice.has_changed().unwrap() && bob.has_changed().unwrap());
    }

    #[test]
    fn accounts_that_nobody_watches_are_forgotten_in_the_end() {
        let watchers = Watchers::default();
        let kept: Vec<_> = (0..500).map(|id| watchers.watch(AccountId(id))).collect();
        for id in 1_000..20_000 {
            drop(watchers.watch(AccountId(id)));
        }
        assert!(watchers.0.lock().by_account.len() <= 2 * LOOK_FROM);
        watchers.wake(AccountId(499));
        assert!(kept[499].has_changed().unwrap());
    }
}
