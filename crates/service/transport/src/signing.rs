//! The keys that sign mail of our domains: settings, and what of the mail for other servers they
//! sign and seal.
//!
//! - `T/k/<selector>._domainkey.<domain>` a key; `T/y` is written with every change.
//!
//! A message is signed when it goes to the queues of next hops: once, in the reading that is done
//! then anyway, and not at each attempt. Only mail of whom we know is: of people who signed in, of
//! our own servers and devices, and what we write ourselves. Signing what a stranger sends under a
//! name of ours would make a forgery genuine.

use crate::context::Context;
use crate::service::TransportService;
use crate::table::{self, Derived, Setting, Settings, Table};
use async_trait::async_trait;
use base::env::Env;
use base::{Error, Kind, Result, Timestamp};
use bytes::Bytes;
use contract_blob::{ByteStream, Content, Segment};
use contract_directory::{Actor, Directory};
use contract_store::Store;
use contract_transport::courier::{Resign, Signer};
use contract_transport::signing::{
    Digest, Digesting, DomainKey, KEYS_MAX, KeyAlgorithm, KeyState, NewKey, PrivateKey, Purpose,
    ReadKey, ShownKey, Signatures, SigningAdmin,
};
use contract_transport::{QueueEntry, authentication};
use futures::StreamExt;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// The name of the field that holds a signature, with its colon.
const FIELD: &[u8] = b"DKIM-Signature:";

/// The name of the first field of a seal, with its colon.
const SEAL_FIELD: &[u8] = b"ARC-Seal:";

/// What becomes of a message with a key.
#[derive(Clone, Copy)]
struct Doing {
    /// For people.
    done: &'static str,
    metric: &'static str,
}

const SIGN: Doing = Doing { done: "signed", metric: "rialto_dkim_signatures_total" };
const SEAL: Doing = Doing { done: "sealed", metric: "rialto_arc_seals_total" };

impl Setting for DomainKey {
    const PREFIX: &'static [u8] = b"T/k/";
    const CHANGED: &'static [u8] = b"T/y";
    const COUNT_MAX: usize = KEYS_MAX;
    const NOUN: &'static str = "DKIM key";
    const ACTION: &'static str = "domain.dkim";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        DomainKey::check(self)
    }

    fn displaced(&self, others: &Table<Self>) -> Vec<Self> {
        let displaces = |other: &&Arc<Self>| {
            self.state == KeyState::Active
                && other.state == KeyState::Active
                && other.name != self.name
                && other.algorithm == self.algorithm
                && other.domain() == self.domain()
        };
        let retired = |other: &Arc<Self>| Self { state: KeyState::Retired, ..(**other).clone() };
        others.values().filter(displaces).map(retired).collect()
    }

    fn check_removal(&self) -> Result<()> {
        if self.state == KeyState::Active {
            let text = format!("the DKIM key {} signs; retire it first", self.name);
            return Err(Error::new(Kind::CannotChange, text));
        }
        Ok(())
    }

    fn parameters(&self) -> String {
        let Self { algorithm, state, .. } = self;
        format!("algorithm={} state={}", algorithm.word(), state.word())
    }
}

/// The keys that sign now, by domain.
#[derive(Default)]
struct Ring(HashMap<String, Vec<Ready>>);

/// A key that is to sign.
struct Ready {
    key: Arc<DomainKey>,
    /// Read when it is first needed; `None` where it cannot be.
    read: OnceLock<Option<Arc<dyn ReadKey>>>,
}

impl Ready {
    fn read(&self, signatures: &dyn Signatures) -> Option<&Arc<dyn ReadKey>> {
        let read = self.read.get_or_init(|| {
            let (domain, selector) = (self.key.domain(), self.key.selector());
            let read = signatures.read(&self.key).inspect_err(|error| {
                tracing::error!(domain, selector, %error, "mail is not signed with this key");
            });
            read.ok()
        });
        read.as_ref()
    }

    /// What to put in front of a message.
    fn field(&self, signatures: &dyn Signatures, digest: &Digest, at: Timestamp) -> Result<String> {
        match self.read(signatures) {
            Some(read) => read.sign(digest, at),
            None => Err(Error::invalid("The key cannot be read")),
        }
    }
}

/// The keys as this node knows them.
pub(crate) struct Signing {
    settings: Arc<Settings<DomainKey>>,
    ring: Derived<DomainKey, Ring>,
    signatures: Arc<dyn Signatures>,
}

/// The signatures of a message.
#[derive(Clone, Default, Debug)]
pub(crate) struct Signed {
    /// Whole fields to put in front; may be empty.
    pub(crate) fields: Bytes,
    /// For people: who has signed, and who could not and why; may be empty.
    pub(crate) by: String,
}

