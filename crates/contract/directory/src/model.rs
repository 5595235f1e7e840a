//! What the directory holds.

use base::{AccountId, Address, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// A distribution group.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, Default,
)]
pub struct GroupId(pub u64);

/// What an address means here.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// A mailbox of ours.
    Account(Arc<Account>),
    /// A group of ours.
    Group(Arc<Group>),
    /// A contact: an entry of ours that stands for [`crate::MailFlow::external`], which it has.
    Contact(Arc<Account>),
    /// In an authoritative domain of ours, but nobody's: 550 5.1.1.
    Unknown,
    /// In no accepted domain: relaying.
    Elsewhere,
}

/// What kind of mailbox an account has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
pub enum AccountKind {
    /// A person.
    #[default]
    User,
    /// Shared by several; nobody signs in.
    Shared,
    /// A room.
    Room,
    /// A thing that can be booked.
    Equipment,
    /// Somebody elsewhere: no mailbox, and nobody signs in (Exchange: mail contact, mail user).
    Contact,
}

/// One account and its mailbox's settings; or a contact, which has no mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Never reused.
    pub id: AccountId,
    /// What kind of mailbox.
    pub kind: AccountKind,
    /// The primary address; also the login name.
    pub address: Address,
    /// Further addresses.
    pub aliases: Vec<Address>,
    /// The name for people.
    pub display_name: String,
    /// False refuses every sign-in and every delivery.
    pub enabled: bool,
    /// How large the mailbox may grow.
    pub quota: Quota,
    /// Grants of Send As: these accounts may send from this account's addresses.
    pub send_as: Vec<AccountId>,
    /// Grants of Full Access.
    pub full_access: Vec<AccountId>,
    /// Whether mail submitted over SMTP is also put into Sent Items. Off by default, because most
    /// IMAP clients file their own copy.
    pub smtp_sent_copy: bool,
    /// Holds: while any is set nothing can be purged.
    pub litigation_hold: bool,
    /// What the administrator role is, if any.
    pub role: Role,
    /// When it was made.
    pub created: Timestamp,
    /// How often its password was changed. A session that was begun with another password than
    /// today's has another number, and ends.
    pub credentials: u64,
    /// What happens to its mail, beside being kept.
    pub flow: crate::MailFlow,
    /// What is known of it beside; filters of dynamic groups ask for it.
    pub attributes: crate::Attributes,
}

/// What an account may administer. Finer roles come with the admin issue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
pub enum Role {
    /// Nothing but the own mailbox.
    #[default]
    None,
    /// Everything (Exchange's Organization Management).
    OrganizationManagement,
}

impl Account {
    /// All addresses, the primary first.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.aliases)
    }
}

/// The three levels of a mailbox quota, in bytes; `None` is unlimited
/// (Exchange: IssueWarningQuota, ProhibitSendQuota, ProhibitSendReceiveQuota).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quota {
    /// From here on the owner is warned.
    pub warn_bytes: Option<u64>,
    /// From here on nothing can be sent.
    pub no_send_bytes: Option<u64>,
    /// From here on nothing can be sent or received.
    pub no_receive_bytes: Option<u64>,
}

impl Default for Quota {
    /// 49 / 49.5 / 50 GB.
    fn default() -> Self {
        const GB: u64 = 1 << 30;
        Self {
            warn_bytes: Some(49 * GB),
            no_send_bytes: Some(49 * GB + GB / 2),
            no_receive_bytes: Some(50 * GB),
        }
    }
}

/// A password; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is needed to make an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewAccount {
    /// The primary address, in an accepted domain.
    pub address: Address,
    /// The name for people; the local part where empty.
    pub display_name: String,
    /// No password: nobody signs in.
    pub password: Option<Secret>,
    /// What kind.
    pub kind: AccountKind,
    /// Quota; the default where `None`.
    pub quota: Option<Quota>,
    /// Administrator role.
    pub role: Role,
}

/// What to change of an account; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccountChange {
    /// A new display name.
    pub display_name: Option<String>,
    /// A new password; ends the validity of cached ones everywhere.
    pub password: Option<Secret>,
    /// Enable or disable.
    pub enabled: Option<bool>,
    /// New quota levels.
    pub quota: Option<Quota>,
    /// Aliases to add.
    pub add_aliases: Vec<Address>,
    /// Aliases to remove.
    pub remove_aliases: Vec<Address>,
    /// All grants of Send As.
    pub send_as: Option<Vec<AccountId>>,
    /// All grants of Full Access.
    pub full_access: Option<Vec<AccountId>>,
    /// Whether SMTP submission files a sent copy.
    pub smtp_sent_copy: Option<bool>,
    /// Litigation hold on or off.
    pub litigation_hold: Option<bool>,
    /// The role.
    pub role: Option<Role>,
    /// What happens to its mail.
    pub flow: crate::FlowChange,
    /// Attributes to set; an empty value is none.
    pub attributes: Vec<(crate::Attribute, String)>,
}

