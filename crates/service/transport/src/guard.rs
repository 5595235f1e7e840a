//! Who may write to whom, and how much: the delivery restrictions of mailboxes, contacts and groups,
//! and what a sender may do at all.
//!
//! A sender is whoever has signed in, never whom a header names. Of those who have not, contacts and
//! members of groups elsewhere are known, by the sender of the envelope; nobody becomes one of ours by
//! using an address. Reports of our own are for whoever is to read them.

use crate::context::Context;
use crate::signing;
use base::{AccountId, Address, Kind, Result};
use contract_directory::{Account, GroupId, Party, Resolved, Restrictions};
use contract_transport::QueueEntry;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long is known who is in a group that restrictions name: no longer than rules know it.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How many groups are known at once.
const GROUPS_MAX: usize = 128;

/// How many members one question to the directory tells.
const PAGE: usize = 100_000;

/// How many members of a group are looked up at once.
const LOOKUPS_AT_ONCE: usize = 32;

/// Why somebody does not get a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// Enhanced status code (RFC 3463), as Exchange has it.
    pub(crate) status: &'static str,
    /// For people.
    pub(crate) text: String,
}

impl Refusal {
    fn new(status: &'static str, text: impl Into<String>) -> Option<Self> {
        Some(Self { status, text: text.into() })
    }
}

/// What a message meets on its way to people.
pub(crate) struct Guard<'a> {
    context: &'a Context,
    entry: &'a QueueEntry,
    sender: OnceCell<Sender>,
}

/// Who sends, as far as we know.
enum Sender {
    /// Who has signed in, or a contact that is known by its address elsewhere.
    Known(Arc<Account>),
    /// Whoever has this address, which is not ours.
    Stranger(Address),
    /// Somebody without an address, or with one of ours that they have not shown to be theirs.
    Nobody,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(context: &'a Context, entry: &'a QueueEntry) -> Self {
        Self { context, entry, sender: OnceCell::new() }
    }

    /// Why nobody gets the message: its sender may not send so much, or to so many. That is for what
    /// the sender has handed in, not for what became of it. It costs a lookup, of those who have
    /// signed in.
    ///
    /// # Errors
    /// Temporary ones of the directory.
    pub(crate) async fn refuses_all(&self) -> Result<Option<Refusal>> {
        if self.entry.envelope.authenticated.is_none() {
            return Ok(None);
        }
        let Sender::Known(sender) = self.sender().await? else { return Ok(None) };
        let (size, count) = (self.entry.content.size_bytes(), self.entry.envelope.recipients.len());
        if let Some(limit) = sender.flow.send_bytes_max.filter(|limit| size > *limit) {
            let text = format!("The message is too large: its sender may send {limit} bytes");
            return Ok(Refusal::new("5.2.3", text));
        }
        let is_over = |limit: &u32| count > usize::try_from(*limit).unwrap_or(usize::MAX);
        Ok(sender.flow.recipients_max.filter(is_over).and_then(|limit| {
            let text = format!("Too many recipients: the sender may write to {limit} at once");
            Refusal::new("5.5.3", text)
        }))
    }

    /// Why whoever has these restrictions does not get the message. Lists cost a lookup of the
    /// sender, those of contacts where that is a stranger, and the expansion of groups in them.
    ///
    /// # Errors
    /// Temporary ones of the directory; [`Kind::Limit`] for a group that cannot be expanded.
    pub(crate) async fn refuses(
        &self,
        restrictions: &Restrictions,
        authenticated_only: bool,
    ) -> Result<Option<Refusal>> {
        let Restrictions { accept_from, reject_from, receive_bytes_max } = restrictions;
        let envelope = &self.entry.envelope;
        if envelope.sender.is_none() && envelope.source.ip.is_none() {
            return Ok(None);
        }
        let size = self.entry.content.size_bytes();
        if let Some(limit) = receive_bytes_max.filter(|limit| size > *limit) {
            let text = format!("The message is too large: this recipient takes {limit} bytes");
            return Ok(Refusal::new("5.2.3", text));
        }
        if authenticated_only && !signing::is_ours(self.entry) {
            let text = "Only authenticated senders may write to this recipient";
            return Ok(Refusal::new("5.7.1", text));
        }
        let is_open = accept_from.is_empty();
        if (is_open || self.is_one_of(accept_from).await?) && !self.is_one_of(reject_from).await? {
            return Ok(None);
        }
        Ok(Refusal::new("5.7.1", "The sender may not write to this recipient"))
    }

