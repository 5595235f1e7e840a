//! Queues for other servers: their names, what their owners are asked, and what an administrator
//! sees of them.

use base::{Error, QueueId, Result, Slot, Timestamp};
use contract_control::Control;
use contract_store::keys::KeyBuilder;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The queue of a next hop. Everything in it travels together; which hosts that are is decided at
/// each attempt, from the connector as it is then.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// The send connector.
    pub connector: String,
    /// The recipients' domain; `None` where all goes to the connector's smart hosts.
    pub domain: Option<String>,
    /// Which part of the hop's mail, where it is spread over several owners; or the one that
    /// [ignores policies](Self::ignores_policies).
    pub shard: u8,
}

/// What stands for the connector of mail that no send connector takes; no connector can be called
/// so. (Exchange: the Unreachable queue.)
pub const UNREACHABLE: &str = "Unreachable";

/// The part of a hop's mail whose senders would rather have it there than safe
/// ([`crate::courier::NextHop::ignores_policies`]). Mail is spread over fewer parts than this.
const WITHOUT_POLICIES: u8 = u8::MAX;

impl Hop {
    /// The same hop for mail that what the domain publishes about its hosts is not to hold up.
    #[must_use]
    pub fn without_policies(self) -> Self {
        let is_asked = self.domain.is_some() && !self.is_unreachable();
        Self { shard: if is_asked { WITHOUT_POLICIES } else { self.shard }, ..self }
    }

    /// Whether it is a [`Hop::without_policies`].
    pub fn ignores_policies(&self) -> bool {
        self.shard == WITHOUT_POLICIES
    }

    /// Where mail for a domain waits while no send connector takes it.
    pub fn unreachable(domain: &str, shard: u8) -> Self {
        Self { connector: UNREACHABLE.to_owned(), domain: Some(domain.to_owned()), shard }
    }

    /// Whether what is here waits for a send connector.
    pub fn is_unreachable(&self) -> bool {
        self.connector == UNREACHABLE
    }

    /// Its name in keys; what follows sorts below it.
    #[must_use]
    pub fn key(&self, key: KeyBuilder) -> KeyBuilder {
        let domain = self.domain.as_deref().unwrap_or_default();
        key.u8(self.shard).text(self.connector.as_bytes()).text(domain.as_bytes())
    }

    /// The slot whose owner looks after it.
    pub fn slot(&self, control: &dyn Control) -> Slot {
        control.slot_of_hop(&self.key(KeyBuilder::new(b"")).build())
    }

    /// Reads what [`fmt::Display`] prints.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`].
    pub fn parse(text: &str) -> Result<Self> {
        let (rest, shard) = match text.split_once('#') {
            Some((rest, shard)) => (rest, shard.parse().ok()),
            None => (text, Some(0)),
        };
        let (connector, domain) = match rest.split_once('/') {
            Some((connector, domain)) => (connector, Some(domain.to_owned())),
            None => (rest, None),
        };
        match shard {
            Some(shard) if !connector.is_empty() && domain.as_deref() != Some("") => {
                Ok(Self { connector: connector.to_owned(), domain, shard })
            }
            _ => Err(Error::invalid(format!("\"{}\" is no next hop", text.escape_debug()))),
        }
    }
}

impl fmt::Display for Hop {
    /// `connector/example.org`, or `connector` for smart hosts; with `#1` behind it where it is a
    /// further part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.connector)?;
        if let Some(domain) = &self.domain {
            write!(f, "/{domain}")?;
        }
        if self.shard > 0 {
            write!(f, "#{}", self.shard)?;
        }
        Ok(())
    }
}

/// The slot of a message that waits for a next hop. Its id ends with the slot's number, so that
/// whoever knows the id finds the queue.
pub fn slot_of(queue: QueueId) -> Option<Slot> {
    Slot::new((queue.0 & 0xfff) as u16)
}

/// A new id for a message of a slot's next hop: `random` is 128 random bits.
pub fn new_id(accepted: Timestamp, random: u128, slot: Slot) -> QueueId {
    let QueueId(id) = QueueId::new(accepted, random);
    QueueId(id & !0xfff | u128::from(slot.number()))
}

/// What the owner of a slot's next hops is asked, through the router
/// ([`ServiceId::RELAY`](base::router::ServiceId::RELAY), the key is the slot's number).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RelayCall {
    /// Messages for these next hops were committed.
    Hint(Vec<Hop>),
    /// Something is due, or may be: look.
    Wake,
    /// Something is to be done to a message.
    Message {
        /// Which.
        queue: QueueId,
        /// What.
        verb: Verb,
    },
    /// Something is to be done to a whole queue.
    Hop {
        /// Which.
        hop: Hop,
        /// What; removing is for messages only.
        verb: Verb,
    },
}

/// What an administrator may want.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verb {
    /// Try again now.
    Retry,
    /// Hold back.
    Suspend,
    /// Hold back no more.
    Resume,
    /// Take out of the queue.
    Remove {
        /// Whether the sender gets a bounce.
        tell_sender: bool,
    },
    /// Route anew.
    Resubmit,
}

/// What an administrator sees of a next hop's queue (Exchange: Get-Queue).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueuedHop {
    /// Which.
    pub hop: Hop,
    /// How it stands.
    pub status: HopStatus,
    /// How many messages wait, those that are held back left out; counted up to
    /// [`HOP_COUNT_MAX`].
    pub messages: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
}

/// How far the messages of one next hop are counted.
pub const HOP_COUNT_MAX: u64 = 10_000;

/// The states of Exchange's delivery queues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HopStatus {
    /// There is something to send now.
    Active,
    /// There is nothing to send now; single messages wait for their next attempt.
    Ready,
    /// The next hop could not be reached.
    Retry {
        /// How often in a row.
        attempts: u32,
        /// When it is tried again.
        next_attempt: Timestamp,
        /// Why.
        last_error: String,
    },
    /// An administrator holds it back.
    Suspended,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        let check = |text: &str, expect: Option<(&str, Option<&str>, u8)>| {
            let hop = Hop::parse(text).ok();
            let parts = hop.as_ref().map(|hop| (&*hop.connector, hop.domain.as_deref(), hop.shard));
            assert_eq!(parts, expect, "{text}");
            if let Some(hop) = hop {
                assert_eq!(hop.to_string(), text);
            }
        };
        check("out/example.org", Some(("out", Some("example.org"), 0)));
        check("out", Some(("out", None, 0)));
        check("out#2", Some(("out", None, 2)));
        check("out/example.org#255", Some(("out", Some("example.org"), 255)));
        check("Unreachable/example.org", Some(("Unreachable", Some("example.org"), 0)));
        check("", None);
        check("/example.org", None);
        check("out/", None);
        check("out#256", None);
    }

    #[test]
    fn an_id_tells_its_slot() {
        let at = Timestamp { unix_ms: 0x0102_0304_0506 };
        let slot = Slot::new(0x0abc).unwrap();
        let id = new_id(at, u128::MAX, slot);
        assert_eq!((slot_of(id), id.accepted_at()), (Some(slot), at));
    }
}
