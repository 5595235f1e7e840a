//! The directory contract: people, groups, domains, passwords.
//!
//! Answers come from a cache that follows one feed of changes; every *negative* answer (unknown
//! recipient, wrong password, no such domain) is confirmed from the store before it is given, so
//! a change made on another node a moment ago is never denied. Every change is one transaction
//! with its audit record.

pub mod attributes;
pub mod audit;
pub mod filter;
pub mod flow;
pub mod model;
pub mod suite;

pub use attributes::*;
pub use filter::Filter;
pub use flow::*;
pub use model::*;

use async_trait::async_trait;
use base::{AccountId, Address, Result};
use std::sync::Arc;
use tokio::sync::watch;

/// How long audit records are kept, in milliseconds (Exchange's admin audit log: 90 days).
pub const AUDIT_KEEP_MS: i64 = 90 * 24 * 3600 * 1000;

/// Looking people up and letting them in.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// What an address means here. Sub-addresses (`user+detail`) resolve to their user,
    /// `postmaster` in any domain whose recipients are here to the oldest enabled administrator
    /// where nobody has the address (RFC 5321 §4.5.1). A disabled account is nobody's. A contact
    /// may have the address of another domain, in which nothing else is ours.
    ///
    /// # Errors
    /// Temporary ones only; an unknown address is [`Resolved::Unknown`].
    async fn resolve(&self, address: &Address) -> Result<Resolved>;

    /// An account by id.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn account(&self, id: AccountId) -> Result<Arc<Account>>;

    /// Wake-ups for whoever depends on an account while nothing else happens, such as a session in
    /// IDLE: its owner may be disabled or get a new password. Once woken,
    /// [`Directory::account`] tells of the change. A wake-up may be needless, and one for a change
    /// on another node comes as late as the feed is read; nothing is asked of the store for it.
    fn watch(&self, account: AccountId) -> watch::Receiver<()>;

    /// Checks a login name (the primary address, an alias, or the bare name within the default
    /// domain) and a password. Never costs a hash for a password that was verified a short
    /// time ago; takes as long for an unknown name as for a wrong password; limits guessing per
    /// account and per source without locking the owner out.
    ///
    /// # Errors
    /// [`base::Kind::BadCredentials`] (also for a disabled account), [`base::Kind::Limit`] while
    /// throttled, temporary ones.
    async fn authenticate(&self, attempt: &LoginAttempt) -> Result<Arc<Account>>;

    /// Whether mail from this address may be sent by this account: its own addresses, and those
    /// it has Send As on.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn may_send_as(&self, account: &Account, from: &Address) -> Result<bool>;

    /// The accounts that have given somebody Full Access, in order of their ids, at most `limit`.
    /// Read from the store. Nobody, where that is not kept.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn full_access_of(&self, _account: AccountId, _limit: usize) -> Result<Vec<AccountId>> {
        Ok(Vec::new())
    }

    /// The accepted domains.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn domains(&self) -> Result<Vec<Arc<Domain>>>;

    /// All members of a group, nested groups expanded, each address once; loops are harmless.
    /// At most `limit` from `cursor` on (0 at first, then [`Expansion::next`]), so that a large
    /// group is expanded in pieces. A cursor is good on every node and for ever: members who
    /// join or leave between two pieces shift nobody else. Those whom a dynamic group finds come
    /// behind the others; who is listed as well comes again there. A piece of them may have fewer
    /// members than there is room for, or none, and not be the last: no piece costs more than
    /// looking at some thousands of people.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`]; [`base::Kind::Limit`] where groups are nested too deep or too
    /// many, never a silently shortened list.
    async fn expand(&self, group: GroupId, cursor: u64, limit: usize) -> Result<Expansion> {
        self.expand_admitted(group, cursor, limit, &Everybody).await
    }

    /// As [`Directory::expand`], without the members of nested groups that are not to be gone into.
    ///
    /// # Errors
    /// As [`Directory::expand`], and those of `admission`.
    async fn expand_admitted(
        &self,
        group: GroupId,
        cursor: u64,
        limit: usize,
        admission: &dyn Admission,
    ) -> Result<Expansion>;
}

/// Who decides which groups within a group are gone into while that is expanded.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Whether the members of a nested group are among those of the group that it is in. Asked for
    /// each nested group once in a piece; its list of members is not filled in.
    ///
    /// # Errors
    /// Whatever is to end the expansion.
    async fn admits(&self, group: &Group) -> Result<bool>;
}

/// All groups are gone into.
struct Everybody;

#[async_trait]
impl Admission for Everybody {
    async fn admits(&self, _: &Group) -> Result<bool> {
        Ok(true)
    }
}

