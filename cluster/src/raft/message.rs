//! What the Rafts of two nodes say to each other, as bytes for the links.
//!
//! The version byte stands for the shape of openraft's own types too: it is raised when openraft
//! changes them, and a node then speaks both for one feature level.

use super::types::{Proposal, Types};
use crate::placement::Reply;
use base::{NodeId, Result, wire};
use bytes::Bytes;
use openraft::error::InstallSnapshotError;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version byte of requests and responses.
const MESSAGE_VERSION: u8 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Snapshot(InstallSnapshotRequest<Types>),
    /// For the leader: commit this.
    Propose(Proposal),
    /// For the leader: up to where must a read have applied that begins now?
    ReadIndex,
}

impl Request {
    /// The node that a request of Raft's own claims to come from.
    pub(super) fn claimed_sender(&self) -> Option<NodeId> {
        let vote = match self {
            Self::Append(request) => &request.vote,
            Self::Vote(request) => &request.vote,
            Self::Snapshot(request) => &request.vote,
            Self::Propose(_) | Self::ReadIndex => return None,
        };
        Some(NodeId(vote.leader_id.node_id))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Response {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    Snapshot(std::result::Result<InstallSnapshotResponse<u64>, InstallSnapshotError>),
    /// Committed and applied; what it did.
    Proposed(Reply),
    ReadIndex(u64),
    /// Not the leader; perhaps this one is.
    NotLeader(Option<NodeId>),
    /// Raft is not running here any more, for this reason.
    Stopped(String),
}

pub(super) fn encode<T: Serialize>(message: &T) -> Result<Bytes> {
    wire::encode_row(MESSAGE_VERSION, message)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    wire::decode_row(MESSAGE_VERSION, bytes)
}
