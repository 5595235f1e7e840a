//! Identifiers and small values that appear in rows, messages and logs.
//!
//! Identifiers are plain integers in distinct types, so that a folder can never be passed for an
//! item. They print as short hexadecimal with a letter in front, the form used in logs and by the
//! command line. Everything here is stable on disk: never reorder or retype a field.

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::Hasher;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty), $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{:x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// One mailbox's account: a person's, a room's or a team's. Never reused.
    AccountId(u64), "a"
);
id!(
    /// A folder within one mailbox. Below 2^48, so that it is a MAPI global counter as it stands
    /// (MS-OXCDATA 2.2.1.1).
    FolderId(u64), "f"
);
id!(
    /// An item within one mailbox; stable over edits and moves inside the mailbox. Below 2^48.
    ItemId(u64), "i"
);
id!(
    /// An IMAP unique identifier within one folder (RFC 3501 §2.3.1.1). Never 0, never reused.
    Uid(u32), "u"
);
id!(
    /// A change number: one mailbox's own counter, raised by every change; IMAP's MODSEQ
    /// (RFC 7162). Below 2^48.
    Change(u64), "c"
);
id!(
    /// One accepted message on its way. The top 48 bits are the time of acceptance in
    /// milliseconds since 1970, the rest random, so rows keyed by it stand in order of time.
    QueueId(u128), "q"
);
id!(
    /// One client session, on the node that holds its connection. Random.
    SessionId(u128), "s"
);
id!(
    /// A node of the cluster: the index of the log entry that let it join, so never reused.
    NodeId(u64), "n"
);
id!(
    /// One start of one node. Random; tells two lives of a node apart.
    BootId(u128), "b"
);
id!(
    /// The generation of a slot's owner; strictly increasing for each slot.
    Epoch(u64), "e"
);

impl QueueId {
    /// Makes an id from the time of acceptance and 128 random bits, of which 80 are used.
    pub fn new(now: Timestamp, random: u128) -> Self {
        let time = u128::from(now.unix_ms.max(0) as u64 & 0xffff_ffff_ffff);
        Self(time << 80 | random & ((1 << 80) - 1))
    }

    /// When the message was accepted, to the millisecond.
    pub fn accepted_at(self) -> Timestamp {
        Timestamp { unix_ms: (self.0 >> 80) as i64 }
    }

    /// Reads the form that [`fmt::Display`] prints, with or without the leading letter.
    pub fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text.strip_prefix('q').unwrap_or(text), 16).ok().map(Self)
    }
}

/// One of [`Slot::COUNT`] shards of mailboxes and queues; the unit of placement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(u16);

impl Slot {
    /// How many slots there are; fixed for the life of a cluster.
    pub const COUNT: u16 = 4096;

    /// The slot with this number, if there is one.
    pub fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// The slot's number, below [`Slot::COUNT`].
    pub fn number(self) -> u16 {
        self.0
    }

    /// Where a mailbox lives. `cluster_key` is drawn once, when a cluster is founded, so that
    /// nobody outside can aim accounts at one slot.
    pub fn of_account(account: AccountId, cluster_key: &ClusterKey) -> Self {
        Self::hash(b'a', &account.0.to_be_bytes(), cluster_key)
    }

    /// Where an accepted message is categorised.
    pub fn of_queue(queue: QueueId, cluster_key: &ClusterKey) -> Self {
        Self::hash(b'q', &queue.0.to_be_bytes(), cluster_key)
    }

    /// Where mail for a next hop waits; `hop` is the hop's name in bytes.
    pub fn of_hop(hop: &[u8], cluster_key: &ClusterKey) -> Self {
        Self::hash(b'h', hop, cluster_key)
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    fn hash(kind: u8, bytes: &[u8], key: &ClusterKey) -> Self {
        let mut hasher = SipHasher13::new_with_key(&key.0);
        hasher.write_u8(kind);
        hasher.write(bytes);
        Self((hasher.finish() % u64::from(Self::COUNT)) as u16)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot{}", self.0)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key that spreads accounts and queues over slots; secret to the cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterKey(pub [u8; 16]);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

/// Names one mutating command for ever, so that it can be sent again and applied once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug)]
pub struct CommandId {
    /// The session that issued it.
    pub session: SessionId,
    /// The session's own counter, strictly increasing from 1.
    pub sequence: u64,
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, self.sequence)
    }
}

/// A wall-clock instant, UTC.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default, Debug,
)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z; negative before.
    pub unix_ms: i64,
}

