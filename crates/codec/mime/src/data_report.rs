//! Mail that brings a file for programs, with a text for people: reports on TLS (RFC 8460 §5.3) and
//! on authentication (RFC 9990 §4.1).

use crate::build::{HeaderWriter, Mailbox, content_disposition};
use crate::encoded_word::neutral;
use crate::message::SentAt;
use crate::quoted_printable;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// How many bytes stand in one line of base64 (RFC 2045 §6.8 ends at 76 characters).
const LINE_BYTES: usize = 57;

/// Such a message.
#[derive(Clone, Debug)]
pub struct DataReport<'a> {
    /// Who reports.
    pub from: Mailbox<'a>,
    /// To whom.
    pub to: &'a [Mailbox<'a>],
    /// For people and programs.
    pub subject: &'a str,
    /// With angle brackets.
    pub message_id: &'a str,
    /// When it is written.
    pub at: SentAt,
    /// Further fields of the header.
    pub fields: &'a [(&'a str, &'a str)],
    /// A token that cannot occur in the text.
    pub boundary: &'a str,
    /// What kind of multipart it is, with parameters: `report; report-type="tlsrpt"`.
    pub multipart: &'a str,
    /// For people, any line ends.
    pub text: &'a str,
    /// The file's type.
    pub content_type: &'a str,
    /// What the file is called.
    pub file_name: &'a str,
    /// The file.
    pub data: &'a [u8],
}

impl DataReport<'_> {
    /// The whole message; seven bits, whatever the file is.
    pub fn build(&self) -> Vec<u8> {
        let token = self.boundary.chars().filter(char::is_ascii_alphanumeric).take(60);
        let boundary = format!("data_{}", token.collect::<String>());
        let mut header = HeaderWriter::new();
        for (name, value) in self.fields {
            header.structured(name, value);
        }
        header
            .date("Date", self.at)
            .addresses("From", &[self.from])
            .addresses("To", self.to)
            .text("Subject", self.subject)
            .structured("Message-ID", self.message_id)
            .structured("Auto-Submitted", "auto-generated")
            .structured("MIME-Version", "1.0")
            .structured(
                "Content-Type",
                &format!("multipart/{}; boundary=\"{boundary}\"", self.multipart),
            );
        let mut out = header.finish();

        out.extend(format!("--{boundary}\r\n").bytes());
        let mut part = HeaderWriter::new();
        part.structured("Content-Type", "text/plain; charset=utf-8")
            .structured("Content-Transfer-Encoding", "quoted-printable");
        out.extend(part.finish());
        let lines: Vec<String> = self.text.lines().map(neutral).collect();
        quoted_printable::write(&mut out, &lines.join("\n"));

        out.extend(format!("\r\n--{boundary}\r\n").bytes());
        let mut part = HeaderWriter::new();
        part.structured("Content-Type", self.content_type)
            .structured("Content-Transfer-Encoding", "base64")
            .structured("Content-Disposition", &content_disposition("attachment", self.file_name));
        out.extend(part.finish());
        for line in self.data.chunks(LINE_BYTES) {
            out.extend(BASE64_STANDARD.encode(line).bytes());
            out.extend(b"\r\n");
        }
        out.extend(format!("--{boundary}--\r\n").bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_text_and_a_file() {
        let data: Vec<u8> = (0..=255).collect();
        let report = DataReport {
            from: Mailbox { name: Some("R"), email: "r@x.test" },
            to: &[
                Mailbox { name: None, email: "a@y.test" },
                Mailbox { name: None, email: "b@y.test" },
            ],
            subject: "Report Domain: y.test",
            message_id: "<1@x.test>",
            at: SentAt { unix_seconds: 0, offset_minutes: 0 },
            fields: &[("TLS-Report-Domain", "y.test\r\nX: y")],
            boundary: "b-1",
            multipart: "report; report-type=\"tlsrpt\"",
            text: "Hello.\nM\u{fc}ller\n",
            content_type: "application/tlsrpt+gzip",
            file_name: "x.test!y.test!0!1.json.gz",
            data: &data,
        };
        let written = report.build();
        assert!(written.is_ascii());
        let text = String::from_utf8_lossy(&written).into_owned();
        let begin = "TLS-Report-Domain: y.test  X: y\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n\
                     From: R <r@x.test>\r\nTo: a@y.test, b@y.test\r\n";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains("M=C3=BCller"), "{text}");
        let longest = text.split("\r\n").map(str::len).max();
        assert!(longest.is_some_and(|longest| longest <= 78), "{text}");
        let parsed = crate::parse(&written);
        let description = format!("{parsed:?}").to_lowercase();
        for expected in ["tlsrpt", "report", "x.test!y.test!0!1.json.gz"] {
            assert!(description.contains(expected), "{expected}: {description}");
        }
    }
}