impl Signed {
    /// Notes what came of each key.
    fn note<'a>(&mut self, doing: Doing, all: impl Iterator<Item = (&'a Ready, Result<String>)>) {
        let Doing { done, metric } = doing;
        let (mut fields, mut by, mut without) = (String::new(), String::new(), String::new());
        for (ready, field) in all {
            let key = &ready.key;
            let (domain, selector) = (key.domain(), key.selector());
            let result = match field {
                // Nobody can vouch for it any more.
                Ok(field) if field.is_empty() => continue,
                Ok(field) => {
                    fields.push_str(&field);
                    let between = if by.is_empty() { done } else { "," };
                    let named =
                        if by.is_empty() { format!(" for {domain} by") } else { String::new() };
                    let _ = write!(by, "{between}{named} {selector}");
                    "signed"
                }
                Err(error) => {
                    tracing::warn!(domain, selector, %error, "a message is not {done}");
                    let between = if without.is_empty() { "" } else { "; " };
                    let _ = write!(without, "{between}not {done} by {selector}: {}", error.text);
                    "failed"
                }
            };
            let algorithm = key.algorithm.word();
            metrics::counter!(metric, "algorithm" => algorithm, "result" => result).increment(1);
        }
        if !by.is_empty() && !without.is_empty() {
            by.push_str("; ");
        }
        (self.fields, self.by) = (fields.into(), by + &without);
    }
}

impl Signing {
    pub(crate) fn new(settings: Arc<Settings<DomainKey>>, signatures: Arc<dyn Signatures>) -> Self {
        Self { settings, ring: Derived::default(), signatures }
    }

    fn ring(&self) -> Arc<Ring> {
        let made = self.ring.of(self.settings.table(), |table| {
            let mut ring = Ring::default();
            for key in table.values().filter(|key| key.state == KeyState::Active) {
                let ready = Ready { key: key.clone(), read: OnceLock::new() };
                ring.0.entry(key.domain().to_owned()).or_default().push(ready);
            }
            Ok(ring)
        });
        made.unwrap_or_default()
    }

    /// Whether mail of a domain, in ASCII and lower case, is signed.
    pub(crate) fn signs(&self, domain: &str) -> bool {
        self.ring().0.contains_key(domain)
    }

    /// Begins to read a message that may be signed or sealed; `None` for one that is not.
    pub(crate) async fn begin(
        &self,
        entry: &QueueEntry,
        directory: &dyn Directory,
    ) -> Option<Box<dyn Digesting>> {
        let ring = self.ring();
        if ring.0.is_empty() || is_signed(&entry.content) {
            return None;
        }
        if is_of_us(entry) {
            let wanted = Box::new(move |domain: &str| ring.0.contains_key(domain));
            return Some(self.signatures.begin(Purpose::Sign(wanted)));
        }
        let results = authentication::results(&entry.content)?;
        let domains = directory.domains().await.ok()?;
        let default = domains.iter().find(|domain| domain.default)?;
        let domain = self.signatures.ascii(&default.name)?;
        let seals = ring.0.contains_key(&domain);
        seals.then(|| self.signatures.begin(Purpose::Seal { domain, results }))
    }

    /// Signs what was read with every active key of its domain, or seals it with one. Where one
    /// cannot sign the mail goes on without: mail that flows is worth more than a signature.
    pub(crate) fn sign(&self, digest: &Digest, at: Timestamp) -> Signed {
        let ring = self.ring();
        let keys = ring.0.get(&digest.domain).map(Vec::as_slice).unwrap_or_default();
        let mut signing = Signed::default();
        if digest.results.is_none() {
            let all = keys.iter().map(|ready| (ready, ready.field(&*self.signatures, digest, at)));
            signing.note(SIGN, all);
        } else {
            // There is one seal of a server, so it is made with what everybody can check.
            let is_rsa = |ready: &&Ready| ready.key.algorithm == KeyAlgorithm::Rsa;
            let ready = keys.iter().find(is_rsa).or(keys.first());
            let one = ready.map(|ready| (ready, ready.field(&*self.signatures, digest, at)));
            signing.note(SEAL, one.into_iter());
        }
        signing
    }

    /// The name of a domain as the DNS has it.
    fn ascii(&self, domain: &str) -> Result<String> {
        let shown = || Error::invalid(format!("\"{}\" is no domain", domain.escape_debug()));
        self.signatures.ascii(domain).ok_or_else(shown)
    }

