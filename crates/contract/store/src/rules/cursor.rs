//! Walking over one version of the database with a transaction's own writes on top.

use super::WriteMap;
use super::write_map::Own;
use crate::{KeyRange, KeyValue, Page, StoreError, StoreResult};
use bytes::Bytes;
use std::collections::VecDeque;

/// One version of the database, without anybody's pending writes. Calls may block briefly.
pub trait Snapshot {
    /// The value of a key.
    ///
    /// # Errors
    /// Any [`StoreError`] of the backend.
    fn get(&self, key: &[u8]) -> StoreResult<Option<Bytes>>;

    /// About `rows` rows of a range, ascending or descending. A page may be shorter while `more`
    /// is true, but then holds at least one row.
    ///
    /// # Errors
    /// Any [`StoreError`] of the backend.
    fn scan(&self, range: &KeyRange, reverse: bool, rows: usize) -> StoreResult<Page>;
}

/// The most rows that are fetched at a time.
const CHUNK_ROWS_MAX: usize = 512;

/// Yields the rows of a window one by one, own writes included.
pub struct Cursor<'a> {
    base: &'a dyn Snapshot,
    writes: &'a WriteMap,
    /// What has not been yielded yet.
    window: KeyRange,
    /// What has not been fetched yet.
    unfetched: KeyRange,
    chunk: VecDeque<KeyValue>,
    chunk_rows: usize,
    reverse: bool,
}

impl<'a> Cursor<'a> {
    /// Over a window; `rows` is how many the caller expects to take (0 = no idea).
    pub fn new(
        base: &'a dyn Snapshot,
        writes: &'a WriteMap,
        window: KeyRange,
        reverse: bool,
        rows: usize,
    ) -> Self {
        let chunk_rows = if rows == 0 { 128 } else { rows.min(CHUNK_ROWS_MAX) };
        let unfetched = window.clone();
        Self { base, writes, window, unfetched, chunk: VecDeque::new(), chunk_rows, reverse }
    }

    fn fill(&mut self) -> StoreResult<()> {
        if !self.chunk.is_empty() || self.unfetched.is_empty() {
            return Ok(());
        }
        let page = self.base.scan(&self.unfetched, self.reverse, self.chunk_rows)?;
        self.chunk_rows = (self.chunk_rows * 2).min(CHUNK_ROWS_MAX);
        match page.rows.last() {
            Some(last) if page.more => cut(&mut self.unfetched, &last.key, self.reverse),
            _ => self.unfetched.begin = self.unfetched.end.clone(),
        }
        self.chunk = page.rows.into();
        Ok(())
    }

    /// The next row; `None` at the end of the window.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where it crosses a key that waits for a stamp; those of
    /// [`Snapshot::scan`].
    pub fn next_row(&mut self) -> StoreResult<Option<KeyValue>> {
        loop {
            self.fill()?;
            let base = self.chunk.front().map(|row| row.key.clone());
            let own = self.writes.first_own(&self.window, self.reverse);
            let own = own.map(|(key, own)| (key.clone(), own.clone()));
            let Some(key) = nearer(base.as_ref(), own.as_ref().map(|o| &o.0), self.reverse) else {
                self.refuse_unreadable(&self.window)?;
                self.window.begin = self.window.end.clone();
                return Ok(None);
            };
            self.refuse_unreadable(&self.passed(&key))?;
            cut(&mut self.window, &key, self.reverse);
            let below = if base.as_ref() == Some(&key) { self.chunk.pop_front() } else { None };
            let value = match own {
                Some((own_key, own)) if own_key == key => own_value(&own, below),
                _ => match self.writes.cleared(&key) {
                    Some(cleared) => {
                        self.skip(&cleared);
                        continue;
                    }
                    None => below.map(|row| row.value),
                },
            };
            if let Some(value) = value {
                return Ok(Some(KeyValue { key, value }));
            }
        }
    }

    /// Drops fetched rows of a cleared range, and does not fetch the rest of it.
    fn skip(&mut self, cleared: &KeyRange) {
        while self.chunk.front().is_some_and(|row| cleared.contains(&row.key)) {
            self.chunk.pop_front();
        }
        if !self.chunk.is_empty() {
            return;
        }
        if self.reverse {
            self.unfetched.end = self.unfetched.end.clone().min(cleared.begin.clone());
        } else {
            self.unfetched.begin = self.unfetched.begin.clone().max(cleared.end.clone());
        }
    }

    /// From the window's near edge to `key`, both included.
    fn passed(&self, key: &Bytes) -> KeyRange {
        if self.reverse {
            KeyRange { begin: key.clone(), end: self.window.end.clone() }
        } else {
            KeyRange { begin: self.window.begin.clone(), end: KeyRange::single(key).end }
        }
    }

    fn refuse_unreadable(&self, range: &KeyRange) -> StoreResult<()> {
        if self.writes.is_unreadable(range) { Err(StoreError::Unreadable) } else { Ok(()) }
    }
}

fn own_value(own: &Own, below: Option<KeyValue>) -> Option<Bytes> {
    own.value(below.map(|row| row.value))
}

/// Takes everything up to and including `key` off the near edge of a window.
fn cut(window: &mut KeyRange, key: &Bytes, reverse: bool) {
    if reverse {
        window.end = key.clone();
    } else {
        window.begin = KeyRange::single(key).end;
    }
}

fn nearer(a: Option<&Bytes>, b: Option<&Bytes>, reverse: bool) -> Option<Bytes> {
    match (a, b) {
        (Some(a), Some(b)) if reverse => Some(a.max(b).clone()),
        (Some(a), Some(b)) => Some(a.min(b).clone()),
        (one, None) | (None, one) => one.cloned(),
    }
}
