//! What happens to mail for somebody and from somebody, beside being kept in a mailbox.

use crate::GroupId;
use base::{AccountId, Address};
use serde::{Deserialize, Serialize};

/// The feature level of the cluster from which on every node knows of contacts and of what happens
/// to mail; before that nothing of it may be written.
pub const RECIPIENTS_LEVEL: u32 = 3;

/// What happens to an account's mail. The default: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MailFlow {
    /// Of a contact: the address elsewhere that its mail goes to (Exchange: ExternalEmailAddress).
    pub external: Option<Address>,
    /// Of a mailbox: where its mail goes on to.
    pub forwarding: Option<Forwarding>,
    /// Whether only people of ours may write to it (Exchange: RequireSenderAuthenticationEnabled).
    pub authenticated_only: bool,
    /// Who else may not, and how much.
    pub restrictions: Restrictions,
    /// Of a mailbox: the largest message that it may send, in bytes (Exchange: MaxSendSize).
    pub send_bytes_max: Option<u64>,
    /// Of a mailbox: the most recipients of a message that it sends (Exchange: RecipientLimits).
    pub recipients_max: Option<u32>,
}

/// Who may write to somebody or to a group, and how much. The default: everybody, whatever they
/// may send.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Restrictions {
    /// Where it is not empty: only these (Exchange: AcceptMessagesOnlyFromSendersOrMembers).
    pub accept_from: Vec<Party>,
    /// These not, also where they are among the others (Exchange:
    /// RejectMessagesFromSendersOrMembers).
    pub reject_from: Vec<Party>,
    /// The largest message, in bytes (Exchange: MaxReceiveSize).
    pub receive_bytes_max: Option<u64>,
}

/// Somebody, or all members of a group. Whoever gets a removed one's address is not meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Party {
    /// A mailbox's owner or a contact.
    Account(AccountId),
    /// A group's members.
    Group(GroupId),
}

/// What to change of [`Restrictions`]; `None` leaves a thing as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RestrictionsChange {
    /// All who may write to it; everybody where empty.
    pub accept_from: Option<Vec<Party>>,
    /// All who may not.
    pub reject_from: Option<Vec<Party>>,
    /// A limit, or none.
    pub receive_bytes_max: Option<Option<u64>>,
}

impl RestrictionsChange {
    /// Makes the change.
    pub fn apply(&self, restrictions: &mut Restrictions) {
        let Self { accept_from, reject_from, receive_bytes_max } = self.clone();
        set(&mut restrictions.accept_from, accept_from);
        set(&mut restrictions.reject_from, reject_from);
        set(&mut restrictions.receive_bytes_max, receive_bytes_max);
    }
}

fn set<T>(known: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *known = new;
    }
}

/// Where a mailbox's mail goes on to (Exchange: ForwardingAddress, ForwardingSmtpAddress).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forwarding {
    /// Anybody's address: a mailbox, a group, a contact, or somebody elsewhere.
    pub to: Address,
    /// Whether the mailbox gets the message too (Exchange: DeliverToMailboxAndForward).
    pub keep_copy: bool,
}

/// What to change of a [`MailFlow`]; `None` leaves a thing as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FlowChange {
    /// Of a contact: another address elsewhere.
    pub external: Option<Address>,
    /// Of a mailbox: forward, or forward no more.
    pub forwarding: Option<Option<Forwarding>>,
    /// Whether only people of ours may write to it.
    pub authenticated_only: Option<bool>,
    /// Who else may, and how much.
    pub restrictions: RestrictionsChange,
    /// Of a mailbox: how much it may send, or no limit.
    pub send_bytes_max: Option<Option<u64>>,
    /// Of a mailbox: to how many at once, or no limit.
    pub recipients_max: Option<Option<u32>>,
}

impl FlowChange {
    /// Makes the change.
    pub fn apply(&self, flow: &mut MailFlow) {
        let Self { external, forwarding, authenticated_only, .. } = self.clone();
        flow.external = external.or(flow.external.take());
        set(&mut flow.forwarding, forwarding);
        set(&mut flow.authenticated_only, authenticated_only);
        self.restrictions.apply(&mut flow.restrictions);
        set(&mut flow.send_bytes_max, self.send_bytes_max);
        set(&mut flow.recipients_max, self.recipients_max);
    }
}

/// What is needed to make a contact: somebody elsewhere who is in the directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewContact {
    /// Its address: one in an accepted domain, or the external one itself.
    pub address: Address,
    /// The name for people; the local part where empty.
    pub display_name: String,
    /// Where its mail goes.
    pub external: Address,
}
