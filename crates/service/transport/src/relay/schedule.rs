//! When a next hop or a single message is tried again: Exchange's schedule, as pure decisions.
//!
//! As for local delivery, age alone ends nothing: only a series of attempts that was not
//! interrupted does, so that after a long downtime everything gets another chance.

use base::Timestamp;

const MINUTE_MS: i64 = 60 * 1000;

/// How long a single message waits that was put off by a host that could be reached.
const MESSAGE_WAIT_MS: i64 = 15 * MINUTE_MS;

/// So late an attempt shows that nothing was tried for a while.
const INTERRUPTED_MS: i64 = 10 * MINUTE_MS;

/// How many attempts a hop's series has at least before messages expire: they take half an hour.
const HOP_ATTEMPTS_MIN: u32 = 10;

/// The same for a single message.
const MESSAGE_ATTEMPTS_MIN: u32 = 3;

/// How many attempts of the series there were before one that is made now and was due at `due`.
pub(crate) fn attempts_before(attempts: u32, due: Timestamp, now: Timestamp) -> u32 {
    if now >= due.plus_ms(INTERRUPTED_MS) { 0 } else { attempts }
}

/// When a hop is tried again after so many attempts that failed: 4 × 1 minute, 6 × 5 minutes, then
/// every 10 minutes.
pub(crate) fn next_of_hop(now: Timestamp, attempts: u32) -> Timestamp {
    now.plus_ms(match attempts {
        0..=4 => MINUTE_MS,
        5..=10 => 5 * MINUTE_MS,
        _ => 10 * MINUTE_MS,
    })
}

/// When a single message is tried again.
pub(crate) fn next_of_message(now: Timestamp) -> Timestamp {
    now.plus_ms(MESSAGE_WAIT_MS)
}

/// Whether messages of a hop expire after so many attempts that failed.
pub(crate) fn hop_ends_messages(attempts: u32) -> bool {
    attempts >= HOP_ATTEMPTS_MIN
}

/// Whether a single message has expired after so many attempts that failed.
pub(crate) fn is_expired(
    accepted: Timestamp,
    now: Timestamp,
    attempts: u32,
    expiry_ms: i64,
) -> bool {
    attempts >= MESSAGE_ATTEMPTS_MIN && now >= accepted.plus_ms(expiry_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_tried_as_exchange_does() {
        let mut now = Timestamp::default();
        let mut minutes = Vec::new();
        for attempts in 1..=13 {
            let next = next_of_hop(now, attempts);
            minutes.push((next.unix_ms - now.unix_ms) / MINUTE_MS);
            now = next;
        }
        assert_eq!(minutes, [1, 1, 1, 1, 5, 5, 5, 5, 5, 5, 10, 10, 10]);
        assert_eq!(next_of_message(now).unix_ms - now.unix_ms, 15 * MINUTE_MS);
    }

    #[test]
    fn age_alone_ends_nothing() {
        let at = |unix_ms| Timestamp { unix_ms };
        let check = |now, attempts, expect| {
            assert_eq!(is_expired(at(0), at(now), attempts, 1_000), expect, "{now} {attempts}");
        };
        check(999, 100, false);
        check(1_000, 2, false);
        check(1_000, 3, true);
        assert!(hop_ends_messages(10) && !hop_ends_messages(9));
        assert_eq!(attempts_before(7, at(0), at(INTERRUPTED_MS - 1)), 7);
        assert_eq!(attempts_before(7, at(0), at(INTERRUPTED_MS)), 0);
    }
}
