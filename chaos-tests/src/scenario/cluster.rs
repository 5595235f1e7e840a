//! Stories of several nodes. All have the same frame: a [`Stage`] founds a cluster and loads it over
//! all nodes, the story hurts it, and at the end everything is judged: what was acknowledged, every
//! register, every commit, every count, and that new mail gets through every node.

use super::Tier;
use crate::binary::Mutant;
use crate::checkers::idle_once::Heard;
use crate::checkers::uids;
use crate::cluster::weather::Weather;
use crate::cluster::{Cluster, Options};
use crate::failure::{Failure, Result};
use crate::figures::{self, Unavailability};
use crate::imap::ImapClient;
use crate::ledger::Ledger;
use crate::net::{Endpoint, PATIENCE};
use crate::schedule::Victim;
use crate::workload::Load;
use crate::workload::roaming::{self, Mix, Running};
use crate::workload::tally::Counts;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

pub mod all;
pub mod drain;
pub mod haproxy;
pub mod idle_failover;
pub mod join;
mod judging;
pub mod kill;
pub mod partition;
pub mod slow;
pub mod stop;
pub mod store;
pub mod throughput;

/// How long the load runs before anything is hurt, for calibration.
const WARM_UP: Duration = Duration::from_secs(3);

/// What a story is of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name on the command line; names the run's directory, too.
    pub name: &'static str,
    /// How long.
    pub tier: Tier,
    /// The seed.
    pub seed: u64,
    /// How often whatever it does is done.
    pub rounds: u64,
    /// How many mailboxes `user1` … there are besides alice, bob and carol.
    pub mailboxes: u16,
    /// A deliberate fault of all nodes.
    pub mutant: Option<Mutant>,
    /// Whether reads of registers begin with a NOOP: to look past reads that are stale without.
    pub asks_first: bool,
    /// Whether the nodes believe a front door's word of who the client is.
    pub is_proxied: bool,
    /// A program of an older version with which the nodes begin.
    pub old_binary: Option<PathBuf>,
    /// The library that can set the nodes' clocks, where the story does.
    pub clocks: Option<PathBuf>,
}

impl Plan {
    /// A plan with so many rounds in the smoke tier, and in the full one.
    #[must_use]
    pub fn new(name: &'static str, tier: Tier, seed: u64, rounds: (u64, u64)) -> Plan {
        Plan {
            name,
            tier,
            seed,
            rounds: tier.pick(rounds.0, rounds.1),
            mailboxes: tier.pick(3, 9),
            mutant: None,
            asks_first: false,
            is_proxied: false,
            old_binary: None,
            clocks: None,
        }
    }

    /// A failure with how to bring it about again.
    #[must_use]
    pub fn failed(&self, error: Failure) -> Failure {
        let Plan { name, tier, seed, rounds, .. } = self;
        let full = tier.pick("", " --full");
        let replay = format!("cargo run -p chaos-tests -- {name} --seed {seed} --rounds {rounds}");
        Failure(format!("{error}\nreplay: {replay}{full}"))
    }
}

/// What clients of nodes that are well may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing but time.
    NothingNoticed,
    /// Temporary errors: there was no majority, or no store.
    TemporaryErrors,
}

/// A cluster under load.
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    /// What was acknowledged.
    pub ledger: Arc<Ledger>,
    /// How much slower than the reference the machine is.
    pub slowness: f64,
    /// How long mailboxes were away.
    pub unavailability: Unavailability,
    plan: Plan,
    running: Option<Running>,
    memory: uids::Memory,
    /// Hurts whose effect is computed when the load has ended.
    hurts: Vec<Hurt>,
}

/// A node was hurt.
struct Hurt {
    node: usize,
    at_us: u64,
    was_leader: bool,
    owners: BTreeMap<usize, usize>,
}

/// What a story saw.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// How the sessions fared.
    pub counts: Counts,
    /// What the idling sessions heard.
    pub heard: Vec<Heard>,
    /// Commits of which the fence was judged.
    pub commits: usize,
    /// Messages in all mailboxes at the end.
    pub seen: usize,
    /// How many messages are in each user's inbox, in their order, by id.
    pub inboxes: BTreeMap<String, Vec<String>>,
    /// What `rialto store verify` said.
    pub verified: String,
}

