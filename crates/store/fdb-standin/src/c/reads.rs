//! Transactions: reads.

use super::future::start;
use super::{FDBFuture, FDBTransaction, FdbBool, FdbError, bytes, object};
use crate::client::transaction::Transaction;
use crate::client::{Op, RangeArguments};
use crate::codes;
use bytes::Bytes;
use contract_store::KeySelector;
use std::ffi::{c_int, c_void};

/// # Safety
/// `key` is readable for `length` bytes.
unsafe fn selector(key: *const u8, length: c_int, or_equal: FdbBool, offset: c_int) -> KeySelector {
    // SAFETY: the caller's promise.
    let key = Bytes::copy_from_slice(unsafe { bytes(key, length) });
    KeySelector { key, or_equal: or_equal != 0, offset }
}

/// The version that reads see.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_read_version(
    tr: *mut FDBTransaction,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    start(unsafe { object::<Transaction, _>(tr) }.read_version())
}

/// The value of a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get(
    tr: *mut FDBTransaction,
    key_name: *const u8,
    key_name_length: c_int,
    snapshot: FdbBool,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive, and readable bytes.
    let (transaction, key) =
        unsafe { (object::<Transaction, _>(tr), bytes(key_name, key_name_length)) };
    start(transaction.get(key, snapshot != 0))
}

/// The key that a selector names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_key(
    tr: *mut FDBTransaction,
    key_name: *const u8,
    key_name_length: c_int,
    or_equal: FdbBool,
    offset: c_int,
    snapshot: FdbBool,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    let transaction = unsafe { object::<Transaction, _>(tr) };
    // SAFETY: readable bytes.
    let selector = unsafe { selector(key_name, key_name_length, or_equal, offset) };
    start(transaction.get_key(selector, snapshot != 0))
}

/// One page of a range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_range(
    tr: *mut FDBTransaction,
    begin_key_name: *const u8,
    begin_key_name_length: c_int,
    begin_or_equal: FdbBool,
    begin_offset: c_int,
    end_key_name: *const u8,
    end_key_name_length: c_int,
    end_or_equal: FdbBool,
    end_offset: c_int,
    limit: c_int,
    target_bytes: c_int,
    mode: c_int,
    iteration: c_int,
    snapshot: FdbBool,
    reverse: FdbBool,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    let transaction = unsafe { object::<Transaction, _>(tr) };
    // SAFETY: readable bytes.
    let begin =
        unsafe { selector(begin_key_name, begin_key_name_length, begin_or_equal, begin_offset) };
    // SAFETY: readable bytes.
    let end = unsafe { selector(end_key_name, end_key_name_length, end_or_equal, end_offset) };
    let (snapshot, reverse) = (snapshot != 0, reverse != 0);
    let arguments =
        RangeArguments { begin, end, limit, target_bytes, mode, iteration, snapshot, reverse };
    start(transaction.get_range(arguments))
}

/// Not here: answered with 2000.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_transaction_get_mapped_range(
    _tr: *mut FDBTransaction,
    _begin_key_name: *const u8,
    _begin_key_name_length: c_int,
    _begin_or_equal: FdbBool,
    _begin_offset: c_int,
    _end_key_name: *const u8,
    _end_key_name_length: c_int,
    _end_or_equal: FdbBool,
    _end_offset: c_int,
    _mapper_name: *const u8,
    _mapper_name_length: c_int,
    _limit: c_int,
    _target_bytes: c_int,
    _mode: c_int,
    _iteration: c_int,
    _snapshot: FdbBool,
    _reverse: FdbBool,
) -> *mut FDBFuture {
    start(Op::Ready(Err(codes::INVALID_OPERATION)))
}

/// Not here: there are no mapped ranges, so no future holds one (2015).
#[unsafe(no_mangle)]
pub extern "C" fn fdb_future_get_mappedkeyvalue_array(
    _f: *mut FDBFuture,
    _out_kv: *mut *const c_void,
    _out_count: *mut c_int,
    _out_more: *mut FdbBool,
) -> FdbError {
    codes::FUTURE_NOT_ERROR
}

/// The bytes of keys and values in a range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_estimated_range_size_bytes(
    tr: *mut FDBTransaction,
    begin_key_name: *const u8,
    begin_key_name_length: c_int,
    end_key_name: *const u8,
    end_key_name_length: c_int,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    let transaction = unsafe { object::<Transaction, _>(tr) };
    // SAFETY: readable bytes.
    let begin = unsafe { bytes(begin_key_name, begin_key_name_length) };
    // SAFETY: readable bytes.
    let end = unsafe { bytes(end_key_name, end_key_name_length) };
    start(transaction.estimated_size(begin, end))
}

/// Keys that cut a range into parts of about so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_range_split_points(
    tr: *mut FDBTransaction,
    begin_key_name: *const u8,
    begin_key_name_length: c_int,
    end_key_name: *const u8,
    end_key_name_length: c_int,
    chunk_size: i64,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    let transaction = unsafe { object::<Transaction, _>(tr) };
    // SAFETY: readable bytes.
    let begin = unsafe { bytes(begin_key_name, begin_key_name_length) };
    // SAFETY: readable bytes.
    let end = unsafe { bytes(end_key_name, end_key_name_length) };
    start(transaction.split_points(begin, end, chunk_size))
}

/// Where a key is stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_addresses_for_key(
    tr: *mut FDBTransaction,
    _key_name: *const u8,
    _key_name_length: c_int,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    start(unsafe { object::<Transaction, _>(tr) }.addresses())
}
