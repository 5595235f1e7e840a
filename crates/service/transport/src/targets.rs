//! From recipients to mailboxes: resolving and expanding, a piece at a time.

use crate::context::Context;
use crate::state::{Cursor, PIECE};
use base::{AccountId, Address, Error, Result};
use contract_directory::Resolved;
use contract_transport::QueueEntry;
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
    pub(crate) status: &'static str,
    /// For people.
    pub(crate) text: String,
}

/// What one address came to.
pub(crate) enum Found {
    Mailbox(Target),
    Nobody(Failure),
}

/// A piece of a message's recipients.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) targets: Vec<Target>,
    pub(crate) failures: Vec<Failure>,
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
    let mut seen = HashSet::new();
    while let Some(recipient) = entry.envelope.recipients.get(cursor.recipient) {
        let room = PIECE.saturating_sub(piece.targets.len() + piece.failures.len());
        if room == 0 {
            piece.next = Some(cursor);
            return Ok(piece);
        }
        let next = match look_up(context, &recipient.address, cursor, room).await {
            Ok((found, next)) => {
                found.into_iter().for_each(|found| piece.take(found, &mut seen));
                next
            }
            Err(error) if !error.is_temporary() => {
                piece.failures.push(unresolvable(&recipient.address, cursor.recipient, &error));
                None
            }
            Err(error) if piece.targets.is_empty() && piece.failures.is_empty() => {
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
    address: &Address,
    cursor: Cursor,
    room: usize,
) -> Result<(Vec<Found>, Option<u64>)> {
    let resolved = context.directory.resolve(address).await?;
    let Resolved::Group(group) = &resolved else {
        return Ok((vec![single(resolved, address, cursor.recipient)], None));
    };
    let members = context.directory.expand(group.id, cursor.member, room).await?;
    let mut found = Vec::new();
    for some in members.members.chunks(LOOKUPS_AT_ONCE) {
        let lookups: Vec<_> =
            some.iter().map(|member| resolve(context, member, cursor.recipient)).collect();
        found.extend(futures::future::try_join_all(lookups).await?);
    }
    Ok((found, members.next))
}

/// The failure of an address that the directory will never resolve.
pub(crate) fn unresolvable(address: &Address, recipient: usize, error: &Error) -> Failure {
    let (address, text) = (address.clone(), error.text.to_string());
    Failure { address, recipient, status: "5.4.6", text }
}

/// Resolves one address, which is no group any more.
///
/// # Errors
/// Temporary ones of the directory.
pub(crate) async fn resolve(
    context: &Context,
    address: &Address,
    recipient: usize,
) -> Result<Found> {
    Ok(single(context.directory.resolve(address).await?, address, recipient))
}

impl Piece {
    fn take(&mut self, found: Found, seen: &mut HashSet<AccountId>) {
        match found {
            Found::Mailbox(target) if !seen.insert(target.account) => {}
            Found::Mailbox(target) => self.targets.push(target),
            Found::Nobody(failure) => self.failures.push(failure),
        }
    }
}

fn single(resolved: Resolved, address: &Address, recipient: usize) -> Found {
    let (status, text) = match resolved {
        Resolved::Account(account) => {
            let (account, address) = (account.id, account.address.clone());
            return Found::Mailbox(Target { account, address, recipient, attempts: 0 });
        }
        // A group that was a plain address when its recipient was accepted; the sender may try
        // again.
        Resolved::Group(_) => ("5.1.0", "The address has become a group meanwhile"),
        Resolved::Unknown => ("5.1.1", "There is no mailbox of that address here"),
        Resolved::Elsewhere => ("5.4.4", "There is no route to that domain"),
    };
    Found::Nobody(Failure { address: address.clone(), recipient, status, text: text.to_owned() })
}
