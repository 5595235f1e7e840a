//! Names of the recordings and the numbers of the C API; pages of ranges.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::api::{Paging, Selector, Transaction};

/// Keys and values.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// All pages of a range, continued as the documentation says.
pub(crate) fn all_pages(
    tx: &Transaction,
    mut begin: Selector,
    mut end: Selector,
    mut paging: Paging,
) -> Result<Rows, i32> {
    let mut all = Vec::new();
    loop {
        let (rows, more) = tx.get_range(&begin, &end, paging).rows()?;
        let last = rows.last().map(|row| row.0.clone());
        let count = rows.len() as i32;
        all.extend(rows);
        if !more || (paging.limit > 0 && count >= paging.limit) {
            return Ok(all);
        }
        if paging.limit > 0 {
            paging.limit -= count;
        }
        paging.iteration += 1;
        match last {
            Some(last) if paging.reverse => end = (last, false, 1),
            Some(last) => begin = (last, true, 1),
            None => {}
        }
    }
}

pub(crate) fn mode(name: &str) -> i32 {
    let names = ["want_all", "iterator", "exact", "small", "medium", "large", "serial"];
    names.iter().position(|known| *known == name).expect("a mode") as i32 - 2
}

pub(crate) fn atomic_op(name: &str) -> i32 {
    match name {
        "add" => 2,
        "bit_and" => 6,
        "bit_or" => 7,
        "bit_xor" => 8,
        "append_if_fits" => 9,
        "max" => 12,
        "min" => 13,
        "set_versionstamped_key" => 14,
        "set_versionstamped_value" => 15,
        "byte_min" => 16,
        "byte_max" => 17,
        "compare_and_clear" => 20,
        other => panic!("unknown atomic operation {other}"),
    }
}

pub(crate) fn option(name: &str) -> i32 {
    match name {
        "causal_write_risky" => 10,
        "causal_read_risky" => 20,
        "next_write_no_write_conflict_range" => 30,
        "read_your_writes_disable" => 51,
        "durability_risky" => 120,
        "priority_system_immediate" => 200,
        "priority_batch" => 201,
        "access_system_keys" => 301,
        "read_system_keys" => 302,
        "raw_access" => 303,
        "log_transaction" => 404,
        "timeout" => 500,
        "retry_limit" => 501,
        "max_retry_delay" => 502,
        "size_limit" => 503,
        "automatic_idempotency" => 505,
        "read_server_side_cache_disable" => 508,
        "read_priority_low" => 510,
        "snapshot_ryw_enable" => 600,
        "snapshot_ryw_disable" => 601,
        "lock_aware" => 700,
        "used_during_commit_protection_disable" => 701,
        "read_lock_aware" => 702,
        "report_conflicting_keys" => 712,
        "special_key_space_relaxed" => 713,
        "special_key_space_enable_writes" => 714,
        "expensive_clear_cost_estimation_enable" => 1000,
        "bypass_unreadable" => 1100,
        "use_grv_cache" => 1101,
        other => panic!("unknown option {other}"),
    }
}
