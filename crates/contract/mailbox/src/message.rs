//! Mail: what arrives, what is stored for reading, what is sent.

use crate::index::NamedFlags;
use base::{Address, FolderId, ItemId, QueueId, Timestamp, Uid};
use codec_mime::ParsedMessage;
use contract_blob::{Content, Staged};
use contract_control::Fence;
use contract_transport::Submission;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is needed to answer any FETCH of a message, but for the bytes of its blobs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageMeta {
    /// Structure, envelope, offsets into `content`.
    pub parsed: ParsedMessage,
    /// Where the bytes are.
    pub content: Content,
}

/// A message to be put into a folder (APPEND).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewMessage {
    /// Its bytes.
    pub content: Content,
    /// The blobs of `content` that nobody holds yet.
    pub staged: Vec<Staged>,
    /// What was found in it while it streamed in.
    pub parsed: Arc<ParsedMessage>,
    /// Its flags.
    pub flags: NamedFlags,
    /// INTERNALDATE; now where `None`.
    pub received: Option<Timestamp>,
}

/// A delivery of a queued message to one mailbox. Its dedupe key is (queue, mailbox, generation):
/// a mailbox gets one copy, however often it is asked for and by whatever addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Which message.
    pub queue: QueueId,
    /// To which address, after resolving and expanding; for traces, the mailbox is named apart.
    pub recipient: Address,
    /// Raised when an administrator resubmits.
    pub generation: u32,
    /// For the Return-Path header; `None` for `<>`.
    pub return_path: Option<Address>,
    /// The message, as it stands in the queue; its blobs are held by the queue entry.
    pub content: Content,
    /// Fits `content`.
    pub parsed: Arc<ParsedMessage>,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Whether this is the last thing to be done for the message: then the same transaction also
    /// ends the queue entry.
    pub ends_queue_entry: bool,
    /// The fence of the queue that the message stands in: nothing is delivered and no entry ended
    /// for an owner that has lost the queue, nor for a message that has left it. `None` for a
    /// message that stands in no queue; then nothing is checked.
    pub queue_fence: Option<Fence>,
}

/// What became of a delivery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Delivered {
    /// It was made now.
    New {
        /// The folder it went to.
        folder: FolderId,
        /// The new item.
        item: ItemId,
        /// Its UID there.
        uid: Uid,
    },
    /// It had been made before.
    Before,
}

/// A message that the mailbox's owner sends: one transaction writes the copy in Sent Items and the
/// queue entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// What is to be sent.
    pub submission: Submission,
    /// Whether Sent Items gets a copy.
    pub sent_copy: bool,
}
