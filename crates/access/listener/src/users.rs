//! How many sessions each user has on this node, counted by each protocol for itself.

use base::AccountId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The counts; shared by all sessions of a protocol's service.
#[derive(Default)]
pub struct Users(Mutex<HashMap<AccountId, usize>>);

/// One session's place in the counts; given back when dropped.
pub struct UserPlace {
    users: Arc<Users>,
    account: AccountId,
}

impl Users {
    /// Takes a place; `None` if the user has `max` already.
    pub fn enter(self: &Arc<Self>, account: AccountId, max: usize) -> Option<UserPlace> {
        let mut counts = self.0.lock();
        let count = counts.entry(account).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(UserPlace { users: self.clone(), account })
    }
}

impl Drop for UserPlace {
    fn drop(&mut self) {
        let mut counts = self.users.0.lock();
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
        let users = Arc::new(Users::default());
        let places: Vec<_> = (0..3).map(|_| users.enter(AccountId(1), 3)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(users.enter(AccountId(1), 3).is_none());
        assert!(users.enter(AccountId(2), 3).is_some());
        drop(places);
        assert!(users.0.lock().is_empty());
        assert!(users.enter(AccountId(1), 3).is_some());
    }
}
