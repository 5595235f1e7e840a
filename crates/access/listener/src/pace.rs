//! How fast a client must send what it has begun.
//!
//! A limit on the silence between two bytes alone lets a client that sends one byte after the other
//! stay for ever. So what was begun has a deadline that is counted from its beginning, and moves
//! only with what has come: a grace at first, then a least rate on average.

use base::Deadline;
use std::time::Duration;

/// How far something has come that a client sends.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    begun: Deadline,
    grace: Duration,
    bytes_per_s_min: u64,
    bytes: u64,
}

impl Pace {
    /// Something that begins now: it may take `grace`, or as long as `bytes_per_s_min` on average
    /// allow, whichever is longer.
    pub fn new(grace: Duration, bytes_per_s_min: u64) -> Self {
        let bytes_per_s_min = bytes_per_s_min.max(1);
        Self { begun: Deadline::after(Duration::ZERO), grace, bytes_per_s_min, bytes: 0 }
    }

    /// So many bytes of it have come.
    pub fn took(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// The bytes that have come.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// By when more must have come, or all.
    pub fn deadline(&self) -> Deadline {
        let earned_ms = self.bytes.saturating_mul(1_000) / self.bytes_per_s_min;
        let earned = Duration::from_millis(earned_ms).max(self.grace);
        Deadline::at(self.begun.instant() + earned.min(Deadline::FARTHEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_grace_and_then_a_rate() {
        let mut pace = Pace::new(Duration::from_secs(60), 100);
        assert_eq!(pace.deadline().remaining(), Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(50)).await;
        pace.took(1_000);
        assert_eq!(pace.deadline().remaining(), Duration::from_secs(10), "the grace is longer");
        pace.took(9_000);
        assert_eq!(pace.deadline().remaining(), Duration::from_secs(50), "100 s were earned");
        tokio::time::advance(Duration::from_secs(50)).await;
        assert!(pace.deadline().has_passed());
        pace.took(usize::MAX);
        assert_eq!(pace.deadline().remaining(), Deadline::FARTHEST - Duration::from_secs(100));
    }
}
