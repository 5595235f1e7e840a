//! Planned moves, each step proposed by who knows that it is time for it.
//!
//! ```text
//!             leader                     source                      target
//!    drive: Begin + Seal ──▶ applied ──▶ give: lets long work end,
//!      (one entry for all               seals the slot,
//!       slots of a round)               lets its services rest
//!                                       report: Bump ──▶ applied ──▶ fences: takes it in the store,
//!                                                                    services begin
//!                            applied ◀──────────────────────────── finish: Finish
//!    drive: Abort, where a source stays in Seal for too long
//! ```
//!
//! A slot serves nobody from its seal at the source until its fence is the target's: one entry of
//! Raft, one rest and one transaction of the store, whatever the number of slots in the round. What
//! may take longer than clients should wait (a transfer to another server) is let come to its end
//! before the seal: a mailbox is served while the queue of its slot is not.
//! Only so many are in that state between two nodes ([`Limits::per_pair`]); routers hold what is
//! meant for them meanwhile. Nothing is warmed at the target before it owns the slot, so no time is
//! spent in the phase before the Seal: what was read then would have to be read again to be
//! believed. The source's services tell the target's what was active when the slot is gone.
//!
//! Every step may be lost or come twice: what is proposed is derived from the state again and
//! again, and a step that no longer fits is refused alone.

use super::shared::Core;
use crate::placement::plan::{self, Limits};
use crate::placement::{ClusterState, Command, MoveAction, MoveStep, NodeState, Phase, SlotAt};
use base::{Deadline, Epoch, NodeId, Result, Slot};
use contract_control::PlannedMoves;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the leader plans while something moves, and otherwise.
const PLAN_EVERY: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a sealed slot has to come to rest: several transactions of a store that is well.
const REST_TIME: Duration = Duration::from_millis(150);

/// What services may take beyond their time before nobody waits for them any more.
const LATE_MAX: Duration = Duration::from_millis(100);

/// A source that has not come to rest after this long is told to serve on.
const SEAL_MAX: Duration = Duration::from_secs(5);

/// How long to wait before proposing again what did not get through.
const RETRY: Duration = Duration::from_millis(200);

/// How many steps go into one entry.
const STEPS_MAX: usize = 256;

/// How many hand-overs are proposed at a time.
const REPORTS_MAX: usize = 4;

/// A part of the time in which a slot serves nobody because it moves: `rest` and `hand_over` (its
/// decision) are seen by the source, `take` (the fence in the store) by the target.
fn note_pause(part: &'static str, slot: Slot, took: Duration) {
    metrics::histogram!("rialto_slot_pause_seconds", "part" => part).record(took.as_secs_f64());
    tracing::debug!(%slot, part, ?took, "a part of a move");
}

fn propose_of(steps: Vec<MoveStep>) -> Command {
    Command::Moves { steps }
}

/// What the leader remembers of moves; lost with it.
#[derive(Default)]
struct Driver {
    ongoing: bool,
    /// By slot number: who owned it last, and since when.
    owners: Vec<(Option<NodeId>, Option<Duration>)>,
    /// Since when a slot is in Seal.
    sealed: BTreeMap<Slot, (Epoch, Duration)>,
    /// Since when slots are being moved without a break, and how many were begun with.
    going: Option<(Duration, usize)>,
}

/// Plans moves while this node leads.
pub(super) async fn drive(core: Arc<Core>) {
    let mut driver = Driver::default();
    loop {
        let busy = match core.raft.leadership().borrow().is_me {
            true => None,
            false => Some(false),
        };
        let busy = match busy {
            Some(busy) => {
                driver = Driver::default();
                core.loads.lock().forget();
                core.wants_even.store(false, Ordering::Release);
                busy
            }
            None => driver.round(&core).await.unwrap_or_else(|error| {
                tracing::info!(%error, "moves could not be begun yet");
                false
            }),
        };
        core.env.clock.sleep(if busy { PLAN_EVERY } else { LOOK_EVERY }).await;
    }
}

