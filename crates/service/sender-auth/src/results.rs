//! What was found, as an `Authentication-Results` field (RFC 8601).

use crate::arc::ArcResult;
use crate::dkim::Dkim;
use crate::iprev::Iprev;
use crate::spf::SpfResult;
use std::fmt::Write;

/// The field's text, result by result.
pub(crate) struct Results {
    text: String,
}

impl Results {
    /// Results of a server.
    pub(crate) fn of(server: &str) -> Self {
        let mut text = String::from("Authentication-Results: ");
        text.push_str(&value(server));
        Self { text }
    }

    /// SPF of the envelope's sender, or of the name that the client gives itself.
    pub(crate) fn spf(&mut self, result: SpfResult, property: &str, checked: &str) {
        let _ = write!(self.text, ";\r\n\tspf={result} smtp.{property}={}", value(checked));
    }

    /// One signature.
    pub(crate) fn dkim(&mut self, dkim: &Dkim) {
        let _ = write!(self.text, ";\r\n\tdkim={}", dkim.result);
        if let Some(reason) = dkim.reason {
            let _ = write!(self.text, " reason={}", value(reason));
        }
        for (name, property) in [("d", &dkim.domain), ("s", &dkim.selector)] {
            if !property.is_empty() {
                let _ = write!(self.text, "\r\n\theader.{name}={}", value(property));
            }
        }
        if let Some(algorithm) = dkim.algorithm {
            let _ = write!(self.text, " header.a={algorithm} header.b={}", value(&dkim.tag));
        }
    }

    /// No signature.
    pub(crate) fn no_dkim(&mut self) {
        self.text.push_str(";\r\n\tdkim=none");
    }

    /// DMARC, with words of ours on what follows from it.
    pub(crate) fn dmarc(&mut self, result: &str, comment: &str, from: &str) {
        let _ = write!(self.text, ";\r\n\tdmarc={result}");
        if !comment.is_empty() {
            let _ = write!(self.text, " ({comment})");
        }
        if !from.is_empty() {
            let _ = write!(self.text, " header.from={}", value(from));
        }
    }

    /// The chain of other servers' results.
    pub(crate) fn arc(&mut self, result: ArcResult, sets: usize, domain: &str) {
        if result != ArcResult::None {
            let word = result.word();
            let _ = write!(self.text, ";\r\n\tarc={word}");
            if sets > 0 {
                let _ = write!(self.text, " (i={sets} by {})", word_of(domain));
            }
        }
    }

    /// The name of the client's address.
    pub(crate) fn iprev(&mut self, result: &Iprev, address: std::net::IpAddr) {
        let address = value(&address.to_string());
        let _ = write!(self.text, ";\r\n\tiprev={} policy.iprev={address}", result.word());
        if let Iprev::Pass(name) = result {
            let _ = write!(self.text, " ({})", word_of(name));
        }
    }

    /// The whole field.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("\r\n");
        self.text
    }
}

/// A value as it may stand in the field (RFC 8601 §2.2): a word, an address, or quoted. Control
/// characters and all that is not ASCII is left out.
fn value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+@!#$%&'*^`{|}~".contains(&byte);
    let text: String = text.chars().filter(|c| (' '..='~').contains(c)).collect();
    if !text.is_empty() && text.bytes().all(plain) {
        return text;
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A name as it may stand in a comment.
fn word_of(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-._:".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_end_the_field_or_begin_another_result() {
        let check = |text: &str, expected: &str| assert_eq!(value(text), expected);
        check("a@b.test", "a@b.test");
        check("a; dkim=pass@b", "\"a; dkim=pass@b\"");
        check("a\"\\b", "\"a\\\"\\\\b\"");
        check("a\r\nX: y", "\"aX: y\"");
        check("m\u{fc}ller", "mller");
        check("", "\"\"");
        check("2001:db8::1", "\"2001:db8::1\"");
        assert_eq!(word_of("mx) dmarc=pass (.test"), "mxdmarcpass.test");
    }
}
