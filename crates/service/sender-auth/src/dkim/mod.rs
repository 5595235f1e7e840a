//! DKIM: signatures of domains over messages (RFC 6376, RFC 8463, RFC 8301).
//!
//! The header is at hand when it has come whole; of the body only hashes are kept, one for each
//! way of counting it that a signature asks for, so a message of any size is checked while it
//! streams by.

mod body;
mod canonical;
mod key;
mod sign;
mod signature;
pub mod tags;
mod verify;

pub use body::BodyHash;
pub use canonical::Canonical;
pub use key::{KeyError, PublicKey};
pub(crate) use sign::{Folded, occurrences};
pub use sign::{SIGNED_FIELDS, Signer, SigningKey};
pub(crate) use signature::is_within;
pub use signature::{Algorithm, Kind, Signature, SignatureError};
pub(crate) use verify::own_input;
pub use verify::{fetch_key, header_input};

use std::fmt;

/// What came of checking a signature (RFC 8601 §2.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DkimResult {
    /// It is the domain's, over this message.
    Pass,
    /// The message is not what was signed.
    Fail,
    /// It is the domain's, but says too little to count.
    Policy,
    /// Nobody knows at the moment.
    TempError,
    /// It cannot be checked, now or ever.
    PermError,
}

impl DkimResult {
    /// The word in an `Authentication-Results` field.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for DkimResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One signature and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dkim {
    /// The result.
    pub result: DkimResult,
    /// Why, where it is no pass.
    pub reason: Option<&'static str>,
    /// `d=`, in lower case; empty where it could not be read.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `a=`.
    pub algorithm: Option<Algorithm>,
    /// The first characters of `b=`, to tell signatures of one domain apart (RFC 6008 §3).
    pub tag: String,
}