impl Driver {
    /// Whether there is more to do soon.
    async fn round(&mut self, core: &Core) -> Result<bool> {
        let (state, now) = (core.state(), core.now());
        let mut steps = self.aborts(&state, now);
        self.note_owners(&state, now);
        let forced = core.wants_even.load(Ordering::Acquire);
        let rest = core.options.rest;
        let owners = &self.owners;
        let rested = |slot: Slot| {
            let since = owners.get(usize::from(slot.number())).and_then(|(_, since)| *since);
            forced || since.is_none_or(|since| now.saturating_sub(since) >= rest)
        };
        let ongoing = self.ongoing || forced;
        let limits = &core.options.moves;
        // Without knowing the loads, what was evened out by them would look uneven.
        let knows = forced || core.loads.lock().is_complete(now, &state);
        let rested = |slot: Slot| knows && rested(slot);
        let plan = plan::rebalance(&state, &core.known_loads(&state), limits, ongoing, rested);
        self.ongoing = plan.ongoing;
        let begun = !plan.steps.is_empty();
        self.tell(&state, now, plan.steps.len());
        if forced && !begun && state.moves().next().is_none() {
            core.wants_even.store(false, Ordering::Release);
        }
        for begin in plan.steps {
            steps.push(begin);
            steps.push(MoveStep { action: MoveAction::Seal, ..begin });
        }
        if !steps.is_empty() {
            core.decide(&propose_of(steps)).await?;
        }
        let drains = state.nodes().any(|node| node.state == NodeState::Draining);
        Ok(begun || drains || state.moves().next().is_some())
    }

    /// One line where a row of moves begins, and one where it ends.
    fn tell(&mut self, state: &ClusterState, now: Duration, begun: usize) {
        match &mut self.going {
            Some((_, count)) if begun > 0 => *count += begun,
            Some((since, slots)) if state.moves().next().is_none() => {
                let took = now.saturating_sub(*since);
                tracing::info!(slots, ?took, "slots have been moved");
                self.going = None;
            }
            None if begun > 0 => {
                tracing::info!(slots = begun, "slots begin to be moved");
                self.going = Some((now, begun));
            }
            _ => {}
        }
        if begun > 0 {
            tracing::debug!(slots = begun, "moves are planned");
        }
    }

    /// Calls off what stays in Seal for too long; an earlier leader may have left slots at Begin.
    fn aborts(&mut self, state: &ClusterState, now: Duration) -> Vec<MoveStep> {
        let mut steps = Vec::new();
        let mut sealed = BTreeMap::new();
        for (slot, found) in state.moves() {
            let at = SlotAt { slot, epoch: state.slot(slot).epoch };
            match found.phase {
                Phase::Prewarm => steps.push(MoveStep { at, action: MoveAction::Seal }),
                Phase::Seal => {
                    let known = self.sealed.get(&slot).filter(|(epoch, _)| *epoch == at.epoch);
                    let since = known.map_or(now, |(_, since)| *since);
                    sealed.insert(slot, (at.epoch, since));
                    if now.saturating_sub(since) > SEAL_MAX {
                        steps.push(MoveStep { at, action: MoveAction::Abort });
                    }
                }
                Phase::Bump => {}
            }
        }
        self.sealed = sealed;
        steps
    }

    fn note_owners(&mut self, state: &ClusterState, now: Duration) {
        if self.owners.is_empty() {
            self.owners = state.slots().map(|(_, owner)| (owner.node(), None)).collect();
            return;
        }
        for ((_, owner), known) in state.slots().zip(self.owners.iter_mut()) {
            if owner.node() != known.0 {
                *known = (owner.node(), Some(now));
            }
        }
    }
}

/// A slot that this node gives away.
struct Leaving {
    epoch: Epoch,
    sealed_at: Option<Duration>,
}

