//! Keeping up with the selected folder: asking what happened, and telling the client.

use crate::flags;
use crate::modseq;
use crate::reply::{self, Ending};
use crate::state::{Enabled, Selected, User};
use crate::view::View;
use crate::wire::Wire;
use base::{Error, FolderId, Kind, Result, Uid};
use codec_imap::response::Response;
use codec_imap::{Code, Flag, Status, StatusResponse};
use contract_mailbox::FolderInfo;

/// Whether to ask although nobody has called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Only if there was a wake-up that has not been followed.
    IfWoken,
    /// In any case: wake-ups may be lost.
    Always,
}

/// What the client may be told, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Whether EXPUNGE may be sent: not within FETCH, STORE and SEARCH (RFC 3501 §7.4.1).
    pub(crate) expunges: bool,
    /// Whether FETCH responses name the UID.
    pub(crate) uids: bool,
}

/// Takes in what happened to the open folder.
///
/// # Errors
/// [`base::Kind::NotFound`] if the folder is no more; temporary ones.
pub(crate) async fn catch_up(user: &User, selected: &mut Selected, ask: Ask) -> Result<()> {
    let woken = *user.wake.borrow();
    if ask == Ask::IfWoken && woken <= selected.followed.max(selected.view.since()) {
        return Ok(());
    }
    let info = refresh(user, selected).await?;
    selected.followed = selected.followed.max(woken);
    match selected.view.arrived() {
        Some((_, last)) if last >= info.recent_from && !user.enabled.rev2 => {
            claim(user, selected, info.recent_from).await
        }
        _ => Ok(()),
    }
}

/// Takes in what happened since the view was last up to date.
async fn refresh(user: &User, selected: &mut Selected) -> Result<FolderInfo> {
    let delta = user.mailbox.delta(selected.folder, selected.view.since()).await?;
    let info = if delta.complete {
        selected.view.apply(&delta);
        delta.info
    } else {
        let folder = user.mailbox.view(selected.folder).await?;
        selected.view.reload(&folder);
        folder.info
    };
    if info.uid_validity != selected.uid_validity {
        return Err(Error::not_found("The mailbox"));
    }
    Ok(info)
}

/// The end of a session whose user may not read the open folder any more: they were given rights
/// there, which were taken away.
pub(crate) fn shut_out() -> Ending {
    Ending::bye(Some(Code::NoPerm), "Your rights in this mailbox were taken away")
}

/// Asks after the session's own change to a folder, if it is the open one: what the session did
/// is told at once, though the wake-up for it may be on its way from another node. A failure is
/// only logged: the change itself is made, and the next command asks again.
pub(crate) async fn catch_up_own(user: &User, selected: &mut Selected, changed: FolderId) {
    if selected.folder == changed
        && let Err(error) = catch_up(user, selected, Ask::Always).await
    {
        reply::log("news", &error);
    }
}

/// Messages that have come are \Recent for the first session that tells of them.
///
/// The claim takes all that have come until then, which may be more than the view has seen: what
/// came in between is taken in too, or it would be \Recent for nobody. Should another session
/// claim at the same moment, a message is \Recent for both, which RFC 3501 §2.3.2 prefers.
///
/// Of the sessions of one node, which hear of a message at the same moment, one claims it: the
/// others need not ask to learn that they have it not.
///
/// Where nothing can be changed now they are told all the same, as those of SELECT are: what may
/// have been told to nobody yet counts as \Recent.
async fn claim(user: &User, selected: &mut Selected, from: Uid) -> Result<()> {
    let Some((_, last)) = selected.view.arrived() else { return Ok(()) };
    let mut claimed = None;
    // In another's mailbox nobody takes away what is the owner's.
    if !selected.read_only && user.visiting.is_none() {
        let Some(claim) = user.claims.begin(user.mailbox.mailbox(), selected.folder, last) else {
            return Ok(());
        };
        match user.mailbox.claim_recent(selected.folder).await {
            Ok(first) => {
                claim.holds();
                claimed = Some(first);
            }
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Overloaded) => {
                reply::log("news", &error);
            }
            Err(error) => return Err(error),
        }
    }
    selected.view.add_recent(claimed.unwrap_or(from), last);
    let Some(first) = claimed else {
        return Ok(());
    };
    let info = refresh(user, selected).await?;
    selected.view.add_recent(first, Uid(info.recent_from.0.saturating_sub(1)));
    Ok(())
}

/// Makes new keywords known, before flags are shown that may have them.
pub(crate) fn announce_keywords(wire: &mut Wire, selected: &mut Selected) {
    if selected.view.take_keywords() {
        put_flags(wire, selected);
    }
}

/// Tells the client what it may be told.
pub(crate) async fn announce(
    wire: &mut Wire,
    selected: &mut Selected,
    enabled: Enabled,
    manner: Manner,
) -> Result<(), Ending> {
    // Who resynchronises by UID is always told them (RFC 7162 §3.2.4).
    let uids = (manner.uids || enabled.qresync) && !enabled.uid_only;
    let manner = Manner { uids, ..manner };
    announce_keywords(wire, selected);
    let view = &mut selected.view;
    let news = view.take_news(manner.expunges);
    if enabled.qresync || enabled.uid_only {
        let gone = news.vanished.iter().copied().collect();
        modseq::put_vanished(wire, false, &modseq::ranges(&gone));
    } else {
        for number in news.expunged {
            wire.put(&Response::Expunge(number));
            wire.relieve().await?;
        }
    }
    if let Some((exists, recent)) = news.exists {
        wire.put(&Response::Exists(exists));
        if !enabled.rev2 {
            wire.put(&Response::Recent(recent));
        }
    }
    for row in news.flags {
        put_row_flags(wire, view, row, manner);
        wire.relieve().await?;
    }
    for row in news.restamped {
        put_row(wire, view, row, manner, false);
        wire.relieve().await?;
    }
    Ok(())
}

/// One FETCH response with a row's flags, and its modification sequence for who wants to know.
pub(crate) fn put_row_flags(wire: &mut Wire, view: &View, row: usize, manner: Manner) {
    put_row(wire, view, row, manner, true);
}

fn put_row(wire: &mut Wire, view: &View, row: usize, manner: Manner, with_flags: bool) {
    let mut fetch = wire.begin_fetch(view, row);
    let out = wire.out();
    if let (true, Some(uid)) = (manner.uids, view.uid(row)) {
        fetch.uid(out, uid.0);
    }
    if with_flags {
        let (flags, recent) = view.flags(row);
        fetch.flags(out, flags::names(flags, recent, view.keywords()));
    }
    if let Some(mod_seq) = view.mod_seq(row) {
        fetch.mod_seq(out, mod_seq);
    }
    fetch.finish(out);
}

/// FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6, §7.1).
pub(crate) fn put_flags(wire: &mut Wire, selected: &Selected) {
    let mut flags = flags::defined(selected.view.keywords());
    wire.put(&Response::Flags(&flags));
    // What may not be changed is not permanent (RFC 4314 §5.2).
    let allow_new = selected.may_flag();
    flags.retain(|flag| match flag {
        Flag::Deleted => selected.may_delete(),
        _ => allow_new,
    });
    let code = Code::PermanentFlags { flags: &flags, allow_new };
    let (status, text) = (Status::Ok, "These flags are kept");
    StatusResponse { tag: None, status, code: Some(code), text }.encode(wire.out());
}
