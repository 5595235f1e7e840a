//! What each node does as Raft applies states: it connects to the others, and takes and drops
//! slots.

use super::roster;
use super::shared::Core;
use crate::fences::Followed;
use crate::placement::NodeState;
use base::NodeId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often to look whom the log tells of, beside what is applied.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps links to all other nodes. Those of whom neither the state nor the log of Raft tells yet
/// are known from the answer to the request to join (`first`).
pub(super) async fn peers(core: Arc<Core>, first: Vec<(NodeId, String)>) {
    let mut applied = core.raft.applied();
    // Where nodes said that they listen when they started last: newer than what they could tell the
    // others, if these do not find them.
    let mut said: BTreeMap<NodeId, String> = BTreeMap::new();
    let mut looked_at: Option<Duration> = None;
    loop {
        let state = applied.borrow_and_update().state.clone();
        let mut peers: BTreeMap<NodeId, SocketAddr> = BTreeMap::new();
        let mut know = |node: NodeId, address: &str| match address.parse() {
            Ok(address) => drop(peers.insert(node, address)),
            Err(_) => tracing::warn!(%node, address, "a node's address cannot be used"),
        };
        if state.nodes().next().is_none() {
            first.iter().for_each(|(node, address)| know(*node, address));
        }
        core.raft.members().iter().for_each(|(node, address)| know(*node, address));
        for node in state.nodes() {
            know(node.id, &node.profile.address);
        }
        said.iter().for_each(|(node, address)| know(*node, address));
        let gone =
            |id: &NodeId| state.node(*id).is_some_and(|node| node.state == NodeState::Removed);
        peers.retain(|id, _| *id != core.me && !gone(id));
        core.links.set_peers(&peers);
        core.detector.lock().retain(|id| peers.contains_key(&id));
        let is_lonely = peers.keys().any(|peer| core.links.link(*peer).is_none());
        let may_look = looked_at.is_none_or(|at| core.now().saturating_sub(at) >= LOOK_EVERY);
        if is_lonely && may_look {
            looked_at = Some(core.now());
            // Not for long: what is applied meanwhile concerns links, too.
            let look = tokio::time::timeout(LOOK_EVERY, roster::addresses(&core.store)).await;
            if let Ok(Ok(found)) = look
                && found != said
            {
                said = found;
                continue;
            }
        }
        // Members that only the log tells of may be new without an applied entry.
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            () = core.env.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// Takes in the store what the state gives to this life, and tells the services. The first thing
/// after the others' slots are gone is to say so.
pub(super) async fn slots(core: Arc<Core>) {
    let local = core.local.clone();
    let tell = move |news: Followed| {
        if !news.lost.is_empty() {
            local.lost(&news.lost);
        }
        if !news.gained.is_empty() {
            local.gained(&news.gained);
        }
    };
    core.fences.clone().keep_following(core.raft.applied(), tell).await;
}

/// Notices that another start of this node has taken its place: two processes with one identity.
/// The fences keep the older one from committing anything; it must not go on claiming to serve.
pub(super) async fn succession(core: Arc<Core>) {
    let mut applied = core.raft.applied();
    let mut was_alive = false;
    loop {
        let boot = {
            let state = applied.borrow_and_update().state.clone();
            was_alive |= core.my_node(&state).is_some();
            state.node(core.me).and_then(|node| node.boot)
        };
        if was_alive && boot.is_some_and(|boot| boot != core.boot) {
            let why = format!("another process runs as this node: {boot:?}");
            tracing::error!(why, "this start of the node is over");
            *core.fatal.lock() = Some(why);
            return;
        }
        if applied.changed().await.is_err() {
            return;
        }
    }
}
