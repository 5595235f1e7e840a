//! Of which deliveries the sender hears: those of recipients for whom it has asked (RFC 3461 §4.1).

use crate::context::Context;
use crate::follow::follow;
use crate::state::Cursor;
use crate::targets::{Expanded, Target};
use base::Address;
use codec_mime::report::Action;
use contract_transport::QueueEntry;

/// A recipient that has the message, to be reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Success {
    /// As the envelope has it.
    pub(crate) address: Address,
    /// Its place there.
    pub(crate) recipient: usize,
    /// Delivered, or expanded into the members of a group.
    pub(crate) action: Action,
}

/// Whether the sender wants to hear that a recipient of the envelope has the message.
pub(crate) fn is_wanted(entry: &QueueEntry, recipient: usize) -> bool {
    entry.envelope.recipients.get(recipient).is_some_and(|one| one.notify.success)
}

/// What is told of a delivery: that the recipient's mailbox, or the one that its mail is forwarded
/// to, has the message. Nothing of members of groups: of the group it was told that the message went
/// there (RFC 3461 §5.2.7). Nor of a mailbox that got it beside the recipient's own.
pub(crate) async fn of(context: &Context, entry: &QueueEntry, target: &Target) -> Option<Success> {
    let Target { account, recipient, .. } = *target;
    if !is_wanted(entry, recipient) {
        return None;
    }
    let address = entry.envelope.recipients.get(recipient)?.address.clone();
    match follow(&*context.directory, None, &address).await {
        Ok(followed) if followed.holder() == Some(account) => {
            Some(Success { address, recipient, action: Action::Delivered })
        }
        Ok(_) => None,
        // It is delivered; that must not be undone for want of a report.
        Err(error) => {
            tracing::warn!(queue = %entry.queue, %error, "a delivery goes without its report");
            None
        }
    }
}

/// What is told of the groups that a piece of the recipients has, which began at `cursor`: once of
/// each, with its first members.
pub(crate) fn of_groups(entry: &QueueEntry, cursor: Cursor, expanded: &[Expanded]) -> Vec<Success> {
    let recipients = entry.envelope.recipients.iter().enumerate().skip(cursor.recipient);
    let wanted = recipients.filter(|(place, one)| {
        let begins_here = *place > cursor.recipient || cursor.member == 0;
        let is_of_it = |group: &Expanded| group.recipient == *place && group.is_instead;
        one.notify.success && begins_here && expanded.iter().any(is_of_it)
    });
    let told = wanted.map(|(recipient, one)| Success {
        address: one.address.clone(),
        recipient,
        action: Action::Expanded,
    });
    told.collect()
}
