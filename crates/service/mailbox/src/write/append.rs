//! Append: puts messages into a folder, all or none.

use super::folder::check_takes_mail;
use crate::authorise;
use crate::message::{self, Arrival};
use crate::unit::Unit;
use base::{FolderId, Result};
use contract_mailbox::{NewMessage, WriteReply};
use contract_store::BodyError;

/// The most messages of one command; each brings at most a small blob of its own into the
/// transaction.
const MESSAGES_MAX: usize = 20;

/// From so many bytes of rows on no further message is taken into the transaction, which may have
/// 10 MB: a message brings 256 KiB of body and 5 MB of structure at most.
const BYTES_MAX: usize = 4_000_000;

pub(super) async fn run(
    unit: &mut Unit<'_>,
    folder: FolderId,
    messages: &[NewMessage],
) -> Result<WriteReply, BodyError> {
    if messages.len() > MESSAGES_MAX {
        let text = format!("At most {MESSAGES_MAX} messages can be appended at once");
        return Err(base::Error::new(base::Kind::Limit, text).into());
    }
    check_takes_mail(unit, folder)?;
    let bytes: u64 = messages.iter().map(|message| message.content.size_bytes()).sum();
    message::check_room(unit, bytes)?;
    let rights = unit.rights(folder)?;
    let mut uids = Vec::with_capacity(messages.len());
    for new in messages {
        if unit.tx.approximate_size() > BYTES_MAX {
            let text = "The messages are too large to be appended at once";
            return Err(base::Error::new(base::Kind::Limit, text).into());
        }
        let arrival = Arrival {
            folder,
            content: new.content.clone(),
            staged: &new.staged,
            parsed: (*new.parsed).clone(),
            flags: unit.flags(&authorise::settable(&new.flags, rights))?,
            received: new.received.unwrap_or(unit.now),
        };
        uids.push(message::add(unit, arrival).await?.uid);
    }
    let uid_validity = unit.folder(folder)?.info.uid_validity;
    Ok(WriteReply::Appended { uid_validity, uids })
}
