//! ReserveIds: a range of item ids for a client that makes items while it is offline. An id of the
//! range can be used once, by whoever reserved it; no id is ever given twice.

use crate::rows;
use crate::unit::Unit;
use base::{Error, ItemId, Kind, Result};
use contract_mailbox::{Principal, WriteReply};
use contract_store::{BodyError, Isolation, RangeRead};
use serde::{Deserialize, Serialize};

/// The most ids of one request (MAPI clients ask for 65,536, MS-OXCFXICS 3.2.5.9.5).
const COUNT_MAX: u64 = 1 << 20;

/// Ids stay below this, so that they are MAPI global counters as they stand.
const ID_END: u64 = 1 << 48;

/// How many separate runs of used ids one range may have: a client that uses every other id would
/// make the row grow without end.
const RUNS_MAX: usize = 5_000;

/// A reserved range; its first id is in the key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct ReservedRow {
    count: u64,
    principal: Principal,
    /// What has been used of it: sorted, disjoint, not adjacent, inclusive.
    used: Vec<(u64, u64)>,
}

/// The most ranges of one mailbox that are not used up yet; a MAPI client has a few.
const RANGES_MAX: u32 = 10_000;

pub(in crate::write) async fn reserve(
    unit: &mut Unit<'_>,
    count: u64,
) -> Result<WriteReply, BodyError> {
    if count == 0 || count > COUNT_MAX {
        let text = format!("Between 1 and {COUNT_MAX} ids can be reserved at once");
        return Err(Error::new(Kind::Limit, text).into());
    }
    if rows::has_at_least(unit.tx, &unit.keys.all_reserved(), RANGES_MAX).await? {
        let text = format!("A mailbox can have at most {RANGES_MAX} ranges of unused ids");
        return Err(Error::new(Kind::Limit, text).into());
    }
    let first = unit.summary().next_item;
    if first.saturating_add(count) > ID_END {
        return Err(Error::new(Kind::Limit, "The mailbox has used up its ids").into());
    }
    unit.summary().next_item += count;
    let row = ReservedRow { count, principal: unit.principal, used: Vec::new() };
    unit.tx.set(&unit.keys.reserved(first), &rows::encode(&row)?);
    Ok(WriteReply::Reserved(ItemId(first), count))
}

/// Uses an id up.
///
/// # Errors
/// [`Kind::Invalid`] if it was not reserved by the principal, [`Kind::AlreadyExists`] if it was
/// used before.
pub(super) async fn take(unit: &Unit<'_>, id: ItemId) -> Result<(), BodyError> {
    let range = unit.keys.reserved_up_to(id.0);
    let mut next = Some(RangeRead::all(&range).reverse().limit(1));
    let mut found = None;
    while let (Some(read), None) = (next, &found) {
        let page = unit.tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        found = page.rows.into_iter().next();
    }
    let not_reserved = || Error::invalid("The item's id was not reserved");
    let found = found.ok_or_else(not_reserved)?;
    let first = unit.keys.parse_reserved(&found.key);
    let first = first.ok_or_else(|| Error::corrupt("the key of reserved ids"))?;
    let mut row: ReservedRow = rows::decode(&found.value, "reserved ids")?;
    if id.0 - first >= row.count || row.principal != unit.principal {
        return Err(not_reserved().into());
    }
    if !mark(&mut row.used, id.0) {
        return Err(Error::new(Kind::AlreadyExists, "The item's id has been used before").into());
    }
    if row.used.len() > RUNS_MAX {
        return Err(Error::new(Kind::Limit, "Reserved ids have to be used in order").into());
    }
    if row.used == [(first, first + row.count - 1)] {
        unit.tx.clear(&found.key);
    } else {
        unit.tx.set(&found.key, &rows::encode(&row)?);
    }
    Ok(())
}

/// Adds an id to what was used; false if it is in there.
fn mark(used: &mut Vec<(u64, u64)>, id: u64) -> bool {
    let place = used.partition_point(|run| run.1 < id);
    if used.get(place).is_some_and(|run| run.0 <= id) {
        return false;
    }
    used.insert(place, (id, id));
    if used.get(place + 1).is_some_and(|next| next.0 == id + 1) {
        used[place].1 = used[place + 1].1;
        used.remove(place + 1);
    }
    if place > 0 && used[place - 1].1 + 1 == id {
        used[place - 1].1 = used[place].1;
        used.remove(place);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_used_ids_grow_together() {
        let mut used = Vec::new();
        let mut check = |id, fresh, expect: &[(u64, u64)]| {
            assert_eq!(mark(&mut used, id), fresh, "{id}");
            assert_eq!(used, expect, "after {id}");
        };
        check(5, true, &[(5, 5)]);
        check(5, false, &[(5, 5)]);
        check(7, true, &[(5, 5), (7, 7)]);
        check(6, true, &[(5, 7)]);
        check(6, false, &[(5, 7)]);
        check(3, true, &[(3, 3), (5, 7)]);
        check(9, true, &[(3, 3), (5, 7), (9, 9)]);
        check(8, true, &[(3, 3), (5, 9)]);
        check(4, true, &[(3, 9)]);
    }
}
