//! What the leader decides: who is dead, who is back, who votes, who gets what nobody has.
//!
//! Who proposes what:
//!
//! - **Alive** of a node that was dead, or has restarted: the leader, when its detector says so
//!   (that is where hold-downs are); of one that joins, of the leader itself, and of one whose
//!   profile has changed: the node itself.
//! - **Dead**, **Assign**, **Leave** of a slow node, and **Undrain** when it is well: the leader.

use super::shared::{Core, DECISION_TIME, REMOVED};
use crate::detect::{Reason, Verdict};
use crate::placement::plan;
use crate::placement::{Command, Node, NodeProfile, NodeState};
use base::{BootId, NodeId, Result};
use std::sync::Arc;
use std::time::Duration;

/// How often the membership of Raft and slots without owners are looked after.
const CARE_EVERY: Duration = Duration::from_secs(1);

/// Judges the others while this node leads, and speaks for itself.
pub(super) async fn judge(core: Arc<Core>) {
    loop {
        core.env.clock.sleep(core.options.detect.tick_every).await;
        if let Err(error) = declare_self(&core).await {
            tracing::warn!(%error, "this node could not be declared alive yet");
        }
        if !core.raft.leadership().borrow().is_me {
            continue;
        }
        let verdicts = {
            let (state, now) = (core.state(), core.now());
            core.detector.lock().judge(now, &state)
        };
        for verdict in verdicts {
            if let Err(error) = carry_out(&core, verdict).await {
                tracing::warn!(%error, ?verdict, "a verdict could not be carried out yet");
            }
        }
    }
}

/// Says that this node is there, where nobody else does.
async fn declare_self(core: &Core) -> Result<()> {
    if !core.has_begun() || core.fatal.lock().is_some() {
        return Ok(());
    }
    let state = core.state();
    let Some(node) = state.node(core.me) else { return Ok(()) };
    let leads = core.raft.leadership().borrow().is_me;
    let wanted = match node.state {
        NodeState::Removed => {
            *core.fatal.lock() = Some(REMOVED.into());
            false
        }
        NodeState::Joining => true,
        _ if core.my_node(&state).is_some() => !says_the_same(node, &core.profile),
        _ => leads && core.has_store(),
    };
    if wanted {
        let (node, boot, profile) = (core.me, core.boot, core.profile.clone());
        core.decide(&Command::Alive { node, boot, profile }).await?;
    }
    Ok(())
}

fn says_the_same(node: &Node, profile: &NodeProfile) -> bool {
    NodeProfile { weight: node.profile.weight, ..profile.clone() } == node.profile
}

async fn carry_out(core: &Core, verdict: Verdict) -> Result<()> {
    match verdict {
        Verdict::Dead { node, boot, reason } => bury(core, node, boot, reason).await,
        Verdict::Back { node, boot } => {
            let state = core.state();
            let Some(known) = state.node(node) else { return Ok(()) };
            tracing::info!(%node, %boot, "a node is back");
            let profile = known.profile.clone();
            core.decide(&Command::Alive { node, boot, profile }).await.map(|_| ())
        }
        Verdict::Disputed(node) | Verdict::Slow(node) => {
            let state = core.state();
            let Some(boot) = state.node(node).and_then(|node| node.boot) else { return Ok(()) };
            tracing::warn!(%node, ?verdict, "a node serves badly: its slots go to others");
            core.decide(&Command::Leave { node, boot }).await?;
            metrics::counter!("rialto_nodes_sent_to_rest_total").increment(1);
            if node == core.me {
                // Whoever leads decides what happens when the next node fails: not a slow one.
                core.raft.give_up_lead();
            }
            Ok(())
        }
        Verdict::Recovered(node) => {
            // What an operator has drained meanwhile stays drained.
            if core.state().node(node).is_none_or(|node| node.drain) {
                return Ok(());
            }
            tracing::info!(%node, "a node that served badly is well: it gets slots again");
            core.decide(&Command::Undrain { node }).await?;
            core.detector.lock().brought_back(core.now(), node);
            Ok(())
        }
    }
}

/// Declares a life of a node over, and gives its slots to others in the same entry.
async fn bury(core: &Core, node: NodeId, boot: BootId, reason: Reason) -> Result<()> {
    let state = core.state();
    let spread = plan::takeover(&state, node, &core.known_loads(&state));
    tracing::warn!(%node, %boot, ?reason, "a node is declared dead");
    core.decide(&Command::Dead { node, boot, spread }).await?;
    core.detector.lock().declared_dead(core.now(), node);
    metrics::counter!("rialto_nodes_declared_dead_total").increment(1);
    Ok(())
}

/// Keeps the right nodes voting.
pub(super) async fn mend(core: Arc<Core>) {
    loop {
        let step = core.raft.mend_membership(DECISION_TIME).await;
        let wait = match step {
            Ok(Some(_)) => CARE_EVERY / 10,
            Ok(None) => CARE_EVERY,
            Err(error) => {
                tracing::info!(%error, "the membership of Raft is not right yet");
                CARE_EVERY
            }
        };
        core.env.clock.sleep(wait).await;
    }
}

/// Finds owners for slots that nobody owns.
pub(super) async fn assign(core: Arc<Core>) {
    loop {
        core.env.clock.sleep(CARE_EVERY / 4).await;
        if !core.raft.leadership().borrow().is_me {
            continue;
        }
        let state = core.state();
        // Cheap to know: each node's slots are counted.
        let owned: usize = state.nodes().map(|node| usize::from(node.slots)).sum();
        if owned == usize::from(base::Slot::COUNT) || state.nodes().next().is_none() {
            continue;
        }
        let spread = plan::orphans(&state, &core.known_loads(&state));
        if spread.is_empty() {
            continue;
        }
        if let Err(error) = core.decide(&Command::Assign { spread }).await {
            tracing::warn!(%error, "slots without an owner could not be given to one yet");
        }
    }
}
