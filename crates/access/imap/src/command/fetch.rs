//! FETCH and UID FETCH (RFC 3501 §6.4.5).
//!
//! Messages go in batches: one question for the structures of a batch, one change that sets \Seen
//! where a body is shown, then the responses in order. FLAGS, UID, INTERNALDATE and RFC822.SIZE
//! come from the view and ask nobody. Bytes of the next few messages are read while the present
//! one is sent; pieces above [`FETCH_AHEAD_BYTES`] are streamed, so memory stays bounded whatever
//! is asked for.
//!
//! Messages that somebody else expunged meanwhile: where the view knows enough they are still told.
//! Else they are left out, and FETCH by number ends with NO [EXPUNGEISSUED] after everything that
//! exists (RFC 2180 §4.1.2); by UID they are passed over, as UIDs that never existed are.

mod load;
mod put;

use super::{failed, unexpected, write};
use crate::config::{FETCH_AHEAD, FETCH_BATCH, FETCH_SEEN_BATCH};
use crate::reply::{Answer, Reply, Stop};
use crate::selection::Selection;
use crate::session::Session;
use crate::state::{Selected, User};
use crate::sync::{self, Ask};
use codec_imap::Code;
use codec_imap::command::{Fetch, FetchItem};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{MessageMeta, SystemFlags, UidSet, Write, WriteReply};
use futures::StreamExt;
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
}

/// One message to be shown.
pub(super) struct Target {
    pub(super) row: usize,
    pub(super) meta: Option<Arc<MessageMeta>>,
    /// Whether it has just become \Seen, so its flags are told though nobody asked.
    pub(super) now_seen: bool,
}

/// FETCH, UID FETCH.
pub(crate) async fn run(session: &mut Session, command: Fetch) -> Answer {
    let (_, selected) = session.state.selected()?;
    let selection = Selection::resolve(&command.set, command.uid, &selected.view)?;
    let plan = Arc::new(Plan::new(command.items, command.uid, selected.read_only));
    let batch = if plan.sets_seen { FETCH_SEEN_BATCH } else { FETCH_BATCH };
    let mut rows = selection.rows();
    let mut gone = false;
    loop {
        let batch: Vec<usize> = rows.by_ref().take(batch).collect();
        if batch.is_empty() {
            break;
        }
        let targets = prepare(session, &plan, batch).await?;
        gone |= plan.needs_meta && targets.iter().any(|target| target.meta.is_none());
        show(session, &plan, targets).await?;
    }
    if gone && !command.uid {
        let text = "Some of the messages were expunged by somebody else";
        return Err(Reply::no(Code::ExpungeIssued, text).into());
    }
    Ok(Reply::ok("Fetched"))
}

impl Plan {
    fn new(mut items: Vec<FetchItem>, uid: bool, read_only: bool) -> Self {
        if uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        let from_view = |item: &FetchItem| {
            use FetchItem::{Flags, InternalDate, Rfc822Size, Uid};
            matches!(item, Flags | InternalDate | Rfc822Size | Uid)
        };
        Self {
            needs_meta: !items.iter().all(from_view),
            sets_seen: !read_only && items.iter().any(FetchItem::sets_seen),
            asks_flags: items.contains(&FetchItem::Flags),
            items,
        }
    }
}

/// Gets what is needed to show a batch, and sets \Seen.
async fn prepare(
    session: &mut Session,
    plan: &Plan,
    rows: Vec<usize>,
) -> Result<Vec<Target>, Stop> {
    let (user, selected) = session.state.selected()?;
    let uid = |row: &usize| selected.view.uid(*row).unwrap_or_default();
    let mut metas = Vec::new();
    if plan.needs_meta {
        let uids = rows.iter().map(uid).collect();
        let found = user.mailbox.meta(selected.folder, uids).await;
        metas = found.map_err(|error| failed("FETCH", error))?;
        metas.sort_unstable_by_key(|(uid, _)| *uid);
    }
    let target = |row: usize| {
        let meta = metas.binary_search_by_key(&uid(&row), |(uid, _)| *uid).ok();
        let meta = meta.map(|place| metas[place].1.clone());
        Target { row, meta, now_seen: false }
    };
    let mut targets: Vec<Target> = rows.into_iter().map(target).collect();
    if plan.sets_seen {
        mark_seen(user, selected, &mut targets).await?;
    }
    Ok(targets)
}

/// Sets \Seen of those that are there and not seen yet: with one change, before their bodies are
/// sent, so that the new flags can be in the same responses.
async fn mark_seen(
    user: &User,
    selected: &mut Selected,
    targets: &mut [Target],
) -> Result<(), Stop> {
    let view = &selected.view;
    let unseen = |target: &Target| {
        target.meta.is_some() && !view.flags(target.row).0.system.contains(SystemFlags::SEEN)
    };
    let unseen: Vec<usize> = (0..targets.len()).filter(|i| unseen(&targets[*i])).collect();
    let uids: UidSet = unseen.iter().filter_map(|i| view.uid(targets[*i].row)).collect();
    if uids.is_empty() {
        return Ok(());
    }
    let flags = NamedFlags { system: SystemFlags::SEEN, keywords: Vec::new() };
    let (mode, folder) = (StoreMode::Add, selected.folder);
    let request =
        Write::Store { folder, uids, mode, flags: flags.clone(), unchanged_since: None };
    match write(user, "FETCH", request).await? {
        Some(WriteReply::Stored(stored)) => selected.view.stored(&stored, false, mode, &flags),
        None => sync::catch_up(user, selected, Ask::Always)
            .await
            .map_err(|error| failed("FETCH", error))?,
        Some(_) => return unexpected("FETCH").map(drop),
    }
    for index in unseen {
        targets[index].now_seen = true;
    }
    Ok(())
}

/// Prints a batch, reading ahead.
async fn show(session: &mut Session, plan: &Arc<Plan>, targets: Vec<Target>) -> Result<(), Stop> {
    let Session { shared, wire, state, .. } = session;
    let (_, selected) = state.selected()?;
    let there = targets.into_iter().filter(|target| target.meta.is_some() || !plan.needs_meta);
    let loads = there.map(|target| {
        let (plan, blobs) = (plan.clone(), shared.blobs.clone());
        async move {
            let pieces = match &target.meta {
                Some(meta) => load::pieces(&plan, meta, &blobs).await?,
                None => Vec::new(),
            };
            Ok((target, pieces))
        }
    });
    let mut loaded = futures::stream::iter(loads).buffered(FETCH_AHEAD);
    while let Some(next) = loaded.next().await {
        let (target, pieces) = next.map_err(|error| failed("FETCH", error))?;
        put::message(wire, &mut selected.view, plan, &target, pieces, &shared.blobs).await?;
    }
    Ok(())
}
