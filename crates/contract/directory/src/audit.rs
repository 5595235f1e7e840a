//! The row of an audit record, for whoever administers something that is not the directory's: the
//! record is written by the transaction that makes the change, and
//! [`DirectoryAdmin::audit`](crate::DirectoryAdmin::audit) shows it among the others.
//!
//! `C/u<versionstamp>`: the record's fields in order, after a version byte.

use crate::{Actor, AuditRecord};
use base::{Result, wire};
use contract_store::keys::KeyBuilder;
use contract_store::{AtomicOp, Transaction};

/// The version byte.
const VERSION: u8 = 1;

/// The prefix of all records.
pub const PREFIX: &[u8] = b"C/u";

/// Writes a record in the caller's transaction. It may be called once in each.
///
/// # Errors
/// [`base::Kind::Internal`] if it cannot be encoded.
pub fn write(tx: &dyn Transaction, record: &AuditRecord) -> Result<()> {
    let AuditRecord { at, actor, action, target, parameters } = record;
    let row: (i64, &Actor, &str, &str, &str) = (at.unix_ms, actor, action, target, parameters);
    let place = u32::try_from(PREFIX.len()).unwrap_or_default().to_le_bytes();
    let key = KeyBuilder::new(PREFIX).raw(&[0; 10]).raw(&place).build();
    tx.atomic(AtomicOp::SetVersionstampedKey, &key, &wire::encode_row(VERSION, &row)?);
    Ok(())
}
