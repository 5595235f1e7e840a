//! Signing mail of our own domains (DKIM, RFC 6376).
//!
//! ```text
//! create ─▶ Prepared ── activate ─▶ Active ── retire, or another of its kind is activated ─▶ Retired
//!           publish its record      signs                                     remove when nobody checks any more
//! ```
//!
//! Keys are settings of the organisation, and hold for all nodes. The transport service keeps them
//! and decides what is signed; how is for whoever implements [`Signatures`]. Private keys are read
//! by that service alone: what administrators see ([`ShownKey`]) has no place for one.

mod check;

use async_trait::async_trait;
use base::{Result, Timestamp};
use bytes::Bytes;
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How many keys there may be in all.
pub const KEYS_MAX: usize = 1_000;

/// What stands between selector and domain in the name of a record (RFC 6376 §3.6.2.1).
const BETWEEN: &str = "._domainkey.";

/// A way of signing (RFC 6376 §3.3.3, RFC 8463 §3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// `rsa-sha256`, with 2,048 bits: what everybody can check.
    Rsa,
    /// `ed25519-sha256`: short, and not yet checked by all; it signs beside an RSA key.
    Ed25519,
}

impl KeyAlgorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Ed25519];

    /// As people write it, and as `k=` says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// How far a key has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KeyState {
    /// Its record is to be published; it does not sign yet.
    Prepared,
    /// It signs. There is at most one of each algorithm in a domain.
    Active,
    /// It signs no more; its record stays published while what it signed may be checked.
    Retired,
}

impl KeyState {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A private key (PKCS #8), never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateKey(pub Bytes);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A key of a domain, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DomainKey {
    /// Where its record is: `<selector>._domainkey.<domain>`, in ASCII, lower case.
    pub name: String,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
    /// With what.
    pub private: PrivateKey,
    /// The text to publish; kept, so that it can be shown even where the key cannot be read.
    pub record: String,
    /// How far it has come.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
}

impl DomainKey {
    /// The name of the key of a selector in a domain.
    pub fn name_of(domain: &str, selector: &str) -> String {
        format!("{selector}{BETWEEN}{domain}").to_lowercase()
    }

    /// Whose mail it signs (`d=`).
    pub fn domain(&self) -> &str {
        self.parts().1
    }

    /// Which of the domain's keys it is (`s=`).
    pub fn selector(&self) -> &str {
        self.parts().0
    }

    fn parts(&self) -> (&str, &str) {
        self.name.split_once(BETWEEN).unwrap_or((&self.name, ""))
    }

    /// Without what nobody is to see.
    pub fn shown(&self) -> ShownKey {
        let Self { algorithm, record, state, created, .. } = self;
        ShownKey {
            domain: self.domain().to_owned(),
            selector: self.selector().to_owned(),
            algorithm: *algorithm,
            record: record.clone(),
            state: *state,
            created: *created,
        }
    }
}

/// What is told of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownKey {
    /// Whose mail it signs.
    pub domain: String,
    /// Which of the domain's keys it is.
    pub selector: String,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
    /// The text to publish.
    pub record: String,
    /// How far it has come.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
}

impl ShownKey {
    /// Where its record is to be published.
    pub fn name(&self) -> String {
        DomainKey::name_of(&self.domain, &self.selector)
    }
}

/// What a new key is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    /// An accepted domain.
    pub domain: String,
    /// A name of letters, digits and hyphens; made of the day and the algorithm if `None`.
    pub selector: Option<String>,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
}

/// The keys of the organisation. Every change is one transaction with its audit record, and is in
/// effect on every node within about a second. A name for a domain may be in any form.
#[async_trait]
pub trait SigningAdmin: Send + Sync + 'static {
    /// All keys of a domain, by selector, as they are stored now.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn signing_keys(&self, domain: &str) -> Result<Vec<ShownKey>>;

    /// Checks what is to be made, without making it, and gives the name of its record.
    ///
    /// # Errors
    /// As [`SigningAdmin::create_signing_key`].
    async fn check_signing_key(&self, new: &NewKey) -> Result<String>;

    /// Makes a key, which signs nothing until it is activated.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`] where the domain is none of ours, [`base::Kind::AlreadyExists`],
    /// [`base::Kind::Invalid`], [`base::Kind::Limit`].
    async fn create_signing_key(&self, actor: &Actor, new: NewKey) -> Result<ShownKey>;

    /// Lets a key sign; another one of its domain and algorithm is retired with the same commit.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn activate_signing_key(
        &self,
        actor: &Actor,
        domain: &str,
        selector: &str,
    ) -> Result<ShownKey>;

    /// Lets a key sign no more.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn retire_signing_key(
        &self,
        actor: &Actor,
        domain: &str,
        selector: &str,
    ) -> Result<ShownKey>;

    /// Destroys a key that does not sign.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::CannotChange`] while it is active.
    async fn remove_signing_key(&self, actor: &Actor, domain: &str, selector: &str) -> Result<()>;
}

/// Makes keys and signatures.
pub trait Signatures: Send + Sync + 'static {
    /// The name of a domain as the DNS has it; `None` where it cannot be one.
    fn ascii(&self, domain: &str) -> Option<String>;

    /// A new private key and the text to publish for it.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] where there is no randomness.
    fn generate(&self, algorithm: KeyAlgorithm) -> Result<(PrivateKey, String)>;

    /// Reads a key once for many signatures.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] where it cannot be read.
    fn read(&self, key: &DomainKey) -> Result<Arc<dyn ReadKey>>;

    /// Begins to read a message, which may be large: nothing of its body is kept.
    fn begin(&self, purpose: Purpose) -> Box<dyn Digesting>;
}

/// What a message is read for.
pub enum Purpose {
    /// It is ours: a signature (DKIM) of the domain whose name it bears, where that is wanted.
    Sign(Wanted),
    /// It is somebody else's and goes on: a seal (ARC, RFC 8617) over what was found when it came.
    Seal {
        /// The domain of ours that seals, in ASCII.
        domain: String,
        /// The value of the field that says what was found, as
        /// [`crate::authentication::results`] gives it.
        results: Bytes,
    },
}

/// Whether mail of a domain is to be signed.
pub type Wanted = Box<dyn Fn(&str) -> bool + Send>;

/// A message on its way through a hash.
pub trait Digesting: Send {
    /// Takes the next bytes, as they are stored.
    fn push(&mut self, piece: &Bytes);

    /// What there is to sign or seal; `None` for a message that is not to be signed: it bears the
    /// names of several domains or of none, or that of a domain that is not wanted.
    fn finish(self: Box<Self>) -> Option<Digest>;
}

/// What of a message is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digest {
    /// Whose name it bears: the domain of its only author, else of its Sender field. Of a message
    /// that is to be sealed the domain that seals.
    pub domain: String,
    /// The header, as it will leave.
    pub header: Bytes,
    /// The hash of the body in its relaxed form.
    pub body_hash: [u8; 32],
    /// What was found when it came, where it is to be sealed.
    pub results: Option<Bytes>,
}

/// A key that can sign.
pub trait ReadKey: Send + Sync {
    /// The fields to put in front of a message, whole: a signature, or the three of a seal. Empty
    /// where nobody can vouch for a message any more: its chain of seals is broken or full.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a header with too many fields; [`base::Kind::Internal`].
    fn sign(&self, message: &Digest, at: Timestamp) -> Result<String>;
}
