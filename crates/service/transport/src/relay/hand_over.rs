//! From the submission queue to the queue of a next hop: written by the transaction that takes the
//! recipients out of the one, so a message is in exactly one of them.

use super::record::{Relay, RelayState};
use super::rows;
use crate::context::Context;
use crate::queues::{Relayed, target};
use crate::signing::Signed;
use crate::survey::Survey;
use crate::tracking;
use base::router::Parcel;
use base::{Address, Slot};
use contract_store::{BodyError, Transaction};
use contract_transport::relay::{Hop, RelayCall, new_id};
use contract_transport::tracking::record;
use contract_transport::{Envelope, Notify, QueueEntry, Recipient, rows as entries};
use std::collections::BTreeMap;

/// The most recipients of one transfer (RFC 5321 §4.5.3.1.8 asks every server to take 100).
const RECIPIENTS_MAX: usize = 100;

/// The most bytes of addresses in one row; it stays below the value limit.
const ADDRESS_BYTES_MAX: usize = 60_000;

/// A recipient that another server serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Remote {
    pub(crate) address: Address,
    /// Through which recipient of the envelope.
    pub(crate) recipient: usize,
    pub(crate) hop: Hop,
    /// How it is related to that recipient.
    pub(crate) through: Through,
    /// Attempts to resolve it before this one.
    pub(crate) attempts: u32,
}

/// How an address is related to the recipient of the envelope that led to it (RFC 3461 §5.2.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Through {
    /// It is that recipient.
    Itself,
    /// It stands in its place: through a contact, or forwarded without a copy.
    Alias,
    /// It is forwarded to, and a mailbox has a copy.
    Copy,
    /// It is a member of a group.
    Member,
}

impl Through {
    /// What goes on of what the sender wants to hear. Of a group it is told that the message went
    /// there, of its members nothing; of a mailbox with a copy that it has one.
    fn notify(self, asked: Notify) -> Notify {
        Notify { success: asked.success && matches!(self, Self::Itself | Self::Alias), ..asked }
    }

    /// The address that the sender has written, for whoever reports on another one (RFC 3461
    /// §4.2).
    fn original(self, written: &Recipient) -> Option<String> {
        let Recipient { address, original, .. } = written;
        let is_plain = address.local.is_ascii() && address.domain.is_ascii();
        let is_changed = matches!(self, Self::Alias | Self::Copy);
        original.clone().or_else(|| (is_changed && is_plain).then(|| format!("rfc822;{address}")))
    }
}

/// A message for a next hop, to be written.
pub(crate) struct HandOver {
    slot: Slot,
    relay: Relay,
    /// Its recipients, and through which of the envelope's.
    recipients: Vec<(Address, usize)>,
    /// For people: who has signed it.
    signed: String,
}

/// Makes a message of each next hop's recipients, or several where there are many. `delay_told`
/// says whether the sender has been told of a delay.
pub(crate) fn prepare(
    context: &Context,
    entry: &QueueEntry,
    (survey, signed): (Survey, &Signed),
    remotes: &[Remote],
    delay_told: bool,
) -> Vec<HandOver> {
    let mut hops: BTreeMap<Hop, Vec<(Recipient, usize)>> = BTreeMap::new();
    for Remote { address, recipient, hop, through, .. } in remotes {
        let written = entry.envelope.recipients.get(*recipient);
        let notify = written.map(|recipient| recipient.notify).unwrap_or_default();
        let named = Recipient {
            address: address.clone(),
            notify: through.notify(notify),
            original: written.and_then(|written| through.original(written)),
        };
        let ignores = survey.ignores_policies && !entry.envelope.require_tls;
        let hop = if ignores { hop.clone().without_policies() } else { hop.clone() };
        hops.entry(hop).or_default().push((named, *recipient));
    }
    let mut prepared = Vec::new();
    for (hop, recipients) in hops {
        let slot = hop.slot(&*context.control);
        for recipients in parts(recipients) {
            let queue = new_id(entry.accepted, context.env.random.u128(), slot);
            let places = recipients.iter().map(|(one, place)| (one.address.clone(), *place));
            let places = places.collect();
            let recipients = recipients.into_iter().map(|(one, _)| one).collect();
            let envelope = Envelope { recipients, ..without_recipients(&entry.envelope) };
            let addresses = envelope.recipients.iter().map(|one| &one.address);
            let is_ascii =
                |address: &Address| address.local.is_ascii() && address.domain.is_ascii();
            let is_plain = addresses.chain(&envelope.sender).all(is_ascii);
            let state = RelayState { token: context.token(), delay_told, ..RelayState::default() };
            let relay = Relay {
                hop: hop.clone(),
                origin: entry.queue,
                is_8bit: survey.is_8bit,
                needs_smtputf8: survey.is_header_8bit || !is_plain,
                entry: QueueEntry {
                    queue,
                    envelope,
                    content: entry.content.clone().with_prefix(signed.fields.clone()),
                    accepted: entry.accepted,
                },
                state,
            };
            let signed = signed.by.clone();
            prepared.push(HandOver { slot, relay, recipients: places, signed });
        }
    }
    prepared
}

