//! COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315 §3).

mod away;

use super::{failed, no_such, unexpected, write_into};
use crate::others;
use crate::reply::{self, Answer, Reply, ReplyCode, Stop};
use crate::selection::Selection;
use crate::session::Session;
use crate::sync::{self, Ask};
use base::Uid;
use codec_imap::command::Copy;
use codec_imap::{Code, IdRange};
use contract_mailbox::request::Copied;
use contract_mailbox::{Write, WriteReply};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Copy,
    Move,
}

/// COPY, MOVE and the same with UIDs.
pub(crate) async fn run(session: &mut Session, command: Copy, how: How) -> Answer {
    let (_, selected) = match how {
        How::Copy => session.state.selected()?,
        How::Move => session.state.writable()?,
    };
    let selection = Selection::resolve(&command.set, command.uid, &selected.view)?;
    let missing = || Stop::from(reply::of_target_error(&no_such(&command.mailbox)));
    let own = session.state.user()?;
    let located = others::locate(&session.shared, own, command.mailbox.as_str()).await?;
    let located = located.ok_or_else(missing)?;
    let to = located.find().ok_or_else(missing)?.id;
    if selection.is_empty() {
        return Ok(Reply::ok("There was nothing to copy"));
    }
    let into = located.place.mailbox.mailbox();
    if into != session.state.here()?.mailbox.mailbox() {
        let target = away::Target { visitor: located.place.visitor(), folder: to };
        return away::run(session, &selection, target, how, command.uid).await;
    }
    drop(located);
    let (user, selected) = session.state.selected()?;
    let (from, uids) = (selected.folder, selection.uids(&selected.view));
    let (name, request) = match how {
        How::Copy => ("COPY", Write::Copy { from, uids, to }),
        How::Move => ("MOVE", Write::Move { from, uids, to }),
    };
    let copied = match write_into(user, name, to, request).await? {
        Some(WriteReply::Copied(copied)) => copied,
        None => {
            sync::catch_up(user, selected, Ask::Always)
                .await
                .map_err(|error| failed(name, error))?;
            return Ok(Reply::ok("Done"));
        }
        Some(_) => return unexpected(name),
    };
    if copied.pairs.is_empty() {
        return gone(command.uid);
    }
    let code = copy_uid(&copied);
    // Who goes by modification sequences is to know that of the move.
    let changed = if how == How::Move && user.enabled.condstore { from } else { to };
    sync::catch_up_own(user, selected, changed).await;
    if how == How::Copy {
        return Ok(Reply::ok("Copied").code(code));
    }
    for (source, _) in &copied.pairs {
        selected.view.vanish(*source);
    }
    session.wire.condition(None, &Reply::ok("Moved").code(code));
    Ok(Reply::ok("Done").code(ReplyCode::UpToDate))
}

/// All messages were expunged by others meanwhile (RFC 2180 §4.4.1).
fn gone(uid: bool) -> Result<Reply, Stop> {
    if uid {
        return Ok(Reply::ok("There was nothing to copy"));
    }
    Err(Reply::no(Code::ExpungeIssued, "The messages were expunged by somebody else").into())
}

fn copy_uid(copied: &Copied) -> ReplyCode {
    let source = in_ranges(copied.pairs.iter().map(|(source, _)| *source));
    let target = in_ranges(copied.pairs.iter().map(|(_, target)| *target));
    ReplyCode::CopyUid { uid_validity: copied.uid_validity, source, target }
}

/// The UIDs in their order, neighbours joined.
pub(crate) fn in_ranges(uids: impl Iterator<Item = Uid>) -> Vec<IdRange> {
    let mut ranges: Vec<IdRange> = Vec::new();
    for Uid(uid) in uids {
        match ranges.last_mut() {
            Some(range) if range.last.checked_add(1) == Some(uid) => range.last = uid,
            _ => ranges.push(IdRange { first: uid, last: uid }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_both_sets_correspond() {
        let uids = [3, 4, 5, 9, 8].map(Uid);
        let ranges: Vec<_> =
            in_ranges(uids.into_iter()).iter().map(|r| (r.first, r.last)).collect();
        assert_eq!(ranges, [(3, 5), (9, 9), (8, 8)]);
    }
}
