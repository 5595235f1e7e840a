//! The transport contract: accepting mail, queueing it, and what an administrator may do to it.
//!
//! Accepting needs no mailbox owner: any node commits blob references, envelope and one submission
//! row ([`rows`]) under the slot of the queue id, and then says 250. That slot's owner categorises
//! and delivers; the accepting node only sends it a [`QueueHint`], which may be lost.
//!
//! A client's submission goes through its own mailbox instead (the mailbox contract's `Submit`),
//! whose transaction writes the same row with [`rows::write`].

pub mod authentication;
pub mod connector;
pub mod courier;
mod envelope;
pub mod inspection;
pub mod pressure;
pub mod receive;
pub mod relay;
pub mod remote;
pub mod reports;
pub mod rows;
pub mod rule;
pub mod scanner;
pub mod setting;
pub mod signing;
pub mod sts;
pub mod suite;
pub mod tracking;

use async_trait::async_trait;
use base::deadline::with_deadline;
use base::{AccountId, Address, Deadline, Error, QueueId, Result, Timestamp};
use codec_mime::ParsedMessage;
use contract_blob::{ByteStream, Content, Staged};
use contract_directory::Actor;
use relay::{Hop, QueuedHop};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most recipients of one envelope.
pub const RECIPIENTS_MAX: usize = 1_000;

/// The most time that is kept for withdrawing. What is left of ten seconds outlasts a recovery of
/// the store of eight.
const WITHDRAW_TIME: Duration = Duration::from_secs(1);

/// The most messages that one page of [`QueueAdmin::list`] names.
pub const QUEUE_LIST_MAX: usize = 1_000;

/// How far [`QueueAdmin::count`] counts.
pub const QUEUE_COUNT_MAX: u64 = 100_000;

/// The largest message by default, in bytes.
pub const MESSAGE_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// Who sends what to whom, apart from the message itself (RFC 5321 §2.3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// MAIL FROM; `None` for the null sender `<>`.
    pub sender: Option<Address>,
    /// RCPT TO, in order, at most [`RECIPIENTS_MAX`].
    pub recipients: Vec<Recipient>,
    /// Whose credentials were used, if any.
    pub authenticated: Option<AccountId>,
    /// ENVID (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<String>,
    /// RET=HDRS: bounces return only the headers (RFC 3461 §4.3).
    pub return_headers_only: bool,
    /// REQUIRETLS: it goes on only where TLS is sure (RFC 8689 §2). From
    /// [`REQUIRE_TLS_LEVEL`] on.
    pub require_tls: bool,
    /// Where it came from.
    pub source: Source,
}

/// The feature level of the cluster (`Control::feature_level`) from which on every node understands
/// an envelope with [`Envelope::require_tls`].
pub const REQUIRE_TLS_LEVEL: u32 = 4;

/// One recipient of an envelope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// RCPT TO.
    pub address: Address,
    /// NOTIFY (RFC 3461 §4.1).
    pub notify: Notify,
    /// ORCPT (RFC 3461 §4.2), decoded, with its address type: `rfc822;a@b`.
    pub original: Option<String>,
}

impl Recipient {
    /// A recipient without DSN parameters.
    pub fn plain(address: Address) -> Self {
        Self { address, notify: Notify::default(), original: None }
    }
}

/// When the sender wants to hear of a recipient's fate. The default, nothing asked for: failures
/// and delays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notify {
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// Where a message entered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The client's address; `None` for mail that Rialto itself writes.
    pub ip: Option<IpAddr>,
    /// What it called itself.
    pub helo: String,
    /// For trace headers and tracking: `ESMTPSA` and the like (RFC 3848), or `local`.
    pub protocol: String,
}

/// A message that is to be accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// Its name from now on; drawn by the session, so that the accept transaction can be repeated.
    pub queue: QueueId,
    /// Who sends what to whom.
    pub envelope: Envelope,
    /// The message, trace headers in front.
    pub content: Content,
    /// The blobs in `content` that nobody holds yet.
    pub staged: Vec<Staged>,
    /// What was found in it while it streamed in; offsets fit `content`.
    pub parsed: Arc<ParsedMessage>,
}

/// By when a commit must be there, so that there is time to withdraw it before the deadline:
/// [`Transport::withdraw`] gets a quarter of the time, at most a second.
pub fn commit_by(deadline: Deadline) -> Deadline {
    let remaining = deadline.remaining();
    Deadline::after(remaining - (remaining / 4).min(WITHDRAW_TIME))
}

