//! Messages made fit for a host that takes less than they need (RFC 6152 §3, RFC 3030 §3).
//!
//! Three readings, each in pieces of any size. The [`crate::Scanner`] finds the parts; a [`Survey`]
//! looks at the octets of each and settles what becomes of it, or that nothing can be done; a
//! [`Converter`] follows that [`Plan`]. Memory is bounded by the number of parts and by one header.
//!
//! Parts that do not fit are encoded anew: text as quoted-printable, all else as base64. What holds
//! other parts may not be encoded (RFC 2045 §6.4), so conversion goes inside, and its
//! Content-Transfer-Encoding says what is left. Every octet of a part decodes to what it was, and
//! header fields that need no change keep each of theirs.
//!
//! Nothing within a multipart/signed is touched (RFC 1847 §2.1): whoever signs what needs eight bits
//! has broken that rule, and to mend it here would break the signature. Such a message cannot be
//! converted.

mod encode;
mod fields;
mod header;
mod plan;
mod survey;
mod write;

pub use plan::Plan;
pub use survey::Survey;
pub use write::Converter;

use std::fmt;

/// What a message is to be fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Seven bits everywhere, lines of at most 998 octets.
    SevenBit,
    /// ASCII in the message's own header; its body stays (8BITMIME without SMTPUTF8).
    AsciiHeader,
    /// Lines of at most 998 octets that end in CRLF, without NUL: what DATA can carry (8BITMIME
    /// without BINARYMIME). Eight bits stay.
    Lines,
}

/// Why a message cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// What does not fit is signed.
    Signed,
    /// What does not fit may not be encoded, or it cannot be seen how: a fragment (message/partial),
    /// an unknown encoding, parts beyond all limits.
    Opaque,
    /// An address or an identifier has 8-bit octets, for which there is no other form.
    Address,
    /// A header is too long to be rewritten, or has a line that cannot be folded.
    Header,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Impossible::Signed => "what would have to be converted is signed",
            Impossible::Opaque => "a part of it cannot be converted",
            Impossible::Address => "an address in its header is not ASCII",
            Impossible::Header => "its header cannot be converted",
        })
    }
}

impl std::error::Error for Impossible {}

/// The longest line, its end left out (RFC 5322 §2.1.1).
pub(crate) const LINE_BYTES_MAX: usize = 998;

/// The longest header that is rewritten.
pub(crate) const HEADER_BYTES_MAX: usize = 1 << 20;

/// Converts a message that is in memory.
///
/// # Errors
/// [`Impossible`].
pub fn whole(message: &[u8], target: Target) -> Result<Vec<u8>, Impossible> {
    let parsed = crate::parse(message);
    let mut survey = Survey::new(&parsed, target);
    survey.push(message);
    let mut converter = Converter::new(survey.finish()?);
    let mut out = Vec::with_capacity(message.len());
    converter.push(message, &mut out);
    converter.finish(&mut out);
    Ok(out)
}
