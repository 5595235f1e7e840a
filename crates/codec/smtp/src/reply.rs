//! Server replies: code, enhanced code, lines (RFC 5321 §4.2, RFC 2034, RFC 3463).
//!
//! A [`Reply`] is harmless by construction: whatever text is put in, each of its lines is printable
//! ASCII and short enough, so neither an address nor a server's message can inject a second reply
//! or a terminal sequence. The replies this server gives have names, in `reply/standard.rs`;
//! reading replies is in `reply/read.rs`.

mod read;
mod standard;

use std::{borrow::Cow, fmt, fmt::Write as _};

use bytes::{Bytes, BytesMut};

pub use self::read::{ReplyError, ReplyReader};

/// Longest text of one line, in bytes, so that code, enhanced code and CRLF fit into the 512 of
/// RFC 5321 §4.5.3.1.5.
pub const TEXT_BYTES_MAX: usize = 480;

/// An enhanced status code (RFC 3463 §2), such as 5.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

/// One reply, of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    lines: Vec<Cow<'static, str>>,
}

impl EnhancedCode {
    /// `class.subject.detail`. In a reply the class always follows the reply code.
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> EnhancedCode {
        EnhancedCode { class, subject, detail }
    }

    /// Parses `5.1.1`: class 2, 4 or 5, the others up to three digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<EnhancedCode> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let (subject, detail) = (number(parts.next()?)?, number(parts.next()?)?);
        parts.next().is_none().then_some(EnhancedCode { class, subject, detail })
    }
}

fn number(digits: &str) -> Option<u16> {
    let is_number = (1..=3).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    if is_number { digits.parse().ok() } else { None }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Reply {
    /// A reply of one line. The code is forced into 200 to 599 and the enhanced code into the
    /// code's class (and away from a code that has none, 3xx), so that they can not disagree.
    #[must_use]
    pub fn new(
        code: u16,
        enhanced: Option<EnhancedCode>,
        text: impl Into<Cow<'static, str>>,
    ) -> Reply {
        let code = code.clamp(200, 599);
        let class = match code / 100 {
            2 => Some(2),
            4 => Some(4),
            5 => Some(5),
            _ => None,
        };
        let enhanced = enhanced.zip(class).map(|(enhanced, class)| EnhancedCode {
            class,
            subject: enhanced.subject.min(999),
            detail: enhanced.detail.min(999),
        });
        Reply { code, enhanced, lines: vec![clean(code, text.into())] }
    }

    /// Adds a line.
    #[must_use]
    pub fn with_line(mut self, text: impl Into<Cow<'static, str>>) -> Reply {
        self.lines.push(clean(self.code, text.into()));
        self
    }

    /// The reply code, 200 to 599.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The texts, at least one, possibly empty.
    #[must_use]
    pub fn lines(&self) -> &[Cow<'static, str>] {
        &self.lines
    }

    /// 2xx: done.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx: go on.
    #[must_use]
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx: try again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx: do not try again.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the wire form.
    pub fn encode(&self, out: &mut BytesMut) {
        let last = self.lines.len() - 1;
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            // Writing to a BytesMut fails only beyond usize::MAX bytes.
            let _ = match self.enhanced {
                Some(enhanced) if line.is_empty() => {
                    write!(out, "{}{separator}{enhanced}\r\n", self.code)
                }
                Some(enhanced) => write!(out, "{}{separator}{enhanced} {line}\r\n", self.code),
                None => write!(out, "{}{separator}{line}\r\n", self.code),
            };
        }
    }

    /// The wire form by itself.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

impl fmt::Display for Reply {
    /// One line for logs and bounces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines.iter().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

fn clean(code: u16, text: Cow<'static, str>) -> Cow<'static, str> {
    // A 334 carries base64 for a machine: cutting it would only break it.
    let max_bytes = if code == 334 { usize::MAX } else { TEXT_BYTES_MAX };
    if text.len() <= max_bytes && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text;
    }
    let harmless = text.chars().take(max_bytes).map(|character| match character {
        ' '..='~' => character,
        _ if character.is_control() => ' ',
        _ => '?',
    });
    Cow::Owned(harmless.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &Reply, wire: &str) {
        assert_eq!(String::from_utf8_lossy(&reply.to_bytes()), wire);
    }

    #[test]
    fn wire_forms() {
        let code = EnhancedCode::new(2, 1, 5);
        check(&Reply::new(250, Some(code), "ok"), "250 2.1.5 ok\r\n");
        check(&Reply::new(250, Some(code), ""), "250 2.1.5\r\n");
        check(&Reply::new(334, None, ""), "334 \r\n");
        check(
            &Reply::new(250, Some(code), "a").with_line("").with_line("c"),
            "250-2.1.5 a\r\n250-2.1.5\r\n250 2.1.5 c\r\n",
        );
        check(&Reply::new(354, Some(code), "go"), "354 go\r\n");
        check(&Reply::new(550, Some(code), "no"), "550 5.1.5 no\r\n");
        check(&Reply::new(9999, None, "x"), "599 x\r\n");
    }

    #[test]
    fn attack_11_text_can_not_inject_a_reply() {
        check(
            &Reply::new(550, None, "no <a\r\n250 2.0.0 ok\u{1b}[2J\0\u{85}é>"),
            "550 no <a  250 2.0.0 ok [2J  ?>\r\n",
        );
        let long = Reply::new(550, Some(EnhancedCode::new(5, 999, 999)), "x".repeat(10_000));
        assert!(long.to_bytes().len() <= 512);
    }

    #[test]
    fn enhanced_codes() {
        for (text, ok) in [
            ("5.1.1", true),
            ("2.0.0", true),
            ("5.7.999", true),
            ("3.0.0", false),
            ("5.1", false),
            ("5.1.1.1", false),
            ("5.01.1", false),
            ("5.1.1000", false),
            ("5.+1.1", false),
            ("", false),
        ] {
            assert_eq!(EnhancedCode::parse(text).map(|code| code.to_string()).is_some(), ok);
        }
    }
}
