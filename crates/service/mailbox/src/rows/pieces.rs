//! Values that may be larger than one row: cut into pieces, whose numbers end their keys.

use base::{Error, Result};
use bytes::Bytes;
use contract_store::{BodyError, Isolation, KeyRange, Transaction};

use super::meta::all_rows;

/// The longest piece, in bytes; below the value limit.
pub(crate) const PIECE_BYTES: usize = 90_000;

/// The key of one piece.
pub(crate) fn key(prefix: &[u8], number: u16) -> Bytes {
    [prefix, &number.to_be_bytes()].concat().into()
}

/// Writes a value in place of what was there. No other key may begin with the prefix.
pub(crate) fn write(tx: &dyn Transaction, prefix: &[u8], value: &[u8]) -> Result<()> {
    clear(tx, prefix);
    for (number, piece) in value.chunks(PIECE_BYTES).enumerate() {
        let number =
            u16::try_from(number).map_err(|_| Error::internal("a value needs too many pieces"))?;
        tx.set(&key(prefix, number), piece);
    }
    Ok(())
}

/// Removes a value.
pub(crate) fn clear(tx: &dyn Transaction, prefix: &[u8]) {
    tx.clear_range(&KeyRange::prefix(prefix));
}

/// Reads a value; `None` if there is none.
pub(crate) async fn read(
    tx: &dyn Transaction,
    prefix: &[u8],
    isolation: Isolation,
) -> Result<Option<Bytes>, BodyError> {
    let rows = all_rows(tx, &KeyRange::prefix(prefix), isolation).await?;
    Ok(join(rows.into_iter().map(|row| row.value).collect()))
}

/// Puts pieces together, which are in order.
pub(crate) fn join(mut pieces: Vec<Bytes>) -> Option<Bytes> {
    match pieces.len() {
        0 => None,
        1 => pieces.pop(),
        _ => Some(pieces.concat().into()),
    }
}
