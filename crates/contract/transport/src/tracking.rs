//! Message tracking: what happened to each message, stage by stage, and finding it again.
//!
//! A stage writes its events in its own transaction ([`record`]), so what is tracked has happened,
//! once, whatever becomes of the node. The names of events and sources are those that Exchange's
//! administrators search for. A message's own facts (subject, Message-ID, size) stand with the
//! event that begins its story, [`Event::Receive`] or [`Event::Submit`].
//!
//! All rows stand below `H/<day of acceptance>`, events in the order of their messages, which is
//! that of acceptance ([`rows`]). So a message's story is one range, a day is forgotten by clearing
//! one range, and one person's mail of a week is found by seven small ranges.

pub mod rows;

pub use rows::record;

use async_trait::async_trait;
use base::{Address, NodeId, QueueId, Result, Timestamp};
use codec_mime::ParsedMessage;
use serde::{Deserialize, Serialize};

/// How long stories are kept, in days from their message's acceptance (Exchange: 30).
pub const KEPT_DAYS: u32 = 30;

/// How many messages a search finds at most where nothing is said (Exchange: 1,000).
pub const FOUND_MAX: usize = 1_000;

/// The longest text that an event holds, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// What happened. Stable in the store: append variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It was accepted.
    Receive,
    /// A mailbox's owner sent it.
    Submit,
    /// A group became its members.
    Expand,
    /// It went on to the queue of a next hop.
    Transfer,
    /// It is in a mailbox.
    Deliver,
    /// It was to be put into a mailbox that had it already.
    DuplicateDeliver,
    /// Another server has taken it.
    Send,
    /// It could not go on now, and will be tried again.
    Defer,
    /// It will never go there.
    Fail,
    /// Its sender is told something.
    Dsn,
    /// Handling it crashed too often; it is set aside.
    PoisonMessage,
    /// An administrator holds it back.
    Suspend,
    /// An administrator lets it go on.
    Resume,
    /// An administrator has it tried at once.
    Retry,
    /// An administrator has taken it out of its queue.
    Remove,
    /// An address was found to mean another one, which it is about; the reasons are the addresses
    /// as they were written. From feature level 3 on.
    Resolve,
    /// A mailbox's mail is forwarded to whom it is about; the reasons are the mailboxes. From
    /// feature level 3 on.
    Redirect,
    /// A scanner has looked at it; the reason is what it said. From feature level 3 on.
    AgentInfo,
}

impl Event {
    /// As administrators know it: `DUPLICATEDELIVER`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receive => "RECEIVE",
            Self::Submit => "SUBMIT",
            Self::Expand => "EXPAND",
            Self::Transfer => "TRANSFER",
            Self::Deliver => "DELIVER",
            Self::DuplicateDeliver => "DUPLICATEDELIVER",
            Self::Send => "SEND",
            Self::Defer => "DEFER",
            Self::Fail => "FAIL",
            Self::Dsn => "DSN",
            Self::PoisonMessage => "POISONMESSAGE",
            Self::Suspend => "SUSPEND",
            Self::Resume => "RESUME",
            Self::Retry => "RETRY",
            Self::Remove => "REMOVE",
            Self::Resolve => "RESOLVE",
            Self::Redirect => "REDIRECT",
            Self::AgentInfo => "AGENTINFO",
        }
    }

    /// Whether it tells to whom else the message goes.
    pub fn leads_on(self) -> bool {
        matches!(self, Self::Expand | Self::Resolve | Self::Redirect)
    }

    /// Whether a story begins with it.
    pub fn begins(self) -> bool {
        matches!(self, Self::Receive | Self::Submit)
    }
}

/// Who says so. Stable in the store: append variants, never reorder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Origin {
    /// Speaking with another server or a client.
    Smtp,
    /// A mailbox.
    StoreDriver,
    /// Choosing the way.
    Routing,
    /// Finding out who is meant.
    Resolver,
    /// The queue itself.
    Queue,
    /// Reports.
    Dsn,
    /// An administrator.
    Admin,
    /// A transport rule or a hook.
    Agent,
    /// What is set aside.
    PoisonMessage,
}

impl Origin {
    /// As administrators know it: `STOREDRIVER`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::StoreDriver => "STOREDRIVER",
            Self::Routing => "ROUTING",
            Self::Resolver => "RESOLVER",
            Self::Queue => "QUEUE",
            Self::Dsn => "DSN",
            Self::Admin => "ADMIN",
            Self::Agent => "AGENT",
            Self::PoisonMessage => "POISONMESSAGE",
        }
    }
}

/// A recipient that an event is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Involved {
    /// Who.
    pub address: Address,
    /// Its enhanced status code (RFC 3463), where it has one; else empty.
    pub status: String,
    /// Why, for people; may be empty.
    pub reason: String,
}

impl Involved {
    /// A recipient of whom nothing else is to be said.
    pub fn plain(address: Address) -> Self {
        Self { address, status: String::new(), reason: String::new() }
    }

    /// A recipient with its status and why that is so.
    pub fn told(address: Address, status: &str, reason: &str) -> Self {
        Self { address, status: cut(status), reason: cut(reason) }
    }
}