impl Timestamp {
    /// Whole seconds since 1970, rounded towards the past.
    pub fn unix_s(self) -> i64 {
        self.unix_ms.div_euclid(1000)
    }

    /// From whole seconds since 1970; saturates at the ends of the range.
    pub fn from_unix_s(seconds: i64) -> Self {
        Self { unix_ms: seconds.saturating_mul(1000) }
    }

    /// This instant moved by `by` (later where positive); saturates.
    pub fn plus_ms(self, by: i64) -> Self {
        Self { unix_ms: self.unix_ms.saturating_add(by) }
    }
}

/// An e-mail address, already parsed: `local@domain`. The domain is lower-case ASCII (or the
/// U-label as given); the local part is kept as it was written, without quoting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The part before the `@`, unquoted.
    pub local: String,
    /// The part after the `@`, lower-case; `[1.2.3.4]` for an address literal.
    pub domain: String,
}

impl Address {
    /// From parts that a parser has already checked; lowers the domain.
    pub fn new(local: impl Into<String>, domain: impl AsRef<str>) -> Self {
        Self { local: local.into(), domain: domain.as_ref().to_lowercase() }
    }

    /// Splits plain `local@domain` at the last `@`; no quoting, no comments. For configuration
    /// and the command line; protocols use their own parser.
    pub fn parse_plain(text: &str) -> Option<Self> {
        let (local, domain) = text.trim().rsplit_once('@')?;
        let ok = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_control() || c == ' ');
        (ok(local) && ok(domain)).then(|| Self::new(local, domain))
    }

    /// The form under which local recipients are looked up: both parts lower-case.
    pub fn folded(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain =
            |c: char| c.is_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let dots_fine = !self.local.starts_with('.')
            && !self.local.ends_with('.')
            && !self.local.contains("..");
        if !self.local.is_empty() && self.local.chars().all(plain) && dots_fine {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, c)?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_stand_in_order_of_time() {
        let early = QueueId::new(Timestamp { unix_ms: 1_000 }, u128::MAX);
        let late = QueueId::new(Timestamp { unix_ms: 1_001 }, 0);
        assert!(early < late);
        assert_eq!(early.accepted_at(), Timestamp { unix_ms: 1_000 });
        assert_eq!(QueueId::parse(&late.to_string()), Some(late));
    }

    #[test]
    fn slots_spread_and_depend_on_the_key() {
        let key = ClusterKey([7; 16]);
        let mut seen = std::collections::HashSet::new();
        for n in 0..20_000 {
            let slot = Slot::of_account(AccountId(n), &key);
            assert!(slot.number() < Slot::COUNT);
            seen.insert(slot);
        }
        assert!(seen.len() > 4000, "{} of 4096 slots used", seen.len());
        let other = ClusterKey([8; 16]);
        let moved = (0..1000)
            .filter(|n| {
                Slot::of_account(AccountId(*n), &key) != Slot::of_account(AccountId(*n), &other)
            })
            .count();
        assert!(moved > 990);
    }

    #[test]
    fn addresses_print_quoted_where_needed() {
        let check = |local: &str, expect: &str| {
            assert_eq!(Address::new(local, "Rialto.Test").to_string(), expect);
        };
        check("alice", "alice@rialto.test");
        check("a b", "\"a b\"@rialto.test");
        check("a\"b", "\"a\\\"b\"@rialto.test");
        check(".a", "\".a\"@rialto.test");
        check("", "\"\"@rialto.test");
    }
}
