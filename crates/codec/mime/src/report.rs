//! Delivery status notifications: multipart/report (RFC 3462, RFC 6522) with a text for people, a
//! message/delivery-status for programs (RFC 3464), and the original message or its header.
//!
//! A report is never reported on, so that one that a server refuses is lost: what is ours of it has
//! seven bits, but for addresses that cannot be written so.

use crate::build::{HeaderWriter, Mailbox, bare_address};
use crate::encoded_word::neutral;
use crate::header;
use crate::message::SentAt;
use crate::quoted_printable;

/// Lines of the text for people are broken here; RFC 5322 §2.1.1 ends at 998.
const TEXT_LINE_BYTES: usize = 900;

const SEVEN_BITS: &str = "7bit";

const EIGHT_BITS: &str = "8bit";

/// One notification.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Who reports, such as `MAILER-DAEMON`.
    pub from: Mailbox<'a>,
    /// The sender of the original message.
    pub to: &'a str,
    /// Subject of the notification.
    pub subject: &'a str,
    /// Message-ID of the notification, with angle brackets.
    pub message_id: &'a str,
    /// Message-ID of the original, with angle brackets, for threading.
    pub original_message_id: Option<&'a str>,
    /// When the notification is written.
    pub at: SentAt,
    /// A random token that cannot occur in the original message.
    pub boundary: &'a str,
    /// The explanation for people, any line ends.
    pub text: &'a str,
    /// Our host name.
    pub reporting_mta: &'a str,
    /// ENVID of the original (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<&'a str>,
    /// When the original arrived here.
    pub arrived_at: Option<SentAt>,
    /// What became of each recipient.
    pub recipients: &'a [Outcome<'a>],
    /// What is returned.
    pub returned: Returned,
}

/// What part of the original a report returns (RFC 3461 §4.3 RET).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// The header only.
    Header,
    /// The whole message.
    Message,
}

/// RFC 3464 §2.3.3 Action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Will not be delivered.
    Failed,
    /// Not delivered yet, still trying.
    Delayed,
    /// Delivered, as asked for by NOTIFY=SUCCESS.
    Delivered,
    /// Passed to a system that will not report.
    Relayed,
    /// Delivered to a list, which is where reports end.
    Expanded,
}

/// What became of one recipient (RFC 3464 §2.3).
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// ORCPT address, decoded, where the sender gave one.
    pub original_recipient: Option<&'a str>,
    /// The address that was tried.
    pub final_recipient: &'a str,
    /// What happened.
    pub action: Action,
    /// RFC 3463 code such as `5.1.1`.
    pub status: &'a str,
    /// Host that said so.
    pub remote_mta: Option<&'a str>,
    /// What it said, as an SMTP reply.
    pub diagnostic: Option<&'a str>,
    /// When it was tried last.
    pub last_attempt_at: Option<SentAt>,
    /// For a delay: when trying ends.
    pub will_retry_until: Option<SentAt>,
}

