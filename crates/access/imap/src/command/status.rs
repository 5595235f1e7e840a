//! STATUS (RFC 3501 §6.3.10), from the folder's own row; also for LIST (RFC 5819).

use super::{failed, no_such, tree};
use crate::modseq;
use crate::reply::{Answer, Reply, Stop};
use crate::session::Session;
use crate::state::User;
use codec_imap::command::{StatusCommand, StatusItem};
use codec_imap::response::Response;
use contract_mailbox::{FolderInfo, Search, UidSet};

/// STATUS.
pub(crate) async fn run(session: &mut Session, command: &StatusCommand) -> Answer {
    enable_for(session, &command.items).await?;
    let user = session.state.user()?;
    let tree = tree(user).await?;
    let Some(info) = tree.find(command.mailbox.as_str()) else {
        return Err(no_such(&command.mailbox).into());
    };
    let limit = session.shared.config.message_bytes_max;
    let values = values(user, limit, info, &command.items).await?;
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
