//! Actors: one task each, with state of its own, that handles one message after another.
//!
//! They run on `ractor`, whose inboxes are unbounded; so nobody sends through it but [`Inbox`],
//! which takes a permit first and lets it travel with the message. [`spawn()`] starts an actor,
//! [`Singleton`] keeps one running, [`Population`] keeps one for each key that is in use. Actors
//! are never killed, only asked to stop; a panic ends the actor, never the process.

mod address;
mod backoff;
mod population;
mod spawn;
mod supervise;

pub use address::{Inbox, Reply};
pub use backoff::{Backoff, BackoffPolicy, Verdict};
pub use population::{Population, PopulationOptions};
pub use spawn::{Actor, Context, Ended, Ending, Next, Spawned, spawn};
pub use supervise::Singleton;

#[cfg(test)]
mod tests;
