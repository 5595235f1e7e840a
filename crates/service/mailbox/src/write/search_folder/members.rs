//! Who is a member of which search folder: kept by everything that adds, changes or removes a
//! message.

use super::criteria;
use crate::rows::{self, ChangeRow, ChangeState, Milestones, meta};
use crate::unit::Unit;
use base::{Change, Error, FolderId, ItemId, Kind, Result, Uid};
use codec_mime::ParsedMessage;
use contract_mailbox::{IndexEntry, Search};
use contract_store::{BodyError, Isolation, RangeRead};

/// How many messages' envelopes are read at once.
const METAS: usize = 64;

/// A message has come into a folder.
pub(crate) async fn entered(
    unit: &mut Unit<'_>,
    folder: FolderId,
    entry: &IndexEntry,
    parsed: &ParsedMessage,
) -> Result<(), BodyError> {
    for search in unit.searches_over(folder) {
        if criteria::matches(&criteria_of(unit, search)?, entry, Some(parsed), &unit.keywords()) {
            add(unit, search, folder, entry, entry.change).await?;
        }
    }
    Ok(())
}

/// Shows the search folders messages that are in a folder since a while, and that they do not have
/// yet.
pub(crate) async fn join(
    unit: &mut Unit<'_>,
    folder: FolderId,
    entries: &[IndexEntry],
) -> Result<(), BodyError> {
    for search in unit.searches_over(folder) {
        let wanted = criteria_of(unit, search)?;
        join_one(unit, search, folder, &wanted, entries).await?;
    }
    Ok(())
}

/// Makes those messages members of one search folder that fulfil its criteria and are none yet.
pub(super) async fn join_one(
    unit: &mut Unit<'_>,
    search: FolderId,
    folder: FolderId,
    wanted: &Search,
    entries: &[IndexEntry],
) -> Result<(), BodyError> {
    let mut rest = entries;
    while !rest.is_empty() {
        let some = &rest[..rest.len().min(METAS)];
        let uids: Vec<Uid> = some.iter().map(|entry| entry.uid).collect();
        let (metas, next) = match criteria::asks_envelope(wanted) {
            true => meta::read(unit.tx, unit.keys, folder, &uids, Isolation::Snapshot).await?,
            false => (Vec::new(), None),
        };
        let done = next.map_or(some.len(), |next| uids.partition_point(|uid| *uid < next));
        for entry in &some[..done] {
            let place = metas.binary_search_by_key(&entry.uid, |(uid, _)| *uid);
            let parsed = place.ok().map(|place| &metas[place].1.parsed);
            if criteria::matches(wanted, entry, parsed, &unit.keywords())
                && uid_in(unit, search, folder, entry.item).await?.is_none()
            {
                let change = unit.next_change();
                add(unit, search, folder, entry, change).await?;
            }
        }
        rest = &rest[done..];
    }
    Ok(())
}

/// A message's flags or content have changed.
pub(crate) async fn changed(
    unit: &mut Unit<'_>,
    folder: FolderId,
    entry: &IndexEntry,
) -> Result<(), BodyError> {
    let searches = unit.searches_over(folder);
    if searches.is_empty() {
        return Ok(());
    }
    let mut metas = None;
    for search in searches {
        let wanted = criteria_of(unit, search)?;
        if metas.is_none() && criteria::asks_envelope(&wanted) {
            let uids = [entry.uid];
            let isolation = Isolation::Serializable;
            metas = Some(meta::read(unit.tx, unit.keys, folder, &uids, isolation).await?.0);
        }
        let parsed = metas.as_ref().and_then(|found| found.first()).map(|(_, meta)| &meta.parsed);
        let now = criteria::matches(&wanted, entry, parsed, &unit.keywords());
        match (uid_in(unit, search, folder, entry.item).await?, now) {
            (Some(uid), true) => update(unit, search, uid, entry).await?,
            (Some(uid), false) => remove(unit, search, folder, entry.item, uid).await?,
            (None, true) => add(unit, search, folder, entry, entry.change).await?,
            (None, false) => {}
        }
    }
    Ok(())
}

/// A message has left a folder.
pub(crate) async fn left(
    unit: &mut Unit<'_>,
    folder: FolderId,
    item: ItemId,
) -> Result<(), BodyError> {
    for search in unit.searches_over(folder) {
        if let Some(uid) = uid_in(unit, search, folder, item).await? {
            remove(unit, search, folder, item, uid).await?;
        }
    }
    Ok(())
}

/// Takes messages of a folder that goes away out of the search folders, at most `limit`; says
/// whether there are more. Afterwards no search folder has it in its scope.
pub(crate) async fn leave_with_folder(
    unit: &mut Unit<'_>,
    folder: FolderId,
    limit: usize,
) -> Result<bool, BodyError> {
    let mut room = limit;
    for search in unit.searches_over(folder) {
        let members = some_members(unit, search, folder, room).await?;
        room -= members.len();
        for (item, uid) in members {
            remove(unit, search, folder, item, uid).await?;
        }
        if room == 0 {
            return Ok(true);
        }
        if let Some((scope, _)) = &mut unit.folder_mut(search)?.search {
            scope.retain(|id| *id != folder);
        }
    }
    Ok(false)
}

