//! Error codes: which there are, what they say, and what may be done about them.
//!
//! The sets are those that the recordings show (`on_error.jsonl`, fact 10); the words are ours.

use std::ffi::CStr;

pub(crate) const TOO_OLD: i32 = 1007;
pub(crate) const FUTURE_VERSION: i32 = 1009;
pub(crate) const CONFLICT: i32 = 1020;
pub(crate) const COMMIT_UNKNOWN: i32 = 1021;
pub(crate) const CANCELLED: i32 = 1025;
pub(crate) const TIMED_OUT: i32 = 1031;
pub(crate) const TOO_MANY_WATCHES: i32 = 1032;
pub(crate) const WATCHES_DISABLED: i32 = 1034;
pub(crate) const UNREADABLE: i32 = 1036;
pub(crate) const BUSY: i32 = 1051;
pub(crate) const BROKEN_PROMISE: i32 = 1100;
pub(crate) const OPERATION_CANCELLED: i32 = 1101;
pub(crate) const FUTURE_RELEASED: i32 = 1102;
pub(crate) const NO_CLUSTER_FILE: i32 = 1515;
pub(crate) const INVALID_OPERATION: i32 = 2000;
pub(crate) const OUTSIDE_LEGAL_RANGE: i32 = 2004;
pub(crate) const INVERTED_RANGE: i32 = 2005;
pub(crate) const BAD_OPTION_VALUE: i32 = 2006;
pub(crate) const BAD_OPTION: i32 = 2007;
pub(crate) const NETWORK_NOT_SET_UP: i32 = 2008;
pub(crate) const NETWORK_ALREADY_SET_UP: i32 = 2009;
pub(crate) const READ_VERSION_ALREADY_SET: i32 = 2010;
pub(crate) const INVALID_VERSION: i32 = 2011;
pub(crate) const BAD_LIMIT: i32 = 2012;
pub(crate) const FUTURE_NOT_SET: i32 = 2014;
pub(crate) const FUTURE_NOT_ERROR: i32 = 2015;
pub(crate) const USED_DURING_COMMIT: i32 = 2017;
pub(crate) const BAD_MUTATION: i32 = 2018;
pub(crate) const NOT_COMMITTED: i32 = 2020;
pub(crate) const NO_COMMIT_VERSION: i32 = 2021;
pub(crate) const WRITES_NOT_LOCK_AWARE: i32 = 2023;
pub(crate) const NETWORK_CANNOT_RESTART: i32 = 2025;
pub(crate) const BLOCKED_FROM_NETWORK_THREAD: i32 = 2026;
pub(crate) const TRANSACTION_TOO_LARGE: i32 = 2101;
pub(crate) const KEY_TOO_LARGE: i32 = 2102;
pub(crate) const VALUE_TOO_LARGE: i32 = 2103;
pub(crate) const BAD_CONNECTION_STRING: i32 = 2104;
pub(crate) const SPECIAL_READ: i32 = 2113;
pub(crate) const SPECIAL_WRITE: i32 = 2114;
pub(crate) const NO_SUCH_TENANT: i32 = 2131;
pub(crate) const API_VERSION_UNSET: i32 = 2200;
pub(crate) const API_VERSION_ALREADY_SET: i32 = 2201;
pub(crate) const API_VERSION_INVALID: i32 = 2202;
pub(crate) const API_VERSION_UNSUPPORTED: i32 = 2203;
pub(crate) const EXACT_NEEDS_LIMIT: i32 = 2210;
pub(crate) const INTERNAL: i32 = 4100;

/// What may be retried with nothing having happened.
const RETRYABLE_NOT_COMMITTED: [i32; 10] =
    [1007, 1009, 1020, 1037, 1038, 1042, 1051, 1078, 1213, 1223];

/// What may have happened: commit unknown, and another protocol version.
const MAYBE_COMMITTED: [i32; 2] = [COMMIT_UNKNOWN, 1039];

/// The kinds of question that `fdb_error_predicate` answers.
const RETRYABLE: i32 = 50_000;
const MAYBE: i32 = 50_001;
const NOT_COMMITTED_RETRYABLE: i32 = 50_002;

