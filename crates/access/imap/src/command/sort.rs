//! SORT and UID SORT (RFC 5256 §3), with the keys of RFC 5957 and MODSEQ (RFC 7162 §3.1.6). The mailbox compares; the result
//! holds messages that the client knows.

use super::search::{self, asks_mod_seq, check_charset};
use super::{bring_up_to_date, failed};
use crate::modseq;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::command::{Sort, SortKey};
use codec_imap::response::Response;
use contract_mailbox::{Order, OrderKey};

/// SORT, UID SORT.
pub(crate) async fn run(session: &mut Session, command: Sort) -> Answer {
    session.state.selected()?;
    check_charset(Some(&command.charset))?;
    let mod_seqs = asks_mod_seq(&command.key);
    if mod_seqs {
        modseq::enable(session, "SORT").await?;
    }
    let now = session.shared.env.clock.now();
    let (user, selected) = session.state.selected()?;
    bring_up_to_date(user, selected, "SORT").await?;
    let view = &selected.view;
    let search = search::condition(&command.key, view, now)?;
    let order = command
        .criteria
        .iter()
        .map(|criterion| Order { key: key(criterion.key), descending: criterion.reverse });
    let sorted = user.mailbox.sort(selected.folder, search, order.collect()).await;
    let rows = sorted.map_err(|error| failed("SORT", error))?;
    let rows = rows.into_iter().filter_map(|uid| Some((uid, view.row_of(uid)?)));
    let (mut numbers, mut newest) = (Vec::new(), None);
    for (uid, row) in rows {
        numbers.push(if command.uid { uid.0 } else { row as u32 + 1 });
        newest = newest.max(view.mod_seq(row));
    }
    session.wire.put(&Response::Sort(&numbers, newest.filter(|_| mod_seqs)));
    Ok(Reply::ok("Done"))
}

fn key(key: SortKey) -> OrderKey {
    match key {
        SortKey::Arrival => OrderKey::Received,
        SortKey::Cc => OrderKey::Cc,
        SortKey::Date => OrderKey::Sent,
        SortKey::From => OrderKey::From,
        SortKey::Size => OrderKey::Size,
        SortKey::Subject => OrderKey::Subject,
        SortKey::To => OrderKey::To,
        SortKey::DisplayFrom => OrderKey::ShownFrom,
        SortKey::DisplayTo => OrderKey::ShownTo,
    }
}
