//! What a host offers in its answer to EHLO, as far as we use it.

use codec_smtp::EhloResponse;

/// The offer. Nothing is offered by a host that only knows HELO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Offer {
    /// PIPELINING (RFC 2920).
    pub(crate) pipelining: bool,
    /// STARTTLS (RFC 3207).
    pub(crate) starttls: bool,
    /// SIZE (RFC 1870), with or without a limit.
    pub(crate) size: bool,
    /// The limit of SIZE in bytes.
    pub(crate) size_bytes_max: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub(crate) eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub(crate) smtputf8: bool,
    /// DSN (RFC 3461).
    pub(crate) dsn: bool,
    /// CHUNKING (RFC 3030).
    pub(crate) chunking: bool,
    /// REQUIRETLS (RFC 8689).
    pub(crate) require_tls: bool,
    /// AUTH PLAIN (RFC 4954).
    pub(crate) auth_plain: bool,
    /// AUTH LOGIN.
    pub(crate) auth_login: bool,
}

impl Offer {
    pub(crate) fn new(response: &EhloResponse) -> Self {
        Self {
            pipelining: response.has("PIPELINING"),
            starttls: response.has("STARTTLS"),
            size: response.has("SIZE"),
            size_bytes_max: response.size_limit_bytes(),
            eight_bit_mime: response.has("8BITMIME"),
            smtputf8: response.has("SMTPUTF8"),
            dsn: response.has("DSN"),
            chunking: response.has("CHUNKING"),
            require_tls: response.has("REQUIRETLS"),
            auth_plain: response.has_mechanism("PLAIN"),
            auth_login: response.has_mechanism("LOGIN"),
        }
    }
}
