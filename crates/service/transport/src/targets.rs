//! From recipients to mailboxes and next hops: resolving, expanding and routing, a piece at a time.

use crate::context::Context;
use crate::relay::hand_over::Remote;
use crate::routing::{self, Choice};
use crate::state::{Cursor, PIECE};
use base::{AccountId, Address, Error, Result};
use contract_directory::Resolved;
use contract_transport::QueueEntry;
use contract_transport::connector::Route;
use contract_transport::courier::Answer;
use contract_transport::relay::Hop;
use std::borrow::Cow;
use std::collections::HashSet;

/// How many members of a group are looked up at once.
const LOOKUPS_AT_ONCE: usize = 32;

/// A mailbox that is to get the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) account: AccountId,
    /// The account's primary address, so that a mailbox reached in two ways gets one copy.
    pub(crate) address: Address,
    /// Through which recipient of the envelope.
    pub(crate) recipient: usize,
    /// Attempts before this one.
    pub(crate) attempts: u32,
}

/// A recipient that will never get the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) address: Address,
    pub(crate) recipient: usize,
    /// Enhanced status code (RFC 3463).
    pub(crate) status: Cow<'static, str>,
    /// For people.
    pub(crate) text: String,
    /// What another server said, where it was one.
    pub(crate) remote: Option<Answer>,
}

impl Failure {
    /// One of our own making.
    pub(crate) fn new(
        address: Address,
        recipient: usize,
        status: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self { address, recipient, status: status.into(), text: text.into(), remote: None }
    }

    /// A transport rule has refused the message.
    pub(crate) fn refused(address: Address, recipient: usize, status: &str, text: &str) -> Self {
        let (status, text) = (status.to_owned().into(), text.to_owned());
        Self { address, recipient, status, text, remote: None }
    }

    /// An administrator has removed the message.
    pub(crate) fn removed(address: Address, recipient: usize) -> Self {
        let text = "An administrator removed the message from the queue";
        Self::new(address, recipient, "5.3.0", text)
    }

    /// What a courier has brought back.
    pub(crate) fn of(address: Address, recipient: usize, answer: &Answer) -> Self {
        let status = match answer.status.starts_with("5.") {
            true => answer.status.clone().into(),
            false => "5.0.0".into(),
        };
        let text = answer.text.clone();
        Self { address, recipient, status, text, remote: Some(answer.clone()) }
    }

    /// No connector was there for too long; `answer` says so.
    pub(crate) fn unroutable(address: Address, recipient: usize, answer: &Answer) -> Self {
        let text = format!("A way was looked for until the message expired: {}", answer.text);
        Self::new(address, recipient, "5.4.4", text)
    }

    /// It has been tried for too long; `answer` is what came of it last.
    pub(crate) fn expired(address: Address, recipient: usize, answer: &Answer) -> Self {
        let text = format!("Delivery was tried until the message expired: {}", answer.text);
        let remote = Some(answer.clone());
        Self { address, recipient, status: "4.4.7".into(), text, remote }
    }
}

/// A group, and members of it that it became.
pub(crate) type Expanded = (Address, Vec<Address>);

/// What one address came to.
pub(crate) enum Found {
    Mailbox(Target),
    Remote(Remote),
    Nobody(Failure),
}

/// A piece of a message's recipients.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) targets: Vec<Target>,
    pub(crate) remotes: Vec<Remote>,
    pub(crate) failures: Vec<Failure>,
    /// What groups became, for those who look what happened.
    pub(crate) expanded: Vec<Expanded>,
    /// Where the next piece begins; `None` at the end.
    pub(crate) next: Option<Cursor>,
}

/// Resolves the next recipients of a message, at most [`PIECE`]. What can never be resolved is a
/// failure; before what cannot be resolved now the piece ends, unless it would be empty.
///
/// # Errors
/// Temporary ones of the directory.
pub(crate) async fn next_piece(
    context: &Context,
    entry: &QueueEntry,
    mut cursor: Cursor,
) -> Result<Piece> {
    let mut piece = Piece::default();
    let mut seen = Seen::default();
    while let Some(recipient) = entry.envelope.recipients.get(cursor.recipient) {
        // Groups may have the same members again and again.
        let expanded: usize = piece.expanded.iter().map(|(_, members)| members.len()).sum();
        let room = PIECE.saturating_sub(piece.len().max(expanded));
        if room == 0 {
            piece.next = Some(cursor);
            return Ok(piece);
        }
        let next = match look_up(context, entry, &recipient.address, cursor, room).await {
            Ok((found, next)) => {
                if let Resolution::Members(members) = &found {
                    let members = members.iter().map(|(member, _)| member.clone()).collect();
                    piece.expanded.push((recipient.address.clone(), members));
                }
                found.each(|found| piece.take(found, &mut seen));
                next
            }
            Err(error) if !error.is_temporary() => {
                piece.failures.push(unresolvable(&recipient.address, cursor.recipient, &error));
                None
            }
            Err(error) if piece.len() == 0 => {
                return Err(error);
            }
            Err(_) => {
                piece.next = Some(cursor);
                return Ok(piece);
            }
        };
        cursor = match next {
            Some(member) => Cursor { member, ..cursor },
            None => Cursor { recipient: cursor.recipient + 1, member: 0 },
        };
    }
    Ok(piece)
}

