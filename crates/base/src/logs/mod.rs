//! Logs in files of their own, one row for each event: what was said with whom, and how connections
//! to others went (Exchange: protocol and connectivity logs).
//!
//! ```text
//! session ─▶ Conversation ─▶ LogWriter (bounded; drops, never waits) ─▶ thread ─▶ PREFIXyyyymmdd-n.LOG
//! ```
//!
//! Nobody who carries mail ever waits for a log: rows that find no room are counted and gone. Files
//! are rotated by day and size, and removed by age and by the size of their directory. Fields are
//! CSV; whatever somebody else chose is escaped, so that it can forge no row.

mod conversation;
mod files;
mod read;
mod row;
mod writer;

pub use conversation::{Conversation, ConversationLog, PROTOCOL_FIELDS};
pub use read::{Query, Rows, read};
pub use row::{Row, timestamp};
pub use writer::LogWriter;

/// The largest file, as in Exchange.
pub const FILE_BYTES_MAX: u64 = 10 << 20;
/// How many days files are kept, as in Exchange.
pub const DAYS_MAX: i64 = 30;
/// What the files of one log may take together (Exchange: 250 MB for protocol logs).
pub const DIRECTORY_BYTES_MAX: u64 = 250 << 20;

/// One log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogKind {
    /// Its directory below that of all logs.
    pub directory: &'static str,
    /// What the names of its files begin with.
    pub prefix: &'static str,
    /// What its files call it.
    pub title: &'static str,
    /// Its columns; the first is the time.
    pub fields: &'static [&'static str],
}
