//! The life of a member: start, begin, leave, stop.

use super::admin::Administration;
use super::admission::{self, Doorkeeper};
use super::exchange::{RaftOverLinks, Reception};
use super::identity::{Home, Membership, blocking};
use super::rows::Found;
use super::setup::{ClusterSetup, MemberOptions};
use super::shared::{Core, DECISION_TIME, refused};
use super::{follow, founding, lead, loads, moving, roster, watching};
use crate::detect::Detector;
use crate::fences::{ClusterControl, Fences};
use crate::installation::FEATURE_LEVEL;
use crate::link::{Links, LinksSetup, Security};
use crate::pki::{Credentials, NodeKey};
use crate::placement::{Command, NodeProfile, NodeState, Refusal};
use crate::raft::{Identity as RaftIdentity, RaftFile, RaftNode};
use crate::route::{ClusterRouter, Dispatch};
use base::router::Router;
use base::{BootId, Deadline, Error, Kind, NodeId, Result, Slot};
use contract_control::{ClusterAdmin, Control};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often [`ClusterNode::begin`] and [`ClusterNode::leave`] look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a node that begins waits for its slots in the store. Longer than a recovery of the
/// store takes; what is missing then may be missing for ever (rows that cannot be read).
const TAKE_TIME: Duration = Duration::from_secs(10);

/// A member of a cluster. Dropping it ends its part at once, as a crash would.
pub struct ClusterNode {
    core: Arc<Core>,
    membership: Membership,
    control: Arc<dyn Control>,
    router: Arc<dyn Router>,
    reception: Arc<Reception>,
    tasks: TaskTracker,
    _home: Arc<Home>,
}

impl ClusterNode {
    /// Finds this node's identity in `data/cluster/`. Without one it founds a cluster if the store
    /// has none yet: a transaction claims it, so of two founders one comes first. It links up with
    /// the others and takes part in Raft, but owns and serves nothing before
    /// [`ClusterNode::begin`].
    ///
    /// # Errors
    /// [`Kind::CannotChange`] if the store belongs to a cluster of which this node is no member
    /// (it has to join first), or if its Raft log is gone; [`Kind::Unavailable`] without a store,
    /// a disk, or an address to listen on; [`Kind::Corrupt`] if what it finds cannot be read.
    pub async fn start(setup: ClusterSetup) -> Result<Arc<Self>> {
        let (env, data) = (setup.env.clone(), setup.data.clone());
        let home = Arc::new(blocking(move || Home::open(&env, &data)).await?);
        let (found, membership) = founding::membership(&setup, &home).await?;
        roster::check(&setup.store, membership.identity.node).await?;
        let boot = BootId(setup.env.random.u128());
        let key = NodeKey::from_der(&membership.key)?;
        let clock = setup.env.clock.clone();
        let (certificate, roots) = (&membership.certificate, &membership.roots);
        let credentials = Credentials::new(&key, certificate, roots, clock)?;
        let (reception, door) = (Arc::new(Reception::default()), Arc::new(Doorkeeper::default()));
        let links = LinksSetup {
            env: setup.env.clone(),
            security: Security::Tls(credentials.clone()),
            boot,
            feature_level: FEATURE_LEVEL,
            schemas: LinksSetup::SCHEMAS,
            settings: setup.options.links,
            handler: reception.clone(),
            join: Some(door.clone()),
        };
        let links = Arc::new(Links::start(links, setup.listen).await?);
        let (raft, membership) =
            start_raft(&setup.options, &setup, &home, membership, &links).await?;
        let core = build_core(setup, &found, boot, links, raft);
        let control =
            ClusterControl::new(core.fences.clone(), core.raft.applied(), found.installation);
        let router = ClusterRouter::new(
            core.me,
            core.raft.applied(),
            core.fences.clone(),
            core.local.clone(),
            core.links.clone(),
            core.env.clone(),
        );
        let (meter, stopwatch) = (router.meter(), router.stopwatch());
        reception.open(&core, Arc::new(Dispatch::new(router.clone())));
        door.open(&core);
        let hinted = Arc::downgrade(&core);
        core.links.on_refusal(move |node| {
            if let Some(core) = hinted.upgrade() {
                core.detector.lock().refused(node);
            }
        });
        let node = Self {
            core,
            membership: membership.clone(),
            control,
            router,
            reception,
            tasks: TaskTracker::new(),
            _home: home.clone(),
        };
        node.run_tasks();
        let core = node.core.clone();
        node.run(loads::tell(core.clone(), meter, stopwatch));
        node.run(admission::renew(core, home, credentials, membership));
        Ok(Arc::new(node))
    }

