//! A budget of bytes that many buffers share.
//!
//! Whoever is about to hold a message's bytes takes its share first and waits if the budget is
//! used up; a listener that waits does not read from its socket, so the pressure reaches the
//! sender.

use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget is kept in units, so that its numbers fit a semaphore's.
const UNIT_BYTES: usize = 256;

/// A number of bytes that may be in use at one time; cheap to clone.
#[derive(Clone)]
pub struct ByteBudget {
    units: Arc<Semaphore>,
    units_max: usize,
}

/// A part of a [`ByteBudget`], given back when dropped.
pub struct ByteShare {
    units: OwnedSemaphorePermit,
}

impl ByteBudget {
    /// A budget of so many bytes, rounded up to a whole number of units of 256.
    pub fn new(bytes: usize) -> Self {
        let units_max = bytes.div_ceil(UNIT_BYTES).clamp(1, u32::MAX as usize >> 4);
        Self { units: Arc::new(Semaphore::new(units_max)), units_max }
    }

    /// Takes a share, waiting in order of arrival.
    ///
    /// # Errors
    /// [`Kind::Limit`] for more than the whole budget, [`Kind::Overloaded`] if there is not enough
    /// before the deadline.
    pub async fn take(&self, bytes: usize, deadline: Deadline) -> Result<ByteShare> {
        let units = self.units_for(bytes)?;
        let acquired = self.units.clone().acquire_many_owned(units);
        match tokio::time::timeout_at(deadline.instant(), acquired).await {
            Ok(Ok(units)) => Ok(ByteShare { units }),
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }

    /// Takes a share if it is free at once.
    ///
    /// # Errors
    /// As [`ByteBudget::take`].
    pub fn try_take(&self, bytes: usize) -> Result<ByteShare> {
        let units = self.units_for(bytes)?;
        match self.units.clone().try_acquire_many_owned(units) {
            Ok(units) => Ok(ByteShare { units }),
            Err(_) => Err(overloaded()),
        }
    }

    /// How many bytes are free.
    pub fn available_bytes(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }

    fn units_for(&self, bytes: usize) -> Result<u32> {
        let units = bytes.div_ceil(UNIT_BYTES);
        if units > self.units_max {
            return Err(Error::new(Kind::Limit, "The data is larger than can be processed"));
        }
        u32::try_from(units).map_err(Error::internal)
    }
}

impl ByteShare {
    /// How many bytes it covers.
    pub fn bytes(&self) -> usize {
        self.units.num_permits() * UNIT_BYTES
    }

    /// Gives back what exceeds so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let keep = bytes.div_ceil(UNIT_BYTES);
        let excess = self.units.num_permits().saturating_sub(keep);
        drop(self.units.split(excess));
    }
}

fn overloaded() -> Error {
    Error::new(Kind::Overloaded, "Too much work is waiting").detail("the byte budget is used up")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn shares_are_taken_and_given_back() {
        let budget = ByteBudget::new(10_000);
        let total = budget.available_bytes();
        assert!((10_000..10_256).contains(&total));
        let kind = |r: Result<ByteShare>| r.err().unwrap().kind;
        assert_eq!(kind(budget.try_take(total + 1)), Kind::Limit);

        let mut share = budget.try_take(6_000).unwrap();
        assert!(share.bytes() >= 6_000);
        assert_eq!(kind(budget.try_take(6_000)), Kind::Overloaded);
        let soon = Deadline::after(Duration::from_secs(1));
        assert_eq!(kind(budget.take(6_000, soon).await), Kind::Overloaded);

        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(6_000, Deadline::after(Duration::from_secs(1))).await }
        });
        tokio::task::yield_now().await;
        share.shrink_to(1_000);
        assert!(waiting.await.unwrap().is_ok());
        drop(share);
        assert_eq!(budget.available_bytes(), total);
    }
}
