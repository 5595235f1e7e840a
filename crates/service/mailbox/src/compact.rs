//! Compacting a mailbox's history: tombstones that are old, or of which a folder has very many, go.
//! Steps of what is here always stay.
//!
//! A folder's row says up to which change its tombstones have gone. Whoever asks what happened
//! since an earlier one is told to begin anew ([`contract_mailbox::ViewDelta::complete`],
//! [`contract_mailbox::Read::ItemChanges`]).
//!
//! Tombstones have no date. Instead each run of the housekeeping notes which change number the
//! mailbox has reached.

use crate::rows::{self, keys::Keys};
use crate::unit::Unit;
use base::{Change, Error, FolderId, Result, Timestamp};
use contract_store::{BodyError, Isolation, RangeRead};

/// Change numbers and when they had been reached, oldest first.
pub(crate) type Marks = Vec<(Timestamp, Change)>;

/// How many tombstones one transaction removes, at most.
const TOMBSTONES_AT_ONCE: usize = 1_000;

/// How many folders one transaction looks at, at most; only those that have tombstones count.
const FOLDERS_AT_ONCE: usize = 50;

/// Which tombstones stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Younger ones than this, in milliseconds.
    pub(crate) history_ms: i64,
    /// In a folder at most so many.
    pub(crate) tombstones_max: u32,
}

/// Compacts a chunk, beginning at a folder; gives the folder to go on with, `None` at the end.
pub(crate) async fn run(
    unit: &mut Unit<'_>,
    from: FolderId,
    keep: Keep,
) -> Result<Option<FolderId>, BodyError> {
    let marks = read_marks(unit).await?;
    let limit = unit.now.plus_ms(-keep.history_ms);
    let old = marks.iter().rev().find(|(at, _)| *at <= limit).map(|(_, change)| *change);
    let (mut from, mut room) = (from, TOMBSTONES_AT_ONCE);
    for _ in 0..FOLDERS_AT_ONCE {
        let Some((folder, first)) = first_tombstone(unit, from).await? else {
            write_marks(unit, marks, limit)?;
            return Ok(None);
        };
        let removed = compact(unit, folder, first, old, keep, room).await?;
        room -= removed.min(room);
        if room == 0 {
            return Ok(Some(folder));
        }
        from = FolderId(folder.0 + 1);
    }
    Ok(Some(from))
}

/// The oldest tombstone of the first folder, from one on, that has any.
async fn first_tombstone(
    unit: &Unit<'_>,
    from: FolderId,
) -> Result<Option<(FolderId, Change)>, BodyError> {
    let range = unit.keys.tombstones_from(from);
    let mut next = Some(RangeRead::all(&range).limit(1));
    while let Some(read) = next {
        let page = unit.tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        if let Some(row) = page.rows.first() {
            return Ok(Some(place(unit.keys, &row.key)?));
        }
    }
    Ok(None)
}

fn place(keys: Keys, key: &[u8]) -> Result<(FolderId, Change)> {
    keys.parse_tombstone(key).ok_or_else(|| Error::corrupt("the key of a tombstone"))
}

/// Removes at most `room` tombstones of a folder that need not stay; gives how many.
async fn compact(
    unit: &mut Unit<'_>,
    folder: FolderId,
    first: Change,
    old: Option<Change>,
    keep: Keep,
    room: usize,
) -> Result<usize, BodyError> {
    let all = unit.keys.tombstones(folder);
    let surplus = rows::from_end(&all, keep.tombstones_max);
    let surplus = unit.tx.get_key(&surplus, Isolation::Snapshot).await?;
    let surplus = match surplus >= all.begin {
        true => Some(place(unit.keys, &surplus)?.1),
        false => None,
    };
    let last = match old.max(surplus) {
        Some(last) if last >= first => last,
        _ => return Ok(0),
    };
    let mut range = all;
    range.end = unit.keys.tombstone(folder, Change(last.0 + 1));
    let (mut removed, mut compacted) = (0, None);
    let mut next = Some(RangeRead::all(&range).limit(room));
    while let Some(read) = next {
        let page = unit.tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        for row in &page.rows {
            let (_, change) = place(unit.keys, &row.key)?;
            unit.tx.clear(&row.key);
            unit.tx.clear(&unit.keys.change(folder, change));
            (removed, compacted) = (removed + 1, Some(change));
        }
    }
    if let Some(change) = compacted {
        let row = unit.folder_mut(folder)?;
        row.compacted = row.compacted.max(change);
    }
    Ok(removed)
}

async fn read_marks(unit: &Unit<'_>) -> Result<Marks, BodyError> {
    let row = unit.tx.get(&unit.keys.marks(), Isolation::Snapshot).await?;
    Ok(row.map(|row| rows::decode(&row, "marks")).transpose()?.unwrap_or_default())
}

/// Notes what number there is now; of the marks that are older than the limit the newest stays.
fn write_marks(unit: &mut Unit<'_>, mut marks: Marks, limit: Timestamp) -> Result<()> {
    let superseded = marks.iter().filter(|(at, _)| *at <= limit).count().saturating_sub(1);
    marks.drain(..superseded);
    let now = (unit.now, Change(unit.summary().next_change.saturating_sub(1)));
    marks.push(now);
    unit.tx.set(&unit.keys.marks(), &rows::encode(&marks)?);
    Ok(())
}
