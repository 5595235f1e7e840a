//! The special keys that a transaction answers itself: what it conflicts with.
//!
//! Below [`MODULES`] stand the borders of ranges: where one begins the value is `1`, where it ends
//! `0`. They can be read after the commit, too; that is what they are for.

use super::Output;
use super::transaction::{Core, Phase};
use crate::codes;
use bytes::Bytes;
use contract_store::RangeRead;
use contract_store::rules::RangeSet;
use std::collections::BTreeMap;

const CONFLICTING: &[u8] = b"\xff\xff/transaction/conflicting_keys/";
const READS: &[u8] = b"\xff\xff/transaction/read_conflict_range/";
const WRITES: &[u8] = b"\xff\xff/transaction/write_conflict_range/";

/// All that there are.
const MODULES: [&[u8]; 3] = [CONFLICTING, READS, WRITES];

/// Whether the transaction answers this key itself.
pub(super) fn is_special(key: &[u8]) -> bool {
    key.starts_with(b"\xff\xff")
}

fn readable(core: &mut Core) -> Result<(), i32> {
    // After the commit, only these may be read.
    if core.phase == Phase::Ended { Ok(()) } else { core.usable() }
}

pub(super) fn get(core: &mut Core, key: &[u8]) -> Result<Option<Bytes>, i32> {
    readable(core)?;
    match module(key) {
        Some(module) => Ok(rows(core, module).get(key).cloned()),
        None if key.len() == 2 || core.options.relaxed => Ok(None),
        None => Err(codes::SPECIAL_READ),
    }
}

pub(super) fn get_range(core: &mut Core, read: &RangeRead) -> Result<Output, i32> {
    readable(core)?;
    let Some(module) = module(&read.begin.key) else {
        return Ok(Output::Rows { rows: Vec::new(), more: false });
    };
    let inside = |key: &Bytes| {
        let after =
            |selector: &Bytes, or_equal: bool| key > selector || (!or_equal && key == selector);
        after(&read.begin.key, read.begin.or_equal) && !after(&read.end.key, read.end.or_equal)
    };
    let mut rows: Vec<_> = rows(core, module).into_iter().filter(|(key, _)| inside(key)).collect();
    if read.reverse {
        rows.reverse();
    }
    let more = read.limit != 0 && rows.len() > read.limit;
    if more {
        rows.truncate(read.limit);
    }
    Ok(Output::Rows { rows, more })
}

fn module(key: &[u8]) -> Option<&'static [u8]> {
    MODULES.into_iter().find(|module| key.starts_with(module))
}

/// The borders below a module.
fn rows(core: &Core, module: &'static [u8]) -> BTreeMap<Bytes, Bytes> {
    let ranges: RangeSet = match module {
        CONFLICTING => core.conflicting.clone(),
        READS => core.reads.clone(),
        _ => core.write_ranges(),
    };
    let border = |key: &Bytes, value: &'static [u8]| {
        (Bytes::from([module, &key[..]].concat()), Bytes::from_static(value))
    };
    ranges.iter().flat_map(|range| [border(&range.begin, b"1"), border(&range.end, b"0")]).collect()
}
