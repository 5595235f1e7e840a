//! Delta: what happened to a folder since a change number, from the change index.

use super::Reader;
use crate::rows::meta::all_rows;
use crate::rows::{self, ChangeRow, ChangeState};
use base::{Change, FolderId, Result, Uid};
use contract_mailbox::{IndexBlock, IndexEntry, ViewDelta};
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction, transact};
use futures::future::BoxFuture;
use std::collections::BTreeMap;

pub(super) async fn read(reader: &Reader, folder: FolderId, since: Change) -> Result<ViewDelta> {
    let row = reader.folder(folder)?;
    let info = reader.info(row);
    let complete = since >= row.compacted;
    let (mut changed, mut vanished) = (Vec::new(), Vec::new());
    if since < info.highest_change {
        let body = History { reader, folder, since, up_to: info.highest_change };
        (changed, vanished) = transact(&reader.context.store, body).await?;
    }
    Ok(ViewDelta { info, keywords: reader.keywords.clone(), changed, vanished, complete })
}

struct History<'r> {
    reader: &'r Reader,
    folder: FolderId,
    since: Change,
    up_to: Change,
}

type Steps = (Vec<IndexEntry>, Vec<Uid>);

impl Body<Steps> for History<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Steps, BodyError>> {
        Box::pin(self.read(tx))
    }
}

impl History<'_> {
    async fn read(&self, tx: &dyn Transaction) -> Result<Steps, BodyError> {
        let keys = self.reader.keys;
        let range = keys.changes(self.folder, self.since, self.up_to);
        let mut by_block: BTreeMap<u32, Vec<Uid>> = BTreeMap::new();
        let mut vanished = Vec::new();
        for row in all_rows(tx, &range, Isolation::Snapshot).await? {
            let step: ChangeRow = rows::decode(&row.value, "change")?;
            // Associated items have no UID and are nothing that a view shows.
            let Some(uid) = step.uid else { continue };
            match step.state {
                ChangeState::Here(_) => {
                    by_block.entry(uid.0 / IndexBlock::UIDS).or_default().push(uid);
                }
                ChangeState::Gone | ChangeState::Replaced => vanished.push(uid),
            }
        }
        let mut changed = Vec::new();
        for (number, mut uids) in by_block {
            uids.sort_unstable();
            let row = tx.get(&keys.block(self.folder, number), Isolation::Snapshot).await?;
            let Some(row) = row else { continue };
            let block = rows::decode_block(&row)?;
            let wanted = |entry: &&IndexEntry| uids.binary_search(&entry.uid).is_ok();
            changed.extend(block.entries.iter().filter(wanted));
        }
        vanished.sort_unstable();
        vanished.dedup();
        Ok((changed, vanished))
    }
}
