//! The states of a session (RFC 1939 §3) and what each of them knows.
//!
//! ```text
//! Authorization ──PASS, AUTH──▶ Transaction ──QUIT──▶ (removal) ──▶ end
//!        └───────────QUIT, STLS ⟲───────┴── silence, a broken line: nothing is removed ──▶ end
//! ```

use crate::config::SEEN_STEP;
use crate::maildrop::{Maildrop, Message};
use crate::phrase::Phrase;
use crate::reply::{self, Reply, Stop};
use access_listener::UserPlace;
use base::{Deadline, Uid};
use contract_directory::Account;
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{MailboxHandle, SpecialUse, SystemFlags, Write};
use std::sync::Arc;

pub(crate) enum State {
    Authorization(Stranger),
    Transaction(Box<User>),
}

/// Somebody who has not signed in.
pub(crate) struct Stranger {
    /// What USER said.
    pub(crate) name: Option<String>,
    /// Wrong passwords so far.
    pub(crate) failures: u32,
    /// By when to have signed in.
    pub(crate) deadline: Deadline,
}

/// Somebody who has signed in.
pub(crate) struct User {
    pub(crate) account: Arc<Account>,
    pub(crate) mailbox: MailboxHandle,
    pub(crate) drop: Maildrop,
    /// Messages that were fetched and are not marked as read yet.
    pub(crate) read: Vec<Uid>,
    /// The session's place among the user's sessions.
    pub(crate) _place: UserPlace,
}

impl State {
    /// A stranger who has so long.
    pub(crate) fn begin(deadline: Deadline) -> Self {
        Self::Authorization(Stranger { name: None, failures: 0, deadline })
    }

    /// Who has not signed in.
    pub(crate) fn stranger(&mut self) -> Result<&mut Stranger, Stop> {
        match self {
            Self::Authorization(stranger) => Ok(stranger),
            Self::Transaction(_) => Err(Reply::err(Phrase::SignedInAlready).into()),
        }
    }

    /// Who has signed in.
    pub(crate) fn user(&mut self) -> Result<&mut User, Stop> {
        match self {
            Self::Transaction(user) => Ok(user),
            Self::Authorization(_) => Err(Reply::err(Phrase::NotSignedIn).into()),
        }
    }
}

impl User {
    /// A message that is shown to the client.
    pub(crate) fn message(&self, number: u32) -> Result<Message, Stop> {
        let found = self.drop.message(number);
        found.ok_or_else(|| Reply::err(Phrase::NoSuchMessage).into())
    }

    /// Notes that a message was fetched. It counts as read, as with IMAP and in Exchange; that is
    /// told the mailbox for several at a time.
    pub(crate) async fn fetched(&mut self, message: &Message) {
        if self.drop.fetched(message) {
            self.read.push(message.uid);
            if self.read.len() >= SEEN_STEP {
                self.mark_read().await;
            }
        }
    }

    /// Tells the mailbox what was fetched. Where it cannot be told, messages stay unread: that is
    /// no reason to refuse them.
    pub(crate) async fn mark_read(&mut self) {
        if self.read.is_empty() {
            return;
        }
        let request = Write::Store {
            folder: SpecialUse::Inbox.folder_id(),
            uids: std::mem::take(&mut self.read).into_iter().collect(),
            mode: StoreMode::Add,
            flags: NamedFlags { system: SystemFlags::SEEN, keywords: Vec::new() },
            unchanged_since: None,
        };
        if let Err(error) = self.mailbox.write(request).await {
            reply::log("seen", &error);
        }
    }
}