    /// Who owns what, and the fences.
    pub fn control(&self) -> Arc<dyn Control> {
        self.control.clone()
    }

    /// The way to every target, wherever it is served.
    pub fn router(&self) -> Arc<dyn Router> {
        self.router.clone()
    }

    /// Administration of the cluster.
    pub fn admin(&self) -> Arc<dyn ClusterAdmin> {
        Arc::new(Administration(self.core.clone()))
    }

    /// Has somebody told of nodes that join through this one, by id and name: for the audit. Only
    /// the first call counts.
    pub fn on_join(&self, told: impl Fn(NodeId, &str) + Send + Sync + 'static) {
        let _first_one_stays = self.core.on_join.set(Box::new(told));
    }

    /// The services are registered: takes slots and serves. Returns when the cluster counts this
    /// node among the living and its slots are its own in the store; it waits for a majority for
    /// as long as it takes, and for the store ten seconds more.
    ///
    /// # Errors
    /// [`Kind::CannotChange`] if this node was removed, its binary is too old for the cluster, or
    /// another process runs as this node; [`Kind::Unavailable`] if it was stopped meanwhile.
    pub async fn begin(&self) -> Result<()> {
        let core = &self.core;
        if self.membership.is_founder {
            self.found().await?;
        }
        loop {
            if let Some(why) = core.fatal.lock().clone() {
                return Err(Error::new(
                    Kind::CannotChange,
                    format!("This node cannot serve: {why}"),
                ));
            }
            let state = core.state();
            if state.feature_level() > FEATURE_LEVEL {
                let text = "The cluster uses a newer feature level than this binary understands";
                return Err(Error::new(Kind::CannotChange, text)
                    .detail(format!("{} above {FEATURE_LEVEL}", state.feature_level())));
            }
            // What the cluster wants to be sure of is known once the own log was caught up with.
            if state.node(core.me).is_some() && !core.has_begun() {
                match core.raft.read(DECISION_TIME).await {
                    Ok(_) => {
                        core.has_begun.store(true, Ordering::Release);
                        continue;
                    }
                    Err(error) => tracing::info!(%error, "waiting for a majority of the cluster"),
                }
            }
            if core.has_begun() && core.my_node(&state).is_some() {
                return self.take().await;
            }
            tokio::select! {
                () = core.stopped.cancelled() => {
                    return Err(Error::unavailable("the node was stopped"));
                }
                () = core.env.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Waits until the slots that the map gives to this node are its own in the store, too: only
    /// then is there any use in clients that come here.
    async fn take(&self) -> Result<()> {
        let core = &self.core;
        let deadline = Deadline::after(TAKE_TIME);
        loop {
            let lacking = core.fences.lacking(&core.state());
            if lacking == 0 {
                return Ok(());
            }
            if deadline.has_passed() {
                tracing::warn!(
                    slots = lacking,
                    waited = ?TAKE_TIME,
                    "serving begins although slots of this node are not its own in the store yet"
                );
                return Ok(());
            }
            tokio::select! {
                () = core.stopped.cancelled() => {
                    return Err(Error::unavailable("the node was stopped"));
                }
                () = core.env.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The first entries of the cluster; nothing happens where they stand already.
    async fn found(&self) -> Result<()> {
        let core = &self.core;
        if core.state().nodes().next().is_some() {
            return Ok(());
        }
        let epoch = founding::first_epoch(&core.store).await?;
        let command = Command::Found {
            node: core.me,
            boot: core.boot,
            profile: core.profile.clone(),
            epoch,
            feature_level: FEATURE_LEVEL,
        };
        while !core.stopped.is_cancelled() {
            match core.raft.found(&core.profile.address, &command, DECISION_TIME).await {
                // An earlier start of this node did it, and nodes may have joined since.
                Ok(Ok(_) | Err(Refusal::AlreadyFounded)) => return Ok(()),
                Ok(Err(refusal)) => return Err(refused(refusal)),
                Err(error) if error.kind != Kind::Timeout => return Err(error),
                Err(error) => tracing::info!(%error, "waiting for a majority of the cluster"),
            }
        }
        Ok(())
    }

    /// Hands all slots over as planned, before the process ends. Unlike a drain it does not
    /// outlive the restart. Returns when the node owns none, at the deadline, or at once if nobody
    /// else could take them.
    pub async fn leave(&self, deadline: Deadline) {
        let core = &self.core;
        if !self.has_taker() {
            tracing::info!("no other node is there to take this one's slots: stopping with them");
            return;
        }
        let leave = Command::Leave { node: core.me, boot: core.boot };
        let decided = tokio::time::timeout_at(deadline.instant(), core.decide(&leave)).await;
        match decided {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::info!(%error, "stopping without handing slots over");
                return;
            }
            Err(_) => return,
        }
        while !deadline.has_passed() {
            let state = core.state();
            let owns = state.slots_of(core.me).next().is_some();
            let moves = state.moves().any(|(_, m)| m.from == core.me);
            if !owns && !moves {
                return;
            }
            if !self.has_taker() {
                tracing::info!("the others have gone: stopping with the slots that are left");
                return;
            }
            core.env.clock.sleep(LOOK_EVERY).await;
        }
        tracing::warn!("not all slots were handed over in time");
    }

    /// Whether another node serves, and can be talked to.
    fn has_taker(&self) -> bool {
        let core = &self.core;
        let state = core.state();
        let mut others = state.nodes().filter(|node| node.id != core.me);
        others.any(|node| node.state == NodeState::Active && core.links.link(node.id).is_some())
    }

    /// Ends this node's part: nothing new is begun, what is under way on the links is answered
    /// until the deadline, Raft ends in order.
    ///
    /// # Errors
    /// [`Kind::Internal`] if Raft did not end in order.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        self.core.has_begun.store(false, Ordering::Release);
        self.core.stopped.cancel();
        self.tasks.close();
        if tokio::time::timeout_at(deadline.instant(), self.tasks.wait()).await.is_err() {
            tracing::warn!("tasks of the cluster did not end in time");
        }
        self.core.links.shut_down(deadline).await;
        self.reception.close();
        self.core.raft.stop().await
    }

    /// Whether this node serves, for `/readyz`.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn health(&self) -> Result<(), String> {
        let core = &self.core;
        if let Some(why) = core.fatal.lock().clone() {
            return Err(why);
        }
        if core.stopped.is_cancelled() {
            return Err("the node has been stopped".into());
        }
        core.raft.is_running().map_err(|error| error.to_string())?;
        self.store_health()?;
        let applied = core.raft.applied().borrow().clone();
        let Some(node) = core.my_node(&applied.state) else {
            return Err("the cluster does not count this node among the living".into());
        };
        if node.state != NodeState::Active {
            return Err(format!("the node is {:?}", node.state).to_lowercase());
        }
        // Cut off from the others it serves what it has for as long as the fences are its own.
        let up = |voter: &&base::NodeId| **voter == core.me || core.links.link(**voter).is_some();
        let (with_us, all) = (applied.voters.iter().filter(up).count(), applied.voters.len());
        let serves = Slot::all().any(|slot| core.fences.serves(slot).is_some());
        if (with_us * 2 <= all || !core.is_in_touch()) && !serves {
            return Err(format!("linked to {with_us} of {all} voters, and owner of nothing"));
        }
        Ok(())
    }

    /// Whether the store has answered this node's probes of late, for `/readyz`: known at once,
    /// without asking it.
    ///
    /// # Errors
    /// How long it has not, in words.
    pub fn store_health(&self) -> Result<(), String> {
        let core = &self.core;
        match core.has_store() {
            true => Ok(()),
            false => {
                let ms = core.store_silence().as_millis();
                Err(format!("the store has not answered for {ms} ms"))
            }
        }
    }

    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.core.stopped.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = task => {}
            }
        });
    }

    fn run_tasks(&self) {
        let core = || self.core.clone();
        self.run(follow::peers(core(), self.membership.members.clone()));
        self.run(roster::announce(core()));
        self.run(roster::keep(core()));
        self.run(follow::slots(core()));
        self.run(follow::succession(core()));
        self.run(watching::tick(core()));
        self.run(watching::stand(core()));
        self.run(watching::beat(core()));
        self.run(watching::probe(core()));
        self.run(watching::look(core()));
        self.run(lead::judge(core()));
        self.run(lead::mend(core()));
        self.run(lead::assign(core()));
        self.run(moving::drive(core()));
        // As many as there are slots: who reports never waits.
        let (rested, resting) = mpsc::channel(usize::from(Slot::COUNT));
        self.run(moving::give(core(), rested));
        self.run(moving::report(core(), resting));
        self.run(moving::finish(core()));
    }
}

