//! Before a batch is shown: the structures of its messages, and \Seen.

use super::super::{failed, unexpected, write};
use super::{Missing, Plan, Target, concerns_one_message};
use crate::reply::Stop;
use crate::session::Session;
use crate::state::{Selected, User};
use crate::sync::{self, Ask};
use base::{FolderId, Uid};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{MessageMeta, SystemFlags, UidSet, Write, WriteReply};
use std::sync::Arc;

type Metas = Vec<(Uid, Arc<MessageMeta>)>;

/// What a batch needs, and who is missing.
pub(super) async fn batch(
    session: &mut Session,
    plan: &Plan,
    rows: Vec<usize>,
    missing: &mut Missing,
) -> Result<Vec<Target>, Stop> {
    let (user, selected) = session.state.selected()?;
    let uid = |row: &usize| selected.view.uid(*row).unwrap_or_default();
    let mut metas = Vec::new();
    if plan.needs_meta {
        let uids: Vec<Uid> = rows.iter().map(uid).collect();
        metas = read_metas(user, selected.folder, uids, missing).await?;
        missing.gone |= metas.len() < rows.len();
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

/// The structures of messages, in order of UID. An answer that cannot be given for all, because
/// one is damaged or they are too large together, is asked for in halves.
async fn read_metas(
    user: &User,
    folder: FolderId,
    uids: Vec<Uid>,
    missing: &mut Missing,
) -> Result<Metas, Stop> {
    let mut found = Metas::with_capacity(uids.len());
    let mut waiting = vec![uids];
    while let Some(mut uids) = waiting.pop() {
        match user.mailbox.meta(folder, uids.clone()).await {
            Ok(metas) => found.extend(metas),
            Err(error) if concerns_one_message(&error) && uids.len() > 1 => {
                waiting.push(uids.split_off(uids.len() / 2));
                waiting.push(uids);
            }
            Err(error) => missing.damaged(error)?,
        }
    }
    found.sort_unstable_by_key(|(uid, _)| *uid);
    Ok(found)
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
    let request = Write::Store { folder, uids, mode, flags: flags.clone(), unchanged_since: None };
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