    pub(crate) async fn list(&self, domain: &str) -> Result<Vec<ShownKey>> {
        let domain = self.ascii(domain)?;
        let table = self.settings.reload().await?;
        Ok(table.values().filter(|key| key.domain() == domain).map(|key| key.shown()).collect())
    }

    /// What a new key would be called.
    pub(crate) async fn name(
        &self,
        directory: &dyn Directory,
        new: &NewKey,
        at: Timestamp,
    ) -> Result<String> {
        let domain = self.ascii(&new.domain)?;
        let accepted = directory.domains().await?;
        let is_it = |name: &str| self.signatures.ascii(name).is_some_and(|name| name == domain);
        if !accepted.iter().any(|one| is_it(&one.name)) {
            return Err(Error::not_found(format!("The accepted domain {domain}")));
        }
        let table = self.settings.reload().await?;
        let name = match &new.selector {
            Some(selector) => DomainKey::name_of(&domain, selector),
            None => {
                // A selector of its own day is never met in caches with another key.
                let base = format!("{}-{}", day(at), new.algorithm.word());
                let names = (1_usize..).map(|number| match number {
                    1 => DomainKey::name_of(&domain, &base),
                    _ => DomainKey::name_of(&domain, &format!("{base}-{number}")),
                });
                let mut free = names.filter(|name| !table.contains_key(name));
                free.next().unwrap_or(base)
            }
        };
        if table.contains_key(&name) {
            let text = format!("the DKIM key {name} exists already");
            return Err(Error::new(Kind::AlreadyExists, text));
        }
        let key = DomainKey {
            name,
            algorithm: new.algorithm,
            private: PrivateKey(Bytes::from_static(b"none yet")),
            record: String::new(),
            state: KeyState::Prepared,
            created: at,
        };
        key.check()?;
        Ok(key.name)
    }

    pub(crate) async fn create(
        &self,
        directory: &dyn Directory,
        actor: &Actor,
        (new, at): (NewKey, Timestamp),
    ) -> Result<ShownKey> {
        let name = self.name(directory, &new, at).await?;
        let (signatures, algorithm) = (self.signatures.clone(), new.algorithm);
        // Finding the primes of an RSA key takes a while.
        let made = tokio::task::spawn_blocking(move || signatures.generate(algorithm)).await;
        let (private, record) = made.map_err(Error::internal)??;
        let state = KeyState::Prepared;
        let key = DomainKey { name, algorithm, private, record, state, created: at };
        Ok(self.settings.create(actor, key).await?.shown())
    }

    pub(crate) async fn set_state(
        &self,
        actor: &Actor,
        (domain, selector): (&str, &str),
        state: KeyState,
    ) -> Result<ShownKey> {
        let name = DomainKey::name_of(&self.ascii(domain)?, selector);
        let edit = |old: &DomainKey| DomainKey { state, ..old.clone() };
        Ok(self.settings.update(actor, &name, &edit).await?.shown())
    }

    pub(crate) async fn remove(&self, actor: &Actor, domain: &str, selector: &str) -> Result<()> {
        let name = DomainKey::name_of(&self.ascii(domain)?, selector);
        self.settings.remove(actor, &name).await
    }
}

/// Begins to sign.
///
/// # Errors
/// The store's.
pub(crate) async fn start(
    store: &Arc<dyn Store>,
    env: &Env,
    signatures: Arc<dyn Signatures>,
) -> Result<Arc<Signing>> {
    let settings = Arc::new(Settings::new(store.clone(), env.clone()));
    // No message may go unsigned because they are not known yet.
    settings.reload().await?;
    tokio::spawn(table::follow(Arc::downgrade(&settings)));
    Ok(Arc::new(Signing::new(settings, signatures)))
}

/// Begins to read a message that may be signed or sealed, if this node signs.
pub(crate) async fn begin(context: &Context, entry: &QueueEntry) -> Option<Box<dyn Digesting>> {
    context.signing.as_ref()?.begin(entry, &*context.directory).await
}

/// Signs what was read.
pub(crate) fn sign(context: &Context, digest: Option<Digest>) -> Signed {
    let (Some(signing), Some(digest)) = (&context.signing, digest) else {
        return Signed::default();
    };
    signing.sign(&digest, context.env.clock.now())
}

/// Signs a message that is converted on its way.
struct Again {
    context: Arc<Context>,
    /// As it was before we signed it.
    entry: QueueEntry,
}

#[async_trait]
impl Resign for Again {
    async fn sign(&self, mut message: ByteStream) -> Result<Bytes> {
        let mut digesting = begin(&self.context, &self.entry).await;
        while let Some(piece) = message.next().await {
            let piece = piece?;
            if let Some(digesting) = &mut digesting {
                digesting.push(&piece);
            }
        }
        let digest = digesting.and_then(|digesting| digesting.finish());
        Ok(sign(&self.context, digest).fields)
    }
}

