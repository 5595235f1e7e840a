//! A world of several nodes: real processes over one store, each of which can be killed, stopped,
//! cut off and started again.
//!
//! ```text
//! target/chaos/NAME-SEED-PID/   data/node-K/  what `rialto dev --nodes` laid out; config, own state
//!                               node-K.log    what it printed, all lives together
//!                               gate-K/       names its gate to the store ([`crate::journal`])
//!                               standin/      the store, a process of its own
//! ```
//!
//! `rialto dev --nodes` founds the cluster and is stopped; from then on each node is a process of
//! the world's own (`rialto serve --config`). Everything is on loopback and needs no rights.

mod asking;
pub mod brake;
pub mod config;
mod founding;
pub mod frontdoor;
pub mod node;
pub mod status;
mod verbs;
pub mod weather;

use crate::binary::{self, Mutant};
use crate::failure::{Failure, Result};
use crate::history::Clock;
use crate::journal::{Gates, Journal};
use crate::net::Endpoint;
use crate::ports;
use crate::standin::Standin;
use crate::switch::Switch;
use crate::switch::rules::{Party, Rules};
use crate::switch::source::Processes;
use founding::{authority, found, node_files, put_behind_switch};
use node::{Common, Node};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use weather::Weather;

/// How a world is to be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names the run's directory.
    pub name: String,
    /// Names it, too; fixes the switch's jitter.
    pub seed: u64,
    /// How many nodes found the cluster.
    pub nodes: u16,
    /// How many mailboxes `user1` … there are besides alice, bob and carol.
    pub mailboxes: u16,
    /// A deliberate fault of all nodes.
    pub mutant: Option<Mutant>,
    /// Whether the links between nodes go over a switch: then they can be cut, but a dead node's
    /// connections end a little later than they would.
    pub is_switched: bool,
    /// Whether nodes reach the store without a gate, at full speed: then nothing is known of what
    /// they commit, and they cannot be cut off from it.
    pub is_ungated: bool,
    /// Whether the nodes' listeners believe a front door's word of who the client is.
    pub is_proxied: bool,
    /// A program of an older version with which all nodes begin ([`Node::replace`]).
    pub old_binary: Option<PathBuf>,
    /// The library that can set a node's clock ([`Node::set_clock`]), where that is wanted.
    pub clocks: Option<PathBuf>,
}

/// The world.
pub struct Cluster {
    /// The nodes, by number.
    pub nodes: Vec<Node>,
    /// What the nodes committed.
    pub journal: Journal,
    /// What is cut; of links only where the world is switched.
    pub rules: Rules,
    /// Who was hurt when.
    pub weather: Arc<Weather>,
    /// The store.
    pub standin: Standin,
    options: Options,
    dir: PathBuf,
    common: Common,
    base: u16,
    gates: Gates,
    _switch: Option<Switch>,
    _disk: JoinSet<()>,
    /// The mailboxes' ids, as far as they were asked for.
    ids: Mutex<BTreeMap<String, u64>>,
    is_passed: bool,
}

impl Cluster {
    /// Founds a cluster, starts its nodes and waits until they share the slots.
    ///
    /// # Errors
    /// If there is no binary, or the nodes do not get ready.
    pub async fn start(options: Options) -> Result<Cluster> {
        let name = format!("{}-{}-{}", options.name, options.seed, std::process::id());
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos").join(name);
        fs::create_dir_all(&dir)?;
        let dir = dir.canonicalize()?;
        let binary = tokio::task::block_in_place(|| binary::find(options.mutant))?;
        // One more than there are, for a node that joins.
        let base = ports::find_base(options.nodes + 1)?;
        let store_port = base + ports::STANDIN;
        let standin = Standin::start(&dir, store_port).await?;
        let library = standin.library().to_owned();
        let first = options.old_binary.as_deref().unwrap_or(&binary);
        found(&options, &dir, base, first, &standin).await?;
        let (journal, rules, processes) =
            (Journal::default(), Rules::default(), Processes::default());
        let count = usize::from(options.nodes);
        let gates = Gates::start(count + 1, store_port, &rules, &processes, &journal).await?;
        let mut files = node_files(&dir.join("data"))?;
        if files.len() != count {
            return Err(Failure(format!("{} configurations for {count} nodes", files.len())));
        }
        let switch = match options.is_switched {
            true => Some(put_behind_switch(&mut files, &rules, &processes, options.seed).await?),
            false => None,
        };
        if options.is_proxied {
            files.iter_mut().for_each(|file| file.believe(frontdoor::SOURCE));
        }
        let authority = authority(&dir.join("data"), &files)?;
        let (logs, mutant) = (dir.clone(), options.mutant);
        let (old_binary, clocks) = (options.old_binary.clone(), options.clocks.clone());
        let common =
            Common { binary, old_binary, clocks, library, mutant, logs, authority, processes };
        let nodes = (0..).zip(files).map(|(number, file)| Node::new(number, file, &common));
        let weather = Arc::new(Weather::new(Clock::default(), count));
        let mut disk = JoinSet::new();
        disk.spawn(weather::watch_disk(weather.clone(), dir.clone()));
        let mut cluster = Cluster {
            nodes: nodes.collect(),
            journal,
            rules,
            weather,
            standin,
            options,
            dir,
            common,
            base,
            gates,
            _switch: switch,
            _disk: disk,
            ids: Mutex::default(),
            is_passed: false,
        };
        for number in 0..count {
            cluster.set_gate(number)?;
        }
        cluster.boot_all().await?;
        Ok(cluster)
    }

