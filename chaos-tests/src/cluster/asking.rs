//! What a world's nodes tell of their cluster, and waiting until they tell what is wanted.

use super::Cluster;
use super::status::Status;
use crate::failure::{Failure, Result};
use crate::net::PATIENCE;
use crate::world::DOMAIN;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::time::sleep;

impl Cluster {
    /// The cluster as a node tells it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self, number: usize) -> Result<Status> {
        Status::read(self.node(number)?.admin().get("/api/v1/cluster").await?)
    }

    /// Waits until every running node tells that all slots are with running nodes.
    ///
    /// # Errors
    /// What is missing after [`PATIENCE`].
    pub async fn wait_served(&self) -> Result<Duration> {
        self.wait_for(|status, running| status.unserved(running)).await
    }

    /// The same, and nothing moves, and each node has slots but those in `resting`.
    ///
    /// # Errors
    /// As [`Cluster::wait_served`].
    pub async fn wait_balanced(&self, resting: &[usize]) -> Result<Duration> {
        let resting = self.names(resting);
        self.wait_for(|status, running| status.unbalanced(running, &resting)).await
    }

    fn names(&self, numbers: &[usize]) -> Vec<String> {
        let found = numbers.iter().filter_map(|number| self.nodes.get(*number));
        found.map(|node| node.file.name.clone()).collect()
    }

    async fn wait_for(
        &self,
        missing: impl Fn(&Status, &[String]) -> Option<String>,
    ) -> Result<Duration> {
        let begun = Instant::now();
        let running = self.running();
        let names = self.names(&running);
        loop {
            let mut first = None;
            for number in &running {
                let told = match self.status(*number).await {
                    Ok(status) => missing(&status, &names),
                    Err(error) => Some(error.0),
                };
                first = first.or(told.map(|text| format!("node {number}: {text}")));
            }
            let Some(text) = first else {
                return Ok(begun.elapsed());
            };
            if begun.elapsed() > PATIENCE * 2 {
                return Err(self.with_logs(&Failure(format!("it does not come to rest: {text}"))));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The node that leads Raft, as any running node knows.
    ///
    /// # Errors
    /// If nobody knows one in time.
    pub async fn leader(&self) -> Result<usize> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for number in self.running() {
                let status = self.status(number).await;
                let name = status.as_ref().ok().and_then(Status::leader_name);
                let mut running = self.running().into_iter();
                let is_it = |at: &usize| self.nodes.get(*at).map(|n| n.file.name.as_str()) == name;
                if let Some(leader) = running.find(is_it) {
                    return Ok(leader);
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::from("nobody knows a leader"))
    }

    /// The nodes that own the users' mailboxes, by the user's number, as far as that is known.
    ///
    /// # Errors
    /// As [`Cluster::owner`].
    pub async fn owned(&self) -> Result<BTreeMap<usize, usize>> {
        let mut owners = BTreeMap::new();
        for (number, user) in self.users().iter().enumerate() {
            if let Some(owner) = self.owner(user).await? {
                owners.insert(number, owner);
            }
        }
        Ok(owners)
    }

    /// The node that owns a user's mailbox: whose running process wrote the fence of its slot last.
    /// `None` before anything was written there.
    ///
    /// # Errors
    /// If no node tells the mailbox's id.
    pub async fn owner(&self, user: &str) -> Result<Option<usize>> {
        let id = self.id_of(user).await?;
        let slot = self.journal.slots().get(&id).copied();
        let who = slot.and_then(|slot| self.journal.owners().get(&slot).copied());
        let is_alive = |node: &usize| self.nodes.get(*node).is_some_and(|n| n.pid().is_some());
        Ok(who.map(|who| who.node).filter(is_alive))
    }

    /// The id of a user's mailbox, which is asked for once: later its owner may be too slow to say.
    async fn id_of(&self, user: &str) -> Result<u64> {
        let known = || self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known().get(user) {
            return Ok(*id);
        }
        let path = format!("/api/v1/mailboxes/{user}@{DOMAIN}");
        let mut shown = Err(Failure::from("no node runs"));
        for number in self.running() {
            shown = self.node(number)?.admin().get(&path).await;
            if shown.is_ok() {
                break;
            }
        }
        let shown = shown?;
        let id = shown["id"].as_str().and_then(|id| id.strip_prefix('a'));
        let id = id.and_then(|id| u64::from_str_radix(id, 16).ok());
        let id = id.ok_or_else(|| Failure(format!("no id in {shown}")))?;
        known().insert(user.to_owned(), id);
        Ok(id)
    }
}
