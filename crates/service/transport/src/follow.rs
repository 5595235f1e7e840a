//! From an address to who gets its mail: through aliases, contacts and forwarding, to its end.
//!
//! A mailbox on the way may keep a copy. Whoever is met again gets nothing twice: where somebody on
//! the way has a copy, coming back is harmless; where nobody has one, the mail goes round, and its
//! sender is told (Exchange does both alike).

use crate::guard::{Guard, Refusal};
use base::{AccountId, Address, Result};
use contract_directory::{Account, Directory, Group, Resolved, Restrictions};
use contract_transport::tracking::Event;
use std::sync::Arc;

/// How many entries of the directory one address may lead through.
const STEPS_MAX: usize = 20;

/// A step on the way, for those who look what happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// [`Event::Resolve`] or [`Event::Redirect`].
    pub(crate) event: Event,
    pub(crate) from: Address,
    pub(crate) to: Address,
}

/// Where an address leads.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The mailboxes on the way that keep a copy, in order.
    pub(crate) copies: Vec<Arc<Account>>,
    pub(crate) end: End,
    pub(crate) steps: Vec<Step>,
}

/// What stands at the end.
#[derive(Debug)]
pub(crate) enum End {
    Mailbox(Arc<Account>),
    Group(Arc<Group>),
    /// An address that is not ours.
    Outside(Address),
    /// An address of ours that nobody has.
    Nobody(Address),
    /// Somebody who was met before; whoever was met on the way has the message.
    Again,
    /// The same, and nobody has it.
    Round(Address),
    /// Whoever has the address does not take the message.
    Refused(Address, Refusal),
}

impl Followed {
    /// The account in whose mailbox a message for the address has arrived.
    pub(crate) fn holder(&self) -> Option<AccountId> {
        let end = match &self.end {
            End::Mailbox(account) => Some(account),
            _ => None,
        };
        self.copies.first().or(end).map(|account| account.id)
    }
}

/// Follows an address to its end. It costs a lookup for each entry on the way. With a guard, it ends
/// at whoever does not take the message.
///
/// # Errors
/// Temporary ones of the directory.
pub(crate) async fn follow(
    directory: &dyn Directory,
    guard: Option<&Guard<'_>>,
    address: &Address,
) -> Result<Followed> {
    let (mut copies, mut steps) = (Vec::new(), Vec::new());
    let (mut met, mut at) = (Vec::new(), address.clone());
    let end = loop {
        let found = match directory.resolve(&at).await? {
            Resolved::Account(account) | Resolved::Contact(account) => account,
            Resolved::Group(group) => {
                let Group { restrictions, authenticated_only, .. } = &*group;
                break match refusal(guard, restrictions, *authenticated_only).await? {
                    Some(refusal) => End::Refused(at, refusal),
                    None => End::Group(group),
                };
            }
            Resolved::Elsewhere => break End::Outside(at),
            Resolved::Unknown => break End::Nobody(at),
        };
        // A contact that is known by its external address may have aliases: they lead back to it.
        let is_itself = |external: &Address| external.folded() == at.folded();
        let is_end = found.flow.external.as_ref().is_some_and(is_itself);
        if met.contains(&found.id) && !is_end {
            break if copies.is_empty() { End::Round(at) } else { End::Again };
        }
        if met.len() == STEPS_MAX {
            break End::Round(at);
        }
        met.push(found.id);
        let flow = &found.flow;
        if let Some(refusal) = refusal(guard, &flow.restrictions, flow.authenticated_only).await? {
            break End::Refused(at, refusal);
        }
        let mut step = |event, from: &Address, to: &Address| {
            steps.push(Step { event, from: from.clone(), to: to.clone() });
        };
        if is_end {
            break End::Outside(at);
        }
        if let Some(external) = &found.flow.external {
            step(Event::Resolve, &at, external);
            at = external.clone();
            continue;
        }
        if found.address.folded() != at.folded() {
            step(Event::Resolve, &at, &found.address);
        }
        let Some(forwarding) = found.flow.forwarding.clone() else { break End::Mailbox(found) };
        step(Event::Redirect, &found.address, &forwarding.to);
        if forwarding.keep_copy {
            copies.push(found);
        }
        at = forwarding.to;
    };
    Ok(Followed { copies, end, steps })
}

/// Why whoever has these restrictions does not get the message. Where that can never be told, nobody
/// else is to suffer: those on the way have their copies.
pub(crate) async fn refusal(
    guard: Option<&Guard<'_>>,
    restrictions: &Restrictions,
    authenticated_only: bool,
) -> Result<Option<Refusal>> {
    let Some(guard) = guard else { return Ok(None) };
    match guard.refuses(restrictions, authenticated_only).await {
        Err(error) if !error.is_temporary() => {
            Ok(Some(Refusal { status: "5.4.6", text: error.text.to_string() }))
        }
        judged => judged,
    }
}
