//! Which of the messages that FETCH names are meant: all, those that have changed (RFC 7162 §3.1.4.1),
//! a part of them (RFC 9394 §3.3).

use super::super::{bring_up_to_date, failed};
use crate::modseq::{self, tell_gone, within};
use crate::reply::{Reply, Stop};
use crate::selection::Selection;
use crate::session::Session;
use crate::view::View;
use codec_imap::SequenceSet;
use codec_imap::command::{Fetch, FetchItem};
use contract_mailbox::UidSet;

/// The messages that are meant.
pub(super) struct Narrowed {
    pub(super) selection: Selection,
    /// Whether the mailbox has just been asked what happened.
    pub(super) up_to_date: bool,
}

/// Resolves the set of a FETCH and its modifiers; with VANISHED what has gone is told at once.
pub(super) async fn selection(session: &mut Session, command: &Fetch) -> Result<Narrowed, Stop> {
    let modifiers = command.modifiers;
    session.state.selected()?;
    if modifiers.vanished && !session.state.user()?.enabled.qresync {
        return Err(Reply::bad("Enable QRESYNC first").into());
    }
    if modifiers.changed_since.is_some() || command.items.contains(&FetchItem::ModSeq) {
        modseq::enable(session, "FETCH").await?;
    }
    let Session { wire, state, .. } = session;
    let (user, selected) = state.selected()?;
    if modifiers.changed_since.is_some() {
        bring_up_to_date(user, selected, "FETCH").await?;
    }
    let mut selection = Selection::resolve(&command.set, command.uid, &selected.view)?;
    if let Some(partial) = modifiers.partial {
        let places = partial.places(selection.len());
        let rows = selection.rows().skip(places.start).take(places.len());
        selection = Selection::of_rows(rows);
    }
    if let Some(since) = modifiers.changed_since {
        if modifiers.vanished {
            let among = |last| uids(&command.set, &selected.view, last);
            let told = tell_gone(user, selected, wire, since, among).await;
            told.map_err(|error| failed("FETCH", error))?;
        }
        let view = &selected.view;
        let changed = |row: &usize| view.mod_seq(*row).is_some_and(|mod_seq| mod_seq > since);
        selection = Selection::of_rows(selection.rows().filter(changed));
    }
    Ok(Narrowed { selection, up_to_date: modifiers.changed_since.is_some() })
}

/// The UIDs that a set names, gone or not. `*` reaches the last UID there ever was: what was last may
/// be what has gone.
fn uids(set: &SequenceSet, view: &View, last: u32) -> UidSet {
    match set.is_saved() {
        true => view.saved().clone(),
        false => within(&set.resolve(last), last),
    }
}
