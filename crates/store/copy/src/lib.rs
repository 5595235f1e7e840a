//! Moving all data from one store to another (`rialto store copy`).
//!
//! ```text
//! source ── pages ──▶ rules ──▶ target       one transaction a batch, with the progress row in it
//! source ── pages ──▶ rules ──▶ digest ┐
//!                      target ─▶ digest ┴─▶ both as counted while copying? then it is done
//! ```
//!
//! A copy may be cut off at any moment: it goes on where the progress row of the target says. Each
//! run makes that row its own, and each batch compares and writes it; so a batch of unknown outcome,
//! or one that lands late, or a second copy into the same target, never writes anything twice or
//! leaves anything out. A store whose row does not say "done" is not whole, and [`take_into_use`]
//! keeps a node from serving it.
//!
//! The source must stand still. An embedded store that nobody has open does; a running node's is
//! held still by its [`GatedStore`], through which reads go on. One that several processes may
//! have open gets a mark before anything is read, which the gates of all of them heed. The
//! verification reads the source a second time, so a change that slipped in makes the copy fail
//! rather than be lost.
//!
//! Never do both stores serve. When all has been compared, the source is marked as moved, which
//! [`take_into_use`] refuses; only then the target is done. A copy that fails takes its mark away
//! once it has made sure that "done" was not, and cannot be, written; where it cannot make sure,
//! the mark stays ([`Failed::is_settled`]).
//!
//! Versionstamps mean nothing in another store; [`Rules`] say what becomes of the rows that have
//! one in their key.

mod copy;
mod digest;
mod gate;
mod marks;
mod overlap;
mod pages;
mod patience;
mod progress;
mod rules;
mod run;
mod steps;

pub use copy::{Copy, Failed, Start, Summary};
pub use gate::GatedStore;
pub use marks::use_again;
pub use overlap::Overlap;
pub use progress::{Phase, Progress, take_into_use, why_not_served};
pub use rules::Rules;
