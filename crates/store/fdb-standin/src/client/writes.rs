//! Writes and conflict ranges: all on the client's side until the commit.
//!
//! Mistakes are deferred: nothing is returned but for inverted conflict ranges (facts 12 to 14).

use super::transaction::{Core, Phase, Transaction};
use crate::codes;
use crate::wire;
use bytes::Bytes;
use contract_store::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use contract_store::rules::{RangeSet, WriteMap, stamp};
use contract_store::{AtomicOp, KeyRange};
use std::sync::Arc;

/// What a mutation and a conflict range take beyond their keys and values, in bytes
/// (`limits.jsonl`, `approximate_size`).
const MUTATION_BYTES: usize = 44;
const CONFLICT_BYTES: usize = 24;

/// Where the special keys begin.
const SPECIAL: &[u8] = b"\xff\xff";

fn written_key(core: &Core, key: &[u8]) -> Result<(), i32> {
    if key >= core.options.end_of_writable() {
        Err(codes::OUTSIDE_LEGAL_RANGE)
    } else if key.len() > KEY_BYTES_MAX {
        Err(codes::KEY_TOO_LARGE)
    } else {
        Ok(())
    }
}

fn value(value: &[u8]) -> Result<(), i32> {
    if value.len() > VALUE_BYTES_MAX { Err(codes::VALUE_TOO_LARGE) } else { Ok(()) }
}

impl Core {
    /// Takes a write, or notes why not.
    fn write(
        &mut self,
        legal: Result<(), i32>,
        payload_bytes: usize,
        key_bytes: usize,
        write: impl FnOnce(&mut WriteMap) -> Result<(), i32>,
    ) {
        if self.phase != Phase::Open {
            self.misuse();
            return;
        }
        let number = self.writes.mutations().len() as u32;
        let silent = std::mem::take(&mut self.options.next_write_silent);
        if let Err(code) = legal.and_then(|()| write(Arc::make_mut(&mut self.writes))) {
            self.defer(code);
            return;
        }
        self.mutation_bytes += MUTATION_BYTES + payload_bytes;
        if silent {
            self.silent.push(number);
        } else {
            self.mutation_bytes += CONFLICT_BYTES + 2 * key_bytes + 1;
        }
    }

    /// The size of mutations and conflict ranges so far, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let conflicts = |set: &RangeSet| set.payload_bytes() + CONFLICT_BYTES * set.len();
        self.mutation_bytes + conflicts(&self.reads) + conflicts(&self.explicit_writes)
    }
}

impl Transaction {
    pub(crate) fn set(&self, key: &[u8], new: &[u8]) {
        let mut core = self.lock();
        let legal = match written_key(&core, key) {
            Err(_) if key.starts_with(SPECIAL) => Err(codes::SPECIAL_WRITE),
            other => other.and_then(|()| value(new)),
        };
        core.write(legal, key.len() + new.len(), key.len(), |writes| {
            writes.set(Bytes::copy_from_slice(key), Bytes::copy_from_slice(new));
            Ok(())
        });
    }

    /// Removes a key. One that is too long cannot be there.
    pub(crate) fn clear(&self, key: &[u8]) {
        let mut core = self.lock();
        let legal = match written_key(&core, key) {
            Err(_) if key.starts_with(SPECIAL) => Err(codes::SPECIAL_WRITE),
            Err(codes::KEY_TOO_LARGE) => Ok(()),
            other => other,
        };
        core.write(legal, key.len(), key.len(), |writes| {
            writes.clear(Bytes::copy_from_slice(key));
            Ok(())
        });
    }

    pub(crate) fn clear_range(&self, begin: &[u8], end: &[u8]) {
        let mut core = self.lock();
        let legal = if begin > end {
            Err(codes::INVERTED_RANGE)
        } else if end > core.options.end_of_writable() {
            Err(codes::OUTSIDE_LEGAL_RANGE)
        } else {
            Ok(())
        };
        if legal.is_ok() && begin == end && core.phase == Phase::Open {
            return;
        }
        core.write(legal, begin.len() + end.len(), begin.len(), |writes| {
            writes.clear_range(copied(begin, end));
            Ok(())
        });
    }

    /// Applies an operation by its number in the C API.
    pub(crate) fn atomic(&self, number: i32, key: &[u8], param: &[u8]) {
        let mut core = self.lock();
        let (key, param) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(param));
        let operation = wire::operation(number).ok_or(codes::BAD_MUTATION);
        let legal =
            written_key(&core, &key).and_then(|()| value(&param)).and_then(|()| match operation? {
                AtomicOp::SetVersionstampedKey => fits(&key),
                AtomicOp::SetVersionstampedValue => fits(&param),
                _ => Ok(()),
            });
        core.write(legal, key.len() + param.len(), key.len(), |writes| {
            writes.atomic(operation?, key.clone(), param.clone()).map_err(|error| error.code())
        });
    }

    /// Adds a conflict range of reads or writes.
    pub(crate) fn add_conflict(&self, begin: &[u8], end: &[u8], write: bool) -> Result<(), i32> {
        if begin > end {
            return Err(codes::INVERTED_RANGE);
        }
        let mut core = self.lock();
        let limit =
            if write { core.options.end_of_writable() } else { core.options.end_of_readable() };
        if end > limit {
            core.commit_error.get_or_insert(codes::OUTSIDE_LEGAL_RANGE);
            return Ok(());
        }
        if core.phase != Phase::Open {
            core.misuse();
            return Ok(());
        }
        let range = copied(begin, end);
        if write {
            core.explicit_writes.insert(&range);
        } else if core.options.ryw_disabled {
            core.reads.insert(&range);
        } else {
            // What it has written itself adds nothing (fact 4).
            let writes = core.writes.clone();
            Self::note_dependence(&mut core, &writes, &range);
        }
        Ok(())
    }

    pub(crate) fn approximate_size(&self) -> i64 {
        i64::try_from(self.lock().size_bytes()).unwrap_or(i64::MAX)
    }
}

/// Whether a stamp fits where the last four bytes say.
fn fits(bytes: &Bytes) -> Result<(), i32> {
    stamp::split(bytes).map(drop).map_err(|error| error.code())
}

fn copied(begin: &[u8], end: &[u8]) -> KeyRange {
    KeyRange { begin: Bytes::copy_from_slice(begin), end: Bytes::copy_from_slice(end) }
}
