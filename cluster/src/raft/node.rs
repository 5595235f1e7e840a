//! One node's Raft: proposing, reading, serving its peers.

use super::elections::{self, Heard};
use super::file::RaftFile;
use super::machine::{Applied, Machine};
use super::message::{self, Request, Response};
use super::network::{Links, RaftTransport};
use super::options::RaftOptions;
use super::quiet::Quiet;
use super::types::{Answer, Proposal, Types};
use crate::placement::{Command, Reply};
use base::env::Clock;
use base::{Error, Kind, NodeId, Result};
use bytes::Bytes;
use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest};
use openraft::{BasicNode, Raft, RaftMetrics, ServerState, Vote};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// How long to wait before asking again for a leader.
const RETRY: Duration = Duration::from_millis(50);

/// How often a leader looks whether it is heard.
const QUIET_EVERY: Duration = Duration::from_millis(100);

/// Who leads, as this node knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leadership {
    /// The leader.
    pub leader: Option<NodeId>,
    /// The term; only grows.
    pub term: u64,
    /// Whether it is this node.
    pub is_me: bool,
}

/// See the module's words of [`crate::raft`].
pub struct RaftNode {
    pub(super) id: NodeId,
    pub(super) raft: Raft<Types>,
    pub(super) applied: watch::Receiver<Applied>,
    leadership: watch::Receiver<Leadership>,
    transport: Arc<dyn RaftTransport>,
    file: RaftFile,
    /// Held while the membership changes: one change at a time.
    pub(super) changing: Mutex<()>,
    pub(super) heard: Heard,
    /// Another voter knows more than this node, which has stood in vain for that.
    pub(super) is_behind: Arc<AtomicBool>,
    /// This node could not lead well now.
    pub(super) is_hindered: AtomicBool,
    quiet: Arc<parking_lot::Mutex<Quiet>>,
    pub(super) clock: Arc<dyn Clock>,
}

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("Raft has stopped: {error}"))
}

/// What the leader (if it is here) says to a request.
enum Attempt<T> {
    Done(T),
    NotLeader(Option<NodeId>),
}

impl RaftNode {
    /// Takes up where the file left off. A new file waits until [`RaftNode::found`] is called or a
    /// leader gets in touch.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] or [`Kind::Unavailable`] if the file cannot be read.
    pub async fn start(
        file: RaftFile,
        transport: Arc<dyn RaftTransport>,
        options: &RaftOptions,
    ) -> Result<Arc<Self>> {
        let id = file.identity().node;
        let unreadable = |error| Error::corrupt(format!("raft.redb: {error}"));
        let machine = Machine::load(file.clone()).await.map_err(unreadable)?;
        let applied = machine.watch();
        let is_quiet = Arc::new(AtomicBool::new(false));
        let is_behind = Arc::new(AtomicBool::new(false));
        let (quiet_now, behind) = (is_quiet.clone(), is_behind.clone());
        let links = Links { transport: transport.clone(), is_quiet: quiet_now, is_behind: behind };
        let raft = Raft::new(id.0, options.config()?, links, file.clone(), machine);
        let raft = raft.await.map_err(stopped)?;
        let leadership = follow_leadership(id, raft.metrics());
        let clock = file.clock();
        let quiet = Quiet::new(clock.monotonic(), options.election.end);
        let quiet = Arc::new(parking_lot::Mutex::new(quiet));
        keep_quiet(raft.metrics(), quiet.clone(), is_quiet, clock.clone());
        let node = Arc::new(Self {
            id,
            raft,
            applied,
            leadership,
            transport,
            file,
            changing: Mutex::new(()),
            heard: Heard::default(),
            is_behind,
            is_hindered: AtomicBool::new(false),
            quiet,
            clock,
        });
        tokio::spawn(elections::call(Arc::downgrade(&node), options.election.clone()));
        Ok(node)
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Follows the newest state that this node has applied: for routing, which may be a little
    /// behind the leader's.
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.clone()
    }

