//! Options of transactions, by the numbers of the C API.
//!
//! An unknown option is refused at once; a bad value is deferred, as most mistakes are (fact 12).

use crate::codes;
use contract_store::limits::TRANSACTION_BYTES_MAX;

/// The smallest limit on a transaction's size that may be set, in bytes.
const SIZE_LIMIT_MIN: i64 = 32;

/// The longest name of a transaction in logs, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 100;

/// The length of an idempotency id at least, in bytes.
const IDEMPOTENCY_ID_BYTES_MIN: usize = 16;

/// Options without a value that change nothing here: priorities, caches, logs, hints.
const IGNORED_FLAGS: [i32; 32] = [
    10, 20, 21, 23, 40, 50, 52, 110, 120, 130, 200, 201, 300, 303, 304, 400, 401, 406, 505, 507,
    508, 509, 510, 511, 700, 710, 711, 714, 1000, 1102, 702, 713,
];

/// Options with a text that change nothing here.
const IGNORED_TEXTS: [i32; 6] = [402, 405, 800, 801, 900, 2000];

/// What a transaction was told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// 0 = none.
    pub(super) timeout_ms: u64,
    /// `None` = no limit.
    pub(super) retry_limit: Option<u64>,
    pub(super) max_retry_delay_ms: u64,
    pub(super) size_limit: usize,
    pub(super) reads_system_keys: bool,
    pub(super) writes_system_keys: bool,
    pub(super) ryw_disabled: bool,
    /// Snapshot reads do not see own writes while this is above 0.
    pub(super) snapshot_ryw_disabled: i32,
    /// The next write makes no conflict range.
    pub(super) next_write_silent: bool,
    pub(super) bypass_unreadable: bool,
    pub(super) reports_conflicts: bool,
    pub(super) relaxed: bool,
    pub(super) reads_only_aware: bool,
    pub(super) unprotected_commit: bool,
    is_identified: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout_ms: 0,
            retry_limit: None,
            max_retry_delay_ms: 1_000,
            size_limit: TRANSACTION_BYTES_MAX,
            reads_system_keys: false,
            writes_system_keys: false,
            ryw_disabled: false,
            snapshot_ryw_disabled: 0,
            next_write_silent: false,
            bypass_unreadable: false,
            reports_conflicts: false,
            relaxed: false,
            reads_only_aware: false,
            unprotected_commit: false,
            is_identified: false,
        }
    }
}

/// A number of eight little-endian bytes within bounds.
pub(super) fn number(value: &[u8], min: i64, max: i64) -> Result<i64, i32> {
    let bytes = value.try_into().map_err(|_| codes::BAD_OPTION_VALUE)?;
    let number = i64::from_le_bytes(bytes);
    if (min..=max).contains(&number) { Ok(number) } else { Err(codes::BAD_OPTION_VALUE) }
}

/// Whether there is such an option.
pub(super) fn is_known(option: i32) -> bool {
    matches!(
        option,
        30 | 51 | 301 | 302 | 403 | 404 | 500..=504 | 600 | 601 | 701 | 712 | 1100 | 1101
    ) || IGNORED_FLAGS.contains(&option)
        || IGNORED_TEXTS.contains(&option)
}

impl Options {
    /// Sets a known option.
    ///
    /// # Errors
    /// The code that the following calls fail with.
    pub(super) fn set(&mut self, option: i32, value: &[u8]) -> Result<(), i32> {
        let int_max = i64::from(i32::MAX);
        match option {
            500 => self.timeout_ms = number(value, 0, int_max)? as u64,
            501 => self.retry_limit = u64::try_from(number(value, -1, int_max)?).ok(),
            502 => self.max_retry_delay_ms = number(value, 0, int_max)? as u64,
            503 => {
                let max = TRANSACTION_BYTES_MAX as i64;
                self.size_limit = number(value, SIZE_LIMIT_MIN, max)? as usize;
            }
            504 if value.len() < IDEMPOTENCY_ID_BYTES_MIN => return Err(codes::BAD_OPTION),
            403 if value.is_empty() || value.len() > IDENTIFIER_BYTES_MAX => {
                return Err(codes::BAD_OPTION_VALUE);
            }
            403 => self.is_identified = true,
            504 => {}
            text if IGNORED_TEXTS.contains(&text) => {}
            _ if !value.is_empty() => return Err(codes::BAD_OPTION_VALUE),
            404 if !self.is_identified => return Err(codes::INVALID_OPERATION),
            1101 => return Err(codes::BAD_OPTION),
            flag => self.set_flag(flag),
        }
        Ok(())
    }

    fn set_flag(&mut self, flag: i32) {
        match flag {
            30 => self.next_write_silent = true,
            51 => self.ryw_disabled = true,
            301 => (self.reads_system_keys, self.writes_system_keys) = (true, true),
            302 => self.reads_system_keys = true,
            600 => self.snapshot_ryw_disabled -= 1,
            601 => self.snapshot_ryw_disabled += 1,
            701 => self.unprotected_commit = true,
            702 => self.reads_only_aware = true,
            712 => self.reports_conflicts = true,
            713 => self.relaxed = true,
            1100 => self.bypass_unreadable = true,
            _ => {}
        }
    }

    /// What is left of the options after a successful on_error (fact 11); `fresh` is what a new
    /// transaction has.
    pub(super) fn after_on_error(&self, fresh: Self) -> Self {
        Self {
            timeout_ms: self.timeout_ms,
            retry_limit: self.retry_limit,
            max_retry_delay_ms: self.max_retry_delay_ms,
            ..fresh
        }
    }

    /// The end of the keys that may be read.
    pub(super) fn end_of_readable(&self) -> &'static [u8] {
        if self.reads_system_keys { b"\xff\xff" } else { b"\xff" }
    }

    /// The end of the keys that may be written.
    pub(super) fn end_of_writable(&self) -> &'static [u8] {
        if self.writes_system_keys { b"\xff\xff" } else { b"\xff" }
    }
}
