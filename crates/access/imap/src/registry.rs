//! How many sessions each user has on this node.

use base::AccountId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The counts; shared by all sessions of the service.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<AccountId, usize>>);

/// One session's place in the counts; given back when dropped.
pub(crate) struct Place {
    registry: Arc<Registry>,
    account: AccountId,
}

impl Registry {
    /// Takes a place; `None` if the user has `max` already.
    pub(crate) fn enter(self: &Arc<Self>, account: AccountId, max: usize) -> Option<Place> {
        let mut counts = self.0.lock();
        let count = counts.entry(account).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { registry: self.clone(), account })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.registry.0.lock();
        if let Some(count) = counts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_32_sessions_of_a_user_are_bounded_and_places_come_back() {
        let registry = Arc::new(Registry::default());
        let places: Vec<_> = (0..3).map(|_| registry.enter(AccountId(1), 3)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(registry.enter(AccountId(1), 3).is_none());
        assert!(registry.enter(AccountId(2), 3).is_some());
        drop(places);
        assert!(registry.0.lock().is_empty());
        assert!(registry.enter(AccountId(1), 3).is_some());
    }
}
