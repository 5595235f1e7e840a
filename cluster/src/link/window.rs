//! Credits: how much one side may ask of the other before it gets answers.
//!
//! The receiver grants a window for each lane in its hello. A request or hint takes one place and
//! its bytes from it when it is queued, and gives them back when the receiver has answered it (for
//! a hint: when it has said that it is done with it). Both sides count; the receiver's count is
//! what holds a peer to its window.

use base::{ByteBudget, ByteShare, Deadline, Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a request costs beside its payload, so that empty ones are not free.
const OVERHEAD_BYTES: usize = 256;

/// Credits are counted in whole units of this, as [`ByteBudget`] does.
const UNIT_BYTES: usize = 256;

/// Which queue and window a message uses. What the cluster itself says (Raft, health, placement)
/// never waits for mail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Lane {
    /// The cluster's own messages; written first.
    Control,
    /// Requests to mailboxes and queues.
    Data,
}

impl Lane {
    /// Both, in the order in which they are written.
    pub const ALL: [Self; 2] = [Self::Control, Self::Data];

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// How much of one lane may be unanswered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Window {
    /// Requests and hints.
    pub requests: u32,
    /// Their bytes, payload and 256 for each, rounded up to whole units of 256.
    pub bytes: u64,
}

impl Window {
    pub(super) fn min(self, other: Self) -> Self {
        Self { requests: self.requests.min(other.requests), bytes: self.bytes.min(other.bytes) }
    }
}

/// The windows of both lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    /// Of [`Lane::Control`].
    pub control: Window,
    /// Of [`Lane::Data`].
    pub data: Window,
}

impl Windows {
    /// The window of a lane.
    pub fn of(&self, lane: Lane) -> Window {
        match lane {
            Lane::Control => self.control,
            Lane::Data => self.data,
        }
    }
}

/// What a payload takes from a window.
pub(super) fn cost_bytes(payload_bytes: usize) -> usize {
    (payload_bytes + OVERHEAD_BYTES).next_multiple_of(UNIT_BYTES)
}

/// The sender's side of one window.
pub(super) struct Credits {
    requests: Arc<Semaphore>,
    /// Hints may take a quarter of it, so that they never keep requests from being sent.
    hints: Arc<Semaphore>,
    bytes: ByteBudget,
}

/// What one request holds of a window; given back when dropped.
pub(super) struct Credit {
    _request: OwnedSemaphorePermit,
    _hint: Option<OwnedSemaphorePermit>,
    _bytes: ByteShare,
}

impl Credits {
    pub(super) fn new(window: Window) -> Self {
        let requests = usize::try_from(window.requests).unwrap_or(0).min(Semaphore::MAX_PERMITS);
        // A budget rounds up; what was granted is rounded down.
        let bytes = usize::try_from(window.bytes).unwrap_or(usize::MAX) / UNIT_BYTES * UNIT_BYTES;
        // A budget has one unit at least. Without bytes nothing may be sent, so no request either.
        let requests = if bytes == 0 { 0 } else { requests };
        Self {
            requests: Arc::new(Semaphore::new(requests)),
            hints: Arc::new(Semaphore::new(requests.div_ceil(4))),
            bytes: ByteBudget::new(bytes),
        }
    }

    /// Waits for credit, at most until the deadline.
    pub(super) async fn take(&self, payload_bytes: usize, deadline: Deadline) -> Result<Credit> {
        let request = self.requests.clone().acquire_owned();
        let request = match tokio::time::timeout_at(deadline.instant(), request).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(overloaded()),
        };
        let bytes = self.bytes.take(cost_bytes(payload_bytes), deadline).await?;
        Ok(Credit { _request: request, _hint: None, _bytes: bytes })
    }

    /// Takes credit if there is some now; not while others wait for it.
    pub(super) fn try_take(&self, payload_bytes: usize) -> Result<Credit> {
        let bytes = self.bytes.try_take(cost_bytes(payload_bytes))?;
        let request = self.requests.clone().try_acquire_owned().map_err(|_| overloaded())?;
        Ok(Credit { _request: request, _hint: None, _bytes: bytes })
    }

    /// Takes credit for a hint if there is some now.
    pub(super) fn try_take_for_hint(&self, payload_bytes: usize) -> Result<Credit> {
        let take = |permits: &Arc<Semaphore>| permits.clone().try_acquire_owned();
        let hint = take(&self.hints).map_err(|_| overloaded())?;
        let request = take(&self.requests).map_err(|_| overloaded())?;
        let bytes = self.bytes.try_take(cost_bytes(payload_bytes))?;
        Ok(Credit { _request: request, _hint: Some(hint), _bytes: bytes })
    }
}

fn overloaded() -> Error {
    Error::new(Kind::Overloaded, "Too much work is waiting")
        .detail("the other node has granted no more credit")
}
