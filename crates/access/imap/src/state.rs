//! The states of a session (RFC 3501 §3) and what each of them knows.
//!
//! ```text
//! NotAuthenticated ──LOGIN, AUTHENTICATE──▶ Authenticated ──SELECT, EXAMINE──▶ Selected
//!        │                                   │    ▲──CLOSE, UNSELECT, failed SELECT──┘ │
//!        └──────────────LOGOUT───────────────┴────────────────LOGOUT───────────────────┴─▶ Logout
//! ```
//!
//! UNAUTHENTICATE leads back to where a session begins, from wherever somebody has signed in.

use crate::claims::Claims;
use crate::reply::{Reply, Stop};
use crate::view::View;
use access_listener::UserPlace;
use base::{AccountId, Change, Deadline, FolderId};
use contract_directory::Account;
use contract_mailbox::{MailboxHandle, Permission};
use std::sync::Arc;
use tokio::sync::watch;

pub(crate) enum State {
    NotAuthenticated(Stranger),
    Authenticated(Box<User>),
    Selected(Box<User>, Box<Selected>),
    Logout,
}

/// Somebody who has not signed in.
pub(crate) struct Stranger {
    /// Wrong passwords so far.
    pub(crate) failures: u32,
    /// By when to have signed in.
    pub(crate) deadline: Deadline,
}

/// Somebody who has signed in.
pub(crate) struct User {
    pub(crate) account: Arc<Account>,
    pub(crate) mailbox: MailboxHandle,
    /// Wake-ups for the mailbox.
    pub(crate) wake: watch::Receiver<Change>,
    /// Who of this node tells of what as \Recent.
    pub(crate) claims: Arc<Claims>,
    /// What the client may be told that RFC 3501 does not know; the same in a visit.
    pub(crate) enabled: Enabled,
    /// The session's place among the user's sessions; its visits have none of their own.
    pub(crate) _place: Option<UserPlace>,
    /// In somebody else's mailbox: whose `mailbox` is.
    pub(crate) visiting: Option<Arc<Account>>,
    /// Where the folder that is open is somebody else's: the user there.
    pub(crate) visit: Option<Box<User>>,
}

/// What a client has enabled (RFC 5161), or used, which enables it too (RFC 7162 §3.1).
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// Modification sequences are told.
    pub(crate) condstore: bool,
    /// What is gone is told by UID; never without `condstore`.
    pub(crate) qresync: bool,
    /// The client speaks IMAP4rev2 (RFC 9051): it knows no \Recent and no SEARCH response.
    pub(crate) rev2: bool,
    /// Text is UTF-8 (RFC 6855), as it is in IMAP4rev2.
    pub(crate) utf8: bool,
    /// Messages have UIDs and no numbers (RFC 9586).
    pub(crate) uid_only: bool,
}

/// A folder that is open.
pub(crate) struct Selected {
    pub(crate) folder: FolderId,
    /// Whether it was opened by EXAMINE.
    pub(crate) read_only: bool,
    /// What the user may do in it, as bits of [`Permission`], at the time when it was opened. What
    /// may really be done is decided by the mailbox.
    pub(crate) rights: u32,
    pub(crate) uid_validity: u32,
    pub(crate) view: View,
    /// The newest wake-up that was followed.
    pub(crate) followed: Change,
}

impl User {
    /// The user in the mailbox of the folder that is open.
    fn here(&self) -> &User {
        self.visit.as_deref().unwrap_or(self)
    }
}

impl Selected {
    /// Whether flags other than \Deleted may be changed.
    pub(crate) fn may_flag(&self) -> bool {
        !self.read_only && self.rights & Permission::EDIT_ANY != 0
    }

    /// Whether \Deleted may be changed and messages expunged.
    pub(crate) fn may_delete(&self) -> bool {
        !self.read_only && self.rights & Permission::DELETE_ANY != 0
    }
}

impl State {
    /// Who has signed in, where the open folder is.
    pub(crate) fn here(&self) -> Result<&User, Stop> {
        self.user().map(User::here)
    }

    /// Whether this folder is open.
    pub(crate) fn is_open(&self, mailbox: AccountId, folder: FolderId) -> bool {
        match self {
            Self::Selected(user, selected) => {
                user.here().mailbox.mailbox() == mailbox && selected.folder == folder
            }
            _ => false,
        }
    }

    /// Who has signed in.
    pub(crate) fn user(&self) -> Result<&User, Stop> {
        match self {
            Self::Authenticated(user) | Self::Selected(user, _) => Ok(user),
            Self::NotAuthenticated(_) | Self::Logout => Err(Reply::bad("Sign in first").into()),
        }
    }

    /// Notes what the client has enabled, for the open folder of somebody else too.
    pub(crate) fn enable(&mut self, change: impl FnOnce(&mut Enabled)) -> Result<(), Stop> {
        let (Self::Authenticated(user) | Self::Selected(user, _)) = self else {
            return Err(Reply::bad("Sign in first").into());
        };
        change(&mut user.enabled);
        if let Some(visit) = &mut user.visit {
            visit.enabled = user.enabled;
        }
        Ok(())
    }

    /// Who has signed in, in the mailbox of the open folder, and that folder.
    pub(crate) fn selected(&mut self) -> Result<(&User, &mut Selected), Stop> {
        match self {
            Self::Selected(user, selected) => Ok((user.here(), selected)),
            Self::Authenticated(_) => Err(Reply::bad("Select a mailbox first").into()),
            Self::NotAuthenticated(_) | Self::Logout => Err(Reply::bad("Sign in first").into()),
        }
    }

    /// The same where the command changes messages.
    pub(crate) fn writable(&mut self) -> Result<(&User, &mut Selected), Stop> {
        let (user, selected) = self.selected()?;
        if selected.read_only {
            return Err(Reply::refused("The mailbox was opened read-only").into());
        }
        Ok((user, selected))
    }

    /// Closes the open folder, if any; tells whether one was.
    pub(crate) fn deselect(&mut self) -> bool {
        match std::mem::replace(self, Self::Logout) {
            Self::Selected(mut user, _) => {
                user.visit = None;
                *self = Self::Authenticated(user);
                true
            }
            other => {
                *self = other;
                false
            }
        }
    }

    /// Opens a folder, of another's mailbox where there is a visit.
    pub(crate) fn select(&mut self, selected: Selected, visit: Option<Box<User>>) {
        *self = match std::mem::replace(self, Self::Logout) {
            Self::Authenticated(mut user) | Self::Selected(mut user, _) => {
                user.visit = visit;
                Self::Selected(user, Box::new(selected))
            }
            other => other,
        };
    }
}
