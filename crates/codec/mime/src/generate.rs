//! Messages for tests, fault runs and benchmarks, made from a seed: realistic ones of every kind a
//! mail server meets, and nasty ones. They are written in pieces, so that 50 MB need no memory,
//! and all lines end in CR LF. The same seed and shape always give the same octets.

mod nasty;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::build::{HeaderWriter, Mailbox, content_disposition};
use crate::message::SentAt;

/// 57 octets are one base64 line of 76 (RFC 2045 §6.8).
const BASE64_LINE_OCTETS: usize = 57;
const WORDS: [&str; 24] = [
    "report", "meeting", "budget", "the", "of", "and", "please", "find", "quarter", "Monday",
    "draft", "review", "contract", "customer", "we", "agreed", "on", "delivery", "invoice",
    "thanks", "best", "regards", "tomorrow", "project",
];
const NAMES: [&str; 8] = [
    "Ada Lovelace",
    "Grüße Müller",
    "山田太郎",
    "Иван Петров",
    "محمد علي",
    "O'Brien, Pat",
    "Zoë \"Z\" Faß",
    "김철수",
];
const FILES: [&str; 6] = [
    "report.pdf",
    "Übersicht 2024.xlsx",
    "見積書.docx",
    "счёт.pdf",
    "photo.jpg",
    "a very long file name that has to be folded somewhere in the middle of its header.txt",
];

/// What kind of message to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One text/plain.
    Plain,
    /// Raw 8-bit octets in header and body.
    EightBit,
    /// multipart/alternative of text and HTML.
    Alternative,
    /// Text with `count` base64 attachments of together about `bytes` octets.
    Attachments {
        /// Number of attachments.
        count: usize,
        /// Octets of all attachments before base64.
        bytes: usize,
    },
    /// `depth` messages, each embedded in the one before.
    Forwarded {
        /// Embedded messages.
        depth: usize,
    },
    /// A meeting request (iMIP, RFC 6047).
    Invitation,
    /// multipart/signed with an S/MIME signature (RFC 8551 §3.5.3).
    Signed,
    /// application/pkcs7-mime, encrypted.
    Encrypted,
    /// Outlook's winmail.dat.
    Tnef,
    /// `depth` multiparts inside each other, some never closed.
    NestedMultiparts {
        /// Multiparts.
        depth: usize,
    },
    /// `lines` address header lines (attack 9).
    AddressFlood {
        /// Header lines.
        lines: usize,
    },
    /// `count` RFC 2231 pieces of one parameter (attack 10).
    ParameterFlood {
        /// Parameters.
        count: usize,
    },
    /// `count` parts of a few octets (attack 39).
    PartFlood {
        /// Parts.
        count: usize,
    },
    /// Random octets that look like MIME here and there.
    Junk {
        /// About so many octets.
        bytes: usize,
    },
}

/// A small generator of random numbers (splitmix64); never for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose numbers depend on the seed alone.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 where that is 0).
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % (bound.max(1) as u64)) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list.get(self.below(list.len())).copied().unwrap_or_default()
    }
}

/// A shape as real mail has it: mostly small, a few with attachments, at most 500 kB. Messages of
/// many megabytes are asked for with [`Shape::Attachments`].
pub fn realistic_shape(seed: u64) -> Shape {
    let mut random = Random::new(seed ^ 0x5EED);
    match random.below(20) {
        0..6 => Shape::Plain,
        6..11 => Shape::Alternative,
        11 => Shape::EightBit,
        12..15 => {
            let count = 1 + random.below(4);
            Shape::Attachments { count, bytes: 20_000 + random.below(400_000) }
        }
        15 => Shape::Attachments { count: 20 + random.below(181), bytes: 200_000 },
        16 => Shape::Forwarded { depth: 1 + random.below(5) },
        17 => Shape::Invitation,
        18 => Shape::Signed,
        _ if random.below(2) == 0 => Shape::Encrypted,
        _ => Shape::Tnef,
    }
}

/// Writes the message of `shape` and `seed` to `out`, piece by piece.
pub fn message(seed: u64, shape: Shape, mut out: impl FnMut(&[u8])) {
    let mut writer = Writer { random: Random::new(seed), out: &mut out };
    writer.message(seed, shape);
}

