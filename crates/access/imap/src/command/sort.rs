//! SORT and UID SORT (RFC 5256 §3), with the keys of RFC 5957. The mailbox compares; the result
//! holds messages that the client knows.

use super::search::{self, check_charset};
use super::{bring_up_to_date, failed};
use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::command::{Sort, SortKey};
use codec_imap::response::Response;
use contract_mailbox::{Order, OrderKey};

/// SORT, UID SORT.
pub(crate) async fn run(session: &mut Session, command: Sort) -> Answer {
    let (user, selected) = session.state.selected()?;
    check_charset(Some(&command.charset))?;
    bring_up_to_date(user, selected, "SORT").await?;
    let view = &selected.view;
    let search = search::condition(&command.key, view)?;
    let order = command
        .criteria
        .iter()
        .map(|criterion| Order { key: key(criterion.key), descending: criterion.reverse });
    let sorted = user.mailbox.sort(selected.folder, search, order.collect()).await;
    let rows = sorted.map_err(|error| failed("SORT", error))?;
    let rows = rows.into_iter().filter_map(|uid| Some((uid, view.row_of(uid)?)));
    let numbers: Vec<u32> =
        rows.map(|(uid, row)| if command.uid { uid.0 } else { row as u32 + 1 }).collect();
    session.wire.put(&Response::Sort(&numbers));
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
