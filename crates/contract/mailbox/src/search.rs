//! Search criteria, free of any protocol. IMAP SEARCH maps onto it key by key (RFC 3501 §6.4.4).

use crate::index::SystemFlags;
use crate::uidset::UidSet;
use base::{Change, Timestamp};
use serde::{Deserialize, Serialize};

/// The deepest nesting that is accepted; deeper criteria are refused by the codec.
pub const DEPTH_MAX: usize = 64;

/// A condition on one message. Text is compared without regard to case, after decoding, as a
/// substring. Dates without time are days since 1970-01-01 in the date's own zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Search {
    /// Every message.
    All,
    /// All of them hold.
    And(Vec<Search>),
    /// One of them holds.
    Or(Vec<Search>),
    /// It does not hold.
    Not(Box<Search>),
    /// The UID is in the set.
    Uids(UidSet),
    /// All of these flags are set.
    System(SystemFlags),
    /// The keyword is set.
    Keyword(String),
    /// INTERNALDATE's day (UTC) is before this day.
    ReceivedBefore(i32),
    /// INTERNALDATE's day is this day.
    ReceivedOn(i32),
    /// INTERNALDATE's day is this day or later.
    ReceivedSince(i32),
    /// The Date header's day (in its own zone) is before this day.
    SentBefore(i32),
    /// The Date header's day is this day.
    SentOn(i32),
    /// The Date header's day is this day or later.
    SentSince(i32),
    /// Larger than so many bytes.
    Larger(u64),
    /// Smaller than so many bytes.
    Smaller(u64),
    /// The header field has the text in it; an empty text asks only for the field.
    Header {
        /// The field's name.
        name: String,
        /// What it contains.
        text: String,
    },
    /// From, as `name <address>` text.
    From(String),
    /// To.
    To(String),
    /// Cc.
    Cc(String),
    /// Bcc.
    Bcc(String),
    /// Subject.
    Subject(String),
    /// The decoded text of the body's parts.
    Body(String),
    /// Header or body.
    Text(String),
    /// Changed at or after this change number (MODSEQ, RFC 7162).
    ChangedSince(Change),
    /// Received less than so many seconds before the given moment (YOUNGER, RFC 5032).
    ReceivedAfter(Timestamp),
}
