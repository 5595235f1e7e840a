//! Signing (RFC 6376 §5).

use super::{Canonical, verify};
use crate::header::{Field, Header};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// What is signed wherever it stands, each once more than it does, so that none can be added
/// (RFC 6376 §8.15).
pub const SIGNED_FIELDS: &[&str] = &[
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// How often one of them may occur in a message that is signed: each occurrence is named, and
/// the signature is kept in a row of the queue.
const OCCURRENCES_MAX: usize = 50;

/// The longest signature that is written, in bytes, with its name and line ends.
const FIELD_BYTES_MAX: usize = 8 * 1024;

/// The longest line of a field that is written, in bytes.
const LINE_BYTES: usize = 76;

/// A private key.
pub enum SigningKey {
    /// RSA of 2,048 bits.
    Rsa(Box<RsaKeyPair>),
    /// Ed25519.
    Ed25519(Box<Ed25519KeyPair>),
}

/// The same for every cause: a key is either ours or nobody's.
fn broken<E>(_: E) -> Error {
    Error::invalid("A DKIM key cannot be read")
}

impl SigningKey {
    /// A new RSA key of 2,048 bits: what every verifier takes, and what fits a DNS answer.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] where there is no randomness.
    pub fn new_rsa() -> Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| Error::internal("No RSA key can be made"))?;
        Ok(Self::Rsa(Box::new(key)))
    }

    /// A new Ed25519 key.
    ///
    /// # Errors
    /// As [`SigningKey::new_rsa`].
    pub fn new_ed25519() -> Result<Self> {
        let key = Ed25519KeyPair::generate()
            .map_err(|_| Error::internal("No Ed25519 key can be made"))?;
        Ok(Self::Ed25519(Box::new(key)))
    }

    /// A key from its PKCS #8 form.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        RsaKeyPair::from_pkcs8(der).map(|key| Self::Rsa(Box::new(key))).map_err(broken)
    }

    /// Its PKCS #8 form.
    ///
    /// # Errors
    /// [`base::Kind::Internal`].
    pub fn to_pkcs8(&self) -> Result<Vec<u8>> {
        use aws_lc_rs::encoding::{Pkcs8V1Der, Pkcs8V2Der};
        let failed = |_| Error::internal("A DKIM key cannot be written");
        match self {
            Self::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
                Ok(der.as_ref().to_vec())
            }
            Self::Ed25519(key) => {
                let der: Pkcs8V2Der<'_> = key.as_der().map_err(failed)?;
                Ok(der.as_ref().to_vec())
            }
        }
    }

    /// `a=`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// The TXT record to publish (RFC 6376 §3.6.1, RFC 8463 §4.2).
    ///
    /// # Errors
    /// [`base::Kind::Internal`].
    pub fn record(&self) -> Result<String> {
        Ok(match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key
                    .public_key()
                    .as_der()
                    .map_err(|_| Error::internal("A DKIM key cannot be written"))?;
                format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(der.as_ref()))
            }
            Self::Ed25519(key) => {
                format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key().as_ref()))
            }
        })
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)
                    .map_err(|_| Error::internal("A message cannot be signed"))?;
                Ok(signature)
            }
            Self::Ed25519(key) => Ok(key.sign(digest(&SHA256, input).as_ref()).as_ref().to_vec()),
        }
    }
}

/// Who signs.
pub struct Signer {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// With what.
    pub key: SigningKey,
}

impl Signer {
    /// The field to put in front of a message: over its header, and the hash of its body in its
    /// relaxed form.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a header with so many fields that the signature would be too
    /// long; [`base::Kind::Internal`].
    pub fn field(&self, header: &Header, body_hash: &[u8; 32], signed_s: i64) -> Result<String> {
        let mut names: Vec<&str> = Vec::new();
        for name in SIGNED_FIELDS {
            names.extend(std::iter::repeat_n(*name, occurrences(header, name)? + 1));
        }
        let field = Folded::new("DKIM-Signature: v=1;");
        self.over_message(field, &names, header, (body_hash, signed_s))
    }

    /// A field that signs these fields of a message and its body. `field` has begun.
    ///
    /// # Errors
    /// As [`Signer::field`].
    pub(crate) fn over_message(
        &self,
        mut field: Folded,
        names: &[&str],
        header: &Header,
        (body_hash, signed_s): (&[u8; 32], i64),
    ) -> Result<String> {
        field.word(&format!("a={};", self.key.algorithm()));
        field.word("c=relaxed/relaxed;");
        field.word(&format!("d={};", self.domain));
        field.word(&format!("s={};", self.selector));
        field.word(&format!("t={signed_s};"));
        for (place, name) in names.iter().enumerate() {
            let before = if place == 0 { "h=" } else { "" };
            let after = if place + 1 == names.len() { ";" } else { ":" };
            field.word(&format!("{before}{name}{after}"));
        }
        field.word(&format!("bh={};", STANDARD.encode(body_hash)));
        let input = verify::fields_input(header, names.iter().copied(), Canonical::Relaxed);
        self.finish(field, input)
    }

    /// Ends a field with the signature over `input` and over itself.
    ///
    /// # Errors
    /// As [`Signer::field`].
    pub(crate) fn finish(&self, mut field: Folded, mut input: Vec<u8>) -> Result<String> {
        field.word("b=");
        verify::own_input(Canonical::Relaxed, Field::of(field.text.as_bytes()), &mut input);
        field.base64(&STANDARD.encode(self.key.sign(&input)?));
        if field.text.len() > FIELD_BYTES_MAX {
            return Err(Error::invalid("There are too many fields to sign"));
        }
        Ok(field.text)
    }
}

/// How often a field stands in a header that is to be signed.
///
/// # Errors
/// [`base::Kind::Invalid`]: too often.
pub(crate) fn occurrences(header: &Header, name: &str) -> Result<usize> {
    match header.count(name) {
        count if count > OCCURRENCES_MAX => {
            Err(Error::invalid(format!("There are too many {name} fields to sign")))
        }
        count => Ok(count),
    }
}

/// A field that is written word by word, in lines of a good length.
pub(crate) struct Folded {
    text: String,
    line: usize,
}

impl Folded {
    /// Begins with the field's name and what stands first.
    pub(crate) fn new(start: &str) -> Self {
        Self { text: start.to_owned(), line: start.len() }
    }

    pub(crate) fn word(&mut self, word: &str) {
        if self.line + 1 + word.len() > LINE_BYTES {
            self.text.push_str("\r\n\t");
            self.line = 8;
        } else {
            self.text.push(' ');
            self.line += 1;
        }
        self.text.push_str(word);
        self.line += word.len();
    }

    /// Ends the field with a text that may be cut anywhere.
    fn base64(&mut self, mut rest: &str) {
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(LINE_BYTES - 8));
            let _ = write!(self.text, "\r\n\t{now}");
            rest = later;
        }
        self.text.push_str("\r\n");
    }
}
