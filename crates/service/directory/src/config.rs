//! What an operator may set, and why the defaults are what they are.

use crate::login::throttle::ThrottleConfig;

/// How the directory service behaves; the defaults suit every size.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// What a password hash costs.
    pub hash: HashParameters,
    /// How many hashes run at once; 0 is one per core. Each takes
    /// [`HashParameters::memory_kib`] while it runs.
    pub hash_threads: usize,
    /// How many accounts are kept in memory (about 1 kB each, at most twice so many). Accounts
    /// that nobody asks for cost nothing.
    pub cached_accounts: usize,
    /// How often the feed is read when no wake-up comes, in milliseconds.
    pub poll_ms: u64,
    /// After so long without a look at the feed, in milliseconds, the caches are not trusted.
    pub stale_after_ms: u64,
    /// How long feed entries are kept, in milliseconds. A node that was away for longer forgets
    /// its caches.
    pub feed_window_ms: u64,
    /// How long audit records are kept, in milliseconds.
    pub audit_keep_ms: i64,
    /// How often old feed entries and audit records are removed, in milliseconds.
    pub trim_interval_ms: u64,
    /// How long a verified password is good for without a new hash, in milliseconds.
    pub verified_ttl_ms: u64,
    /// How guessing is slowed down.
    pub throttle: ThrottleConfig,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            hash: HashParameters::default(),
            hash_threads: 0,
            cached_accounts: 16_384,
            poll_ms: 5_000,
            stale_after_ms: 15_000,
            feed_window_ms: 60 * 60 * 1_000,
            audit_keep_ms: contract_directory::AUDIT_KEEP_MS,
            trim_interval_ms: 10 * 60 * 1_000,
            verified_ttl_ms: 15 * 60 * 1_000,
            throttle: ThrottleConfig::default(),
        }
    }
}

/// The cost of one argon2id hash (RFC 9106). When these change, each password is hashed anew at
/// its owner's next sign-in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashParameters {
    /// Memory in KiB; 19 MiB by default.
    pub memory_kib: u32,
    /// Passes over the memory; 2 by default.
    pub passes: u32,
    /// Lanes; more than one only helps those who hash on several cores at once.
    pub lanes: u32,
}

/// 19 MiB: the first of the combinations OWASP's password storage advice calls equally strong.
/// The larger RFC 9106 choices (64 MiB, 2 GiB) would let a handful of strangers' sign-ins take
/// the memory that the whole server is meant to live in.
pub(crate) const HASH_MEMORY_KIB: u32 = 19 * 1024;
/// The passes that go with [`HASH_MEMORY_KIB`].
pub(crate) const HASH_PASSES: u32 = 2;
/// The lanes that go with [`HASH_MEMORY_KIB`].
pub(crate) const HASH_LANES: u32 = 1;

impl Default for HashParameters {
    fn default() -> Self {
        Self { memory_kib: HASH_MEMORY_KIB, passes: HASH_PASSES, lanes: HASH_LANES }
    }
}

/// The most a ready-made hash may ask for, so that an import cannot make every sign-in cost
/// gigabytes.
pub(crate) const HASH_IMPORT_MAX: HashParameters =
    HashParameters { memory_kib: 64 * 1024, passes: 10, lanes: 4 };

/// The longest password, in bytes: nobody types more, and hashing starts by reading all of it.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1_024;

/// The most aliases of one account; keeps its row well below the store's 100 kB.
pub(crate) const ALIASES_MAX: usize = 200;

/// The most grants of one kind on one account.
pub(crate) const GRANTS_MAX: usize = 1_000;

/// The most people and groups in one list of who may write to somebody.
pub(crate) const PARTIES_MAX: usize = 1_000;

/// The most members of one group; larger ones are built by nesting.
pub(crate) const GROUP_MEMBERS_MAX: usize = 10_000;

/// The most members that one change adds or removes …
pub(crate) const GROUP_CHANGE_MAX: usize = 5_000;
/// … of at most so many bytes of addresses. Each byte stands in a member's row, its value and its
/// index row, and in what conflict detection keeps of them, seven times in all: this keeps the
/// transaction below 10 MB.
pub(crate) const GROUP_CHANGE_BYTES: usize = 1_000_000;

/// How many groups one transaction takes somebody out of.
pub(crate) const LEAVE_CHUNK: usize = 1_000;

/// How deep groups may be nested where mail is expanded.
pub(crate) const EXPAND_DEPTH_MAX: usize = 20;

/// How many groups one expansion may visit.
pub(crate) const EXPAND_GROUPS_MAX: usize = 1_000;

/// Groups with more members than this are not cached.
pub(crate) const GROUP_CACHED_MEMBERS_MAX: usize = 1_000;

/// How many groups are kept in memory.
pub(crate) const CACHED_GROUPS: usize = 128;

/// How many accounts are made in one transaction …
pub(crate) const CREATE_CHUNK: usize = 500;
/// … of at most so many bytes of addresses and names, so that their one audit record stays a
/// legal value.
pub(crate) const CREATE_CHUNK_BYTES: usize = 50_000;

/// The most audit records that one call answers.
pub(crate) const AUDIT_LIST_MAX: usize = 1_000;
