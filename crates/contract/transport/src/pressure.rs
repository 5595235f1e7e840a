//! Back pressure: what a node is short of, and whose mail waits for that (Exchange: resource
//! monitoring of the transport service).
//!
//! Whoever takes mail asks [`Pressure::stance`] before a message is begun. The least important waits
//! first: strangers, then partners, then our own people and devices; other servers of ours never do,
//! nor what is accepted already, nor reading.

use serde::Serialize;
use std::time::Duration;

/// What may run short.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Room where the store, or what the node keeps for itself, is.
    Disk,
    /// Memory that the process uses.
    Memory,
    /// Memory that everybody on the machine, or in the control group, uses.
    MachineMemory,
    /// Messages that were accepted and that nobody has sorted yet, on this node.
    Queue,
    /// How long the store takes.
    Store,
}

impl Resource {
    /// As metrics, logs and people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::MachineMemory => "machine-memory",
            Self::Queue => "queue",
            Self::Store => "store",
        }
    }
}

/// How much of a resource is used (Exchange: low, medium, high).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// There is enough.
    #[default]
    Normal,
    /// Strangers are slowed down.
    Medium,
    /// Nothing comes in from outside.
    High,
}

impl Level {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Who wants to send something, the least important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sender {
    /// Anybody outside.
    Stranger,
    /// Somebody outside whom the operator has named.
    Partner,
    /// A person who has signed in, or a device of ours that may relay.
    Own,
    /// A server of ours.
    Server,
}

/// What a sender meets now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stance {
    /// Mail is taken.
    Take,
    /// Mail is taken, after this long.
    Wait(Duration),
    /// It may try again later.
    Later,
    /// So it may, and its connection is needed for others.
    Close,
}

/// How one resource stands, for people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Reading {
    /// Which one.
    pub resource: Resource,
    /// How much is used: percent, messages or milliseconds, as `unit` says. `None` while it cannot be
    /// measured.
    pub used: Option<f64>,
    /// `%`, `messages` or `ms`.
    pub unit: &'static str,
    /// From here on the level is medium.
    pub medium: u64,
    /// From here on it is high.
    pub high: u64,
    /// The level that holds.
    pub level: Level,
    /// How soon the next level is reached if it goes on as in the last minutes; `None` where nothing
    /// grows, or too little is known.
    pub reached_in_s: Option<u64>,
    /// The same in words: what is left.
    pub room: String,
}

/// How the node stands.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Standing {
    /// The highest level of a resource, as far as it counts.
    pub level: Level,
    /// Whether anything follows from it.
    pub enabled: bool,
    /// What senders meet, in words.
    pub effect: String,
    /// The resources.
    pub resources: Vec<Reading>,
}

/// Whoever watches the resources of this node.
pub trait Pressure: Send + Sync + 'static {
    /// What a sender meets who wants to begin a message.
    fn stance(&self, sender: Sender) -> Stance;

    /// How everything stands.
    fn standing(&self) -> Standing;
}
