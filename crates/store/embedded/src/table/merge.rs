//! Range reads through all layers of a view.
//!
//! Each layer is read in small chunks, so that a lock is held only for moments and a short read
//! does not pay for a long range. Where a newer layer has cleared a range, the table file is not
//! walked row by row but entered again behind it.

use super::View;
use super::file::FileCursor;
use super::generation::{Entry, Generation};
use bytes::Bytes;
use contract_store::{KeyRange, KeyValue, Page, StoreResult, Version};
use std::collections::VecDeque;

/// A page ends after about so many bytes, whatever the rows.
const PAGE_BYTES: usize = 128 * 1024;
/// How many entries a layer in memory gives at first, and at most, per chunk.
const CHUNK_MIN: usize = 16;
const CHUNK_MAX: usize = 256;

impl View {
    /// Up to about `rows` rows of a range at a version that is not before the base.
    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        version: Version,
        reverse: bool,
        rows: usize,
    ) -> StoreResult<Page> {
        let mut page = Page::default();
        if range.is_empty() {
            return Ok(page);
        }
        let layers = self.generations.iter();
        let mut layers: Vec<_> =
            layers.map(|layer| Layer::new(layer, range, version, reverse)).collect();
        let mut file = self.file.cursor(range, reverse)?;
        let mut bytes = 0;
        loop {
            let Some(key) = nearest(&mut layers, &file, reverse) else {
                return Ok(page);
            };
            if let Some(value) = visible(&mut layers, &mut file, &key)? {
                bytes += key.len() + value.len();
                page.rows.push(KeyValue { key, value });
                if page.rows.len() >= rows.max(1) || bytes >= PAGE_BYTES {
                    page.more = true;
                    return Ok(page);
                }
            }
        }
    }
}

/// A cursor over one layer in memory.
struct Layer<'a> {
    generation: &'a Generation,
    window: KeyRange,
    version: Version,
    reverse: bool,
    chunk: VecDeque<Entry>,
    count: usize,
}

impl<'a> Layer<'a> {
    fn new(generation: &'a Generation, range: &KeyRange, version: Version, reverse: bool) -> Self {
        let window = range.clone();
        Self { generation, window, version, reverse, chunk: VecDeque::new(), count: CHUNK_MIN }
    }

    fn peek(&mut self) -> Option<&Entry> {
        if self.chunk.is_empty() && !self.window.is_empty() {
            let entries =
                self.generation.chunk(&self.window, self.version, self.reverse, self.count);
            match entries.last() {
                Some(last) if entries.len() == self.count && self.reverse => {
                    self.window.end = last.key.clone();
                }
                Some(last) if entries.len() == self.count => {
                    self.window.begin = KeyRange::single(&last.key).end;
                }
                _ => self.window.begin = self.window.end.clone(),
            }
            self.count = (self.count * 2).min(CHUNK_MAX);
            self.chunk = entries.into();
        }
        self.chunk.front()
    }

    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        if self.peek()?.key == key { self.chunk.pop_front() } else { None }
    }
}

fn nearest(layers: &mut [Layer<'_>], file: &FileCursor<'_>, reverse: bool) -> Option<Bytes> {
    let mut best = file.peek().cloned();
    for layer in layers {
        let Some(entry) = layer.peek() else { continue };
        let better = match &best {
            None => true,
            Some(best) if reverse => entry.key > *best,
            Some(best) => entry.key < *best,
        };
        if better {
            best = Some(entry.key.clone());
        }
    }
    best
}

/// Takes `key` off every cursor and gives its value, if it has one.
fn visible(
    layers: &mut [Layer<'_>],
    file: &mut FileCursor<'_>,
    key: &Bytes,
) -> StoreResult<Option<Bytes>> {
    let mut answer = None;
    for layer in layers {
        let entry = layer.take(key);
        if answer.is_some() {
            continue;
        }
        let cleared = layer.generation.cleared_at(key, layer.version);
        answer = match (entry, cleared) {
            (Some(entry), Some((_, at))) if at <= entry.version => Some(entry.value),
            (_, Some((range, _))) => {
                file.skip(&range)?;
                Some(None)
            }
            (Some(entry), None) => Some(entry.value),
            (None, None) => None,
        };
    }
    let below = file.take(key)?;
    Ok(answer.unwrap_or(below))
}