async fn some_members(
    unit: &Unit<'_>,
    search: FolderId,
    folder: FolderId,
    limit: usize,
) -> Result<Vec<(ItemId, Uid)>, BodyError> {
    let mut found = Vec::new();
    let range = unit.keys.members_from(search, folder);
    let mut next = Some(RangeRead::all(&range).limit(limit));
    while let Some(read) = next {
        let page = unit.tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        for row in &page.rows {
            let item = unit.keys.parse_member(&row.key);
            let item = item.ok_or_else(|| Error::corrupt("the key of a member"))?;
            found.push((item, parse_uid(&row.value)?));
        }
    }
    Ok(found)
}

/// Makes a message a member, under a change number that is the newest of the search folder.
pub(super) async fn add(
    unit: &mut Unit<'_>,
    search: FolderId,
    folder: FolderId,
    source: &IndexEntry,
    change: Change,
) -> Result<(), BodyError> {
    let info = &mut unit.folder_mut(search)?.info;
    let uid = info.uid_next;
    if uid.0 == u32::MAX {
        let text = "The search folder has used up its unique identifiers";
        return Err(Error::new(Kind::Limit, text).into());
    }
    info.uid_next = Uid(uid.0 + 1);
    let entry = IndexEntry { uid, change, ..*source };
    let milestones = Milestones { entered: change, content: change, read: change };
    let key = unit.keys.member(search, folder, entry.item);
    unit.tx.set(&key, &uid.0.to_be_bytes());
    write_step(unit, search, &entry, milestones)?;
    unit.put_entry(search, entry).await?;
    let row = unit.folder_mut(search)?;
    row.count(&entry);
    row.info.highest_change = row.info.highest_change.max(change);
    Ok(())
}

/// Brings a member's entry up to its source.
async fn update(
    unit: &mut Unit<'_>,
    search: FolderId,
    uid: Uid,
    source: &IndexEntry,
) -> Result<(), BodyError> {
    let old = unit.remove_entry(search, uid).await?;
    let old = old.ok_or_else(|| Error::corrupt(format!("{uid} of {search} is no entry")))?;
    let step = crate::message::read_change(unit.tx, unit.keys, search, old.change).await?;
    let mut milestones = crate::message::here(&step)?;
    let entry = IndexEntry { uid, ..*source };
    if old.flags == entry.flags {
        milestones.content = entry.change;
    } else if old.flags.is_seen() != entry.flags.is_seen() {
        milestones.read = entry.change;
    }
    unit.tx.clear(&unit.keys.change(search, old.change));
    write_step(unit, search, &entry, milestones)?;
    unit.put_entry(search, entry).await?;
    let row = unit.folder_mut(search)?;
    row.discount(&old);
    row.count(&entry);
    row.info.highest_change = row.info.highest_change.max(entry.change);
    Ok(())
}

/// Ends a membership.
async fn remove(
    unit: &mut Unit<'_>,
    search: FolderId,
    folder: FolderId,
    item: ItemId,
    uid: Uid,
) -> Result<(), BodyError> {
    let old = unit.remove_entry(search, uid).await?;
    let old = old.ok_or_else(|| Error::corrupt(format!("{uid} of {search} is no entry")))?;
    unit.tx.clear(&unit.keys.member(search, folder, item));
    let tombstone = ChangeRow { item, uid: Some(uid), href: None, state: ChangeState::Gone };
    let change = crate::message::bury(unit, search, old.change, &tombstone)?;
    let row = unit.folder_mut(search)?;
    row.discount(&old);
    row.info.highest_change = change;
    Ok(())
}

fn write_step(
    unit: &Unit<'_>,
    search: FolderId,
    entry: &IndexEntry,
    milestones: Milestones,
) -> Result<()> {
    let state = ChangeState::Here(milestones);
    let step = ChangeRow { item: entry.item, uid: Some(entry.uid), href: None, state };
    unit.tx.set(&unit.keys.change(search, entry.change), &rows::encode(&step)?);
    Ok(())
}

fn criteria_of(unit: &Unit<'_>, search: FolderId) -> Result<Search> {
    let row = unit.folder(search)?;
    match &row.search {
        Some((_, wanted)) => Ok(wanted.clone()),
        None => Err(Error::internal(format!("{search} is no search folder"))),
    }
}

/// The UID that an item of a folder has in a search folder, if it is a member.
pub(crate) async fn uid_in(
    unit: &Unit<'_>,
    search: FolderId,
    folder: FolderId,
    item: ItemId,
) -> Result<Option<Uid>, BodyError> {
    let key = unit.keys.member(search, folder, item);
    let row = unit.tx.get(&key, Isolation::Serializable).await?;
    Ok(row.map(|row| parse_uid(&row)).transpose()?)
}

fn parse_uid(row: &[u8]) -> Result<Uid> {
    let bytes = row.try_into().map_err(|_| Error::corrupt("the row of a member"))?;
    Ok(Uid(u32::from_be_bytes(bytes)))
}
