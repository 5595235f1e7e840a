//! The transport contract: accepting mail, queueing it, and what an administrator may do to it.
//!
//! Accepting needs no mailbox owner: any node commits blob references, envelope and one submission
//! row ([`rows`]) under the slot of the queue id, and then says 250. That slot's owner categorises
//! and delivers; the accepting node only sends it a [`QueueHint`], which may be lost.
//!
//! A client's submission goes through its own mailbox instead (the mailbox contract's `Submit`),
//! whose transaction writes the same row with [`rows::write`].

pub mod rows;

use async_trait::async_trait;
use base::{AccountId, Address, QueueId, Result, Timestamp};
use codec_mime::ParsedMessage;
use contract_blob::{Content, Staged};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// The most recipients of one envelope.
pub const RECIPIENTS_MAX: usize = 1_000;

/// The largest message by default, in bytes.
pub const MESSAGE_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// Who sends what to whom, apart from the message itself (RFC 5321 §2.3.1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    /// Where it came from.
    pub source: Source,
}

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

/// Accepting mail.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Takes responsibility for a message: when this returns, it is durable. One transaction.
    /// Repeating it with the same queue id is accepting once.
    ///
    /// # Errors
    /// [`base::Kind::OutOfSpace`], [`base::Kind::Unavailable`]: nothing was accepted.
    async fn accept(&self, submission: Submission) -> Result<()>;

    /// Tells the slot's owner that a submission row was committed. Never blocks; may be lost.
    fn hint(&self, hint: QueueHint);
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
}

/// Seeing and steering the queue.
#[async_trait]
pub trait QueueAdmin: Send + Sync + 'static {
    /// Queued messages in order of acceptance, from just after `after`.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueuedMessage>>;

    /// How many messages wait (snapshot).
    ///
    /// # Errors
    /// Temporary ones only.
    async fn count(&self) -> Result<u64>;

    /// Tries a message again now (and lets a suspended or poison one go on).
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn retry(&self, queue: QueueId) -> Result<()>;

    /// Holds a message back.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn suspend(&self, queue: QueueId) -> Result<()>;

    /// Takes a message out of the queue, with or without telling the sender.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn remove(&self, queue: QueueId, tell_sender: bool) -> Result<()>;
}
