//! FETCH and UID FETCH (RFC 3501 §6.4.5), with CHANGEDSINCE, VANISHED (RFC 7162 §3.1.4.1, §3.2.6) and
//! PARTIAL (RFC 9394 §3.3).
//!
//! Messages go in batches: one question for the structures of a batch (more where they are large,
//! so that few are in memory), one change that sets \Seen
//! where a body is shown, then the responses in order. FLAGS, UID, INTERNALDATE and RFC822.SIZE
//! come from the view, after one question what happened until now: what anybody was told before the
//! command, by whichever node, is what it shows. That is asked beside the first structures. Bytes
//! of the next few messages are read while the present one is sent; pieces above `FETCH_AHEAD_BYTES` are streamed, so memory stays bounded whatever
//! is asked for.
//!
//! Messages that somebody else expunged meanwhile: where the view knows enough they are still told.
//! Else they are left out, and FETCH by number ends with `NO [EXPUNGEISSUED]` after everything that
//! exists (RFC 2180 §4.1.2); by UID they are passed over, as UIDs that never existed are. A message
//! whose stored form is damaged is left out too, and NO names it in the end: it must not take the
//! others with it.

mod binary;
mod load;
mod narrow;
mod prepare;
mod put;

use super::{bring_up_to_date, failed};
use crate::config::{FETCH_AHEAD, FETCH_BATCH, FETCH_SEEN_BATCH};
use crate::reply::{self, Answer, Reply, Stop};
use crate::session::Session;
use crate::view::View;
use base::{Error, Kind, Uid};
use codec_imap::Code;
use codec_imap::command::{Fetch, FetchItem};
use contract_mailbox::MessageMeta;
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a FETCH asks for.
pub(super) struct Plan {
    /// In the order asked.
    pub(super) items: Vec<FetchItem>,
    /// Whether the view does not know enough.
    needs_meta: bool,
    /// Whether bodies are shown that count as read.
    sets_seen: bool,
    /// Whether FLAGS were asked for.
    pub(super) asks_flags: bool,
    /// Whether something of the view is shown or decides what is done.
    needs_view: bool,
}

/// One message to be shown.
pub(super) struct Target {
    pub(super) row: usize,
    pub(super) meta: Option<Arc<MessageMeta>>,
    /// Whether it has just become \Seen, so its flags are told though nobody asked.
    pub(super) now_seen: bool,
}

/// What could not be shown.
#[derive(Default)]
struct Missing {
    /// Messages were expunged by others.
    gone: bool,
    /// Parts were asked for decoded whose encoding is not known.
    unknown_encoding: bool,
    /// The messages that are damaged, and why the first one could not be shown.
    damaged: Option<(Vec<Named>, Error)>,
}

/// A message as clients name it.
struct Named {
    number: usize,
    uid: Uid,
}

/// How many damaged messages are named.
const NAMED_MAX: usize = 10;

/// FETCH, UID FETCH.
pub(crate) async fn run(session: &mut Session, command: Fetch) -> Answer {
    let narrowed = narrow::selection(session, &command).await?;
    let (user, selected) = session.state.selected()?;
    let selection = narrowed.selection;
    if selection.is_empty() {
        // Whoever asks for more than the view has may have heard of a message that is new.
        if !narrowed.up_to_date {
            bring_up_to_date(user, selected, "FETCH").await?;
        }
        return Ok(Reply::ok("Fetched"));
    }
    let plan = Arc::new(Plan::new(&command, !selected.may_flag(), user.enabled.uid_only));
    let batch = if plan.sets_seen { FETCH_SEEN_BATCH } else { FETCH_BATCH };
    let mut rows = selection.rows();
    let (mut waiting, mut missing) = (VecDeque::new(), Missing::default());
    let mut outdated = plan.needs_view && !narrowed.up_to_date;
    loop {
        if waiting.is_empty() {
            waiting.extend(rows.by_ref().take(batch));
        }
        if waiting.is_empty() {
            break;
        }
        let ask = std::mem::take(&mut outdated);
        let targets = prepare::batch(session, &plan, &mut waiting, &mut missing, ask).await?;
        show(session, &plan, targets, &mut missing).await?;
    }
    match missing {
        Missing { damaged: Some((named, error)), .. } => {
            let text = format!("{} could not be shown: {}", which(&named), error.text).into();
            Err(Error { text, ..error }.into())
        }
        Missing { unknown_encoding: true, .. } => {
            let text = "Some parts have a transfer encoding that is not known";
            Err(Reply::no(Code::UnknownCte, text).into())
        }
        Missing { gone: true, .. } if !command.uid => {
            let text = "Some of the messages were expunged by somebody else";
            Err(Reply::no(Code::ExpungeIssued, text).into())
        }
        _ => Ok(Reply::ok("Fetched")),
    }
}

