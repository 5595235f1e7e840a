//! Looking into attachments: what text is in them, whether there is a program, whether a password
//! keeps it shut.
//!
//! Files come from strangers and are read by code that is long. So they are read elsewhere, by
//! somebody who can be stopped, and whatever goes wrong there is an answer like others: the
//! attachment cannot be told. Nobody waits for it longer than they want to.

use async_trait::async_trait;
use base::{Deadline, Result};
use contract_blob::ByteStream;
use std::fmt::Debug;

pub use codec_extract::{Extract, Outcome};

/// An attachment.
pub struct Attachment {
    /// What it is called; may be empty.
    pub name: String,
    /// Its media type, such as `text/html`.
    pub media_type: String,
    /// The charset of its text; may be empty.
    pub charset: String,
    /// Its bytes, decoded from how they travel (RFC 2045 §6).
    pub bytes: ByteStream,
}

/// Whoever looks into attachments.
#[async_trait]
pub trait Inspector: Send + Sync + Debug + 'static {
    /// Looks into an attachment. One that cannot be looked into, whyever, and one for which there
    /// is no time until the deadline, is an [`Extract`] whose outcome says so.
    ///
    /// # Errors
    /// Those of reading the attachment's bytes, as they are.
    async fn inspect(&self, attachment: Attachment, deadline: Deadline) -> Result<Extract>;
}
