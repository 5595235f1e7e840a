//! The limits of a transaction, the same on every backend: FoundationDB's.

/// The longest key, in bytes. Aim at less than 32.
pub const KEY_BYTES_MAX: usize = 10_000;

/// The longest value, in bytes. Best under 10,000.
pub const VALUE_BYTES_MAX: usize = 100_000;

/// The most that mutations and conflict ranges of one transaction may take, in bytes. Stay under
/// [`TRANSACTION_BYTES_GOOD`].
pub const TRANSACTION_BYTES_MAX: usize = 10_000_000;

/// The size that callers split their work at, in bytes.
pub const TRANSACTION_BYTES_GOOD: usize = 1_000_000;

/// How long after its first read a transaction may go on, in milliseconds.
pub const TRANSACTION_MS_MAX: u64 = 5_000;

/// How many watches one client may have.
pub const WATCHES_MAX: usize = 10_000;

/// The size of one chunk of a large value, in bytes: below the value limit, and a page of redb
/// that is not half empty.
pub const CHUNK_BYTES: usize = 60_000;
