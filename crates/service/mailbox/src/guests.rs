//! Finding the mailboxes in which somebody is a guest.
//!
//! Rights stand in the mailboxes' own folders; whoever is given some gets a row beside, in the same
//! transaction (`write/permissions.rs`). Those rows are read here, by any node and without waking an
//! actor. They are hints: a folder or a mailbox that is gone leaves its rows behind, and what a
//! guest really may do is decided where it is asked for.

use crate::context::Context;
use crate::retry::Attempts;
use crate::rows::keys::Keys;
use base::{AccountId, Deadline, Error, Result};
use contract_store::{Isolation, RangeRead};
use std::time::Duration;

/// How long the store may take.
const LOOKUP_TIME: Duration = Duration::from_secs(10);

/// The owners of such mailboxes, at most `limit`.
///
/// # Errors
/// The store's; unavailable where it does not answer in time.
pub(crate) async fn owners(
    context: &Context,
    guest: AccountId,
    limit: usize,
) -> Result<Vec<AccountId>> {
    let deadline = Deadline::after(LOOKUP_TIME);
    match tokio::time::timeout_at(deadline.instant(), read(context, guest, limit)).await {
        Ok(owners) => owners,
        Err(_) => Err(Error::unavailable("the store did not tell in time what is shared")),
    }
}

async fn read(context: &Context, guest: AccountId, limit: usize) -> Result<Vec<AccountId>> {
    let tx = context.store.begin();
    let (mut attempts, mut owners) = (Attempts::default(), Vec::new());
    let mut next = Some(RangeRead::all(&Keys(guest).guest_marks()).limit(limit));
    while let Some(read) = next {
        let page = loop {
            match tx.get_range(&read, Isolation::Snapshot).await {
                Ok(page) => break page,
                Err(error) => attempts.again(&*tx, error).await?,
            }
        };
        next = read.after(&page);
        owners.extend(page.rows.iter().filter_map(|row| Keys::parse_guest_mark(&row.key)));
    }
    Ok(owners)
}
