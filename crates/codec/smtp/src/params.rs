//! The parameters of MAIL and RCPT.
//!
//! SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5), RET and
//! ENVID, NOTIFY and ORCPT (RFC 3461), REQUIRETLS (RFC 8689). The parser knows the syntax of all of them; which of them a
//! session takes depends on what it offered, so it looks at the fields and refuses with
//! [`CommandError::UnknownParameter`]. A parameter that is not known here, or stands twice, is
//! refused, never skipped: the client relies on what it asked for.

use std::fmt;

use crate::{command::CommandError, xtext};

/// Longest ENVID, decoded, in bytes (RFC 3461 §4.4).
const ENVID_BYTES_MAX: usize = 100;
/// Longest ORCPT address and AUTH identity, decoded, in bytes (RFC 3461 §4.2, RFC 4954 §5).
const XTEXT_BYTES_MAX: usize = 500;

/// The address type of internationalised addresses (RFC 6533 §3).
const UTF8_TYPE: &str = "utf-8";

/// What may follow the reverse-path of MAIL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParams {
    /// SIZE: what the client thinks the message will weigh, in bytes. A number beyond u64 reads
    /// as the largest u64.
    pub size_bytes: Option<u64>,
    /// BODY.
    pub body: Option<BodyType>,
    /// RET: what a failure report shall carry.
    pub ret: Option<ReturnContent>,
    /// ENVID: the sender's own id of the envelope, decoded: printable ASCII, never empty.
    pub envid: Option<String>,
    /// AUTH: who submitted the message, as the client says.
    pub auth: Option<MailAuth>,
    /// SMTPUTF8: addresses and headers may be UTF-8.
    pub smtputf8: bool,
    /// REQUIRETLS: the message may only go on where TLS is sure (RFC 8689 §2).
    pub require_tls: bool,
}

/// What may follow the forward-path of RCPT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptParams {
    /// NOTIFY: when the sender wants a report.
    pub notify: Option<Notify>,
    /// ORCPT: the recipient as the sender first wrote it.
    pub orcpt: Option<OriginalRecipient>,
}

/// How the bytes of a body are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// Lines of 7-bit bytes.
    SevenBit,
    /// Lines of 8-bit bytes (RFC 6152).
    EightBitMime,
    /// Any bytes, only with BDAT (RFC 3030 §3).
    BinaryMime,
}

/// What a failure report carries (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnContent {
    /// The whole message.
    Full,
    /// Its headers.
    Headers,
}

/// The AUTH parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailAuth {
    /// `AUTH=<>`: not known, or not trusted.
    Unknown,
    /// Decoded: printable ASCII, never empty.
    Identity(String),
}

/// When the sender wants a report (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// Not at all.
    Never,
    /// On each of the events that is true. At least one is.
    On {
        /// Delivered.
        success: bool,
        /// Not delivered, for good.
        failure: bool,
        /// Still not delivered.
        delay: bool,
    },
}

/// ORCPT (RFC 3461 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// The kind of address, lowercase, `rfc822` as a rule.
    pub address_type: String,
    /// Decoded: printable ASCII, or with the type `utf-8` (RFC 6533 §3) also other text; never
    /// empty. Not checked to be a mail address.
    pub address: String,
}

impl MailParams {
    /// Parses what stands behind the path. SMTPUTF8 counts as unknown unless `smtputf8`.
    pub(crate) fn parse(text: &str, smtputf8: bool) -> Result<MailParams, CommandError> {
        let mut params = MailParams::default();
        for (keyword, value) in split(text)? {
            match (keyword.to_ascii_uppercase().as_str(), value) {
                ("SIZE", Some(value)) => set("SIZE", &mut params.size_bytes, size(value))?,
                ("BODY", Some(value)) => set("BODY", &mut params.body, body(value))?,
                ("RET", Some(value)) => set("RET", &mut params.ret, ret(value))?,
                ("ENVID", Some(value)) => {
                    set("ENVID", &mut params.envid, text_of(value, ENVID_BYTES_MAX))?;
                }
                ("AUTH", Some(value)) => set("AUTH", &mut params.auth, auth(value))?,
                ("SMTPUTF8", None) if smtputf8 => {
                    if std::mem::replace(&mut params.smtputf8, true) {
                        return Err(CommandError::DuplicateParameter("SMTPUTF8"));
                    }
                }
                ("REQUIRETLS", None) => {
                    if std::mem::replace(&mut params.require_tls, true) {
                        return Err(CommandError::DuplicateParameter("REQUIRETLS"));
                    }
                }
                ("REQUIRETLS", Some(_)) => {
                    return Err(CommandError::BadParameter(shown(keyword)));
                }
                ("SIZE" | "BODY" | "RET" | "ENVID" | "AUTH", None) => {
                    return Err(CommandError::BadParameter(shown(keyword)));
                }
                _ => return Err(CommandError::UnknownParameter(shown(keyword))),
            }
        }
        Ok(params)
    }
}