/// How long the mailbox of a removed account is kept, in milliseconds (Exchange: 30 days).
pub const REMOVED_KEEP_MS: i64 = 30 * 24 * 3600 * 1000;

/// An account that is gone, and whose mailbox is still there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemovedAccount {
    /// Never used again.
    pub id: AccountId,
    /// Its primary address at the end; somebody else may have it by now.
    pub address: Address,
    /// When it was removed.
    pub removed: Timestamp,
}

impl RemovedAccount {
    /// From when on its mailbox may be purged.
    pub fn purge_from(&self) -> Timestamp {
        self.removed.plus_ms(REMOVED_KEEP_MS)
    }
}

/// How unknown addresses of a domain are treated (Exchange: AcceptedDomain DomainType).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
pub enum DomainKind {
    /// All recipients are here; others are refused.
    #[default]
    Authoritative,
    /// Recipients here first, others go on to a connector.
    InternalRelay,
    /// Nobody is here; everything goes on to a connector.
    ExternalRelay,
}

/// An accepted domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Domain {
    /// Lower-case.
    pub name: String,
    /// How unknown addresses are treated.
    pub kind: DomainKind,
    /// Whether a login without a domain means this one.
    pub default: bool,
}

/// A distribution group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Never reused.
    pub id: GroupId,
    /// Its address.
    pub address: Address,
    /// The name for people.
    pub display_name: String,
    /// Member addresses: accounts, groups, or people elsewhere.
    pub members: Vec<Address>,
    /// Whether only signed-in senders may write to it (Exchange's default).
    pub authenticated_only: bool,
    /// Who else may not write to it, and how much.
    pub restrictions: crate::Restrictions,
    /// By what its members are found, where they are not listed.
    pub dynamic: Option<Dynamic>,
}

/// By what the members of a dynamic group are found: all mailboxes and contacts that are meant and
/// enabled (Exchange: DynamicDistributionGroup).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Dynamic {
    /// A [`crate::Filter`], as it was written.
    pub filter: String,
    /// Only those whose primary address is in this domain; lower-case.
    pub domain: Option<String>,
}

/// What is needed to make a dynamic group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewDynamicGroup {
    /// Its address, in an accepted domain.
    pub address: Address,
    /// The name for people.
    pub display_name: String,
    /// Whether only signed-in senders may write to it.
    pub authenticated_only: bool,
    /// By what its members are found.
    pub dynamic: Dynamic,
}

/// What is needed to make a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewGroup {
    /// Its address, in an accepted domain.
    pub address: Address,
    /// The name for people.
    pub display_name: String,
    /// Members.
    pub members: Vec<Address>,
    /// Whether only signed-in senders may write to it.
    pub authenticated_only: bool,
}

/// What to change of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GroupChange {
    /// Members to add.
    pub add: Vec<Address>,
    /// Members to remove.
    pub remove: Vec<Address>,
    /// A new display name.
    pub display_name: Option<String>,
    /// Whether only signed-in senders may write to it.
    pub authenticated_only: Option<bool>,
    /// Who else may write to it, and how much.
    pub restrictions: crate::RestrictionsChange,
    /// Of a dynamic group: by what its members are found from now on.
    pub dynamic: Option<Dynamic>,
}

/// A piece of a group's expansion.
#[derive(Clone, Debug, Default)]
pub struct Expansion {
    /// Members, groups already expanded.
    pub members: Vec<Address>,
    /// Where the next piece begins; `None` at the end.
    pub next: Option<u64>,
}

/// Somebody trying to sign in.
#[derive(Clone, Debug)]
pub struct LoginAttempt {
    /// As typed.
    pub login: String,
    /// As typed.
    pub password: Secret,
    /// Where from.
    pub source: IpAddr,
    /// By which protocol, for logs: `imap`, `smtp` …
    pub protocol: &'static str,
}

/// Who changes the directory, for the audit record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Actor {
    /// The operator on the machine (the local socket).
    Operator,
    /// A signed-in administrator.
    Account(AccountId),
    /// Rialto itself: first start, sweepers.
    System,
}

/// One change, as it was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, as a verb: `account.create`.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// The parameters, secrets left out.
    pub parameters: String,
}