/// All of them. Under its lock it is decided whether a slot is still to be sealed: one whose move was
/// called off must not be.
type AllLeaving = Arc<Mutex<BTreeMap<Slot, Leaving>>>;

/// At the source: lets slots come to rest and hands each on when it has.
pub(super) async fn give(core: Arc<Core>, rested: mpsc::Sender<SlotAt>) {
    let mut applied = core.raft.applied();
    let leaving = AllLeaving::default();
    loop {
        let state = applied.borrow_and_update().state.clone();
        let wanted = to_seal(&state, core.me);
        let (mut stay, mut begin) = (Vec::new(), Vec::new());
        {
            let mut leaving = leaving.lock();
            leaving.retain(|slot, one| {
                let leaves = wanted.get(slot) == Some(&one.epoch);
                if !leaves {
                    core.fences.unseal(*slot, one.epoch);
                    let now = state.slot(*slot);
                    let stays = (now.node(), now.epoch) == (Some(core.me), one.epoch);
                    if stays {
                        stay.push(*slot);
                    } else if let Some(since) = one.sealed_at {
                        note_pause("hand_over", *slot, core.now().saturating_sub(since));
                    }
                }
                leaves
            });
            for (slot, epoch) in wanted {
                leaving.entry(slot).or_insert_with(|| {
                    begin.push(SlotAt { slot, epoch });
                    Leaving { epoch, sealed_at: None }
                });
            }
        }
        // Called off: what waits in them goes on.
        if !stay.is_empty() {
            core.local.gained(&stay);
        }
        for at in begin {
            tokio::spawn(release(core.clone(), at, leaving.clone(), rested.clone()));
        }
        if applied.changed().await.is_err() {
            return;
        }
    }
}

fn to_seal(state: &ClusterState, me: NodeId) -> BTreeMap<Slot, Epoch> {
    let mine = state.moves().filter(|(_, m)| m.from == me && m.phase == Phase::Seal);
    mine.map(|(slot, _)| (slot, state.slot(slot).epoch)).collect()
}

async fn release(core: Arc<Core>, at: SlotAt, leaving: AllLeaving, rested: mpsc::Sender<SlotAt>) {
    let deadline = Deadline::after(core.options.release_time);
    rest(at.slot, deadline, core.local.prepare(at.slot, deadline)).await;
    let begun = core.now();
    {
        let mut leaving = leaving.lock();
        let still = leaving.get_mut(&at.slot).filter(|one| one.epoch == at.epoch);
        let Some(one) = still else { return };
        one.sealed_at = Some(begun);
        core.fences.seal(at.slot, at.epoch);
    }
    let deadline = Deadline::after(REST_TIME);
    rest(at.slot, deadline, core.local.release(at.slot, deadline)).await;
    note_pause("rest", at.slot, core.now().saturating_sub(begun));
    let _stopped = rested.send(at).await;
}

/// Waits for services, but not much longer than they were told to take.
async fn rest(slot: Slot, deadline: Deadline, resting: impl Future<Output = Result<()>>) {
    match tokio::time::timeout_at(deadline.instant() + LATE_MAX, resting).await {
        Ok(Ok(())) => {}
        // The fence takes care of what still runs.
        Ok(Err(error)) => tracing::info!(%slot, %error, "not at rest in time"),
        Err(_) => tracing::info!(%slot, "not at rest in time"),
    }
}

/// At the source: proposes the hand-over of slots that have come to rest, all that have at a time.
/// One that comes to rest while others are being handed over does not wait for these.
pub(super) async fn report(core: Arc<Core>, mut rested: mpsc::Receiver<SlotAt>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        let mut ready: Vec<SlotAt> = Vec::new();
        tokio::select! {
            count = rested.recv_many(&mut ready, STEPS_MAX), if under_way.len() < REPORTS_MAX => {
                if count == 0 {
                    return;
                }
                under_way.push(hand_over(&core, ready));
            }
            Some(()) = under_way.next() => {}
        }
    }
}

