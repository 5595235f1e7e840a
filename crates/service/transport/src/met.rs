//! What earlier pieces of a message's recipients have met, so that nobody gets it twice: rows that
//! are there only while a message takes several pieces, and go with its state. (Mailboxes know
//! themselves which messages they have.)
//!
//! - `Q/s/<slot><queue> ffff a <domain> 0 <local>` an address of another server that has its copy;
//!   what that makes of upper and lower case is its own.
//! - `Q/s/<slot><queue> ffff g <group>` a group within a group that was not gone into.

use crate::context::Context;
use base::{Address, QueueId, Result, Slot};
use bytes::Bytes;
use contract_directory::GroupId;
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{
    Isolation, KeyRange, KeyValue, RangeRead, StoreResult, Transaction, body, transact,
};
use contract_transport::{QueueEntry, rows};
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::collections::HashSet;

/// What stands in place of the number of a piece of the state, of which there are fewer.
pub(crate) const PIECE: u16 = u16::MAX;

/// How many rows are read at once.
const LOOKUPS_AT_ONCE: usize = 64;

const VALUE: &[u8] = b"\x01";

/// Something that a piece of the recipients has met.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Met {
    /// An address of another server.
    Outside(Address),
    /// A group that was not gone into.
    Closed(GroupId),
}

impl Met {
    fn key(&self, slot: Slot, queue: QueueId) -> Bytes {
        match self {
            Self::Outside(Address { local, domain }) => {
                let of_domain = prefix(slot, queue).raw(b"a").text(domain.as_bytes());
                of_domain.raw(local.as_bytes()).build()
            }
            Self::Closed(group) => closed_prefix(slot, queue).u64(group.0).build(),
        }
    }
}

fn prefix(slot: Slot, queue: QueueId) -> KeyBuilder {
    KeyBuilder::new(&rows::state_prefix(slot, queue)).u16(PIECE)
}

fn closed_prefix(slot: Slot, queue: QueueId) -> KeyBuilder {
    prefix(slot, queue).raw(b"g")
}

/// Remembers in the caller's transaction what a piece has met.
pub(crate) fn remember(tx: &dyn Transaction, slot: Slot, queue: QueueId, met: &[Met]) {
    met.iter().for_each(|one| tx.set(&one.key(slot, queue), VALUE));
}

/// The groups that were not gone into by earlier pieces.
///
/// # Errors
/// The store's.
pub(crate) async fn closed(context: &Context, entry: &QueueEntry) -> Result<HashSet<GroupId>> {
    let prefix = closed_prefix(context.control.slot_of_queue(entry.queue), entry.queue).build();
    let read = body(prefix, |prefix, tx, _| {
        async move {
            let mut groups = HashSet::new();
            let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                next = read.after(&page);
                let id = |row: &KeyValue| KeyReader::new(&row.key, prefix)?.u64();
                let ids: Vec<u64> = page.rows.iter().filter_map(id).collect();
                groups.extend(ids.into_iter().map(GroupId));
            }
            Ok(groups)
        }
        .boxed()
    });
    transact(&context.store, read).await
}

/// Which of these addresses have their copies from earlier pieces.
///
/// # Errors
/// The store's.
pub(crate) async fn served(
    context: &Context,
    entry: &QueueEntry,
    addresses: Vec<Address>,
) -> Result<HashSet<Address>> {
    let (slot, queue) = (context.control.slot_of_queue(entry.queue), entry.queue);
    let read = body(addresses, move |addresses, tx, _| {
        async move {
            let lookups: Vec<_> =
                addresses.iter().map(|address| find(tx, slot, queue, address.clone())).collect();
            let found: Vec<Option<Address>> =
                futures::stream::iter(lookups).buffered(LOOKUPS_AT_ONCE).try_collect().await?;
            Ok(found.into_iter().flatten().collect())
        }
        .boxed()
    });
    transact(&context.store, read).await
}

async fn find(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
    address: Address,
) -> StoreResult<Option<Address>> {
    let met = Met::Outside(address);
    let is_known = tx.get(&met.key(slot, queue), Isolation::Snapshot).await?.is_some();
    Ok(match met {
        Met::Outside(address) if is_known => Some(address),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_goes_with_the_state_and_is_none_of_its_pieces() {
        let (Some(slot), queue) = (Slot::new(0x0102), QueueId(7)) else { panic!("no such slot") };
        let state = KeyRange::prefix(&rows::state_prefix(slot, queue));
        let group = Met::Closed(GroupId(3)).key(slot, queue);
        let golden = b"Q/s/\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\xff\xffg\0\0\0\0\0\0\0\x03";
        assert_eq!(group.escape_ascii().to_string(), golden.escape_ascii().to_string());
        let address = |local: &str| Met::Outside(Address::new(local, "x.test")).key(slot, queue);
        assert!(state.contains(&group) && state.contains(&address("a")));
        assert!(address("a") == address("a") && address("a") != address("A"));
    }
}