fn without_recipients(envelope: &Envelope) -> Envelope {
    Envelope {
        sender: envelope.sender.clone(),
        recipients: Vec::new(),
        authenticated: envelope.authenticated,
        envelope_id: envelope.envelope_id.clone(),
        return_headers_only: envelope.return_headers_only,
        require_tls: envelope.require_tls,
        source: envelope.source.clone(),
    }
}

/// Splits recipients so that each part fits one transfer and one row.
fn parts(recipients: Vec<(Recipient, usize)>) -> Vec<Vec<(Recipient, usize)>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for recipient in recipients {
        let (Recipient { address, original, .. }, _) = &recipient;
        let size = address.local.len() + address.domain.len();
        let size = size + original.as_ref().map_or(0, String::len);
        if part.len() >= RECIPIENTS_MAX || (!part.is_empty() && bytes + size > ADDRESS_BYTES_MAX) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(recipient);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

impl HandOver {
    /// Its recipients, and through which of the envelope's.
    pub(crate) fn recipients(&self) -> &[(Address, usize)] {
        &self.recipients
    }

    /// Writes it in the caller's transaction. It conflicts with nobody: all rows are its own.
    ///
    /// # Errors
    /// The store's; those of [`contract_blob::Blobs::hold_stored`].
    pub(crate) async fn write(
        &self,
        tx: &dyn Transaction,
        context: &Context,
    ) -> Result<(), BodyError> {
        let Self { slot, relay, signed, .. } = self;
        let queue = relay.entry.queue;
        let holder = entries::holder(queue);
        for id in relay.entry.content.blobs() {
            context.blobs.hold_stored(tx, id, &holder).await?;
        }
        relay.save(tx, *slot)?;
        tx.set(&rows::news(*slot, queue), &rows::encode_hop(&relay.hop)?);
        record(tx, &tracking::transferred(context, relay, signed))?;
        Ok(())
    }
}

/// Tells the owners of the next hops, once it is committed.
pub(crate) fn tell(context: &Context, written: &[HandOver]) {
    let mut slots: BTreeMap<Slot, Vec<Hop>> = BTreeMap::new();
    for HandOver { slot, relay, .. } in written {
        tracing::info!(
            target: "tracking", event = "TRANSFER", source = "ROUTING",
            queue = %relay.origin, relay = %relay.entry.queue, hop = %relay.hop,
            recipients = relay.entry.envelope.recipients.len(),
        );
        slots.entry(*slot).or_default().push(relay.hop.clone());
    }
    for (slot, hops) in slots {
        let call = Parcel::typed(RelayCall::Hint(hops));
        context.router.hint(target::<Relayed>(slot), call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_recipients_are_several_transfers() {
        let check = |count: usize, local: usize, expect: &[usize]| {
            let one = || (Recipient::plain(Address::new("x".repeat(local), "example.org")), 0);
            let parts = parts((0..count).map(|_| one()).collect());
            assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), expect);
        };
        check(0, 1, &[]);
        check(1, 1, &[1]);
        check(100, 64, &[100]);
        check(101, 64, &[100, 1]);
        check(250, 1, &[100, 100, 50]);
        check(3, 40_000, &[1, 1, 1]);
    }
}
