//! Clients of programs that look at mail before it is accepted: clamd, rspamd, milters.
//!
//! ```text
//! Clients::scan ─▶ for each scanner in its order:
//!     breaker: rests? ─▶ a place among its connections ─▶ connect ─▶ clamd | rspamd | milter
//!        └ no: its choice for failures              └ Answer: verdict, edits, a note
//! edits ─▶ front and header of the message; the first verdict against it ends the walk
//! ```
//!
//! A scanner gets a connection of its own for each message and one time for all of it; what it
//! sends is bounded, and believed in nothing but its verdict and well-formed fields. A scanner that
//! has failed several times in a row [rests](breaker): its choice for failures holds at once, and
//! one message now and then finds out whether it is back.

mod ask;
mod breaker;
mod clamd;
mod clients;
mod edits;
mod message;
mod milter;
mod outcome;
mod rspamd;
mod standing;
mod trial;

pub use clients::Clients;
