//! Which UIDs of a folder a user has read: one row of 256 bits for 256 UIDs, so that the state
//! costs the same however scattered it is.

use super::keys::Keys;
use super::meta::all_rows;
use super::{decode, encode};
use base::{AccountId, Error, FolderId, Result, Uid};
use contract_mailbox::{IndexBlock, UidSet};
use contract_store::{BodyError, Isolation, Transaction};

/// A bit for each UID of a block, the lowest bit of the first byte for the first of them.
type Bits = [u8; IndexBlock::UIDS as usize / 8];

/// Marks a message as read or unread by a user.
pub(crate) async fn mark(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    user: AccountId,
    uid: Uid,
    read: bool,
) -> Result<(), BodyError> {
    let key = keys.read_by(folder, user, uid.0 / IndexBlock::UIDS);
    let row = tx.get(&key, Isolation::Serializable).await?;
    let old: Bits = row.map(|row| decode(&row, "read state")).transpose()?.unwrap_or_default();
    let mut bits = old;
    let place = (uid.0 % IndexBlock::UIDS) as usize;
    let mask = 1 << (place % 8);
    match read {
        true => bits[place / 8] |= mask,
        false => bits[place / 8] &= !mask,
    }
    if bits == Bits::default() {
        tx.clear(&key);
    } else if bits != old {
        tx.set(&key, &encode(&bits)?);
    }
    Ok(())
}

/// All that a user has read in a folder. May name UIDs that are gone.
pub(crate) async fn read(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    user: AccountId,
) -> Result<UidSet, BodyError> {
    let mut uids = Vec::new();
    for row in all_rows(tx, &keys.all_read_by(folder, user), Isolation::Snapshot).await? {
        let block = keys.parse_read_by(&row.key);
        let block = block.ok_or_else(|| Error::corrupt("the key of a read state"))?;
        let bits: Bits = decode(&row.value, "read state")?;
        for place in 0..IndexBlock::UIDS {
            if bits[place as usize / 8] >> (place % 8) & 1 == 1 {
                uids.push(Uid(block * IndexBlock::UIDS + place));
            }
        }
    }
    Ok(uids.into_iter().collect())
}