impl Report<'_> {
    /// Everything before the returned original. A caller that returns a large message stores
    /// this, a reference to the original's octets, and [`Report::tail`].
    pub fn head(&self) -> Vec<u8> {
        let boundary = self.boundary();
        let international = self.is_international();
        let mut header = HeaderWriter::new();
        header
            .date("Date", self.at)
            .addresses("From", &[self.from])
            .addresses("To", &[Mailbox { name: None, email: self.to }])
            .text("Subject", self.subject)
            .structured("Message-ID", self.message_id)
            .structured("Auto-Submitted", "auto-replied")
            .structured("MIME-Version", "1.0");
        if let Some(original) = self.original_message_id {
            header.structured("In-Reply-To", original).structured("References", original);
        }
        let kind =
            format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
        header.structured("Content-Type", &kind);
        let mut out = header.finish();

        delimiter(&mut out, &boundary);
        let (encoding, text) = people_text(self.text);
        out.extend(part_header("text/plain; charset=utf-8", "Notification", encoding));
        out.extend(text);

        delimiter(&mut out, &boundary);
        let kind = if international {
            "message/global-delivery-status"
        } else {
            "message/delivery-status"
        };
        let mut fields = self.message_fields();
        for outcome in self.recipients {
            fields.extend(outcome.fields());
        }
        let encoding = if international { EIGHT_BITS } else { SEVEN_BITS };
        if !international {
            // What other servers said may have any bytes, the type may not (RFC 3464 §2.1).
            fields.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
        out.extend(part_header(kind, "Delivery report", encoding));
        out.extend(fields);

        delimiter(&mut out, &boundary);
        let kind = match (self.returned, international) {
            (Returned::Message, false) => "message/rfc822",
            (Returned::Message, true) => "message/global",
            (Returned::Header, false) => "text/rfc822-headers",
            (Returned::Header, true) => "message/global-headers",
        };
        out.extend(part_header(kind, "Undelivered message", EIGHT_BITS));
        out
    }

    /// Everything after the returned original.
    pub fn tail(&self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary()).into_bytes()
    }

    /// The whole notification. `original` is the message or at least its header; only what
    /// `returned` asks for is taken, with bare CR and LF made into line ends (attack 2).
    pub fn build(&self, original: &[u8]) -> Vec<u8> {
        let original = match self.returned {
            Returned::Message => original,
            Returned::Header => {
                let end = header::fields(original).last().map_or(0, |field| field.range.end);
                &original[..end]
            }
        };
        let mut out = self.head();
        append_with_crlf(&mut out, original);
        out.extend(self.tail());
        out
    }

    fn message_fields(&self) -> Vec<u8> {
        let mut fields = HeaderWriter::new();
        if let Some(id) = self.envelope_id {
            fields.structured("Original-Envelope-Id", id);
        }
        fields.structured("Reporting-MTA", &format!("dns; {}", self.reporting_mta));
        if let Some(at) = self.arrived_at {
            fields.date("Arrival-Date", at);
        }
        fields.finish()
    }

    /// Whether an address needs RFC 6533 types.
    fn is_international(&self) -> bool {
        let foreign = |text: &str| !text.is_ascii();
        self.recipients.iter().any(|outcome| {
            foreign(outcome.final_recipient) || outcome.original_recipient.is_some_and(foreign)
        })
    }

    fn boundary(&self) -> String {
        let token = self.boundary.chars().filter(char::is_ascii_alphanumeric).take(60);
        format!("report_{}", token.collect::<String>())
    }
}

impl Outcome<'_> {
    fn fields(&self) -> Vec<u8> {
        let mut fields = HeaderWriter::new();
        if let Some(original) = self.original_recipient {
            fields.structured("Original-Recipient", &typed(original));
        }
        fields.structured("Final-Recipient", &typed(self.final_recipient));
        fields.structured("Action", self.action.word()).structured("Status", self.status);
        if let Some(host) = self.remote_mta {
            fields.structured("Remote-MTA", &format!("dns; {host}"));
        }
        if let Some(reply) = self.diagnostic {
            fields.structured("Diagnostic-Code", &format!("smtp; {reply}"));
        }
        if let Some(at) = self.last_attempt_at {
            fields.date("Last-Attempt-Date", at);
        }
        if let Some(at) = self.will_retry_until {
            fields.date("Will-Retry-Until", at);
        }
        fields.finish()
    }
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
        }
    }
}

fn typed(address: &str) -> String {
    let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
    format!("{kind}; {}", bare_address(address))
}

fn delimiter(out: &mut Vec<u8>, boundary: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
}

fn part_header(kind: &str, description: &str, encoding: &str) -> Vec<u8> {
    let mut header = HeaderWriter::new();
    header
        .structured("Content-Type", kind)
        .structured("Content-Description", description)
        .structured("Content-Transfer-Encoding", encoding);
    header.finish()
}

/// The text for people as it is written, after the name of how.
fn people_text(text: &str) -> (&'static str, Vec<u8>) {
    let mut out = Vec::new();
    if !text.is_ascii() {
        let lines: Vec<String> = text.lines().map(neutral).collect();
        quoted_printable::write(&mut out, &lines.join("\n"));
        return ("quoted-printable", out);
    }
    for line in text.lines() {
        let line = neutral(line);
        let mut rest = line.as_str();
        loop {
            let (head, tail) = rest.split_at(rest.floor_char_boundary(TEXT_LINE_BYTES));
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(b"\r\n");
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
    }
    (SEVEN_BITS, out)
}

/// Appends `text` with every CR, LF and CR LF as CR LF.
fn append_with_crlf(out: &mut Vec<u8>, text: &[u8]) {
    let mut before = 0;
    for byte in text {
        match byte {
            b'\n' if before == b'\r' => {}
            b'\r' | b'\n' => out.extend_from_slice(b"\r\n"),
            _ => out.push(*byte),
        }
        before = *byte;
    }
}