/// One event of a message's story.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tracked {
    /// When.
    pub at: Timestamp,
    /// On which node.
    pub node: NodeId,
    /// What.
    pub event: Event,
    /// Who says so.
    pub origin: Origin,
    /// Of which message: the name under which it was accepted, also where it waits elsewhere.
    pub queue: QueueId,
    /// MAIL FROM; `None` for the null sender, and where the event begins no story.
    pub sender: Option<Address>,
    /// Whom it is about.
    pub recipients: Vec<Involved>,
    /// The Message-ID without angle brackets, at the beginning.
    pub message_id: Option<String>,
    /// The subject, decoded, at the beginning.
    pub subject: Option<String>,
    /// Octets, at the beginning; else 0.
    pub size_bytes: u64,
    /// Which connector or next hop.
    pub connector: Option<String>,
    /// From where it came: address and name of the client.
    pub client: Option<String>,
    /// Who took or refused it, as the other server calls itself.
    pub server: Option<String>,
    /// The report, or what the report is about, or its name in the queue of a next hop.
    pub related: Option<QueueId>,
    /// Why, for people; may be empty.
    pub reason: String,
    /// Since it was accepted, in milliseconds; at the beginning, how long it came in.
    pub latency_ms: Option<u64>,
}

impl Tracked {
    /// An event of which nothing is known but this.
    pub fn new(
        (at, node): (Timestamp, NodeId),
        event: Event,
        origin: Origin,
        queue: QueueId,
    ) -> Self {
        Self {
            at,
            node,
            event,
            origin,
            queue,
            sender: None,
            recipients: Vec::new(),
            message_id: None,
            subject: None,
            size_bytes: 0,
            connector: None,
            client: None,
            server: None,
            related: None,
            reason: String::new(),
            latency_ms: None,
        }
    }

    /// The beginning of a message's story, at the moment that its name tells: to accept it again is
    /// to begin the same story.
    pub fn begun(
        (accepted, node): (Timestamp, NodeId),
        (event, origin): (Event, Origin),
        submission: &crate::Submission,
    ) -> Self {
        let crate::Submission { queue, envelope, content, parsed, .. } = submission;
        let source = &envelope.source;
        let to = envelope.recipients.iter().map(|one| Involved::plain(one.address.clone()));
        let client = source.ip.map(|ip| match source.helo.as_str() {
            "" => ip.to_string(),
            helo => cut(&format!("{ip} ({helo})")),
        });
        Self {
            sender: envelope.sender.clone(),
            recipients: to.collect(),
            message_id: message_id(parsed),
            subject: parsed.envelope.subject.as_ref().map(|subject| {
                let decoded = codec_mime::encoded_word::decode(subject);
                cut(&decoded)
            }),
            size_bytes: content.size_bytes(),
            client,
            reason: cut(&source.protocol),
            latency_ms: u64::try_from(accepted.unix_ms - queue.accepted_at().unix_ms).ok(),
            ..Self::new((queue.accepted_at(), node), event, origin, *queue)
        }
    }

    /// What scanners have said of a message that is accepted: an event for each.
    pub fn scanned(
        place: (Timestamp, NodeId),
        submission: &crate::Submission,
    ) -> impl Iterator<Item = Self> {
        let new = move || Self::new(place, Event::AgentInfo, Origin::Agent, submission.queue);
        let notes = crate::scanner::scanning::notes(&submission.content);
        notes.into_iter().map(move |note| new().because(&note))
    }

    /// Whether it tells that the message came whole and was not accepted, which is all of its story.
    pub fn is_refusal(&self) -> bool {
        self.event == Event::Fail && self.origin == Origin::Agent && self.client.is_some()
    }

    /// With these recipients.
    #[must_use]
    pub fn about(mut self, recipients: impl IntoIterator<Item = Involved>) -> Self {
        self.recipients = recipients.into_iter().collect();
        self
    }

    /// For this reason.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = cut(reason);
        self
    }

    /// So long after the message was accepted.
    #[must_use]
    pub fn since(mut self, accepted: Timestamp) -> Self {
        self.latency_ms = u64::try_from(self.at.unix_ms - accepted.unix_ms).ok();
        self
    }
}

/// A Message-ID as it is tracked.
fn message_id(parsed: &ParsedMessage) -> Option<String> {
    let id = parsed.message_id.as_ref().filter(|id| !id.is_empty())?;
    Some(cut(&String::from_utf8_lossy(id)))
}

/// Text from anywhere as one line of bounded length.
fn cut(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(TEXT_CHARS_MAX).map(plain).collect()
}

/// Which messages are looked for; all that is given must fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// One of these is the sender; any where empty.
    pub senders: Vec<Address>,
    /// One of these is a recipient, as it was sent to or through a group; any where empty.
    pub recipients: Vec<Address>,
    /// The Message-ID, with or without angle brackets.
    pub message_id: Option<String>,
    /// A part of the subject, without regard to case.
    pub subject: Option<String>,
    /// Accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// Accepted at most so many milliseconds ago.
    pub within_ms: Option<i64>,
    /// Accepted before this moment.
    pub until: Option<Timestamp>,
    /// Accepted at least so many milliseconds ago.
    pub before_ms: Option<i64>,
    /// How many messages at most; [`FOUND_MAX`] where 0.
    pub limit: usize,
}

/// What a search has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The stories, the newest message first, each in order of time.
    pub stories: Vec<Vec<Tracked>>,
    /// Where the search stopped because it had found or looked at enough: there may be more that
    /// was accepted before this moment.
    pub more_before: Option<Timestamp>,
}

/// Looking at what was tracked, of all nodes.
#[async_trait]
pub trait MessageTracking: Send + Sync + 'static {
    /// A message's story in order of time; empty if nothing is known of it. The name may also be
    /// the one that it has in the queue of a next hop.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn story(&self, queue: QueueId) -> Result<Vec<Tracked>>;

    /// The messages that fit.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn search(&self, search: &Search) -> Result<Found>;
}
