//! Times and sizes, and why they are what they are. A peer may be slow, never endless.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// All questions to the DNS for one step. Resolvers give up earlier.
pub(crate) const DNS_TIME: Duration = Duration::from_secs(20);
/// Finding a host for messages that require TLS, all hosts together.
pub(crate) const OPEN_TIME: Duration = MINUTE.saturating_mul(3);
/// A TCP handshake; what takes longer is not there.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(30);
/// A TLS handshake.
pub(crate) const HANDSHAKE_TIME: Duration = MINUTE;
/// The greeting (RFC 5321 §4.5.3.2.1).
pub(crate) const GREETING_TIME: Duration = MINUTE.saturating_mul(5);
/// Answers to commands for which RFC 5321 §4.5.3.2.2 names no other time: EHLO, AUTH, MAIL, RSET.
pub(crate) const COMMAND_TIME: Duration = MINUTE.saturating_mul(5);
/// The answer to RCPT (RFC 5321 §4.5.3.2.3).
pub(crate) const RECIPIENT_TIME: Duration = MINUTE.saturating_mul(5);
/// The answer to DATA (RFC 5321 §4.5.3.2.4).
pub(crate) const DATA_TIME: Duration = MINUTE.saturating_mul(2);
/// Taking one block of a message (RFC 5321 §4.5.3.2.5).
pub(crate) const BLOCK_TIME: Duration = MINUTE.saturating_mul(3);
/// The answer to the end of a message (RFC 5321 §4.5.3.2.6).
pub(crate) const END_TIME: Duration = MINUTE.saturating_mul(10);
/// One message with its whole envelope: a host that takes a byte in three minutes holds a place
/// that others wait for.
pub(crate) const TRANSFER_TIME: Duration = MINUTE.saturating_mul(120);
/// The goodbye, and what a host that has broken off in the middle may still have said.
pub(crate) const LAST_WORDS_TIME: Duration = Duration::from_secs(10);

/// Commands in one write (RFC 2920). Their answers fit into any socket's buffer.
pub(crate) const PIPELINED_MAX: usize = 100;
/// A message leaves in blocks of about this size: one chunk of the blob store, or a little more.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
/// A chunk of BDAT.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// What is taken in while something is being sent.
pub(crate) const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Exchangers of a domain that are tried, the best ones.
pub(crate) const EXCHANGERS_MAX: usize = 10;
/// Addresses of one exchanger that are tried.
pub(crate) const ADDRESSES_MAX: usize = 8;

/// How long an address that did not answer is left alone.
pub(crate) const DEAD_TIME: Duration = Duration::from_secs(45);
/// How long at most it is tried last only, if it keeps failing.
pub(crate) const SUSPECT_TIME: Duration = MINUTE.saturating_mul(10);
/// How many such addresses are remembered.
pub(crate) const DEAD_MAX: usize = 8_192;

/// The longest text of an answer that is kept, in bytes: some go into rows and reports.
pub(crate) const ANSWER_TEXT_MAX: usize = 400;
