//! Before a batch is shown: what happened until now, the structures of its messages, and \Seen.

use super::super::{bring_up_to_date, failed, unexpected};
use super::{Missing, Plan, Target, concerns_one_message};
use crate::reply::Stop;
use crate::session::Session;
use crate::state::{Selected, User};
use crate::sync::{self, Ask};
use base::{Error, FolderId, Kind, Uid};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{MessageMeta, MetaPage, Permission, SystemFlags, UidSet, Write, WriteReply};
use std::collections::VecDeque;
use std::sync::Arc;

type Metas = Vec<(Uid, Arc<MessageMeta>)>;

/// What a batch needs, and who is missing. Takes off the front of `rows` what is prepared: all, or
/// as many as there are structures in one answer. With `outdated` the view is brought up to date.
pub(super) async fn batch(
    session: &mut Session,
    plan: &Plan,
    rows: &mut VecDeque<usize>,
    missing: &mut Missing,
    outdated: bool,
) -> Result<Vec<Target>, Stop> {
    let Session { wire, state, .. } = session;
    let (user, selected) = state.selected()?;
    let (folder, mut metas, mut count) = (selected.folder, Vec::new(), rows.len());
    let uids: Vec<Uid> = match plan.needs_meta {
        true => rows.iter().filter_map(|row| selected.view.uid(*row)).collect(),
        false => Vec::new(),
    };
    // Side by side, and neither given up half-way: catching up may claim \Recent. It moves no row.
    let (caught_up, read) = tokio::join!(
        async {
            match outdated {
                true => bring_up_to_date(user, selected, "FETCH").await,
                false => Ok(()),
            }
        },
        async {
            match plan.needs_meta {
                true => Some(read_metas(user, folder, &uids).await),
                false => None,
            }
        },
    );
    caught_up?;
    if let Some(read) = read {
        let damaged;
        (metas, count, damaged) = read?;
        match (damaged, rows.front()) {
            (Some(error), Some(row)) => missing.damaged(&selected.view, *row, error)?,
            _ => missing.gone |= metas.len() < count,
        }
    }
    sync::announce_keywords(wire, selected);
    let uid = |row: &usize| selected.view.uid(*row).unwrap_or_default();
    let target = |row: usize| {
        let meta = metas.binary_search_by_key(&uid(&row), |(uid, _)| *uid).ok();
        let meta = meta.map(|place| metas[place].1.clone());
        Target { row, meta, now_seen: false }
    };
    let mut targets: Vec<Target> = rows.drain(..count).map(target).collect();
    if plan.sets_seen {
        mark_seen(user, selected, &mut targets).await?;
    }
    Ok(targets)
}

/// The structures of the first of these messages, in order of UID, and how many of the messages
/// were asked for. An answer that cannot be given because one of them is damaged is asked for with
/// half as many, until it is that one alone; then what is wrong with it is given beside.
async fn read_metas(
    user: &User,
    folder: FolderId,
    uids: &[Uid],
) -> Result<(Metas, usize, Option<Error>), Stop> {
    let mut count = uids.len();
    loop {
        match user.mailbox.meta_page(folder, uids[..count].to_vec()).await {
            Ok(MetaPage { mut found, next }) => {
                if let Some(next) = next {
                    count = uids[..count].partition_point(|uid| *uid < next).max(1);
                }
                found.sort_unstable_by_key(|(uid, _)| *uid);
                return Ok((found, count, None));
            }
            Err(error) if !concerns_one_message(&error) => return Err(failed("FETCH", error)),
            Err(_) if count > 1 => count = count.div_ceil(2),
            Err(error) => return Ok((Metas::new(), count, Some(error))),
        }
    }
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
    match user.mailbox.write(request).await {
        Ok(WriteReply::Stored(stored)) => selected.view.stored(&stored, false, mode, &flags),
        Ok(WriteReply::LookAgain) => sync::catch_up(user, selected, Ask::Always)
            .await
            .map_err(|error| failed("FETCH", error))?,
        Ok(_) => return unexpected("FETCH").map(drop),
        // The right was taken away since the folder was opened: who may read still reads.
        Err(error) if error.kind == Kind::Denied => {
            selected.rights &= !Permission::EDIT_ANY;
            return Ok(());
        }
        Err(error) => return Err(failed("FETCH", error)),
    }
    for index in unseen {
        targets[index].now_seen = true;
    }
    Ok(())
}
