//! Renewing the fence of a slot, and what a renewal leaves behind of which nobody heard.
//!
//! A renewal may fail, or be abandoned by its caller, and its commit land all the same, even much
//! later. The stored fence is then newer than the one this node gives out, and everybody would be
//! refused for ever. So such a slot is in doubt, and its next user renews it once more: that takes
//! up what has landed, and shuts out what has not.

use base::{BootId, Error, Kind, Result};
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction};
use futures::future::BoxFuture;
use parking_lot::RwLock;

/// The fence of a slot as this node knows it.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) fence: Fence,
    /// Renewals of which nobody heard and that no later one has outdone.
    doubts: u32,
}

impl Known {
    pub(crate) fn new(fence: Fence) -> Self {
        Self { fence, doubts: 0 }
    }

    /// Whether the stored fence may be another one, now or later.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubts > 0
    }
}

/// Where a node keeps its fences.
pub(crate) trait Knowns: Sync {
    /// Changes what is known of a fence, if it is still held: another renewal of it is, another
    /// epoch or boot is not.
    fn change(&self, fence: &Fence, change: &mut dyn FnMut(&mut Known));
}

/// By slot number.
impl Knowns for RwLock<Vec<Known>> {
    fn change(&self, fence: &Fence, change: &mut dyn FnMut(&mut Known)) {
        if let Some(known) = self.write().get_mut(usize::from(fence.slot.number())) {
            change(known);
        }
    }
}

/// A renewal under way; dropped before it has succeeded, it leaves a doubt.
pub(crate) struct Renewing<'a, K: Knowns> {
    fences: &'a K,
    fence: Fence,
    /// The doubts that were there when it began, which its success settles.
    settles: u32,
    succeeded: bool,
}

impl<'a, K: Knowns> Renewing<'a, K> {
    pub(crate) fn new(fences: &'a K, known: &Known) -> Self {
        Self { fences, fence: known.fence, settles: known.doubts, succeeded: false }
    }

    pub(crate) fn succeeded(mut self, new: &Fence) {
        self.succeeded = true;
        let settles = self.settles;
        self.fences.change(&self.fence, &mut |known| {
            // Two renewals may come back in either order.
            known.fence.renewal = known.fence.renewal.max(new.renewal);
            known.doubts = known.doubts.saturating_sub(settles);
        });
    }
}

impl<K: Knowns> Drop for Renewing<'_, K> {
    fn drop(&mut self) {
        if !self.succeeded {
            let doubt = &mut |known: &mut Known| known.doubts = known.doubts.saturating_add(1);
            self.fences.change(&self.fence, doubt);
        }
    }
}

/// Raises the renewal of one fence. If it has been raised already (by an earlier attempt, or by
/// another actor of this boot), that will do: the old fence is shut out.
pub(crate) struct Renewal {
    /// The fence that is to be shut out.
    pub(crate) old: Fence,
    /// Raise it all the same, so that commits which read it before cannot land any more.
    pub(crate) always: bool,
}

impl Body<Fence> for Renewal {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Fence, BodyError>> {
        let Self { old, always } = *self;
        Box::pin(async move {
            let key = Fence::key(old.slot);
            let row = tx.get(&key, Isolation::Serializable).await?;
            let stored = row.as_deref().map(Fence::decode).transpose()?;
            match stored {
                Some(found) if Fence { renewal: old.renewal, ..found } == old => {
                    if found.renewal > old.renewal && !always {
                        return Ok(found);
                    }
                    let new = Fence { renewal: found.renewal.max(old.renewal) + 1, ..old };
                    tx.set(&key, &new.encode()?);
                    Ok(new)
                }
                _ => Err(fenced(old.boot).into()),
            }
        })
    }
}

/// What a start is told that has lost its slots.
pub(crate) fn fenced(boot: BootId) -> Error {
    Error::new(Kind::Fenced, "This mailbox is served elsewhere")
        .detail(format!("another start has taken over from {boot}"))
}