impl Drop for ClusterNode {
    fn drop(&mut self) {
        self.core.stopped.cancel();
        self.core.links.end_now();
        self.reception.close();
    }
}

/// Opens the log, or refuses to go on without the one that was there.
async fn start_raft(
    options: &MemberOptions,
    setup: &ClusterSetup,
    home: &Arc<Home>,
    membership: Membership,
    links: &Arc<Links>,
) -> Result<(Arc<RaftNode>, Membership)> {
    let (env, home) = (setup.env.clone(), home.clone());
    let opened = blocking(move || {
        if membership.has_log && !home.has_raft_file() {
            let text = "The node's Raft log is gone: remove this node from the cluster, empty \
                        its `cluster` directory, and join it anew";
            return Err(Error::new(Kind::CannotChange, text).detail(home.dir.display()));
        }
        let NodeFacts { cluster_id, node } = NodeFacts::of(&membership);
        let file = RaftFile::open(&env, &home.dir, RaftIdentity { cluster_id, node })?;
        let membership = home.note_log(membership)?;
        Ok((file, membership))
    });
    let (file, membership) = opened.await?;
    let transport = Arc::new(RaftOverLinks(links.clone()));
    Ok((RaftNode::start(file, transport, &options.raft).await?, membership))
}

struct NodeFacts {
    cluster_id: u128,
    node: base::NodeId,
}

