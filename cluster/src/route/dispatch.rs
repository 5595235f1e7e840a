//! What other nodes ask of this one's services.

use super::router::{ClusterRouter, Way};
use super::{HOPS_MAX, LAG_MAX, PATIENCE};
use crate::link::{Executed, Incoming, Lane, LinkHandler, Outbound};
use crate::placement::SlotOwner;
use async_trait::async_trait;
use base::router::{Parcel, Router, Target};
use base::{Deadline, Error, Kind, NodeId, Result};
use std::sync::Arc;

/// Serves what arrives over the links for this node's services: mailboxes and queues if it owns
/// their slots, wakeups and administration in any case.
pub(crate) struct Dispatch {
    router: Arc<ClusterRouter>,
}

/// Until when a request waits, by what it waits for.
#[derive(Clone, Copy)]
struct Waits {
    /// What its asker has heard from Raft already.
    lag: Deadline,
    /// The fence, or the end of a seal.
    ready: Deadline,
}

/// What to do with a request that has arrived.
enum Step {
    Serve,
    /// To a newer owner than its asker knows.
    PassOn(SlotOwner, NodeId),
    Refuse,
    /// For something to change; until then, and then with this error.
    Wait(Deadline, Error),
}

impl Dispatch {
    /// Serves through this router's hosts.
    pub(crate) fn new(router: Arc<ClusterRouter>) -> Self {
        Self { router }
    }

    async fn owned(&self, incoming: Incoming) -> Result<Parcel> {
        let router = &*self.router;
        let (slot, by) = (incoming.target.slot, incoming.deadline);
        let waits = Waits { lag: by.within(LAG_MAX), ready: by.within(PATIENCE) };
        let (mut applied, mut fences) = (router.applied.clone(), router.fences.changed());
        loop {
            fences.borrow_and_update();
            let owner = applied.borrow_and_update().state.slot(slot);
            let (until, late) = match self.step(&incoming, owner, waits) {
                Step::Serve => {
                    let Incoming { target, payload, deadline, .. } = incoming;
                    // From a link it is bytes already.
                    let bytes = payload.to_bytes().map_or(0, |bytes| bytes.len());
                    return router.serve(target, (payload, bytes), deadline).await;
                }
                Step::PassOn(owner, node) => return self.pass_on(incoming, owner, node).await,
                Step::Refuse => return Err(elsewhere(incoming.target, owner)),
                Step::Wait(until, late) => (until, late),
            };
            let _place = router.waiting.enter(slot)?;
            let gone = |_| Error::unavailable("the node is shutting down");
            tokio::select! {
                changed = applied.changed() => changed.map_err(gone)?,
                changed = fences.changed() => changed.map_err(gone)?,
                () = tokio::time::sleep_until(until.instant()) => return Err(late),
            }
        }
    }

    fn step(&self, incoming: &Incoming, owner: SlotOwner, waits: Waits) -> Step {
        let target = incoming.target;
        let wait = |until: Deadline, late: Error| match until.has_passed() {
            true => Step::Refuse,
            false => Step::Wait(until, late),
        };
        if incoming.epoch > owner.epoch {
            return wait(waits.lag, elsewhere(target, owner));
        }
        match self.router.way(target.slot, owner) {
            Way::Here => Step::Serve,
            Way::There(node, epoch) if epoch > incoming.epoch && incoming.hops < HOPS_MAX => {
                Step::PassOn(owner, node)
            }
            // The asker waits for an owner by itself.
            Way::There(..) | Way::NoOwner => Step::Refuse,
            Way::NotReady => {
                let late = Error::unavailable(format!("{target} is not served here yet"));
                wait(waits.ready, late)
            }
        }
    }

    /// Passes a request on. An answer goes back as it is. If the request certainly was not
    /// executed, the asker is told to look for the owner itself; if nobody knows, that it took too
    /// long, which leaves it in the same doubt.
    async fn pass_on(&self, incoming: Incoming, owner: SlotOwner, node: NodeId) -> Result<Parcel> {
        let Incoming { target, payload, deadline, hops, .. } = incoming;
        let hops = hops + 1;
        tracing::debug!(%target, to = %node, hops, "a request is passed on to a newer owner");
        metrics::counter!("rialto_route_passed_on_total").increment(1);
        let (epoch, payload) = (owner.epoch, payload.into_bytes()?);
        let outbound = Outbound { lane: Lane::Data, target, epoch, hops, payload };
        let mut applied = self.router.applied.clone();
        let call = self.router.carrier.call(node, outbound, deadline);
        let outcome = tokio::select! {
            biased;
            outcome = call => outcome,
            Ok(now) = applied.wait_for(|now| now.state.slot(target.slot) != owner) => {
                return Err(elsewhere(target, now.state.slot(target.slot)));
            }
        };
        match outcome {
            Ok(reply) => Ok(Parcel::bytes(reply)),
            Err(failed) => Err(match failed.executed {
                Executed::Answered => failed.error,
                Executed::No if !failed.error.is_temporary() => failed.error,
                Executed::No => elsewhere(target, owner),
                Executed::Unknown => Error::new(Kind::Timeout, "The request took too long")
                    .detail(format!("passed on to {node}: {}", failed.error)),
            }),
        }
    }

    async fn unowned(&self, incoming: Incoming) -> Result<Parcel> {
        let Incoming { target, payload, deadline, .. } = incoming;
        self.router.here.call(target, payload, deadline).await
    }
}

fn elsewhere(target: Target, owner: SlotOwner) -> Error {
    Error::new(Kind::Fenced, "This mailbox is served elsewhere")
        .detail(format!("{target}: here the owner is {owner:?}"))
}

#[async_trait]
impl LinkHandler for Dispatch {
    async fn handle(&self, incoming: Incoming) -> Result<Parcel> {
        metrics::histogram!("rialto_route_hops").record(f64::from(incoming.hops));
        match incoming.target.service.is_owned() {
            true => self.owned(incoming).await,
            false => self.unowned(incoming).await,
        }
    }
}
