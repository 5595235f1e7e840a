//! SELECT (RFC 3501 §6.3.1), and opening for EXAMINE; with CONDSTORE and QRESYNC (RFC 7162 §3.1.8,
//! §3.2.5).

use super::{failed, list, no_such};
use crate::modseq;
use crate::others::{self, Located};
use crate::reply::{self, Answer, Reply, ReplyCode};
use crate::session::Session;
use crate::state::{Enabled, Selected};
use crate::sync::put_flags;
use crate::view::View;
use base::{Kind, Uid};
use codec_imap::command::Select;
use codec_imap::response::Response;
use codec_imap::{Code, Status, StatusResponse};
use contract_mailbox::{Permission, UidSet};

/// SELECT.
pub(crate) async fn run(session: &mut Session, command: &Select) -> Answer {
    open(session, command, false).await
}

/// Opens a mailbox; what was open is closed in any case (RFC 3501 §6.3.1).
pub(crate) async fn open(session: &mut Session, command: &Select, read_only: bool) -> Answer {
    let enabled = session.state.user()?.enabled;
    if command.resync.is_some() && !enabled.qresync {
        return Err(Reply::bad("Enable QRESYNC first").into());
    }
    if session.state.deselect() {
        condition(session, Some(Code::Closed), "Closed the mailbox that was open");
    }
    if command.condstore {
        session.state.enable(|enabled| enabled.condstore = true)?;
    }
    let (user, name) = (session.state.user()?, &command.mailbox);
    let located = others::find(&session.shared, user, name).await?;
    let folder = match located.find() {
        Some(info) => info.id,
        None => return Err(no_such(name).into()),
    };
    let rights = located.rights(folder).await?;
    let user = &*located.place;
    // First the claim: what comes behind it is recent for whoever tells of it first.
    const CHANGES: u32 = Permission::EDIT_ANY | Permission::DELETE_ANY;
    let (mut read_only, mut recent_from) = (read_only || rights & CHANGES == 0, None);
    if !read_only && user.visiting.is_none() {
        match user.mailbox.claim_recent(folder).await {
            Ok(first) => recent_from = Some(first),
            Err(error) if error.kind == Kind::Denied => read_only = true,
            // Reading goes on where nothing can be written now. What may have been told to nobody
            // yet counts as recent (RFC 3501 §2.3.2), as for EXAMINE.
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Overloaded) => {
                reply::log("SELECT", &error);
            }
            Err(error) => return Err(failed("SELECT", error)),
        }
    }
    let followed = *user.wake.borrow();
    let view = user.mailbox.view(folder).await.map_err(|error| failed("SELECT", error))?;
    let (info, last) = (&view.info, Uid(view.info.uid_next.0.saturating_sub(1)));
    let recent = match recent_from {
        Some(first) => (first.0, info.recent_from.0.saturating_sub(1)),
        None => (info.recent_from.0, last.0),
    };
    let tells_recent = recent.0 <= recent.1 && !enabled.rev2;
    let recent = UidSet::from_ranges(tells_recent.then_some(recent));
    let selected = Selected {
        folder,
        read_only,
        rights,
        uid_validity: info.uid_validity,
        view: View::open(&view, recent, user.enabled.condstore),
        followed,
    };
    let uid_next = info.uid_next.0;
    drop(view);
    let Located { place, name, tree } = located;
    let visit = place.visitor();
    if enabled.rev2 {
        list::put_opened(session, &tree, name, visit.as_deref());
    }
    describe(session, &selected, enabled, uid_next);
    if let Some(known) = &command.resync {
        modseq::resync(session, visit.as_deref(), &selected, known).await?;
    }
    session.state.select(selected, visit);
    let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
    Ok(Reply::ok("Opened").code(ReplyCode::Plain(code)))
}

fn describe(session: &mut Session, selected: &Selected, enabled: Enabled, uid_next: u32) {
    let view = &selected.view;
    put_flags(&mut session.wire, selected);
    session.wire.put(&Response::Exists(view.len() as u32));
    // IMAP4rev2 has neither of them (RFC 9051 §6.3.2), and numbers mean nothing to some.
    if !enabled.rev2 {
        session.wire.put(&Response::Recent(view.recent_count()));
    }
    if let (false, Some(row)) = (enabled.rev2 || enabled.uid_only, view.first_unseen()) {
        condition(session, Some(Code::Unseen(row as u32 + 1)), "First unseen message");
    }
    condition(session, Some(Code::UidValidity(selected.uid_validity)), "UIDs are valid");
    condition(session, Some(Code::UidNext(uid_next)), "The next UID");
    let newest = modseq::shown(selected.view.since());
    condition(session, Some(Code::HighestModSeq(newest)), "The newest change");
}

fn condition(session: &mut Session, code: Option<Code<'static>>, text: &str) {
    StatusResponse { tag: None, status: Status::Ok, code, text }.encode(session.wire.out());
}
