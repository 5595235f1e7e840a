//! [`ClusterAdmin`] of a member.

use super::exchange::{Wish, ask_plan, wish};
use super::moving;
use super::outlook::outlook;
use super::rows;
use super::shared::{Core, DECISION_TIME};
use crate::pki::{JoinToken, TokenRow};
use crate::placement::{Command, Node, NodeState};
use crate::raft::Applied;
use async_trait::async_trait;
use base::{Deadline, Error, NodeId, Result, Slot};
use contract_control::{ClusterAdmin, ClusterStatus, Drill, NodeStatus, PlannedMoves, Standing};
use contract_store::{Isolation, KeyRange, RangeRead, body, transact};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The longest life of a token, in seconds.
const INVITATION_MAX_S: u32 = 86_400;

/// How many tokens that have run out one invitation clears away.
const SWEEP_MAX: usize = 100;

/// How long another member may take to answer a wish.
const WISH_TIME: Duration = Duration::from_secs(3);

/// See the module's words.
pub(super) struct Administration(pub(super) Arc<Core>);

impl Administration {
    async fn decide(&self, command: Command) -> Result<()> {
        self.0.decide(&command).await.map(|_| ())
    }

    async fn ask(&self, of: NodeId, what: Wish) -> Result<()> {
        match of == self.0.me {
            true => self.0.grant(what),
            false => wish(&self.0.links, of, what, Deadline::after(WISH_TIME)).await,
        }
    }

    fn node_status(&self, applied: &Applied) -> Vec<NodeStatus> {
        let linked: BTreeMap<NodeId, bool> = {
            let links = self.0.links.status();
            links.into_iter().map(|peer| (peer.node, peer.link.is_some())).collect()
        };
        let now = self.0.now();
        let detector = self.0.detector.lock();
        let status = applied.state.nodes().map(|node| {
            let is_me = node.id == self.0.me;
            let heard = detector.heard_of(now, node.id);
            let vitals = heard.map(|(_, vitals)| vitals);
            NodeStatus {
                id: node.id,
                name: node.profile.name.clone(),
                address: node.profile.address.clone(),
                standing: standing(node),
                drain: node.drain,
                boot: node.boot,
                voter: applied.voters.contains(&node.id),
                slots: node.slots,
                weight: node.profile.weight,
                version: node.profile.version.clone(),
                feature_level: node.profile.feature_level,
                linked: (!is_me).then(|| linked.get(&node.id).copied().unwrap_or(false)),
                silence_ms: heard.map(|(silence, _)| super::watching::ms(silence)),
                tick_lag_ms: match is_me {
                    true => Some(detector.tick_lag_ms()),
                    false => vitals.map(|vitals| vitals.tick_lag_ms),
                },
                store_silence_ms: match is_me {
                    true => Some(super::watching::ms(self.0.store_silence())),
                    false => vitals.map(|vitals| vitals.store_silence_ms),
                },
            }
        });
        status.collect()
    }
}

fn standing(node: &Node) -> Standing {
    match node.state {
        NodeState::Joining => Standing::Joining,
        NodeState::Active => Standing::Active,
        NodeState::Draining => Standing::Draining,
        NodeState::Drained => Standing::Drained,
        NodeState::Dead => Standing::Dead,
        NodeState::Removed => Standing::Removed,
    }
}

#[async_trait]
impl ClusterAdmin for Administration {
    async fn status(&self, fresh: bool) -> Result<ClusterStatus> {
        let raft = &self.0.raft;
        let applied = match fresh {
            true => raft.read(DECISION_TIME).await?,
            false => raft.applied().borrow().clone(),
        };
        let leadership = *raft.leadership().borrow();
        let owned: u16 = applied.state.nodes().map(|node| node.slots).sum();
        let mut status = ClusterStatus {
            cluster_id: format!("{:032x}", self.0.cluster.cluster_id),
            asked: self.0.me,
            leader: leadership.leader,
            term: leadership.term,
            feature_level: applied.state.feature_level(),
            nodes: self.node_status(&applied),
            slots_without_owner: Slot::COUNT.saturating_sub(owned),
            moves: u16::try_from(applied.state.moves().count()).unwrap_or(u16::MAX),
            outlook: Vec::new(),
        };
        status.outlook = outlook(&status);
        Ok(status)
    }

    async fn invite(&self, life_s: u32) -> Result<String> {
        if !(1..=INVITATION_MAX_S).contains(&life_s) {
            return Err(Error::invalid("A token lives from a second to a day (86,400 s)"));
        }
        let found = rows::find(&self.0.store).await?;
        let found = found.ok_or_else(|| Error::corrupt("the rows of the cluster are gone"))?;
        let now = self.0.env.clock.now();
        let life = Duration::from_secs(life_s.into());
        let certificate = found.authority.certificate().to_vec();
        let (token, row) = JoinToken::draw(&*self.0.env.random, &certificate, now, life);
        let writing = body((token.id, row), move |(id, row), tx, _attempt| {
            Box::pin(async move {
                let all = RangeRead::all(&KeyRange::prefix(b"Kjoin/")).limit(SWEEP_MAX);
                for old in tx.get_range(&all, Isolation::Snapshot).await?.rows {
                    if TokenRow::decode(&old.value).is_ok_and(|old| old.expires_at < now) {
                        tx.clear(&old.key);
                    }
                }
                tx.set(&TokenRow::key(*id), &row.encode()?);
                Ok(())
            })
        });
        transact(&self.0.store, writing).await?;
        Ok(token.to_text())
    }

    async fn drain(&self, node: NodeId) -> Result<()> {
        self.decide(Command::Drain { node }).await
    }

    async fn undrain(&self, node: NodeId) -> Result<()> {
        self.decide(Command::Undrain { node }).await
    }

    async fn remove(&self, node: NodeId) -> Result<()> {
        self.decide(Command::Remove { node }).await
    }

    async fn set_weight(&self, node: NodeId, weight: u32) -> Result<()> {
        self.decide(Command::SetWeight { node, weight }).await
    }

    async fn rebalance(&self, what_if: bool) -> Result<Vec<PlannedMoves>> {
        let state = self.0.raft.read(DECISION_TIME).await?.state;
        let leader = self.0.raft.leadership().borrow().leader;
        let leader = leader.ok_or_else(|| Error::unavailable("no leader is known"))?;
        // Only the leader knows the loads.
        let planned = match leader == self.0.me {
            true => moving::what_if(&self.0, &state),
            false => ask_plan(&self.0.links, leader, Deadline::after(WISH_TIME)).await?,
        };
        if !what_if && !planned.is_empty() {
            self.ask(leader, Wish::Rebalance).await?;
        }
        Ok(planned)
    }

    async fn raise_feature_level(&self, to: u32) -> Result<()> {
        self.decide(Command::RaiseFeatureLevel { to }).await
    }

    async fn drill(&self, node: NodeId, drill: Drill) -> Result<()> {
        let state = self.0.state();
        let known = state.node(node).filter(|node| node.state != NodeState::Removed);
        if known.is_none() {
            return Err(Error::not_found(format!("The node {node}")));
        }
        self.ask(node, Wish::Drill(drill)).await
    }
}