/// Answers `fdb_error_predicate`.
pub(crate) fn predicate(test: i32, code: i32) -> bool {
    match test {
        RETRYABLE => RETRYABLE_NOT_COMMITTED.contains(&code) || MAYBE_COMMITTED.contains(&code),
        MAYBE => MAYBE_COMMITTED.contains(&code),
        NOT_COMMITTED_RETRYABLE => RETRYABLE_NOT_COMMITTED.contains(&code),
        _ => false,
    }
}

/// Whether on_error resets the transaction; not the same as the predicates say (fact 10).
pub(crate) fn on_error_retries(code: i32) -> bool {
    RETRYABLE_NOT_COMMITTED.contains(&code) || code == COMMIT_UNKNOWN || code == 1079
}

/// What on_error answers for a code that it does not retry.
pub(crate) fn on_error_gives(code: i32) -> i32 {
    if matches!(code, -1 | BROKEN_PROMISE) { CANCELLED } else { code }
}

/// The words for a code.
pub(crate) fn words(code: i32) -> &'static CStr {
    match code {
        0 => c"no error",
        TOO_OLD => c"the read version is too old",
        FUTURE_VERSION => c"the read version lies in the future",
        CONFLICT => c"conflict with another transaction",
        COMMIT_UNKNOWN => c"it is not known whether the commit happened",
        CANCELLED => c"the transaction was cancelled",
        TIMED_OUT => c"the transaction timed out",
        TOO_MANY_WATCHES => c"too many watches",
        WATCHES_DISABLED => c"no watches without reading own writes",
        UNREADABLE => c"the key waits for a versionstamp",
        1037 => c"the storage server is behind",
        1038 => c"the database is locked",
        1039 => c"the cluster's protocol version has changed",
        1042 | BUSY | 1078 | 1213 | 1223 => c"the cluster is busy",
        BROKEN_PROMISE => c"a promise was dropped",
        OPERATION_CANCELLED => c"the operation was cancelled",
        FUTURE_RELEASED => c"the future's memory was released",
        NO_CLUSTER_FILE => c"no cluster file",
        INVALID_OPERATION => c"invalid use of the API",
        OUTSIDE_LEGAL_RANGE => c"the key is outside the legal range",
        INVERTED_RANGE => c"the range ends before it begins",
        BAD_OPTION_VALUE => c"bad value of an option",
        BAD_OPTION => c"unknown option, or not in this place",
        NETWORK_NOT_SET_UP => c"the network is not set up",
        NETWORK_ALREADY_SET_UP => c"the network is set up already",
        READ_VERSION_ALREADY_SET => c"the read version is fixed already",
        INVALID_VERSION => c"not a version",
        BAD_LIMIT => c"bad limit of a range",
        FUTURE_NOT_SET => c"the future is not ready",
        FUTURE_NOT_ERROR => c"the future holds another kind of value",
        USED_DURING_COMMIT => c"used during or after the commit",
        BAD_MUTATION => c"unknown atomic operation",
        NOT_COMMITTED => c"the commit was not made",
        NO_COMMIT_VERSION => c"a read-only transaction has no commit version",
        WRITES_NOT_LOCK_AWARE => c"a transaction for reading locked databases may not write",
        NETWORK_CANNOT_RESTART => c"the network cannot be started again",
        BLOCKED_FROM_NETWORK_THREAD => c"blocking on the network thread",
        TRANSACTION_TOO_LARGE => c"the transaction is too large",
        KEY_TOO_LARGE => c"a key is too large",
        VALUE_TOO_LARGE => c"a value is too large",
        BAD_CONNECTION_STRING => c"the cluster file makes no sense",
        SPECIAL_READ => c"no such special key",
        SPECIAL_WRITE => c"special keys cannot be written so",
        NO_SUCH_TENANT => c"no such tenant",
        API_VERSION_UNSET => c"the API version is not selected",
        API_VERSION_ALREADY_SET => c"the API version is selected already",
        API_VERSION_INVALID => c"not an API version",
        API_VERSION_UNSUPPORTED => c"this API version is not supported",
        EXACT_NEEDS_LIMIT => c"the exact mode needs a limit",
        INTERNAL => c"internal error",
        _ => c"an error of the cluster",
    }
}
