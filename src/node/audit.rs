//! Administration of the cluster that leaves audit records: the cluster knows no directory, and the
//! directory no cluster.
//!
//! The record is written when the change is decided. That it cannot be written does not take the
//! change back (a node may have to be drained just because the store is in trouble); it is told to
//! whoever asked in the log, with everything that the record would have said.

use async_trait::async_trait;
use base::{Deadline, NodeId, Result, with_deadline};
use contract_control::{ClusterAdmin, ClusterStatus, Drill, PlannedMoves};
use contract_directory::{Actor, DirectoryAdmin};
use std::sync::Arc;
use std::time::Duration;

/// How long writing a record may take.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// See the module's words.
pub(super) struct Audited {
    pub(super) cluster: Arc<dyn ClusterAdmin>,
    pub(super) directory: Arc<dyn DirectoryAdmin>,
}

/// Writes one record, or says in the log why not.
pub(super) async fn record(
    directory: &Arc<dyn DirectoryAdmin>,
    actor: Actor,
    action: &'static str,
    target: &str,
    parameters: &str,
) {
    let writing = directory.record(&actor, action, target, parameters);
    if let Err(error) = with_deadline(Deadline::after(WRITE_TIME), writing).await {
        tracing::error!(%error, ?actor, action, target, parameters, "no audit record");
    }
}

impl Audited {
    /// What comes of a change; if it was made, there is a record of it.
    async fn note<T>(
        &self,
        done: Result<T>,
        action: &'static str,
        target: impl ToString,
        parameters: String,
    ) -> Result<T> {
        if done.is_ok() {
            let target = target.to_string();
            record(&self.directory, Actor::Operator, action, &target, &parameters).await;
        }
        done
    }
}

#[async_trait]
impl ClusterAdmin for Audited {
    async fn status(&self, fresh: bool) -> Result<ClusterStatus> {
        self.cluster.status(fresh).await
    }

    async fn invite(&self, life_s: u32) -> Result<String> {
        let done = self.cluster.invite(life_s).await;
        self.note(done, "node.invite", "cluster", format!("life_s={life_s}")).await
    }

    async fn drain(&self, node: NodeId) -> Result<()> {
        let done = self.cluster.drain(node).await;
        self.note(done, "node.drain", node, String::new()).await
    }

    async fn undrain(&self, node: NodeId) -> Result<()> {
        let done = self.cluster.undrain(node).await;
        self.note(done, "node.undrain", node, String::new()).await
    }

    async fn remove(&self, node: NodeId) -> Result<()> {
        let done = self.cluster.remove(node).await;
        self.note(done, "node.remove", node, String::new()).await
    }

    async fn set_weight(&self, node: NodeId, weight: u32) -> Result<()> {
        let done = self.cluster.set_weight(node, weight).await;
        self.note(done, "node.weight", node, format!("weight={weight}")).await
    }

    async fn rebalance(&self, what_if: bool) -> Result<Vec<PlannedMoves>> {
        let done = self.cluster.rebalance(what_if).await;
        if what_if {
            return done;
        }
        let slots =
            |moves: &Vec<PlannedMoves>| moves.iter().map(|pair| u32::from(pair.slots)).sum();
        let slots: u32 = done.as_ref().map_or(0, slots);
        self.note(done, "cluster.rebalance", "cluster", format!("slots={slots}")).await
    }

    async fn raise_feature_level(&self, to: u32) -> Result<()> {
        let done = self.cluster.raise_feature_level(to).await;
        self.note(done, "cluster.raise-level", "cluster", format!("to={to}")).await
    }

    async fn drill(&self, node: NodeId, drill: Drill) -> Result<()> {
        // Before: afterwards there may be nobody left to write it.
        let parameters = match drill {
            Drill::Die => "die".to_owned(),
            Drill::Isolate { duration_ms } => format!("isolate duration_ms={duration_ms}"),
        };
        let target = node.to_string();
        record(&self.directory, Actor::Operator, "cluster.drill", &target, &parameters).await;
        self.cluster.drill(node, drill).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::env::Env;
    use base::{Error, Kind};
    use service_directory::{DirectoryConfig, DirectoryService};
    use store_memory::MemoryStore;

    /// Does everything, but for nodes that it does not know: it knows n3.
    struct Fake;

    fn known(node: NodeId) -> Result<()> {
        match node {
            NodeId(3) => Ok(()),
            other => Err(Error::not_found(format!("The node {other}"))),
        }
    }

    #[async_trait]
    impl ClusterAdmin for Fake {
        async fn status(&self, _: bool) -> Result<ClusterStatus> {
            Err(Error::unavailable("not asked for"))
        }

        async fn invite(&self, _: u32) -> Result<String> {
            Ok("rj1.secret".to_owned())
        }

        async fn drain(&self, node: NodeId) -> Result<()> {
            known(node)
        }

        async fn undrain(&self, node: NodeId) -> Result<()> {
            known(node)
        }

        async fn remove(&self, node: NodeId) -> Result<()> {
            known(node)
        }

        async fn set_weight(&self, node: NodeId, _: u32) -> Result<()> {
            known(node)
        }

        async fn rebalance(&self, _: bool) -> Result<Vec<PlannedMoves>> {
            Ok(vec![PlannedMoves { from: NodeId(1), to: NodeId(3), slots: 7 }])
        }

        async fn raise_feature_level(&self, _: u32) -> Result<()> {
            Ok(())
        }

        async fn drill(&self, node: NodeId, _: Drill) -> Result<()> {
            known(node)
        }
    }

    #[tokio::test]
    async fn what_is_changed_is_recorded_and_what_is_refused_or_asked_is_not() {
        let directory: Arc<dyn DirectoryAdmin> = DirectoryService::start(
            DirectoryConfig::default(),
            Arc::new(MemoryStore::default()),
            Env::simulated(1),
        );
        let admin = Audited { cluster: Arc::new(Fake), directory: directory.clone() };
        let node = NodeId(3);
        admin.invite(60).await.unwrap();
        admin.drain(node).await.unwrap();
        admin.undrain(node).await.unwrap();
        assert_eq!(admin.drain(NodeId(4)).await.unwrap_err().kind, Kind::NotFound);
        admin.set_weight(node, 50).await.unwrap();
        admin.rebalance(true).await.unwrap();
        admin.rebalance(false).await.unwrap();
        admin.raise_feature_level(2).await.unwrap();
        admin.drill(node, Drill::Isolate { duration_ms: 9 }).await.unwrap();
        admin.remove(node).await.unwrap();
        let mut records = directory.audit(100).await.unwrap();
        records.reverse();
        assert!(records.iter().all(|record| record.actor == Actor::Operator));
        let said = records.iter().map(|r| format!("{} {} {}", r.action, r.target, r.parameters));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [
                "node.invite cluster life_s=60",
                "node.drain n3 ",
                "node.undrain n3 ",
                "node.weight n3 weight=50",
                "cluster.rebalance cluster slots=7",
                "cluster.raise-level cluster to=2",
                "cluster.drill n3 isolate duration_ms=9",
                "node.remove n3 ",
            ]
        );
    }
}
