//! When a recipient is tried again: a pure decision.

use base::Timestamp;

/// Waits after the first failures, in milliseconds. Most of what keeps a mailbox from taking a
/// message is over within seconds (a new owner, a store's recovery), so the first waits are short;
/// then every five minutes, as Exchange's mailbox delivery queue does.
const FIRST_WAITS_MS: [i64; 4] = [1_000, 5_000, 20_000, 60_000];

/// Every wait after those, in milliseconds.
const LATER_WAIT_MS: i64 = 5 * 60 * 1000;

/// When to try again after the given number of failed attempts; `None` once the message has
/// expired.
pub(crate) fn next_attempt(
    accepted: Timestamp,
    now: Timestamp,
    attempts: u32,
    expiry_ms: i64,
) -> Option<Timestamp> {
    if now >= accepted.plus_ms(expiry_ms) {
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
        check(0, 1, Some(1_000));
        check(1_000, 2, Some(6_000));
        check(6_000, 3, Some(26_000));
        check(26_000, 4, Some(86_000));
        check(86_000, 5, Some(386_000));
        check(86_000, 500, Some(386_000));
        check(10_000_000, 6, None);
    }
}
