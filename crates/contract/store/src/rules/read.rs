//! The three reads with the ranges that they depend on.
//!
//! A read's conflict ranges are exactly those whose change could change its answer (facts 2 and
//! 3); parts that the transaction wrote itself are taken out by
//! [`WriteMap::dependent_parts`] afterwards.

use super::{Cursor, Snapshot, WriteMap};
use crate::{KeyRange, KeySelector, Page, RangeRead, StoreError, StoreResult};
use bytes::Bytes;

/// A page ends after about so many bytes where the caller leaves it to us.
pub const PAGE_BYTES_DEFAULT: usize = 128 * 1024;

/// The value of a key.
///
/// # Errors
/// [`StoreError::Unreadable`]; those of [`Snapshot::get`].
pub fn get(base: &dyn Snapshot, writes: &WriteMap, key: &[u8]) -> StoreResult<Option<Bytes>> {
    if writes.is_unreadable(&KeyRange::single(key)) {
        return Err(StoreError::Unreadable);
    }
    match writes.own(key) {
        Some(own @ super::write_map::Own::Known(_)) => Ok(own.value(None)),
        Some(pending) => Ok(pending.value(base.get(key)?)),
        None => base.get(key),
    }
}

/// A selector's answer.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The key; empty before the first, `\xff` after the last.
    pub key: Bytes,
    /// Everything that was looked at to find it.
    pub examined: KeyRange,
    /// The same without what lies behind the last key that was passed: what the end of a range
    /// depends on.
    pub passed: KeyRange,
}

/// Where counting starts: the first key that is not "before".
fn origin(writes: &WriteMap, selector: &KeySelector) -> Bytes {
    if &selector.key[..] >= writes.end_of_keys() {
        Bytes::from_static(writes.end_of_keys())
    } else if selector.or_equal {
        KeyRange::single(&selector.key).end
    } else {
        selector.key.clone()
    }
}

/// Finds the key that a selector names.
///
/// # Errors
/// As [`get`].
pub fn resolve(
    base: &dyn Snapshot,
    writes: &WriteMap,
    selector: &KeySelector,
) -> StoreResult<Resolved> {
    let origin = origin(writes, selector);
    let forward = selector.offset > 0;
    let mut left =
        if forward { selector.offset.unsigned_abs() } else { selector.offset.unsigned_abs() + 1 };
    let window = if forward {
        KeyRange { begin: origin.clone(), end: Bytes::from_static(writes.end_of_keys()) }
    } else {
        KeyRange { begin: Bytes::new(), end: origin.clone() }
    };
    let mut cursor = Cursor::new(base, writes, window.clone(), !forward, left as usize);
    let mut previous = None;
    loop {
        let Some(row) = cursor.next_row()? else {
            let key = if forward { window.end.clone() } else { Bytes::new() };
            return Ok(Resolved { key, examined: window.clone(), passed: window });
        };
        left -= 1;
        if left == 0 {
            return Ok(found(row.key, origin, previous, forward));
        }
        previous = Some(row.key);
    }
}

fn found(key: Bytes, origin: Bytes, previous: Option<Bytes>, forward: bool) -> Resolved {
    if !forward {
        let examined = KeyRange { begin: key.clone(), end: origin };
        return Resolved { key, passed: examined.clone(), examined };
    }
    let passed_end = previous.map_or_else(|| origin.clone(), |key| KeyRange::single(&key).end);
    let passed = KeyRange { begin: origin.clone(), end: passed_end };
    let examined = KeyRange { begin: origin, end: KeyRange::single(&key).end };
    Resolved { key, examined, passed }
}

/// Reads one page; `rows_max` cuts it shorter than the caller asked for (0 = does not). The
/// ranges are what the page depends on.
///
/// # Errors
/// As [`get`].
pub fn get_range(
    base: &dyn Snapshot,
    writes: &WriteMap,
    read: &RangeRead,
    rows_max: usize,
) -> StoreResult<(Page, Vec<KeyRange>)> {
    let mut conflicts = Vec::new();
    // With offset 1 the origin itself bounds the rows just as well, and costs no read.
    let begin = match read.begin.offset {
        1 => origin(writes, &read.begin),
        _ => {
            let resolved = resolve(base, writes, &read.begin)?;
            conflicts.push(resolved.examined);
            resolved.key
        }
    };
    let (end, end_dependence) = match read.end.offset {
        1 => (origin(writes, &read.end), None),
        _ => {
            let resolved = resolve(base, writes, &read.end)?;
            conflicts.push(resolved.passed.clone());
            (resolved.key, Some(resolved.passed.end))
        }
    };
    let window = KeyRange { begin, end };
    if window.is_empty() {
        return Ok((Page::default(), conflicts));
    }
    let page = take_page(base, writes, read, window.clone(), rows_max)?;
    conflicts.push(scanned(read, &page, window, end_dependence));
    Ok((page, conflicts))
}

fn take_page(
    base: &dyn Snapshot,
    writes: &WriteMap,
    read: &RangeRead,
    window: KeyRange,
    rows_max: usize,
) -> StoreResult<Page> {
    let rows_max = [read.limit, rows_max].into_iter().filter(|n| *n > 0).min().unwrap_or(0);
    let bytes_max = if read.target_bytes == 0 { PAGE_BYTES_DEFAULT } else { read.target_bytes };
    let mut cursor = Cursor::new(base, writes, window, read.reverse, rows_max);
    let mut page = Page::default();
    let mut bytes = 0;
    while let Some(row) = cursor.next_row()? {
        bytes += row.key.len() + row.value.len();
        page.rows.push(row);
        if page.rows.len() == rows_max || bytes >= bytes_max {
            page.more = true;
            break;
        }
    }
    Ok(page)
}

/// The range that a page has seen: to its last row if it stopped there, else all of the window.
/// Behind an end with an offset nothing matters that comes after the last row counted.
fn scanned(
    read: &RangeRead,
    page: &Page,
    window: KeyRange,
    end_dependence: Option<Bytes>,
) -> KeyRange {
    let KeyRange { begin, end } = window;
    let last = page.rows.last().filter(|_| page.more).map(|row| row.key.clone());
    let far_end = match end_dependence {
        Some(dependence) if read.end.offset > 1 => dependence.min(end),
        _ => end,
    };
    match last {
        Some(last) if read.reverse => KeyRange { begin: last, end: far_end },
        Some(last) => KeyRange { begin, end: KeyRange::single(&last).end },
        None => KeyRange { begin, end: far_end },
    }
}