impl RcptParams {
    /// Parses what stands behind the path.
    pub(crate) fn parse(text: &str) -> Result<RcptParams, CommandError> {
        let mut params = RcptParams::default();
        for (keyword, value) in split(text)? {
            match (keyword.to_ascii_uppercase().as_str(), value) {
                ("NOTIFY", Some(value)) => set("NOTIFY", &mut params.notify, notify(value))?,
                ("ORCPT", Some(value)) => set("ORCPT", &mut params.orcpt, orcpt(value))?,
                ("NOTIFY" | "ORCPT", None) => {
                    return Err(CommandError::BadParameter(shown(keyword)));
                }
                _ => return Err(CommandError::UnknownParameter(shown(keyword))),
            }
        }
        Ok(params)
    }
}

type KeywordAndValue<'a> = (&'a str, Option<&'a str>);

/// Splits ` KEY=value KEY …`; the text is empty or begins with a space.
fn split(text: &str) -> Result<impl Iterator<Item = KeywordAndValue<'_>>, CommandError> {
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(CommandError::MissingSpace);
    }
    Ok(text.split(' ').filter(|param| !param.is_empty()).map(|param| {
        param.split_once('=').map_or((param, None), |(keyword, value)| (keyword, Some(value)))
    }))
}

fn set<T>(
    keyword: &'static str,
    place: &mut Option<T>,
    value: Option<T>,
) -> Result<(), CommandError> {
    let value = value.ok_or_else(|| CommandError::BadParameter(keyword.to_owned()))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::DuplicateParameter(keyword)),
    }
}

/// A keyword as it may stand in a reply and a log.
fn shown(keyword: &str) -> String {
    keyword.chars().filter(char::is_ascii_graphic).take(32).collect()
}

/// RFC 1870 §6.1: up to 20 digits, which is more than u64 holds.
fn size(value: &str) -> Option<u64> {
    let is_number = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Option<BodyType> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(BodyType::SevenBit),
        "8BITMIME" => Some(BodyType::EightBitMime),
        "BINARYMIME" => Some(BodyType::BinaryMime),
        _ => None,
    }
}

fn ret(value: &str) -> Option<ReturnContent> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" => Some(ReturnContent::Full),
        "HDRS" => Some(ReturnContent::Headers),
        _ => None,
    }
}

fn text_of(value: &str, max_bytes: usize) -> Option<String> {
    xtext::decode(value, max_bytes).filter(|text| !text.is_empty())
}

fn auth(value: &str) -> Option<MailAuth> {
    if value == "<>" {
        return Some(MailAuth::Unknown);
    }
    // An identity that decodes to `<>` prints as such, so it is the same thing.
    Some(match text_of(value, XTEXT_BYTES_MAX)? {
        identity if identity == "<>" => MailAuth::Unknown,
        identity => MailAuth::Identity(identity),
    })
}

fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for event in value.split(',') {
        match event.to_ascii_uppercase().as_str() {
            "SUCCESS" => success = true,
            "FAILURE" => failure = true,
            "DELAY" => delay = true,
            _ => return None,
        }
    }
    Some(Notify::On { success, failure, delay })
}

fn orcpt(value: &str) -> Option<OriginalRecipient> {
    let (address_type, address) = value.split_once(';')?;
    let is_type = (1..=32).contains(&address_type.len())
        && address_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let address_type = address_type.to_ascii_lowercase();
    let address = match address_type.as_str() {
        UTF8_TYPE => xtext::decode_utf8(address, XTEXT_BYTES_MAX).filter(|text| !text.is_empty()),
        _ => text_of(address, XTEXT_BYTES_MAX),
    };
    let address = address.filter(|_| is_type)?;
    Some(OriginalRecipient { address_type, address })
}

impl fmt::Display for MailParams {
    /// The wire form, each parameter with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size_bytes) = self.size_bytes {
            write!(f, " SIZE={size_bytes}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={body}")?;
        }
        if let Some(ret) = self.ret {
            f.write_str(match ret {
                ReturnContent::Full => " RET=FULL",
                ReturnContent::Headers => " RET=HDRS",
            })?;
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={}", xtext::Encoded(envid))?;
        }
        match &self.auth {
            Some(MailAuth::Unknown) => f.write_str(" AUTH=<>")?,
            Some(MailAuth::Identity(identity)) => {
                write!(f, " AUTH={}", xtext::Encoded(identity))?;
            }
            None => {}
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if self.require_tls { f.write_str(" REQUIRETLS") } else { Ok(()) }
    }
}

impl fmt::Display for RcptParams {
    /// The wire form, each parameter with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(notify) = self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(OriginalRecipient { address_type, address }) = &self.orcpt {
            write!(f, " ORCPT={};", xtext::Encoded(address_type))?;
            match address_type.as_str() {
                UTF8_TYPE => xtext::EncodedUtf8(address).fmt(f)?,
                _ => xtext::Encoded(address).fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for BodyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyType::SevenBit => "7BIT",
            BodyType::EightBitMime => "8BITMIME",
            BodyType::BinaryMime => "BINARYMIME",
        })
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notify::On { success, failure, delay } = *self else {
            return f.write_str("NEVER");
        };
        let events = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let mut separator = "";
        for (_, event) in events.into_iter().filter(|(wanted, _)| *wanted) {
            write!(f, "{separator}{event}")?;
            separator = ",";
        }
        Ok(())
    }
}
