//! Addresses that did not answer lately, so that not every message waits for them.
//!
//! What failed a moment ago is left alone. What failed before that, perhaps several times, is tried
//! behind the others. One success clears it.

use crate::limits::{DEAD_MAX, DEAD_TIME, SUSPECT_TIME};
use base::Recent;
use base::env::Clock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Dead {
    clock: Arc<dyn Clock>,
    failures: Recent<SocketAddr, Failures>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
}

/// Whether an address is worth a try, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum State {
    /// Nothing is known against it.
    Good,
    /// Behind the others.
    Suspect,
    /// Not now.
    Dead,
}

impl Dead {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, failures: Recent::new(DEAD_MAX) }
    }

    pub(crate) fn state(&self, address: SocketAddr) -> State {
        let Some(Failures { count, last }) = self.failures.get(&address) else {
            return State::Good;
        };
        let since = self.clock.monotonic().saturating_sub(last);
        let suspect = DEAD_TIME.saturating_mul(1 << count.min(8)).min(SUSPECT_TIME);
        match since {
            _ if since < DEAD_TIME => State::Dead,
            _ if since < suspect => State::Suspect,
            _ => State::Good,
        }
    }

    pub(crate) fn failed(&self, address: SocketAddr) {
        let before = self.failures.get(&address).map_or(0, |failures| failures.count);
        let now = Failures { count: before.saturating_add(1), last: self.clock.monotonic() };
        self.failures.put(address, now, 1);
    }

    pub(crate) fn answered(&self, address: SocketAddr) {
        self.failures.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use base::Universe;

    #[test]
    fn a_dead_address_is_left_alone_then_tried_last_then_forgotten() {
        Universe::run(1, async |env| {
            let dead = Dead::new(env.clock.clone());
            let address = "192.0.2.1:25".parse().unwrap();
            let check = async |seconds, state| {
                env.clock.sleep(Duration::from_secs(seconds)).await;
                assert_eq!(dead.state(address), state);
            };
            check(0, State::Good).await;
            dead.failed(address);
            check(44, State::Dead).await;
            check(1, State::Suspect).await;
            check(45, State::Good).await;
            dead.failed(address);
            check(100, State::Suspect).await;
            dead.answered(address);
            check(0, State::Good).await;
            for _ in 0..100 {
                dead.failed(address);
            }
            check(599, State::Suspect).await;
            check(1, State::Good).await;
        });
    }
}
