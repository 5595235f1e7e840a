//! STATUS (RFC 3501 §6.3.10), from the folder's own row; also for LIST (RFC 5819).

use super::{failed, no_such};
use crate::modseq;
use crate::others;
use crate::reply::{Answer, Reply, Stop};
use crate::session::Session;
use crate::state::User;
use codec_imap::Code;
use codec_imap::command::{StatusCommand, StatusItem};
use codec_imap::response::Response;
use contract_mailbox::{FolderInfo, Permission, Search, SystemFlags, UidSet};

/// STATUS.
pub(crate) async fn run(session: &mut Session, command: &StatusCommand) -> Answer {
    enable_for(session, &command.items).await?;
    let user = session.state.user()?;
    let located = others::find(&session.shared, user, &command.mailbox).await?;
    let Some(info) = located.find() else {
        return Err(no_such(&command.mailbox).into());
    };
    // To see a mailbox is not to read it (RFC 4314 §4).
    if located.rights(info.id).await? & Permission::READ_ANY == 0 {
        return Err(Reply::no(Code::NoPerm, "You may not read that mailbox").into());
    }
    let limit = session.shared.config.message_bytes_max;
    let values = values(&located.place, limit, info, &command.items).await?;
    session.wire.put(&Response::Status(command.mailbox.as_str(), &values));
    Ok(Reply::ok("Done"))
}

/// Who asks for HIGHESTMODSEQ is told modification sequences from now on (RFC 7162 §3.1.7).
pub(super) async fn enable_for(session: &mut Session, items: &[StatusItem]) -> Result<(), Stop> {
    match items.contains(&StatusItem::HighestModSeq) {
        true => modseq::enable(session, "STATUS").await,
        false => Ok(()),
    }
}

/// The values of some items, in their order; of messages up to `limit_bytes` APPEND takes any.
pub(super) async fn values(
    user: &User,
    limit_bytes: u64,
    info: &FolderInfo,
    items: &[StatusItem],
) -> Result<Vec<(StatusItem, u64)>, Stop> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let value = match item {
            StatusItem::Messages => info.counts.messages,
            StatusItem::Unseen => info.counts.unseen,
            StatusItem::Deleted => info.counts.deleted,
            StatusItem::Size => info.counts.size_bytes,
            StatusItem::HighestModSeq => modseq::shown(info.highest_change),
            StatusItem::AppendLimit => limit_bytes,
            StatusItem::UidNext => u64::from(info.uid_next.0),
            StatusItem::UidValidity => u64::from(info.uid_validity),
            StatusItem::Recent => recent(user, info).await?,
            StatusItem::DeletedStorage => deleted_bytes(user, info).await?,
        };
        values.push((*item, value));
    }
    Ok(values)
}

/// Messages that no session has been told of as \Recent: those from the watermark on that are
/// still there.
async fn recent(user: &User, info: &FolderInfo) -> Result<u64, Stop> {
    let (first, last) = (info.recent_from.0, info.uid_next.0.saturating_sub(1));
    if first > last {
        return Ok(0);
    }
    let unclaimed = Search::Uids(UidSet::from_ranges([(first, last)]));
    let found = user.mailbox.search(info.id, unclaimed).await;
    Ok(found.map_err(|error| failed("STATUS", error))?.len() as u64)
}

/// Bytes of the messages that EXPUNGE would remove (RFC 9208 §4.1.4). The folder counts them; how
/// large they are stands in its index, which is read only where there are any.
async fn deleted_bytes(user: &User, info: &FolderInfo) -> Result<u64, Stop> {
    if info.counts.deleted == 0 {
        return Ok(0);
    }
    let view = user.mailbox.view(info.id).await.map_err(|error| failed("STATUS", error))?;
    let deleted = |flags: SystemFlags| flags.contains(SystemFlags::DELETED);
    let entries = view.entries().filter(|entry| deleted(entry.flags.system));
    Ok(entries.map(|entry| entry.size_bytes).sum())
}
