//! What a node does with the requests that arrive over its links.

use crate::pki::{JoinReply, JoinRequest};
use async_trait::async_trait;
use base::router::{Parcel, Router, Target};
use base::{BootId, Deadline, Epoch, NodeId, Result};
use std::sync::Arc;

/// A request or hint from another node.
#[derive(Debug)]
pub struct Incoming {
    /// Who asks: proven by its certificate.
    pub from: NodeId,
    /// Which start of it.
    pub from_boot: BootId,
    /// Who is asked.
    pub target: Target,
    /// The epoch of the target's slot as the asking node knows it.
    pub epoch: Epoch,
    /// How many nodes have passed the request on before; the asking listener's own is 0.
    pub hops: u8,
    /// The request.
    pub payload: Parcel,
    /// By when the answer must be there; what was left when it was sent, counted from its arrival.
    pub deadline: Deadline,
}

/// Serves what other nodes ask; implemented by the cluster's dispatch (mailboxes and queues by the
/// router, Raft and health by the cluster itself).
#[async_trait]
pub trait LinkHandler: Send + Sync + 'static {
    /// Serves a request, or a hint, whose reply then goes nowhere. The future is dropped when the
    /// deadline passes, the caller goes away or the link breaks: work that must be finished
    /// belongs into an actor.
    ///
    /// # Errors
    /// The target's own; [`base::Kind::Fenced`] if this node does not own the target's slot.
    async fn handle(&self, incoming: Incoming) -> Result<Parcel>;
}

/// Hands everything to a router, which serves what this node owns.
pub struct DeliverTo(pub Arc<dyn Router>);

#[async_trait]
impl LinkHandler for DeliverTo {
    async fn handle(&self, incoming: Incoming) -> Result<Parcel> {
        self.0.call(incoming.target, incoming.payload, incoming.deadline).await
    }
}

/// Answers nodes that want to join; implemented with [`crate::pki::join()`].
#[async_trait]
pub trait JoinHandler: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Errors
    /// As [`crate::pki::join()`].
    async fn join(&self, request: JoinRequest) -> Result<JoinReply>;
}
