//! Verifying a mailbox: that all its rows fit together.
//!
//! Every row is read once and every statement of one row about another is checked in both
//! directions: index entries, items, metas, history, name indexes, counts, sizes, and the limits
//! below which ids and numbers must lie. What stands in blobs is the blob store's to scrub.

mod check;
mod walk;

use crate::retry::Attempts;
use crate::rows::keys::Keys;
use base::{AccountId, Result};
use contract_blob::{BlobId, Holder};
use contract_store::keys::KeyReader;
use contract_store::{Isolation, KeyRange, KeySelector, RangeRead, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use walk::Walk;

/// How many problems a report spells out.
const PROBLEMS_MAX: usize = 100;

/// What the keys of all mailboxes begin with.
const PREFIX: &[u8] = b"A";

/// How many rows are read in one transaction.
const PAGE_ROWS: usize = 1_000;

/// What a mailbox's rows say, and what is wrong with them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How many rows it has; 0 for a mailbox that was never used.
    pub rows: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Folders, hidden and deleted ones among them.
    pub folders: u64,
    /// Items, wherever they are.
    pub items: u64,
    /// Entries of all folders' indexes, search folders not counted.
    pub messages: u64,
    /// Every blob that a message or an item names; whether it is there is the blob store's to say.
    pub blobs: BTreeSet<BlobId>,
    /// The same, each with the name under which the item that names it must hold it.
    pub holds: BTreeSet<(BlobId, Holder)>,
    /// Whether a bulk command waits to be finished. That is no problem: the next owner does.
    pub unfinished_job: bool,
    /// What does not fit, as sentences for an operator; the first hundred.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problem_count: u64,
}

impl Report {
    /// Whether everything fits.
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        }
    }
}

/// Reads all rows of a mailbox and checks them. Changes nothing. Nobody may write the mailbox
/// meanwhile: it is read in pages, and what is written between two of them would look like damage.
/// Takes some 200 bytes of memory for each message.
///
/// # Errors
/// The store's. Damaged rows are no error but problems of the report.
pub async fn verify(store: &Arc<dyn Store>, account: AccountId) -> Result<Report> {
    let keys = Keys(account);
    let mut walk = Walk::new(keys);
    let mut next = Some(RangeRead::all(&keys.everything()));
    while let Some(read) = next.take() {
        let tx = store.begin();
        let mut attempts = Attempts::default();
        let page = loop {
            match tx.get_range(&read.clone().limit(PAGE_ROWS), Isolation::Snapshot).await {
                Ok(page) => break page,
                Err(error) => attempts.again(&*tx, error).await?,
            }
        };
        for row in &page.rows {
            walk.row(row);
        }
        next = read.after(&page);
    }
    Ok(check::run(walk))
}

/// The first mailbox after one (the very first with `None`) that has any rows.
///
/// # Errors
/// The store's.
pub async fn next_mailbox(
    store: &Arc<dyn Store>,
    after: Option<AccountId>,
) -> Result<Option<AccountId>> {
    let all = KeyRange::prefix(PREFIX);
    let begin = after.map_or(all.begin, |account| Keys(account).everything().end);
    let first = KeySelector::first_greater_or_equal(begin);
    let tx = store.begin();
    let mut attempts = Attempts::default();
    let key = loop {
        match tx.get_key(&first, Isolation::Snapshot).await {
            Ok(key) => break key,
            Err(error) => attempts.again(&*tx, error).await?,
        }
    };
    Ok(KeyReader::new(&key, PREFIX).and_then(|mut rest| rest.u64()).map(AccountId))
}