    /// Follows who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Who takes part in Raft as this node's log has it, committed or not, and where their links
    /// listened then. After a start it is there before anything is applied.
    pub fn members(&self) -> BTreeMap<NodeId, String> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let members = metrics.membership_config.membership().nodes();
        members.map(|(id, node)| (NodeId(*id), node.addr.clone())).collect()
    }

    /// How long the last durable write of the log took, in milliseconds.
    pub fn last_sync_ms(&self) -> u32 {
        self.file.last_sync_ms()
    }

    /// On the leader: how long ago a majority last answered it. For
    /// [`crate::detect::Detector::quorum_silence`].
    pub fn quorum_silence(&self) -> Option<Duration> {
        let metrics = self.raft.metrics();
        let silence = metrics.borrow().millis_since_quorum_ack;
        silence.map(Duration::from_millis)
    }

    /// How long ago Raft heard this leader, if it was the last that it listened to.
    pub fn silence_of(&self, leader: NodeId) -> Option<Duration> {
        let heard = *self.heard.lock();
        heard
            .filter(|(node, _)| *node == leader)
            .map(|(_, at)| self.clock.monotonic().saturating_sub(at))
    }

    /// Stands for election at once. Voters that have heard their leader within the lease say no.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if this node's Raft has stopped.
    pub async fn stand(&self) -> Result<()> {
        self.raft.trigger().elect().await.map_err(stopped)
    }

    /// Whether this node could not lead well now, without the store say: then it lets others stand
    /// first.
    pub fn hinder(&self, is_hindered: bool) {
        self.is_hindered.store(is_hindered, Ordering::Relaxed);
    }

    /// Has this node, if it leads, keep silent until another was elected.
    pub fn give_up_lead(&self) {
        self.quiet.lock().give_up(self.clock.monotonic());
    }

    /// Whether Raft still runs on this node; it stops for good when its file fails.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] with the reason if not.
    pub fn is_running(&self) -> Result<()> {
        let metrics = self.raft.metrics();
        let state = metrics.borrow().running_state.clone();
        state.map_err(stopped)
    }

    /// Founds the cluster with this node as its only voter, and proposes the founding command.
    /// May be repeated.
    ///
    /// # Errors
    /// As [`RaftNode::propose`].
    pub async fn found(
        &self,
        address: &str,
        command: &Command,
        timeout: Duration,
    ) -> Result<Reply> {
        if !self.raft.is_initialized().await.map_err(stopped)? {
            let member = BTreeMap::from([(self.id.0, BasicNode::new(address))]);
            self.raft.initialize(member).await.map_err(stopped)?;
        }
        self.propose(command, timeout).await
    }

    /// Commits a command, wherever the leader is, and gives what it did. It is sent again when the
    /// leader changes: all commands bear that.
    ///
    /// # Errors
    /// [`Kind::Timeout`] if it is not known whether it was or will be committed,
    /// [`Kind::Unavailable`] if this node's Raft has stopped.
    pub async fn propose(&self, command: &Command, timeout: Duration) -> Result<Reply> {
        let proposal = Proposal::new(command)?;
        let request = Request::Propose(proposal.clone());
        let attempts = async {
            loop {
                let leader = match self.propose_here(proposal.clone()).await? {
                    Attempt::Done(reply) => return Ok(reply),
                    Attempt::NotLeader(leader) => leader,
                };
                if let Some(Response::Proposed(reply)) = self.ask(leader, &request, timeout).await {
                    return Ok(reply);
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        within(timeout, attempts).await
    }

    async fn propose_here(&self, proposal: Proposal) -> Result<Attempt<Reply>> {
        match self.raft.client_write(proposal).await {
            Ok(written) => match written.data {
                Answer(Some(reply)) => Ok(Attempt::Done(reply)),
                Answer(None) => Err(Error::internal("a command without an answer")),
            },
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Ok(Attempt::NotLeader(to.leader_id.map(NodeId)))
            }
            Err(RaftError::APIError(error)) => Err(Error::internal(error)),
            Err(RaftError::Fatal(error)) => Err(stopped(error)),
        }
    }

    /// The state with everything in it that was committed before this call began. For decisions
    /// that must not rest on what this node happens to have heard: the command line, drills.
    ///
    /// # Errors
    /// [`Kind::Timeout`] if no majority could be asked in time, [`Kind::Unavailable`] if this node's
    /// Raft has stopped.
    pub async fn read(&self, timeout: Duration) -> Result<Applied> {
        let attempts = async {
            let index = loop {
                let leader = match self.read_index_here().await? {
                    Attempt::Done(index) => break index,
                    Attempt::NotLeader(leader) => leader,
                };
                let answer = self.ask(leader, &Request::ReadIndex, timeout).await;
                if let Some(Response::ReadIndex(index)) = answer {
                    break index;
                }
                tokio::time::sleep(RETRY).await;
            };
            let mut applied = self.applied.clone();
            let found = applied.wait_for(|applied| applied.index >= index).await;
            found.map(|applied| applied.clone()).map_err(stopped)
        };
        within(timeout, attempts).await
    }

    async fn read_index_here(&self) -> Result<Attempt<u64>> {
        match self.raft.get_read_log_id().await {
            Ok((index, _)) => Ok(Attempt::Done(index.map_or(0, |id| id.index))),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
                Ok(Attempt::NotLeader(to.leader_id.map(NodeId)))
            }
            Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
                Ok(Attempt::NotLeader(None))
            }
            Err(RaftError::Fatal(error)) => Err(stopped(error)),
        }
    }

    /// Asks another node, if it is known who; whatever goes wrong is tried again by the caller.
    async fn ask(
        &self,
        leader: Option<NodeId>,
        request: &Request,
        timeout: Duration,
    ) -> Option<Response> {
        let leader = leader.filter(|leader| *leader != self.id)?;
        let address = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            metrics.membership_config.membership().get_node(&leader.0)?.addr.clone()
        };
        let request = message::encode(request).ok()?;
        let answer = self.transport.call(leader, &address, request, timeout).await;
        match answer.and_then(|bytes| message::decode(&bytes)) {
            Ok(response) => Some(response),
            Err(error) => {
                tracing::debug!(%leader, %error, "the leader does not answer");
                None
            }
        }
    }

    /// Answers what another node's [`RaftTransport`] sent; `from` is proven by the link.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for bytes that are no request, [`Kind::Denied`] for one that claims to
    /// come from somebody else, [`Kind::Unavailable`] if this node's Raft has stopped.
    pub async fn serve(&self, from: NodeId, request: &[u8]) -> Result<Bytes> {
        let request: Request = message::decode(request)?;
        if request.claimed_sender().is_some_and(|claimed| claimed != from) {
            return Err(Error::denied("a Raft message in another node's name")
                .detail(format!("{from} sent one of {:?}", request.claimed_sender())));
        }
        let response = match request {
            Request::Append(rpc) => self.append(rpc).await,
            Request::Vote(rpc) => match self.raft.vote(rpc).await {
                Ok(response) => Response::Vote(response),
                Err(error) => Response::Stopped(error.to_string()),
            },
            Request::Snapshot(rpc) => self.install(rpc).await,
            Request::Propose(proposal) => match self.propose_here(proposal).await? {
                Attempt::Done(reply) => Response::Proposed(reply),
                Attempt::NotLeader(leader) => Response::NotLeader(leader),
            },
            Request::ReadIndex => match self.read_index_here().await? {
                Attempt::Done(index) => Response::ReadIndex(index),
                Attempt::NotLeader(leader) => Response::NotLeader(leader),
            },
        };
        message::encode(&response)
    }

    async fn append(&self, rpc: AppendEntriesRequest<Types>) -> Response {
        self.hear(rpc.vote);
        let leader = rpc.vote;
        match self.raft.append_entries(rpc).await {
            Ok(response) => {
                if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                    self.hear(leader);
                }
                Response::Append(response)
            }
            Err(error) => Response::Stopped(error.to_string()),
        }
    }

    async fn install(&self, rpc: InstallSnapshotRequest<Types>) -> Response {
        self.hear(rpc.vote);
        match self.raft.install_snapshot(rpc).await {
            Ok(response) => Response::Snapshot(Ok(response)),
            Err(RaftError::APIError(error)) => Response::Snapshot(Err(error)),
            Err(error) => Response::Stopped(error.to_string()),
        }
    }

    /// Notes that a leader has spoken, unless another has been voted for since. When its words come
    /// in, not when they are done with: a slow disk of this node is not the leader's silence.
    fn hear(&self, leader: Vote<u64>) {
        if leader.is_committed() && leader >= self.raft.metrics().borrow().vote {
            let node = NodeId(leader.leader_id.node_id);
            *self.heard.lock() = Some((node, self.clock.monotonic()));
        }
    }

    /// Ends this node's part, in order: what is being written is.
    ///
    /// # Errors
    /// [`Kind::Internal`] if it did not end in order.
    pub async fn stop(&self) -> Result<()> {
        self.raft.shutdown().await.map_err(Error::internal)
    }
}

