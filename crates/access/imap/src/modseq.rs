//! Modification sequences and resynchronising (RFC 7162): who is told of them, and what.
//!
//! A modification sequence is the mailbox's own change number. A client that has used one, or has
//! enabled CONDSTORE, is told of them from then on; one that has enabled QRESYNC is told by UID, not
//! by number, what is gone. What has gone since a moment the mailbox knows from its tombstones; where
//! they are too old to be there, everything counts as gone that is not there now, which is more than
//! the client asked for and never wrong (RFC 7162 §3.2.5).

use crate::command::failed;
use crate::reply::{Reply, ReplyCode, Stop};
use crate::session::Session;
use crate::state::{Enabled, Selected, User};
use crate::sync::{Manner, put_row_flags};
use crate::view::View;
use crate::wire::Wire;
use base::{Change, Error, Uid};
use codec_imap::command::Resync;
use codec_imap::response::Response;
use codec_imap::{Code, IdRange, IdSet, Status, StatusResponse};
use contract_mailbox::{UidSet, ViewDelta};

/// The least modification sequence there is: an empty mailbox may never have changed.
const LEAST: u64 = 1;

/// A change number as it is told.
pub(crate) fn shown(change: Change) -> u64 {
    change.0.max(LEAST)
}

/// Tells the client modification sequences from now on; if a mailbox is open, up to which one it
/// knows everything (RFC 7162 §3.1).
pub(crate) async fn enable(session: &mut Session, command: &'static str) -> Result<(), Stop> {
    session.state.enable(|enabled| enabled.condstore = true)?;
    let Ok((user, selected)) = session.state.selected() else {
        return Ok(());
    };
    if selected.view.tells_mod_seqs() {
        return Ok(());
    }
    let folder = user.mailbox.view(selected.folder).await;
    selected.view.tell_mod_seqs(&folder.map_err(|error| failed(command, error))?);
    let code = Some(Code::HighestModSeq(shown(selected.view.told_to())));
    let text = "Changes are told";
    StatusResponse { tag: None, status: Status::Ok, code, text }.encode(session.wire.out());
    Ok(())
}

/// The tagged condition with the modification sequence up to which everything was told: where it is
/// to have one, and where a client that goes by what it has heard would pass over what it was not
/// told yet. A condition that has another code, or is not OK, cannot name it: then an untagged one
/// does before it.
pub(crate) fn stamp(
    wire: &mut Wire,
    reply: &Reply,
    enabled: Enabled,
    view: &View,
) -> Option<Reply> {
    let asks = reply.code == Some(ReplyCode::UpToDate);
    let owes = enabled.condstore && view.owes();
    let code = Code::HighestModSeq(shown(view.told_to()));
    if asks || owes && reply.code.is_none() && reply.status == Status::Ok {
        let code = enabled.condstore.then_some(ReplyCode::Plain(code));
        return Some(Reply { code, ..reply.clone() });
    }
    if owes {
        wire.condition(None, &Reply::ok("Not all is told yet").code(ReplyCode::Plain(code)));
    }
    None
}

/// `VANISHED` with these UIDs, if there are any.
pub(crate) fn put_vanished(wire: &mut Wire, earlier: bool, uids: &[IdRange]) {
    if !uids.is_empty() {
        wire.put(&Response::Vanished { earlier, uids });
    }
}

/// Tells which of some UIDs have gone since a moment, before anything else of them is told
/// (RFC 7162 §3.2.6). What the client still counts is left out: it is told of when it may be.
///
/// # Errors
/// As [`contract_mailbox::Mailboxes::read`].
pub(crate) async fn tell_gone(
    user: &User,
    selected: &Selected,
    wire: &mut Wire,
    since: u64,
    among: impl FnOnce(u32) -> UidSet,
) -> Result<(), Error> {
    let delta = user.mailbox.delta(selected.folder, Change(since)).await?;
    let among = among(delta.info.uid_next.0.saturating_sub(1));
    put_vanished(wire, true, &ranges(&gone(&delta, &selected.view, &among)));
    Ok(())
}

fn gone(delta: &ViewDelta, view: &View, among: &UidSet) -> UidSet {
    if !delta.complete {
        return view.lacks(among);
    }
    let gone = delta.vanished.iter().copied().filter(|uid| among.contains(*uid));
    view.lacks(&gone.collect())
}

/// Brings a client that has just opened a mailbox up to date (RFC 7162 §3.2.5): what has gone, and the
/// flags of what has come or was changed. Nothing where the UIDs are not those that it knows. `visit`
/// is the user where the mailbox is somebody else's.
///
/// # Errors
/// As [`contract_mailbox::Mailboxes::read`]; the connection's.
pub(crate) async fn resync(
    session: &mut Session,
    visit: Option<&User>,
    selected: &Selected,
    resync: &Resync,
) -> Result<(), Stop> {
    if resync.uid_validity != selected.uid_validity {
        return Ok(());
    }
    let view = &selected.view;
    // A client that knows of more than there is cannot be trusted to know anything.
    let since = if resync.mod_seq > shown(view.since()) { 0 } else { resync.mod_seq };
    let delta = {
        let user = match visit {
            Some(visitor) => visitor,
            None => session.state.user()?,
        };
        let delta = user.mailbox.delta(selected.folder, Change(since)).await;
        delta.map_err(|error| failed("SELECT", error))?
    };
    let last = delta.info.uid_next.0.saturating_sub(1);
    let known = match &resync.known_uids {
        Some(known) => within(known, last),
        None => up_to(last),
    };
    let delta = ViewDelta { complete: delta.complete && since > 0, ..delta };
    let kept = match &resync.seq_match {
        Some((numbers, uids)) if !delta.complete => still_there(view, numbers, uids),
        _ => 0,
    };
    let doubtful = known.ranges().iter().filter(|range| range.1 > kept);
    let doubtful = doubtful.map(|(first, last)| ((*first).max(kept + 1), *last));
    let gone = gone(&delta, view, &UidSet::from_ranges(doubtful));
    put_vanished(&mut session.wire, true, &ranges(&gone));
    let manner = Manner { expunges: true, uids: !session.wire.uid_only };
    for row in 0..view.len() {
        let changed = view.mod_seq(row).is_some_and(|mod_seq| mod_seq > since);
        if changed && view.uid(row).is_some_and(|uid| known.contains(uid)) {
            put_row_flags(&mut session.wire, view, row, manner);
            session.wire.relieve().await?;
        }
    }
    Ok(())
}

/// Up to which UID nothing has gone: as long as a message has the number that it had, none before it
/// was removed (RFC 7162 §3.2.5.2).
fn still_there(view: &View, numbers: &IdSet, uids: &IdSet) -> u32 {
    let pairs = numbers.within(1, view.len() as u32).zip(uids.within(1, u32::MAX));
    let same = |(number, uid): &(u32, u32)| view.uid(*number as usize - 1) == Some(Uid(*uid));
    pairs.take_while(same).last().map_or(0, |(_, uid)| uid)
}

/// A set of a client's, without what is behind the last UID there ever was.
pub(crate) fn within(ids: &IdSet, last: u32) -> UidSet {
    let ranges = ids.ranges().iter().filter(|range| range.first <= last);
    UidSet::from_ranges(ranges.map(|range| (range.first, range.last.min(last))))
}

fn up_to(last: u32) -> UidSet {
    UidSet::from_ranges((last > 0).then_some((1, last)))
}

/// UIDs as they are printed.
pub(crate) fn ranges(uids: &UidSet) -> Vec<IdRange> {
    uids.ranges().iter().map(|(first, last)| IdRange { first: *first, last: *last }).collect()
}
