//! Delta: what happened to a folder since a change number, from the change index.

use super::{Reader, entries};
use crate::rows::{self, ChangeRow, ChangeState};
use base::{Change, FolderId, Result};
use contract_mailbox::ViewDelta;
use contract_store::{BodyError, Isolation, RangeRead, Transaction};

/// From so many steps on the whole view is the smaller answer: it has no steps, only messages.
const STEPS_MAX: usize = 20_000;

/// What can be said without asking the store: nothing has happened, or it is not known any more
/// what has gone.
pub(super) fn known(reader: &Reader, folder: FolderId, since: Change) -> Result<Option<ViewDelta>> {
    let row = reader.folder(folder)?;
    let complete = since >= row.compacted;
    Ok((since >= row.info.highest_change || !complete).then(|| empty(reader, row, complete)))
}

fn empty(reader: &Reader, row: &rows::FolderRow, complete: bool) -> ViewDelta {
    ViewDelta {
        info: reader.info(row),
        keywords: reader.keywords.clone(),
        changed: Vec::new(),
        vanished: Vec::new(),
        complete,
    }
}

pub(super) async fn read(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
    since: Change,
    retried: bool,
) -> Result<ViewDelta, BodyError> {
    let row = reader.folder(folder)?;
    if retried && !reader.knows_since(tx, folder, since).await? {
        return Ok(empty(reader, row, false));
    }
    let range = reader.keys.changes(folder, since, row.info.highest_change);
    let (mut changed, mut vanished, mut steps) = (Vec::new(), Vec::new(), 0);
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        steps += page.rows.len();
        if steps > STEPS_MAX {
            return Ok(empty(reader, row, false));
        }
        for step in &page.rows {
            let step: ChangeRow = rows::decode(&step.value, "change")?;
            // Associated items have no UID and are nothing that a view shows.
            let Some(uid) = step.uid else { continue };
            match step.state {
                ChangeState::Here(_) => changed.push(uid),
                ChangeState::Gone | ChangeState::Replaced => vanished.push(uid),
            }
        }
    }
    let mut delta = empty(reader, row, true);
    changed.sort_unstable();
    delta.changed = entries::of(reader, tx, folder, &changed).await?;
    vanished.sort_unstable();
    vanished.dedup();
    delta.vanished = vanished;
    Ok(delta)
}
