//! Every bound of this crate, with its reason.
//!
//! A peer can make the server hold at most `line + small literals` bytes per command; everything
//! that recurses or repeats inside a command has its own bound below.

/// Bytes of all lines of one command, literals not counted (64 KiB; Exchange has 10 KiB).
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Bytes of all buffered literals of one command after authentication. Search strings and mailbox
/// names are small; a message literal is streamed and does not count.
pub const MAX_LITERAL_BYTES: u64 = 256 * 1024;
/// Literals of one command after authentication: a large SEARCH may have one per key.
pub const MAX_LITERALS: usize = 256;
/// Bytes of all literals of one command before authentication: LOGIN needs two, ID few.
pub const MAX_PRE_AUTH_LITERAL_BYTES: u64 = 16 * 1024;
/// Literals of one command before authentication (attack 23: pre-auth ID with 10,000 literals).
pub const MAX_PRE_AUTH_LITERALS: usize = 16;
/// Bytes of a refused command that are read and thrown away before the connection is closed.
pub const MAX_SKIP_BYTES: u64 = 64 * 1024 * 1024;
/// The same before authentication: a stranger's traffic is not worth reading.
pub const MAX_PRE_AUTH_SKIP_BYTES: u64 = 1024 * 1024;

/// Bytes of a tag. Clients use under 20; the tag is echoed, so it must stay small.
pub const MAX_TAG_BYTES: usize = 255;
/// Bytes of a mailbox name or LIST pattern, as sent and as decoded (attack 28: 10 kB name).
pub const MAX_MAILBOX_BYTES: usize = 2048;
/// Runs of wildcards in one LIST pattern (attack 28: `%*%*%*…`).
pub const MAX_PATTERN_WILDCARDS: usize = 32;
/// Patterns of one LIST command (RFC 5258 §3).
pub const MAX_LIST_PATTERNS: usize = 64;
/// Nesting of SEARCH keys through parentheses, NOT and OR (attack 24). Clients build OR chains of
/// some dozens; the parser recurses, so this bounds its stack.
pub const MAX_SEARCH_DEPTH: usize = 128;
/// Data items of one FETCH: each may cost a read of the whole message.
pub const MAX_FETCH_ITEMS: usize = 512;
/// Numbers of a body section such as `BODY[1.2.3]` (attack 26). No MIME tree of ours is deeper.
pub const MAX_SECTION_DEPTH: usize = 128;
/// Nesting of a printed BODYSTRUCTURE; deeper parts are printed as opaque (attack 27).
pub const MAX_BODY_DEPTH: usize = 128;
/// Field/value pairs of ID (RFC 2971 §3.3).
pub const MAX_ID_PAIRS: usize = 30;
/// Bytes of an ID field name (RFC 2971 §3.3).
pub const MAX_ID_FIELD_BYTES: usize = 30;
/// Bytes of an ID value (RFC 2971 §3.3).
pub const MAX_ID_VALUE_BYTES: usize = 1024;
/// Bytes of one flag keyword.
pub const MAX_FLAG_BYTES: usize = 255;
/// Bytes of an ACL identifier (RFC 4314 §2), a quota root or a quota resource (RFC 9208 §3): addresses
/// and short names.
pub const MAX_IDENTIFIER_BYTES: usize = 512;
/// Bytes of the rights of SETACL (RFC 4314 §3.1): there are 36 letters and digits, and a sign.
pub const MAX_RIGHTS_BYTES: usize = 64;
/// Criteria of one SORT (RFC 5256 §3): there are nine keys.
pub const MAX_SORT_KEYS: usize = 32;
/// Limits of one SETQUOTA (RFC 9208 §4.1.3): four resources are registered.
pub const MAX_QUOTA_LIMITS: usize = 16;
/// Nesting of lists in a server response read by [`crate::client`].
pub const MAX_VALUE_DEPTH: usize = 1024;
/// The largest literal size or partial offset: 63 bits (RFC 9051 §4 number64).
pub const MAX_NUMBER64: u64 = i64::MAX as u64;
