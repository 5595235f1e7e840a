//! The core of the mailbox: bulk commands, faults, takeover, housekeeping, costs.

mod bulk;
mod cost;
mod help;
mod owners;
mod search;
mod storm;
mod sweep;
