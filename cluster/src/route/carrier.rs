//! The way to other nodes, as the router sees it.

use crate::link::{CallError, Links, Outbound};
use async_trait::async_trait;
use base::{Deadline, NodeId};
use bytes::Bytes;

/// Carries requests and hints to other nodes: [`Links`], or a simulation of them.
#[async_trait]
pub(crate) trait Carrier: Send + Sync + 'static {
    /// Asks a node and waits for the answer, until the deadline at most.
    ///
    /// # Errors
    /// As [`Links::call`].
    async fn call(
        &self,
        node: NodeId,
        outbound: Outbound,
        deadline: Deadline,
    ) -> Result<Bytes, CallError>;

    /// Tells a node without waiting.
    fn hint(&self, node: NodeId, outbound: Outbound);
}

#[async_trait]
impl Carrier for Links {
    async fn call(
        &self,
        node: NodeId,
        outbound: Outbound,
        deadline: Deadline,
    ) -> Result<Bytes, CallError> {
        Links::call(self, node, outbound, deadline).await
    }

    fn hint(&self, node: NodeId, outbound: Outbound) {
        Links::hint(self, node, outbound);
    }
}
