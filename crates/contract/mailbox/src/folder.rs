//! Folders: the default ones with Exchange's names and classes, and what is known of each.

use base::{Change, FolderId, Uid};
use serde::{Deserialize, Serialize};

/// What a folder holds (PidTagContainerClass, MS-OXOSFLD 2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum FolderClass {
    /// `IPF.Note`: mail.
    #[default]
    Mail,
    /// `IPF.Appointment`.
    Calendar,
    /// `IPF.Contact`.
    Contacts,
    /// `IPF.Task`.
    Tasks,
    /// `IPF.StickyNote`.
    Notes,
    /// `IPF.Journal`.
    Journal,
    /// No class: roots and hidden trees.
    None,
}

impl FolderClass {
    /// The container class string; empty for [`FolderClass::None`].
    pub fn container_class(self) -> &'static str {
        match self {
            Self::Mail => "IPF.Note",
            Self::Calendar => "IPF.Appointment",
            Self::Contacts => "IPF.Contact",
            Self::Tasks => "IPF.Task",
            Self::Notes => "IPF.StickyNote",
            Self::Journal => "IPF.Journal",
            Self::None => "",
        }
    }
}

/// How a folder gets its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum FolderKind {
    /// Items are put into it.
    #[default]
    Normal,
    /// Items are found by criteria; membership is materialised.
    Search,
    /// A public folder: read state is per user.
    Public,
}

/// The part a folder plays. At most one folder of a mailbox for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SpecialUse {
    /// The root of everything that users see ("Top of Information Store").
    Root,
    /// Where mail arrives.
    Inbox,
    /// `\Drafts` (RFC 6154 §2).
    Drafts,
    /// `\Sent`.
    Sent,
    /// `\Trash`: Deleted Items.
    Trash,
    /// `\Junk`.
    Junk,
    /// `\Archive`.
    Archive,
    /// Messages on their way out (MAPI).
    Outbox,
    /// The default calendar.
    Calendar,
    /// The default contacts.
    Contacts,
    /// The default tasks.
    Tasks,
    /// The default notes.
    Notes,
    /// The hidden root of what was deleted (MS-OXCFOLD; "Recoverable Items").
    RecoverableItems,
    /// Below it: what users deleted and may recover.
    Deletions,
    /// Below it: old versions of edited items under hold.
    Versions,
    /// Below it: what users purged, kept for holds and single item recovery.
    Purges,
}

/// One folder that every mailbox has.
#[derive(Clone, Copy, Debug)]
pub struct DefaultFolder {
    /// Its part.
    pub role: SpecialUse,
    /// Below which; `None` only for the two roots.
    pub parent: Option<SpecialUse>,
    /// Its name.
    pub name: &'static str,
    /// Its class.
    pub class: FolderClass,
    /// Whether it never appears in any list of folders.
    pub hidden: bool,
}

const fn below(
    parent: SpecialUse,
    role: SpecialUse,
    name: &'static str,
    class: FolderClass,
) -> DefaultFolder {
    let hidden = matches!(parent, SpecialUse::RecoverableItems);
    DefaultFolder { role, parent: Some(parent), name, class, hidden }
}

const fn root(role: SpecialUse, name: &'static str, hidden: bool) -> DefaultFolder {
    DefaultFolder { role, parent: None, name, class: FolderClass::None, hidden }
}

static DEFAULT_FOLDERS: &[DefaultFolder] = {
    use SpecialUse::{
        Archive, Calendar, Contacts, Deletions, Drafts, Inbox, Junk, Notes, Outbox, Purges,
        RecoverableItems, Root, Sent, Tasks, Trash, Versions,
    };
    &[
        root(Root, "", false),
        root(RecoverableItems, "Recoverable Items", true),
        below(Root, Inbox, "Inbox", FolderClass::Mail),
        below(Root, Drafts, "Drafts", FolderClass::Mail),
        below(Root, Sent, "Sent Items", FolderClass::Mail),
        below(Root, Trash, "Deleted Items", FolderClass::Mail),
        below(Root, Junk, "Junk Email", FolderClass::Mail),
        below(Root, Archive, "Archive", FolderClass::Mail),
        below(Root, Outbox, "Outbox", FolderClass::Mail),
        below(Root, Calendar, "Calendar", FolderClass::Calendar),
        below(Root, Contacts, "Contacts", FolderClass::Contacts),
        below(Root, Tasks, "Tasks", FolderClass::Tasks),
        below(Root, Notes, "Notes", FolderClass::Notes),
        below(RecoverableItems, Deletions, "Deletions", FolderClass::None),
        below(RecoverableItems, Versions, "Versions", FolderClass::None),
        below(RecoverableItems, Purges, "Purges", FolderClass::None),
    ]
};

/// The folders that a new mailbox has, parents first. Their [`FolderId`] is their place here,
/// counted from 1.
pub fn default_folders() -> &'static [DefaultFolder] {
    DEFAULT_FOLDERS
}

impl SpecialUse {
    /// The id that the folder of this role has in every mailbox.
    pub fn folder_id(self) -> FolderId {
        let place = default_folders().iter().position(|folder| folder.role == self);
        FolderId(place.map_or(0, |place| place as u64 + 1))
    }
}

/// How many items a folder has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FolderCounts {
    /// Items with a UID.
    pub messages: u64,
    /// Of these, without \Seen.
    pub unseen: u64,
    /// Of these, with \Deleted.
    pub deleted: u64,
    /// Bytes of all items, associated ones among them.
    pub size_bytes: u64,
    /// Associated (FAI) items, which have no UID (MS-OXCMSG; PidTagAssociatedContentCount).
    pub associated: u64,
}

/// What is known of a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FolderInfo {
    /// Its id.
    pub id: FolderId,
    /// Below which folder; `None` for the roots.
    pub parent: Option<FolderId>,
    /// Its own name, without parents; any UTF-8 but control characters, at most 255 bytes.
    pub name: String,
    /// What it holds.
    pub class: FolderClass,
    /// How it gets its content.
    pub kind: FolderKind,
    /// Its part, if any.
    pub role: Option<SpecialUse>,
    /// Whether it never appears in lists.
    pub hidden: bool,
    /// IMAP subscription.
    pub subscribed: bool,
    /// How many items.
    pub counts: FolderCounts,
    /// UIDVALIDITY (RFC 3501 §2.3.1.1).
    pub uid_validity: u32,
    /// The UID that the next message will have.
    pub uid_next: Uid,
    /// The newest change of anything in it (HIGHESTMODSEQ).
    pub highest_change: Change,
    /// Messages from this UID on have not been shown to any session as \Recent yet.
    pub recent_from: Uid,
    /// The newest change of the folder's own name, place or properties.
    pub own_change: Change,
}
