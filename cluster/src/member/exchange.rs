//! What members say to each other about the cluster itself: Raft, heartbeats, and a few wishes.
//!
//! It travels on the control lane of the links, under a service that no router serves; everything
//! else that comes in is handed to the router's dispatch.

use super::shared::Core;
use crate::detect::Beat;
use crate::link::{Incoming, Lane, LinkHandler, Links, Outbound};
use crate::raft::RaftTransport;
use async_trait::async_trait;
use base::router::{Parcel, ServiceId, Target};
use base::{Deadline, Epoch, Error, NodeId, Result, Slot};
use bytes::Bytes;
use contract_control::{Drill, PlannedMoves};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Numbers from 256 on are the cluster's own.
const SERVICE: ServiceId = ServiceId(256);

/// Requests of Raft.
const RAFT: u128 = 1;
/// Hints: a [`Beat`].
const BEAT: u128 = 2;
/// A [`Wish`].
const WISH: u128 = 3;
/// Hints, for the leader: the loads of the sender's slots, see [`send_loads`].
const LOADS: u128 = 4;
/// Of the leader: what it would move to even out the slots.
const PLAN: u128 = 5;
/// Hints, for the leader: how fast nodes answer the sender, see [`send_paces`]. A node that does not
/// know them yet drops them.
const PACES: u128 = 6;

/// Of how many nodes one can tell: more than a cluster has.
const PACES_MAX: usize = 4096;

/// What one member asks of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Wish {
    /// Of the leader: even out the slots, however little they are off.
    Rebalance,
    /// Of the node that is to fail.
    Drill(Drill),
}

fn outbound(key: u128, payload: Bytes) -> Result<Outbound> {
    // Nothing is routed by the slot.
    let slot = Slot::new(0).ok_or_else(|| Error::internal("there is no slot 0"))?;
    let target = Target { service: SERVICE, key, slot };
    Ok(Outbound { lane: Lane::Control, target, epoch: Epoch(0), hops: 0, payload })
}

/// Tells how this node is.
///
/// # Errors
/// [`base::Kind::Internal`] only.
pub(super) fn send_beat(links: &Links, to: NodeId, beat: &Bytes) -> Result<()> {
    links.hint(to, outbound(BEAT, beat.clone())?);
    Ok(())
}

/// Tells the leader what is asked of this node's slots, in hundredths of a command a second.
///
/// # Errors
/// [`base::Kind::Internal`] only.
pub(super) fn send_loads(links: &Links, to: NodeId, loads: &[(Slot, u32)]) -> Result<()> {
    links.hint(to, outbound(LOADS, base::wire::encode(&loads)?)?);
    Ok(())
}

/// Tells the leader how fast this node serves and others answer it, in microseconds for a command.
///
/// # Errors
/// [`base::Kind::Internal`] only.
pub(super) fn send_paces(links: &Links, to: NodeId, paces: &[(NodeId, u32)]) -> Result<()> {
    links.hint(to, outbound(PACES, base::wire::encode(&paces)?)?);
    Ok(())
}

/// Asks the leader what it would move.
///
/// # Errors
/// [`base::Kind::Unavailable`] if there is no way to it, or it does not lead any more.
pub(super) async fn ask_plan(
    links: &Links,
    leader: NodeId,
    deadline: Deadline,
) -> Result<Vec<PlannedMoves>> {
    let answer = links.call(leader, outbound(PLAN, Bytes::new())?, deadline).await;
    base::wire::decode(&answer.map_err(Error::from)?)
}

/// Asks another member for something.
///
/// # Errors
/// [`base::Kind::Unavailable`] if there is no way to it; its own.
pub(super) async fn wish(links: &Links, of: NodeId, wish: Wish, deadline: Deadline) -> Result<()> {
    let payload = base::wire::encode(&wish)?;
    links.call(of, outbound(WISH, payload)?, deadline).await.map_err(Error::from)?;
    Ok(())
}

/// Raft over the links.
pub(super) struct RaftOverLinks(pub(super) Arc<Links>);

#[async_trait]
impl RaftTransport for RaftOverLinks {
    async fn call(&self, to: NodeId, _: &str, request: Bytes, timeout: Duration) -> Result<Bytes> {
        // Raft asks again by itself, and sooner than a link may come up.
        let link = self.0.link(to).ok_or_else(|| Error::unavailable(format!("no link to {to}")))?;
        let asked = link.call(outbound(RAFT, request)?, Deadline::after(timeout)).await;
        asked.map_err(Error::from)
    }
}

/// Where everything from other nodes arrives.
#[derive(Default)]
pub(super) struct Reception {
    served: RwLock<Option<Served>>,
}

#[derive(Clone)]
struct Served {
    core: Weak<Core>,
    dispatch: Arc<dyn LinkHandler>,
}

impl Reception {
    /// Begins to serve; until then everybody is told that the node is not there yet.
    pub(super) fn open(&self, core: &Arc<Core>, dispatch: Arc<dyn LinkHandler>) {
        *self.served.write() = Some(Served { core: Arc::downgrade(core), dispatch });
    }

    /// Ends serving, and lets go of everything.
    pub(super) fn close(&self) {
        *self.served.write() = None;
    }
}

#[async_trait]
impl LinkHandler for Reception {
    async fn handle(&self, incoming: Incoming) -> Result<Parcel> {
        let served = self.served.read().clone();
        let Some(Served { core, dispatch }) = served else {
            return Err(Error::unavailable("the node is starting or stopping"));
        };
        if incoming.target.service != SERVICE {
            return dispatch.handle(incoming).await;
        }
        let core = core.upgrade().ok_or_else(|| Error::unavailable("the node has stopped"))?;
        match incoming.target.key {
            RAFT => {
                let request = incoming.payload.into_bytes()?;
                core.raft.serve(incoming.from, &request).await.map(Parcel::bytes)
            }
            BEAT => {
                let beat = Beat::decode(&incoming.payload.into_bytes()?)?;
                if (beat.node, beat.boot) != (incoming.from, incoming.from_boot) {
                    return Err(Error::denied("a heartbeat in another node's name"));
                }
                core.heard(beat);
                Ok(Parcel::bytes(Bytes::new()))
            }
            WISH => {
                core.grant(incoming.payload.open()?)?;
                Ok(Parcel::bytes(Bytes::new()))
            }
            LOADS => {
                let loads: Vec<(Slot, u32)> = incoming.payload.open()?;
                core.hear_loads(incoming.from, &loads);
                Ok(Parcel::bytes(Bytes::new()))
            }
            PACES => {
                let mut paces: Vec<(NodeId, u32)> = incoming.payload.open()?;
                paces.truncate(PACES_MAX);
                core.hear_paces(incoming.from, paces);
                Ok(Parcel::bytes(Bytes::new()))
            }
            PLAN if core.raft.leadership().borrow().is_me => {
                let planned = super::moving::what_if(&core, &core.state());
                Ok(Parcel::bytes(base::wire::encode(&planned)?))
            }
            PLAN => Err(Error::unavailable("another node leads")),
            other => Err(Error::invalid(format!("A member does not know message {other}"))),
        }
    }
}