async fn within<T>(timeout: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(timeout, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(Kind::Timeout, "The cluster did not decide in time")
            .detail(format!("no answer of a Raft leader within {timeout:?}"))),
    }
}

/// Looks whether this node, where it leads, is heard by those that it needs, see `quiet`.
fn keep_quiet(
    metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>,
    quiet: Arc<parking_lot::Mutex<Quiet>>,
    is_quiet: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
) {
    tokio::spawn(async move {
        while metrics.has_changed().is_ok() {
            let silence = metrics.borrow().millis_since_quorum_ack.map(Duration::from_millis);
            let is = quiet.lock().tick(clock.monotonic(), silence);
            if is != is_quiet.swap(is, Ordering::Relaxed) && is {
                tracing::warn!(?silence, "this leader keeps silent: others may elect another");
            }
            clock.sleep(QUIET_EVERY).await;
        }
    });
}

/// Keeps what matters of openraft's metrics, which change with every entry.
fn follow_leadership(
    me: NodeId,
    mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>,
) -> watch::Receiver<Leadership> {
    let (sender, receiver) = watch::channel(Leadership::default());
    tokio::spawn(async move {
        loop {
            let now = {
                let metrics = metrics.borrow_and_update();
                Leadership {
                    leader: metrics.current_leader.map(NodeId),
                    term: metrics.current_term,
                    is_me: metrics.state == ServerState::Leader
                        && metrics.current_leader == Some(me.0),
                }
            };
            let before = *sender.borrow();
            if before.leader != now.leader {
                match now.leader {
                    Some(leader) => tracing::info!(%leader, term = now.term, "a leader is known"),
                    None => tracing::info!(term = now.term, "no leader is known"),
                }
            }
            sender.send_if_modified(|known| std::mem::replace(known, now) != now);
            if metrics.changed().await.is_err() || sender.is_closed() {
                break;
            }
        }
        // Raft has stopped: nobody here leads any more.
        sender.send_replace(Leadership::default());
    });
    receiver
}
