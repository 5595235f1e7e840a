//! SPF: whether a domain lets a host send mail in its name (RFC 7208).
//!
//! A record is read whole before anything of it is evaluated, so that an error anywhere in it is
//! found whatever matches. What an evaluation may cost is bounded: ten terms that ask the DNS, ten
//! hosts of each, two questions that nobody has an answer to (RFC 7208 §4.6.4).

mod eval;
mod macros;
mod record;

pub use eval::check_host;

use std::fmt;
use std::net::IpAddr;

/// What SPF says (RFC 7208 §2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpfResult {
    /// The domain says nothing.
    None,
    /// The domain explicitly takes no side.
    Neutral,
    /// The host may send.
    Pass,
    /// The host may not.
    Fail,
    /// The host may probably not.
    SoftFail,
    /// Nobody knows at the moment.
    TempError,
    /// What the domain publishes cannot be evaluated.
    PermError,
}

impl SpfResult {
    /// The word in an `Authentication-Results` field (RFC 8601 §2.7.2).
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What came of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spf {
    /// The result.
    pub result: SpfResult,
    /// What the domain has to say to a host that it forbids to send (RFC 7208 §6.2).
    pub explanation: Option<String>,
}

impl From<SpfResult> for Spf {
    fn from(result: SpfResult) -> Self {
        Self { result, explanation: None }
    }
}

/// The host that sends.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// What it calls itself.
    pub helo: &'a str,
    /// The name of the server that checks.
    pub receiver: &'a str,
    /// Seconds since 1970, for those who want them in an explanation.
    pub unix_s: i64,
}

/// Whether a text is a name that a record can be looked up under: no literal, several labels, none
/// of them empty or too long (RFC 7208 §4.3).
fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253
        && name.contains('.')
        && !name.starts_with('[')
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
}