/// The same in memory, for small ones.
pub fn to_vec(seed: u64, shape: Shape) -> Vec<u8> {
    let mut bytes = Vec::new();
    message(seed, shape, |piece| bytes.extend_from_slice(piece));
    bytes
}

struct Writer<'a> {
    random: Random,
    out: &'a mut dyn FnMut(&[u8]),
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        (self.out)(text.as_bytes());
    }

    fn message(&mut self, seed: u64, shape: Shape) {
        match shape {
            Shape::Junk { bytes } => return self.junk(bytes),
            Shape::AddressFlood { lines } => {
                for line in 0..lines {
                    self.put(&format!("To: u{line}@example.org, \"v {line}\" <v@example.net>\r\n"));
                }
            }
            _ => {}
        }
        self.common_header(seed);
        match shape {
            Shape::Plain | Shape::AddressFlood { .. } | Shape::Junk { .. } => self.plain(),
            Shape::EightBit => self.eight_bit(),
            Shape::Alternative => self.alternative(),
            Shape::Attachments { count, bytes } => self.attachments(count, bytes),
            Shape::Forwarded { depth } => self.forwarded(seed, depth),
            Shape::Invitation => self.invitation(seed),
            Shape::Signed => self.signed(),
            Shape::Encrypted => self.encoded(
                "application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"",
                "smime.p7m",
                9_000,
            ),
            Shape::Tnef => self.tnef(),
            Shape::NestedMultiparts { depth } => self.nested(depth),
            Shape::ParameterFlood { count } => self.parameters(count),
            Shape::PartFlood { count } => self.parts(count),
        }
    }

    /// From, To, Subject, Date, Message-ID, and some of the rest.
    fn common_header(&mut self, seed: u64) {
        let names: Vec<&str> = (0..3).map(|_| self.random.pick(&NAMES)).collect();
        let subject = if self.random.below(3) == 0 {
            format!("Re: {} – {}", self.sentence(4), names[0])
        } else {
            self.sentence(6)
        };
        let at = SentAt {
            unix_seconds: 1_700_000_000 + self.random.below(50_000_000) as i64,
            offset_minutes: self.random.below(27) as i16 * 60 - 720,
        };
        let mut header = HeaderWriter::new();
        header
            .structured("Received", "from mail.example.net by mx.example.org; now and then")
            .addresses("From", &[Mailbox { name: Some(names[0]), email: "from@example.net" }])
            .addresses(
                "To",
                &[
                    Mailbox { name: Some(names[1]), email: "to@example.org" },
                    Mailbox { name: None, email: "second@example.org" },
                ],
            )
            .text("Subject", &subject)
            .date("Date", at)
            .structured("Message-ID", &format!("<{seed:016x}@example.net>"))
            .structured("MIME-Version", "1.0");
        if self.random.below(2) == 0 {
            header.addresses("Cc", &[Mailbox { name: Some(names[2]), email: "cc@example.org" }]);
            header.structured("References", "<first@example.net> <second@example.net>");
            header.structured("In-Reply-To", "<second@example.net>");
        }
        (self.out)(&header.fields());
    }

    fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.random.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    /// Lines of words; a leading dot now and then, for SMTP transparency.
    fn text_lines(&mut self, lines: usize) {
        for _ in 0..lines {
            let dot = if self.random.below(20) == 0 { "." } else { "" };
            let line = format!("{dot}{}\r\n", self.sentence(10));
            self.put(&line);
        }
    }

    fn plain(&mut self) {
        self.put("Content-Type: text/plain; charset=utf-8\r\n\r\n");
        let lines = 3 + self.random.below(60);
        self.text_lines(lines);
    }

    fn eight_bit(&mut self) {
        (self.out)(b"Comments: na\xefve caf\xe9 \xff\xfe\r\nX-Raw: \xe5\xb1\xb1\r\n");
        self.put("Content-Type: text/plain; charset=iso-8859-1\r\n");
        self.put("Content-Transfer-Encoding: 8bit\r\n\r\n");
        (self.out)(b"Gr\xfc\xdfe aus K\xf6ln\r\n");
        self.text_lines(5);
    }

    fn boundary(&mut self) -> String {
        format!("=_{:016x}", self.random.next_u64())
    }

    /// A multipart's type, the blank line after the header, and its boundary.
    fn multipart(&mut self, kind: &str) -> String {
        let boundary = self.boundary();
        self.put(&format!("Content-Type: {kind};\r\n\tboundary=\"{boundary}\"\r\n\r\n"));
        boundary
    }

    fn alternative(&mut self) {
        let boundary = self.multipart("multipart/alternative");
        self.put(&format!("This is a multipart message.\r\n--{boundary}\r\n"));
        self.plain();
        self.put(&format!("\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n"));
        self.put("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        let text = self.sentence(12);
        self.put(&format!("<html><body><p style=3D\"color:red\">{text} =C3=A9=\r\n</p>"));
        self.put(&format!("</body></html>\r\n\r\n--{boundary}--\r\n"));
    }

    fn attachments(&mut self, count: usize, bytes: usize) {
        let boundary = self.multipart("multipart/mixed");
        self.put(&format!("--{boundary}\r\n"));
        self.alternative();
        for _ in 0..count {
            self.put(&format!("\r\n--{boundary}\r\n"));
            let name = self.random.pick(&FILES);
            self.encoded("application/octet-stream", name, bytes / count.max(1));
        }
        self.put(&format!("\r\n--{boundary}--\r\n"));
    }

    /// Header and base64 body of an attachment with `bytes` random octets.
    fn encoded(&mut self, kind: &str, name: &str, bytes: usize) {
        let mut header = HeaderWriter::new();
        header
            .structured("Content-Type", kind)
            .structured("Content-Disposition", &content_disposition("attachment", name))
            .structured("Content-Transfer-Encoding", "base64");
        (self.out)(&header.finish());
        let mut left = bytes;
        while left > 0 {
            let mut octets = [0_u8; BASE64_LINE_OCTETS];
            for chunk in octets.chunks_mut(8) {
                let random = self.random.next_u64().to_le_bytes();
                chunk.copy_from_slice(&random[..chunk.len()]);
            }
            let length = left.min(BASE64_LINE_OCTETS);
            let line = STANDARD.encode(&octets[..length]);
            self.put(&format!("{line}\r\n"));
            left -= length;
        }
    }

    fn forwarded(&mut self, seed: u64, depth: usize) {
        let mut boundaries = Vec::new();
        for level in 0..depth {
            let boundary = self.multipart("multipart/mixed");
            self.put(&format!("--{boundary}\r\n"));
            self.plain();
            self.put(&format!("\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"));
            self.common_header(seed ^ (level as u64 + 1));
            boundaries.push(boundary);
        }
        self.alternative();
        for boundary in boundaries.iter().rev() {
            self.put(&format!("\r\n--{boundary}--\r\n"));
        }
    }

    fn invitation(&mut self, seed: u64) {
        let boundary = self.multipart("multipart/alternative");
        self.put(&format!("--{boundary}\r\n"));
        self.plain();
        self.put(&format!("\r\n--{boundary}\r\n"));
        self.put("Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n\r\n");
        self.put("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Rialto//Test//EN\r\n");
        self.put("METHOD:REQUEST\r\nBEGIN:VEVENT\r\n");
        self.put(&format!("UID:{seed:016x}@example.net\r\nDTSTAMP:20240101T000000Z\r\n"));
        self.put("DTSTART:20240102T090000Z\r\nDTEND:20240102T100000Z\r\n");
        self.put("ORGANIZER:mailto:from@example.net\r\nATTENDEE:mailto:to@example.org\r\n");
        self.put(&format!("END:VEVENT\r\nEND:VCALENDAR\r\n\r\n--{boundary}--\r\n"));
    }

    fn signed(&mut self) {
        let kind = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
        let boundary = self.multipart(kind);
        self.put(&format!("--{boundary}\r\n"));
        self.alternative();
        self.put(&format!("\r\n--{boundary}\r\n"));
        self.encoded("application/pkcs7-signature; name=\"smime.p7s\"", "smime.p7s", 3_000);
        self.put(&format!("\r\n--{boundary}--\r\n"));
    }

    fn tnef(&mut self) {
        let boundary = self.multipart("multipart/mixed");
        self.put(&format!("--{boundary}\r\n"));
        self.plain();
        self.put(&format!("\r\n--{boundary}\r\n"));
        self.encoded("application/ms-tnef; name=\"winmail.dat\"", "winmail.dat", 4_000);
        self.put(&format!("\r\n--{boundary}--\r\n"));
    }
}
