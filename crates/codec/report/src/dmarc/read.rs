//! Reading aggregate reports, of either RFC, from whoever sends them.
//!
//! Elements count by their path, whatever their namespace and order; what is unknown is passed over.
//! There are no document types here, so nothing expands (attack 38): a report that has one is none.

use super::{Feedback, Record, Sender, Signature};
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use std::net::IpAddr;

/// The deepest element.
const DEPTH_MAX: usize = 16;

/// The longest name of an element, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The longest text of an element, in bytes; the rest is left out.
const TEXT_BYTES_MAX: usize = 1_024;

/// The most records of a report, and the most results and reasons of one record; others are left
/// out.
const RECORDS_MAX: usize = 10_000;
const RESULTS_MAX: usize = 20;

impl Feedback {
    /// Reads a report.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn read(xml: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(xml);
        let mut reader = Reader::from_str(&text);
        let mut reading = Reading::default();
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(tag) => reading.open(tag.local_name().as_ref())?,
                Event::Empty(tag) => {
                    reading.open(tag.local_name().as_ref())?;
                    reading.close();
                }
                Event::End(_) => reading.close(),
                Event::Text(text) => reading.text(&text),
                Event::CData(text) => reading.text(&text),
                Event::GeneralRef(reference) => reading.text(&resolved(&reference)?),
                Event::DocType(_) => return Err("it has a document type".to_owned()),
                Event::Eof => return reading.finish(),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
    }
}

/// What a reference stands for.
fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(c) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(c.to_string());
    }
    let name: &str = reference.as_ref();
    let text = match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "apos" => "'",
        "quot" => "\"",
        _ => return Err("it refers to something that it does not say".to_owned()),
    };
    Ok(text.to_owned())
}

/// A report that is being read.
#[derive(Default)]
struct Reading {
    path: Vec<String>,
    /// Of the element that is open.
    text: String,
    feedback: Feedback,
    is_feedback: bool,
    record: Partial,
    signature: Signature,
    reason: (String, String),
}

/// A record that is being read.
#[derive(Default)]
struct Partial {
    source: Option<IpAddr>,
    count: u64,
    disposition: String,
    dkim: bool,
    spf: bool,
    reasons: Vec<(String, String)>,
    header_from: String,
    envelope_from: Option<String>,
    signatures: Vec<Signature>,
    sender: Sender,
}

impl Reading {
    fn open(&mut self, name: &str) -> Result<(), String> {
        if self.path.len() >= DEPTH_MAX {
            return Err("its elements are too deep".to_owned());
        }
        if name.len() > NAME_BYTES_MAX {
            return Err("its elements have too long names".to_owned());
        }
        self.path.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let room = TEXT_BYTES_MAX.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }

    fn close(&mut self) {
        let mut path = std::mem::take(&mut self.path);
        let text = self.text.trim().to_owned();
        self.text.clear();
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["feedback"] => self.is_feedback = true,
            ["feedback", "record"] => self.end_record(),
            ["feedback", "record", below @ ..] => self.take_of_record(below, text),
            ["feedback", below @ ..] => self.take(below, text),
            _ => {}
        }
        path.pop();
        self.path = path;
    }

    fn take(&mut self, path: &[&str], text: String) {
        let Feedback { metadata, policy, .. } = &mut self.feedback;
        match path {
            ["report_metadata", "org_name"] => metadata.organization = text,
            ["report_metadata", "email"] => metadata.email = text,
            ["report_metadata", "report_id"] => metadata.id = text,
            ["report_metadata", "date_range", "begin"] => metadata.begin_s = number(&text),
            ["report_metadata", "date_range", "end"] => metadata.end_s = number(&text),
            ["report_metadata", "error"] if metadata.errors.len() < RESULTS_MAX => {
                metadata.errors.push(text);
            }
            ["policy_published", "domain"] => policy.domain = text,
            ["policy_published", "adkim"] => policy.dkim_alignment = text,
            ["policy_published", "aspf"] => policy.spf_alignment = text,
            ["policy_published", "p"] => policy.policy = text,
            ["policy_published", "sp"] => policy.subdomain_policy = text,
            ["policy_published", "testing"] => policy.testing = text == "y",
            _ => {}
        }
    }

    fn take_of_record(&mut self, path: &[&str], text: String) {
        let Self { record, signature, reason, .. } = self;
        match path {
            ["row", "source_ip"] => record.source = text.parse().ok(),
            ["row", "count"] => record.count = u64::try_from(number(&text)).unwrap_or_default(),
            ["row", "policy_evaluated", "disposition"] => record.disposition = text,
            ["row", "policy_evaluated", "dkim"] => record.dkim = text == "pass",
            ["row", "policy_evaluated", "spf"] => record.spf = text == "pass",
            ["row", "policy_evaluated", "reason", "type"] => reason.0 = text,
            ["row", "policy_evaluated", "reason", "comment"] => reason.1 = text,
            ["row", "policy_evaluated", "reason"] => {
                keep(&mut record.reasons, std::mem::take(reason));
            }
            ["identifiers", "header_from"] => record.header_from = text,
            ["identifiers", "envelope_from"] if !text.is_empty() => {
                record.envelope_from = Some(text);
            }
            ["auth_results", "dkim", "domain"] => signature.domain = text,
            ["auth_results", "dkim", "selector"] => signature.selector = text,
            ["auth_results", "dkim", "result"] => signature.result = text,
            ["auth_results", "dkim"] => keep(&mut record.signatures, std::mem::take(signature)),
            ["auth_results", "spf", "domain"] => record.sender.domain = text,
            ["auth_results", "spf", "scope"] => record.sender.scope = text,
            ["auth_results", "spf", "result"] => record.sender.result = text,
            _ => {}
        }
    }

    fn end_record(&mut self) {
        let record = std::mem::take(&mut self.record);
        let Some(source) = record.source else { return };
        if self.feedback.records.len() >= RECORDS_MAX {
            return;
        }
        self.feedback.records.push(Record {
            source,
            count: record.count,
            disposition: record.disposition,
            dkim: record.dkim,
            spf: record.spf,
            reasons: record.reasons,
            header_from: record.header_from,
            envelope_from: record.envelope_from,
            signatures: record.signatures,
            sender: Some(record.sender).filter(|sender| *sender != Sender::default()),
        });
    }

    fn finish(self) -> Result<Feedback, String> {
        match self.is_feedback && self.path.is_empty() {
            true => Ok(self.feedback),
            false => Err("it is no aggregate report".to_owned()),
        }
    }
}

fn keep<T>(list: &mut Vec<T>, one: T) {
    if list.len() < RESULTS_MAX {
        list.push(one);
    }
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_default()
}
