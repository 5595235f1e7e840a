//! What FoundationDB's error codes mean to a caller.
//!
//! | code | in a read | in a commit |
//! |---|---|---|
//! | 1007, 1009, 1037, 1042, 1051, 1078, 1079, 1213, 1223 | again, with back-off | the same |
//! | 1020 | – | conflict: again |
//! | 1021 | – | unknown, but will not happen later |
//! | 1039 the client changed its version | again | unknown, as 1021 |
//! | 1025, 1031, 1101, 1100 | cancelled | may happen later: re-fence |
//! | 1038 | locked by an operator: again | the same |
//! | 2000 to 2999 | our mistake | our mistake, nothing happened |
//! | anything else | as it is | may happen later: nobody promises otherwise |
//!
//! The last row is on purpose: of a code that is not known here it is not known that the commit did
//! not happen.

use contract_store::StoreError;
use foundationdb::FdbError;

/// The code of a commit that the client gave up because the cluster's version changed.
const CLUSTER_VERSION_CHANGED: i32 = 1039;

/// The error of anything but a commit.
pub(crate) fn of_read(error: FdbError) -> StoreError {
    match error.code() {
        // The client reconnects by itself.
        CLUSTER_VERSION_CHANGED => StoreError::Busy(CLUSTER_VERSION_CHANGED),
        1101 => StoreError::Cancelled,
        code => StoreError::from_code(code),
    }
}

/// The error of a commit.
pub(crate) fn of_commit(error: FdbError) -> StoreError {
    match error.code() {
        CLUSTER_VERSION_CHANGED => StoreError::CommitUnknown,
        1100 | 1101 => StoreError::Cancelled,
        code @ 2000..3000 => StoreError::from_code(code),
        code => match StoreError::from_code(code) {
            StoreError::Other(code) => {
                tracing::warn!(
                    code,
                    "a commit ended with an unexpected error; it may happen later"
                );
                StoreError::Cancelled
            }
            known => known,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract_store::Retry;

    /// What may be done after an error in a read and in a commit.
    fn check(code: i32, in_read: Retry, in_commit: Retry) {
        let error = FdbError::from_code(code);
        assert_eq!(of_read(error).retry(), in_read, "read {code}");
        assert_eq!(of_commit(error).retry(), in_commit, "commit {code}");
    }

    #[test]
    fn every_class_of_code() {
        for code in [1007, 1009, 1020, 1037, 1038, 1042, 1051, 1078, 1079, 1213, 1223] {
            check(code, Retry::Safe, Retry::Safe);
        }
        check(1021, Retry::MaybeCommitted, Retry::MaybeCommitted);
        check(1039, Retry::Safe, Retry::MaybeCommitted);
        for code in [1025, 1031, 1101] {
            check(code, Retry::MayLandLate, Retry::MayLandLate);
        }
        for code in [2000, 2004, 2005, 2017, 2101, 2102, 2103, 2108] {
            check(code, Retry::Never, Retry::Never);
        }
        for code in [1000, 1100, 1500, 1510, 4100] {
            check(code, Retry::Never, Retry::MayLandLate);
        }
    }
}
