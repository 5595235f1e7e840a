//! The write-ahead log: what is committed but not yet checkpointed in the table file.
//!
//! A few segment files of fixed size are filled with zeros when they are made and overwritten ever
//! after, so that a write never changes the file's length or its extents and one `fdatasync` is
//! one cheap flush without a journal commit. The log never grows beyond its segments: a full log
//! makes commits wait for the next checkpoint ([`pool`]).
//!
//! ```text
//! segment   header page | record | record | … | roll record → generation of the next segment
//! record    48-byte header | body | zeros up to the next multiple of 4096
//! ```
//!
//! - Records begin on page boundaries, so writing one never rewrites a page that holds an older,
//!   already durable one; a torn write cannot damage it.
//! - A segment gets a new random salt each time it is used; the salt goes into each checksum, so
//!   that what an earlier use left behind is never taken for a record, whoever chose its bytes.
//! - Each record names the version of the record before it, and the version up to which the log
//!   was durable when it was written. So a bad record followed by one that says "you were durable"
//!   is damage and an error; without such a witness it is the torn tail of a crash and ends the
//!   replay ([`replay`]).
//! - A segment is left only after its roll record is durable; so a missing successor is damage,
//!   too.

pub(crate) mod format;
pub(crate) mod pool;
pub(crate) mod replay;
pub(crate) mod segment;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

/// A place in the log: everything before it is in the table file once a checkpoint says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// Which use of which segment.
    pub(crate) generation: u64,
    /// The byte within the segment's file.
    pub(crate) offset: u64,
}