    /// Whether the sender is one of these, or a member of one of the groups.
    async fn is_one_of(&self, list: &[Party]) -> Result<bool> {
        if list.is_empty() {
            return Ok(false);
        }
        let sender = self.sender().await?;
        for party in list {
            let is_meant = match (party, sender) {
                (_, Sender::Nobody) => return Ok(false),
                (Party::Account(id), Sender::Known(sender)) => *id == sender.id,
                (Party::Account(id), Sender::Stranger(address)) => {
                    self.stands_for(*id, address).await?
                }
                (Party::Group(group), Sender::Known(sender)) => {
                    self.members(*group, false).await?.has(sender)
                }
                (Party::Group(group), Sender::Stranger(address)) => {
                    self.members(*group, true).await?.0.contains(&address.folded())
                }
            };
            if is_meant {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an account is a contact that stands for an address.
    async fn stands_for(&self, id: AccountId, address: &Address) -> Result<bool> {
        match self.context.directory.account(id).await {
            Ok(account) => {
                let external = account.flow.external.as_ref();
                Ok(external.is_some_and(|external| external.folded() == address.folded()))
            }
            Err(error) if error.kind == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn members(&self, group: GroupId, with_contacts: bool) -> Result<Arc<Group>> {
        self.context.members.of(self.context, group, with_contacts).await
    }

    /// Who sends.
    async fn sender(&self) -> Result<&Sender> {
        self.sender.get_or_try_init(|| look_up(self.context, self.entry)).await
    }
}

async fn look_up(context: &Context, entry: &QueueEntry) -> Result<Sender> {
    let directory = &context.directory;
    if let Some(id) = entry.envelope.authenticated {
        return match directory.account(id).await {
            Ok(account) => Ok(Sender::Known(account)),
            Err(error) if error.kind == Kind::NotFound => Ok(Sender::Nobody),
            Err(error) => Err(error),
        };
    }
    let Some(sender) = &entry.envelope.sender else { return Ok(Sender::Nobody) };
    Ok(match directory.resolve(sender).await? {
        Resolved::Contact(contact) => {
            let is_theirs = |own: &Address| own.folded() == sender.folded();
            match contact.flow.external.as_ref().is_some_and(is_theirs) {
                true => Sender::Known(contact),
                false => Sender::Nobody,
            }
        }
        Resolved::Elsewhere => Sender::Stranger(sender.clone()),
        Resolved::Account(_) | Resolved::Group(_) | Resolved::Unknown => Sender::Nobody,
    })
}

/// Who is in the groups that restrictions name. A group is expanded once and known for a while.
#[derive(Default)]
pub(crate) struct Members {
    groups: Mutex<HashMap<Asked, (Duration, Arc<Group>)>>,
    /// Held while a group is expanded, so that all who ask meanwhile wait for one expansion.
    expanding: Mutex<HashMap<Asked, Arc<tokio::sync::Mutex<()>>>>,
}

/// A group, and whether with what contacts in it stand for: only strangers have that looked up.
type Asked = (GroupId, bool);

/// The members of a group, nested groups expanded, folded.
#[derive(Default)]
struct Group(HashSet<String>);

impl Group {
    fn has(&self, account: &Account) -> bool {
        let all = account.addresses().chain(&account.flow.external);
        all.into_iter().any(|address| self.0.contains(&address.folded()))
    }

    /// Adds what contacts among some members stand for. It costs a lookup for each member of a
    /// domain of ours; a contact of another domain has no other address.
    async fn add_contacts(&mut self, context: &Context, members: &[Address]) -> Result<()> {
        let domains = context.directory.domains().await?;
        let names: HashSet<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
        let is_ours = |one: &&Address| names.contains(one.domain.as_str());
        let ours: Vec<&Address> = members.iter().filter(is_ours).collect();
        for some in ours.chunks(LOOKUPS_AT_ONCE) {
            let lookups = some.iter().map(|member| context.directory.resolve(member));
            for found in futures::future::try_join_all(lookups).await? {
                if let Resolved::Contact(contact) = found {
                    self.0.extend(contact.flow.external.iter().map(Address::folded));
                }
            }
        }
        Ok(())
    }
}

impl Members {
    fn known(&self, asked: Asked, now: Duration) -> Option<Arc<Group>> {
        let groups = self.groups.lock();
        let (at, members) = groups.get(&asked)?;
        (now.saturating_sub(*at) < KNOWN_FOR).then(|| members.clone())
    }

    /// What is held while a group is expanded.
    fn expanding(&self, asked: Asked) -> Arc<tokio::sync::Mutex<()>> {
        let mut expanding = self.expanding.lock();
        if expanding.len() >= GROUPS_MAX {
            expanding.retain(|_, one| Arc::strong_count(one) > 1);
        }
        expanding.entry(asked).or_default().clone()
    }

    /// Who is in a group; nobody where there is no such group any more.
    async fn of(
        &self,
        context: &Context,
        group: GroupId,
        with_contacts: bool,
    ) -> Result<Arc<Group>> {
        let asked = (group, with_contacts);
        if let Some(members) = self.known(asked, context.env.clock.monotonic()) {
            return Ok(members);
        }
        let expanding = self.expanding(asked);
        let _alone = expanding.lock().await;
        let now = context.env.clock.monotonic();
        if let Some(members) = self.known(asked, now) {
            return Ok(members);
        }
        let mut members = Group::default();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let page = match context.directory.expand(group, from, PAGE).await {
                Ok(page) => page,
                Err(error) if error.kind == Kind::NotFound => break,
                Err(error) => return Err(error),
            };
            members.0.extend(page.members.iter().map(Address::folded));
            if with_contacts {
                members.add_contacts(context, &page.members).await?;
            }
            cursor = page.next;
        }
        let members = Arc::new(members);
        let mut groups = self.groups.lock();
        if groups.len() >= GROUPS_MAX {
            groups.retain(|_, (at, _)| now.saturating_sub(*at) < KNOWN_FOR);
        }
        if groups.len() < GROUPS_MAX {
            groups.insert(asked, (now, members.clone()));
        }
        Ok(members)
    }
}
