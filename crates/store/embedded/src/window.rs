//! Which keys were written in the last seconds: what commits are checked against.
//!
//! The writes are kept in buckets of one second, so that forgetting is dropping a bucket, and a
//! commit whose reads are fresh, as nearly all are, looks at one bucket only.

use contract_store::limits::TRANSACTION_MS_MAX;
use contract_store::rules::{CommitRequest, RecentWrites};
use contract_store::{KeyRange, StoreError, StoreResult, Version};
use std::collections::VecDeque;
use std::time::Duration;

const BUCKET: Duration = Duration::from_secs(1);
const KEPT: Duration = Duration::from_millis(TRANSACTION_MS_MAX);

/// See the module's words.
pub(crate) struct ConflictWindow {
    /// Oldest first.
    buckets: VecDeque<Bucket>,
    /// Reads at an older version than this can no longer be checked.
    floor: Version,
}

struct Bucket {
    begun: Duration,
    last: Version,
    writes: RecentWrites,
}

impl ConflictWindow {
    /// Nothing before `version` can be checked: it was another life of the store.
    pub(crate) fn new(version: Version) -> Self {
        Self { buckets: VecDeque::new(), floor: version }
    }

    /// Whether a commit may happen.
    ///
    /// # Errors
    /// [`StoreError::TooOld`], [`StoreError::Conflict`].
    pub(crate) fn check(&self, request: &CommitRequest) -> StoreResult<()> {
        let Some(read_version) = request.read_version else {
            return Ok(());
        };
        if read_version < self.floor {
            return Err(StoreError::TooOld);
        }
        for bucket in self.buckets.iter().rev() {
            if bucket.last <= read_version {
                break;
            }
            if request.reads.iter().any(|read| bucket.writes.changed_since(&read, read_version)) {
                return Err(StoreError::Conflict);
            }
        }
        Ok(())
    }

    /// Notes what a version wrote.
    pub(crate) fn insert(
        &mut self,
        writes: impl Iterator<Item = KeyRange>,
        version: Version,
        now: Duration,
    ) {
        if self.buckets.back().is_none_or(|bucket| bucket.begun + BUCKET <= now) {
            self.expire(now);
            let writes = RecentWrites::default();
            self.buckets.push_back(Bucket { begun: now, last: version, writes });
        }
        if let Some(bucket) = self.buckets.back_mut() {
            bucket.last = version;
            writes.for_each(|range| bucket.writes.insert(&range, version));
        }
    }

    fn expire(&mut self, now: Duration) {
        while let Some(oldest) = self.buckets.front() {
            if oldest.begun + BUCKET + KEPT > now {
                break;
            }
            self.floor = oldest.last;
            self.buckets.pop_front();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::field_reassign_with_default)]
mod tests {
    use super::*;

    fn request(read_version: Version, key: &[u8]) -> CommitRequest {
        let mut request = CommitRequest::default();
        request.read_version = Some(read_version);
        request.reads.insert(&KeyRange::single(key));
        request
    }

    fn write(window: &mut ConflictWindow, key: &[u8], version: Version, ms: u64) {
        let now = Duration::from_millis(ms);
        window.insert(std::iter::once(KeyRange::single(key)), version, now);
    }

    #[test]
    fn later_writes_conflict_in_every_bucket() {
        let mut window = ConflictWindow::new(10);
        write(&mut window, b"a", 11, 0);
        write(&mut window, b"b", 12, 1_500);
        write(&mut window, b"c", 13, 3_000);
        let check = |read_version, key: &[u8]| window.check(&request(read_version, key));
        assert_eq!(check(10, b"a"), Err(StoreError::Conflict));
        assert_eq!(check(11, b"a"), Ok(()));
        assert_eq!(check(11, b"b"), Err(StoreError::Conflict));
        assert_eq!(check(12, b"b"), Ok(()));
        assert_eq!(check(10, b"d"), Ok(()));
        assert_eq!(check(99, b"c"), Ok(()));
        assert_eq!(check(9, b"d"), Err(StoreError::TooOld));
        assert_eq!(window.check(&CommitRequest::default()), Ok(()));
    }

    #[test]
    fn what_is_forgotten_is_refused_and_nothing_is_forgotten_early() {
        let mut window = ConflictWindow::new(10);
        write(&mut window, b"a", 11, 0);
        write(&mut window, b"b", 12, 5_900);
        assert_eq!(window.check(&request(10, b"a")), Err(StoreError::Conflict));
        write(&mut window, b"c", 13, 7_000);
        assert_eq!(window.check(&request(10, b"a")), Err(StoreError::TooOld));
        assert_eq!(window.check(&request(11, b"a")), Ok(()));
        assert_eq!(window.check(&request(11, b"b")), Err(StoreError::Conflict));
    }
}
