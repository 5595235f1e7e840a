//! A cluster for tests that notes what it is asked to do.

use super::member::Member;
use super::{Answer, Options, Refusal};
use async_trait::async_trait;
use axum::Json;
use base::{BootId, NodeId, Result};
use contract_control::{ClusterAdmin, ClusterStatus, Drill, NodeStatus, PlannedMoves, Standing};
use std::sync::{Arc, Mutex};

/// The cluster: its nodes, and what it was asked to do.
#[derive(Clone)]
pub(super) struct Fake {
    nodes: Vec<NodeStatus>,
    done: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(super) fn of(nodes: impl Into<Vec<NodeStatus>>) -> Self {
        Self { nodes: nodes.into(), done: Arc::default() }
    }

    pub(super) fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn note(&self, text: String) -> Result<()> {
        self.done.lock().unwrap().push(text);
        Ok(())
    }
}

/// A request to it.
pub(super) fn member(fake: &Fake, what_if: bool) -> Member {
    let options = Options { what_if, ..Options::default() };
    Member { cluster: Arc::new(fake.clone()), options }
}

/// The text of an answer, or of the refusal.
pub(super) fn answered(answer: Answer) -> Result<String, String> {
    match answer {
        Ok(Json(value)) => Ok(value.to_string()),
        Err(Refusal(error)) => Err(error.text.into_owned()),
    }
}

/// A node that serves.
pub(super) fn node(id: u64, name: &str) -> NodeStatus {
    NodeStatus {
        id: NodeId(id),
        name: name.to_owned(),
        address: format!("10.0.0.{id}:7400"),
        standing: Standing::Active,
        drain: false,
        boot: Some(BootId(u128::MAX)),
        voter: true,
        slots: 2048,
        weight: 100,
        version: "0.1.0".to_owned(),
        feature_level: 1,
        linked: None,
        silence_ms: None,
        tick_lag_ms: None,
        store_silence_ms: None,
    }
}

#[async_trait]
impl ClusterAdmin for Fake {
    async fn status(&self, _fresh: bool) -> Result<ClusterStatus> {
        Ok(ClusterStatus {
            cluster_id: "0".repeat(32),
            asked: NodeId(1),
            leader: Some(NodeId(1)),
            term: 1,
            feature_level: 1,
            nodes: self.nodes.clone(),
            slots_without_owner: 0,
            moves: 0,
            outlook: Vec::new(),
        })
    }

    async fn invite(&self, _life_s: u32) -> Result<String> {
        self.note("invite".to_owned())?;
        Ok("rj1.secret".to_owned())
    }

    async fn drain(&self, node: NodeId) -> Result<()> {
        self.note(format!("drain {node}"))
    }

    async fn undrain(&self, node: NodeId) -> Result<()> {
        self.note(format!("undrain {node}"))
    }

    async fn remove(&self, node: NodeId) -> Result<()> {
        self.note(format!("remove {node}"))
    }

    async fn set_weight(&self, node: NodeId, weight: u32) -> Result<()> {
        self.note(format!("weight {node} {weight}"))
    }

    async fn rebalance(&self, what_if: bool) -> Result<Vec<PlannedMoves>> {
        self.note(format!("rebalance {what_if}"))?;
        Ok(vec![PlannedMoves { from: NodeId(1), to: NodeId(2), slots: 7 }])
    }

    async fn raise_feature_level(&self, to: u32) -> Result<()> {
        self.note(format!("raise {to}"))
    }

    async fn drill(&self, node: NodeId, drill: Drill) -> Result<()> {
        self.note(match drill {
            Drill::Die => format!("die {node}"),
            Drill::Isolate { duration_ms } => format!("isolate {node} {duration_ms}"),
        })
    }
}
