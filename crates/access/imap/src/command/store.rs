//! STORE and UID STORE (RFC 3501 §6.4.6), conditional with UNCHANGEDSINCE (RFC 7162 §3.1.3).

use super::{failed, unexpected, write};
use crate::flags::{self, assumed};
use crate::modseq;
use crate::reply::{Answer, Reply, ReplyCode};
use crate::selection::Selection;
use crate::session::Session;
use crate::state::Selected;
use crate::sync::{self, Ask};
use crate::view::View;
use base::{Change, Uid};
use codec_imap::command::{Store, StoreMode};
use codec_imap::{Code, IdSet};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode as Mode;
use contract_mailbox::{Write, WriteReply};

/// STORE. The new flags are told with the news that follow every command; messages that others
/// expunged meanwhile are answered as RFC 2180 §4.2.1 proposes: the rest is done, and NO says that
/// some were not there. With UIDs they are passed over (RFC 3501 §6.4.8).
pub(crate) async fn run(session: &mut Session, command: Store) -> Answer {
    if command.unchanged_since.is_some() {
        session.state.writable()?;
        modseq::enable(session, "STORE").await?;
    }
    let (user, selected) = session.state.writable()?;
    let selection = Selection::resolve(&command.set, command.uid, &selected.view)?;
    let asked = flags::named(&command.flags)?;
    let flags = flags::allowed(asked, selected, command.mode == StoreMode::Replace)?;
    if selection.is_empty() {
        return Ok(Reply::ok("There was nothing to store"));
    }
    let mode = match command.mode {
        StoreMode::Replace => Mode::Replace,
        StoreMode::Add => Mode::Add,
        StoreMode::Remove => Mode::Remove,
    };
    let request = Write::Store {
        folder: selected.folder,
        uids: selection.uids(&selected.view),
        mode,
        flags: flags.clone(),
        unchanged_since: command.unchanged_since.map(Change),
    };
    let stored = match write(user, "STORE", request).await? {
        Some(WriteReply::Stored(stored)) => stored,
        None => {
            sync::catch_up(user, selected, Ask::Always)
                .await
                .map_err(|error| failed("STORE", error))?;
            return Ok(answered_before(&command, selected, &selection, mode, &flags));
        }
        Some(_) => return unexpected("STORE"),
    };
    selected.view.stored(&stored, command.silent, mode, &flags);
    let left_alone = stored.modified.len();
    if !command.uid && stored.entries.len() + left_alone < selection.len() {
        let text = "Some of the messages were expunged by somebody else";
        return Err(Reply::no(Code::ExpungeIssued, text).into());
    }
    Ok(condition(&command, &selected.view, stored.modified.into_iter()))
}

/// OK, with what was left alone since it has changed (RFC 7162 §3.1.3).
fn condition(command: &Store, view: &View, modified: impl Iterator<Item = Uid>) -> Reply {
    let number = |uid: Uid| match command.uid {
        true => Some(uid.0),
        false => view.row_of(uid).map(|row| row as u32 + 1),
    };
    let modified = IdSet::from_ids(modified.filter_map(number));
    match modified.is_empty() {
        true => Reply::ok("Stored"),
        false => {
            let code = ReplyCode::Modified(modified.ranges().to_vec());
            Reply::ok("Stored, but for what others had changed").code(code)
        }
    }
}

/// The same where the mailbox's own answer got lost: what has not the flags that it would have was
/// evidently left alone.
fn answered_before(
    command: &Store,
    selected: &Selected,
    selection: &Selection,
    mode: Mode,
    flags: &NamedFlags,
) -> Reply {
    let view = &selected.view;
    let left_alone = |row: &usize| {
        let now = view.flags(*row).0;
        assumed(now, mode, flags, view.keywords()) != now
    };
    let conditional = command.unchanged_since.is_some();
    let rows = selection.rows().filter(|row| conditional && left_alone(row));
    condition(command, view, rows.filter_map(|row| view.uid(row)))
}