/// Accepting mail.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Takes responsibility for a message: when this returns, it is durable. One transaction.
    /// Repeating it with the same queue id is accepting once, even after the message has been
    /// delivered and forgotten.
    ///
    /// # Errors
    /// [`base::Kind::OutOfSpace`]: nothing was accepted. [`base::Kind::Overloaded`]: it was
    /// withdrawn. [`base::Kind::Unavailable`]: nobody knows; [`Transport::withdraw`] finds out.
    async fn accept(&self, submission: Submission) -> Result<()>;

    /// As [`Transport::accept`], with an answer by the deadline. A commit that takes longer is
    /// withdrawn, so that whoever is told to try again does not get the message twice.
    ///
    /// # Errors
    /// As [`Transport::accept`], and [`base::Kind::Timeout`]: it is not accepted and will not be.
    /// Only where the store answers neither the commit nor the withdrawal in time does nobody know
    /// yet; then what lands late is taken back before anybody has begun with it, as far as this
    /// process lives on.
    async fn accept_by(&self, submission: Submission, deadline: Deadline) -> Result<()> {
        with_deadline(deadline, self.accept(submission)).await
    }

    /// Tracks a message that has come whole and is not accepted, with what its recipients' share
    /// of that is. It is told once and kept as other stories are; nothing else remembers it.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn track_refusal(
        &self,
        _submission: &Submission,
        _about: Vec<tracking::Involved>,
    ) -> Result<()> {
        Ok(())
    }

    /// Settles whether a message is accepted: if its commit has not landed, it never will. For a
    /// commit of unknown outcome, a client's submission among them, before anybody is told to try
    /// again. One transaction.
    ///
    /// # Errors
    /// [`base::Kind::Unavailable`]: still nobody knows.
    async fn withdraw(&self, queue: QueueId) -> Result<Fate> {
        Err(Error::unavailable(format!("{queue} cannot be withdrawn here")))
    }

    /// As [`Transport::withdraw`], with an answer by the deadline, for whoever tells a client then
    /// to try again. A withdrawal that takes longer goes on all the same, and what turns out to
    /// have landed is taken back unless somebody has begun with it, as far as this process lives on.
    ///
    /// # Errors
    /// [`base::Kind::Timeout`], [`base::Kind::Unavailable`]: nobody knows yet.
    async fn withdraw_by(&self, queue: QueueId, deadline: Deadline) -> Result<Fate> {
        with_deadline(deadline, self.withdraw(queue)).await
    }

    /// Whether mail for an address that is not ours is taken on: where no send connector covers it
    /// now, it waits for one. "No" where there can never be one, or this node sends nothing.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn can_relay(&self, _recipient: &Address) -> Result<bool> {
        Ok(false)
    }

    /// Whether a send connector takes mail for an address that is not ours now, so that it need not
    /// wait for one.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn has_route(&self, recipient: &Address) -> Result<bool> {
        self.can_relay(recipient).await
    }

    /// Tells the slot's owner that a submission row was committed. Never blocks; may be lost.
    fn hint(&self, hint: QueueHint);
}

/// What [`Transport::withdraw`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fate {
    /// It had been accepted: it is on its way, or delivered already.
    Accepted,
    /// It is not accepted and will never be.
    Withdrawn,
}

/// "There is something in your slot", with what need not be read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueHint {
    /// Which message.
    pub queue: QueueId,
    /// The row, as it was committed; the owner trusts it only for messages it has not yet begun.
    pub entry: Arc<QueueEntry>,
    /// What was found in the message.
    pub parsed: Arc<ParsedMessage>,
}

/// What the owner of a slot's queue is asked, through the router
/// ([`ServiceId::QUEUE`](base::router::ServiceId::QUEUE), the key is the slot's number).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum QueueCall {
    /// A submission row was committed.
    Hint(QueueHint),
    /// Something is due, or may be: look.
    Wake,
    /// See [`QueueAdmin::retry`].
    Retry(QueueId),
    /// See [`QueueAdmin::suspend`].
    Suspend(QueueId),
    /// See [`QueueAdmin::remove`].
    Remove {
        /// Which message.
        queue: QueueId,
        /// Whether the sender gets a bounce.
        tell_sender: bool,
    },
    /// See [`QueueAdmin::resume`].
    Resume(QueueId),
}

/// A message in the queue, as stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueEntry {
    /// Its name.
    pub queue: QueueId,
    /// Who sends what to whom.
    pub envelope: Envelope,
    /// The message.
    pub content: Content,
    /// When it was accepted.
    pub accepted: Timestamp,
}

