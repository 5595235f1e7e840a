//! Range reads: pages by streaming mode, estimates of sizes.

use super::reads::{FetchSize, Fetched};
use super::transaction::Transaction;
use super::{Op, Output, special};
use crate::codes;
use crate::wire::{Request, Response};
use bytes::Bytes;
use contract_store::rules::read;
use contract_store::{KeySelector, RangeRead};
use std::sync::Arc;

/// How much an exact read fetches at a time, in bytes: it has no limit of its own.
const EXACT_FETCH_BYTES: usize = 1 << 20;

/// Rows that are fetched at a time where the caller has no limit of rows: bytes decide.
const UNLIMITED_ROWS: usize = 20_000;

/// What `fdb_transaction_get_range` is given.
pub(crate) struct RangeArguments {
    pub(crate) begin: KeySelector,
    pub(crate) end: KeySelector,
    pub(crate) limit: i32,
    pub(crate) target_bytes: i32,
    pub(crate) mode: i32,
    pub(crate) iteration: i32,
    pub(crate) snapshot: bool,
    pub(crate) reverse: bool,
}

/// How many bytes a page has in a streaming mode. Cuts are not promised.
fn mode_bytes(mode: i32, iteration: i32) -> usize {
    match mode {
        // Half as much again with each page.
        -1 => {
            let pages = (iteration.clamp(1, 20) - 1) as u32;
            (4_096 * 3_usize.pow(pages) / 2_usize.pow(pages)).min(read::PAGE_BYTES_DEFAULT)
        }
        0 => usize::MAX,
        1 => 256,
        2 => 1_000,
        3 => 4_096,
        4 => 80_000,
        _ => read::PAGE_BYTES_DEFAULT,
    }
}

impl RangeArguments {
    fn check(&self) -> Result<(), i32> {
        if self.limit < -1 || self.target_bytes < 0 {
            Err(codes::BAD_LIMIT)
        } else if self.mode == 0 && self.limit <= 0 && self.target_bytes == 0 {
            Err(codes::EXACT_NEEDS_LIMIT)
        } else if !(-2..=4).contains(&self.mode) || (self.mode == -1 && self.iteration <= 0) {
            Err(codes::INVALID_OPERATION)
        } else {
            Ok(())
        }
    }

    fn read(&self) -> RangeRead {
        let bytes = mode_bytes(self.mode, self.iteration);
        let target_bytes = usize::try_from(self.target_bytes).ok().filter(|bytes| *bytes > 0);
        RangeRead {
            begin: self.begin.clone(),
            end: self.end.clone(),
            limit: usize::try_from(self.limit).unwrap_or(0),
            target_bytes: target_bytes.unwrap_or(bytes),
            reverse: self.reverse,
        }
    }
}

impl Transaction {
    /// One page.
    pub(crate) fn get_range(self: &Arc<Self>, arguments: RangeArguments) -> Op {
        if let Err(code) = arguments.check() {
            return Err(code).into();
        }
        let mut core = self.lock();
        let (wanted, snapshot) = (arguments.read(), arguments.snapshot);
        if special::is_special(&wanted.begin.key) {
            return special::get_range(&mut core, &wanted).into();
        }
        if let Err(code) = core.usable() {
            return Err(code).into();
        }
        core.has_read = true;
        let end = core.options.end_of_readable();
        if &wanted.begin.key[..] > end || &wanted.end.key[..] > end {
            return Err(codes::OUTSIDE_LEGAL_RANGE).into();
        }
        core.version_asked = true;
        let (transaction, seat) = (self.clone(), core.seat.clone());
        let overlay = core.range_overlay(snapshot);
        let guard = seat.reading.begin();
        Op::Later(Box::pin(async move {
            let read = async {
                // Selectors with other offsets count rows first: they say themselves how many.
                let simple = wanted.begin.offset == 1 && wanted.end.offset == 1;
                let rows = if wanted.limit == 0 && simple { UNLIMITED_ROWS } else { 0 };
                let size = FetchSize { rows, bytes: wanted.target_bytes.min(EXACT_FETCH_BYTES) };
                let page = |base: &Fetched| read::get_range(base, &overlay, &wanted, 0);
                let (page, ranges) = transaction.run(&seat, size, page).await?;
                if !snapshot && let Some(mut core) = transaction.lock_seated(&seat) {
                    for range in ranges {
                        core.depend(Some(&overlay), &range);
                    }
                }
                let rows = page.rows.into_iter().map(|row| (row.key, row.value)).collect();
                Ok(Output::Rows { rows, more: page.more })
            };
            let page = Self::seated(&seat, read).await;
            drop(guard);
            page
        }))
    }

    /// The bytes of keys and values in a range.
    pub(crate) fn estimated_size(self: &Arc<Self>, begin: &[u8], end: &[u8]) -> Op {
        let span = (Bytes::copy_from_slice(begin), Bytes::copy_from_slice(end));
        self.estimate(span, b"\xff\xff", |version, span| Request::Size { version, span })
    }

    /// Keys that cut a range into parts of about so many bytes.
    pub(crate) fn split_points(self: &Arc<Self>, begin: &[u8], end: &[u8], chunk_bytes: i64) -> Op {
        let span = (Bytes::copy_from_slice(begin), Bytes::copy_from_slice(end));
        let chunk_bytes = u64::try_from(chunk_bytes).unwrap_or(0);
        self.estimate(span, b"\xff", move |version, span| Request::Split {
            version,
            span,
            chunk_bytes,
        })
    }

    fn estimate(
        self: &Arc<Self>,
        span: (Bytes, Bytes),
        limit: &[u8],
        request: impl FnOnce(i64, (Bytes, Bytes)) -> Request + Send + 'static,
    ) -> Op {
        let mut core = self.lock();
        let legal = core.usable().and_then(|()| match span.0.cmp(&span.1) {
            std::cmp::Ordering::Greater => Err(codes::INVERTED_RANGE),
            _ if &span.1[..] > limit => Err(codes::OUTSIDE_LEGAL_RANGE),
            // So recorded: the real one trips over an empty range.
            std::cmp::Ordering::Equal => Err(codes::INTERNAL),
            std::cmp::Ordering::Less => Ok(()),
        });
        if let Err(code) = legal {
            return Err(code).into();
        }
        core.version_asked = true;
        let (transaction, seat) = (self.clone(), core.seat.clone());
        let guard = seat.reading.begin();
        Op::Later(Box::pin(async move {
            let _guard = guard;
            let ask = async {
                let version = transaction.version(&seat).await?;
                match transaction.ask(&request(version, span)).await? {
                    Response::Version(bytes) => Ok(Output::Number(bytes)),
                    Response::Keys(keys) => Ok(Output::Keys(keys)),
                    _ => Err(codes::INTERNAL),
                }
            };
            Self::seated(&seat, ask).await
        }))
    }
}