impl Stage {
    /// A cluster of three, without load.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(plan: &Plan, is_switched: bool) -> Result<Stage> {
        let (name, seed, mutant) = (plan.name.to_owned(), plan.seed, plan.mutant);
        let mailboxes = plan.mailboxes;
        let (old_binary, clocks) = (plan.old_binary.clone(), plan.clocks.clone());
        let options = Options {
            name,
            seed,
            nodes: 3,
            mailboxes,
            mutant,
            is_switched,
            is_ungated: false,
            is_proxied: plan.is_proxied,
            old_binary,
            clocks,
        };
        let cluster = Cluster::start(options).await?;
        wait_usable(&cluster).await?;
        Ok(Stage {
            cluster,
            ledger: Arc::new(Ledger::default()),
            slowness: 1.0,
            unavailability: Unavailability::default(),
            plan: plan.clone(),
            running: None,
            memory: uids::Memory::default(),
            hurts: Vec::new(),
        })
    }

    /// The usual load of the plan's tier.
    #[must_use]
    pub fn mix(&self) -> Mix {
        let tier = self.plan.tier;
        let load = Load {
            seed: self.plan.seed,
            round: 1,
            senders: tier.pick(3, 6),
            shelvers: tier.pick(4, 8),
            users: self.cluster.users(),
            each: u64::MAX,
        };
        Mix {
            load,
            pace: Duration::from_millis(tier.pick(150, 30)),
            register_sessions: 3,
            register_pace: Duration::from_millis(tier.pick(120, 60)),
            asks_first: self.plan.asks_first,
            registers: tier.pick(6, 12),
            idlers: tier.pick(6, 30),
        }
    }

    /// Starts a load, and measures how slow the machine is under it.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn load(&mut self, mix: &Mix) -> Result<()> {
        let endpoints = self.cluster.endpoints()?;
        let weather = self.cluster.weather.clone();
        self.load_through(endpoints, &weather, mix).await
    }

    /// The same through other doors than the nodes' own; the weather is that of the doors.
    ///
    /// # Errors
    /// As [`Stage::load`].
    pub async fn load_through(
        &mut self,
        endpoints: Vec<Endpoint>,
        weather: &Arc<Weather>,
        mix: &Mix,
    ) -> Result<()> {
        let running = roaming::start(endpoints, weather, &self.ledger, mix).await?;
        sleep(WARM_UP).await;
        self.slowness = figures::slowness(&running.field.tally.counts().samples).await;
        self.running = Some(running);
        Ok(())
    }

    /// The load that runs.
    ///
    /// # Errors
    /// If none does.
    pub fn running(&self) -> Result<&Running> {
        self.running.as_ref().ok_or_else(|| Failure::from("no load runs"))
    }

    /// A bar on time, scaled by how slow the machine is; generous in the smoke tier.
    #[must_use]
    pub fn bar(&self, time: Duration) -> Duration {
        time.mul_f64(self.slowness * self.plan.tier.pick(3.0, 1.0))
    }

    /// The node that a victim is now.
    ///
    /// # Errors
    /// If there is no leader.
    pub async fn pick(&self, victim: Victim) -> Result<usize> {
        let users = self.cluster.users();
        let found = match victim {
            Victim::Leader => Some(self.cluster.leader().await?),
            Victim::Node(node) => Some(node),
            Victim::OwnerOf(user) => {
                self.cluster.owner(users.get(user % users.len()).map_or("bob", |user| user)).await?
            }
        };
        let running = self.cluster.running();
        let found = found.filter(|node| running.contains(node));
        found.or(running.first().copied()).ok_or_else(|| Failure::from("no node runs"))
    }

    /// Kills a node at this instant, and remembers what it was.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill9(&mut self, node: usize) -> Result<()> {
        let (was_leader, owners) = self.roles(node).await?;
        let at_us = self.cluster.kill9(node).await?;
        self.hurts.push(Hurt { node, at_us, was_leader, owners });
        Ok(())
    }

    /// Stops a node where it is, and remembers what it was.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn freeze(&mut self, node: usize) -> Result<()> {
        let (was_leader, owners) = self.roles(node).await?;
        let at_us = self.cluster.freeze(node)?;
        self.hurts.push(Hurt { node, at_us, was_leader, owners });
        Ok(())
    }

    async fn roles(&self, node: usize) -> Result<(bool, BTreeMap<usize, usize>)> {
        let was_leader = self.cluster.leader().await? == node;
        Ok((was_leader, self.cluster.owned().await?))
    }
}

/// Waits until every mailbox answers a client; how long that took.
///
/// # Errors
/// If one does not in time, with what it says.
pub async fn wait_usable(cluster: &Cluster) -> Result<Duration> {
    let begun = Instant::now();
    let endpoints = cluster.endpoints()?;
    for (number, user) in cluster.users().iter().enumerate() {
        let endpoint = &endpoints[number % endpoints.len()];
        let asks = async || ImapClient::open(endpoint, user).await?.ok("SELECT INBOX").await;
        while let Err(error) = asks().await {
            if begun.elapsed() > PATIENCE {
                let error = error.while_doing(format!("{user} through node {number}"));
                return Err(cluster.with_logs(&error));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(begun.elapsed())
}

/// Runs a story on a stage, with the nodes' logs where it fails.
///
/// # Errors
/// Those of the story.
async fn on_stage<T, F>(plan: &Plan, is_switched: bool, story: F) -> Result<T>
where
    F: AsyncFnOnce(&mut Stage) -> Result<T>,
{
    let staged = Stage::start(plan, is_switched).await;
    let mut stage = staged.map_err(|error| plan.failed(error))?;
    let told = story(&mut stage).await;
    told.map_err(|error| plan.failed(stage.cluster.with_logs(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_how_to_replay_it() {
        let plan = Plan::new("cluster-kill", Tier::Full, 77, (6, 200));
        let failure = plan.failed(Failure::from("x"));
        assert!(failure.0.contains("-- cluster-kill --seed 77 --rounds 200 --full"), "{failure}");
    }
}