/// What one recipient of the envelope comes to, at most `room` members of a group and where the
/// next ones begin.
async fn look_up(
    context: &Context,
    entry: &QueueEntry,
    address: &Address,
    cursor: Cursor,
    room: usize,
) -> Result<(Resolution, Option<u64>)> {
    let resolved = context.directory.resolve(address).await?;
    let Resolved::Group(group) = &resolved else {
        let found = single(context, entry, resolved, address, cursor.recipient).await?;
        return Ok((Resolution::One(found), None));
    };
    let members = context.directory.expand(group.id, cursor.member, room).await?;
    let mut found = Vec::new();
    for some in members.members.chunks(LOOKUPS_AT_ONCE) {
        let lookups: Vec<_> =
            some.iter().map(|one| resolve(context, entry, one, cursor.recipient)).collect();
        let looked_up = futures::future::try_join_all(lookups).await?;
        found.extend(some.iter().cloned().zip(looked_up));
    }
    Ok((Resolution::Members(found), members.next))
}

/// What a recipient of the envelope came to.
enum Resolution {
    One(Found),
    /// Each with its address in the group.
    Members(Vec<(Address, Found)>),
}

impl Resolution {
    fn each(self, take: impl FnMut(Found)) {
        match self {
            Self::One(found) => std::iter::once(found).for_each(take),
            Self::Members(members) => members.into_iter().map(|(_, found)| found).for_each(take),
        }
    }
}

/// The failure of an address that the directory will never resolve.
pub(crate) fn unresolvable(address: &Address, recipient: usize, error: &Error) -> Failure {
    Failure::new(address.clone(), recipient, "5.4.6", error.text.to_string())
}

/// Resolves one address, which is no group any more.
///
/// # Errors
/// Temporary ones of the directory.
pub(crate) async fn resolve(
    context: &Context,
    entry: &QueueEntry,
    address: &Address,
    recipient: usize,
) -> Result<Found> {
    let resolved = context.directory.resolve(address).await?;
    single(context, entry, resolved, address, recipient).await
}

/// What a piece has met.
#[derive(Default)]
struct Seen {
    accounts: HashSet<AccountId>,
    /// At other servers; what they make of upper and lower case is theirs.
    addresses: HashSet<Address>,
}

impl Piece {
    fn len(&self) -> usize {
        self.targets.len() + self.remotes.len() + self.failures.len()
    }

    fn take(&mut self, found: Found, seen: &mut Seen) {
        match found {
            Found::Mailbox(target) if !seen.accounts.insert(target.account) => {}
            Found::Mailbox(target) => self.targets.push(target),
            Found::Remote(remote) if !seen.addresses.insert(remote.address.clone()) => {}
            Found::Remote(remote) => self.remotes.push(remote),
            Found::Nobody(failure) => self.failures.push(failure),
        }
    }
}

async fn single(
    context: &Context,
    entry: &QueueEntry,
    resolved: Resolved,
    address: &Address,
    recipient: usize,
) -> Result<Found> {
    let (status, text) = match resolved {
        Resolved::Account(account) => {
            let (account, address) = (account.id, account.address.clone());
            return Ok(Found::Mailbox(Target { account, address, recipient, attempts: 0 }));
        }
        // A group that was a plain address when its recipient was accepted; the sender may try
        // again.
        Resolved::Group(_) => ("5.1.0", "The address has become a group meanwhile"),
        Resolved::Unknown => ("5.1.1", "There is no mailbox of that address here"),
        Resolved::Elsewhere => return route(context, entry, address, recipient).await,
    };
    Ok(Found::Nobody(Failure::new(address.clone(), recipient, status, text)))
}

/// The way to an address that is not ours.
async fn route(
    context: &Context,
    entry: &QueueEntry,
    address: &Address,
    recipient: usize,
) -> Result<Found> {
    let choice = match context.courier {
        Some(_) => context.connectors.choose(&address.domain, entry.content.size_bytes()).await?,
        None => Choice::Nowhere,
    };
    let failure = |status, text: String| {
        Ok(Found::Nobody(Failure::new(address.clone(), recipient, status, text)))
    };
    if context.courier.is_none() || !routing::is_routable(&address.domain) {
        // No connector will ever change that.
        return failure("5.4.4", "There is no route to that domain".to_owned());
    }
    // The last byte of a queue id is random.
    let shard = (entry.queue.0 & 0xff) as u8 % context.config.hop_shards.max(1);
    let hop = match choice {
        Choice::Connector(connector) => {
            let domain = match connector.route {
                Route::MailExchangers => Some(address.domain.clone()),
                Route::SmartHosts(_) => None,
            };
            Hop { connector: connector.name.clone(), domain, shard }
        }
        // Its sender can do something about it at once; waiting does nothing.
        Choice::TooLarge(limit) => {
            return failure("5.3.4", format!("No more than {limit} bytes are sent to that domain"));
        }
        Choice::Nowhere => Hop::unreachable(&address.domain, shard),
    };
    Ok(Found::Remote(Remote { address: address.clone(), recipient, hop, attempts: 0 }))
}
