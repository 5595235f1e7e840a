//! How many calls may wait for another node: for a link to it, or for credit on its link.
//!
//! A node that comes up, or that hears of a thousand sessions at once, is asked more than it has
//! granted for a moment; who is refused then would have been served a moment later. So calls wait,
//! in order of arrival, until their deadline. They hold nothing but their own request while they do
//! so: no credit, and nothing that calls to other nodes need. Each lane has places of its own, so
//! that what the cluster itself says is not turned away because mail waits.

use super::error::CallError;
use super::window::cost_bytes;
use base::{ByteBudget, ByteShare, Error, Kind};
use std::fmt;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The places of one lane.
pub(super) struct Waiting {
    calls: Semaphore,
    bytes: ByteBudget,
}

/// One of them; given back when dropped.
pub(super) struct Place<'w> {
    _call: SemaphorePermit<'w>,
    _bytes: ByteShare,
}

impl Waiting {
    /// Places for so many calls with so many bytes.
    pub(super) fn new(calls_max: usize, bytes_max: usize) -> Self {
        let calls = Semaphore::new(calls_max.min(Semaphore::MAX_PERMITS));
        Self { calls, bytes: ByteBudget::new(bytes_max) }
    }

    /// Takes a place for a payload of so many bytes.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] at once if there is none; `what` says for what, for the log.
    pub(super) fn enter(
        &self,
        payload_bytes: usize,
        what: impl fmt::Display,
    ) -> Result<Place<'_>, CallError> {
        let call = self.calls.try_acquire().ok();
        let bytes = self.bytes.try_take(cost_bytes(payload_bytes)).ok();
        match (call, bytes) {
            (Some(call), Some(bytes)) => Ok(Place { _call: call, _bytes: bytes }),
            _ => {
                metrics::counter!("rialto_link_turned_away_total").increment(1);
                let error = Error::new(Kind::Overloaded, "Too much work is waiting");
                Err(CallError::not_sent(error.detail(what)))
            }
        }
    }
}
