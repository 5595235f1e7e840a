//! Reads: read versions, single keys, key selectors.
//!
//! The rules of reading over own writes are those of `contract_store::rules`, which ask a snapshot
//! and do not wait. [`Fetched`] is such a snapshot of what has been fetched: where it has nothing it
//! notes what is missing, the read stops, the missing part is fetched and the read is run again.

use super::seat::Seat;
use super::transaction::{Core, Transaction};
use super::{Op, Output, special};
use crate::codes;
use crate::wire::{Request, Response, Scan};
use bytes::Bytes;
use contract_store::rules::{Snapshot, WriteMap, read};
use contract_store::{KeyRange, KeySelector, KeyValue, Page, StoreError, StoreResult, Version};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Says that something must be fetched first. Never leaves this file.
const MISSING: StoreError = StoreError::Other(i32::MIN);

/// What a read still needs.
enum Need {
    Value(Bytes),
    Rows { range: KeyRange, reverse: bool, rows: usize },
}

/// What has been fetched for one read.
#[derive(Default)]
pub(super) struct Fetched {
    values: HashMap<Bytes, Option<Bytes>>,
    pages: Vec<(KeyRange, bool, Page)>,
    need: RefCell<Option<Need>>,
}

impl Fetched {
    fn miss<T>(&self, need: Need) -> StoreResult<T> {
        *self.need.borrow_mut() = Some(need);
        Err(MISSING)
    }
}

impl Snapshot for Fetched {
    fn get(&self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        match self.values.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.miss(Need::Value(Bytes::copy_from_slice(key))),
        }
    }

    fn scan(&self, range: &KeyRange, reverse: bool, rows: usize) -> StoreResult<Page> {
        let page = self.pages.iter().find(|page| page.0 == *range && page.1 == reverse);
        match page {
            Some((_, _, page)) => Ok(page.clone()),
            None => self.miss(Need::Rows { range: range.clone(), reverse, rows }),
        }
    }
}

/// How many rows and bytes are fetched at a time.
#[derive(Clone, Copy)]
pub(super) struct FetchSize {
    /// 0 = as many as the read itself expects.
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// What one key's read found out before anything was fetched.
pub(super) enum Lookup {
    Known(Option<Bytes>),
    Fetch(Fetch),
}

/// A key to be fetched.
pub(super) struct Fetch {
    pub(super) key: Bytes,
    /// Own operations on top of it.
    overlay: Option<Arc<WriteMap>>,
    snapshot: bool,
}

impl Core {
    /// The own writes that a read sees; `None` where it sees none.
    pub(super) fn overlay(&self, snapshot: bool) -> Option<&Arc<WriteMap>> {
        let hidden = self.options.ryw_disabled
            || (snapshot && self.options.snapshot_ryw_disabled > 0)
            || self.writes.is_empty();
        (!hidden).then_some(&self.writes)
    }

    /// The same for a range, with the end of what may be read.
    pub(super) fn range_overlay(&self, snapshot: bool) -> Arc<WriteMap> {
        let overlay = self.overlay(snapshot).cloned().unwrap_or_default();
        if !self.options.reads_system_keys {
            return overlay;
        }
        let mut overlay = (*overlay).clone();
        overlay.allow_system_keys();
        Arc::new(overlay)
    }

    /// Begins to read a key, after [`Core::usable`].
    pub(super) fn look_up(&mut self, key: &[u8], snapshot: bool) -> Result<Lookup, i32> {
        self.has_read = true;
        if key >= self.options.end_of_readable() {
            return Err(codes::OUTSIDE_LEGAL_RANGE);
        }
        let overlay = self.overlay(snapshot).filter(|writes| writes.touches(key)).cloned();
        let overlay = match overlay {
            Some(writes) if self.options.bypass_unreadable => {
                Some(Arc::new(writes.without_unreadable()))
            }
            other => other,
        };
        let mut fetched = Fetched::default();
        if !self.options.ryw_disabled
            && let Some((key, value)) = self.cache.get_key_value(key)
        {
            fetched.values.insert(key.clone(), value.clone());
        }
        let outcome = match &overlay {
            Some(writes) => read::get(&fetched, writes, key),
            None => fetched.get(key),
        };
        match outcome {
            Ok(value) => {
                if !snapshot {
                    self.depend(overlay.as_deref(), &KeyRange::single(key));
                }
                Ok(Lookup::Known(value))
            }
            Err(StoreError::Unreadable) => {
                self.commit_error.get_or_insert(codes::UNREADABLE);
                Err(codes::UNREADABLE)
            }
            Err(_) => {
                self.version_asked = true;
                Ok(Lookup::Fetch(Fetch { key: Bytes::copy_from_slice(key), overlay, snapshot }))
            }
        }
    }

    /// Adds the read conflict of what was read over `overlay`.
    pub(super) fn depend(&mut self, overlay: Option<&WriteMap>, range: &KeyRange) {
        match overlay {
            Some(writes) => Transaction::note_dependence(self, writes, range),
            None => self.reads.insert(range),
        }
    }
}

impl Transaction {
    /// The version that reads see; fetched once.
    pub(super) async fn version(&self, seat: &Seat) -> Result<Version, i32> {
        let fetch = async || match self.database.link.ask(&Request::ReadVersion).wait().await? {
            Response::Version(version) => Ok(version),
            Response::Failed(code) => Err(code),
            _ => Err(codes::INTERNAL),
        };
        seat.version.get_or_try_init(fetch).await.copied()
    }

    /// Waits for a call, unless the transaction ends it.
    pub(super) async fn seated<T>(
        seat: &Seat,
        call: impl Future<Output = Result<T, i32>>,
    ) -> Result<T, i32> {
        tokio::select! {
            biased;
            code = seat.kill.killed() => Err(code),
            outcome = call => outcome,
        }
    }

