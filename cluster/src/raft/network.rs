//! openraft's network, over whatever carries bytes between nodes.

use super::message::{self, Request, Response};
use super::types::Types;
use async_trait::async_trait;
use base::{Kind, NodeId, Result};
use bytes::Bytes;
use openraft::AnyError;
use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long to leave a node alone that cannot be reached: short, for it may be back any moment, and
/// until it hears of the leader it gets in the way with elections.
const BACKOFF: Duration = Duration::from_millis(100);

/// Carries requests to other nodes, where [`super::RaftNode::serve`] answers them.
#[async_trait]
pub trait RaftTransport: Send + Sync + 'static {
    /// Sends one request and waits for its answer, no longer than `timeout`. Requests may arrive
    /// twice, late, in any order or not at all. The future may be dropped at any time.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if there is no way to the node now, others of the link or the peer.
    async fn call(
        &self,
        to: NodeId,
        address: &str,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Bytes>;
}

/// Makes a [`Link`] per peer.
pub(crate) struct Links {
    pub(crate) transport: Arc<dyn RaftTransport>,
    /// Whether this node keeps silent as a leader, see `quiet`.
    pub(crate) is_quiet: Arc<AtomicBool>,
    /// Set where another voter turns out to know more than this node, see `elections`.
    pub(crate) is_behind: Arc<AtomicBool>,
}

impl RaftNetworkFactory<Types> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &openraft::BasicNode) -> Link {
        let (transport, is_quiet) = (self.transport.clone(), self.is_quiet.clone());
        let (is_behind, address) = (self.is_behind.clone(), node.addr.clone());
        Link { transport, is_quiet, is_behind, to: NodeId(target), address }
    }
}

/// The way to one peer.
pub(crate) struct Link {
    transport: Arc<dyn RaftTransport>,
    is_quiet: Arc<AtomicBool>,
    is_behind: Arc<AtomicBool>,
    to: NodeId,
    address: String,
}

type CallError<E> = RPCError<u64, openraft::BasicNode, E>;

impl Link {
    async fn call<E: std::error::Error>(
        &self,
        request: &Request,
        option: &RPCOption,
    ) -> std::result::Result<Response, CallError<E>> {
        let network = |error: &base::Error| RPCError::Network(NetworkError::new(error));
        let request = message::encode(request).map_err(|e| network(&e))?;
        let call = self.transport.call(self.to, &self.address, request, option.hard_ttl());
        let answer = call.await.map_err(|error| match error.kind {
            Kind::Unavailable => RPCError::Unreachable(Unreachable::new(&error)),
            _ => network(&error),
        })?;
        message::decode(&answer).map_err(|e| network(&e))
    }

    /// What only a leader says.
    async fn lead<E: std::error::Error>(
        &self,
        request: &Request,
        option: &RPCOption,
    ) -> std::result::Result<Response, CallError<E>> {
        if self.is_quiet.load(Ordering::Relaxed) {
            let text = AnyError::error("this leader keeps silent");
            return Err(RPCError::Unreachable(Unreachable::new(&text)));
        }
        self.call(request, option).await
    }

    fn unexpected<E: std::error::Error>(response: &Response) -> CallError<E> {
        let text = AnyError::error(format!("answered {response:?}"));
        match response {
            Response::Stopped(_) => RPCError::Unreachable(Unreachable::new(&text)),
            _ => RPCError::Network(NetworkError::new(&text)),
        }
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<AppendEntriesResponse<u64>, CallError<RaftError<u64>>> {
        match self.lead(&Request::Append(rpc), &option).await? {
            Response::Append(response) => Ok(response),
            other => Err(Self::unexpected(&other)),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<
        InstallSnapshotResponse<u64>,
        CallError<RaftError<u64, InstallSnapshotError>>,
    > {
        match self.lead(&Request::Snapshot(rpc), &option).await? {
            Response::Snapshot(Ok(response)) => Ok(response),
            Response::Snapshot(Err(error)) => {
                let error = RemoteError::new(self.to.0, RaftError::APIError(error));
                Err(RPCError::RemoteError(error))
            }
            other => Err(Self::unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> std::result::Result<VoteResponse<u64>, CallError<RaftError<u64>>> {
        let known = rpc.last_log_id;
        match self.call(&Request::Vote(rpc), &option).await? {
            Response::Vote(response) => {
                if !response.vote_granted && response.last_log_id > known {
                    self.is_behind.store(true, Ordering::Relaxed);
                }
                Ok(response)
            }
            other => Err(Self::unexpected(&other)),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}