/// Changing the directory. Every call writes its audit record in the same transaction and is
/// visible to every node through the feed.
#[async_trait]
pub trait DirectoryAdmin: Send + Sync + 'static {
    /// Makes a mailbox account.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`] for a taken address, [`base::Kind::NotFound`] for a domain
    /// that is not accepted, [`base::Kind::Invalid`].
    async fn create_account(&self, actor: &Actor, new: NewAccount) -> Result<Arc<Account>>;

    /// Makes many accounts; all or none in chunks, each chunk one transaction with one audit
    /// record. For provisioning: a password may be a ready-made argon2id hash in PHC string form
    /// (`$argon2id$…`), and a password that several accounts of the call share is hashed once,
    /// with one salt for them all until each first signs in. Tells how many were made.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::create_account`].
    async fn create_accounts(&self, actor: &Actor, new: Vec<NewAccount>) -> Result<u64>;

    /// Changes an account; `change` names only what is to be changed.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::AlreadyExists`] for a taken alias,
    /// [`base::Kind::Limit`] for more of something than can be kept.
    async fn update_account(
        &self,
        actor: &Actor,
        id: AccountId,
        change: AccountChange,
    ) -> Result<Arc<Account>>;

    /// Removes an account's entry: its addresses are free, it has left all groups, nobody signs
    /// in. Its mailbox is kept for [`REMOVED_KEEP_MS`] and then purged, see
    /// [`DirectoryAdmin::removed_accounts`]. Its id is never used again.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`]; [`base::Kind::Conflict`] while it is on litigation hold, for a
    /// mailbox without an account is purged in the end.
    async fn remove_account(&self, actor: &Actor, id: AccountId) -> Result<()>;

    /// Accounts that were removed and whose mailboxes have not been purged, in order of id, from
    /// just after `after`.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn removed_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<RemovedAccount>>;

    /// Forgets a removed account, once its mailbox has been purged. What is not there is forgotten
    /// already.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn forget_removed(&self, actor: &Actor, id: AccountId) -> Result<()>;

    /// Makes a contact. It is changed and removed as an account is; nothing of it remains then.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::create_account`]; [`base::Kind::Invalid`] where it would stand for an
    /// address of its own in a domain of ours.
    async fn create_contact(&self, actor: &Actor, new: NewContact) -> Result<Arc<Account>>;

    /// Contacts in order of primary address, as [`DirectoryAdmin::list_accounts`].
    ///
    /// # Errors
    /// Temporary ones only.
    async fn list_contacts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Account>>>;

    /// Mailbox accounts in order of primary address (by domain, then by local part, folded), from
    /// just after `after`.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn list_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Account>>>;

    /// Adds an accepted domain. Where it is the default one, it takes that from the one before.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`], [`base::Kind::Invalid`].
    async fn create_domain(&self, actor: &Actor, new: Domain) -> Result<Arc<Domain>>;

    /// Removes an accepted domain that no address uses.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Conflict`] while it is in use.
    async fn remove_domain(&self, actor: &Actor, name: &str) -> Result<()>;

    /// Makes a group.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::create_account`].
    async fn create_group(&self, actor: &Actor, new: NewGroup) -> Result<Arc<Group>>;

    /// Makes a group whose members are found by a filter whenever they are wanted.
    ///
    /// # Errors
    /// As [`DirectoryAdmin::create_account`]; [`base::Kind::Invalid`] for a filter that cannot be
    /// understood, with where.
    async fn create_dynamic_group(&self, actor: &Actor, new: NewDynamicGroup)
    -> Result<Arc<Group>>;

    /// Adds and removes members, or changes by what they are found.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`]; [`base::Kind::Invalid`] for members of a dynamic group, or a filter
    /// for another.
    async fn update_group(
        &self,
        actor: &Actor,
        id: GroupId,
        change: GroupChange,
    ) -> Result<Arc<Group>>;

    /// Removes a group, and its address from the groups that list it.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn remove_group(&self, actor: &Actor, id: GroupId) -> Result<()>;

    /// A group by id, as the store has it now.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn group(&self, id: GroupId) -> Result<Arc<Group>>;

    /// Groups in order of address (by domain, then by local part, folded), from just after
    /// `after`.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn list_groups(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Group>>>;

    /// Writes an audit record of an administrative change that was made elsewhere, in the cluster
    /// say: `action` is a verb (`node.drain`), neither text holds a secret.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn record(
        &self,
        actor: &Actor,
        action: &'static str,
        target: &str,
        parameters: &str,
    ) -> Result<()>;

    /// The newest audit records, newest first. Older ones than [`AUDIT_KEEP_MS`] may be gone.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn audit(&self, limit: usize) -> Result<Vec<AuditRecord>>;
}
