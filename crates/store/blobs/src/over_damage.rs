//! Reading a list although some of its rows are damaged.

use bytes::Bytes;
use contract_store::{Isolation, KeyRange, KeyValue, RangeRead, StoreError, Transaction};

/// So many damaged rows are passed over; where there are more, the list counts as ended.
const DAMAGED_MAX: usize = 1_000;

/// The first rows of a list.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) rows: Vec<KeyValue>,
    /// Whether the list goes on.
    pub(crate) more: bool,
    /// The keys of the rows between them that cannot be read.
    pub(crate) damaged: Vec<Bytes>,
}

/// Up to `limit` rows of a list, read without conflicts: others add to it all the time.
pub(crate) async fn head(
    tx: &dyn Transaction,
    list: &KeyRange,
    limit: usize,
) -> Result<Head, StoreError> {
    let mut head = Head::default();
    // What is left to be read, the next part last.
    let mut parts = vec![list.clone()];
    while let Some(part) = parts.pop() {
        let wanted = limit.max(1) - head.rows.len();
        match rows(tx, &part, wanted).await {
            Ok((rows, more)) => {
                head.rows.extend(rows);
                head.more = more || (head.rows.len() >= limit && !parts.is_empty());
                if head.more {
                    break;
                }
            }
            Err(StoreError::Damaged { key, .. }) if part.contains(&key) => {
                if head.damaged.len() >= DAMAGED_MAX {
                    break;
                }
                let behind = KeyRange::single(&key).end;
                parts.push(KeyRange::new(behind, part.end));
                parts.push(KeyRange::new(part.begin, key.clone()));
                head.damaged.push(key);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

async fn rows(
    tx: &dyn Transaction,
    part: &KeyRange,
    limit: usize,
) -> Result<(Vec<KeyValue>, bool), StoreError> {
    let (mut rows, mut more) = (Vec::new(), false);
    let mut next = Some(RangeRead::all(part).limit(limit));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        more = page.more;
        rows.extend(page.rows);
    }
    Ok((rows, more))
}