    pub(crate) fn read_version(self: &Arc<Self>) -> Op {
        let mut core = self.lock();
        if let Err(code) = core.usable() {
            return Err(code).into();
        }
        core.version_asked = true;
        let (transaction, seat) = (self.clone(), core.seat.clone());
        let guard = seat.reading.begin();
        Op::Later(Box::pin(async move {
            let _guard = guard;
            Self::seated(&seat, transaction.version(&seat)).await.map(Output::Number)
        }))
    }

    pub(crate) fn get(self: &Arc<Self>, key: &[u8], snapshot: bool) -> Op {
        let mut core = self.lock();
        if special::is_special(key) {
            return special::get(&mut core, key).map(Output::Value).into();
        }
        let looked_up = core.usable().and_then(|()| core.look_up(key, snapshot));
        let fetch = match looked_up {
            Ok(Lookup::Known(value)) => return Ok(Output::Value(value)).into(),
            Ok(Lookup::Fetch(fetch)) => fetch,
            Err(code) => return Err(code).into(),
        };
        let (transaction, seat) = (self.clone(), core.seat.clone());
        let guard = seat.reading.begin();
        Op::Later(Box::pin(async move {
            let value = Self::seated(&seat, transaction.fetch(&seat, fetch)).await;
            drop(guard);
            value.map(Output::Value)
        }))
    }

    /// Fetches a key and notes that it was read.
    pub(super) async fn fetch(&self, seat: &Seat, fetch: Fetch) -> Result<Option<Bytes>, i32> {
        let version = self.version(seat).await?;
        let Fetch { key, overlay, snapshot } = fetch;
        let below = match self.ask(&Request::Get { version, key: key.clone() }).await? {
            Response::Value(value) => value,
            _ => return Err(codes::INTERNAL),
        };
        let Some(mut core) = self.lock_seated(seat) else {
            return Err(codes::CANCELLED);
        };
        core.cache.insert(key.clone(), below.clone());
        if !snapshot {
            core.depend(overlay.as_deref(), &KeyRange::single(&key));
        }
        drop(core);
        let Some(writes) = overlay else { return Ok(below) };
        let fetched =
            Fetched { values: HashMap::from([(key.clone(), below)]), ..Fetched::default() };
        read::get(&fetched, &writes, &key).map_err(|error| error.code())
    }

    pub(super) async fn ask(&self, request: &Request) -> Result<Response, i32> {
        self.database.link.ask(request).wait().await
    }

    pub(crate) fn get_key(self: &Arc<Self>, selector: KeySelector, snapshot: bool) -> Op {
        let mut core = self.lock();
        if let Err(code) = core.usable() {
            return Err(code).into();
        }
        core.has_read = true;
        if &selector.key[..] > core.options.end_of_readable() {
            return Err(codes::OUTSIDE_LEGAL_RANGE).into();
        }
        core.version_asked = true;
        let (transaction, seat) = (self.clone(), core.seat.clone());
        let overlay = core.range_overlay(snapshot);
        let guard = seat.reading.begin();
        Op::Later(Box::pin(async move {
            let read = async {
                let size = FetchSize { rows: 0, bytes: read::PAGE_BYTES_DEFAULT };
                let resolve = |base: &Fetched| read::resolve(base, &overlay, &selector);
                let resolved = transaction.run(&seat, size, resolve).await?;
                if !snapshot && let Some(mut core) = transaction.lock_seated(&seat) {
                    core.depend(Some(&overlay), &resolved.examined);
                }
                Ok(Output::Key(resolved.key))
            };
            let key = Self::seated(&seat, read).await;
            drop(guard);
            key
        }))
    }

    /// Runs a read again and again until all that it needs has been fetched.
    pub(super) async fn run<T>(
        &self,
        seat: &Seat,
        size: FetchSize,
        read: impl Fn(&Fetched) -> StoreResult<T> + Send,
    ) -> Result<T, i32> {
        let version = self.version(seat).await?;
        let mut fetched = Fetched::default();
        loop {
            let error = match read(&fetched) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match fetched.need.take() {
                Some(need) => self.satisfy(&mut fetched, need, version, size).await?,
                None => {
                    if error == StoreError::Unreadable
                        && let Some(mut core) = self.lock_seated(seat)
                    {
                        core.commit_error.get_or_insert(codes::UNREADABLE);
                    }
                    return Err(error.code());
                }
            }
        }
    }

    async fn satisfy(
        &self,
        fetched: &mut Fetched,
        need: Need,
        version: Version,
        size: FetchSize,
    ) -> Result<(), i32> {
        let (range, reverse, rows) = match need {
            Need::Value(key) => {
                let answer = self.ask(&Request::Get { version, key: key.clone() }).await?;
                let Response::Value(value) = answer else { return Err(codes::INTERNAL) };
                fetched.values.insert(key, value);
                return Ok(());
            }
            Need::Rows { range, reverse, rows } => (range, reverse, rows),
        };
        let scan = Scan {
            version,
            span: (range.begin.clone(), range.end.clone()),
            reverse,
            rows: if size.rows == 0 { rows } else { size.rows } as u32,
            bytes: u32::try_from(size.bytes).unwrap_or(u32::MAX),
        };
        let Response::Rows { rows, more } = self.ask(&Request::Scan(scan)).await? else {
            return Err(codes::INTERNAL);
        };
        let rows = rows.into_iter().map(|(key, value)| KeyValue { key, value }).collect();
        fetched.pages.push((range, reverse, Page { rows, more }));
        Ok(())
    }
}
