//! Writing aggregate reports.

use super::{Feedback, Metadata, Policy, Record, Sender, Signature};

/// The namespace of RFC 9990.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:dmarc-2.0";

impl Feedback {
    /// As it is sent.
    pub fn write(&self) -> Vec<u8> {
        let Self { metadata, policy, records } = self;
        let mut xml = Xml(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
        xml.0.push_str(&format!("<feedback xmlns=\"{NAMESPACE}\">\n"));
        xml.leaf(1, "version", "1.0");
        metadata.write(&mut xml);
        policy.write(&mut xml);
        records.iter().for_each(|record| record.write(&mut xml));
        xml.0.push_str("</feedback>\n");
        xml.0.into_bytes()
    }
}

/// A document that grows.
struct Xml(String);

impl Xml {
    /// An element with a text.
    fn leaf(&mut self, depth: usize, name: &str, text: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(&format!("<{name}>"));
        escape(text, &mut self.0);
        self.0.push_str(&format!("</{name}>\n"));
    }

    /// An element with others.
    fn nest(&mut self, depth: usize, name: &str, inside: impl FnOnce(&mut Self)) {
        let indent = "  ".repeat(depth);
        self.0.push_str(&format!("{indent}<{name}>\n"));
        inside(self);
        self.0.push_str(&format!("{indent}</{name}>\n"));
    }
}

/// A text that can end no element; characters that XML 1.0 does not know are left out.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

fn pass(passes: bool) -> &'static str {
    if passes { "pass" } else { "fail" }
}

impl Metadata {
    fn write(&self, xml: &mut Xml) {
        xml.nest(1, "report_metadata", |xml| {
            xml.leaf(2, "org_name", &self.organization);
            xml.leaf(2, "email", &self.email);
            xml.leaf(2, "report_id", &self.id);
            xml.nest(2, "date_range", |xml| {
                xml.leaf(3, "begin", &self.begin_s.to_string());
                xml.leaf(3, "end", &self.end_s.to_string());
            });
            self.errors.iter().for_each(|error| xml.leaf(2, "error", error));
            xml.leaf(2, "generator", "Rialto");
        });
    }
}

impl Policy {
    fn write(&self, xml: &mut Xml) {
        xml.nest(1, "policy_published", |xml| {
            xml.leaf(2, "domain", &self.domain);
            xml.leaf(2, "discovery_method", "treewalk");
            xml.leaf(2, "p", &self.policy);
            xml.leaf(2, "sp", &self.subdomain_policy);
            xml.leaf(2, "adkim", &self.dkim_alignment);
            xml.leaf(2, "aspf", &self.spf_alignment);
            xml.leaf(2, "testing", if self.testing { "y" } else { "n" });
        });
    }
}

impl Record {
    fn write(&self, xml: &mut Xml) {
        xml.nest(1, "record", |xml| {
            xml.nest(2, "row", |xml| {
                xml.leaf(3, "source_ip", &self.source.to_canonical().to_string());
                xml.leaf(3, "count", &self.count.to_string());
                xml.nest(3, "policy_evaluated", |xml| {
                    xml.leaf(4, "disposition", &self.disposition);
                    xml.leaf(4, "dkim", pass(self.dkim));
                    xml.leaf(4, "spf", pass(self.spf));
                    for (kind, comment) in &self.reasons {
                        xml.nest(4, "reason", |xml| {
                            xml.leaf(5, "type", kind);
                            if !comment.is_empty() {
                                xml.leaf(5, "comment", comment);
                            }
                        });
                    }
                });
            });
            xml.nest(2, "identifiers", |xml| {
                xml.leaf(3, "header_from", &self.header_from);
                if let Some(sender) = &self.envelope_from {
                    xml.leaf(3, "envelope_from", sender);
                }
            });
            xml.nest(2, "auth_results", |xml| {
                self.signatures.iter().for_each(|signature| signature.write(xml));
                if let Some(sender) = &self.sender {
                    sender.write(xml);
                }
            });
        });
    }
}

impl Signature {
    fn write(&self, xml: &mut Xml) {
        xml.nest(3, "dkim", |xml| {
            xml.leaf(4, "domain", &self.domain);
            xml.leaf(4, "selector", &self.selector);
            xml.leaf(4, "result", &self.result);
        });
    }
}

impl Sender {
    fn write(&self, xml: &mut Xml) {
        xml.nest(3, "spf", |xml| {
            xml.leaf(4, "domain", &self.domain);
            xml.leaf(4, "scope", &self.scope);
            xml.leaf(4, "result", &self.result);
        });
    }
}
