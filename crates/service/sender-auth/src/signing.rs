//! Signing mail of our own, and sealing that of others, behind the transport contract.
//!
//! A message is read once, in pieces: its header is kept, of its body a hash. What is hashed is
//! what will leave: senders write CRLF for every line end whatever is stored
//! ([`codec_smtp::CrlfNormaliser`]), and so does this.

use crate::dkim::{BodyHash, Canonical, Signer, SigningKey};
use crate::header::Header;
use crate::lookups::{self, Author};
use crate::seal;
use base::{Error, Result, Timestamp};
use bytes::{Bytes, BytesMut};
use codec_mime::author::authors;
use codec_mime::header;
use codec_smtp::CrlfNormaliser;
use contract_transport::signing::{
    Digest, Digesting, DomainKey, KeyAlgorithm, PrivateKey, Purpose, ReadKey, Signatures,
};
use std::sync::Arc;

/// The longest header of a message that is signed, in bytes; sessions take less.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// Makes DKIM keys and signatures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dkim;

impl Signatures for Dkim {
    fn ascii(&self, domain: &str) -> Option<String> {
        let domain = idna::domain_to_ascii(domain.trim_end_matches('.')).ok()?;
        (!domain.is_empty()).then_some(domain)
    }

    fn generate(&self, algorithm: KeyAlgorithm) -> Result<(PrivateKey, String)> {
        let key = match algorithm {
            KeyAlgorithm::Rsa => SigningKey::new_rsa()?,
            KeyAlgorithm::Ed25519 => SigningKey::new_ed25519()?,
        };
        Ok((PrivateKey(key.to_pkcs8()?.into()), key.record()?))
    }

    fn read(&self, key: &DomainKey) -> Result<Arc<dyn ReadKey>> {
        let read = SigningKey::from_pkcs8(&key.private.0)?;
        let algorithm = match read {
            SigningKey::Rsa(_) => KeyAlgorithm::Rsa,
            SigningKey::Ed25519(_) => KeyAlgorithm::Ed25519,
        };
        if algorithm != key.algorithm {
            return Err(Error::invalid("A DKIM key is of another kind than it says"));
        }
        let (domain, selector) = (key.domain().to_owned(), key.selector().to_owned());
        Ok(Arc::new(Signer { domain, selector, key: read }))
    }

    fn begin(&self, purpose: Purpose) -> Box<dyn Digesting> {
        Box::new(Reading {
            purpose,
            line_ends: CrlfNormaliser::new(),
            pieces: Vec::new(),
            part: Part::Header(BytesMut::new()),
        })
    }
}

impl ReadKey for Signer {
    fn sign(&self, message: &Digest, at: Timestamp) -> Result<String> {
        let header = Header::new(message.header.clone());
        match &message.results {
            None => self.field(&header, &message.body_hash, at.unix_s()),
            Some(results) => {
                let results = String::from_utf8_lossy(results);
                seal::set(self, &header, (&message.body_hash, at.unix_s()), &results)
            }
        }
    }
}

/// A message that is being read.
struct Reading {
    purpose: Purpose,
    line_ends: CrlfNormaliser,
    /// With their line ends repaired, not yet read.
    pieces: Vec<Bytes>,
    part: Part,
}

/// Where in the message the reading is.
enum Part {
    Header(BytesMut),
    Body {
        domain: String,
        header: Bytes,
        hash: BodyHash,
    },
    /// It is not to be signed.
    Nowhere,
}

impl Reading {
    fn read(&mut self, piece: &Bytes) {
        match &mut self.part {
            Part::Nowhere => {}
            Part::Body { hash, .. } => hash.push(piece),
            Part::Header(held) => {
                let before = held.len();
                held.extend_from_slice(piece);
                match header::length(held, before) {
                    Some(length) => {
                        let body = held.split_off(length);
                        let header = std::mem::take(held).freeze();
                        self.header_ended(header);
                        self.read(&body.freeze());
                    }
                    None if held.len() > HEADER_BYTES_MAX => self.part = Part::Nowhere,
                    None => {}
                }
            }
        }
    }

    fn header_ended(&mut self, header: Bytes) {
        let domain = match &self.purpose {
            Purpose::Sign(wanted) => bearing(&header).filter(|domain| wanted(domain)),
            Purpose::Seal { domain, .. } => Some(domain.clone()),
        };
        self.part = match domain {
            Some(domain) => {
                Part::Body { domain, header, hash: BodyHash::new(Canonical::Relaxed, None) }
            }
            None => Part::Nowhere,
        };
    }

    fn read_all(&mut self) {
        for piece in std::mem::take(&mut self.pieces) {
            self.read(&piece);
        }
    }
}

impl Digesting for Reading {
    fn push(&mut self, piece: &Bytes) {
        if matches!(self.part, Part::Nowhere) {
            return;
        }
        self.line_ends.push(piece, &mut self.pieces);
        self.read_all();
    }

    fn finish(mut self: Box<Self>) -> Option<Digest> {
        let line_ends = std::mem::take(&mut self.line_ends);
        line_ends.finish(&mut self.pieces);
        self.read_all();
        if let Part::Header(held) = &mut self.part {
            let header = std::mem::take(held).freeze();
            self.header_ended(header);
        }
        match self.part {
            Part::Body { domain, header, hash } => {
                let (body_hash, _) = hash.finish();
                let results = match self.purpose {
                    Purpose::Sign(_) => None,
                    Purpose::Seal { results, .. } => Some(results),
                };
                Some(Digest { domain, header, body_hash, results })
            }
            Part::Header(_) | Part::Nowhere => None,
        }
    }
}

/// Whose name a message bears, beyond doubt: the domain of all of its authors, else that of its
/// Sender (RFC 5322 §3.6.2).
fn bearing(raw: &Bytes) -> Option<String> {
    let header = Header::new(raw.clone());
    match lookups::author(raw, &header) {
        Author::Of(mut domains) if domains.len() == 1 => domains.pop(),
        Author::Of(_) => {
            let mut fields = header.named("sender");
            let (field, None) = (fields.next()?, fields.next()) else { return None };
            let [sender] = &authors(field.value)?[..] else { return None };
            Dkim.ascii(std::str::from_utf8(&sender.domain).ok()?)
        }
        Author::Missing | Author::Several | Author::Unclear => None,
    }
}
