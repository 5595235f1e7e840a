//! The core of the mailbox: bulk commands, faults, takeover, housekeeping, costs.

mod bulk;
mod cost;
mod crowd;
mod fair;
mod fences;
mod folders;
mod gather;
mod guard;
mod help;
mod limits;
mod news;
mod owners;
mod purge;
mod search;
mod storm;
mod sweep;
mod takeover;
mod wakeups;
