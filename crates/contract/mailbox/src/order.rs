//! Messages in an order, and in threads (RFC 5256), free of any protocol.

use base::Uid;
use serde::{Deserialize, Serialize};

/// What messages are compared by. Texts are compared by `i;unicode-casemap` (RFC 5051); where a
/// message lacks something, by the empty text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OrderKey {
    /// When it arrived (INTERNALDATE).
    Received,
    /// Local part of the first address of Cc.
    Cc,
    /// When it was sent, or where that is not known when it arrived.
    Sent,
    /// Local part of the first address of From.
    From,
    /// How large it is.
    Size,
    /// The base subject (RFC 5256 §2.1).
    Subject,
    /// Local part of the first address of To.
    To,
    /// What is shown for the first address of From: its name, else the address (RFC 5957 §3).
    ShownFrom,
    /// The same of To.
    ShownTo,
}

/// A key, and whether in descending order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// By what.
    pub key: OrderKey,
    /// In descending order.
    pub descending: bool,
}

/// How messages are put into threads (RFC 5256 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Threading {
    /// ORDEREDSUBJECT: all of one base subject below the first of them.
    OrderedSubject,
    /// REFERENCES: by Message-ID, References and In-Reply-To, and then by base subject.
    References,
}

/// One message of the threads, which stand in order, each message before its replies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ThreadEntry {
    /// How far below the first of its thread, which has 0; at most one more than the entry before.
    pub depth: u32,
    /// The message; `None` for one that is not there but has several replies, at depth 0 only.
    pub uid: Option<Uid>,
}