impl Missing {
    /// Notes a message that cannot be shown. One that is damaged must not hide the others.
    ///
    /// # Errors
    /// Those that concern more than this message.
    fn damaged(&mut self, view: &View, row: usize, error: Error) -> Result<(), Stop> {
        if !concerns_one_message(&error) {
            return Err(failed("FETCH", error));
        }
        reply::log("FETCH", &error);
        let (named, _) = self.damaged.get_or_insert_with(|| (Vec::new(), error));
        named.push(Named { number: row + 1, uid: view.uid(row).unwrap_or_default() });
        Ok(())
    }
}

/// Messages by number and UID.
fn which(named: &[Named]) -> String {
    let first = named.iter().take(NAMED_MAX);
    let list: Vec<_> =
        first.map(|named| format!("{} (UID {})", named.number, named.uid.0)).collect();
    let (word, list) = (if named.len() == 1 { "Message" } else { "Messages" }, list.join(", "));
    match named.len().saturating_sub(NAMED_MAX) {
        0 => format!("{word} {list}"),
        more => format!("{word} {list} and {more} more"),
    }
}

/// Whether an error may be that of one message among several.
fn concerns_one_message(error: &Error) -> bool {
    matches!(error.kind, Kind::Corrupt | Kind::Internal | Kind::Limit)
}

impl Plan {
    fn new(command: &Fetch, keeps_unseen: bool, uid_only: bool) -> Self {
        let mut items = command.items.clone();
        // The response of a client that knows UIDs only begins with it (RFC 9586 §3.3).
        if command.uid && !uid_only && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        // Who asks what has changed is told when (RFC 7162 §3.1.4.1).
        if command.modifiers.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        let from_view = |item: &FetchItem| {
            use FetchItem::{Flags, InternalDate, ModSeq, Rfc822Size, Uid};
            matches!(item, Flags | InternalDate | ModSeq | Rfc822Size | Uid)
        };
        let needs_meta = !items.iter().all(from_view);
        let sets_seen = !keeps_unseen && items.iter().any(FetchItem::sets_seen);
        let asks_flags = items.contains(&FetchItem::Flags);
        // Dates and sizes never change, and where structures are read it is seen what is there.
        let asks_mod_seq = items.contains(&FetchItem::ModSeq);
        let needs_view = asks_flags || asks_mod_seq || sets_seen || !needs_meta;
        Self { items, needs_meta, sets_seen, asks_flags, needs_view }
    }
}

/// Prints a batch, reading ahead.
async fn show(
    session: &mut Session,
    plan: &Arc<Plan>,
    targets: Vec<Target>,
    missing: &mut Missing,
) -> Result<(), Stop> {
    let Session { shared, wire, state, .. } = session;
    let (_, selected) = state.selected()?;
    let there = targets.into_iter().filter(|target| target.meta.is_some() || !plan.needs_meta);
    let loads = there.map(|target| {
        let (plan, blobs) = (plan.clone(), shared.blobs.clone());
        async move {
            let pieces = match &target.meta {
                Some(meta) => load::pieces(&plan, meta, &blobs).await,
                None => Ok(Vec::new()),
            };
            (target, pieces)
        }
    });
    let mut loaded = futures::stream::iter(loads).buffered(FETCH_AHEAD);
    while let Some((target, pieces)) = loaded.next().await {
        let pieces = match pieces {
            Ok(pieces) if pieces.iter().any(|piece| matches!(piece, load::Piece::Unknown)) => {
                missing.unknown_encoding = true;
                continue;
            }
            Ok(pieces) => pieces,
            Err(error) => {
                missing.damaged(&selected.view, target.row, error)?;
                continue;
            }
        };
        let view = &mut selected.view;
        put::message(wire, view, plan, &target, pieces, &shared.blobs).await?;
    }
    Ok(())
}
