//! Planned moves, slot by slot.
//!
//! ```text
//!   Begin ──▶ Prewarm ──Seal──▶ Seal ──Bump──▶ Bump ──Finish──▶ (done)
//!                └─────Abort─────┴──▶ (the source serves on)
//! ```

use super::command::{MoveAction, MoveStep, Outcome};
use super::state::{ClusterState, Move, NodeState, Phase};
use base::{NodeId, Slot};

impl ClusterState {
    pub(super) fn steps(&mut self, steps: &[MoveStep]) -> Outcome {
        let refused: Vec<Slot> = steps
            .iter()
            .filter(|step| self.step(step).is_none())
            .map(|step| step.at.slot)
            .collect();
        let taken = (steps.len() - refused.len()).min(usize::from(u16::MAX)) as u16;
        Outcome::Moves { taken, refused }
    }

    /// `None` if it no longer fits.
    fn step(&mut self, step: &MoveStep) -> Option<()> {
        let slot = step.at.slot;
        let now = self.slot(slot);
        if now.epoch != step.at.epoch {
            return None;
        }
        match (step.action, self.move_of(slot)) {
            (MoveAction::Begin { to }, None) => self.begin(slot, now.node()?, to),
            (MoveAction::Seal, Some(found)) if found.phase == Phase::Prewarm => {
                self.moves.insert(slot, Move { phase: Phase::Seal, ..found });
                Some(())
            }
            (MoveAction::Bump, Some(found)) if found.phase == Phase::Seal => {
                self.hand_over(slot, Some(found.to));
                self.moves.insert(slot, Move { phase: Phase::Bump, ..found });
                self.settle(found.from);
                Some(())
            }
            (MoveAction::Finish, Some(found)) if found.phase == Phase::Bump => {
                self.moves.remove(&slot).map(|_| ())
            }
            (MoveAction::Abort, Some(found)) if found.phase != Phase::Bump => {
                self.moves.remove(&slot).map(|_| ())
            }
            _ => None,
        }
    }

    fn begin(&mut self, slot: Slot, from: NodeId, to: NodeId) -> Option<()> {
        let ready = self.node(to)?.state == NodeState::Active;
        if !ready || from == to {
            return None;
        }
        self.moves.insert(slot, Move { from, to, phase: Phase::Prewarm });
        Some(())
    }
}
