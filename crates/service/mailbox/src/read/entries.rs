//! Entries of a folder's index by UID: rows of neighbouring blocks are read as one range.

use super::Reader;
use crate::rows;
use base::{FolderId, Uid};
use contract_mailbox::{IndexBlock, IndexEntry};
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, Transaction};

/// The entries of these messages, whose UIDs are in ascending order; unknown ones are left out.
pub(super) async fn of(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
    uids: &[Uid],
) -> Result<Vec<IndexEntry>, BodyError> {
    let mut found = Vec::with_capacity(uids.len());
    for (first, last) in runs(uids.iter().map(|uid| uid.0 / IndexBlock::UIDS)) {
        let keys = reader.keys;
        let end = keys.block(folder, last.saturating_add(1));
        let range = KeyRange { begin: keys.block(folder, first), end };
        let mut next = Some(RangeRead::all(&range));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            for row in &page.rows {
                let block = rows::decode_block(&row.value)?;
                let is_wanted = |entry: &&IndexEntry| uids.binary_search(&entry.uid).is_ok();
                found.extend(block.entries.iter().filter(is_wanted));
            }
        }
    }
    Ok(found)
}

/// Numbers in ascending order as runs of neighbours, both ends included.
fn runs(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if number <= run.1.saturating_add(1) => run.1 = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run() {
        let check = |numbers: &[u32], expect: &[(u32, u32)]| {
            assert_eq!(runs(numbers.iter().copied()), expect);
        };
        check(&[], &[]);
        check(&[3, 3, 4, 6], &[(3, 4), (6, 6)]);
        check(&[0, 1, 2, u32::MAX], &[(0, 2), (u32::MAX, u32::MAX)]);
    }
}
