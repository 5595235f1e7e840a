//! Looking into attachments in processes of their own.
//!
//! [`Workers`] stands behind the transport contract's `inspection`. For each attachment it starts
//! this program once more, with a verb that nobody else uses; the child limits itself ([`work`]),
//! reads the file from its standard input, and writes what it has found to its standard output. At
//! most so many run at once. One that takes too long, dies, wants too much memory or writes too much
//! is killed, and its attachment is one that cannot be told.
//!
//! The child opens nothing: it may have no more files than its three, so no socket either, no other
//! process, and nothing of the environment.

mod talk;
mod worker;
mod workers;

pub use worker::work;
pub use workers::{Config, Workers};
