//! Small pieces of mail that services write: header fields, trace headers, names for downloads.
//!
//! Values go in as text and come out as fields that cannot be broken out of: control characters
//! (CR and LF first) become spaces, other than ASCII is encoded where the field allows it, lines
//! are folded (RFC 5322 §2.2.3) and stay below the hard limit of §2.1.1.

use std::fmt::Write;
use std::net::IpAddr;

use crate::encoded_word::{encode, encode_phrase, neutral};
use crate::message::SentAt;
use crate::{date, filename};

/// RFC 5322 §2.1.1 recommends 78 with the line end.
const LINE_BYTES: usize = 76;
/// A word that cannot be folded is cut here, below the 998 of RFC 5322 §2.1.1.
const WORD_BYTES: usize = 900;

/// A display name with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// Shown name, any text.
    pub name: Option<&'a str>,
    /// `local@domain`.
    pub email: &'a str,
}

/// Writes a header block field by field.
#[derive(Debug, Default)]
pub struct HeaderWriter {
    text: String,
}

impl HeaderWriter {
    /// An empty header.
    pub fn new() -> Self {
        HeaderWriter::default()
    }

    /// A field whose value already has the syntax of the field; UTF-8 stays (RFC 6532).
    pub fn structured(&mut self, name: &str, value: &str) -> &mut Self {
        let name: String = name.chars().filter(|c| c.is_ascii_graphic() && *c != ':').collect();
        let name = if name.is_empty() { "X-Unnamed" } else { &name };
        let _ = write!(self.text, "{name}:");
        let mut column = name.len() + 1;
        let mut on_line = false;
        let value = neutral(value);
        let mut rest = value.trim();
        while !rest.is_empty() {
            let word = rest.trim_start_matches(' ');
            let spaces = (rest.len() - word.len()).clamp(1, LINE_BYTES);
            let end = word.find(' ').unwrap_or(word.len());
            let cut = word.floor_char_boundary(end.min(WORD_BYTES));
            if on_line && column + spaces + cut > LINE_BYTES {
                self.text.push_str("\r\n");
                column = 0;
            }
            self.text.extend(std::iter::repeat_n(' ', spaces));
            self.text.push_str(&word[..cut]);
            column += spaces + cut;
            on_line = true;
            rest = &word[end..];
        }
        self.text.push_str("\r\n");
        self
    }

    /// An unstructured field such as Subject, encoded where needed (RFC 2047).
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.structured(name, &encode(text))
    }

    /// An address field; nothing is written for an empty list.
    pub fn addresses(&mut self, name: &str, list: &[Mailbox<'_>]) -> &mut Self {
        if list.is_empty() {
            return self;
        }
        let written: Vec<String> = list.iter().map(mailbox).collect();
        self.structured(name, &written.join(", "))
    }

    /// A date field.
    pub fn date(&mut self, name: &str, at: SentAt) -> &mut Self {
        self.structured(name, &date::print(at))
    }

    /// The fields so far, without a blank line: to be put before an existing header.
    pub fn fields(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// The whole header with its blank line.
    pub fn finish(mut self) -> Vec<u8> {
        self.text.push_str("\r\n");
        self.text.into_bytes()
    }
}

fn mailbox(mailbox: &Mailbox<'_>) -> String {
    let email = bare_address(mailbox.email);
    match mailbox.name {
        Some(name) if !name.trim().is_empty() => format!("{} <{email}>", encode_phrase(name)),
        _ => email,
    }
}

/// An address for use inside angle brackets: nothing that could end them or the line.
pub(crate) fn bare_address(email: &str) -> String {
    email.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect()
}

/// What a trace field tells of one hop (RFC 5321 §4.4).
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// What the client called itself in EHLO.
    pub helo: &'a str,
    /// The client's verified host name.
    pub client_name: Option<&'a str>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// Our host name.
    pub by: &'a str,
    /// RFC 3848 keyword such as `ESMTPS`.
    pub with: &'a str,
    /// TLS version and cipher, shown as a comment.
    pub tls: Option<&'a str>,
    /// Our queue id.
    pub id: &'a str,
    /// The recipient, only where there is exactly one (RFC 5321 §7.2).
    pub recipient: Option<&'a str>,
    /// When it was received.
    pub at: SentAt,
}

/// The `Received:` field of a hop, folded, with its line end.
pub fn received(hop: &Received<'_>) -> Vec<u8> {
    let mut value = format!("from {}", host(hop.helo));
    let address = match hop.client_ip {
        Some(IpAddr::V4(ip)) => Some(format!("[{ip}]")),
        Some(IpAddr::V6(ip)) => Some(format!("[IPv6:{ip}]")),
        None => None,
    };
    let peer: Vec<String> = hop.client_name.map(host).into_iter().chain(address).collect();
    if !peer.is_empty() {
        let _ = write!(value, " ({})", peer.join(" "));
    }
    let _ = write!(value, " by {} with {}", host(hop.by), host(hop.with));
    if let Some(tls) = hop.tls {
        let words: Vec<String> = tls.split_whitespace().map(host).collect();
        let _ = write!(value, " ({})", words.join(" "));
    }
    let _ = write!(value, " id {}", host(hop.id));
    if let Some(recipient) = hop.recipient {
        let _ = write!(value, " for <{}>", bare_address(recipient));
    }
    let _ = write!(value, "; {}", date::print(hop.at));
    let mut header = HeaderWriter::new();
    header.structured("Received", &value);
    header.fields()
}

/// The `Return-Path:` field that final delivery adds (RFC 5321 §4.4); no sender is `<>`.
pub fn return_path(sender: Option<&str>) -> Vec<u8> {
    let mut header = HeaderWriter::new();
    header.structured("Return-Path", &format!("<{}>", bare_address(sender.unwrap_or_default())));
    header.fields()
}

/// A Message-ID from a unique token and a host name (RFC 5322 §3.6.4), with angle brackets.
pub fn message_id(unique: &str, host_name: &str) -> String {
    format!("<{}@{}>", host(unique), host(host_name))
}

/// Letters, digits and the few signs of host names, address literals and keywords; anything else,
/// which a client may have sent, becomes `?`. At most 255 characters (RFC 5321 §4.5.3.1.2).
fn host(text: &str) -> String {
    let clean = |c: char| {
        if c.is_alphanumeric() || ".-_:[]=/+".contains(c) { c } else { '?' }
    };
    let text: String = text.chars().take(255).map(clean).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

/// A Content-Disposition value (RFC 2183, RFC 6266) offering the content under a safe form of
/// `name`: a plain parameter for old readers, and RFC 2231 where the name is not ASCII.
pub fn content_disposition(kind: &str, name: &str) -> String {
    let safe = filename::safe(name);
    let ascii: String = safe
        .chars()
        .map(|c| if c.is_ascii() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let mut value = format!("{}; filename=\"{ascii}\"", host(kind));
    if ascii != safe {
        value.push_str("; filename*=UTF-8''");
        for byte in safe.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                value.push(char::from(byte));
            } else {
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}