/// How far a recipient's delivery has come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RecipientState {
    /// Not tried, or to be tried again at `next_attempt`.
    Waiting {
        /// Attempts so far.
        attempts: u32,
        /// Not before.
        next_attempt: Timestamp,
        /// Why the last attempt failed.
        last_error: Option<String>,
    },
    /// Delivered, or expanded into others.
    Done,
    /// Given up; the sender has been told, if it is to be told.
    Failed {
        /// Enhanced status code, such as `5.1.1`.
        status: String,
        /// For people.
        text: String,
    },
}

/// What an administrator sees of a queued message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Its name.
    pub queue: QueueId,
    /// MAIL FROM.
    pub sender: Option<Address>,
    /// Recipients and how far each is.
    pub recipients: Vec<(Address, RecipientState)>,
    /// Bytes.
    pub size_bytes: u64,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Set aside because handling it crashed twice.
    pub poison: bool,
    /// Set aside by an administrator.
    pub suspended: bool,
    /// Where it goes next, once it waits for another server.
    pub next_hop: Option<relay::Hop>,
}

/// A queued message on its way to an administrator.
pub struct Exported {
    /// Its length in bytes.
    pub size_bytes: u64,
    /// All of it, in pieces; an error where it cannot be read any further.
    pub bytes: ByteStream,
}

/// Seeing and steering the queue.
#[async_trait]
pub trait QueueAdmin: Send + Sync + 'static {
    /// Queued messages in order of acceptance, from just after `after`; at most
    /// [`QUEUE_LIST_MAX`]. Read in several short transactions, so a message that ends meanwhile
    /// may be missing or listed. Costs a read for each slot that has messages, and is otherwise
    /// independent of the queue's length.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueuedMessage>>;

    /// How many messages wait. Counts in several short transactions, at most up to
    /// [`QUEUE_COUNT_MAX`], which therefore means "so many or more". It costs reading them: a
    /// question for people, not for a metric.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn count(&self) -> Result<u64>;

    /// Tries a message again now (and lets a suspended or poison one go on).
    ///
    /// # Errors
    /// [`base::Kind::NotFound`]; [`base::Kind::Conflict`] while it is being delivered.
    async fn retry(&self, queue: QueueId) -> Result<()>;

    /// Holds a message back.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry`].
    async fn suspend(&self, queue: QueueId) -> Result<()>;

    /// Holds a message back no more; it is tried when it would have been.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry`].
    async fn resume(&self, queue: QueueId) -> Result<()>;

    /// One message; it may be listed no more by then.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn show(&self, queue: QueueId) -> Result<QueuedMessage> {
        let before = queue.0.checked_sub(1).map(QueueId);
        let next = self.list(before, 1).await?.into_iter().next();
        let found = next.filter(|message| message.queue == queue);
        found.ok_or_else(|| Error::not_found(format!("The queued message {queue}")))
    }

    /// The queues for other servers, by name. It costs reading the names of all their messages: a
    /// question for people.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn hops(&self) -> Result<Vec<QueuedHop>>;

    /// Tries to reach a next hop now, for all its messages.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`] where nothing waits for it.
    async fn retry_hop(&self, hop: Hop) -> Result<()>;

    /// Sends nothing to a next hop any more; what is being sent is.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry_hop`].
    async fn suspend_hop(&self, hop: Hop) -> Result<()>;

    /// Sends to a next hop again.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry_hop`].
    async fn resume_hop(&self, hop: Hop) -> Result<()>;

    /// Routes a message anew that waits for another server: its recipients are resolved again, and
    /// go by the connectors as they are now. It keeps its time of arrival, and does not meet the
    /// transport rules again. One transaction takes it out of the one queue and puts it into the
    /// other, under a new name.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry`]; [`base::Kind::CannotChange`] for what waits for no other server.
    async fn resubmit(&self, queue: QueueId) -> Result<()>;

    /// The same for all messages of a next hop that are not held back, one after the other, by the
    /// owner of the queue; gives how many there are. Those that it has not come to when it dies
    /// stay where they are.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry_hop`].
    async fn resubmit_hop(&self, hop: Hop) -> Result<u64>;

    /// A message as it waits, byte for byte; that somebody has looked at it is in the audit before
    /// the first of them.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn export(&self, actor: &Actor, queue: QueueId) -> Result<Exported>;

    /// Takes a message out of the queue, with or without telling the sender.
    ///
    /// # Errors
    /// As [`QueueAdmin::retry`].
    async fn remove(&self, queue: QueueId, tell_sender: bool) -> Result<()>;
}
