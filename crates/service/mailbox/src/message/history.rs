//! A folder's history: one step for each item that is here, under its newest change, and a
//! tombstone for each that went.

use crate::rows::keys::Keys;
use crate::rows::{self, ChangeRow, ChangeState, ItemRow, Milestones};
use crate::unit::Unit;
use crate::write::search_folder::members;
use base::{Change, Error, FolderId, ItemId, Result};
use contract_mailbox::{Flags, IndexEntry};
use contract_store::{BodyError, Isolation, RangeRead, Transaction};
use std::collections::{BTreeSet, HashMap};

/// Writes the newest step of an item that is here.
pub(crate) fn write_change(
    unit: &Unit<'_>,
    row: &ItemRow,
    item: ItemId,
    milestones: Milestones,
) -> Result<()> {
    let state = ChangeState::Here(milestones);
    let step = ChangeRow { item, uid: row.uid, href: row.href(), state };
    unit.tx.set(&unit.keys.change(row.folder, row.change), &rows::encode(&step)?);
    Ok(())
}

/// Writes that an item has gone from a folder, or from its UID there, in place of its last step;
/// gives the number of that change.
pub(crate) fn bury(
    unit: &mut Unit<'_>,
    folder: FolderId,
    last: Change,
    tombstone: &ChangeRow,
) -> Result<Change> {
    unit.tx.clear(&unit.keys.change(folder, last));
    let change = unit.next_change();
    unit.tx.set(&unit.keys.change(folder, change), &rows::encode(tombstone)?);
    unit.tx.set(&unit.keys.tombstone(folder, change), b"");
    Ok(change)
}

/// What of a message changes while its UID stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touch {
    /// Flags.
    Flags,
    /// Content that FETCH does not show.
    Content,
}

/// Writes a changed entry under a new change number; gives it. `step` is its last one.
pub(crate) async fn restamp(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
    mut step: ChangeRow,
    flags: Flags,
    touch: Touch,
) -> Result<IndexEntry, BodyError> {
    let change = unit.next_change();
    let entry = IndexEntry { flags, change, ..*old };
    let mut milestones = here(&step)?;
    if old.flags.is_seen() != flags.is_seen() {
        milestones.read = change;
    }
    if touch == Touch::Content {
        milestones.content = change;
    }
    step.state = ChangeState::Here(milestones);
    unit.tx.clear(&unit.keys.change(folder, old.change));
    unit.tx.set(&unit.keys.change(folder, change), &rows::encode(&step)?);
    unit.put_entry(folder, entry).await?;
    let row = unit.folder_mut(folder)?;
    row.discount(old);
    row.count(&entry);
    row.info.highest_change = change;
    members::changed(unit, folder, &entry).await?;
    Ok(entry)
}

/// A step of a folder's history that is known to be there.
pub(crate) async fn read_change(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    change: Change,
) -> Result<ChangeRow, BodyError> {
    match tx.get(&keys.change(folder, change), Isolation::Serializable).await? {
        Some(row) => Ok(rows::decode(&row, "change")?),
        None => Err(missing(folder, change).into()),
    }
}

/// The milestones of an item that is here.
pub(crate) fn here(step: &ChangeRow) -> Result<Milestones> {
    match step.state {
        ChangeState::Here(milestones) => Ok(milestones),
        ChangeState::Gone | ChangeState::Replaced => {
            Err(Error::corrupt(format!("{} is here and gone", step.item)))
        }
    }
}

fn missing(folder: FolderId, change: Change) -> Error {
    Error::corrupt(format!("{change} of {folder} is missing"))
}

/// The newest steps of some messages of a folder.
pub(crate) struct Steps {
    folder: FolderId,
    steps: HashMap<Change, ChangeRow>,
}

impl Steps {
    /// Takes a message's step out.
    pub(crate) fn take(&mut self, entry: &IndexEntry) -> Result<ChangeRow> {
        let step = self.steps.remove(&entry.change);
        step.ok_or_else(|| missing(self.folder, entry.change))
    }
}

/// A range read must bring one wanted step in so many rows; else what is left is read one by one.
const DENSITY: usize = 8;

/// Reads the newest steps of messages. Their numbers lie close together as a rule (a folder's
/// history is ordered by time, as its messages are), so one range has them all; where they are
/// scattered they are read one by one, at once.
pub(crate) async fn steps_of(
    unit: &Unit<'_>,
    folder: FolderId,
    entries: &[IndexEntry],
) -> Result<Steps, BodyError> {
    let mut wanted: BTreeSet<Change> = entries.iter().map(|entry| entry.change).collect();
    let mut steps = HashMap::with_capacity(wanted.len());
    while let (Some(first), Some(last)) = (wanted.first().copied(), wanted.last().copied()) {
        let range = unit.keys.changes(folder, Change(first.0.saturating_sub(1)), last);
        let limit = 2 * wanted.len() + 16;
        let (mut rows_read, before) = (0, wanted.len());
        // The summary row alone decides whether somebody else has written.
        let mut next = Some(RangeRead::all(&range).limit(limit));
        while let Some(read) = next {
            let page = unit.tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            rows_read += page.rows.len();
            for row in &page.rows {
                let change = unit.keys.parse_change(&row.key);
                let change = change.ok_or_else(|| Error::corrupt("the key of a change"))?;
                if wanted.remove(&change) {
                    steps.insert(change, rows::decode(&row.value, "change")?);
                }
            }
        }
        if rows_read < limit {
            break;
        }
        if (before - wanted.len()) * DENSITY < rows_read {
            read_scattered(unit, folder, &wanted, &mut steps).await?;
            break;
        }
    }
    Ok(Steps { folder, steps })
}

async fn read_scattered(
    unit: &Unit<'_>,
    folder: FolderId,
    wanted: &BTreeSet<Change>,
    steps: &mut HashMap<Change, ChangeRow>,
) -> Result<(), BodyError> {
    let reads = wanted.iter().map(|change| async move {
        let step = read_change(unit.tx, unit.keys, folder, *change).await?;
        Ok::<_, BodyError>((*change, step))
    });
    steps.extend(futures::future::try_join_all(reads).await?);
    Ok(())
}