/// Who signs what a message becomes where it has to be converted.
pub(crate) fn signer(context: &Arc<Context>, entry: &QueueEntry) -> Signer {
    if context.signing.is_none() {
        return Signer::default();
    }
    let content = entry.content.slice(signed_bytes(&entry.content)..u64::MAX);
    let entry = QueueEntry { content, ..entry.clone() };
    Signer(Some(Arc::new(Again { context: context.clone(), entry })))
}

/// How many bytes in front of a message are signatures or a seal of ours.
pub(crate) fn signed_bytes(content: &Content) -> u64 {
    match content.segments.first() {
        Some(Segment::Inline(front))
            if front.starts_with(FIELD) || front.starts_with(SEAL_FIELD) =>
        {
            front.len() as u64
        }
        _ => 0,
    }
}

fn of(service: &TransportService) -> Result<&Signing> {
    let none = || Error::new(Kind::CannotChange, "This node signs no mail");
    service.context.signing.as_deref().ok_or_else(none)
}

#[async_trait]
impl SigningAdmin for TransportService {
    async fn signing_keys(&self, domain: &str) -> Result<Vec<ShownKey>> {
        of(self)?.list(domain).await
    }

    async fn check_signing_key(&self, new: &NewKey) -> Result<String> {
        let at = self.context.env.clock.now();
        of(self)?.name(&*self.context.directory, new, at).await
    }

    async fn create_signing_key(&self, actor: &Actor, new: NewKey) -> Result<ShownKey> {
        let at = self.context.env.clock.now();
        of(self)?.create(&*self.context.directory, actor, (new, at)).await
    }

    async fn activate_signing_key(
        &self,
        actor: &Actor,
        domain: &str,
        selector: &str,
    ) -> Result<ShownKey> {
        of(self)?.set_state(actor, (domain, selector), KeyState::Active).await
    }

    async fn retire_signing_key(
        &self,
        actor: &Actor,
        domain: &str,
        selector: &str,
    ) -> Result<ShownKey> {
        of(self)?.set_state(actor, (domain, selector), KeyState::Retired).await
    }

    async fn remove_signing_key(&self, actor: &Actor, domain: &str, selector: &str) -> Result<()> {
        of(self)?.remove(actor, domain, selector).await
    }
}

/// Whether a message is from somebody who may write in our name.
pub(crate) fn is_of_us(entry: &QueueEntry) -> bool {
    let envelope = &entry.envelope;
    let is_own = envelope.source.ip.is_none();
    envelope.authenticated.is_some() || is_own || authentication::is_from_inside(&entry.content)
}

/// Whether a message is from somebody who may write in our name, as far as can be told at any time.
pub(crate) fn is_ours(entry: &QueueEntry) -> bool {
    // A signature stands before the mark of those who need no sign-in.
    is_of_us(entry) || is_signed(&entry.content)
}

/// Whether we have signed a message when it was handed over before.
fn is_signed(content: &Content) -> bool {
    matches!(content.segments.first(), Some(Segment::Inline(front)) if front.starts_with(FIELD))
}

/// The day of a moment, for a name: `2026nov22`.
fn day(at: Timestamp) -> String {
    let at = codec_mime::SentAt { unix_seconds: at.unix_s(), offset_minutes: 0 };
    let date = codec_mime::date::print(at).to_lowercase();
    let mut words = date.split(' ').skip(1);
    let mut next = || words.next().unwrap_or_default();
    let (day, month, year) = (next(), next(), next());
    format!("{year}{month}{day}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_people_do() {
        let check = |unix_s: i64, expect: &str| {
            assert_eq!(day(Timestamp { unix_ms: unix_s * 1000 }), expect, "{unix_s}");
        };
        check(0, "1970jan01");
        check(1_795_391_999, "2026nov22");
        check(1_795_392_000, "2026nov23");
    }

    #[test]
    fn what_we_have_signed_is_known_by_its_front() {
        let check = |segments: &[&'static str], expect: bool| {
            let inline = |text: &&'static str| Segment::Inline(Bytes::from_static(text.as_bytes()));
            let content = Content { segments: segments.iter().map(inline).collect() };
            assert_eq!(is_signed(&content), expect, "{segments:?}");
        };
        check(&["DKIM-Signature: v=1\r\n", "Received: x\r\n"], true);
        check(&["Received: x\r\n", "DKIM-Signature: v=1\r\n"], false);
        check(&["DKIM-Signature-X: v=1\r\n"], false);
        check(&[], false);
    }
}
