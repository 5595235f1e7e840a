//! Submit: the owner sends a message. One transaction writes the queue entry and, if wanted, the
//! copy in Sent Items.

use crate::message::{self, Arrival};
use crate::unit::Unit;
use base::{Error, Kind, Result};
use contract_directory::RECIPIENTS_LEVEL;
use contract_mailbox::{Flags, Outgoing, SpecialUse, SystemFlags, WriteReply};
use contract_store::BodyError;
use contract_transport::rows as queue_rows;
use contract_transport::tracking::{self, Event, Origin, Tracked};

pub(super) async fn run(unit: &mut Unit<'_>, outgoing: &Outgoing) -> Result<WriteReply, BodyError> {
    let submission = &outgoing.submission;
    let limit = unit.quota.no_send_bytes.unwrap_or(u64::MAX);
    if unit.summary().size_bytes >= limit {
        let text = "The mailbox is too full to send; remove something first";
        return Err(Error::new(Kind::OverQuota, text).into());
    }
    let slot = unit.queue_slot(submission.queue);
    let accepted = unit.now;
    queue_rows::write(unit.tx, unit.blobs, slot, submission, accepted).await?;
    let place = (accepted, unit.node());
    let begun = Tracked::begun(place, (Event::Submit, Origin::StoreDriver), submission);
    tracking::record(unit.tx, &begun)?;
    // Older nodes do not know the event.
    if unit.feature_level() >= RECIPIENTS_LEVEL {
        Tracked::scanned(place, submission)
            .try_for_each(|said| tracking::record(unit.tx, &said))?;
    }
    if outgoing.sent_copy {
        let arrival = Arrival {
            folder: SpecialUse::Sent.folder_id(),
            content: submission.content.clone(),
            staged: &submission.staged,
            parsed: (*submission.parsed).clone(),
            flags: Flags::system(SystemFlags::SEEN),
            received: accepted,
        };
        message::check_room(unit, submission.content.size_bytes())?;
        message::add(unit, arrival).await?;
    }
    Ok(WriteReply::Submitted(submission.queue))
}
