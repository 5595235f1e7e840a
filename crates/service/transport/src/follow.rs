//! From an address to who gets its mail: through aliases, contacts and forwarding, to its end.
//!
//! A mailbox on the way may keep a copy. Whoever is met again gets nothing twice: where somebody on
//! the way has a copy, coming back is harmless; where nobody has one, the mail goes round, and its
//! sender is told (Exchange does both alike).

use crate::guard::{Guard, Refusal};
use base::{AccountId, Address, Result};
use contract_directory::{Account, Directory, Group, Resolved};
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
/// Temporary ones of the directory; those of [`Guard::refuses`].
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
                let refusal = match guard {
                    Some(guard) => {
                        guard.refuses(&group.restrictions, group.authenticated_only).await?
                    }
                    None => None,
                };
                break match refusal {
                    Some(refusal) => End::Refused(at, refusal),
                    None => End::Group(group),
                };
            }
            Resolved::Elsewhere => break End::Outside(at),
            Resolved::Unknown => break End::Nobody(at),
        };
        if met.contains(&found.id) {
            break if copies.is_empty() { End::Round(at) } else { End::Again };
        }
        if met.len() == STEPS_MAX {
            break End::Round(at);
        }
        met.push(found.id);
        if let Some(guard) = guard {
            let flow = &found.flow;
            let refusal = guard.refuses(&flow.restrictions, flow.authenticated_only).await?;
            if let Some(refusal) = refusal {
                break End::Refused(at, refusal);
            }
        }
        let mut step = |event, from: &Address, to: &Address| {
            steps.push(Step { event, from: from.clone(), to: to.clone() });
        };
        if let Some(external) = &found.flow.external {
            if external.folded() == at.folded() {
                break End::Outside(at);
            }
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
