//! Noticing that a node does not serve any more, fast and without crying wolf.
//!
//! Liveness only: a wrong verdict costs the slots of one node a re-activation, never data, because
//! every write is fenced in the store. So silence of 400 ms may be enough, and what has to be kept
//! rare is the chain of false alarms that a slow machine could set off.
//!
//! ```text
//!   every node, each 100 ms:  Beat { boot, vitals, what I hear of others } ──▶ leader + 2 peers
//!   every node, each  50 ms:  Detector::tick        was I stopped, am I slow?
//!   the leader, each  50 ms:  Detector::judge(state) ──▶ Verdicts ──▶ commands for Raft
//! ```
//!
//! - **Who is asked.** The leader decides with the views of those that the node sends its beats
//!   to: more than half of the views must be suspicions, and at least two, or the leader's own
//!   after three times the silence where nobody else can be asked.
//! - **Who is not asked.** An observer that was stopped itself, or has lost the store, hears
//!   nothing because of its own trouble: it suspects nobody, and forgives everybody the time.
//!   A leader that alone has lost the store says so of itself: nobody else would.
//! - **When nobody is judged.** If half of the nodes say that the store stalls, it is the store.
//!   An outage begins and ends for one sooner than for the next, so a node is held to have lost
//!   the store only by a leader that has had it for a while.
//! - **Hold-down.** A node that was declared dead must be well for half a second before it is
//!   taken back, and for twice as long each time it happens again, up to 32 s.
//! - **Slow nodes.** A node whose pace is five times that of the node in the middle for ten seconds
//!   gives its slots away, as long as two thirds of the nodes stay; see `pace`. One that lacks a
//!   processor is told by less than one that is only far away.
//!
//! All of it is pure: time is handed in ([`base::env::Clock::monotonic`]). What only the leader
//! knows (hold-downs, since when a node is slow) is lost with the leader; the next one begins anew.

mod beat;
mod detector;
mod judge;
mod pace;
mod settings;
mod succession;
#[cfg(test)]
mod tests;

pub use beat::{Beat, Hearing, Vitals, recipients};
pub use detector::Detector;
pub use judge::{Reason, Verdict};
pub use settings::Settings;