    /// Writes a node's configuration with its own way to the store.
    fn set_gate(&mut self, number: usize) -> Result<()> {
        let dir = self.dir.join(format!("gate-{number}"));
        fs::create_dir_all(&dir)?;
        let file = dir.join("fdb.cluster");
        let gate = self.gates.port(number).ok_or_else(|| Failure::from("a node without a gate"))?;
        let port = if self.options.is_ungated { self.base + ports::STANDIN } else { gate };
        fs::write(&file, format!("rialto:standin@127.0.0.1:{port}\n"))?;
        let node = self.node_mut(number)?;
        node.file.set_cluster_file(&file);
        node.file.write()
    }

    /// A node by number.
    ///
    /// # Errors
    /// If there is none.
    pub fn node(&self, number: usize) -> Result<&Node> {
        self.nodes.get(number).ok_or_else(|| Failure(format!("no node {number}")))
    }

    fn node_mut(&mut self, number: usize) -> Result<&mut Node> {
        self.nodes.get_mut(number).ok_or_else(|| Failure(format!("no node {number}")))
    }

    /// The numbers of the nodes that run.
    #[must_use]
    pub fn running(&self) -> Vec<usize> {
        let running = self.nodes.iter().filter(|node| node.pid().is_some());
        running.map(|node| node.number).collect()
    }

    /// Starts all nodes at once and waits until they share the slots; how long the slowest took to
    /// be ready.
    ///
    /// # Errors
    /// If one does not get ready.
    pub async fn boot_all(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        for node in &mut self.nodes {
            node.spawn()?;
        }
        for node in &mut self.nodes {
            node.wait_ready().await?;
        }
        let took = begun.elapsed();
        self.wait_served().await?;
        Ok(took)
    }

    /// Starts a node that was killed or has ended; how long until it was ready.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn boot(&mut self, number: usize) -> Result<Duration> {
        let node = self.node_mut(number)?;
        node.spawn()?;
        let took = node.wait_ready().await?;
        self.weather.end(number);
        Ok(took)
    }

    /// Starts a node that is drained and takes the drain back, asking another node: it does not get
    /// ready before, since it may serve nothing. How long until it was.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn boot_undrained(&mut self, number: usize, asked: usize) -> Result<Duration> {
        let begun = Instant::now();
        let node = self.node_mut(number)?;
        let name = node.file.name.clone();
        node.spawn()?;
        self.rialto(asked, &["node", "undrain", &name]).await?;
        self.node_mut(number)?.wait_ready().await?;
        self.weather.end(number);
        Ok(begun.elapsed())
    }

    /// From its next start on a node runs the new program; see [`Options::old_binary`].
    ///
    /// # Errors
    /// If there is no such node.
    pub fn replace(&mut self, number: usize) -> Result<()> {
        self.node_mut(number)?.replace();
        Ok(())
    }

    /// Kills a node at this instant; when that was.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill9(&mut self, number: usize) -> Result<u64> {
        self.weather.begin(number);
        let at_us = self.weather.clock.now_us();
        self.node_mut(number)?.kill9().await?;
        Ok(at_us)
    }

    /// Stops a node where it is (SIGSTOP); when that was.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&mut self, number: usize) -> Result<u64> {
        self.weather.begin(number);
        self.node(number)?.signal(Signal::STOP)?;
        Ok(self.weather.clock.now_us())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&mut self, number: usize) -> Result<()> {
        self.node(number)?.signal(Signal::CONT)
    }

    /// Ends a node as an operator would (SIGTERM).
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn terminate(&mut self, number: usize) -> Result<()> {
        self.weather.begin(number);
        let node = self.node_mut(number)?;
        let status = node.terminate().await?;
        if status.success() { Ok(()) } else { Err(node.with_log(&format!("ended with {status}"))) }
    }

    /// How clients reach the nodes, by number.
    ///
    /// # Errors
    /// If the authority cannot be read.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.nodes.iter().map(Node::endpoint).collect()
    }

    /// The mailboxes' names.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        let named = ["alice", "bob", "carol"].map(str::to_owned);
        named.into_iter().chain((1..=self.options.mailboxes).map(|n| format!("user{n}"))).collect()
    }

    /// An error with the ends of the nodes' logs.
    #[must_use]
    pub fn with_logs(&self, error: &Failure) -> Failure {
        self.nodes.iter().fold(error.clone(), |error, node| node.with_log(&error.0))
    }

    /// Puts a file into the run's directory, for the person who looks into a failure.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn keep(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.dir.join(name), text)?)
    }

    /// The run's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Who certifies the nodes to clients.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.common.authority
    }

    /// The base of the ports that are kept free for one node more, or a front door.
    #[must_use]
    pub fn spare_base(&self) -> u16 {
        self.base + ports::NODE_STEP * self.options.nodes
    }

    /// Cuts or heals between a node and the store and the other nodes; see [`Rules::cut`].
    pub fn cut(&self, pairs: &[(Party, Party)]) {
        self.rules.cut(pairs);
    }

    /// The run passed: its directory is not needed any more.
    pub fn pass(&mut self) {
        self.is_passed = true;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            // One that is stopped would not even notice its end otherwise.
            let _ = node.signal(Signal::KILL);
        }
        // A mutant is meant to fail: nothing to look at.
        if self.is_passed || self.options.mutant.is_some() {
            let _ = fs::remove_dir_all(&self.dir);
        } else {
            eprintln!("chaos: the run's directory is {}", self.dir.display());
        }
    }
}
