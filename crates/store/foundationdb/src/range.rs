//! Range reads and key selectors.
//!
//! Pages are asked for by bytes, not by FoundationDB's graded modes: these are for iterating
//! without knowing how far, while callers here say how much they want, or want all.
//!
//! In a key space of its own a selector must not leave it. One that moves by at most one key is
//! passed on, and a key outside means an end. One that goes further is walked, row by row of the
//! space, so that it can neither show nor count a stranger's key.

use crate::errors;
use crate::page::Copier;
use crate::settled::settled;
use crate::transaction::FdbTransaction;
use bytes::Bytes;
use contract_store::rules::validate::{self, END_OF_KEYS};
use contract_store::{
    Isolation, KeySelector, KeyValue, Page, RangeRead, StoreResult, Transaction as _,
};
use foundationdb::future::FdbValues;
use foundationdb::options::StreamingMode;
use foundationdb::{KeySelector as FdbSelector, RangeOption};

/// How large a page is where the caller does not say, in bytes: some hundred rows, so that a long
/// scan is not bound by round trips.
const PAGE_BYTES: usize = 256 << 10;

/// What is given to the database.
struct Bounds {
    begin: KeySelector,
    end: KeySelector,
}

impl FdbTransaction {
    /// Resolves a selector.
    pub(crate) async fn resolve(
        &self,
        selector: &KeySelector,
        isolation: Isolation,
    ) -> StoreResult<Bytes> {
        let space = &self.shared.space;
        if !space.is_whole() && !(0..=1).contains(&selector.offset) {
            return self.walk(selector, isolation).await;
        }
        let resolving = {
            let mut slot = self.slot.lock();
            let transaction = slot.usable()?;
            validate::selector(selector)?;
            let outer = space.outer_selector(selector);
            let resolving = transaction.get_key(&fdb_selector(&outer), is_snapshot(isolation));
            slot.has_read(2 * selector.key.len(), isolation);
            resolving
        };
        let key = settled(resolving).await.map_err(errors::of_read)?;
        Ok(Bytes::copy_from_slice(space.inner_resolved(&key)))
    }

    /// Resolves a selector of any offset by reading the rows that it passes.
    async fn walk(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        let edge = KeySelector { offset: 1, ..selector.clone() };
        let forward = selector.offset > 0;
        let steps =
            if forward { i64::from(selector.offset) } else { 1 - i64::from(selector.offset) };
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let (begin, end) = if forward {
            (edge, KeySelector::first_greater_or_equal(END_OF_KEYS))
        } else {
            (KeySelector::first_greater_or_equal(Bytes::new()), edge)
        };
        let limit = steps.min(i32::MAX as usize);
        let mut next = Some(RangeRead { begin, end, limit, target_bytes: 0, reverse: !forward });
        let mut left = steps;
        while let Some(read) = next {
            let page = self.get_range(&read, isolation).await?;
            left -= page.rows.len().min(left);
            if let (0, Some(row)) = (left, page.rows.last()) {
                return Ok(row.key.clone());
            }
            next = read.after(&page);
        }
        Ok(if forward { Bytes::from_static(END_OF_KEYS) } else { Bytes::new() })
    }

    /// Reads one page.
    pub(crate) async fn read_page(
        &self,
        read: &RangeRead,
        isolation: Isolation,
    ) -> StoreResult<Page> {
        self.slot.lock().usable()?;
        validate::range_read(read)?;
        let bounds = self.bounds(read, isolation).await?;
        let reading = {
            let mut slot = self.slot.lock();
            let transaction = slot.usable()?;
            let wanted = RangeOption {
                begin: fdb_selector(&bounds.begin),
                end: fdb_selector(&bounds.end),
                limit: (read.limit != 0).then_some(read.limit),
                target_bytes: if read.target_bytes == 0 { PAGE_BYTES } else { read.target_bytes },
                mode: StreamingMode::Exact,
                reverse: read.reverse,
                ..RangeOption::default()
            };
            let reading = transaction.get_range(&wanted, 1, is_snapshot(isolation));
            slot.has_read(read.begin.key.len() + read.end.key.len(), isolation);
            reading
        };
        Ok(self.page(&settled(reading).await.map_err(errors::of_read)?))
    }

    async fn bounds(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Bounds> {
        let (begin, end) = futures::try_join!(
            self.bound(&read.begin, isolation),
            self.bound(&read.end, isolation)
        )?;
        Ok(Bounds { begin, end })
    }

    /// A bound in the database that shows no stranger's rows: one that counts forward by one key
    /// cannot, any other is resolved first.
    async fn bound(
        &self,
        selector: &KeySelector,
        isolation: Isolation,
    ) -> StoreResult<KeySelector> {
        let space = &self.shared.space;
        if space.is_whole() || selector.offset == 1 {
            return Ok(space.outer_selector(selector));
        }
        let key = self.resolve(selector, isolation).await?;
        Ok(space.outer_selector(&KeySelector::first_greater_or_equal(key)))
    }

    fn page(&self, values: &FdbValues) -> Page {
        let bytes = values.iter().map(|row| row.key().len() + row.value().len()).sum();
        let mut copier = Copier::new(bytes);
        let rows = values.iter().filter_map(|row| {
            let key = copier.copy(self.shared.space.inner(row.key())?);
            Some(KeyValue { key, value: copier.copy(row.value()) })
        });
        Page { rows: rows.collect(), more: values.more() }
    }
}

pub(crate) fn is_snapshot(isolation: Isolation) -> bool {
    isolation == Isolation::Snapshot
}

fn fdb_selector(selector: &KeySelector) -> FdbSelector<'_> {
    FdbSelector::new((&selector.key[..]).into(), selector.or_equal, selector.offset)
}
