//! Questions about items rather than messages.

use super::Reader;
use base::{Error, Result};
use contract_mailbox::{Read, ReadReply};
use contract_store::Transaction;

pub(super) async fn read(
    _reader: &Reader,
    request: Read,
    _tx: &dyn Transaction,
) -> Result<ReadReply> {
    Err(Error::internal(format!("{request:?}")))
}
