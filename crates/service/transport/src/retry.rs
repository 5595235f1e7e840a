//! When a recipient is tried again, and when no more: pure decisions.
//!
//! That a message is old is not enough to give it up: after a long downtime everything is old, and
//! the store, the directory and the mailboxes come back one after the other. So a message expires
//! only after a series of attempts that was not interrupted.

use base::Timestamp;

/// Waits after the first failures, in milliseconds. Most of what keeps a mailbox from taking a
/// message is over within seconds (a new owner, a store's recovery), and somebody may be waiting
/// for it, so the first waits are short; then every five minutes, as Exchange's mailbox delivery
/// queue does.
const FIRST_WAITS_MS: [i64; 7] = [500, 1_000, 2_000, 4_000, 8_000, 20_000, 60_000];

/// Every wait after those, in milliseconds.
const LATER_WAIT_MS: i64 = 5 * 60 * 1000;

/// So late, in milliseconds, an attempt shows that nothing was tried for a while.
const INTERRUPTED_MS: i64 = 10 * 60 * 1000;

/// How many attempts a series has at least, however old the message: they take an hour.
const ATTEMPTS_MIN: u32 = 19;

/// How many attempts of the series there were before one that is made now and was due at `due`.
pub(crate) fn attempts_before(attempts: u32, due: Timestamp, now: Timestamp) -> u32 {
    if now >= due.plus_ms(INTERRUPTED_MS) { 0 } else { attempts }
}

/// When to try again after the given number of failed attempts; `None` once the message has
/// expired.
pub(crate) fn next_attempt(
    accepted: Timestamp,
    now: Timestamp,
    attempts: u32,
    expiry_ms: i64,
) -> Option<Timestamp> {
    if attempts >= ATTEMPTS_MIN && now >= accepted.plus_ms(expiry_ms) {
        return None;
    }
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    Some(now.plus_ms(FIRST_WAITS_MS.get(place).copied().unwrap_or(LATER_WAIT_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let at = |unix_ms| Timestamp { unix_ms };
        let check = |now, attempts, expect: Option<i64>| {
            assert_eq!(next_attempt(at(0), at(now), attempts, 10_000_000), expect.map(at));
        };
        check(0, 1, Some(500));
        check(500, 2, Some(1_500));
        check(1_500, 3, Some(3_500));
        check(15_500, 6, Some(35_500));
        check(35_500, 7, Some(95_500));
        check(95_500, 8, Some(395_500));
        check(95_500, 500, Some(395_500));
        check(10_000_000, 18, Some(10_300_000));
        check(9_999_999, 19, Some(10_299_999));
        check(10_000_000, 19, None);
    }

    #[test]
    fn a_series_that_was_interrupted_begins_anew() {
        let at = |unix_ms| Timestamp { unix_ms };
        let check = |attempts, due, now, expect| {
            assert_eq!(attempts_before(attempts, at(due), at(now)), expect);
        };
        check(7, 1_000, 1_000, 7);
        check(7, 1_000, 600_999, 7);
        check(7, 1_000, 601_000, 0);
        check(7, i64::MIN, 1_000, 0);
    }
}
