//! What scanners are asked about a message that has come whole, and what they make of it.
//!
//! They are asked at the end of a message and not while it comes: so a client that sends slowly
//! holds no connection of a scanner, and cannot make a scanner give up that would have found
//! something. The message waits where it is stored anyway; nothing of it is held in memory for a
//! scanner but the piece that is being sent.

use super::Scanner;
use async_trait::async_trait;
use base::{Address, QueueId};
use bytes::Bytes;
use contract_blob::{Content, Segment, Staged};
use std::net::SocketAddr;

/// The field that tells what each scanner made of a message; we write it, at the very front.
pub const SCAN_FIELD: &str = "X-Rialto-Scan";

/// What begins so is written by scanners, and removed from what strangers send, in lower case.
pub const SCANNER_PREFIXES: [&[u8]; 5] =
    [b"x-spam", b"x-rspamd-", b"x-virus-", b"x-amavis-", b"x-clamav-"];

/// How much of a note is told, in characters.
const NOTE_CHARS_MAX: usize = 300;

/// Where a message is from and for whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The name that it has with us.
    pub queue: QueueId,
    /// The client.
    pub peer: SocketAddr,
    /// What it called itself.
    pub helo: String,
    /// TLS version and cipher, where it is encrypted.
    pub tls: Option<(String, String)>,
    /// Who has signed in.
    pub user: Option<String>,
    /// Whether somebody has signed in, or it is a server or device of ours.
    pub is_ours: bool,
    /// MAIL FROM; `None` for `<>`.
    pub sender: Option<Address>,
    /// RCPT TO.
    pub recipients: Vec<Address>,
    /// The server's own name.
    pub host_name: String,
}

/// A message that has come whole.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The envelope.
    pub facts: Facts,
    /// Fields of ours that stand in front: scanners see them, and change nothing of them.
    pub front: Bytes,
    /// The header, with its blank line where it has one.
    pub header: Bytes,
    /// In whose bytes from `body_at` on the body is; `None` where there is none.
    pub staged: Option<Staged>,
    /// Where the body begins in `staged`.
    pub body_at: u64,
}

impl Mail {
    /// How long its body is.
    pub fn body_bytes(&self) -> u64 {
        self.staged.as_ref().map_or(0, |staged| staged.size_bytes.saturating_sub(self.body_at))
    }

    /// How long it is as a scanner sees it.
    pub fn size_bytes(&self) -> u64 {
        (self.front.len() + self.header.len()) as u64 + self.body_bytes()
    }
}

/// What a client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// 400 to 599.
    pub code: u16,
    /// RFC 3463: its class is that of the code.
    pub status: [u16; 3],
    /// One line of printable ASCII.
    pub text: String,
}

impl Reply {
    /// A refusal (RFC 3463 §3.8).
    pub fn refused(text: impl Into<String>) -> Self {
        Self { code: 550, status: [5, 7, 1], text: text.into() }
    }

    /// A request to come again.
    pub fn later(text: impl Into<String>) -> Self {
        Self { code: 451, status: [4, 7, 1], text: text.into() }
    }
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Fate {
    /// It is accepted.
    #[default]
    Accepted,
    /// It is refused, or its client is to come again.
    Refused(Reply),
    /// Its client hears that it was accepted, and it is gone.
    Discarded,
}

/// What all scanners together make of a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scanned {
    /// What becomes of it.
    pub fate: Fate,
    /// Whole fields to put in front of it: [`SCAN_FIELD`]s, the mark of junk, and what scanners add.
    pub front: Bytes,
    /// The header that takes the place of its own, where a scanner has changed that.
    pub header: Option<Bytes>,
    /// For people: what the last scanner said; empty where none was asked.
    pub reason: String,
}

/// How a scanner is, as this node knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// How often it has failed in a row.
    pub failures: u32,
    /// For how long it is not asked any more because of that; `None` where it is.
    pub rests_ms: Option<u64>,
    /// What went wrong last since it last answered.
    pub trouble: String,
    /// How many messages it has answered for since the node began.
    pub answered: u64,
    /// How many messages it has failed.
    pub failed: u64,
}

/// A trial of a scanner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// What was tried.
    pub what: &'static str,
    /// What came of it, for people.
    pub outcome: String,
    /// Whether it was answered at all.
    pub answered: bool,
    /// How long it took.
    pub took_ms: u64,
}

/// Whoever speaks with scanners.
#[async_trait]
pub trait Scanners: Send + Sync + 'static {
    /// Whether any scanner is to see such mail.
    fn see(&self, is_ours: bool) -> bool;

    /// Shows a message to the scanners that are to see it, one after the other, until one decides
    /// against it. Never fails: what happens then is configured.
    async fn scan(&self, mail: Mail) -> Scanned;

    /// How a scanner is.
    fn standing(&self, name: &str) -> Standing;

    /// Tries a scanner with messages that every such program knows.
    async fn test(&self, scanner: &Scanner) -> Vec<Trial>;
}

/// The field that tells what a scanner made of a message: one line of ASCII. `result` is `clean`,
/// `junk`, `skipped`, `failed`.
pub fn note(scanner: &str, result: &str, text: &str) -> String {
    let gap = if text.is_empty() { "" } else { "; " };
    format!("{SCAN_FIELD}: {scanner}; {result}{gap}{}\r\n", plain(text))
}

/// Text of a scanner as a line of printable ASCII.
pub fn plain(text: &str) -> String {
    let shown = text.trim().chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
    shown.take(NOTE_CHARS_MAX).collect()
}

/// What scanners made of a message, as `name: result; text`. Looks at what we have put in front
/// only, never at what came from outside.
pub fn notes(content: &Content) -> Vec<String> {
    let Some(Segment::Inline(front)) = content.segments.first() else { return Vec::new() };
    let lines = front.split_inclusive(|byte| *byte == b'\n');
    let values = lines.filter_map(|line| {
        let value = line.strip_prefix(SCAN_FIELD.as_bytes())?.strip_prefix(b": ")?;
        let value = String::from_utf8_lossy(value.trim_ascii());
        let (name, rest) = value.split_once("; ")?;
        Some(format!("{name}: {rest}"))
    });
    values.take(super::SCANNERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_found_in_what_we_wrote_only() {
        let inline = |text: String| Segment::Inline(text.into());
        let check = |segments: Vec<Segment>, expect: &[&str]| {
            assert_eq!(notes(&Content { segments: segments.clone() }), expect, "{segments:?}");
        };
        let one = note("av", "clean", "");
        let two = note("spam", "junk", "rspamd gave 7 of 15\r\nX: é");
        assert_eq!(two, "X-Rialto-Scan: spam; junk; rspamd gave 7 of 15??X: ?\r\n");
        let both = ["av: clean", "spam: junk; rspamd gave 7 of 15??X: ?"];
        check(vec![inline(format!("X-Spam: y\r\n{one}{two}")), inline(one.clone())], &both);
        check(vec![inline("Received: x\r\n".into()), inline(one.clone())], &[]);
        check(vec![inline(format!("Subject: {one}"))], &[]);
        check(vec![], &[]);
        assert!(note("x", "clean", &"y".repeat(9_000)).len() < 350);
    }
}