async fn hand_over(core: &Core, mut ready: Vec<SlotAt>) {
    loop {
        let wanted = to_seal(&core.state(), core.me);
        ready.retain(|at| wanted.get(&at.slot) == Some(&at.epoch));
        let step = |at: &SlotAt| MoveStep { at: *at, action: MoveAction::Bump };
        let steps: Vec<MoveStep> = ready.iter().map(step).collect();
        if steps.is_empty() {
            return;
        }
        match core.decide(&propose_of(steps)).await {
            Ok(_) => return,
            Err(error) => {
                tracing::info!(%error, "slots could not be handed over yet");
                core.env.clock.sleep(RETRY).await;
            }
        }
    }
}

/// At the target: says which slots it serves by now.
pub(super) async fn finish(core: Arc<Core>) {
    let (mut applied, mut fences) = (core.raft.applied(), core.fences.changed());
    let mut said: BTreeMap<Slot, (Epoch, Duration)> = BTreeMap::new();
    // Since when slots are on their way into the store.
    let mut taking: BTreeMap<Slot, (Epoch, Duration)> = BTreeMap::new();
    loop {
        let state = applied.borrow_and_update().state.clone();
        fences.mark_unchanged();
        let now = core.now();
        taking.retain(|slot, (epoch, _)| state.slot(*slot).epoch == *epoch);
        let moving = state.moves().filter(|(_, m)| m.to == core.me && m.phase == Phase::Bump);
        let held = moving.filter_map(|(slot, _)| {
            let epoch = state.slot(slot).epoch;
            let (_, since) = *taking.entry(slot).or_insert((epoch, now));
            (core.fences.holds(slot) == Some(epoch)).then_some((SlotAt { slot, epoch }, since))
        });
        let held: Vec<(SlotAt, Duration)> = held.take(STEPS_MAX).collect();
        // What was decided may not be applied here yet.
        said.retain(|_, (_, at)| now.saturating_sub(*at) < Duration::from_secs(1));
        let is_fresh = |at: &SlotAt| said.get(&at.slot).is_none_or(|(epoch, _)| *epoch != at.epoch);
        let fresh: Vec<_> = held.iter().filter(|(at, _)| is_fresh(at)).copied().collect();
        if !fresh.is_empty() {
            for (at, since) in &fresh {
                note_pause("take", at.slot, now.saturating_sub(*since));
            }
            let fresh: Vec<SlotAt> = fresh.into_iter().map(|(at, _)| at).collect();
            let step = |at: &SlotAt| MoveStep { at: *at, action: MoveAction::Finish };
            match core.decide(&propose_of(fresh.iter().map(step).collect())).await {
                Ok(_) => said.extend(fresh.iter().map(|at| (at.slot, (at.epoch, now)))),
                Err(error) => {
                    tracing::info!(%error, "moves could not be finished yet");
                    core.env.clock.sleep(RETRY).await;
                }
            }
            continue;
        }
        let again = async {
            match held.is_empty() {
                true => std::future::pending().await,
                false => core.env.clock.sleep(Duration::from_secs(1)).await,
            }
        };
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            changed = fences.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

/// What a rebalance without end would move, in all, by the loads that are known here.
pub(super) fn what_if(core: &Core, state: &ClusterState) -> Vec<PlannedMoves> {
    let all = usize::from(Slot::COUNT);
    let limits = Limits { per_pair: all, total: all, ..Limits::default() };
    let plan = plan::rebalance(state, &core.known_loads(state), &limits, true, |_| true);
    let mut counts: BTreeMap<(NodeId, NodeId), u16> = BTreeMap::new();
    for step in plan.steps {
        if let (Some(from), MoveAction::Begin { to }) =
            (state.slot(step.at.slot).node(), step.action)
        {
            *counts.entry((from, to)).or_default() += 1;
        }
    }
    counts.into_iter().map(|((from, to), slots)| PlannedMoves { from, to, slots }).collect()
}