impl NodeFacts {
    fn of(membership: &Membership) -> Self {
        let identity = membership.identity;
        Self { cluster_id: identity.cluster_id, node: identity.node }
    }
}

fn build_core(
    setup: ClusterSetup,
    found: &Found,
    boot: BootId,
    links: Arc<Links>,
    raft: Arc<RaftNode>,
) -> Arc<Core> {
    let now = setup.env.clock.monotonic();
    let me = raft.id();
    let profile = NodeProfile {
        address: setup.address.to_string(),
        weight: setup.weight,
        feature_level: FEATURE_LEVEL,
        version: setup.version,
        name: setup.name,
    };
    Arc::new(Core {
        me,
        boot,
        profile,
        fences: Fences::new(setup.store.clone(), me, boot),
        store: setup.store,
        cluster: found.cluster,
        local: setup.local,
        detector: Mutex::new(Detector::new(me, setup.options.detect.clone(), now)),
        options: setup.options,
        links,
        raft,
        store_answered: Mutex::new(now),
        fatal: Mutex::default(),
        has_begun: AtomicBool::new(false),
        wants_even: AtomicBool::new(false),
        command_p99_ms: AtomicU32::new(0),
        loads: Mutex::default(),
        on_join: OnceLock::new(),
        stopped: CancellationToken::new(),
        env: setup.env,
    })
}
