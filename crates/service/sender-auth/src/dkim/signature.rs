//! `DKIM-Signature` (RFC 6376 §3.5) and its kin in ARC (RFC 8617 §4.1).

use super::key::LENIENT;
use super::{Canonical, tags};
use base64::Engine;
use std::fmt;

/// How far a signer's clock may be ahead of ours, in seconds.
const CLOCK_SKEW_S: i64 = 300;

/// The longest name in `d=` or `s=`.
const NAME_BYTES_MAX: usize = 253;

/// `a=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// RSA with SHA-256.
    RsaSha256,
    /// Ed25519 over SHA-256 (RFC 8463).
    Ed25519Sha256,
    /// RSA with SHA-1, which counts for nothing any more (RFC 8301 §3.1).
    RsaSha1,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
            Self::RsaSha1 => "rsa-sha1",
        })
    }
}

/// A signature, as its field says it.
#[derive(Clone, Debug)]
pub struct Signature {
    /// `a=`.
    pub algorithm: Algorithm,
    /// `b=`.
    pub signature: Vec<u8>,
    /// The first characters of `b=`.
    pub tag: String,
    /// `bh=`.
    pub body_hash: Vec<u8>,
    /// `c=`, for the header.
    pub header_canonical: Canonical,
    /// `c=`, for the body.
    pub body_canonical: Canonical,
    /// `d=`, in lower case.
    pub domain: String,
    /// `s=`, in lower case.
    pub selector: String,
    /// `h=`, in lower case.
    pub fields: Vec<String>,
    /// `l=`.
    pub body_bytes: Option<u64>,
    /// The domain of `i=`, in lower case.
    pub identity: Option<String>,
    /// `t=`, in seconds since 1970.
    pub signed_s: Option<i64>,
    /// `x=`.
    pub expires_s: Option<i64>,
}

/// Why a field is no signature, and of whom it is none.
#[derive(Clone, Debug)]
pub struct SignatureError {
    /// In words.
    pub reason: &'static str,
    /// `d=`, where that much could be read.
    pub domain: String,
    /// `s=`, likewise.
    pub selector: String,
}

/// Whose field it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `DKIM-Signature`.
    Dkim,
    /// `ARC-Message-Signature`.
    ArcMessage,
    /// `ARC-Seal`, which signs no body and names no fields.
    ArcSeal,
}

impl Signature {
    /// Reads the value of a field.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn parse(value: &[u8], kind: Kind) -> Result<Self, SignatureError> {
        let broken = SignatureError {
            reason: "the signature cannot be read",
            domain: String::new(),
            selector: String::new(),
        };
        let Some(tags) = tags::parse(value) else { return Err(broken) };
        let name = |tag| {
            let name = tags::find(&tags, tag).map(tags::dense).unwrap_or_default();
            if is_name(&name) { name.to_ascii_lowercase() } else { String::new() }
        };
        let (domain, selector) = (name("d"), name("s"));
        let read = Self::read(&tags, kind, domain.clone(), selector.clone());
        read.map_err(|reason| SignatureError { reason, domain, selector })
    }

    fn read(
        tags: &[(&str, &str)],
        kind: Kind,
        domain: String,
        selector: String,
    ) -> Result<Self, &'static str> {
        let find = |tag| tags::find(tags, tag);
        if domain.is_empty() || selector.is_empty() {
            return Err("the signature names no key");
        }
        if kind == Kind::Dkim && find("v") != Some("1") {
            return Err("the signature is of an unknown version");
        }
        let algorithm = match find("a").map(str::to_ascii_lowercase).as_deref() {
            Some("rsa-sha256") => Algorithm::RsaSha256,
            Some("ed25519-sha256") => Algorithm::Ed25519Sha256,
            Some("rsa-sha1") => Algorithm::RsaSha1,
            _ => return Err("the signature's algorithm is unknown"),
        };
        let decode = |tag| {
            let text = find(tag).map(tags::dense)?;
            Some((LENIENT.decode(&text).ok()?, text.chars().take(8).collect::<String>()))
        };
        let (signature, tag) = decode("b").ok_or("the signature cannot be decoded")?;
        let signs_body = kind != Kind::ArcSeal;
        let body_hash = match decode("bh") {
            Some((hash, _)) => hash,
            None if signs_body => return Err("the body's hash cannot be decoded"),
            None => Vec::new(),
        };
        let canonical = match find("c") {
            None => Some((Canonical::Simple, Canonical::Simple)),
            Some(pair) => Canonical::parse_pair(pair),
        };
        let (header_canonical, body_canonical) = canonical.ok_or("c= is unknown")?;
        let fields = fields(tags, kind)?;
        let identity = match find("i").filter(|_| kind == Kind::Dkim) {
            Some(identity) => Some(identity_domain(identity, &domain)?),
            None => None,
        };
        let seconds = |tag| number(tags, tag).map(|found| found.map(|seconds| seconds as i64));
        Ok(Self {
            algorithm,
            signature,
            tag,
            body_hash,
            header_canonical,
            body_canonical,
            domain,
            selector,
            fields,
            body_bytes: number(tags, "l")?,
            identity,
            signed_s: seconds("t")?,
            expires_s: seconds("x")?,
        })
    }

    /// Whether it counts at this moment: neither expired nor made in the future.
    pub fn is_timely(&self, now_s: i64) -> bool {
        self.expires_s.is_none_or(|expires| {
            expires >= now_s && self.signed_s.is_none_or(|signed| signed <= expires)
        }) && self.signed_s.is_none_or(|signed| signed <= now_s + CLOCK_SKEW_S)
    }
}

/// `h=`, in lower case.
fn fields(tags: &[(&str, &str)], kind: Kind) -> Result<Vec<String>, &'static str> {
    let list = match (tags::find(tags, "h"), kind) {
        (Some(_), Kind::ArcSeal) => return Err("a seal must not name fields"),
        (None, Kind::ArcSeal) => return Ok(Vec::new()),
        (None, Kind::Dkim | Kind::ArcMessage) => return Err("the signature names no fields"),
        (Some(list), Kind::Dkim | Kind::ArcMessage) => list,
    };
    let fields: Vec<String> =
        list.split(':').map(|name| tags::dense(name).to_ascii_lowercase()).collect();
    if kind == Kind::Dkim && !fields.iter().any(|name| name == "from") {
        return Err("the From field is not signed");
    }
    Ok(fields)
}

/// The domain of `i=`, in lower case.
fn identity_domain(identity: &str, domain: &str) -> Result<String, &'static str> {
    let (_, host) = identity.rsplit_once('@').ok_or("i= is no identity")?;
    let host = tags::dense(host).to_ascii_lowercase();
    if is_within(&host, domain) { Ok(host) } else { Err("i= is not of the domain") }
}

fn number(tags: &[(&str, &str)], tag: &str) -> Result<Option<u64>, &'static str> {
    match tags::find(tags, tag) {
        None => Ok(None),
        // So many digits are no time and no length of anything.
        Some(text) if text.len() > 18 => Err("a number is too long"),
        Some(text) => text.parse().map(Some).map_err(|_| "a number cannot be read"),
    }
}

/// Whether a host is a domain or below it; both in lower case.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label
                    .bytes()
                    .any(|byte| byte.is_ascii_control() || b"\"();<>,:/\\".contains(&byte))
        })
}
